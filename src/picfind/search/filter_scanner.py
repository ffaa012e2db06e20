"""Reading a filter's text from left to right: words, signs, values, and errors that point at their spot."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from picfind import keys
from picfind.errors import UsageError

T = TypeVar("T")

BARE = re.compile(r"[^\s()\"',<>=!~]+")
"""A value without quotes."""
BARE_END = re.compile(r"(?:(?!\.\.)[^\s()\"',<>=!~])+")
"""One that may be an end of a range."""
KEYWORDS = ("and", "or", "not", "in", "has")
_WORD = re.compile(r"[^\W\d]\w*")
_BLANK = re.compile(r"\s*")
_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t"}
_AROUND = 60
"""Characters shown on each side of the spot."""


@dataclass(frozen=True, slots=True)
class Value:
    """A text that was read as a value, and where it begins."""

    text: str
    at: int


class Scanner:
    """A text, and how far it has been read (`at`). What is read, is read together with the blanks after it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.skip(0)

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        """Raise the UsageError for a spot: where reading has come to, unless it is given."""
        spot = pointed(self.text, self.at if at is None else at)
        end = "" if what.endswith("?") else "."
        raise UsageError(f"The filter cannot be read: {what}{end}\n{spot}")

    def skip(self, count: int) -> None:
        """Go on by some characters, and by the blanks after them."""
        blank = _BLANK.match(self.text, self.at + count)
        self.at = blank.end() if blank else len(self.text)

    def ahead(self, sign: str) -> bool:
        """Whether this comes next."""
        return self.text.startswith(sign, self.at)

    def takes(self, sign: str) -> bool:
        """Read a sign if it comes next."""
        if not self.ahead(sign):
            return False
        self.skip(len(sign))
        return True

    def takes_word(self, word: str) -> bool:
        """Read a word if it comes next."""
        found = _WORD.match(self.text, self.at)
        if found is None or found[0].lower() != word:
            return False
        self.skip(len(word))
        return True

    def takes_match(self, pattern: re.Pattern[str]) -> str | None:
        """Read what fits a pattern, in small letters; None if that does not come next."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.skip(len(found[0]))
        return found[0].lower()

    def word(self) -> str | None:
        """Read a word, in small letters; None if none comes next."""
        return self.takes_match(_WORD)

    def value(self, bare: re.Pattern[str], wanted: str) -> Value:
        """Read a value, with or without quotes."""
        start = self.at
        if self.ahead('"') or self.ahead("'"):
            return Value(self._quoted(), start)
        found = bare.match(self.text, start)
        if found is None:
            self.fail(f"expected {wanted}")
        if found[0].lower() in KEYWORDS:
            self.fail(f"expected {wanted}; to mean the word {found[0]} put it in quotes")
        self.skip(len(found[0]))
        return Value(found[0], start)

    def checked(self, value: Value, read: Callable[[str], T]) -> T:
        """What `read` makes of a value; its ValueError becomes the error of this spot."""
        try:
            return read(value.text)
        except ValueError as error:
            self.fail(str(error), value.at)

    def close(self, start: int) -> None:
        """Read the ) of what was opened at `start`."""
        if self.takes(")"):
            return
        if self.at < len(self.text):
            self.fail("expected ) here")
        self.fail("this ( is never closed", start)

    def comma(self) -> None:
        """Read a comma."""
        if not self.takes(","):
            self.fail("expected a comma here: near(52.52, 13.40, 5km)")

    def _quoted(self) -> str:
        start, mark = self.at, self.text[self.at]
        letters, at = [], start + 1
        while at < len(self.text) and self.text[at] != mark:
            sign = self.text[at]
            if sign == "\\":
                at += 1
                sign = self._escaped(at)
            elif sign == "\0":
                self.fail("a text cannot hold the character 0", at)
            letters.append(sign)
            at += 1
        if at >= len(self.text):
            self.fail("this quote is never closed", start)
        self.skip(at + 1 - start)
        return "".join(letters)

    def _escaped(self, at: int) -> str:
        sign = _ESCAPES.get(self.text[at : at + 1])
        if sign is None:
            self.fail(
                "after a backslash comes a quote, n, t or a backslash; for a backslash write two", at - 1
            )
        return sign


def pointed(text: str, at: int) -> str:
    """The text on one line and a mark under one of its characters; a long text is cut on both sides."""
    start, end = max(0, at - _AROUND), at + _AROUND
    before = ("…" if start else "") + keys.shown(text[start:at])
    after = keys.shown(text[at:end]) + ("…" if end < len(text) else "")
    return f"  {before}{after}\n  {' ' * _width(before)}^"


def _width(text: str) -> int:
    """How many columns a terminal takes for a text."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.combining(sign) > 0 for sign in text)
