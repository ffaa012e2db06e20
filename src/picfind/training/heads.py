"""Projections of frozen towers' vectors: into one shared space, or a little way from themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from picfind.encoders._graph import Graph
from picfind.training.recipe import Heads


class Head(nn.Module):  # type: ignore[misc]
    """Rows (n, inputs) to (n, dim), not of unit length yet: a linear map, a layer of `hidden` between, or their sum.

    Such sums of a linear map and a wide layer learned best among those tried on captioned photos.
    """

    def __init__(self, inputs: int, how: Heads) -> None:
        super().__init__()
        self.drop = nn.Dropout(how.dropout)
        self.linear = nn.Linear(inputs, how.dim) if how.kind != "mlp" else None
        wide = how.kind != "linear"
        self.inner = nn.Linear(inputs, how.hidden) if wide else None
        self.outer = nn.Linear(how.hidden, how.dim) if wide else None

    def forward(self, rows: Any) -> Any:
        parts = []
        if self.linear is not None:
            parts.append(self.linear(self.drop(rows)))
        if self.inner is not None and self.outer is not None:
            parts.append(self.outer(self.drop(functional.gelu(self.inner(rows)))))
        return sum(parts)

    def write(self, path: Path, inputs: int, dim: int) -> None:
        """As an ONNX graph of one input and one output."""
        graph = Graph(storage="fp32")
        rows = graph.input("rows", 1, ["n", inputs])
        parts = []
        if self.linear is not None:
            parts.append(_linear(graph, rows, self.linear))
        if self.inner is not None and self.outer is not None:
            parts.append(_linear(graph, graph.op("Gelu", _linear(graph, rows, self.inner)), self.outer))
        graph.save(path, output=parts[0] if len(parts) == 1 else graph.op("Add", *parts), dim=dim)


class Residual(nn.Module):  # type: ignore[misc]
    """Rows (n, dim) plus a map of low rank of them, which is nothing at first (Hu et al. 2021, arXiv 2106.09685)."""

    def __init__(self, dim: int, *, rank: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.down = nn.Linear(dim, min(rank, dim), bias=False)
        self.up = nn.Linear(min(rank, dim), dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, rows: Any) -> Any:
        return rows + self.up(self.down(self.drop(rows)))

    def shrink(self, share: float) -> None:
        """Let only a share of the way be gone."""
        with torch.no_grad():
            self.up.weight.mul_(share)
            self.up.bias.mul_(share)

    def write(self, path: Path, inputs: int, dim: int) -> None:
        """As an ONNX graph of one input and one output."""
        graph = Graph(storage="fp32")
        rows = graph.input("rows", 1, ["n", inputs])
        down = graph.op("MatMul", rows, graph.constant(_array(self.down.weight.T)))
        graph.save(path, output=graph.op("Add", rows, _linear(graph, down, self.up)), dim=dim)


def _linear(graph: Graph, rows: str, layer: Any) -> str:
    return graph.linear(rows, _array(layer.weight.T), _array(layer.bias))


def _array(values: Any) -> Any:
    return values.detach().cpu().float().numpy()
