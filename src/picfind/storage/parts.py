"""Parts, spaces and rows: what each vector of each segment stands for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from picfind.storage.catalog import Catalog, Transaction
from picfind.storage.segments import SegmentFile
from picfind.storage.spaces import kind_of, space_id
from picfind.storage.wording import text_id
from picfind.types import PAIR, PICTURE, WORDS, Box, Ids, Space

REGION = "region"
DEAD = -1
"""The part of a row that no longer stands for anything."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one vector stands for: a picture, a region of it, words, or a picture with its words.

    `box` is a region's left, top, width and height as fractions of the upright picture.
    """

    kind: str
    sha256: bytes | None = None
    text: str | None = None
    box: Box | None = None


def picture(sha256: bytes) -> Part:
    """The part of a whole picture."""
    return Part(PICTURE, sha256)


def region(sha256: bytes, box: Box) -> Part:
    """The part of a piece of a picture."""
    return Part(REGION, sha256, box=box)


def words(text: str) -> Part:
    """The part of a text, whosever it is."""
    return Part(WORDS, text=text)


def pair(sha256: bytes, text: str | None) -> Part:
    """The part of a picture with all its words as one text; without any it is that of the picture."""
    return picture(sha256) if text is None else Part(PAIR, sha256, text)


def add_segment(change: Transaction, space_id: int, file: SegmentFile) -> int:
    """Name a segment whose file is safely on the disk. Gives its id."""
    cursor = change.run(
        "INSERT INTO segments (space_id, file, length, crc32) VALUES (?, ?, ?, ?)",
        (space_id, file.file, file.length, file.crc32),
    )
    return int(cursor.lastrowid or 0)


def add_rows(change: Transaction, space_id: int, segment_id: int, parts: Iterable[tuple[int, int]]) -> None:
    """Say which part each (row, part id) of a segment is; a part that the space already has stays as it is."""
    change.run_many(
        "INSERT INTO rows (segment_id, row, part_id) SELECT ?, ?, ? WHERE NOT EXISTS "
        "(SELECT 1 FROM rows r JOIN segments g ON g.id = r.segment_id WHERE r.part_id = ? AND g.space_id = ?)",
        [(segment_id, row, part_id, part_id, space_id) for row, part_id in parts],
    )


def part_id(change: Transaction, part: Part) -> int:
    """The id of a part, which is added where it is new. Its content must have been recorded."""
    content = None
    if part.sha256 is not None:
        content = change.one("SELECT id FROM contents WHERE sha256 = ?", (part.sha256,))[0]
    text = text_id(change, part.text) if part.text is not None else None
    box = box_text(part.box) if part.box else None
    values = (part.kind, content, text, box)
    change.run("INSERT OR IGNORE INTO parts (kind, content_id, text_id, box) VALUES (?, ?, ?, ?)", values)
    return int(
        change.one(
            "SELECT id FROM parts WHERE kind = ? AND ifnull(content_id, 0) = ifnull(?, 0) "
            "AND ifnull(text_id, 0) = ifnull(?, 0) AND ifnull(box, '') = ifnull(?, '')",
            values,
        )[0]
    )


def box_text(box: Box) -> str:
    """A box as the catalog has it: two that are equal to a millionth are one."""
    return ",".join(f"{edge:.6f}" for edge in box)


def box_of(text: str) -> Box:
    """A box out of the text that the catalog has of it."""
    left, top, width, height = map(float, text.split(","))
    return left, top, width, height


def keep_regions(change: Transaction, space_id: int, sha256: bytes, boxes: Iterable[Box]) -> None:
    """Let go of a picture's regions in a space that are not among these: those of an earlier tiling."""
    kept = [box_text(box) for box in boxes]
    change.run(
        "DELETE FROM rows WHERE part_id IN (SELECT p.id FROM parts p JOIN contents c ON c.id = p.content_id "
        f"WHERE c.sha256 = ? AND p.kind = 'region' AND p.box NOT IN ({', '.join('?' * len(kept))})) "
        "AND segment_id IN (SELECT id FROM segments WHERE space_id = ?)",
        (sha256, *kept, space_id),
    )


def retire(change: Transaction, segment_ids: Sequence[int]) -> None:
    """Drop segments from the catalog; the second commit after this removes their files, when no reader can want them."""
    for segment_id in segment_ids:
        change.run(
            "INSERT INTO retired (file, generation) SELECT file, "
            "(SELECT value + 1 FROM meta WHERE key = 'generation') FROM segments WHERE id = ?",
            (segment_id,),
        )
        change.run("DELETE FROM segments WHERE id = ?", (segment_id,))


