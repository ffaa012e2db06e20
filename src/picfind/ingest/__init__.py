"""From a source to a gallery: what is due (changes.py), the work (stages.py), the run that commits it (run.py)."""
