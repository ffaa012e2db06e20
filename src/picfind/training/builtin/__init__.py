"""The built-in model: what is learned of it, and its graphs.

task.py        the recipe kind `builtin`: what the loop trains        material.py   what is learned from
views.py       the frozen picture tower's features, kept              sentences.py  the text tower's vectors, kept
learner.py     members: heads.py over trunk.py, or closed.py          joined.py     all members as one
members.py     what was learned, as plain arrays in one file

assembly.py    a model's folder out of these arrays                   joining.py    the parts of a vector
image_graph.py, text_graph.py, member_graph.py, parts.py              the ONNX graphs
lite2.py, minilm.py                                                   both towers in torch
card.py, classes.py                                                   the model's card, the classes' names
"""

from __future__ import annotations
