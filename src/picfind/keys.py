r"""Keys: how the names of pictures are written down, compared and shown.

A key is the POSIX path of a picture below its root. SQLite, JSON and terminals take no undecodable bytes, so such
bytes stand in it as `%XX`, and a literal `%` that two hex digits follow stands as `%25`: `unescape` gives back the
very name that the system knows, for every name. Nothing else is changed, so that nearly all keys look like the paths
they are; separators are the caller's affair (a key has `/`, a location has what the system uses).

Keys are stored as the system gave them and compared in NFC, because macOS and Linux write the same accented name
in different code points.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from datetime import datetime
from pathlib import Path

_OS_ERRORS = sys.getfilesystemencodeerrors()
"""`surrogateescape` where names are bytes, `surrogatepass` on Windows, where they are 16-bit units."""

_TO_ESCAPE = re.compile("%(?=[0-9A-Fa-f]{2})|[\udc80-\udcff]")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSHOWABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line and paragraph separators, what turns the direction of writing, and lone surrogates."""


def escape(path: bytes | str) -> str:
    """A path as a key holds it: valid text for every name, and the same text for the same name."""
    raw = path if isinstance(path, bytes) else _encode(path)
    return _TO_ESCAPE.sub(_escaped, raw.decode("utf-8", "surrogateescape"))


def _escaped(match: re.Match[str]) -> str:
    return f"%{ord(match[0]) & 0xFF:02X}"


def _encode(path: str) -> bytes:
    try:
        return path.encode("utf-8", _OS_ERRORS)
    except UnicodeEncodeError:  # a lone surrogate that no file name of this system holds
        return path.encode("utf-8", "surrogatepass")


def raw(key: str) -> bytes:
    """The bytes of the name that a key stands for, for output that ends each path with NUL."""
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), _encode(key))


def unescape(key: str) -> str:
    """The path that a key stands for, as functions of the system take it."""
    return raw(key).decode("utf-8", _OS_ERRORS)


def absolute(path: Path) -> Path:
    """A path as roots have it: absolute, without `..`; symlinks stay, so that a root keeps the name a person gave it."""
    plain = os.path.abspath(path.expanduser())  # noqa: PTH100 - Path.resolve would follow symlinks
    # POSIX lets two slashes at the beginning mean something else; no system that we know makes use of it
    return Path(plain[1:] if os.sep == "/" and plain.startswith("//") else plain)


def shown(text: str) -> str:
    r"""A key or path for people to read: what would break the line or steer a terminal appears as `\n`, `\x1b`, ..."""
    return _UNSHOWABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def folded(key: str) -> str:
    """The form in which keys are compared: NFC."""
    return unicodedata.normalize("NFC", key)


def same(first: str, second: str) -> bool:
    """Whether two keys are the same name, however its accents are composed."""
    return folded(first) == folded(second)


_DATE = re.compile(
    r"(?<!\d)(?P<year>\d{4})(?P<mark>[-_.]?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d)"
    r"(?:(?:[ _T-]?|\s+at\s+)"
    r"(?P<hour>\d\d|\d(?=[.:]))(?P<colon>[-_.:]?)(?P<minute>\d\d)(?P=colon)(?P<second>\d\d)(?:\.?\d{3})?"
    r"(?:[\s\u202f]?(?P<half>[AaPp][Mm]))?)?(?!\d)",
    re.ASCII,
)
"""Year, month, day, all with one mark between them or none; a time too, where one follows."""
_EARLIEST, _LATEST = 1826, 2100
"""The oldest photograph that is left is of about 1826."""


def date_in_name(key: str) -> str | None:
    """The date in a file's name as ISO 8601 (with the time where the name has one); None without a plausible date."""
    name = key.rpartition("/")[2]
    return next(filter(None, map(_dated, _DATE.finditer(name))), None)


def _dated(match: re.Match[str]) -> str | None:
    day = f"{match['year']}-{match['month']}-{match['day']}"
    if not _EARLIEST <= int(match["year"]) <= _LATEST or not _is_iso(day):
        return None
    if match["hour"] is None:
        return day
    moment = f"{day}T{_hour(match):02}:{match['minute']}:{match['second']}"
    return moment if _is_iso(moment) else day


def _hour(match: re.Match[str]) -> int:
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if not half or not 1 <= hour <= 12:
        return hour
    return hour % 12 + (12 if half == "pm" else 0)


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
