"""What the family `clip` keeps to itself.

cards.py    the published models that are known by name
config.py   the JSON files of a folder
graph.py    an ONNX graph, whatever its inputs are called and however many it takes at once
towers.py   pictures and words to unit rows
words.py    texts to token ids
"""
