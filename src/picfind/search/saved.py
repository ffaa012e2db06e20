"""Indexes that are kept between processes in `indexes/`: a cache that anyone may delete.

One is two files of the same stem: `.parts.npy`, the parts that it covers, each with the beginning of its content's
hash, and `.index`, which is written last. The hashes matter because part ids begin again when a catalog is restored
from a backup or made anew, and an index of other pictures would answer without a word.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from picfind.errors import DamagedGalleryError
from picfind.index.base import VectorIndex
from picfind.storage import durable, parts
from picfind.storage.store import INDEXES, Store
from picfind.types import Ids, Space

_DIGITS = "[0-9]" * 12
_STALE_SHARE = 0.1
_STALE_ROWS = 10_000


def is_stale(covered: Ids, held: Ids) -> bool:
    """Whether a saved index should be built anew: what must be searched beside it, or filtered out, is too much."""
    both = len(np.intersect1d(covered, held))
    apart = (len(held) - both) + (len(covered) - both)
    return apart > min(_STALE_ROWS, _STALE_SHARE * max(len(held), 1))


def load(store: Store, space: Space, kind: str, module: ModuleType) -> tuple[VectorIndex | None, Ids]:
    """The newest saved index and the parts that it covers; None where there is none that can be trusted."""
    known = parts.part_marks(store.catalog, space)
    found = sorted((store.folder / INDEXES).glob(f"{stem(space, kind)}-{_DIGITS}.index"), reverse=True)
    for path in found:
        try:
            covered, marks = np.load(path.with_suffix(".parts.npy"), allow_pickle=False)
            index: VectorIndex = module.load(path)
        except (OSError, ValueError, EOFError, DamagedGalleryError):
            continue  # it is a cache: build it again
        same = all(
            known.get(part, mark) == mark for part, mark in zip(covered.tolist(), marks.tolist(), strict=True)
        )
        if same and len(index) == len(covered) and index.dim == space.dim:
            return index, covered
    return None, np.empty(0, np.int64)


def save(store: Store, space: Space, kind: str, generation: int, index: VectorIndex, covered: Ids) -> None:
    """Keep an index and remove the older ones of its kind. It is a cache: a failure to do so costs nothing."""
    known = parts.part_marks(store.catalog, space) if store.writable else {}
    marks = [known.get(part) for part in covered.tolist()]
    if not store.writable or None in marks:  # what has been purged since must not be kept
        return
    newest = f"{stem(space, kind)}-{generation:012d}"
    try:
        durable.make_folder(store.folder / INDEXES)
        table = np.stack([covered, np.array(marks, np.int64)])
        durable.write(store.folder / INDEXES / f"{newest}.parts.npy", lambda file: np.save(file, table))
        durable.place(store.folder / INDEXES / f"{newest}.index", index.save)
        _remove_older(store, stem(space, kind), newest)
    except OSError:  # a full disk, or another process that cleans up at the same moment
        return


def _remove_older(store: Store, kind: str, newest: str) -> None:
    for path in (store.folder / INDEXES).glob(f"{kind}-{_DIGITS}.*"):
        if path.suffix != durable.TEMPORARY and not path.name.startswith(newest):
            durable.remove(path)


def stem(space: Space, kind: str) -> str:
    """What the files of one kind are called that are kept for a space."""
    plain = "".join(letter if letter.isalnum() else "_" for letter in space.name)
    return f"{plain}-{space.revision}-{kind}"
