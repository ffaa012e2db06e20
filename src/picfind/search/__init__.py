"""From a question to hits: query.py (what is asked), snapshot.py (what is searched), searcher.py (the answer)."""
