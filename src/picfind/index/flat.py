"""The exact index: multiplies every row. Small, and the oracle that other indexes are held against.

The fast step of a search goes block by block, on several threads; `_exact.py` says how the answer is made exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from picfind.errors import UsageError
from picfind.index._exact import (
    Rows,
    checked_queries,
    checked_rows,
    exact_scores,
    in_reach,
    nothing_found,
    open_sealed,
    place,
    positions,
    unit,
    write_sealed,
)
from picfind.settings import cores
from picfind.types import Floats, Ids, Neighbors

_Block: TypeAlias = tuple[Rows, slice | Ids, int]
"""Vectors of a segment, which of its rows, and the column of the scores where they start."""

_BLOCK_VALUES = 1 << 18
"""Values widened at a time: 1 MB of float32 stays in a core's cache."""
_HELD_SCORES = 1 << 24
"""Scores held at once: 64 MB."""
_FEW_QUERIES = 4
_MANY_BLOCKS = 32
_HALF_SCALE = np.float32(2.0**112)
_HALF_MASK = np.uint32(0x8FFFE000).view(np.int32)


class FlatIndex:
    """Exact search over arrays that it refers to and never copies."""

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise UsageError(f"An index needs a dim of at least 1, not {dim}.")
        self._dim = dim
        self._segments: list[Rows] = []
        self._starts = np.zeros(0, np.int64)
        self._ids: Ids = np.zeros(0, np.int64)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Ids, vectors: Rows) -> None:
        """Refer to unit rows (n, dim) of float16 or float32, which must not change afterwards, under new ids (n,).

        Raises UsageError for another shape or type, and for ids that are negative or not new.
        """
        ids, vectors = checked_rows(ids, vectors, dim=self._dim, held=self._ids)
        if len(ids):
            self._starts = np.append(self._starts, len(self._ids))
            self._ids = np.concatenate([self._ids, ids])
            self._segments.append(vectors)

    def search(self, queries: Floats, *, k: int, allowed: Ids | None = None) -> Neighbors:
        """The k nearest of each query (n_queries, dim), as the contract of `VectorIndex` says.

        `allowed` (m,) may hold ids that the index does not; they find nothing. Raises UsageError.
        """
        queries = checked_queries(queries, dim=self._dim, k=k)
        rows = None if allowed is None else positions(self._ids, allowed)
        found = nothing_found(len(queries), k)
        count = len(self) if rows is None else len(rows)
        step = max(1, _HELD_SCORES // max(1, count))
        for start in range(0, len(queries) if count else 0, step):
            group = queries[start : start + step]
            for at, scores in enumerate(self._fast_scores(group, rows), start):
                near = in_reach(scores, k=k, dim=self._dim)
                near = near if rows is None else rows[near]
                place(found, at, self._ids[near], exact_scores(self._gather, near, queries[at]))
        return found

    def save(self, path: Path) -> None:
        """Write everything to one file with a checksum. The write is not atomic: write elsewhere and rename."""

        def write(file: BinaryIO) -> None:
            np.save(file, np.array([self._dim, len(self._segments)], np.int64))
            for array in (self._ids, *self._segments):
                np.save(file, array)

        write_sealed(path, kind="flat", write=write)

    def _fast_scores(self, queries: Floats, rows: Ids | None) -> Floats:
        """Scores (n_queries, len(rows)) of unit queries, not exact in the last bits."""
        units = unit(queries)
        few = rows is not None and 2 * len(rows) < len(self)
        blocks = list(self._chosen_blocks(cast(Ids, rows)) if few else self._all_blocks())
        width = len(cast(Ids, rows)) if few else len(self)
        scores = np.empty((len(queries), width), np.float32)
        _score_blocks(blocks, units, scores)
        return scores if rows is None or few else scores[:, rows]

    def _all_blocks(self) -> Iterator[_Block]:
        for vectors, start in zip(self._segments, self._starts.tolist(), strict=True):
            step = _rows_a_block(self._dim) if vectors.dtype == np.float16 else len(vectors)
            for first in range(0, len(vectors), step):
                yield vectors, slice(first, first + step), start + first

    def _chosen_blocks(self, rows: Ids) -> Iterator[_Block]:
        step = _rows_a_block(self._dim)
        cuts = np.append(np.searchsorted(rows, self._starts), len(rows)).tolist()
        for vectors, start, first, end in zip(
            self._segments, self._starts.tolist(), cuts, cuts[1:], strict=False
        ):
            for at in range(first, end, step):
                yield vectors, rows[at : min(at + step, end)] - start, at

    def _gather(self, rows: Ids) -> NDArray[np.float64]:
        found = np.empty((len(rows), self._dim), np.float64)
        segment = np.searchsorted(self._starts, rows, side="right") - 1
        for at in np.unique(segment).tolist():
            mine = segment == at
            found[mine] = self._segments[at][rows[mine] - self._starts[at]]
        return found


def create(dim: int) -> FlatIndex:
    """An empty index for vectors of length `dim`."""
    return FlatIndex(dim)


def load(path: Path) -> FlatIndex:
    """Read what `FlatIndex.save` wrote. Raises DamagedGalleryError for anything else."""
    with open_sealed(path, kind="flat") as file:
        dim, segments = np.load(file, allow_pickle=False).tolist()
        ids = np.load(file, allow_pickle=False)
        index = FlatIndex(dim)
        for _ in range(segments):
            vectors = np.load(file, allow_pickle=False)
            index.add(ids[len(index) : len(index) + len(vectors)], vectors)
    return index


def _rows_a_block(dim: int) -> int:
    return max(1, _BLOCK_VALUES // dim)


def _score_blocks(blocks: Sequence[_Block], units: Floats, scores: Floats) -> None:
    """Fill the columns of `scores` (n_queries, n) that belong to `blocks`.

    A few queries over many blocks are spread over threads of our own (one query over 100,000 x 640 halves on two
    cores: 19 to 25 ms, against 21 to 31); for many queries BLAS brings its threads, and more would be in its way.
    """
    threads = cores() if len(units) <= _FEW_QUERIES and len(blocks) >= _MANY_BLOCKS else 1
    if threads == 1:
        _score_run(blocks, units, scores)
        return
    step = -(-len(blocks) // threads)
    runs = [blocks[at : at + step] for at in range(0, len(blocks), step)]
    with ThreadPoolExecutor(threads, thread_name_prefix="picfind-flat") as pool:
        list(pool.map(lambda run: _score_run(run, units, scores), runs))


def _score_run(blocks: Sequence[_Block], units: Floats, scores: Floats) -> None:
    stretched = units * _HALF_SCALE
    buffer = np.empty((_rows_a_block(units.shape[1]), units.shape[1]), np.float32)
    for vectors, chosen, column in blocks:
        rows = vectors[chosen]
        into = scores[:, column : column + len(rows)]
        if rows.dtype == np.float16:
            np.matmul(stretched, _shrunk(rows, buffer[: len(rows)]).T, out=into)
        else:
            np.matmul(units, rows.T, out=into)


def _shrunk(halves: Rows, out: Floats) -> Floats:
    """Finite float16 as float32, times 2^-112: the bits of a half, moved to where a float has them.

    The exponents' biases differ by 112 (127 - 15), and the query makes up for it. Exact also for the smallest halves
    (where a library has told the processor to flush subnormals, those count as 0 here, not in the exact step), and
    some five times faster than numpy's conversion, which takes one value at a time.
    """
    bits = out.view(np.int32)
    np.copyto(bits, halves.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _HALF_MASK, out=bits)
    return out
