"""Writes image.onnx: pixels to pooled features, class logits and the finished vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from lite2 import EPSILON, SIDE, Block, blocks, same_padding
from numpy.typing import NDArray
from onnx import TensorProto
from parts import Part, compose

from picfind.encoders._graph import Graph, Storage

if TYPE_CHECKING:
    from pathlib import Path

Weights = dict[str, NDArray[np.float32]]


def write_image_graph(path: Path, weights: Weights, parts: list[Part], *, storage: Storage) -> None:
    """`pixels`, uint8 (n, 260, 260, 3), to `vector`, float32 (n, dim), unit rows."""
    graph = Graph(storage=storage)
    features, logits = tower(graph, weights)
    vector, dim = compose(graph, parts, {"features": features, "logits": logits}, side="image")
    graph.save(path, output=vector, dim=dim)


def write_feature_graph(path: Path, weights: Weights) -> None:
    """The tower alone: `vector` is (n, 2280), features then logits. For fitting and choosing, never shipped."""
    graph = Graph(storage="fp32")
    graph.save(path, output=graph.op("Concat", *tower(graph, weights), axis=1), dim=2280)


def tower(graph: Graph, weights: Weights) -> tuple[str, str]:
    """EfficientNet-Lite2 with batch normalisation folded into the convolutions: (features, logits)."""
    writer = _Tower(graph, weights)
    maps = writer.conv(_pixels(graph), "_conv_stem", "_bn0", kernel=3, stride=2)
    for at, block in enumerate(blocks()):
        maps = writer.block(maps, f"_blocks.{at}.", block)
    maps = writer.conv(maps, "_conv_head", "_bn1", kernel=1)
    features = graph.op("Flatten", graph.op("GlobalAveragePool", maps), axis=1)
    logits = graph.linear(features, weights["_fc.weight"].T, weights["_fc.bias"])
    return features, logits


def _pixels(graph: Graph) -> str:
    pixels = graph.input("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    planes = graph.op("Cast", graph.op("Transpose", pixels, perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    return graph.op("Mul", graph.op("Sub", planes, graph.constant(127.0)), graph.constant(1 / 128))


class _Tower:
    """Writes layers and keeps count of the side of the maps, on which the padding depends."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self._graph = graph
        self._weights = weights
        self._side = SIDE

    def block(self, maps: str, prefix: str, block: Block) -> str:
        hidden = maps
        if block.expand > 1:
            hidden = self.conv(hidden, prefix + "_expand_conv", prefix + "_bn0", kernel=1)
        hidden = self.conv(
            hidden, prefix + "_depthwise_conv", prefix + "_bn1",
            kernel=block.kernel, stride=block.stride, groups=block.width,
        )  # fmt: skip
        hidden = self.conv(hidden, prefix + "_project_conv", prefix + "_bn2", kernel=1, relu=False)
        return self._graph.op("Add", hidden, maps) if block.skips else hidden

    def conv(
        self,
        maps: str,
        layer: str,
        norm: str,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> str:
        before, after = same_padding(self._side, kernel=kernel, stride=stride)
        self._side = -(-self._side // stride)
        weight, bias = _folded(self._weights, layer, norm)
        graph = self._graph
        shape: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "group": groups}
        maps = graph.op(
            "Conv",
            maps,
            graph.weight(weight),
            graph.constant(bias),
            pads=[before, before, after, after],
            **shape,
        )
        return graph.op("Clip", maps, graph.constant(0.0), graph.constant(6.0)) if relu else maps


def _folded(weights: Weights, layer: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The convolution that does what a convolution and the batch normalisation after it do."""
    gain = weights[norm + ".weight"] / np.sqrt(weights[norm + ".running_var"] + EPSILON)
    bias = weights[norm + ".bias"] - weights[norm + ".running_mean"] * gain
    kernel = weights[layer + ".weight"] * gain[:, None, None, None]
    return kernel.astype(np.float32), bias.astype(np.float32)
