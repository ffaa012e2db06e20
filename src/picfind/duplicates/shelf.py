"""What is kept between runs in the gallery's `indexes/`: looks, and what comparing pairs of them gave. A cache.

A file holds some thousand rows and never changes; a run adds files as it goes, so that one that is stopped loses at
most a few seconds of work, and makes one of them all when there are many. Anyone may delete them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picfind.duplicates.looks import LOOK, VERSION, Looks
from picfind.storage import durable
from picfind.storage.store import INDEXES, Store

_LOOKS = f"looks-{VERSION}"
_MOST_FILES = 8

Rows = NDArray[Any]
"""(n,) of one type of rows."""


def load(store: Store, wanted: Iterable[bytes]) -> dict[bytes, Looks]:
    """The kept looks of these contents, each (1,), by SHA-256. A file that is not what was written is passed over."""
    asked = set(wanted)
    found: dict[bytes, Looks] = {}
    for path in _files(store, _LOOKS):
        looks = _read(path, LOOK)
        names = [row.tobytes() for row in looks["sha256"]]
        found |= {name: looks[at : at + 1] for at, name in enumerate(names) if name in asked}
    return found


def add(store: Store, looks: Looks) -> None:
    """Keep some looks. It is a cache: a failure to do so costs nothing."""
    keep(store, _LOOKS, looks)


def rows(store: Store, stem: str, kind: np.dtype[Any]) -> Rows:
    """All rows that are kept under a name. A file that is not what was written is passed over."""
    return np.concatenate([np.empty(0, kind), *(_read(path, kind) for path in _files(store, stem))])


def keep(store: Store, stem: str, some: Rows) -> None:
    """Keep some rows under a name. A failure to do so costs nothing."""
    if not store.writable or not len(some):
        return
    try:
        _write(store, stem, some)
        files = _files(store, stem)
        if len(files) > _MOST_FILES:
            _write(store, stem, np.concatenate([_read(path, some.dtype) for path in files]))
            for path in files:
                durable.remove(path)
    except OSError:  # a full disk, or another process that cleans up at the same moment
        return


def _write(store: Store, stem: str, some: Rows) -> None:
    folder = store.folder / INDEXES
    durable.make_folder(folder)
    durable.write(folder / f"{stem}-{uuid.uuid4().hex}.npy", lambda file: np.save(file, some))


def _files(store: Store, stem: str) -> list[Path]:
    return sorted((store.folder / INDEXES).glob(f"{stem}-*.npy"))


def _read(path: Path, kind: np.dtype[Any]) -> Rows:
    try:
        some: Rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return np.empty(0, kind)
    return some if some.dtype == kind and some.ndim == 1 else np.empty(0, kind)
