"""Which file of a group is kept: rules that are asked one after the other until one of them decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from picfind import keys
from picfind.duplicates.pictures import File, Known
from picfind.errors import UsageError

WHOLE, RESOLUTION, FORMAT, SIZE, DATE, PATH = "whole", "resolution", "format", "size", "date", "path"
RULES = (WHOLE, RESOLUTION, FORMAT, SIZE, DATE, PATH)
"""All rules, in the order in which they are asked unless another is given."""

_FORMATS = {"HEIF": 1, "AVIF": 1, "PNG": 2, "TIFF": 2, "BMP": 2, "JPEG": 3, "WEBP": 3, "GIF": 4}
"""Straight from the camera before lossless before lossy; a file beside which its RAW lies comes before all."""
_OTHER_FORMATS = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that might be kept. `whole`: the least share that its picture shows of one that it is a copy of."""

    picture: Known
    file: File
    whole: float = 1.0
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Taste:
    """What a person wants to keep: the rules in their order, patterns of paths to prefer, and of those to avoid.

    Patterns are those of a shell, where `*` stands for slashes too: `*/Originals/*`.
    """

    rules: tuple[str, ...] = RULES
    prefer: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()


def taste(rules: Sequence[str] | None = None, prefer: Sequence[str] = (), avoid: Sequence[str] = ()) -> Taste:
    """Check what was asked for. Without `rules`, patterns of paths decide before everything else.

    Rules that are not named are asked last, in their usual order. Raises UsageError for an unknown rule.
    """
    unknown = [rule for rule in rules or () if rule not in RULES]
    if unknown:
        raise UsageError(f"There is no rule {unknown[0]!r}. Known are: {', '.join(RULES)}.")
    first = tuple(dict.fromkeys(rules or ((PATH,) if prefer or avoid else ())))
    return Taste((*first, *(rule for rule in RULES if rule not in first)), tuple(prefer), tuple(avoid))


def order(wanted: Taste) -> Callable[[Candidate], tuple[Any, ...]]:
    """A key for sorting: the smallest is kept. Two files are never equal, since their paths differ."""
    measures = [_MEASURES[rule] for rule in wanted.rules]

    def key(candidate: Candidate) -> tuple[Any, ...]:
        shortest = (len(candidate.file.path), candidate.file.path)
        return (*(measure(candidate, wanted) for measure in measures), shortest)

    return key


def _by_path(candidate: Candidate, wanted: Taste) -> tuple[bool, bool]:
    path = keys.folded(candidate.file.path).replace("\\", "/")
    avoided = any(fnmatchcase(path, keys.folded(pattern)) for pattern in wanted.avoid)
    preferred = any(fnmatchcase(path, keys.folded(pattern)) for pattern in wanted.prefer)
    return avoided, not preferred


def _by_format(candidate: Candidate, wanted: Taste) -> int:
    return 0 if candidate.raw else _FORMATS.get(candidate.picture.format or "", _OTHER_FORMATS)


def _by_date(candidate: Candidate, wanted: Taste) -> tuple[bool, str]:
    date = date_of(candidate.picture, candidate.file)
    return date is None, date or ""


def date_of(picture: Known, file: File) -> str | None:
    """When the picture was taken or, where it does not say so, the date that its name or its file has."""
    return picture.taken or file.dated


_MEASURES: dict[str, Callable[[Candidate, Taste], Any]] = {
    WHOLE: lambda candidate, wanted: -candidate.whole,
    RESOLUTION: lambda candidate, wanted: -candidate.picture.width * candidate.picture.height,
    FORMAT: _by_format,
    SIZE: lambda candidate, wanted: -candidate.picture.size,
    DATE: _by_date,
    PATH: _by_path,
}
