r"""Filters as people write them: `date>=2023 and camera~"Canon" and not path:"*/raw/*"`.

    filter      conditions joined by `and`, `or`, `not` and parentheses; `not` binds most, then `and`, then `or`
    condition   FIELD OPERATOR VALUE  |  FIELD in (VALUE, ...)  |  FIELD in VALUE..VALUE
                |  has THING  |  near(LATITUDE, LONGITUDE, RADIUS)
    operator    =  !=  <  <=  >  >=     ~ contains     : fits a pattern of * and ?
    value       a word without blanks, or a text in single or double quotes with \" and \\

`picfind.filters` says what the fields mean. Every mistake is a UsageError that points at its spot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from typing import NoReturn

from picfind.errors import UsageError
from picfind.filters import (
    AMOUNTS,
    CONTAINS,
    DATES,
    EQUALS,
    GLOB,
    RANGE,
    SHAPES,
    TEXTS,
    THINGS,
    Amount,
    And,
    Condition,
    Content,
    Filter,
    Has,
    Moment,
    Near,
    Not,
    Or,
    Shape,
    Text,
)
from picfind.search import filter_values as values
from picfind.search.filter_scanner import BARE, BARE_END, Scanner, Value

_LONGEST = 10_000
_MOST_CONDITIONS = 200
_DEEPEST = 12
"""SQLite takes expressions up to some depth only; nobody writes deeper ones by hand."""

_ORDERED = ("=", "!=", "<", "<=", ">", ">=", "in")
_OPERATORS = {
    **dict.fromkeys((*AMOUNTS, *DATES), _ORDERED),
    **dict.fromkeys(TEXTS, ("=", "!=", CONTAINS, GLOB, "in")),
    "shape": ("=", "!=", "in"),
    "content": ("=", "!=", GLOB, "in"),
}
_OPERATOR = re.compile(r"!=|<=|>=|[=<>~:]|in(?!\w)", re.IGNORECASE)
_OTHER_NAMES = {"orientation": "shape"}
_MEANT = dict.fromkeys(("taken", "datetime", "year"), "date")
_MEANT |= dict.fromkeys(("make", "model"), "camera")
_MEANT |= dict.fromkeys(("keyword", "label"), "tag")
_MEANT |= dict.fromkeys(("place", "gps", "location"), "near")
_MEANT |= {"description": "caption", "type": "format", "directory": "folder", "file": "name", "bytes": "size"}
_MEANT |= {"sha256": "content", "suffix": "extension"}
"""What other tools call the fields."""
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "HEIF", "AVIF")
_FORMAT_NAMES = {"JPG": "JPEG", "TIF": "TIFF", "HEIC": "HEIF"}


def parse_filter(text: str, *, today: date | None = None) -> Filter:
    """Read a filter. `today` is what relative dates count from: this day unless it is given.

    Raises UsageError with the text, a mark under the spot, and what was expected there.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"The filter has {len(text):,} characters; at most {_LONGEST:,} can be read.")
    scanner = Scanner(text)
    found = _Grammar(scanner, today or date.today()).either()
    if scanner.at < len(text):
        wrong = "this ) has no ( before it" if scanner.ahead(")") else "expected `and`, `or` or the end here"
        scanner.fail(wrong)
    return found


def parse_filters(texts: Iterable[str], *, today: date | None = None) -> Filter | None:
    """Read several filters, all of which must fit; None for none. Raises UsageError."""
    found = tuple(parse_filter(text, today=today) for text in texts)
    return And(found) if len(found) > 1 else found[0] if found else None


