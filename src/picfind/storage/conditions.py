"""The conditions of a filter in SQL: on a content `c`, on a name `n` of it, and on the root `r` of the name.

Every value is a parameter. NULL stands for what is not known.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from picfind.filters import (
    CONTAINS,
    EQUALS,
    GLOB,
    RANGE,
    Amount,
    Condition,
    Content,
    Has,
    Moment,
    Near,
    Shape,
    Text,
)
from picfind.storage import functions
from picfind.storage.functions import EARTH, WHOLE, like
from picfind.storage.names import DATED_BY_NAME
from picfind.types import CAPTION, FILE_NAME, FOLDER, TAG, TITLE

CONTENT, NAME, PLACE = frozenset("c"), frozenset("n"), frozenset("nr")
"""What a condition looks at: the content, a name of it, the name together with its root."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition in SQL, the values of its question marks, and the tables that it looks at."""

    sql: str
    values: tuple[object, ...] = ()
    sees: frozenset[str] = CONTENT
    listed: bool = False
    """It lists names by their ids, so that only these need be looked at."""
    dear: bool = False
    """It takes several times as long as comparing a number: what is cheap is asked first."""


_AMOUNTS = {
    "size": "c.bytes",
    "width": "c.width",
    "height": "c.height",
    "megapixels": "c.width * c.height / 1000000.0",
    "altitude": "c.altitude",
}
_SHAPES = {
    "portrait": "c.height > c.width",
    "landscape": "c.width > c.height",
    "square": "c.width = c.height",
    "panorama": "c.width >= 2 * c.height",
}
_KNOWN = {
    "place": "c.latitude IS NOT NULL",
    "altitude": "c.altitude IS NOT NULL",
    "camera": "(c.camera_make IS NOT NULL OR c.camera_model IS NOT NULL)",
    "lens": "c.lens IS NOT NULL",
}
_BEST = f"substr(min((d.dated_from IS NOT '{DATED_BY_NAME}') || d.dated), 2)"
"""The least date of the better kind: `0` before those of a file's name, `1` before file times."""
_WORDS = {"tag": TAG, "title": TITLE, "caption": CAPTION}

_FOLDER = "iif(kind = 'folder', location, substr(location, 1, instr(location || '?', '?') - 1))"
_LOCATION = f"replace({_FOLDER}, '\\', '/')" if os.sep == "\\" else _FOLDER
ROOTS = (
    f"(SELECT id, CASE kind WHEN 'urls' THEN '' ELSE rtrim({_LOCATION}, '/') || '/' END AS place "
    "FROM roots LIMIT -1)"
)
"""What `r` stands for: what keys lie below, as in `roots.Root.place`, and nothing for keys that are whole URLs. The limit,
which is none, has SQLite compute the few places once and not for every name."""
_PLACE = "(r.place || n.key)"
_OF_CONTENT = "ifnull(camera_make, '') || ifnull(camera_model, '') || ifnull(lens, '') || ifnull(format, '')"


def _unusual(text: str) -> str:
    """Whether a text is not ASCII alone."""
    return f"length({text}) <> length(CAST({text} AS BLOB))"


