"""Pictures to words: what already stands beside a picture (sidecar.py), in its name (naming.py), and in tables (table.py)."""
