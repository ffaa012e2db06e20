"""What makes any index exact in the same way, to the last bit: the checks, the second step of a search, sealed files.

A search has two steps. A fast one scores rows in float32, where the last bits depend on how the rows were grouped.
Every row that this rounding could have kept from the first k is then scored again alone, in float64 and in one fixed
order. So an answer depends on the rows and the query only: not on segments, blocks, threads or a library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from picfind.errors import DamagedGalleryError, UsageError
from picfind.types import Floats, Ids, Neighbors

Rows: TypeAlias = NDArray[Any]
"""Vectors (n, dim) of float16 or float32."""

_CHUNK = 1024
"""Rows scored again at a time."""


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
