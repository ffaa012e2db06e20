"""What a filter is: a small tree of conditions on what the catalog says of a picture.

`picfind.search.filters` reads one from text, `picfind.storage.selection` finds the pictures that fit; neither knows
the other. `str` of a filter is text that reads as the same filter again.

A filter is about one name of a picture and the content that it points at. What is not known fits no condition, so
`not` of that condition fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

AMOUNTS = ("size", "width", "height", "megapixels", "altitude")
"""Fields that are numbers: bytes, pixels, pixels, millions of pixels, metres."""
DATES = ("date", "added")
"""When it was taken, as well as the catalog knows; when the content first came into the gallery."""
TEXTS = (
    *("camera", "lens", "format", "extension", "path", "folder", "name", "tag", "title", "caption"),
)  # fmt: skip
SHAPES = ("portrait", "landscape", "square", "panorama")
"""Higher than wide; wider than high; as wide as high; at least twice as wide as high (which is also a landscape)."""
THINGS = ("caption", "title", "tag", "place", "altitude", "camera", "lens")
"""What a picture may have or not."""

EQUALS, CONTAINS, GLOB = "=", "~", ":"
"""How a text is compared; always without regard to case and to accents."""
RANGE = ".."


@dataclass(frozen=True, slots=True)
class Amount:
    """A number compared by `=`, `<`, `<=`, `>`, `>=`, or within `..`, from `value` to `high`, both included."""

    field: str
    operator: str
    value: float
    high: float = 0.0

    def __str__(self) -> str:
        if self.operator == RANGE:
            return f"{self.field} in {_number(self.value)}..{_number(self.high)}"
        return f"{self.field} {self.operator} {_number(self.value)}"


@dataclass(frozen=True, slots=True)
class Moment:
    """A date from `low` on and before `high`; None: no bound.

    Bounds are ISO 8601 to the day or, where it is not midnight, to the second, without a time zone: the clock on the
    wall. So ISO texts compare as texts, whether they are days or moments, with or without an offset at their end.
    """

    field: str
    low: str | None
    high: str | None

    def __str__(self) -> str:
        if self.high is None:
            return f"{self.field} >= {self.low}"
        if self.low is None:
            return f"{self.field} < {self.high}"
        return f"{self.field} in {self.low}..{_last_before(self.high)}"


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is equal to `value` (`=`), contains it (`~`), or fits it as a pattern of `*` and `?` (`:`)."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Shape:
    """One of SHAPES."""

    name: str

    def __str__(self) -> str:
        return f"shape = {self.name}"


@dataclass(frozen=True, slots=True)
class Has:
    """One of THINGS is known. Tags, titles and captions count when somebody wrote them: no file's or folder's name."""

    thing: str

    def __str__(self) -> str:
        return f"has {self.thing}"


@dataclass(frozen=True, slots=True)
class Near:
    """Taken at most `metres` from a place, which is given in degrees, north and east positive."""

    latitude: float
    longitude: float
    metres: float

    def __str__(self) -> str:
        numbers = (_number(value) for value in (self.latitude, self.longitude, self.metres))
        return f"near({', '.join(numbers)}m)"


@dataclass(frozen=True, slots=True)
class Content:
    """The SHA-256 of the bytes begins with these hex digits."""

    prefix: str

    def __str__(self) -> str:
        return f"content = {self.prefix}"


@dataclass(frozen=True, slots=True)
class And:
    """Every part fits."""

    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        return " and ".join(_grouped(part, And, Or) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part fits."""

    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        return " or ".join(_grouped(part, Or) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not fit."""

    part: Filter

    def __str__(self) -> str:
        return f"not {_grouped(self.part, And, Or)}"


Condition: TypeAlias = Amount | Moment | Text | Shape | Has | Near | Content
Filter: TypeAlias = Condition | And | Or | Not


def quoted(text: str) -> str:
    """A text between double quotes, as a filter has it."""
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(sign, escaped)
    return f'"{text}"'


def _grouped(part: Filter, *kinds: type[And | Or]) -> str:
    """A part, in parentheses where it is of one of these kinds."""
    return f"({part})" if isinstance(part, kinds) else str(part)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _last_before(bound: str) -> str:
    """The last day, or the last second, before a bound."""
    if "T" in bound:
        return (datetime.fromisoformat(bound) - timedelta(seconds=1)).isoformat()
    return (date.fromisoformat(bound) - timedelta(days=1)).isoformat()