_UNUSUAL_CONTENT = f"c.id IN (SELECT id FROM contents WHERE {_unusual(_OF_CONTENT)})"
"""Written as in the schema, whose index then holds the few ids; computing it for each content takes far longer."""
_MAKE_AND_MODEL = "coalesce(c.camera_make || ' ' || c.camera_model, c.camera_model, c.camera_make)"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the texts of a field are: one of `texts` must fit, or the `piece` of one (see `functions.piece_of`).

    `unusual` is true where one of them is not ASCII alone, and may be true elsewhere. The first text contains the
    others, at its end where `outer` is set.
    """

    texts: tuple[str, ...]
    unusual: str
    piece: str = WHOLE
    outer: bool = False
    sees: frozenset[str] = CONTENT


_SOURCES = {
    "camera": _Source(
        (_MAKE_AND_MODEL, "c.camera_model", "c.camera_make"),
        _UNUSUAL_CONTENT,
    ),
    "lens": _Source(("c.lens",), _UNUSUAL_CONTENT),
    "format": _Source(("c.format",), _UNUSUAL_CONTENT),
    "path": _Source((_PLACE, "n.key"), _unusual(_PLACE), outer=True, sees=PLACE),
    "folder": _Source((_PLACE, "n.key"), _unusual(_PLACE), functions.FOLDER, outer=True, sees=PLACE),
    "name": _Source(("n.key",), _unusual("n.key"), functions.NAME, sees=NAME),
    "extension": _Source(("n.key",), _unusual("n.key"), functions.EXTENSION, sees=NAME),
}


def clause_of(condition: Condition) -> Clause:
    """A condition as SQL."""
    match condition:
        case Amount():
            return _amount(condition)
        case Moment():
            return _added(condition) if condition.field == "added" else _dated(condition)
        case Shape():
            return Clause(_SHAPES[condition.name])
        case Has():
            return Clause(_KNOWN[condition.thing]) if condition.thing in _KNOWN else _has_words(condition)
        case Near():
            return _near(condition)
        case Content():
            return _begins(condition)
        case Text():
            return _in_words(condition) if condition.field in _WORDS else _text(condition)


def _amount(condition: Amount) -> Clause:
    column = _AMOUNTS[condition.field]
    if condition.operator == RANGE:
        return Clause(f"{column} BETWEEN ? AND ?", (condition.value, condition.high))
    return Clause(f"{column} {condition.operator} ?", (condition.value,))


def _between(column: str, low: object, high: object) -> Clause:
    """From `low` on and before `high`, where they are not None."""
    bounds = [(f"{column} >= ?", low), (f"{column} < ?", high)]
    given = [(sql, value) for sql, value in bounds if value is not None]
    return Clause(" AND ".join(sql for sql, _ in given), tuple(value for _, value in given))


def _dated(condition: Moment) -> Clause:
    """EXIF's date, else the earliest in a file's name, else the earliest file time, as in `storage.descriptions`."""
    own = _between("c.taken", condition.low, condition.high)
    some = _between("d.dated", condition.low, condition.high)
    best = _between(_BEST, condition.low, condition.high)
    # a content whose best date lies within has a name whose date does: the others are passed over in one go
    other = (
        f"c.taken IS NULL AND c.id IN (SELECT d.content_id FROM names d WHERE {some.sql}) "
        f"AND (SELECT {best.sql} FROM names d WHERE d.content_id = c.id AND d.dated IS NOT NULL)"
    )
    return Clause(f"(({own.sql}) OR ({other}))", own.values + some.values + best.values)


def _added(condition: Moment) -> Clause:
    clause = _between("c.added", _seconds(condition.low), _seconds(condition.high))
    return Clause(f"({clause.sql})", clause.values)


def _seconds(bound: str | None) -> float | None:
    """Seconds since the epoch, by this machine's clock."""
    if bound is None:
        return None
    moment = datetime.fromisoformat(bound)
    try:
        return moment.timestamp()
    except (OverflowError, OSError, ValueError):  # far from today, where an hour makes no difference
        return (moment - datetime(1970, 1, 1)).total_seconds()


def _begins(condition: Content) -> Clause:
    free = 256 - 4 * len(condition.prefix)
    low = int(condition.prefix, 16) << free
    high = low + (1 << free)
    last = high.to_bytes(32, "big") if high < 1 << 256 else None
    clause = _between("c.sha256", low.to_bytes(32, "big"), last)
    return Clause(f"({clause.sql})", clause.values)


_ROOM = 1.000001
"""The box round a circle is drawn a little wider than the circle, for rounding."""


def _near(condition: Near) -> Clause:
    """The distance is computed only within a box, which SQLite compares by itself."""
    north = math.degrees(condition.metres / EARTH) * _ROOM + 1e-9
    low, high = condition.latitude - north, condition.latitude + north
    box = Clause("c.latitude BETWEEN ? AND ?", (low, high))
    if low > -90 and high < 90:
        east = _width(condition) * _ROOM + 1e-9
        box = _stretch(box, condition.longitude - east, condition.longitude + east)
    return Clause(
        f"({box.sql} AND metres(c.latitude, c.longitude, ?, ?) <= ?)",
        (*box.values, condition.latitude, condition.longitude, condition.metres),
    )


def _width(condition: Near) -> float:
    """Degrees of longitude to where a circle that holds no pole reaches farthest east."""
    reach = math.sin(condition.metres / EARTH) / math.cos(math.radians(condition.latitude))
    return math.degrees(math.asin(min(1.0, reach)))


