"""The gallery's folder: opening it, its one writer, and the vectors of a space.

The order that makes a commit safe: the segment's file is on the disk, whole and flushed, before one transaction
names it together with everything else of the commit. A file without a row is litter that the next writer sweeps; a
row without a file cannot come to be.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picfind.errors import (
    DamagedGalleryError,
    EncoderError,
    GalleryBusyError,
    GalleryWriteError,
    NoGalleryError,
    ReadOnlyGalleryError,
    UsageError,
)
from picfind.storage import durable, names, parts, segments
from picfind.storage.catalog import FILE, Catalog, Transaction
from picfind.storage.names import Content, Name, Refusal
from picfind.storage.parts import Part
from picfind.storage.segments import Segment, SegmentFile, Vectors
from picfind.types import Floats, Ids, Space

INDEXES = "indexes"
_LOCK = "writer.lock"
_OWN = {FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal", segments.FOLDER, INDEXES, _LOCK}
_FANOUT = 4
_SMALL = 1024
_TRIES = 10
_LONGER_THAN_UNIT = 1.01


@dataclass(frozen=True, slots=True)
class Vectored:
    """The vectors of one space in one commit: `parts`, and their rows (n, dim), of norm 1 (a pair's may be less)."""

    parts: Sequence[Part]
    rows: Floats


class Store:
    """An open gallery. Reading is safe from several threads and beside a writer of another process."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.folder = folder
        self.catalog = catalog

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Store:
        """Open a gallery's folder, for reading only where it cannot be written.

        Raises NoGalleryError when there is none and `create` is False, UsageError when it should be created in a
        folder that holds other things, and what `Catalog` raises.
        """
        folder = folder.expanduser().absolute()
        if not (folder / FILE).exists():
            if not create:
                raise NoGalleryError(
                    f"There is no gallery at {folder}. Make one with `picfind index FOLDER`, or name another with "
                    "--gallery."
                )
            _make(folder)
        writable = os.access(folder, os.W_OK) and os.access(folder / FILE, os.W_OK | os.R_OK | os.F_OK)
        writable = writable or not (folder / FILE).exists()
        return cls(folder, Catalog(folder / FILE, writable=writable))

    def close(self) -> None:
        """Close the catalog. Vectors that were handed out stay readable."""
        self.catalog.close()

    @property
    def writable(self) -> bool:
        """Whether the folder can be written."""
        return self.catalog.writable

    @property
    def segments_folder(self) -> Path:
        """Where the segments lie."""
        return self.folder / segments.FOLDER

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Be the one writer. Sweeps what a crash may have left.

        Raises GalleryBusyError while another process writes, and ReadOnlyGalleryError.
        """
        from filelock import FileLock, Timeout

        if not self.writable:
            raise ReadOnlyGalleryError(
                f"The gallery {self.folder} cannot be written: its folder is read-only. Searching it works."
            )
        lock = FileLock(self.folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise GalleryBusyError(
                f"Another process is writing to the gallery {self.folder}. Wait until it has finished, then run again."
            ) from error
        try:
            yield Writer(self)
        finally:
            lock.release()

    def vectors(self, space: Space) -> tuple[int, list[Segment]]:
        """The generation, and the segments of a space in it, memory-mapped.

        Raises UnknownSpaceError, and DamagedGalleryError when a file is missing or not what was written.
        """
        for attempt in range(_TRIES):
            with self.catalog.reading():
                generation = self.catalog.generation
                rows = self._segment_rows(space)
                listed = [(row, parts.row_parts(self.catalog, row[0], row[2])) for row in rows]
            try:
                return generation, [self._open(row, space.dim, part_ids) for row, part_ids in listed]
            except FileNotFoundError as error:
                # a writer may have merged and removed it since; if nothing has changed it is really missing
                if self.catalog.generation == generation or attempt == _TRIES - 1:
                    raise DamagedGalleryError(
                        f"The segment {error.filename} is missing. Run `picfind doctor --repair`, then "
                        "`picfind index` to encode its pictures again."
                    ) from error
        raise AssertionError("unreachable")

    def _segment_rows(self, space: Space) -> list[tuple[int, str, int]]:
        return [
            (int(id_), str(file), int(length))
            for id_, file, length in self.catalog.all(
                "SELECT id, file, length FROM segments WHERE space_id = ? ORDER BY id",
                (parts.space_id(self.catalog, space),),
            )
        ]

    def _open(self, row: tuple[int, str, int], dim: int, part_ids: Ids) -> Segment:
        id_, file, length = row
        vectors = segments.open_vectors(self.segments_folder / file, length=length, dim=dim)
        return Segment(id_, file, vectors, part_ids)


class Writer:
    """The one writer of a gallery, while its lock is held."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._folder = store.segments_folder
        self._catalog = store.catalog
        self.swept = self._sweep()
        """Names of the stray files that were removed when writing began."""

    def append(self, space: Space, rows: Floats) -> SegmentFile:
        """Put vectors (n, dim) into a new segment file, durably. It means nothing until a transaction names it.

        Raises EncoderError for rows that are no unit vectors of the space, and GalleryWriteError.
        """
        _check(space, rows)
        durable.make_folder(self._folder)
        try:
            return segments.write(self._folder, [rows], length=len(rows), dim=space.dim)
        except OSError as error:
            raise _write_error(self.store.folder, error) from error

    def commit(
        self,
        root_id: int,
        *,
        contents: Sequence[Content] = (),
        names: Sequence[Name] = (),
        refusals: Sequence[Refusal] = (),
        vectors: Mapping[Space, Vectored] | None = None,
    ) -> None:
        """Make all of it part of the gallery at once: after a crash either all of it is there or none.

        Raises EncoderError, GalleryWriteError.
        """
        filled = {space: new for space, new in (vectors or {}).items() if len(new.parts)}
        files = {space: self.append(space, new.rows) for space, new in filled.items()}
        with self.transaction() as change:
            _record(change, root_id, contents, names, refusals)
            for space, new in filled.items():
                number = parts.add_space(change, space)
                segment = parts.add_segment(change, number, files[space])
                part_ids = [parts.part_id(change, part) for part in new.parts]
                parts.add_rows(change, number, segment, enumerate(part_ids))
        for space in filled:
            self._merge_small(space)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the catalog; first removes the files that no reader can want any more."""
        removed = self._remove_retired(before=self._catalog.generation)
        with self._catalog.transaction() as change:
            change.run_many("DELETE FROM retired WHERE file = ?", [(file,) for file in removed])
            yield change

    def remove_retired(self) -> None:
        """Remove at once what has been retired, where no vector may stay on the disk; readers read again."""
        removed = self._remove_retired(before=self._catalog.generation + 1)
        with self._catalog.transaction() as change:
            change.run_many("DELETE FROM retired WHERE file = ?", [(file,) for file in removed])

    def _remove_retired(self, *, before: int) -> list[str]:
        rows = self._catalog.all("SELECT file FROM retired WHERE generation < ?", (before,))
        return [file for (file,) in rows if durable.remove(self._folder / file)]

    def _sweep(self) -> list[str]:
        known = self._catalog.all("SELECT file FROM segments UNION SELECT file FROM retired")
        return durable.sweep(self._folder, {file for (file,) in known})

    def merge(self, space: Space, segment_ids: Sequence[int]) -> None:
        """Copy the listed rows of some segments into one new segment, in their order, and retire the old ones.

        Raises GalleryWriteError.
        """
        chosen = [segment for segment in self.store.vectors(space)[1] if segment.id in set(segment_ids)]
        listed = [np.flatnonzero(segment.parts != parts.DEAD) for segment in chosen]
        part_ids = np.concatenate([segment.parts[rows] for segment, rows in zip(chosen, listed, strict=True)])
        file = self._write_merged(space, chosen, listed, len(part_ids)) if len(part_ids) else None
        with self.transaction() as change:
            number = parts.add_space(change, space)
            change.run_many("DELETE FROM rows WHERE segment_id = ?", [(segment.id,) for segment in chosen])
            if file:
                new = parts.add_segment(change, number, file)
                parts.add_rows(change, number, new, enumerate(part_ids.tolist()))
            parts.retire(change, [segment.id for segment in chosen])

    def _write_merged(
        self, space: Space, chosen: Sequence[Segment], listed: Sequence[Ids], length: int
    ) -> SegmentFile:
        try:
            return segments.write(self._folder, _blocks(chosen, listed), length=length, dim=space.dim)
        except OSError as error:
            raise _write_error(self.store.folder, error) from error

    def _merge_small(self, space: Space) -> None:
        """Merge once there are _FANOUT segments of a size: a million pictures then lie in some twenty files."""
        while True:
            tiers: dict[int, list[int]] = {}
            for id_, _, length in self.store._segment_rows(space):
                tiers.setdefault(_tier(length), []).append(id_)
            full = [ids for _, ids in sorted(tiers.items()) if len(ids) >= _FANOUT]
            if not full:
                return
            self.merge(space, full[0])


def _tier(length: int) -> int:
    return int(math.log(max(length, _SMALL) / _SMALL, _FANOUT) + 1e-9)


def _blocks(chosen: Sequence[Segment], listed: Sequence[Ids]) -> Iterator[Vectors]:
    for segment, rows in zip(chosen, listed, strict=True):
        for start in range(0, len(rows), segments.BLOCK):
            yield segment.vectors[rows[start : start + segments.BLOCK]]


def _record(
    change: Transaction,
    root_id: int,
    contents: Sequence[Content],
    new_names: Sequence[Name],
    refusals: Sequence[Refusal],
) -> None:
    names.record(change, root_id, contents=contents, names=new_names, refusals=refusals)


def _check(space: Space, rows: Floats) -> None:
    if rows.ndim != 2 or rows.shape[1] != space.dim:
        raise EncoderError(
            f"The model {space} gave vectors of shape {rows.shape}; (n, {space.dim}) was promised."
        )
    norms = np.linalg.norm(rows.astype(np.float32), axis=1)
    if not np.all(norms <= _LONGER_THAN_UNIT):  # also False for a NaN
        raise EncoderError(
            f"The model {space} gave vectors that are not of unit length. Do not index with it."
        )


def _write_error(folder: Path, error: OSError) -> GalleryWriteError:
    return GalleryWriteError(
        f"The gallery {folder} could not be written: {error.strerror or error}. Make room on the disk and run again; "
        "nothing that was committed is lost."
    )


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file. Name a folder for the gallery.")
    strangers = (
        sorted(entry.name for entry in folder.iterdir() if entry.name not in _OWN) if folder.exists() else []
    )
    if strangers:
        raise UsageError(
            f"{folder} holds other things ({strangers[0]}, ...), so no gallery is made there. Name a new or empty "
            "folder."
        )
    try:
        durable.make_folder(folder)
    except OSError as error:
        raise GalleryWriteError(f"The gallery {folder} cannot be made: {error.strerror or error}.") from error
