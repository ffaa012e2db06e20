"""The one writer of a gallery: commits, merging, and the removal of files that nobody wants any more.

The order that makes a commit safe: the segment's file is on the disk, whole and flushed, before one transaction
names it together with everything else of the commit. A file without a row is litter that the next writer sweeps; a
row without a file cannot come to be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picfind.errors import EncoderError, GalleryWriteError
from picfind.storage import durable, parts, segments
from picfind.storage.catalog import Catalog, Transaction
from picfind.storage.names import Content, Name, Refusal, record
from picfind.storage.parts import Part
from picfind.storage.segments import Segment, SegmentFile, Vectors
from picfind.storage.spaces import add_space, space_id
from picfind.storage.vectors import open_segments, segment_rows
from picfind.types import PAIR, PICTURE, Floats, Ids, Space

_FANOUT = 4
_SMALL = 1024
_OFF_UNIT = 0.01


@dataclass(frozen=True, slots=True)
class Vectored:
    """The vectors of one space in one commit: `parts`, and their rows (n, dim), of norm 1 (in a space of pairs or less).

    `kind` is what the vectors of the space stand for.
    """

    parts: Sequence[Part]
    rows: Floats
    kind: str = PICTURE


class Writer:
    """The one writer of a gallery, while its lock is held."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        """`folder` is where the segments lie. The caller holds the gallery's lock."""
        self._catalog = catalog
        self._folder = folder
        self.swept = self._sweep()
        """Names of the stray files that were removed when writing began."""

    def append(self, space: Space, new: Vectored) -> SegmentFile:
        """Put vectors into a new segment file, durably. It means nothing until a transaction names it.

        Raises EncoderError for rows that are no unit vectors of the space, and GalleryWriteError.
        """
        _check(space, new)
        return self._write(space, [new.rows], len(new.rows))

    def commit(
        self,
        root_id: int | None = None,
        *,
        contents: Sequence[Content] = (),
        names: Sequence[Name] = (),
        refusals: Sequence[Refusal] = (),
        vectors: Mapping[Space, Vectored] | None = None,
        also: Callable[[Transaction], None] | None = None,
    ) -> None:
        """Make all of it part of the gallery at once: after a crash either all of it is there or none.

        `also` is done at the end of the same transaction. Names and refusals are those of the root `root_id`. Raises
        EncoderError, GalleryWriteError.
        """
        filled = {space: new for space, new in (vectors or {}).items() if len(new.parts)}
        files = {space: self.append(space, new) for space, new in filled.items()}
        with self.transaction() as change:
            if root_id is not None:
                record(change, root_id, contents=contents, names=names, refusals=refusals)
            for space, new in filled.items():
                number = add_space(change, space, new.kind)
                segment = parts.add_segment(change, number, files[space])
                part_ids = [parts.part_id(change, part) for part in new.parts]
                parts.add_rows(change, number, segment, enumerate(part_ids))
            if also is not None:
                also(change)
        for space in filled:
            self.merge_small(space)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the catalog; first removes the files that no reader can want any more."""
        with self._catalog.transaction() as change:
            self._remove_retired(change)
            yield change

    def remove_retired(self) -> None:
        """Remove at once what has been retired, where no vector may stay on the disk; readers read again."""
        with self._catalog.transaction() as change:
            self._remove_retired(change, last=True)

    def _remove_retired(self, change: Transaction, *, last: bool = False) -> None:
        """Remove the files that were retired before the present generation; with `last`, also those of this one."""
        retired = change.run(
            "SELECT file FROM retired WHERE generation < "
            "(SELECT CAST(value AS INTEGER) + ? FROM meta WHERE key = 'generation')",
            (int(last),),
        ).fetchall()
        removed = [row for row in retired if durable.remove(self._folder / row[0])]
        change.run_many("DELETE FROM retired WHERE file = ?", removed)

    def _sweep(self) -> list[str]:
        # in a transaction: what is committed now, whatever a reader may be looking at
        with self._catalog.transaction() as change:
            known = change.run("SELECT file FROM segments UNION SELECT file FROM retired").fetchall()
        return durable.sweep(self._folder, {file for (file,) in known})

    def merge(self, space: Space, segment_ids: Sequence[int]) -> None:
        """Copy the listed rows of some segments into one new segment, in their order, and retire the old ones.

        Raises GalleryWriteError.
        """
        _, chosen = open_segments(self._catalog, self._folder, space, only=segment_ids)
        listed = [np.flatnonzero(segment.parts != parts.DEAD) for segment in chosen]
        part_ids = np.concatenate([segment.parts[rows] for segment, rows in zip(chosen, listed, strict=True)])
        file = self._write(space, _blocks(chosen, listed), len(part_ids)) if len(part_ids) else None
        number = space_id(self._catalog, space)
        with self.transaction() as change:
            change.run_many("DELETE FROM rows WHERE segment_id = ?", [(segment.id,) for segment in chosen])
            if file:
                new = parts.add_segment(change, number, file)
                parts.add_rows(change, number, new, enumerate(part_ids.tolist()))
            parts.retire(change, [segment.id for segment in chosen])

    def _write(self, space: Space, blocks: Iterable[Vectors], length: int) -> SegmentFile:
        try:
            durable.make_folder(self._folder)
            return segments.write(self._folder, blocks, length=length, dim=space.dim)
        except OSError as error:
            raise GalleryWriteError(
                f"The gallery {self._folder.parent} could not be written: {error.strerror or error}. Make room on the "
                "disk and run again; nothing that was committed is lost."
            ) from error

    def merge_small(self, space: Space) -> None:
        """Merge once there are _FANOUT segments of a size: a million pictures then lie in some twenty files."""
        while True:
            tiers: dict[int, list[int]] = {}
            for id_, _, length in segment_rows(self._catalog, space):
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


def _check(space: Space, new: Vectored) -> None:
    if new.rows.shape != (len(new.parts), space.dim):
        raise EncoderError(
            f"The model {space} gave vectors of shape {new.rows.shape}; {(len(new.parts), space.dim)} was promised."
        )
    norms = np.linalg.norm(new.rows.astype(np.float32), axis=1)
    least = (0 if new.kind == PAIR else 1) - _OFF_UNIT
    if not np.all((norms <= 1 + _OFF_UNIT) & (norms >= least)):  # also where a norm is NaN
        raise EncoderError(
            f"The model {space} gave vectors that are not of unit length. Do not index with it."
        )