def row_parts(catalog: Catalog, segment_id: int, length: int) -> Ids:
    """(length,): the part of each row of a segment, DEAD where it has none."""
    parts = np.full(length, DEAD, np.int64)
    rows = catalog.all("SELECT row, part_id FROM rows WHERE segment_id = ?", (segment_id,))
    if rows:
        table = np.array(rows, np.int64)
        parts[table[:, 0]] = table[:, 1]
    return parts


def live_parts(catalog: Catalog, space: Space) -> tuple[Ids, Ids]:
    """Which parts of a space stand for something that still has a name: part ids and their content ids, both (n,).

    Ordered by part. A part of words that several pictures share stands there once for each of them. Among pairs, a
    picture alone counts only where one of its names has no words.
    """
    number = space_id(catalog, space)
    bare = "AND n.text_id IS NULL" if kind_of(catalog, space) == PAIR else ""
    rows = catalog.all(
        # CROSS JOIN keeps this order: from the rows of the space, not from all that could have one
        "WITH held AS MATERIALIZED (SELECT p.id, p.kind, p.content_id, p.text_id FROM segments g "
        "CROSS JOIN rows r ON r.segment_id = g.id CROSS JOIN parts p ON p.id = r.part_id WHERE g.space_id = ?) "
        "SELECT h.id, h.content_id FROM held h WHERE h.kind IN ('picture', 'region') "
        f"AND EXISTS (SELECT 1 FROM names n WHERE n.content_id = h.content_id {bare}) "
        "UNION ALL SELECT h.id, h.content_id FROM held h WHERE h.kind = 'pair' "
        "AND EXISTS (SELECT 1 FROM names n WHERE n.content_id = h.content_id AND n.text_id = h.text_id) "
        "UNION ALL SELECT h.id, n.content_id FROM held h CROSS JOIN words w ON w.text_id = h.text_id "
        "JOIN names n ON n.id = w.name_id OR n.content_id = w.content_id WHERE h.kind = 'words'",
        (number,),
    )
    table = np.array(rows, np.int64).reshape(len(rows), 2)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    first = np.ones(len(table), np.bool_)  # a name may say a text twice
    first[1:] = (table[1:] != table[:-1]).any(axis=1)
    return table[first, 0], table[first, 1]


def texts(catalog: Catalog, part_ids: Sequence[int]) -> dict[int, str]:
    """The texts of those parts that have one."""
    return dict(
        catalog.all_of(
            "SELECT p.id, t.text FROM parts p JOIN texts t ON t.id = p.text_id WHERE p.id IN (?)", part_ids
        )
    )


def boxes(catalog: Catalog, part_ids: Sequence[int]) -> dict[int, Box]:
    """The boxes of those parts that are regions: left, top, width and height as fractions of the upright picture."""
    rows = catalog.all_of("SELECT id, box FROM parts WHERE id IN (?) AND box IS NOT NULL", part_ids)
    return {part: box_of(box) for part, box in rows}


def regions(catalog: Catalog, space: Space) -> Ids:
    """The parts of a space that are regions, (n,), in rising order."""
    rows = catalog.all(
        "SELECT DISTINCT p.id FROM parts p JOIN rows r ON r.part_id = p.id JOIN segments g ON g.id = r.segment_id "
        "WHERE p.kind = 'region' AND g.space_id = ? ORDER BY p.id",
        (space_id(catalog, space),),
    )
    return np.fromiter((part for (part,) in rows), np.int64, len(rows))


def count_with_regions(catalog: Catalog, space: Space) -> int:
    """How many pictures that have a name have regions in a space."""
    return int(
        catalog.one(
            "SELECT count(DISTINCT p.content_id) FROM parts p JOIN rows r ON r.part_id = p.id "
            "JOIN segments g ON g.id = r.segment_id WHERE p.kind = 'region' AND g.space_id = ? "
            "AND EXISTS (SELECT 1 FROM names n WHERE n.content_id = p.content_id)",
            (space_id(catalog, space),),
        )[0]
    )


def part_marks(catalog: Catalog, space: Space) -> dict[int, int]:
    """The parts that a space has vectors of, with 8 bytes of the hash of what each stands for."""
    rows = catalog.all(
        "SELECT p.id, c.sha256, t.sha256, p.box FROM parts p LEFT JOIN contents c ON c.id = p.content_id "
        "LEFT JOIN texts t ON t.id = p.text_id WHERE p.id IN "
        "(SELECT r.part_id FROM rows r JOIN segments g ON g.id = r.segment_id WHERE g.space_id = ?)",
        (space_id(catalog, space),),
    )
    return {
        part: _mark(content) ^ _mark(text) ^ _mark(box and hashlib.sha256(box.encode()).digest())
        for part, content, text, box in rows
    }


def _mark(digest: bytes | None) -> int:
    return int.from_bytes(digest[:8], "little", signed=True) if digest else 0
