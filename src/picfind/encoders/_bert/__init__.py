"""What the family `bert` keeps to itself.

layout.py   the files of a folder, and what they ask for
tower.py    texts to unit rows
head.py     cuts a graph before the head that it was trained with
"""
