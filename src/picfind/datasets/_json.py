"""Large JSON files entry by entry: a list of objects, or an object that holds such lists.

Only one entry is in memory at a time, besides some 2 MB of text. The standard library's decoder reads it (`raw_decode`
on a window of the file), so that this is about as fast as reading the file as a whole, and needs no further library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from picfind import keys
from picfind.errors import MissingSourceError, UsageError

_CHUNK = 1 << 20
_LONGEST_ENTRY = 1 << 26
"""Characters of one entry: far more than any dataset has, and few enough for any machine."""
_NEAR_THE_END = 16
"""Characters that the longest piece has which a window may cut in two without leaving a string open: `\\ud83d\\ude00`."""
_BLANK = re.compile("[ \t\r\n]*")
_OF_NUMBERS = re.compile(r"[-+.eE\d]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Record:
    """An object of a JSON file, which knows where it stands for when something about it is wrong."""

    values: Mapping[str, Any]
    path: Path
    place: str

    def text(self, name: str) -> str:
        """A member that must be a text, and not an empty one. Raises UsageError."""
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"has no text `{name}`")
        return value

    def number(self, name: str) -> int:
        """A member that must be a whole number, or is one between quotes. Raises UsageError."""
        value = self.values.get(name)
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value[:20])
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(f"has no whole number `{name}`")
        return value

    def records(self, name: str) -> Iterator[Record]:
        """The objects of a member that must be a list of them. Raises UsageError."""
        values = self.values.get(name)
        if not isinstance(values, list):
            raise self.error(f"has no list `{name}`")
        for at, value in enumerate(values, 1):
            yield _record(value, self.path, f"{self.place}, number {at} of its `{name}`")

    def error(self, what: str) -> UsageError:
        """What to raise when something about it is wrong."""
        return UsageError(f"{_shown(self.path)}, {self.place} {what}. Load the file again, or correct it.")


def records(path: Path, name: str | None = None) -> Iterator[Record]:
    """The objects of a file that is a list of them; or of its member `name`, where the file is an object.

    Raises MissingSourceError where there is no such file, and UsageError for what is no such JSON.
    """
    for _, record in members(path, None if name is None else {name}):
        yield record


def members(path: Path, names: Collection[str] | None) -> Iterator[tuple[str, Record]]:
    """The objects of several lists of one file, in the file's order, each with the name of its list. Raises as `records`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            scanner = _Scanner(file, path)
            found = set()
            for name, number, value in _entries(scanner, names):
                found.add(name)
                if number:
                    place = f"entry {number} of `{name}`" if name else f"entry {number}"
                    yield name, _record(value, path, place)
            scanner.end()
            lacking = sorted(set(names or ()) - found)
            if lacking:
                raise UsageError(
                    f"{_shown(path)} has no list `{lacking[0]}`: it is another file than it should be."
                )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingSourceError(f"There is no file {_shown(path)}. Check the path.") from error
    except OSError as error:
        raise UsageError(f"{_shown(path)} cannot be read: {error.strerror or error}.") from error


def _entries(scanner: _Scanner, names: Collection[str] | None) -> Iterator[tuple[str, int, Any]]:
    """Entries of lists with their numbers; before the first one number 0, so that empty lists are seen."""
    if names is None:
        yield from (("", number, value) for number, value in enumerate(scanner.elements(), 1))
        return
    for name in scanner.names():
        if scanner.peek() != "[":
            scanner.value()
            continue
        if name in names:
            yield name, 0, None
        for number, value in enumerate(scanner.elements(), 1):
            if name in names:
                yield name, number, value


def _record(value: Any, path: Path, place: str) -> Record:
    record = Record(value if isinstance(value, dict) else {}, path, place)
    if not isinstance(value, dict):
        raise record.error("is no object, {...}")
    return record


class _Scanner:
    """Reads JSON through a window that moves over its file."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at, self._line, self._is_whole = "", 0, 1, False

    def elements(self) -> Iterator[Any]:
        """The values of the list that begins here."""
        self._expect("[", "a list")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._next_of("]"):
                return

    def names(self) -> Iterator[str]:
        """The names of the object that begins here; the caller reads each one's value."""
        self._expect("{", "an object")
        if self.peek() == "}":
            return
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise self._error("has an object with a name that is no text")
            self._expect(":", "a colon")
            yield name
            if self._next_of("}"):
                return

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text) or self._is_whole:
                return self._text[self._at : self._at + 1]
            self._more()

    def value(self) -> Any:
        """The value that begins right here."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos + _NEAR_THE_END >= len(self._text)
                if self._is_whole or not is_cut:
                    raise self._error(f"is no JSON ({error.msg})", error.pos) from error
            except (ValueError, RecursionError) as error:  # ten thousand digits; brackets without end
                raise self._error(f"is no JSON that can be read ({error})") from error
            else:
                if self._is_whole or not (isinstance(value, int | float) and self._may_go_on(end)):
                    self._at = end
                    return value
            self._more()

    def _may_go_on(self, end: int) -> bool:
        """Whether the window ends in the number that ends here: `0` may be the beginning of `0.5`."""
        after = _OF_NUMBERS.match(self._text, end)
        return after is None or after.end() == len(self._text)

    def _next_of(self, last: str) -> bool:
        """Go over a comma, or the bracket that closes: whether it was that."""
        sign = self.peek()
        if sign not in (",", last) or not sign:
            raise self._error(
                f"has neither a comma nor {last!r} where one should be: it ends too early, or is damaged"
            )
        self._at += 1
        if sign == last:
            return True
        self.peek()
        return False

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.peek():
            raise self._error("goes on behind its end: two files in one, or damaged")

    def _expect(self, sign: str, what: str) -> None:
        if self.peek() != sign:
            raise self._error(f"does not have {what} where it should be")
        self._at += 1

    def _more(self) -> None:
        """Move the window on; it is whole when nothing follows."""
        self._line += self._text.count("\n", 0, self._at)
        rest = self._text[self._at :]
        if len(rest) > _LONGEST_ENTRY:
            raise self._error(f"has an entry of more than {_LONGEST_ENTRY:,} characters")
        try:
            new = self._file.read(max(_CHUNK, len(rest)))
        except UnicodeDecodeError as error:
            raise self._error(f"is no text in UTF-8 ({error.reason})") from error
        self._text, self._at, self._is_whole = rest + new, 0, not new

    def _error(self, what: str, at: int | None = None) -> UsageError:
        line = self._line + self._text.count("\n", 0, self._at if at is None else at)
        return UsageError(f"{_shown(self._path)}, line {line} {what}. Load the file again.")


def _shown(path: Path) -> str:
    return keys.shown(keys.escape(str(path)))
