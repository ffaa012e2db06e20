"""What the catalog's statements compute beyond SQLite's own functions: texts without case and accents, distances.

All are deterministic and give NULL, or 0, for what is not known; none ever raises.
"""

from __future__ import annotations

import math
import re
import sqlite3
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from picfind.filters import CONTAINS, GLOB

EARTH = 6_371_008.8
"""Metres: the mean radius of the Earth (Moritz, Geodetic Reference System 1980, R1)."""
WHOLE, NAME, FOLDER, EXTENSION = "whole", "name", "folder", "extension"
"""What `fits` looks at: the text itself, or that piece of a path."""
_PLAIN = frozenset("0123456789_-./ ")
_ACCENTS = re.compile("[\u0300-\u036f]")
"""The marks on letters of Latin, Greek and Cyrillic. Those of other scripts make other letters, and stay."""


def define(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection.

    `fits(text, piece, operator, value)`: whether a piece of a text fits; `metres(lat, lon, lat, lon)`: a distance.
    """
    connection.create_function("fits", 4, _fits, deterministic=True)
    connection.create_function("metres", 4, _metres, deterministic=True)


def piece_of(text: str, piece: str) -> str | None:
    """The part of a path that is wanted; None where it has none."""
    folder, _, name = text.rpartition("/")
    if piece == EXTENSION:
        return name.rpartition(".")[2] if "." in name else None
    return {NAME: name, FOLDER: folder}.get(piece, text)


def folded(text: str) -> str:
    """A text without case and accents, in NFC: texts are compared in this form."""
    if text.isascii():
        return text.lower()
    # twice: the case of some letters shows only when they are taken apart (Unicode 3.13, D145)
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain))


def like(operator: str, value: str) -> str:
    r"""The pattern of `LIKE ... ESCAPE '\'` that says for ASCII texts what `fits` says for all."""
    pattern = re.sub(r"[\\%_]", r"\\\g<0>", folded(value))
    if operator == GLOB:
        return pattern.replace("*", "%").replace("?", r"_")
    return f"%{pattern}%" if operator == CONTAINS else pattern


def loosely(value: str) -> str | None:
    """A pattern of LIKE that every text fits in which `value` can be found; None where all texts may.

    Only signs that nothing but themselves folds to are demanded: an `e` may be an `é` in the text.
    """
    kept = "".join(sign if sign in _PLAIN else "*" for sign in folded(value))
    inner = re.sub(r"\*+", "%", kept).replace("_", r"\_")
    return None if inner.strip("%") == "" else f"%{inner}%"


def distance(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Metres along the Earth taken as a ball, by the haversine formula; off by up to 0.6 %."""
    phi, to_phi = math.radians(latitude), math.radians(to_latitude)
    turn = math.radians(to_longitude - longitude)
    half = math.sin((to_phi - phi) / 2) ** 2 + math.cos(phi) * math.cos(to_phi) * math.sin(turn / 2) ** 2
    return 2 * EARTH * math.asin(math.sqrt(min(1.0, half)))


def _fits(text: object, piece: str, operator: str, value: str) -> int | None:
    part = piece_of(text, piece) if isinstance(text, str) else None
    return None if part is None else int(_test(operator, value)(folded(part)))


def _metres(*places: object) -> float | None:
    numbers = [place for place in places if isinstance(place, int | float)]
    return distance(*numbers) if len(numbers) == len(places) else None


@lru_cache(64)
def _test(operator: str, value: str) -> Callable[[str], bool]:
    """What says whether a folded text fits."""
    wanted = folded(value)
    if operator == CONTAINS:
        return lambda text: wanted in text
    if operator == GLOB:
        return _glob(wanted)
    return lambda text: text == wanted


def _glob(pattern: str) -> Callable[[str], bool]:
    """Each part between stars is looked for from where the one before ended: never slower than text times pattern."""
    first, *others = pattern.split("*")
    start, middle, end = _part(first), [_part(part) for part in others[:-1]], _part(pattern.split("*")[-1])

    def test(text: str) -> bool:
        if not others:
            return start.fullmatch(text) is not None
        found = start.match(text)
        for part in middle:
            found = part.search(text, found.end()) if found else None
        tail = len(text) - len(others[-1])
        return found is not None and tail >= found.end() and end.match(text, tail) is not None

    return test


def _part(pattern: str) -> re.Pattern[str]:
    return re.compile("".join("." if sign == "?" else re.escape(sign) for sign in pattern), re.DOTALL)
