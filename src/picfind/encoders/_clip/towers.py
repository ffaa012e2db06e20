"""The two towers of a CLIP folder: what they are given and what they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from picfind.encoders._clip.graph import HINT, Graph
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from picfind.encoders._clip.words import Words
    from picfind.encoders._onnx import Once
    from picfind.encoders._preprocess import Preprocess
    from picfind.types import Floats


def visual_graph(path: Path, dim: int, device: str, at_once: int, preprocess: Preprocess) -> Graph:
    """The pictures' graph; raises ModelFilesError when it wants pictures of another size than they are made."""
    graph = Graph(path, dim=dim, device=device, at_once=at_once)
    shape = next(iter(graph.shapes.values()))
    sides = list(shape[2:])
    odd = [
        wants
        for wants, side in zip(sides, preprocess.size, strict=False)
        if isinstance(wants, int) and wants != side
    ]
    if len(shape) != 4 or odd:
        raise ModelFilesError(
            f"The model {path} takes {shape} numbers, but preprocess_cfg.json makes pictures of {preprocess.size}. {HINT}"
        )
    return graph


class ImageTower:
    """Upright RGB pictures to unit rows.

    On a CPU one picture at a time: a batch is no faster there, and a vector does not depend on its neighbours.
    """

    def __init__(self, graph: Once[Graph], preprocess: Preprocess, dim: int) -> None:
        self._graph, self._preprocess, self._dim = graph, preprocess, dim

    def prepare(self, item: Image.Image, /) -> Floats:
        return self._preprocess.prepare(item)

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        if not batch:
            return np.empty((0, self._dim), np.float32)
        graph = self._graph.get()
        return graph.run({next(iter(graph.shapes)): np.stack(batch)})


class TextTower:
    """Words to unit rows, one text at a time on a CPU."""

    def __init__(self, graph: Once[Graph], words: Once[Words], dim: int) -> None:
        self._graph, self._words, self._dim = graph, words, dim

    def prepare(self, item: str, /) -> NDArray[np.int32]:
        return self._words.get()(item)

    def encode(self, batch: Sequence[NDArray[np.int32]], /) -> Floats:
        if not batch:
            return np.empty((0, self._dim), np.float32)
        graph = self._graph.get()
        both = np.stack(batch)
        return graph.run({name: _column(name, both, alone=len(graph.shapes) == 1) for name in graph.shapes})


def _column(name: str, both: NDArray[np.int32], *, alone: bool) -> NDArray[np.int32]:
    """What an input of a words' graph is given, by its name: `text` or `input_ids`, `attention_mask`."""
    if name == "attention_mask":
        return both[:, 1]
    if name == "token_type_ids":
        return np.zeros_like(both[:, 0])
    if alone or name in ("text", "input_ids"):
        return both[:, 0]
    raise ModelFilesError(
        f"The words' model takes an input {name!r}, which is not known: text, or input_ids with attention_mask. {HINT}"
    )
