"""The spaces of a gallery: what their vectors stand for, which are searched, and how one is dropped."""

from __future__ import annotations

import time
from collections.abc import Sequence

from picfind.errors import EncoderError, UnknownSpaceError
from picfind.storage.catalog import Catalog, Transaction
from picfind.types import PAIR, PICTURE, WORDS, Space

PICTURES = (PICTURE, PAIR)
"""The kinds that are searched as pictures."""


def spaces(catalog: Catalog, *, kinds: Sequence[str] = (*PICTURES, WORDS)) -> list[Space]:
    """The spaces of a gallery, those of some kinds: the one that is searched comes first."""
    marks = ", ".join("?" * len(kinds))
    rows = catalog.all(
        f"SELECT name, revision, dim FROM spaces WHERE kind IN ({marks}) ORDER BY kind = 'words', chosen DESC, id",
        tuple(kinds),
    )
    return [Space(*row) for row in rows]


def searched(catalog: Catalog) -> list[Space]:
    """The spaces that are searched and kept up to date: one of pictures, one of words, where there are any."""
    return [*spaces(catalog, kinds=PICTURES)[:1], *spaces(catalog, kinds=(WORDS,))[:1]]


def kind_of(catalog: Catalog, space: Space) -> str:
    """What the vectors of a space stand for. Raises UnknownSpaceError."""
    return str(catalog.one("SELECT kind FROM spaces WHERE id = ?", (space_id(catalog, space),))[0])


def role_of(catalog: Catalog, space: Space) -> str:
    """What a query is matched against in a space: `pictures` or `words`. Raises UnknownSpaceError."""
    return "words" if kind_of(catalog, space) == WORDS else "pictures"


def space_id(catalog: Catalog, space: Space) -> int:
    """Raises UnknownSpaceError, which names the spaces that are there."""
    row = catalog.first("SELECT id FROM spaces WHERE name = ? AND revision = ?", (space.name, space.revision))
    if row is None:
        known = ", ".join(str(entry) for entry in spaces(catalog)) or "none yet"
        raise UnknownSpaceError(
            f"The gallery {catalog.path.parent} has no vectors of {space}. It has: {known}. "
            f"Run `picfind index --model {space.name}` on its folders to add them."
        )
    return int(row[0])


def add_space(change: Transaction, space: Space, kind: str) -> int:
    """The id of a space, which is added where it is new. Raises EncoderError where it is known as something else."""
    change.run(
        "INSERT OR IGNORE INTO spaces (name, revision, dim, kind, added) VALUES (?, ?, ?, ?, ?)",
        (space.name, space.revision, space.dim, kind, time.time()),
    )
    number, *known = change.one(_KNOWN, (space.name, space.revision))
    _refuse_other(space, kind, known)
    return int(number)


_KNOWN = "SELECT id, dim, kind FROM spaces WHERE name = ? AND revision = ?"


def check_same(catalog: Catalog, space: Space, kind: str) -> None:
    """Raises EncoderError where a space is known with another dimension, or to stand for something else."""
    row = catalog.first(_KNOWN, (space.name, space.revision))
    if row is not None:
        _refuse_other(space, kind, row[1:])


def _refuse_other(space: Space, kind: str, known: Sequence[object]) -> None:
    if tuple(known) != (space.dim, kind):
        raise EncoderError(
            f"The vectors of {space} are {space.dim}-d and of kind {kind!r}; the gallery knows them as {known[0]}-d and "
            f"of kind {known[1]!r}. Give the model another name or another revision."
        )


def choose(change: Transaction, number: int) -> None:
    """Make a space the one that is searched, of those that stand for pictures or of those that stand for words."""
    change.run(
        "UPDATE spaces SET chosen = (id = ?) WHERE (kind = 'words') = (SELECT kind = 'words' FROM spaces WHERE id = ?) "
        "AND chosen <> (id = ?)",
        (number, number, number),
    )
