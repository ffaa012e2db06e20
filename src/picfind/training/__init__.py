"""From checkpoints to models that can be used: export.py writes model folders."""
