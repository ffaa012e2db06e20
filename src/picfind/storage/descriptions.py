"""What the catalog says of a picture, for answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from picfind.storage import roots
from picfind.storage.catalog import Catalog
from picfind.storage.names import DATED_BY_NAME, FACTS
from picfind.storage.wording import words_of
from picfind.types import CAPTION, HINTS, TAG, TITLE, Ids


@dataclass(frozen=True, slots=True)
class Described:
    """What the catalog says of one content: its places as (root id, key), its facts and dates, its words."""

    sha256: bytes
    places: tuple[tuple[int, str], ...]
    metadata: Mapping[str, object]
    caption: str | None = None


def describe(catalog: Catalog, content_ids: Sequence[int]) -> dict[int, Described]:
    """What an answer shows of some contents; one that has no name any more is left out."""
    found = {content_id: _describe(catalog, content_id) for content_id in content_ids}
    return {content_id: described for content_id, described in found.items() if described is not None}


def named(catalog: Catalog) -> Ids:
    """The content ids (n,), ascending, of all pictures that have a name."""
    rows = catalog.all("SELECT DISTINCT content_id FROM names ORDER BY content_id")
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def dates(catalog: Catalog, content_ids: Sequence[int]) -> dict[int, str]:
    """The best known date (ISO 8601) of each of many contents; one without any is left out."""
    taken: dict[int, str] = dict(
        catalog.all_of("SELECT id, taken FROM contents WHERE taken IS NOT NULL AND id IN (?)", content_ids)
    )
    told: dict[int, list[tuple[str | None, str | None]]] = {}
    for content_id, dated, source in catalog.all_of(
        "SELECT content_id, dated, dated_from FROM names WHERE content_id IN (?)", content_ids
    ):
        told.setdefault(content_id, []).append((dated, source))
    best = {content_id: _best_date(taken.get(content_id), own)[0] for content_id, own in told.items()}
    return {content_id: date for content_id, date in best.items() if date}


def paths(catalog: Catalog, content_ids: Sequence[int]) -> dict[int, str]:
    """The first place of each of many contents: what an answer shows as its path."""
    with catalog.reading():  # a root may be moved or forgotten meanwhile
        rows = catalog.all_of(
            "SELECT content_id, key, root_id FROM names WHERE content_id IN (?)", content_ids
        )
        every = {root.id: root for root in roots.roots(catalog)}
    first: dict[int, str] = {}
    for content_id, key, root_id in sorted(rows, key=lambda row: (row[1], row[2])):
        if content_id not in first:
            first[content_id] = every[root_id].place(key)
    return first


def _describe(catalog: Catalog, content_id: int) -> Described | None:
    row = catalog.first(f"SELECT sha256, bytes, {', '.join(FACTS)} FROM contents WHERE id = ?", (content_id,))
    places = catalog.all(
        "SELECT root_id, key, dated, dated_from FROM names WHERE content_id = ? ORDER BY key, root_id",
        (content_id,),
    )
    if row is None or not places:
        return None
    metadata = dict(zip(("bytes", *FACTS), row[1:], strict=True))
    metadata["taken"], metadata["taken_from"] = _best_date(metadata["taken"], [place[2:] for place in places])
    words = words_of(catalog, content_id)
    metadata["title"] = next((entry.text for entry in words if entry.kind == TITLE), None)
    tags = [entry.text for entry in words if entry.kind == TAG and entry.origin not in HINTS]
    metadata["tags"] = tags or None
    caption = next((entry.text for entry in words if entry.kind == CAPTION), None)
    return Described(row[0], tuple((root_id, key) for root_id, key, _, _ in places), metadata, caption)


def _best_date(
    taken: str | None, dates: Sequence[tuple[str | None, str | None]]
) -> tuple[str | None, str | None]:
    """EXIF's date, else the earliest in a file's name, else the earliest file time; and where it is from."""
    if taken:
        return taken, "EXIF"
    known = sorted((source != DATED_BY_NAME, date, source) for date, source in dates if date)
    return (known[0][1], known[0][2]) if known else (None, None)
