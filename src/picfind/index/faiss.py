"""FAISS behind the contract of `VectorIndex`: for now `IndexFlatIP`, which multiplies every row.

FAISS finds the candidates; their scores and order come from the same last step as in `flat`, so the answers are the
same. It holds a float32 copy of its vectors.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from picfind.errors import UsageError
from picfind.index._exact import (
    Rows,
    checked_queries,
    checked_rows,
    exact_scores,
    nothing_found,
    open_sealed,
    place,
    positions,
    reach,
    unit,
    write_sealed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picfind.types import Floats, Ids, Neighbors

_SPARE = 16
"""Candidates asked for beyond k, so that a second look for ties at the cut is seldom needed."""
_HELD_CANDIDATES = 1 << 23
"""Candidates held at once: an id and a score each, 96 MB."""


class FaissIndex:
    """Exact search by FAISS over a copy of the vectors."""

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise UsageError(f"An index needs a dim of at least 1, not {dim}.")
        self._inner: Any = _faiss().IndexFlatIP(dim)
        self._ids: Ids = np.zeros(0, np.int64)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return cast(int, self._inner.d)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Ids, vectors: Rows) -> None:
        """Copy unit rows (n, dim) of float16 or float32 under new ids (n,).

        Raises UsageError for another shape or type, and for ids that are negative or not new.
        """
        ids, vectors = checked_rows(ids, vectors, dim=self.dim, held=self._ids)
        self._inner.add(np.ascontiguousarray(vectors, np.float32))
        self._ids = np.concatenate([self._ids, ids])

    def search(self, queries: Floats, *, k: int, allowed: Ids | None = None) -> Neighbors:
        """The k nearest of each query (n_queries, dim), as the contract of `VectorIndex` says.

        `allowed` (m,) may hold ids that the index does not; they find nothing. Raises UsageError.
        """
        queries = checked_queries(queries, dim=self.dim, k=k)
        rows = None if allowed is None else positions(self._ids, allowed)
        found = nothing_found(len(queries), k)
        count = len(self) if rows is None else len(rows)
        most = min(k + _SPARE, count)
        step = max(1, _HELD_CANDIDATES // max(1, most))
        with _chosen(rows, len(self)) as parameters:
            for start in range(0, len(queries) if count else 0, step):
                group = queries[start : start + step]
                for at, near in enumerate(self._candidates(group, k, most, count, parameters), start):
                    place(found, at, self._ids[near], exact_scores(self._gather, near, queries[at]))
        return found

    def save(self, path: Path) -> None:
        """Write everything to one file with a checksum. The write is not atomic: write elsewhere and rename."""
        faiss = _faiss()

        def write(file: BinaryIO) -> None:
            np.save(file, self._ids)
            faiss.write_index(self._inner, faiss.PyCallbackIOWriter(file.write))

        write_sealed(path, kind="faiss", write=write)

    def _candidates(self, queries: Floats, k: int, most: int, count: int, parameters: Any) -> Iterator[Ids]:
        """For each query all rows that rounding could have kept from the first k, out of `count` allowed ones."""
        units = unit(queries)
        margin = np.float32(reach(self.dim))
        with _threads_for(len(units)):
            scores, near = self._inner.search(units, most, params=parameters)
        for query, values, rows in zip(units, scores, near, strict=True):
            least = values[min(k, most) - 1] - margin
            if most == count or values[-1] < least:
                yield rows[values >= least] if most > k else rows
            else:
                yield self._above(query, float(least), parameters)

    def _above(self, query: Floats, least: float, parameters: Any) -> Ids:
        """All rows whose fast score is above `least`: many are as good as the k-th."""
        with _threads_for(1):
            return cast("Ids", self._inner.range_search(query[None], least, params=parameters)[2])

    def _gather(self, rows: Ids) -> Rows:
        return cast(Rows, self._inner.reconstruct_batch(rows)).astype(np.float64)


def create(dim: int) -> FaissIndex:
    """An empty index for vectors of length `dim`."""
    return FaissIndex(dim)


def load(path: Path) -> FaissIndex:
    """Read what `FaissIndex.save` wrote. Raises DamagedGalleryError for anything else."""
    faiss = _faiss()
    with open_sealed(path, kind="faiss") as file:
        ids = np.load(file, allow_pickle=False)
        inner = faiss.read_index(faiss.PyCallbackIOReader(file.read))
    index = FaissIndex(inner.d)
    index._inner, index._ids = inner, ids
    return index


@contextmanager
def _chosen(rows: Ids | None, count: int) -> Iterator[Any]:
    """The search parameters that let only `rows` (positions below `count`) through; None for all."""
    if rows is None:
        yield None
        return
    mask = np.zeros(count, bool)
    mask[rows] = True
    bits = np.packbits(mask, bitorder="little")  # FAISS keeps a bare pointer: alive until the search is over
    faiss = _faiss()
    yield faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))


@contextmanager
def _threads_for(queries: int) -> Iterator[None]:
    """One thread for one query.

    FAISS has nothing to share out there, and a second thread only costs. OpenMP keeps this number for the calling
    thread alone, so that searches in other threads do not see it; it is put back.
    """
    faiss = _faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if queries == 1 else before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _faiss() -> Any:
    """The module, imported when it is first used; its type stubs lack what its wrappers add."""
    import faiss

    return faiss