def _stretch(box: Clause, west: float, east: float) -> Clause:
    """The box with bounds of longitude, which may cross the 180th meridian."""
    if east - west >= 360:
        return box
    sides = [(west, east), (west + 360, 180.0), (-180.0, east - 360)]
    within = [side for side in sides if side[0] <= side[1] and side[0] <= 180 and side[1] >= -180]
    sql = " OR ".join(["c.longitude BETWEEN ? AND ?"] * len(within))
    return Clause(f"{box.sql} AND ({sql})", box.values + tuple(edge for side in within for edge in side))


def _text(condition: Text) -> Clause:
    source = _SOURCES[condition.field]
    clause = _fits(_needed(source, condition), source.unusual, source.piece, condition)
    if not source.outer or condition.operator != CONTAINS or "/" in condition.value:
        return Clause(clause.sql, clause.values, source.sees, dear=True)
    # what has no slash lies within the root's place or within the key: neither need be joined to pass over the most
    loose = functions.loosely(condition.value)
    if loose is None:
        return Clause(clause.sql, clause.values, source.sees, dear=True)
    sql = f"((n.key LIKE ? ESCAPE '\\' OR r.place LIKE ? ESCAPE '\\') AND {clause.sql})"
    return Clause(sql, (loose, loose, *clause.values), source.sees, dear=True)


def _needed(source: _Source, condition: Text) -> tuple[str, ...]:
    """Not those texts that fit only where the first one does."""
    anywhere = condition.operator == CONTAINS
    at_end = source.outer and condition.operator == GLOB and condition.value.startswith("*")
    return source.texts[:1] if anywhere or at_end else source.texts


def _fits(texts: Sequence[str], unusual: str, piece: str, condition: Text) -> Clause:
    """LIKE, which SQLite has itself and which ignores the case of ASCII, decides for ASCII; a function for the rest.

    For a piece, LIKE only says which texts contain what is wanted at all, and the function looks closer.
    """
    plain = [_plainly(text, piece, condition) for text in texts]
    exactly = (piece, condition.operator, condition.value)
    fits = [Clause(f"fits({text}, ?, ?, ?)", exactly) for text in texts]
    loose = functions.loosely(condition.value)
    first = [] if loose is None else [Clause(f"{text} LIKE ? ESCAPE '\\'", (loose,)) for text in texts]
    whole = f"CASE WHEN {unusual} THEN {_either(fits)} ELSE {_either(plain)} END"
    sql = f"(({_either(first)}) AND {whole})" if first else f"({whole})"
    return Clause(sql, tuple(value for clause in (*first, *fits, *plain) for value in clause.values))


def _either(clauses: Sequence[Clause]) -> str:
    return " OR ".join(clause.sql for clause in clauses)


def _plainly(text: str, piece: str, condition: Text) -> Clause:
    """Whether a text of ASCII fits."""
    pattern, like_it = like(condition.operator, condition.value), f"{text} LIKE ? ESCAPE '\\'"
    if piece == WHOLE:
        return Clause(like_it, (pattern,))
    if piece == functions.EXTENSION and condition.operator == EQUALS and not {".", "/"} & {*condition.value}:
        return Clause(like_it, (f"%.{pattern}",))
    exactly = (piece, condition.operator, condition.value)
    return Clause(f"({like_it} AND fits({text}, ?, ?, ?))", (f"%{pattern}%", *exactly))


def _has_words(condition: Has) -> Clause:
    return _whose("w.kind = ?", (_WORDS[condition.thing],))


def _in_words(condition: Text) -> Clause:
    fits = _fits(("t.text",), _unusual("t.text"), WHOLE, condition)
    return _whose(
        # the plus keeps SQLite from looking at all words of the kind instead of those of the few texts
        f"+w.kind = ? AND w.text_id IN (SELECT t.id FROM texts t WHERE {fits.sql})",
        (_WORDS[condition.field], *fits.values),
    )


def _whose(which: str, values: tuple[object, ...]) -> Clause:
    """The names that some words belong to, or whose content they do."""
    return Clause(
        "n.id IN (SELECT coalesce(w.name_id, m.id) FROM words w LEFT JOIN names m ON m.content_id = w.content_id "
        f"WHERE {which} AND +w.origin NOT IN ('{FILE_NAME}', '{FOLDER}'))",
        values,
        NAME,
        listed=True,
    )
