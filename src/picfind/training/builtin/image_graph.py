"""Writes image.onnx: pixels to pooled features, class logits and the finished vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from picfind.encoders._graph import Graph, Storage
from picfind.training.builtin.lite2 import CLASSES, EPSILON, SIDE, Block, blocks, same_padding
from picfind.training.builtin.member_graph import maps_before
from picfind.training.builtin.members import MIDDLE, POOLED
from picfind.training.builtin.parts import Part, compose

if TYPE_CHECKING:
    from pathlib import Path

Weights = dict[str, NDArray[np.float32]]


_HALVED = 15
"""The last block that halves the maps' sides, after which means and maxima are taken."""
_SIDE = 9
"""Side of the maps from there on."""
_LARGE = 60_000
"""Weights of a 1 x 1 convolution above which it is stored as int8; smaller ones would save little."""


def write_image_graph(path: Path, weights: Weights, parts: list[Part], *, storage: Storage) -> None:
    """`pixels`, uint8 (n, 260, 260, 3), to `vector`, float32 (n, dim), unit rows."""
    graph = Graph(storage=storage)
    vector, dim = compose(graph, parts, tower(graph, weights), side="image")
    graph.save(path, output=vector, dim=dim)


def write_view_graph(path: Path, weights: Weights, *, start: int) -> None:
    """The tower alone, in fp32, for training: `vector` is what is kept of a view, side by side.

    Means and maxima after block 15 (416), pooled features (1280), logits (1000), then the maps before block `start`, at
    least 16, as (9, 9, channels) in a row.
    """
    graph = Graph(storage="fp32")
    tensors = tower(graph, weights)
    last = graph.op("Transpose", tensors[maps_before(start)], perm=[0, 2, 3, 1])
    pieces = tensors["middle"], tensors["features"], tensors["logits"], graph.op("Flatten", last, axis=1)
    dim = MIDDLE + POOLED + CLASSES + _SIDE**2 * blocks()[start].inputs
    graph.save(path, output=graph.op("Concat", *pieces, axis=1), dim=dim)


def tower(graph: Graph, weights: Weights) -> dict[str, str]:
    """EfficientNet-Lite2 with batch normalisation folded into the convolutions.

    `features` (n, 1280), pooled; `logits` (n, 1000); `middle` (n, 416), means and maxima of the maps after block 15; and
    what goes into each block after that, (n, channels, 9, 9), under the names that `maps_before` gives.
    """
    writer = _Tower(graph, weights)
    tensors: dict[str, str] = {}
    maps = writer.conv(_pixels(graph), "_conv_stem", "_bn0", kernel=3, stride=2)
    for at, block in enumerate(blocks()):
        if at > _HALVED:
            tensors[maps_before(at)] = maps
        maps = writer.block(maps, f"_blocks.{at}.", block)
    maps = writer.conv(maps, "_conv_head", "_bn1", kernel=1)
    tensors["features"] = graph.op("Flatten", graph.op("GlobalAveragePool", maps), axis=1)
    tensors["middle"] = _middle(graph, tensors[maps_before(_HALVED + 1)])
    tensors["logits"] = graph.linear(
        tensors["features"], weights["_fc.weight"].T, weights["_fc.bias"], storage="int8"
    )
    return tensors


def _middle(graph: Graph, maps: str) -> str:
    pooled = graph.op("GlobalAveragePool", maps), graph.op("GlobalMaxPool", maps)
    return graph.op("Flatten", graph.op("Concat", *pooled, axis=1), axis=1)


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
        weight, bias = folded(self._weights, layer, norm)
        graph = self._graph
        shape: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "group": groups}
        maps = graph.op(
            "Conv",
            maps,
            graph.weight(weight, storage="int8" if kernel == 1 and weight.size > _LARGE else None),
            graph.constant(bias),
            pads=[before, before, after, after],
            **shape,
        )
        return graph.op("Clip", maps, graph.constant(0.0), graph.constant(6.0)) if relu else maps


def folded(weights: Weights, layer: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The convolution that does what a convolution and the batch normalisation after it do."""
    gain = weights[norm + ".weight"] / np.sqrt(weights[norm + ".running_var"] + EPSILON)
    bias = weights[norm + ".bias"] - weights[norm + ".running_mean"] * gain
    kernel = weights[layer + ".weight"] * gain[:, None, None, None]
    return kernel.astype(np.float32), bias.astype(np.float32)
