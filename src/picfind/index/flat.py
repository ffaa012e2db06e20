"""The exact index: multiplies every row. Small, and the oracle that other indexes are held against.

A search has two steps. A fast one scores every row in float32, block by block, where the last bits depend on how the
rows were grouped. Every row that this rounding could have kept from the first k is then scored again alone, in
float64 and in one fixed order. So an answer depends on the rows and the query only: not on segments, blocks, threads
or the BLAS library.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from picfind.errors import DamagedGalleryError, UsageError
from picfind.types import Floats, Ids, Neighbors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Rows: TypeAlias = NDArray[Any]
"""Vectors (n, dim) of float16 or float32."""
_Block: TypeAlias = tuple[Rows, slice | Ids, int]
"""Vectors of a segment, which of its rows, and the column of the scores where they start."""

_BLOCK_VALUES = 1 << 18
"""Values widened at a time: 1 MB of float32 stays in a core's cache."""
_HELD_SCORES = 1 << 24
"""Scores held at once: 64 MB."""
_CHUNK = 1024
"""Rows scored again at a time."""
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


# What follows makes any index exact in the same way, and is shared with the other files of this folder.


def checked_rows(ids: Ids, vectors: Rows, *, dim: int, held: Ids) -> tuple[Ids, Rows]:
    """`ids` and `vectors` as arrays that may join `held`; UsageError otherwise."""
    ids, vectors = np.asarray(ids), np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape[1] != dim or vectors.dtype not in (np.float16, np.float32):
        wanted = f"float16 or float32 of shape (n, {dim})"
        raise UsageError(f"Vectors to add are {vectors.dtype} of shape {vectors.shape}; give {wanted}.")
    if ids.shape != (len(vectors),) or (ids.dtype.kind not in "iu" and ids.size):
        wanted = f"integers of shape ({len(vectors)},), one a vector"
        raise UsageError(f"Ids to add are {ids.dtype} of shape {ids.shape}; give {wanted}.")
    ids = ids.astype(np.int64)
    if ids.size and ids.min() < 0:
        raise UsageError(f"The id {ids.min()} is negative; ids start at 0.")
    together = np.sort(np.concatenate([held, ids]), kind="stable")
    again = together[1:][together[1:] == together[:-1]]
    if again.size:
        raise UsageError(f"The id {again[0]} is there twice; add each id once.")
    return ids, vectors


def checked_queries(queries: Floats, *, dim: int, k: int) -> Floats:
    """`queries` as float32 (n_queries, dim); UsageError for another shape, for NaN or infinity, and for k < 1."""
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least one neighbour.")
    queries = np.ascontiguousarray(queries, np.float32) if np.ndim(queries) else np.empty(0, np.float32)
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise UsageError(f"Queries have the shape {queries.shape}; this index takes (n_queries, {dim}).")
    if not np.isfinite(queries).all():
        raise UsageError("A query has NaN or infinity in it; give finite numbers.")
    return queries


def nothing_found(queries: int, k: int) -> Neighbors:
    """An answer with no neighbour in it, to be filled by `place`."""
    return Neighbors(np.full((queries, k), -1, np.int64), np.full((queries, k), -np.inf, np.float32))


def positions(ids: Ids, allowed: Ids) -> Ids:
    """Where in `ids` an allowed id stands, ascending."""
    return np.flatnonzero(np.isin(ids, np.asarray(allowed, np.int64)))


def unit(queries: Floats) -> Floats:
    """Queries stretched to length 1, so that one bound on rounding fits all; a zero query stays zero."""
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    return (queries / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def reach(dim: int) -> float:
    """How far below the k-th fast score of a unit query a row may lie and still be one of the first k.

    A float32 inner product errs by at most dim * 2^-24 * |x| * |q| to first order (Higham, Accuracy and Stability of
    Numerical Algorithms, section 3.1), once up and once down; 8 and 1.1 leave room for rounding of row and query.
    """
    return 2.2 * (dim + 8) * 2.0**-24


def in_reach(scores: Floats, *, k: int, dim: int) -> Ids:
    """Where the fast `scores` (n,) of one query may belong to the first k."""
    if k >= len(scores):
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero(scores >= least - reach(dim))


def exact_scores(gather: Callable[[Ids], Rows], rows: Ids, query: Floats) -> Floats:
    """The inner products (n,) of `query` with the rows that `gather` brings: same row, same score, always."""
    exact = query.astype(np.float64)
    scores = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        scores[part] = (gather(rows[part]) * exact).sum(axis=1)
    return scores


def place(found: Neighbors, at: int, ids: Ids, scores: Floats) -> None:
    """Write the best of `ids` into row `at` of the answer: by score, then by id."""
    best = np.lexsort((ids, -scores))[: found.ids.shape[1]]
    found.ids[at, : len(best)] = ids[best]
    found.scores[at, : len(best)] = scores[best]


_SEAL = len(hashlib.sha256().digest())


def write_sealed(path: Path, *, kind: str, write: Callable[[BinaryIO], None]) -> None:
    """Write a file of a first line, the SHA-256 of the rest, and the rest, which `write` puts into it."""
    first = _first_line(kind)
    with path.open("w+b") as file:
        file.write(first + bytes(_SEAL))
        write(file)
        file.seek(len(first) + _SEAL)
        seal = hashlib.file_digest(file, "sha256").digest()
        file.seek(len(first))
        file.write(seal)


@contextmanager
def open_sealed(path: Path, *, kind: str) -> Iterator[BinaryIO]:
    """What `write_sealed` wrote, at the start of the rest; DamagedGalleryError where it is not as it was written."""
    first = _first_line(kind)
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise DamagedGalleryError(f"The index {path} is missing; build it again from the vectors.") from error
    with file:
        head = file.read(len(first) + _SEAL)
        if head != first + hashlib.file_digest(file, "sha256").digest():
            raise DamagedGalleryError(
                f"{path} is no {kind} index or is damaged; delete it and build it again from the vectors."
            )
        file.seek(len(head))
        yield file


def _first_line(kind: str) -> bytes:
    return f"picfind {kind} index 1\n".encode()


def _rows_a_block(dim: int) -> int:
    return max(1, _BLOCK_VALUES // dim)


def _score_blocks(blocks: Iterable[_Block], units: Floats, scores: Floats) -> None:
    """Fill the columns of `scores` (n_queries, n) that belong to `blocks`.

    BLAS brings the threads. A pool of our own over halves was tried on two cores (100,000 x 640, one query): 12 ms at
    best and 18 to 24 mostly, against 20, and 80 with larger blocks, where it and BLAS got in each other's way.
    """
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
