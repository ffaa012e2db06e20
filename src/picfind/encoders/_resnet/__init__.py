"""What the family `resnet` keeps to itself.

weights.py  the tensors of a file, by torchvision's names
graph.py    the same network as an ONNX graph
"""
