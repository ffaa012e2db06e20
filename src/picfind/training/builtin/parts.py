"""The layout of the vector: parts side by side, each a unit row times a constant weight.

A part writes its nodes into the image graph, into the text graph, or into both; a side where it has none, or where it
weighs nothing, gets zeros. The weights of one side squared sum to 1, so that the whole row is a unit row. A new part,
such as a pair of heads trained contrastively, is one more entry of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Literal

import numpy as np

from picfind.encoders._graph import Graph

Side = Literal["image", "text"]
Writer = Callable[[Graph, Mapping[str, str]], str]
"""From the tensors of a tower (`features`, `logits`; for text `sentence`) to a part's rows, not yet of unit length."""


@dataclass(frozen=True)
class Part:
    """Some dimensions of the vector. `offset` follows from the order of the list."""

    name: str
    dim: int
    image_weight: float
    text_weight: float
    image: Writer | None = None
    text: Writer | None = None
    about: str = ""

    def writer(self, side: Side) -> Writer | None:
        """What writes this part on that side."""
        return self.image if side == "image" else self.text

    def weight(self, side: Side) -> float:
        """The length of this part's rows on that side."""
        return self.image_weight if side == "image" else self.text_weight


def compose(graph: Graph, parts: list[Part], tensors: Mapping[str, str], *, side: Side) -> tuple[str, int]:
    """Write all parts of one side and join them: the finished tensor and its width."""
    _check(parts, side)
    rows = [_part(graph, part, tensors, side) for part in parts]
    dim = sum(part.dim for part in parts)
    return (graph.op("Concat", *rows, axis=1) if len(rows) > 1 else rows[0]), dim


def _part(graph: Graph, part: Part, tensors: Mapping[str, str], side: Side) -> str:
    write = part.writer(side)
    if write is None:
        return _zeros(graph, next(iter(tensors.values())), part.dim)
    return graph.op("Mul", graph.unit(write(graph, tensors)), graph.constant(part.weight(side)))


def _zeros(graph: Graph, like: str, dim: int) -> str:
    count = graph.op("Shape", like, start=0, end=1)
    shape = graph.op("Concat", count, graph.constant([dim], np.int64), axis=0)
    return graph.op("Expand", graph.constant([[0.0]]), shape)


def _check(parts: list[Part], side: Side) -> None:
    total = sum(part.weight(side) ** 2 for part in parts)
    if not isclose(total, 1.0, abs_tol=1e-6):
        raise ValueError(f"the squared {side} weights of the parts sum to {total}, not to 1")
    if any(part.weight(side) and part.writer(side) is None for part in parts):
        raise ValueError(f"a part has a weight on the {side} side but writes nothing there")


def table(parts: list[Part]) -> list[dict[str, str | int | float]]:
    """The parts for the card: name, offset, dim, weights, what they are."""
    rows: list[dict[str, str | int | float]] = []
    offset = 0
    for part in parts:
        rows.append({
            "name": part.name, "offset": offset, "dim": part.dim, "weight": part.image_weight,
            "text_weight": part.text_weight, "about": part.about,
        })  # fmt: skip
        offset += part.dim
    return rows
