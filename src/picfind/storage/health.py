"""Finding what is wrong with a gallery, and mending what can be mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picfind.errors import DamagedGalleryError, GalleryError
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
    faults = [Finding(f"segment {fault.file}: {fault.why}", fault.mendable) for fault in _faults(store)]
    return [*_check_catalog(store), *faults, *_check_litter(store)]


def repair(store: Store) -> list[str]:
    """Drop what is damaged, so that the next run encodes its pictures again; sweep litter. Says what it did.

    What merely cannot be read now is left alone.
    """
    with store.writing() as writer:
        damaged = [fault for fault in _faults(store) if fault.mendable]
        if damaged:
            with writer.transaction() as change:
                parts.retire(change, [fault.segment_id for fault in damaged])
            writer.remove_retired()
    remove_indexes(store)
    return [
        *(
            f"dropped the segment {fault.file} ({fault.why}); `picfind index` encodes its pictures again"
            for fault in damaged
        ),
        *(f"removed the stray file {name}" for name in writer.swept),
    ]


def _check_catalog(store: Store) -> list[Finding]:
    try:
        found = [str(text) for (text,) in store.catalog.all("PRAGMA integrity_check(20)") if text != "ok"]
        broken = store.catalog.all("PRAGMA foreign_key_check")
    except DamagedGalleryError as error:
        return [Finding(f"the catalog cannot be read: {error}", mendable=False)]
    found += [
        f"a row of {table} refers to a row of {parent} that is not there" for table, _, parent, _ in broken
    ]
    return [Finding(f"the catalog is damaged: {text}", mendable=False) for text in found]


@dataclass(frozen=True, slots=True)
class _Fault:
    segment_id: int
    file: str
    why: str
    mendable: bool = True


def _faults(store: Store) -> list[_Fault]:
    rows = store.catalog.all(
        "SELECT g.id, g.file, g.length, g.crc32, s.dim FROM segments g JOIN spaces s ON s.id = g.space_id ORDER BY g.id"
    )
    found = (_fault(store.segments_folder, *row) for row in rows)
    return [fault for fault in found if fault is not None]


def _fault(folder: Path, segment_id: int, file: str, length: int, crc32: int, dim: int) -> _Fault | None:
    try:
        vectors = segments.open_vectors(folder / file, length=length, dim=dim)
    except FileNotFoundError:
        return _Fault(segment_id, file, "its file is missing")
    except DamagedGalleryError:
        return _Fault(segment_id, file, "its file is not what was written")
    except GalleryError as error:
        return _Fault(segment_id, file, str(error), mendable=False)
    sound = segments.checksum(vectors) == crc32
    return None if sound else _Fault(segment_id, file, "its checksum is wrong")


def _check_litter(store: Store) -> list[Finding]:
    known = {
        file for (file,) in store.catalog.all("SELECT file FROM segments UNION SELECT file FROM retired")
    }
    folder = store.segments_folder
    strays: Sequence[str] = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return [Finding(f"stray file {name}", mendable=True) for name in strays if name not in known]
