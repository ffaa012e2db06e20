"""What a space still lacks: the pictures, regions, texts and pairs of a gallery that have no vector in it yet.

And which pictures have not been read for text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from picfind.images import tiles
from picfind.storage.catalog import Catalog
from picfind.storage.names import within
from picfind.storage.parts import box_text
from picfind.types import PAIR, PICTURE, WORDS, Box, Space

_ROWS = (
    "SELECT 1 FROM parts p JOIN rows r ON r.part_id = p.id JOIN segments g ON g.id = r.segment_id "
    "JOIN spaces s ON s.id = g.space_id WHERE s.name = ? AND s.revision = ?"
)
_HELD = (
    "FROM spaces s JOIN segments g ON g.space_id = s.id JOIN rows r ON r.segment_id = g.id "
    "JOIN parts p ON p.id = r.part_id WHERE s.name = ? AND s.revision = ?"
)
_SAID = (
    "EXISTS (SELECT 1 FROM words w WHERE w.text_id = t.id AND (w.name_id IS NOT NULL "
    "OR EXISTS (SELECT 1 FROM names n WHERE n.content_id = w.content_id)))"
)
_OWED = {
    # not by the index of hashes, whose order is random: each row would then be looked up somewhere else on the disk
    PICTURE: f"FROM contents c NOT INDEXED WHERE c.id NOT IN (SELECT p.content_id {_HELD} AND p.kind = 'picture') "
    "AND EXISTS (SELECT 1 FROM names n WHERE n.content_id = c.id)",
    WORDS: f"FROM texts t NOT INDEXED WHERE t.id NOT IN (SELECT p.text_id {_HELD} AND p.kind = 'words') AND {_SAID}",
    PAIR: "FROM names n JOIN contents c ON c.id = n.content_id LEFT JOIN texts t ON t.id = n.text_id "
    f"WHERE NOT EXISTS ({_ROWS} AND p.content_id = n.content_id AND "
    "(p.kind = 'pair' AND p.text_id = n.text_id OR p.kind = 'picture' AND n.text_id IS NULL))",
}


@dataclass(frozen=True, slots=True)
class OwedPair:
    """A picture and all its words as one text (None: it has none) that a name brings together."""

    sha256: bytes
    text: str | None


@dataclass(frozen=True, slots=True)
class OwedLook:
    """What a second look at a picture is for: its regions in some spaces, the text inside it."""

    sha256: bytes
    boxes: tuple[Box, ...] = ()
    spaces: frozenset[Space] = frozenset()
    text: bool = False


def count(catalog: Catalog, space: Space, kind: str) -> int:
    """How many pictures, texts or pairs, by the kind of the space, have no vector in it."""
    return int(catalog.one(f"SELECT count(*) {_OWED[kind]}", (space.name, space.revision))[0])


def texts(catalog: Catalog, space: Space) -> list[str]:
    """The texts of words that have no vector in a space, in the order in which they came in."""
    rows = catalog.all(f"SELECT t.text {_OWED[WORDS]} ORDER BY t.id", (space.name, space.revision))
    return [text for (text,) in rows]


def pairs(
    catalog: Catalog, spaces: Sequence[Space], root_id: int, *, scope: str = ""
) -> dict[str, tuple[OwedPair, frozenset[Space]]]:
    """The names of a root, within a scope, whose pair has no vector in some of the spaces: which pair, which spaces.

    Without those that could not be used when they were tried last.
    """
    where, values = within(root_id, scope, table="n")
    owed: dict[str, tuple[OwedPair, frozenset[Space]]] = {}
    for space in spaces:
        rows = catalog.all(
            f"SELECT n.key, c.sha256, t.text {_OWED[PAIR]} AND {where} AND NOT EXISTS "
            "(SELECT 1 FROM refusals f WHERE f.root_id = n.root_id AND f.key = n.key)",
            (space.name, space.revision, *values),
        )
        for key, sha256, text in rows:
            already = owed[key][1] if key in owed else frozenset()
            owed[key] = OwedPair(sha256, text), already | {space}
    return owed


def looks(
    catalog: Catalog,
    spaces: Sequence[Space],
    root_id: int,
    *,
    scope: str = "",
    text_task: str | None = None,
) -> dict[str, OwedLook]:
    """The names of a root, within a scope, whose picture lacks regions in some of the spaces, or was not read for text.

    Regions are lacking where those that a space has are not just those of the present tiling. `text_task` is the task
    of reading (None: that is not asked for). Without names that could not be used when they were tried last.
    """
    where, values = within(root_id, scope, table="n")
    named = (
        f"FROM names n JOIN contents c ON c.id = n.content_id WHERE {where} AND c.width IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM refusals f WHERE f.root_id = n.root_id AND f.key = n.key)"
    )
    found: dict[str, OwedLook] = {}
    for space in spaces:
        rows = catalog.all(
            f"SELECT n.key, c.sha256, c.width, c.height, ({_BOXES}) {named}",
            (space.name, space.revision, *values),
        )
        for key, sha256, width, height, held in rows:
            boxes = tiles.boxes(width, height)
            if set(map(box_text, boxes)) != set((held or "").split()):
                known = found.get(key, OwedLook(sha256, boxes))
                found[key] = replace(known, spaces=known.spaces | {space})
    for key, sha256 in _unread(catalog, named, values, text_task) if text_task else ():
        found[key] = replace(found.get(key, OwedLook(sha256)), text=True)
    return found


_BOXES = (
    "SELECT group_concat(p.box, ' ') FROM parts p JOIN rows r ON r.part_id = p.id "
    "JOIN segments g ON g.id = r.segment_id JOIN spaces s ON s.id = g.space_id "
    "WHERE p.content_id = c.id AND p.kind = 'region' AND s.name = ? AND s.revision = ?"
)


def _unread(catalog: Catalog, named: str, values: Sequence[Any], task: str) -> list[tuple[str, bytes]]:
    """The names whose picture has not been read for text by just this task."""
    return catalog.all(
        f"SELECT n.key, c.sha256 {named} AND NOT EXISTS "
        "(SELECT 1 FROM done d WHERE d.content_id = c.id AND d.task || '@' || d.version = ?)",
        (*values, task),
    )