class _Grammar:
    """Reads filters from a scanner: each method one thing of the grammar."""

    def __init__(self, scanner: Scanner, today: date) -> None:
        self._scan = scanner
        self._today = today
        self._conditions = 0
        self._depth = 0

    def either(self) -> Filter:
        """Conditions with `or` between them."""
        parts = [self._both()]
        while self._scan.takes_word("or"):
            parts.append(self._both())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _both(self) -> Filter:
        parts = [self._one()]
        while self._scan.takes_word("and"):
            parts.append(self._one())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self) -> Filter:
        start = self._scan.at
        self._depth += 1
        if self._depth > _DEEPEST:
            self._too_deep(start)
        found: Filter
        if self._scan.takes_word("not"):
            found = Not(self._one())
        elif self._scan.takes("("):
            found = self.either()
            self._scan.close(start)
        else:
            found = self._condition()
        self._depth -= 1
        return found

    def _too_deep(self, at: int) -> NoReturn:
        self._scan.fail(f"at most {_DEEPEST} levels of parentheses and `not` can be read", at)

    def _condition(self) -> Filter:
        start, word = self._scan.at, self._scan.word()
        if word is None or word in ("and", "or", "in"):
            self._scan.fail("expected a condition such as date>=2023, `not`, or (", start)
        if word == "has":
            return self._counted(Has(self._choice(THINGS)), start)
        if word == "near":
            return self._counted(self._near(start), start)
        field = _OTHER_NAMES.get(word, word)
        if field not in _OPERATORS:
            self._scan.fail(_unknown(word), start)
        return self._compared(field)

    def _compared(self, field: str) -> Filter:
        at, operator = self._scan.at, self._operator(field)
        is_list = operator == "in" and self._scan.ahead("(")
        if (is_list or operator == "!=") and self._depth == _DEEPEST:
            self._too_deep(at)
        if is_list:
            return self._listed(field, at)
        if operator == "in" and field not in (*AMOUNTS, *DATES):
            self._scan.fail("expected ( and a list here: in (a, b)")
        found = self._counted(self._test(field, operator, at), at)
        return Not(found) if operator == "!=" else found

    def _listed(self, field: str, at: int) -> Filter:
        start = self._scan.at
        self._scan.takes("(")
        parts = [self._counted(self._test(field, EQUALS, at), at)]
        while self._scan.takes(","):
            parts.append(self._counted(self._test(field, EQUALS, at), at))
        self._scan.close(start)
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _counted(self, condition: Condition, at: int) -> Condition:
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            self._scan.fail(f"at most {_MOST_CONDITIONS} conditions can be asked for at once", at)
        return condition

    def _operator(self, field: str) -> str:
        at, takes = self._scan.at, ", ".join(_OPERATORS[field])
        operator = self._scan.takes_match(_OPERATOR)
        if operator is None:
            self._scan.fail(f"expected an operator after {field}, which takes {takes}", at)
        if operator not in _OPERATORS[field]:
            self._scan.fail(f"{field} cannot be compared with {operator}; it takes {takes}", at)
        return operator

    def _test(self, field: str, operator: str, at: int) -> Condition:
        """A value, and what it is compared with by `operator`, which stands at `at`."""
        if field in AMOUNTS:
            return self._amount(field, operator, at)
        if field in DATES:
            return self._moment(field, operator, at)
        if field == "shape":
            return Shape(self._choice(SHAPES))
        value = self._scan.value(BARE, f"a value for {field}")
        if field == "content":
            return Content(self._prefix(value))
        comparison = operator if operator in (CONTAINS, GLOB) else EQUALS
        return Text(field, comparison, self._text(field, comparison, value))

    def _amount(self, field: str, operator: str, at: int) -> Amount:
        first, last = self._ends(field, operator, at)
        low = self._scan.checked(first, lambda text: values.amount(field, text))
        if last is None:
            return Amount(field, EQUALS if operator == "!=" else operator, low)
        high = self._scan.checked(last, lambda text: values.amount(field, text))
        if high < low:
            self._scan.fail("the range ends before it begins", first.at)
        return Amount(field, RANGE, low, high)

    def _moment(self, field: str, operator: str, at: int) -> Moment:
        first, last = self._ends(field, operator, at)
        low, high = self._period(first)
        if last is not None:
            high = self._period(last)[1]
            if high <= low:
                self._scan.fail("the range ends before it begins", first.at)
        bounds = {"<": (None, low), "<=": (None, high), ">": (high, None), ">=": (low, None)}
        return Moment(field, *bounds.get(operator, (low, high)))

    def _ends(self, field: str, operator: str, at: int) -> tuple[Value, Value | None]:
        """A value, or the two of a range."""
        first = self._scan.value(BARE_END, values.WANTED[field])
        if not self._scan.takes(RANGE):
            if operator == "in":
                self._scan.fail("expected a list or a range here: in (a, b), or in a..b", first.at)
            return first, None
        if operator not in ("=", "!=", "in"):
            self._scan.fail(f"a range cannot be compared with {operator}; write {field} in a..b", at)
        return first, self._scan.value(BARE_END, "the end of the range")

    def _near(self, start: int) -> Near:
        opened = self._scan.at
        if not self._scan.takes("("):
            self._scan.fail("expected near(LATITUDE, LONGITUDE, RADIUS) here", start)
        latitude = self._degrees(90, "latitude")
        self._scan.comma()
        longitude = self._degrees(180, "longitude")
        self._scan.comma()
        radius = self._scan.value(BARE, "a radius such as 5km")
        metres = self._scan.checked(radius, lambda text: values.amount("radius", text))
        if metres < 0:
            self._scan.fail("a radius cannot be below 0", radius.at)
        self._scan.close(opened)
        return Near(latitude, longitude, metres)

    def _degrees(self, most: float, what: str) -> float:
        value = self._scan.value(BARE, f"the {what} in degrees, such as {most * 0.58:g}")
        degrees = self._scan.checked(value, lambda text: values.amount("degrees", text))
        if abs(degrees) > most:
            self._scan.fail(f"a {what} lies between -{most:g} and {most:g} degrees", value.at)
        return degrees + 0.0  # so that -0 is 0

    def _text(self, field: str, comparison: str, value: Value) -> str:
        text = value.text.lstrip(".") if field == "extension" and comparison == EQUALS else value.text
        if not text:
            self._scan.fail("an empty text fits nothing", value.at)
        if field != "format" or comparison != EQUALS:
            return text
        found = _FORMAT_NAMES.get(text.upper(), text.upper())
        if found not in _FORMATS:
            self._scan.fail(f"there is no such format; known are {', '.join(_FORMATS)}", value.at)
        return found

    def _prefix(self, value: Value) -> str:
        if not re.fullmatch("[0-9a-f]{1,64}", value.text, re.IGNORECASE | re.ASCII):
            self._scan.fail("expected the first hex digits of a SHA-256, at most 64", value.at)
        return value.text.lower()

    def _period(self, value: Value) -> tuple[str, str]:
        return self._scan.checked(value, lambda text: values.period(text, today=self._today))

    def _choice(self, known: tuple[str, ...]) -> str:
        """One of a few words."""
        at, word = self._scan.at, self._scan.word()
        if word not in known:
            self._scan.fail(f"expected {', '.join(known[:-1])} or {known[-1]}{_close(word, known)}", at)
        return word


def _unknown(word: str) -> str:
    known = (*_OPERATORS, "has", "near")
    meant = _MEANT.get(word)
    told = f"; did you mean {meant}?" if meant else _close(word, known)
    return (
        f"there is no field of this name{told}"
        if told
        else f"there is no field of this name; {_listed(known)}"
    )


def _listed(known: tuple[str, ...]) -> str:
    return f"known are {', '.join(known)}"


def _close(word: str | None, known: tuple[str, ...]) -> str:
    """A suggestion where a word is nearly one of those that are known."""
    near = get_close_matches(word, known, n=1) if word else []
    return f"; did you mean {near[0]}?" if near else ""
