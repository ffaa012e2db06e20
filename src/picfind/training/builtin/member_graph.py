"""Writes what was learned into a graph: trained copies of the picture tower's end, projections, and what joins them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from picfind.training.builtin.members import ROOT_EPSILON
from picfind.training.builtin.parts import Side

if TYPE_CHECKING:
    from picfind.encoders._graph import Graph
    from picfind.training.builtin.members import Block, Layer, Learned, Member, Projection, Top
    from picfind.types import Floats

Tensors = Mapping[str, str]
"""Of pictures: `features`, `middle` and `maps_before(block)`; of words: `sentence`."""


def maps_before(block: int) -> str:
    """What the tensor is called that goes into a block of the picture tower, and into a trained copy from there on."""
    return f"before {block}"


def write_joined(graph: Graph, tensors: Tensors, learned: Learned, side: Side) -> str:
    """All members' unit rows, each times its length, side by side, times the matrix of this side: not yet unit rows."""
    rows = [graph.unit(_write_member(graph, tensors, member, side)) for member in learned.members]
    beside = graph.op("Concat", *rows, axis=1) if len(rows) > 1 else rows[0]
    matrix = joining_matrix(learned, side)
    return graph.linear(beside, matrix, np.zeros(matrix.shape[1], np.float32), storage="fp16")


def joining_matrix(learned: Learned, side: Side) -> Floats:
    """(sum of the members' dimensions, dim): the matrix of one side with the members' lengths in its rows."""
    lengths = [np.full(len(member.image.linear.bias), member.length) for member in learned.members]
    matrix = learned.image if side == "image" else learned.text
    return (np.concatenate(lengths)[:, None] * matrix).astype(np.float32)


def _write_member(graph: Graph, tensors: Tensors, member: Member, side: Side) -> str:
    if side == "text":
        return write_projection(graph, tensors["sentence"], member.text)
    pooled = tensors["features"]
    if member.top is not None:
        pooled = write_top(graph, tensors[maps_before(member.top.start)], member.top)
    roots = graph.op("Sqrt", graph.op("Add", pooled, graph.constant(ROOT_EPSILON)))
    rows = graph.op("Concat", roots, tensors["middle"], axis=1)
    return write_projection(graph, rows, member.image)


def write_projection(graph: Graph, rows: str, projection: Projection) -> str:
    """A linear map, and beside it a hidden layer where there is one."""

    def layer(of: Layer, rows: str) -> str:
        return graph.linear(rows, of.weight, of.bias, storage="int8")

    mapped = layer(projection.linear, rows)
    if projection.inner is None or projection.outer is None:
        return mapped
    return graph.op("Add", mapped, layer(projection.outer, graph.op("Gelu", layer(projection.inner, rows))))


def write_top(graph: Graph, maps: str, top: Top) -> str:
    """The trained copy of the picture tower's end: maps (n, channels, 9, 9) to pooled features (n, 1280)."""
    for block in top.blocks:
        maps = _write_block(graph, maps, block)
    maps = _relu6(graph, _pointwise(graph, maps, top.last))
    return graph.op("Flatten", graph.op("GlobalAveragePool", maps), axis=1)


def _write_block(graph: Graph, maps: str, block: Block) -> str:
    """One inverted residual block at stride 1; what it gives is added to what it took where both have one width."""
    hidden = _relu6(graph, _pointwise(graph, maps, block.expand))
    hidden = _relu6(graph, _depthwise(graph, hidden, block))
    hidden = _pointwise(graph, hidden, block.project)
    skips = len(block.expand.weight) == len(block.project.bias)
    return graph.op("Add", hidden, maps) if skips else hidden


def _pointwise(graph: Graph, maps: str, layer: Layer) -> str:
    kernel = np.ascontiguousarray(layer.weight.T)[:, :, None, None]
    return graph.op(
        "Conv", maps, graph.weight(kernel, storage="int8"), graph.constant(layer.bias), kernel_shape=[1, 1]
    )


def _depthwise(graph: Graph, maps: str, block: Block) -> str:
    width, _, side, _ = block.depthwise.shape
    return graph.op(
        "Conv", maps, graph.weight(block.depthwise), graph.constant(block.bias),
        kernel_shape=[side, side], pads=[side // 2] * 4, group=width,
    )  # fmt: skip


def _relu6(graph: Graph, maps: str) -> str:
    return graph.op("Clip", maps, graph.constant(0.0), graph.constant(6.0))
