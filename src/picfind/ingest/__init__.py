"""From a source to a gallery.

changes.py    what is due: a pure comparison
wording.py    what is said of an item
stages.py     the work of many items, spread over threads
pictures.py, pairs.py    the work on one
passes.py     the passes of a run and their commits
report.py     how far a run is
run.py        the run
"""
