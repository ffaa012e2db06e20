"""Writes a ResNet as an ONNX graph, node by node: no torch, and the same file on every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from picfind.encoders._graph import Graph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from picfind.encoders._resnet.weights import Architecture, Block, Conv, Weights

SIDE = 224
_EPSILON = 1e-5
"""Of batch normalisation, in torchvision, timm and transformers alike."""


def write_graph(path: Path, shape: Architecture, weights: Weights) -> None:
    """`pixels`, float32 (n, 3, 224, 224), to `vector`, float32 (n, dim): the last pooling as unit rows."""
    graph = Graph(storage="fp32")
    writer = _Writer(graph, weights)
    maps = writer.conv(graph.input("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE]), shape.stem)
    maps = graph.op("MaxPool", graph.op("Relu", maps), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for block in shape.blocks():
        maps = writer.block(maps, block)
    features = graph.op("Flatten", graph.op("GlobalAveragePool", maps), axis=1)
    graph.save(path, output=graph.unit(features), dim=shape.dim)


class _Writer:
    """Writes layers, batch normalisation folded into the convolutions."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self._graph = graph
        self._weights = weights

    def block(self, maps: str, block: Block) -> str:
        graph, hidden = self._graph, maps
        for conv in block.convs[:-1]:
            hidden = graph.op("Relu", self.conv(hidden, conv))
        hidden = self.conv(hidden, block.convs[-1])
        around = self.conv(maps, block.shortcut) if block.shortcut else maps
        return graph.op("Relu", graph.op("Add", hidden, around))

    def conv(self, maps: str, conv: Conv) -> str:
        weight, bias = self._folded(conv)
        graph = self._graph
        return graph.op(
            "Conv",
            maps,
            graph.constant(weight),
            graph.constant(bias),
            kernel_shape=[conv.kernel] * 2,
            strides=[conv.stride] * 2,
            pads=[conv.kernel // 2] * 4,
        )

    def _folded(self, conv: Conv) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The convolution that does what a convolution and the batch normalisation after it do."""
        gain, shift, mean, spread = (
            self._weights[f"{conv.norm}.{kind}"].astype(np.float64)
            for kind in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / np.sqrt(spread + _EPSILON)
        return self._weights[f"{conv.name}.weight"] * gain[:, None, None, None], shift - mean * gain
