"""What the family `joint` keeps to itself.

recipe.py   which two models, and how they are joined
towers.py   rows side by side, or through heads
"""
