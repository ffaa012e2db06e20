"""Pictures to words: what already stands beside a picture (sidecar.py) and in tables (table.py)."""
