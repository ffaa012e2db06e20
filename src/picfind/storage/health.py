"""Finding what is wrong with a gallery, and mending what can be mended."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picfind.errors import DamagedGalleryError
from picfind.storage import parts, segments
from picfind.storage.store import Store
from picfind.storage.upkeep import remove_indexes


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a gallery, and whether `repair` mends it."""

    what: str
    mendable: bool


def check(store: Store) -> list[Finding]:
    """Look at everything: the catalog's structure, every segment's file and checksum, litter. Reads all vectors."""
    return [*_check_catalog(store), *_check_segments(store), *_check_litter(store)]


def repair(store: Store) -> list[str]:
    """Drop what cannot be read, so that the next run encodes its pictures again; sweep litter. Says what it did."""
    with store.writing() as writer:
        damaged = _damaged(store)
        if damaged:
            with writer.transaction() as change:
                parts.retire(change, [id_ for id_, _, _ in damaged])
            writer.remove_retired()
    remove_indexes(store)
    return [
        *(
            f"dropped the segment {file} ({why}); `picfind index` encodes its pictures again"
            for _, file, why in damaged
        ),
        *(f"removed the stray file {name}" for name in writer.swept),
    ]


def _check_catalog(store: Store) -> list[Finding]:
    try:
        found = [str(text) for (text,) in store.catalog.all("PRAGMA integrity_check(20)") if text != "ok"]
        broken = store.catalog.all("PRAGMA foreign_key_check")
    except sqlite3.DatabaseError as error:
        return [Finding(f"the catalog cannot be read: {error}", mendable=False)]
    found += [
        f"a row of {table} refers to a row of {parent} that is not there" for table, _, parent, _ in broken
    ]
    return [Finding(f"the catalog is damaged: {text}", mendable=False) for text in found]


def _check_segments(store: Store) -> list[Finding]:
    return [Finding(f"segment {file}: {why}", mendable=True) for _, file, why in _damaged(store)]


def _damaged(store: Store) -> list[tuple[int, str, str]]:
    rows = store.catalog.all(
        "SELECT g.id, g.file, g.length, g.crc32, s.dim FROM segments g JOIN spaces s ON s.id = g.space_id ORDER BY g.id"
    )
    found = []
    for id_, file, length, crc32, dim in rows:
        why = _fault(store.segments_folder / file, length, dim, crc32)
        if why:
            found.append((id_, file, why))
    return found


def _fault(path: Path, length: int, dim: int, crc32: int) -> str | None:
    try:
        vectors = segments.open_vectors(path, length=length, dim=dim)
    except FileNotFoundError:
        return "its file is missing"
    except DamagedGalleryError:
        return "its file is not what was written"
    return None if segments.checksum(vectors) == crc32 else "its checksum is wrong"


def _check_litter(store: Store) -> list[Finding]:
    known = {
        file for (file,) in store.catalog.all("SELECT file FROM segments UNION SELECT file FROM retired")
    }
    folder = store.segments_folder
    strays: Sequence[str] = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return [Finding(f"stray file {name}", mendable=True) for name in strays if name not in known]
