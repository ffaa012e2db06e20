"""Writes text.onnx: token ids to the sentence vector of MiniLM, and the finished vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from picfind.encoders._graph import Graph, Storage
from picfind.training.builtin.parts import Part, compose

if TYPE_CHECKING:
    from pathlib import Path

Weights = dict[str, NDArray[np.float32]]
LAYERS, HEADS, WIDTH = 6, 12, 384
EPSILON = 1e-12
_FAR = -1e9


def write_text_graph(path: Path, weights: Weights, parts: list[Part], *, storage: Storage) -> None:
    """`input_ids` and `attention_mask`, int64 (n, t), to `vector`, float32 (n, dim), unit rows."""
    graph = Graph(storage=storage)
    vector, dim = compose(graph, parts, {"sentence": tower(graph, weights)}, side="text")
    graph.save(path, output=vector, dim=dim)


def write_sentence_graph(path: Path, weights: Weights) -> None:
    """The tower alone: `vector` is (n, 384), unit rows. For fitting and choosing, never shipped."""
    graph = Graph(storage="fp32")
    graph.save(path, output=tower(graph, weights), dim=WIDTH)


def tower(graph: Graph, weights: Weights) -> str:
    """all-MiniLM-L6-v2 (BERT, 6 layers), the mean over the tokens that count, as unit rows (n, 384)."""
    ids = graph.input("input_ids", TensorProto.INT64, ["n", "t"])
    mask = graph.op(
        "Cast", graph.input("attention_mask", TensorProto.INT64, ["n", "t"]), to=TensorProto.FLOAT
    )
    writer = _Bert(graph, weights)
    hidden = writer.embeddings(ids)
    away = graph.op("Mul", graph.op("Sub", graph.constant(1.0), mask), graph.constant(_FAR))
    away = graph.op("Unsqueeze", away, graph.constant([1, 2], np.int64))
    for layer in range(LAYERS):
        hidden = writer.layer(hidden, away, f"encoder.layer.{layer}.")
    return _masked_mean(graph, hidden, mask)


def _masked_mean(graph: Graph, hidden: str, mask: str) -> str:
    """Rows of unit length make dividing by the number of tokens needless."""
    row = graph.op("Unsqueeze", mask, graph.constant([1], np.int64))
    return graph.unit(graph.op("Squeeze", graph.op("MatMul", row, hidden), graph.constant([1], np.int64)))


class _Bert:
    """Writes the layers of a BERT encoder, with weights named as transformers names them."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self._graph = graph
        self._weights = weights

    def embeddings(self, ids: str) -> str:
        graph, prefix = self._graph, "embeddings."
        words = graph.rows(self._weights[prefix + "word_embeddings.weight"], ids)
        length = graph.op("Shape", ids, start=1, end=2)
        # Every text is one segment, so that segment's vector is added to the positions once and for all.
        places = self._weights[prefix + "position_embeddings.weight"]
        places = places + self._weights[prefix + "token_type_embeddings.weight"][0]
        zero, axis = graph.constant([0], np.int64), graph.constant([0], np.int64)
        positions = graph.op("Slice", graph.weight(places), zero, length, axis)
        return self._norm(graph.op("Add", words, positions), prefix + "LayerNorm")

    def layer(self, hidden: str, away: str, prefix: str) -> str:
        graph = self._graph
        attended = self._linear(self._attention(hidden, away, prefix), prefix + "attention.output.dense")
        hidden = self._norm(graph.op("Add", attended, hidden), prefix + "attention.output.LayerNorm")
        inner = graph.op("Gelu", self._linear(hidden, prefix + "intermediate.dense"))
        outer = self._linear(inner, prefix + "output.dense")
        return self._norm(graph.op("Add", outer, hidden), prefix + "output.LayerNorm")

    def _attention(self, hidden: str, away: str, prefix: str) -> str:
        graph = self._graph
        scale = graph.constant((WIDTH // HEADS) ** -0.5)
        query = graph.op("Mul", self._heads(hidden, prefix + "attention.self.query", [0, 2, 1, 3]), scale)
        key = self._heads(hidden, prefix + "attention.self.key", [0, 2, 3, 1])
        value = self._heads(hidden, prefix + "attention.self.value", [0, 2, 1, 3])
        shares = graph.op("Softmax", graph.op("Add", graph.op("MatMul", query, key), away), axis=-1)
        mixed = graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        return graph.op("Reshape", mixed, graph.constant([0, 0, WIDTH], np.int64))

    def _heads(self, hidden: str, name: str, order: list[int]) -> str:
        graph = self._graph
        split = graph.constant([0, 0, HEADS, WIDTH // HEADS], np.int64)
        return graph.op("Transpose", graph.op("Reshape", self._linear(hidden, name), split), perm=order)

    def _linear(self, rows: str, name: str) -> str:
        return self._graph.linear(rows, self._weights[name + ".weight"].T, self._weights[name + ".bias"])

    def _norm(self, rows: str, name: str) -> str:
        graph = self._graph
        gain, bias = (graph.constant(self._weights[f"{name}.{kind}"]) for kind in ("weight", "bias"))
        return graph.op("LayerNormalization", rows, gain, bias, axis=-1, epsilon=EPSILON)
