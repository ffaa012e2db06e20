"""Concepts: what a person ticked and crossed under a name, and which pictures it had when it was last refreshed.

These are the person's own rows. They are changed by short transactions beside the one writer of vectors.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from picfind import keys
from picfind.errors import UsageError
from picfind.storage.catalog import Catalog, Transaction

LONGEST_NAME = 80
"""Characters of a name."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A concept as the catalog has it. `query` is JSON (`search/concepts.py` reads it), `where` a filter as it was written.

    `liked` and `disliked` are SHA-256 of pictures, which need not be in the gallery any more; times are seconds since
    the epoch.
    """

    name: str
    query: str
    where: str = ""
    min_score: float | None = None
    liked: tuple[bytes, ...] = ()
    disliked: tuple[bytes, ...] = ()
    added: float = 0.0
    refreshed: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a refresh found: pictures that are new, and that have left, by SHA-256; and how many there are now."""

    new: tuple[bytes, ...]
    left: tuple[bytes, ...]
    count: int


def checked_name(name: str) -> str:
    """A name as it is kept, in NFC. Raises UsageError where it can be none."""
    name = unicodedata.normalize("NFC", name)
    odd = any(unicodedata.category(sign)[0] == "C" for sign in name)
    if not 1 <= len(name) <= LONGEST_NAME or odd or name != name.strip() or name[0] in "@-":
        raise UsageError(
            f"A concept cannot be called {keys.shown(name)!r}: a name has 1 to {LONGEST_NAME} characters, none of "
            "them a control character, no space at either end, and begins neither with @ nor with -."
        )
    return name


def save(catalog: Catalog, concept: Saved, *, replace: bool = False) -> None:
    """Keep a concept; with `replace`, in place of the one of its name, whose members it takes over until it is refreshed.

    Raises UsageError for a name that is taken or cannot be one, ReadOnlyGalleryError, GalleryWriteError.
    """
    name = checked_name(concept.name)
    with catalog.transaction() as change:
        known = change.run("SELECT id, name FROM concepts WHERE name = ?", (name,)).fetchone()
        if known and not replace:
            raise UsageError(f"There is a concept {known[1]!r} already. Replace it, or choose another name.")
        change.run(
            "INSERT INTO concepts (name, query, filter, min_score, added) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET name = excluded.name, query = excluded.query, "
            "filter = excluded.filter, min_score = excluded.min_score",
            (name, concept.query, concept.where, concept.min_score, time.time()),
        )
        number = change.one("SELECT id FROM concepts WHERE name = ?", (name,))[0]
        _set_examples(change, number, concept.liked, concept.disliked)


def concepts(catalog: Catalog) -> list[Saved]:
    """All concepts, by name."""
    with catalog.reading():
        rows = catalog.all(f"{_SELECT} ORDER BY name COLLATE NOCASE, name")
        return [_saved(catalog, row) for row in rows]


def get(catalog: Catalog, name: str) -> Saved:
    """The concept of a name. Raises UsageError, which says what there is."""
    with catalog.reading():
        row = catalog.first(f"{_SELECT} WHERE name = ?", (_looked_up(name),))
        if row is None:
            raise _unknown(
                name, [entry[0] for entry in catalog.all("SELECT name FROM concepts ORDER BY name")]
            )
        return _saved(catalog, row)


def rename(catalog: Catalog, old: str, new: str) -> None:
    """Raises UsageError for a name that is not there, or that is taken by another."""
    new = checked_name(new)
    with catalog.transaction() as change:
        number = _number(change, old)
        taken = change.run("SELECT name FROM concepts WHERE name = ? AND id <> ?", (new, number)).fetchone()
        if taken:
            raise UsageError(
                f"There is a concept {taken[0]!r} already. Drop it first, or choose another name."
            )
        change.run("UPDATE concepts SET name = ? WHERE id = ?", (new, number))


def drop(catalog: Catalog, name: str) -> None:
    """Forget a concept. No picture is touched. Raises UsageError."""
    with catalog.transaction() as change:
        change.run("DELETE FROM concepts WHERE id = ?", (_number(change, name),))


