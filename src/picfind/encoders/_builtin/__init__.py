"""What the family `builtin` keeps to itself.

towers.py   pictures and texts to unit rows, whole or in part
"""
