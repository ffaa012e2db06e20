"""One exported tower: its inputs, its output, and batches of whatever size the graph takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from picfind.encoders._onnx import open_session
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from picfind.types import Floats

HINT = "Pull, export or copy the model again; `picfind models check` looks at all of its files."
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class Graph:
    """An opened graph that gives rows of `dim` numbers.

    `at_once` is the largest batch to run in one call. A graph that was exported with a fixed batch gets just that many
    rows a call, the last ones repeated where there are too few.
    """

    def __init__(self, path: Path, *, dim: int, device: str, at_once: int) -> None:
        self._path, self._dim = path, dim
        self._session = open_session(path, device=device, hint=HINT)
        inputs = self._session.get_inputs()
        self.shapes: dict[str, list[Any]] = {entry.name: list(entry.shape) for entry in inputs}
        self._types = {entry.name: self._type(entry) for entry in inputs}
        self._output = self._pick_output()
        first = next(iter(self.shapes.values()), [])
        self._fixed = first[0] if first and isinstance(first[0], int) else None
        self._at_once = self._fixed or at_once

    def run(self, columns: Mapping[str, NDArray[Any]]) -> Floats:
        """Unit rows (n, dim) for inputs of n rows each, by name."""
        count = len(next(iter(columns.values())))
        rows = np.empty((count, self._dim), np.float32)
        for start in range(0, count, self._at_once):
            stop = min(start + self._at_once, count)
            rows[start:stop] = self._some({name: column[start:stop] for name, column in columns.items()})
        return rows

    def _some(self, columns: Mapping[str, NDArray[Any]]) -> Floats:
        count = len(next(iter(columns.values())))
        short = (self._fixed or count) - count
        feeds = {
            name: np.concatenate([column, np.repeat(column[-1:], short, axis=0)]).astype(self._types[name])
            for name, column in columns.items()
        }
        try:
            found = self._session.run([self._output], feeds)[0]
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise ModelFilesError(f"The model {self._path} does not run: {error}. {HINT}") from error
        return self._unit(np.asarray(found, np.float32), count + short)[:count]

    def _unit(self, found: Floats, count: int) -> Floats:
        if found.size != count * self._dim or found.shape[-1] != self._dim:
            raise ModelFilesError(self._wrong_dim(list(found.shape)))
        rows = found.reshape(count, self._dim)
        if not np.isfinite(rows).all():
            raise ModelFilesError(
                f"The model {self._path} gives vectors that hold infinities or no numbers at all. An export with full "
                "precision may do better."
            )
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        unit: Floats = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit

    def _type(self, entry: Any) -> type[np.generic]:
        if entry.type not in _TYPES:
            raise ModelFilesError(
                f"The model {self._path} takes {entry.type} as its input {entry.name!r}; {', '.join(_TYPES)} can be "
                "given. Export it anew."
            )
        return _TYPES[entry.type]

    def _pick_output(self) -> str:
        """The output whose last dimension is the wanted one, else one whose dimension is not stated."""
        outputs = {entry.name: list(entry.shape) for entry in self._session.get_outputs()}
        for wanted in (lambda last: last == self._dim, lambda last: not isinstance(last, int)):
            for name, shape in outputs.items():
                if len(shape) != 3 and wanted(shape[-1] if shape else None):
                    return str(name)
        raise ModelFilesError(self._wrong_dim(next(iter(outputs.values()), [])))

    def _wrong_dim(self, shape: list[Any]) -> str:
        return (
            f"The model {self._path} gives {shape} numbers, but config.json says that its vectors have "
            f"{self._dim} (embed_dim). The files do not belong together. {HINT}"
        )
