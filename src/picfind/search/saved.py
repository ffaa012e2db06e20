"""Indexes that are kept between processes in `indexes/`: a cache that anyone may delete.

One is two files of the same stem: `.parts.npy`, the parts that it covers, and `.index`, which is written last and so
vouches for both.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from picfind.errors import DamagedGalleryError
from picfind.index.base import VectorIndex
from picfind.storage import durable
from picfind.storage.store import INDEXES, Store
from picfind.types import Ids, Space

_STALE_SHARE = 0.1
_STALE_ROWS = 10_000


def is_stale(covered: Ids, held: Ids) -> bool:
    """Whether a saved index should be built anew: what must be searched beside it, or filtered out, is too much."""
    both = len(np.intersect1d(covered, held))
    apart = (len(held) - both) + (len(covered) - both)
    return apart > min(_STALE_ROWS, _STALE_SHARE * max(len(held), 1))


def load(store: Store, space: Space, kind: str, module: ModuleType) -> tuple[VectorIndex | None, Ids]:
    """The newest saved index and the parts that it covers; None where there is none that can be read."""
    nothing: Ids = np.empty(0, np.int64)
    found = sorted((store.folder / INDEXES).glob(f"{_stem(space, kind)}-*.index"), reverse=True)
    for path in found:
        try:
            covered: Ids = np.load(path.with_suffix(".parts.npy"), allow_pickle=False)
            index: VectorIndex = module.load(path)
        except (OSError, ValueError, EOFError, DamagedGalleryError):
            continue  # it is a cache: build it again
        if len(index) == len(covered) and index.dim == space.dim:
            return index, covered
    return None, nothing


def save(store: Store, space: Space, kind: str, generation: int, index: VectorIndex, covered: Ids) -> None:
    """Keep an index and remove the older ones of its kind. Does nothing where the gallery cannot be written."""
    if not store.writable:
        return
    folder = store.folder / INDEXES
    stem = f"{_stem(space, kind)}-{generation:012d}"
    durable.make_folder(folder)
    durable.write(folder / f"{stem}.parts.npy", lambda file: np.save(file, covered))
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        written = Path(aside) / "index"
        index.save(written)
        with written.open("rb") as reader:
            durable.write(folder / f"{stem}.index", lambda file: shutil.copyfileobj(reader, file))
    for path in folder.glob(f"{_stem(space, kind)}-*"):
        if not path.name.startswith(stem):
            durable.remove(path)


def _stem(space: Space, kind: str) -> str:
    plain = "".join(letter if letter.isalnum() else "_" for letter in space.name)
    return f"{plain}-{space.revision}-{kind}"
