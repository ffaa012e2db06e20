"""Writes ONNX graphs node by node, and stores their weights in fewer bytes.

The graphs are written by hand, not traced: every node is one that we chose, the same on every run, and no exporter's
version changes them. A weight is stored as fp32, as fp16 with a cast, or as int8 with one scale an output; the arithmetic
is fp32 in every case. `storage` is what a graph does with its weights; a single weight may ask for another one, save in
a graph of fp32, which has no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Storage = Literal["fp32", "fp16", "int8"]
OPSET = 20
"""The first with Gelu; onnxruntime 1.17 and later run it."""
_SMALL = 2048
"""Elements up to which a tensor stays fp32: biases and scales cost nothing."""

_LEAST = 1e-9
"""Added to the size of an input's weights, for one that has none."""


class Graph:
    """One ONNX graph being written. Methods take and return names of tensors."""

    def __init__(self, *, storage: Storage) -> None:
        self._storage = storage
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        """Declare an input; a string in `shape` is a dynamic axis."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        output = self._name(kind)
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, array: NDArray[Any] | Sequence[Any] | float, dtype: Any = np.float32) -> str:
        """A tensor stored as it is."""
        name = self._name("const")
        self._initializers.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def weight(self, array: NDArray[np.float32], *, storage: Storage | None = None) -> str:
        """A tensor of weights. What int8 has no form for here (all but 1 x 1 convolutions) is stored as fp16 instead."""
        kind = self._kind(storage)
        if array.size <= _SMALL or kind == "fp32":
            return self.constant(array)
        if kind == "int8" and array.shape[2:] == (1, 1):
            codes, scale = _codes(array, axis=1)
            return self.op("Mul", self._float(self.constant(codes, np.int8)), self.constant(scale))
        return self._float(self.constant(array, np.float16))

    def rows(self, table: NDArray[np.float32], ids: str) -> str:
        """The rows `ids` of a table, brought back to fp32 only after they are picked."""
        if self._storage == "fp32":
            return self.op("Gather", self.constant(table), ids)
        if self._storage == "fp16":
            return self._float(self.op("Gather", self.constant(table, np.float16), ids))
        codes, scale = _codes(table, axis=1)
        picked = self._float(self.op("Gather", self.constant(codes, np.int8), ids))
        return self.op("Mul", picked, self.op("Gather", self.constant(scale), ids))

    def linear(
        self,
        rows: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        storage: Storage | None = None,
    ) -> str:
        """`rows @ weight + bias` for a weight of (inputs, outputs); int8 codes get their columns' scales afterwards.

        Before, the inputs take over what their weights differ in: the largest weight of an output sets its scale, and would
        leave few steps to inputs that vary much and have small ones.
        """
        if self._kind(storage) != "int8" or weight.size <= _SMALL:
            stored = self.weight(weight, storage=storage)
            return self.op("Add", self.op("MatMul", rows, stored), self.constant(bias))
        size = np.sqrt(np.square(weight).mean(axis=1, keepdims=True)) + _LEAST
        codes, scale = _codes(weight / size, axis=0)
        evened = self.op("Mul", rows, self.constant(size[:, 0]))
        product = self.op("MatMul", evened, self._float(self.constant(codes, np.int8)))
        return self.op("Add", self.op("Mul", product, self.constant(scale)), self.constant(bias))

    def unit(self, rows: str) -> str:
        """Rows divided by their Euclidean length."""
        return self.op("LpNormalization", rows, axis=-1, p=2)

    def save(self, path: Path, *, output: str, dim: int) -> None:
        """Name `output` `vector`, (n, dim), check the graph and write it."""
        self._nodes.append(helper.make_node("Identity", [output], ["vector"], name="vector"))
        outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", dim])]
        graph = helper.make_graph(self._nodes, "picfind", self._inputs, outputs, self._initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9, producer_name="picfind"
        )
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString(deterministic=True))

    def _kind(self, storage: Storage | None) -> Storage:
        return self._storage if storage is None or self._storage == "fp32" else storage

    def _float(self, tensor: str) -> str:
        return self.op("Cast", tensor, to=TensorProto.FLOAT)

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"


def _codes(matrix: NDArray[np.float32], *, axis: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whole numbers from -127 to 127 and the scales, along `axis` of length 1, that bring them back."""
    scale = np.maximum(np.abs(matrix).max(axis=axis, keepdims=True) / 127.0, 1e-12).astype(np.float32)
    return np.rint(matrix / scale), scale
