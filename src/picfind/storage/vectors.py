"""The vectors of a space, memory-mapped, beside a writer that may be merging them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from picfind.errors import DamagedGalleryError
from picfind.storage import parts, segments
from picfind.storage.catalog import Catalog
from picfind.storage.segments import Segment
from picfind.storage.spaces import space_id
from picfind.types import Ids, Space

_TRIES = 10

_Row = tuple[int, str, int]
"""A segment's id, its file's name, its length."""


def segment_rows(catalog: Catalog, space: Space) -> list[_Row]:
    """The segments of a space, oldest first. Raises UnknownSpaceError."""
    rows = catalog.all(
        "SELECT id, file, length FROM segments WHERE space_id = ? ORDER BY id",
        (space_id(catalog, space),),
    )
    return [(int(id_), str(file), int(length)) for id_, file, length in rows]


def open_segments(
    catalog: Catalog, folder: Path, space: Space, *, only: Collection[int] | None = None
) -> tuple[int, list[Segment]]:
    """The generation, and the segments of a space in it (those whose ids are in `only`), memory-mapped.

    A file may have been merged and removed since the catalog was read: then it is read again. Raises
    UnknownSpaceError, and DamagedGalleryError when a file is missing or not what was written.
    """
    attempt = 0
    while True:
        attempt += 1
        with catalog.reading():
            generation = catalog.generation
            rows = [row for row in segment_rows(catalog, space) if only is None or row[0] in only]
            listed = [(row, parts.row_parts(catalog, row[0], row[2])) for row in rows]
        try:
            return generation, [_open(folder, row, space.dim, part_ids) for row, part_ids in listed]
        except FileNotFoundError as error:
            if catalog.generation == generation or attempt == _TRIES:
                raise DamagedGalleryError(
                    f"The segment {error.filename} is missing. Run `picfind doctor --repair`, then `picfind index` "
                    "to encode its pictures again."
                ) from error


def _open(folder: Path, row: _Row, dim: int, part_ids: Ids) -> Segment:
    id_, file, length = row
    return Segment(id_, file, segments.open_vectors(folder / file, length=length, dim=dim), part_ids)
