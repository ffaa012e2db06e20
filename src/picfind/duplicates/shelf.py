"""Looks that are kept between runs in the gallery's `indexes/`, by SHA-256: a cache that anyone may delete.

A file holds some thousand looks and never changes; a run adds files as it goes, so that one that is stopped loses at
most a few seconds of decoding, and makes one of them all when there are many.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from picfind.duplicates.looks import LOOK, VERSION, Looks
from picfind.storage import durable
from picfind.storage.store import INDEXES, Store

_STEM = f"looks-{VERSION}-"
_MOST_FILES = 8


def load(store: Store, wanted: Iterable[bytes]) -> dict[bytes, Looks]:
    """The kept looks of these contents, each (1,), by SHA-256. A file that is not what was written is passed over."""
    asked = set(wanted)
    found: dict[bytes, Looks] = {}
    for path in _files(store):
        looks = _read(path)
        names = [row.tobytes() for row in looks["sha256"]]
        found |= {name: looks[at : at + 1] for at, name in enumerate(names) if name in asked}
    return found


def add(store: Store, looks: Looks) -> None:
    """Keep some looks. It is a cache: a failure to do so costs nothing."""
    if not store.writable or not len(looks):
        return
    try:
        _write(store, looks)
        files = _files(store)
        if len(files) > _MOST_FILES:
            _write(store, np.concatenate([_read(path) for path in files]))
            for path in files:
                durable.remove(path)
    except OSError:  # a full disk, or another process that cleans up at the same moment
        return


def _write(store: Store, looks: Looks) -> None:
    folder = store.folder / INDEXES
    durable.make_folder(folder)
    durable.write(folder / f"{_STEM}{uuid.uuid4().hex}.npy", lambda file: np.save(file, looks))


def _files(store: Store) -> list[Path]:
    return sorted((store.folder / INDEXES).glob(f"{_STEM}*.npy"))


def _read(path: Path) -> Looks:
    try:
        looks: Looks = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return np.empty(0, LOOK)
    return looks if looks.dtype == LOOK and looks.ndim == 1 else np.empty(0, LOOK)
