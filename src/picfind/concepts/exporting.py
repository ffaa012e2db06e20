"""Files of an answer, copied or linked into a folder. Nothing that lies there is overwritten, and no file is half there."""

from __future__ import annotations

import enum
import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

from picfind import keys
from picfind.errors import PicfindError, UsageError
from picfind.search.signs import at_home
from picfind.storage import durable

_ODD = re.compile(r"[^\w.()+-]+")


class Way(enum.Enum):
    """How a file gets into a folder."""

    COPY = "copy"
    HARD_LINK = "hard link"
    SYMLINK = "symbolic link"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, what was there already with the same bytes, and places of pictures that were not there."""

    written: tuple[Path, ...]
    known: tuple[Path, ...]
    missing: tuple[str, ...]


def export_files(
    places: Sequence[Sequence[str]], folder: Path, *, way: Way, read: Callable[[str], bytes] | None = None
) -> Exported:
    """Bring one file of each picture, `places` being where it lies (escaped), into a folder, which is made.

    A file of the same name and the same bytes counts as done, so exporting again adds what is new. What is no file of its
    own can be copied alone, as far as `read` gives its bytes. Raises UsageError.
    """
    folder = Path(at_home(str(folder)))
    written, known, missing = list[Path](), list[Path](), list[str]()
    try:
        durable.make_folder(folder)
        for own in places:
            with _source(own, read if way is Way.COPY else None) as source:
                if source is None:
                    missing.append(own[0])
                    continue
                target, new = _bring(source, folder, way)
                (written if new else known).append(target)
    except OSError as error:
        raise UsageError(_told(error, folder, way)) from error
    return Exported(tuple(written), tuple(known), tuple(missing))


@contextmanager
def _source(places: Sequence[str], read: Callable[[str], bytes] | None) -> Iterator[Path | None]:
    """The first file that is there; else one with the bytes that `read` gives, for as long as it is needed."""
    file = next((path for path in map(_path, places) if path.is_file()), None)
    name, data = ("", None) if file is not None or read is None else _first_read(places, read)
    if data is None:
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder, name)
        alone.write_bytes(data)
        yield alone


def _first_read(places: Sequence[str], read: Callable[[str], bytes]) -> tuple[str, bytes | None]:
    """The bytes of the first place that can be read, and the name that they have there."""
    for place in places:
        url = urlsplit(place)
        name = _ODD.sub("_", PurePosixPath(url.path).name) if "://" in place else _path(place).name
        try:
            return name or "picture", read(place)
        except (OSError, PicfindError):
            continue
    return "", None


def _bring(source: Path, folder: Path, way: Way) -> tuple[Path, bool]:
    """Under the first name that is free, or that holds the same bytes; and whether anything was written."""
    names = _names(folder, source.name)
    while True:
        target = next(names)
        if not os.path.lexists(target):
            try:
                _WAYS[way](source, target)
                return target, True
            except FileExistsError:
                pass  # somebody was faster
        if target.is_file() and _same(source, target):
            return target, False


def _names(folder: Path, name: str) -> Iterator[Path]:
    """photo.jpg, photo-2.jpg, photo-3.jpg and so on."""
    yield folder / name
    plain = Path(name)
    for number in count(2):
        yield folder / f"{plain.stem}-{number}{plain.suffix}"


def _copy(source: Path, target: Path) -> None:
    """Whole and flushed under a name of its own first, then named, which fails where something is there."""
    aside = target.with_name(f".{secrets.token_hex(8)}.picfind.part")

    def fill(file: BinaryIO) -> None:
        with source.open("rb") as opened:
            shutil.copyfileobj(opened, file, 1 << 20)

    try:
        durable.write(aside, fill)
        shutil.copystat(source, aside)
        try:
            target.hardlink_to(aside)
        except OSError as error:
            if error.errno not in durable.NO_LINKS:
                raise
            durable.claim_and_replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _hard_link(source: Path, target: Path) -> None:
    target.hardlink_to(source)


def _symlink(source: Path, target: Path) -> None:
    target.symlink_to(source.absolute())


_WAYS: dict[Way, Callable[[Path, Path], None]] = {
    Way.COPY: _copy,
    Way.HARD_LINK: _hard_link,
    Way.SYMLINK: _symlink,
}


def _same(source: Path, target: Path) -> bool:
    if source.stat().st_size != target.stat().st_size:
        return False
    return _digest(source) == _digest(target)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _path(place: str) -> Path:
    return Path(keys.unescape(place))


def _told(error: OSError, folder: Path, way: Way) -> str:
    if error.errno == errno.EXDEV:
        return f"A hard link cannot lead from {keys.shown(str(folder))} to another drive: copy, or link symbolically."
    place = keys.shown(str(error.filename2 or error.filename or folder))
    return f"{place} could not be written as a {way.value}: {error.strerror or error}."
