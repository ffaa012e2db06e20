"""Tar archives as shards of samples: what lies where, without anything being unpacked."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, cast

from picfind import keys
from picfind.datasets._columns import added, read
from picfind.datasets._entries import fingerprint, open_regular, reason
from picfind.datasets._judging import Told
from picfind.datasets._names import below
from picfind.errors import UsageError
from picfind.images import SUFFIXES, read_bytes
from picfind.tables import Row
from picfind.types import Fingerprint, Gap, Item, Words

_MOST_TEXT_BYTES = 1 << 20
_MOST_SHARDS = 1_000_000
_WIDEST = 20
"""Digits of a shard's number."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_NUMBERS = re.compile(r"(\d+)\.\.(\d+)")
_TEXTS = ("txt", "text", "caption", "json", "cls")


def expand(pattern: str) -> list[str]:
    """The names that a pattern with braces means: `{08..11}` keeps the width of its numbers, `{a,b}` is a choice.

    Raises UsageError for braces that mean neither, and for more than a million names.
    """
    parts = _BRACES.split(pattern)  # what stands between braces has odd places
    choices = [_choices(part, pattern) if at % 2 else [part] for at, part in enumerate(parts)]
    count = 1
    for some in choices:
        count *= len(some)
    if count > _MOST_SHARDS:
        raise UsageError(f"{pattern!r} means more than {_MOST_SHARDS:,} shards.")
    return ["".join(chosen) for chosen in product(*choices)]


def _choices(inside: str, pattern: str) -> list[str]:
    numbers = _NUMBERS.fullmatch(inside)
    if numbers is None and "," in inside:
        return inside.split(",")
    if numbers is None or len(numbers[1]) > _WIDEST or len(numbers[2]) > _WIDEST:
        raise UsageError(
            f"{pattern!r}: {{{inside}}} is neither numbers, {{000..123}}, nor a choice, {{a,b}}."
        )
    first, last = int(numbers[1]), int(numbers[2])
    if not first <= last < first + _MOST_SHARDS:
        raise UsageError(f"{pattern!r}: {{{inside}}} counts down, or further than {_MOST_SHARDS:,}.")
    return [f"{number:0{len(numbers[1])}}" for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class _Member:
    """A picture of an archive: its key, and where its bytes lie."""

    key: str
    offset: int
    size: int


@dataclass(slots=True)
class Sample:
    """Files of one archive that belong together."""

    shard: Path
    state: os.stat_result
    pictures: list[_Member] = field(default_factory=list)
    texts: list[tuple[str, bytes]] = field(default_factory=list)
    """The ending of each file that says something, and its bytes."""

    def items(self, words: tuple[Words, ...]) -> Iterator[Item]:
        """Its pictures. What opens them refuses a shard that has changed since."""
        own = fingerprint(self.state)
        for member in self.pictures:
            mark = Fingerprint(f"{own}-{member.offset}-{member.size}")
            opens = partial(_open_part, str(self.shard), own, member.offset, member.size)
            yield Item(member.key, mark, opens, words, dated=self.state.st_mtime)

    def told(self) -> Told:
        """What its texts say. One that cannot be read says nothing."""
        told = Told(places=("",))
        for ending, data in self.texts:
            told = added(told, _said(ending, data))
        return told


def _said(ending: str, data: bytes) -> dict[str, tuple[str, ...]]:
    if b"\0" in data:  # no text
        return {}
    text = read_bytes(data)
    if ending == "cls":
        return {"labels": (text.strip(),)} if text.strip() else {}
    if ending != "json":
        return {"captions": tuple(line.strip() for line in text.splitlines() if line.strip())}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return dict(read(_row(values)).said) if isinstance(values, dict) else {}


def _row(values: Mapping[str, Any]) -> Row:
    """Texts and lists of them; numbers are sizes and states that programs note for themselves."""
    found = {
        name: [text for text in cell if isinstance(text, str)] if isinstance(cell, list) else cell
        for name, cell in values.items()
    }
    return {name: cell for name, cell in found.items() if isinstance(cell, str | list)}


class Shard:
    """One archive. A listing steps from head to head."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = keys.escape(path.name)

    def samples(self) -> Iterator[Sample | Gap]:
        """Its samples in order, then a gap for what was refused, or for what comes behind a damage."""
        refused: list[str] = []
        try:
            with open_regular(str(self._path)) as file:
                state = os.fstat(file.fileno())
                with tarfile.open(fileobj=file, mode="r:") as archive:
                    yield from self._grouped(archive, state, refused)
        except (OSError, tarfile.TarError, ValueError, EOFError, RecursionError) as error:
            yield Gap(
                f"{self._name}/", f"it ends too early, or is no archive without compression: {reason(error)}"
            )
        if refused:
            named = ", ".join(map(keys.shown, refused[:3])) + (", ..." if refused[3:] else "")
            yield Gap(
                f"{self._name}/",
                f"refused in it were {len(refused):,}, no files or named twice or elsewhere: {named}",
                hides=False,
            )

    def _grouped(
        self, archive: tarfile.TarFile, state: os.stat_result, refused: list[str]
    ) -> Iterator[Sample]:
        base, sample = None, Sample(self._path, state)
        seen: set[str] = set()
        for info in _heads(archive):
            name = below(info.name)
            if info.isdir():
                continue
            if name is None or not info.isreg() or info.issparse() or name in seen:
                refused.append(keys.escape(info.name))
                continue
            seen.add(name)
            folder, _, file = name.rpartition("/")
            first, _, ending = file.partition(".")
            if (folder, first) != base:
                if sample.pictures:
                    yield sample
                base, sample = (folder, first), Sample(self._path, state)
            self._take(archive, info, name, ending.lower().rpartition(".")[2], sample)
        if sample.pictures:
            yield sample

    def _take(
        self, archive: tarfile.TarFile, info: tarfile.TarInfo, name: str, ending: str, sample: Sample
    ) -> None:
        if f".{ending}" in SUFFIXES:
            key = f"{self._name}/{keys.escape(name)}"
            sample.pictures.append(_Member(key, info.offset_data, info.size))
        elif ending in _TEXTS:
            file = archive.extractfile(info)
            sample.texts.append((ending, file.read(_MOST_TEXT_BYTES) if file else b""))


def _heads(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """What an archive has, one after the other. Raises TarError for sizes that lead back, which would never end."""
    last = -1
    while (info := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # it would keep them all
        if info.size < 0 or info.offset <= last:
            raise tarfile.ReadError("a size in it is less than nothing")
        last = info.offset
        yield info


class _Part(io.RawIOBase):
    """Some bytes of a file, as a file."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._left = file, size
        file.seek(offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def open_marked(folder: Path, key: str, mark: Fingerprint) -> BinaryIO:
    """Open a picture of a shard in a folder by what its item was marked with. Raises FileNotFoundError, ValueError."""
    own, offset, size = mark.rsplit("-", 2)
    path = folder / keys.unescape(key.partition("/")[0])
    return _open_part(str(path), Fingerprint(own), int(offset), int(size))


def _open_part(path: str, state: Fingerprint, offset: int, size: int) -> BinaryIO:
    """Open the bytes of a picture in its shard. Raises FileNotFoundError where the shard is another one by now."""
    file = open_regular(path)
    if fingerprint(os.fstat(file.fileno())) != state:
        file.close()
        raise FileNotFoundError(f"{path} has changed since it was listed")
    return cast(BinaryIO, io.BufferedReader(_Part(file, offset, size)))
