"""What every vector index can do.

A kind of index is one file of this folder (or a module under the entry point group `picfind.indexes`) that offers
`create(dim) -> VectorIndex` and `load(path) -> VectorIndex`. The suite `picfind.testing.IndexSuite` says the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.types import Floats, Ids, Neighbors


class VectorIndex(Protocol):
    """Finds the rows with the largest inner product. Searching is safe from several threads; adding is not."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def __len__(self) -> int:
        """How many vectors it holds."""
        ...

    def add(self, ids: Ids, vectors: Floats) -> None:
        """Add unit rows (n, dim) of float16 or float32 under ids (n,), which it does not hold yet."""
        ...

    def search(self, queries: Floats, *, k: int, allowed: Ids | None = None) -> Neighbors:
        """The k nearest of each row of `queries` (n_queries, dim), among the ids in `allowed` when given.

        Best first; equal scores by id; -1 and -inf where there are fewer. Raises UsageError for k below 1 or for
        queries of another dim.
        """
        ...

    def save(self, path: Path) -> None:
        """Write it to one file, to be read by the module's `load`."""
        ...
