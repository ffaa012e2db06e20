"""The towers of two encoders that act as one: blocks side by side, or heads into one space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from picfind.errors import ModelFilesError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxruntime import InferenceSession
    from PIL import Image

    from picfind.encoders._onnx import Once
    from picfind.encoders.base import Prepared, Tower
    from picfind.types import Floats

T = TypeVar("T")
Pair = tuple["Image.Image | None", tuple[str, ...]]


def unit_rows(rows: Any) -> Floats:
    """Each row divided by its length, as float32; a row of zeros stays one."""
    exact = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    unit: Floats = np.divide(exact, lengths, out=np.zeros_like(exact), where=lengths > 0).astype(np.float32)
    return unit


@dataclass(frozen=True, slots=True)
class Axes:
    """The main axes of a set of vectors: `mean` (dim_in,) and `axes` (dim_in, dim_out), orthonormal columns."""

    mean: Floats
    axes: Floats

    def of_its_kind(self, rows: Floats) -> Floats:
        """Rows of the kind that the axes were fitted on: less the mean, on the axes, unit."""
        return unit_rows((rows - self.mean) @ self.axes)

    def of_another_kind(self, rows: Floats) -> Floats:
        """Words, on axes fitted on pictures. The mean stays: to take it off would add one direction to all words.

        So words order pictures as they did before, but for what the axes leave out.
        """
        return unit_rows(rows @ self.axes)


def as_they_are(rows: Floats) -> Floats:
    """For a block that was not fitted."""
    return rows


@dataclass(frozen=True, slots=True)
class Block(Generic[T]):
    """A part of a joint row: a tower, what becomes of its rows, and the block's dimension."""

    tower: Tower[T]
    dim: int
    batch_size: int
    project: Callable[[Floats], Floats] = as_they_are

    def encode(self, batch: Sequence[Prepared]) -> Floats:
        """(n, dim), unit rows."""
        rows = [
            self.tower.encode(batch[at : at + self.batch_size])
            for at in range(0, len(batch), self.batch_size)
        ]
        return self.project(np.concatenate(rows)) if rows else np.empty((0, self.dim), np.float32)


class ImageQuery:
    """A picture alone: [its row, 0]."""

    def __init__(self, image: Block[Image.Image], text_dim: int) -> None:
        self._image = image
        self._text_dim = text_dim

    def prepare(self, item: Image.Image, /) -> Prepared:
        return self._image.tower.prepare(item)

    def encode(self, batch: Sequence[Prepared], /) -> Floats:
        rows = self._image.encode(batch)
        return np.hstack([rows, np.zeros((len(rows), self._text_dim), np.float32)])


class TextQuery:
    """Words alone: [0, their row]; where the picture's encoder knows words too, they stand in both blocks."""

    def __init__(
        self, text: Block[str], image_dim: int, *, share: float, words_as_picture: Block[str] | None
    ) -> None:
        self._text = text
        self._image_dim = image_dim
        self._share = share
        self._words_as_picture = words_as_picture

    def prepare(self, item: str, /) -> tuple[Prepared, Prepared]:
        first = self._words_as_picture
        return first.tower.prepare(item) if first else None, self._text.tower.prepare(item)

    def encode(self, batch: Sequence[tuple[Prepared, Prepared]], /) -> Floats:
        second = self._text.encode([words for _, words in batch])
        if self._words_as_picture is None:
            return np.hstack([np.zeros((len(second), self._image_dim), np.float32), second])
        first = self._words_as_picture.encode([words for words, _ in batch])
        return unit_rows(np.hstack(weighted(first, second, self._share)))


class PairTower:
    """A picture with its words: [sqrt(share) * picture, sqrt(1 - share) * words], a missing part zeros."""

    def __init__(self, image: Block[Image.Image], text: Block[str], *, share: float) -> None:
        self._image = image
        self._text = text
        self._share = share

    def prepare(self, item: Pair, /) -> tuple[Prepared | None, list[Prepared]]:
        """Raises UsageError for a pair without a picture and without words."""
        picture, texts = item
        kept = sorted(
            {text for text in texts if text.strip()}
        )  # one order, so that sums are the same to the bit
        if picture is None and not kept:
            raise UsageError("A pair has neither a picture nor words. Give at least one of them.")
        prepared = None if picture is None else self._image.tower.prepare(picture)
        return prepared, [self._text.tower.prepare(text) for text in kept]

    def encode(self, batch: Sequence[tuple[Prepared | None, list[Prepared]]], /) -> Floats:
        return np.hstack(weighted(self._pictures(batch), self._words(batch), self._share))

    def _pictures(self, batch: Sequence[tuple[Prepared | None, list[Prepared]]]) -> Floats:
        rows = np.zeros((len(batch), self._image.dim), np.float32)
        there = [at for at, (picture, _) in enumerate(batch) if picture is not None]
        rows[np.array(there, np.intp)] = self._image.encode([batch[at][0] for at in there])
        return rows

    def _words(self, batch: Sequence[tuple[Prepared | None, list[Prepared]]]) -> Floats:
        """The mean of the texts' unit vectors, unit again; zeros without any."""
        sums = np.zeros((len(batch), self._text.dim), np.float64)
        owners = [at for at, (_, texts) in enumerate(batch) for _ in texts]
        np.add.at(
            sums, np.array(owners, np.intp), self._text.encode([text for _, texts in batch for text in texts])
        )
        return unit_rows(sums)


def weighted(first: Floats, second: Floats, share: float) -> tuple[Floats, Floats]:
    """Both blocks times the square roots of their shares: then inner products are weighted by the shares."""
    return first * np.float32(np.sqrt(share)), second * np.float32(np.sqrt(1 - share))


class SharedTower(Generic[T]):
    """One side of a shared space: a component's rows through a head, unit."""

    def __init__(self, block: Block[T], head: Once[InferenceSession], path: Path, dim: int) -> None:
        self._block = block
        self._head = head
        self._path = path
        self._dim = dim

    def prepare(self, item: T, /) -> Prepared:
        return self._block.tower.prepare(item)

    def encode(self, batch: Sequence[Prepared], /) -> Floats:
        """Raises ModelFilesError when the head does not take the component's rows or gives another dimension."""
        rows = self._block.encode(batch)
        if not len(rows):
            return np.empty((0, self._dim), np.float32)
        session = self._head.get()
        try:
            found = session.run(None, {session.get_inputs()[0].name: rows})[0]
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise ModelFilesError(
                f"The head {self._path} cannot be run on rows of {rows.shape}: {error}"
            ) from error
        if found.shape != (len(rows), self._dim):
            raise ModelFilesError(
                f"The head {self._path} gives {found.shape} where its picfind.json says {(len(rows), self._dim)}. "
                "Train or copy the model again."
            )
        return unit_rows(found)
