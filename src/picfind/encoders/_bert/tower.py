"""The text tower of BERT-type graphs: tokens, masks, pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from picfind.encoders._onnx import Once, open_session, open_tokenizer, plain, unreadable
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    from picfind.encoders._bert.layout import Recipe
    from picfind.types import Floats

    Tokens = NDArray[np.int64]

_POOLED = "sentence_embedding"
"""What exporters call an output that is pooled already, (n, dim)."""
_HIDDEN = ("last_hidden_state", "token_embeddings")
"""What they call the vectors of the tokens, (n, t, dim)."""
_MOST = 32
"""Texts in one run: a longer batch is no faster and takes more memory."""
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


@dataclass(frozen=True, slots=True)
class Graph:
    """An opened graph and what it asks for."""

    session: InferenceSession
    output: str
    pooled: bool
    batch: int | None
    """Texts that it takes at once; None: any number."""
    length: int | None
    """Tokens that it takes, always; None: any number."""


class TextTower:
    """Texts to unit rows (n, dim).

    `batched` encodes a batch in one run, padded to its longest text. Without it texts of one length are run together
    and nothing is padded: on one thread twice as fast as one by one (MiniLM, short sentences: 1.6 ms against 3.7), and
    a text's vector depends on its neighbours in the last bit at most. The files are opened at the first use; ModelFilesError tells of one that is damaged.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        *,
        prefix: str = "",
        device: str = "cpu",
        batched: bool = False,
        hint: str,
    ) -> None:
        self._recipe = recipe
        self._prefix = prefix
        self._batched = batched
        self._path = folder / recipe.graph
        self._hint = hint
        self._tokenizer = Once(lambda: _tokenizer(folder / "tokenizer.json", recipe.limit, hint))
        self._graph = Once(lambda: _opened(self._path, device, hint))

    def prepare(self, item: str, /) -> Tokens:
        text = self._prefix + plain(item)
        ids = self._tokenizer.get().encode(text.lower() if self._recipe.lower else text).ids
        return np.asarray(ids or [self._recipe.padding], np.int64)

    def encode(self, batch: Sequence[Tokens], /) -> Floats:
        rows = np.empty((len(batch), self._recipe.dim), np.float32)
        for group in self._groups(batch):
            rows[group] = self._run([batch[at] for at in group])
        return rows

    def _groups(self, batch: Sequence[Tokens]) -> list[list[int]]:
        """Which texts of a batch are run together, by their places."""
        if not batch:
            return []
        most = self._graph.get().batch or _MOST
        order = range(len(batch))
        groups: list[list[int]] = [list(order)] if self._batched else _by_length(batch)
        return [group[at : at + most] for group in groups for at in range(0, len(group), most)]

    def _run(self, texts: Sequence[Tokens]) -> Floats:
        graph = self._graph.get()
        ids, mask = _padded(texts, self._recipe.padding, graph)
        try:
            found = graph.session.run([graph.output], _feeds(graph.session, ids, mask))[0]
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise unreadable(self._path, error, self._hint) from error
        found = np.asarray(found[: len(texts)], np.float32)
        rows = found if graph.pooled else _pooled(found, mask[: len(texts)], self._recipe.pooling)
        if rows.shape[1:] != (self._recipe.dim,):
            raise ModelFilesError(
                f"The model's file {self._path} gives {rows.shape[-1]} numbers a text, its configuration says "
                f"{self._recipe.dim}. {self._hint}"
            )
        return _unit(rows)


class PartTower:
    """A stretch of another tower's rows, as unit rows of its own."""

    def __init__(self, tower: TextTower, columns: slice) -> None:
        self._columns = columns
        self._dim = columns.stop - columns.start
        self.prepare: Callable[[str], Tokens] = tower.prepare
        self._encode = tower.encode

    def encode(self, batch: Sequence[Tokens], /) -> Floats:
        return _unit(self._encode(batch)[:, self._columns])


def _tokenizer(path: Path, limit: int, hint: str) -> Tokenizer:
    tokenizer = open_tokenizer(path, hint=hint)
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    return tokenizer


def _opened(path: Path, device: str, hint: str) -> Graph:
    """Open a graph and find its output. Raises ModelFilesError for one that gives no vectors of tokens or texts."""
    session = open_session(path, device=device, hint=hint)
    outputs = {output.name: len(output.shape or ()) for output in session.get_outputs()}
    known = [name for name in (_POOLED, *_HIDDEN, "vector") if name in outputs]
    if not known:
        raise ModelFilesError(
            f"The model's file {path} gives {', '.join(outputs)}, but neither {_POOLED} nor {_HIDDEN[0]}: it was "
            "exported with a head for another task. `picfind models export` makes a graph without one."
        )
    shape = session.get_inputs()[0].shape
    batch, length = (side if isinstance(side, int) and side > 0 else None for side in shape)
    return Graph(session, known[0], known[0] in (_POOLED, "vector"), batch, length)


def _by_length(batch: Sequence[Tokens]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for at, ids in enumerate(batch):
        groups.setdefault(len(ids), []).append(at)
    return list(groups.values())


def _padded(texts: Sequence[Tokens], padding: int, graph: Graph) -> tuple[Tokens, Tokens]:
    """Token ids and which of them count, both (n, t)."""
    length = graph.length or max(len(ids) for ids in texts)
    ids = np.full((graph.batch or len(texts), length), padding, np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(texts):
        ids[row, : len(tokens)] = tokens[:length]
        mask[row, : len(tokens)] = 1
    mask[len(texts) :, 0] = 1  # rows that only fill up a fixed batch: a text without tokens is no number
    return ids, mask


def _feeds(session: InferenceSession, ids: Tokens, mask: Tokens) -> dict[str, NDArray[np.integer]]:
    """What the graph asks for, by name and in its type. Raises KeyError for an input that is not a text's."""
    known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {one.name: known[one.name].astype(_TYPES[one.type], copy=False) for one in session.get_inputs()}


def _pooled(hidden: Floats, mask: Tokens, pooling: str) -> Floats:
    """(n, dim): the first token, or the mean of the tokens that count."""
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask.astype(np.float32)[:, None, :]
    mean: Floats = (weights @ hidden)[:, 0] / weights.sum(axis=2)
    return mean


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = (rows / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return unit