def add_examples(
    catalog: Catalog, name: str, *, liked: Collection[bytes] = (), disliked: Collection[bytes] = ()
) -> None:
    """Tick and cross further pictures; one that was ticked before and is crossed now is crossed. Raises UsageError."""
    with catalog.transaction() as change:
        number = _number(change, name)
        _refuse_both(liked, disliked)
        _add_examples(change, number, liked, disliked)


def members(catalog: Catalog, name: str) -> frozenset[bytes]:
    """The pictures that it had when it was last refreshed, by SHA-256. Raises UsageError."""
    rows = catalog.all(
        "SELECT m.sha256 FROM members m JOIN concepts c ON c.id = m.concept_id WHERE c.name = ?",
        (get(catalog, name).name,),
    )
    return frozenset(bytes(row[0]) for row in rows)


def refresh(catalog: Catalog, name: str, found: Sequence[bytes]) -> Difference:
    """Write down which pictures it has now; gives what is new, in their order, and what has left. Raises UsageError."""
    now = time.time()
    with catalog.transaction() as change:
        number = _number(change, name)
        rows = change.run("SELECT sha256 FROM members WHERE concept_id = ? ORDER BY added, sha256", (number,))
        before = {bytes(row[0]): None for row in rows.fetchall()}
        after = dict.fromkeys(found)
        new = [digest for digest in after if digest not in before]
        left = [digest for digest in before if digest not in after]
        change.run_many(
            "DELETE FROM members WHERE concept_id = ? AND sha256 = ?", [(number, digest) for digest in left]
        )
        change.run_many("INSERT INTO members VALUES (?, ?, ?)", [(number, digest, now) for digest in new])
        change.run("UPDATE concepts SET refreshed = ? WHERE id = ?", (now, number))
    return Difference(tuple(new), tuple(left), len(after))


_SELECT = "SELECT name, query, filter, min_score, added, refreshed, id FROM concepts"


def _saved(catalog: Catalog, row: tuple[object, ...]) -> Saved:
    name, query, where, min_score, added, refreshed, number = row
    examples = catalog.all(
        "SELECT sha256, liked FROM examples WHERE concept_id = ? ORDER BY sha256", (number,)
    )
    liked = tuple(bytes(sha256) for sha256, good in examples if good)
    disliked = tuple(bytes(sha256) for sha256, good in examples if not good)
    return Saved(
        str(name),
        str(query),
        str(where),
        None if min_score is None else float(str(min_score)),
        liked,
        disliked,
        float(str(added)),
        None if refreshed is None else float(str(refreshed)),
    )


def _number(change: Transaction, name: str) -> int:
    row = change.run("SELECT id FROM concepts WHERE name = ?", (_looked_up(name),)).fetchone()
    if row is None:
        raise _unknown(name, [entry[0] for entry in change.run("SELECT name FROM concepts ORDER BY name")])
    return int(row[0])


def _looked_up(name: str) -> str:
    """A name as it is kept; the @ that a query writes before it does no harm."""
    return unicodedata.normalize("NFC", name).removeprefix("@")


def _unknown(name: str, known: Sequence[str]) -> UsageError:
    told = ", ".join(known) or "none yet"
    return UsageError(f"There is no concept {keys.shown(name)!r}. The gallery has: {told}.")


def _set_examples(
    change: Transaction, number: int, liked: Collection[bytes], disliked: Collection[bytes]
) -> None:
    _refuse_both(liked, disliked)
    change.run("DELETE FROM examples WHERE concept_id = ?", (number,))
    _add_examples(change, number, liked, disliked)


def _add_examples(
    change: Transaction, number: int, liked: Collection[bytes], disliked: Collection[bytes]
) -> None:
    rows = [(number, digest, int(good)) for good, some in ((1, liked), (0, disliked)) for digest in some]
    change.run_many(
        "INSERT INTO examples VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET liked = excluded.liked", rows
    )


def _refuse_both(liked: Collection[bytes], disliked: Collection[bytes]) -> None:
    both = sorted(set(liked) & set(disliked))
    if both:
        raise UsageError(
            f"The picture sha256:{both[0].hex()[:12]} is both liked and disliked. Leave it out of one of the two."
        )
