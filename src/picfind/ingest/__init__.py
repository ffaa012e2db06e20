"""From a source to a gallery.

changes.py    what is due: a pure comparison
wording.py    what is said of an item
stages.py     the work of many items, spread over threads
passes.py     what the passes of a run share, and when they commit
pictures.py, pairs.py, texts.py, looks.py    the passes
report.py     how far a run is
run.py        the run
"""
