"""The pictures of a folder and of the folders below it, as they lie on a disk.

Passed over: hidden files and folders, folders that programs keep for themselves (`@eaDir`, `.git`, ...), what patterns
exclude, names that do not end like a picture's, and all that is no regular file. Links to files are followed. Links
to folders are followed too, with two exceptions that keep a listing finite and free of doubles: a folder that is
listed under its own name anyway is not listed again under the link's, and a folder outside of the root that several
links lead to is listed once, under the first.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from picfind import keys
from picfind.datasets._ignore import IGNORE_FILE, Rules
from picfind.errors import MissingSourceError, UsageError
from picfind.images import SUFFIXES
from picfind.types import Fingerprint, Gap, Item

_KEPT_BY_PROGRAMS = {"@eadir", "node_modules", "system volume information", "$recycle.bin", "__macosx"}
"""In lower case. `.git` and its like are hidden already."""
_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""Gone since its folder was read, or a link that leads nowhere."""
_LONGEST_IGNORE_FILE = 1 << 20
_JUNCTION = 0xA0000003
"""IO_REPARSE_TAG_MOUNT_POINT, which `stat` has on Windows only."""


class Folder:
    """A dataset: the pictures below a folder, or one picture's file."""

    def __init__(self, location: Path, *, exclude: Sequence[str] = (), root: Path | None = None) -> None:
        """List `location`; give `root` when the gallery knows an outer folder, whose names then are used.

        `exclude` holds patterns of `.gitignore`'s kind, relative to the root. A location that is a file is listed
        whatever it is called, and its folder is the root. Raises UsageError for a bad pattern and for a location
        outside the root.

        Links in the location itself are left as they are: it is the name that a person gave the place, and the link
        may lead elsewhere tomorrow, say to a new drive.
        """
        path = keys.absolute(location)
        self._is_file = os.path.isfile(path)
        self._root = keys.absolute(root) if root else path.parent if self._is_file else path
        self._path = _below(path, self._root)
        self._rules = Rules.of(exclude)

    @property
    def kind(self) -> str:
        """`folder`."""
        return "folder"

    @property
    def location(self) -> str:
        """The root's absolute path with the separators of the system, escaped like a key."""
        return keys.escape(str(self._root))

    @property
    def scope(self) -> str:
        """ "" for the whole root; the key of the folder with `/` at its end; the key of the one file."""
        return keys.escape(self._path) + ("/" if self._path and not self._is_file else "")

    def items(self) -> Iterator[Item | Gap]:
        """The pictures, by the bytes of their names within each folder; and what could not be listed.

        Raises MissingSourceError when the folder or file is not there, or goes away meanwhile.
        """
        found = self._there()
        if self._is_file:
            yield _item(self._path, str(self._root / self._path), found)
            return
        yield from self._listing()
        if _identity(self._there()) != _identity(found):
            raise MissingSourceError(self._missing("was replaced while it was listed"))

    def _listing(self) -> Iterator[Item | Gap]:
        walk = _Walk(str(self._root))
        prefix, rules = "", self._rules
        try:
            for part in filter(None, self._path.split("/")):
                rules = walk.with_file(rules, prefix)
                prefix += f"{part}/"
        except (OSError, UsageError) as error:
            yield Gap(self.scope, _reason(error))
            return
        yield from walk.run(_Place(prefix, rules))

    def _there(self) -> os.stat_result:
        try:
            found = (self._root / self._path).stat()
        except (OSError, ValueError) as error:
            raise MissingSourceError(self._missing(f"cannot be found ({_reason(error)})")) from error
        if not (stat.S_ISREG if self._is_file else stat.S_ISDIR)(found.st_mode):
            raise MissingSourceError(self._missing("is neither a folder nor a file"))
        return found

    def _missing(self, what: str) -> str:
        shown = keys.shown(keys.escape(str(self._root / self._path)))
        return f"{shown} {what}. Plug in its drive; if it has moved, run `picfind roots move OLD NEW`."


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder on the way: its path below the root with `/` at its end, and what holds there."""

    path: str
    rules: Rules
    linked: bool = False
    """Whether a link to a folder was followed to get here."""


class _Walk:
    """One listing. Keeps a stack of its own, because folders can be nested deeper than Python calls."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._root_identity = _identity(Path(root).stat())
        self._seen = {self._root_identity}
        """The folders that links led to, so that none is listed twice and no loop is followed."""

    def run(self, start: _Place) -> Iterator[Item | Gap]:
        stack: list[tuple[_Place, Iterator[os.DirEntry[str]]]] = []
        found: Item | Gap | _Place | None = start
        while found is not None or stack:
            if isinstance(found, _Place):
                opened = self._open(found)
                if isinstance(opened, Gap):
                    yield opened
                else:
                    stack.append(opened)
            elif found is not None:
                yield found
            found = None
            while stack and found is None:
                found = self._next(stack)

    def _next(self, stack: list[tuple[_Place, Iterator[os.DirEntry[str]]]]) -> Item | Gap | _Place | None:
        place, entries = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
            return None
        return self._look(entry, place)

    def _open(self, place: _Place) -> tuple[_Place, Iterator[os.DirEntry[str]]] | Gap:
        try:
            with os.scandir(self._full(place.path)) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
            if any(entry.name == IGNORE_FILE for entry in entries):
                place = _Place(place.path, self.with_file(place.rules, place.path), place.linked)
        except (OSError, UsageError) as error:
            if isinstance(error, OSError) and error.errno in _NOTHING_THERE:
                return place, iter(())
            return Gap(keys.escape(place.path), _reason(error))
        return place, iter(entries)

    def with_file(self, rules: Rules, folder: str) -> Rules:
        """The rules with those of the ignore file in a folder, where it has one. Raises OSError and UsageError."""
        try:
            with open_regular(self._full(folder + IGNORE_FILE)) as file:
                text = file.read(_LONGEST_IGNORE_FILE).decode("utf-8-sig", "surrogateescape")
        except FileNotFoundError:
            return rules
        try:
            return rules.under(folder, text.splitlines())
        except UsageError as error:
            raise UsageError(f"in its {IGNORE_FILE}, {error}") from error

    def _look(self, entry: os.DirEntry[str], place: _Place) -> Item | Gap | _Place | None:
        if _is_passed_over(entry.name):
            return None
        path = place.path + entry.name
        try:
            if entry.is_dir():
                return self._folder(entry, path + "/", place)
            if not entry.name.lower().endswith(SUFFIXES) or place.rules.ignores(path):
                return None
            found = entry.stat()
            usable = stat.S_ISREG(found.st_mode) and not _is_marked_hidden(found)
            return _item(path, entry.path, found) if usable else None
        except OSError as error:
            return None if error.errno in _NOTHING_THERE else Gap(keys.escape(path), _reason(error))

    def _folder(self, entry: os.DirEntry[str], path: str, place: _Place) -> _Place | None:
        found = entry.stat(follow_symlinks=False)
        if place.rules.ignores(path) or _is_marked_hidden(found):
            return None
        is_link = _is_link(found)
        if is_link and self._has_its_own_name(entry.path):
            return None
        if (is_link or place.linked) and not self._is_new(entry.path):
            return None
        return _Place(path, place.rules, place.linked or is_link)

    def _is_new(self, path: str) -> bool:
        identity = _identity(Path(path).stat())
        is_new = identity not in self._seen
        self._seen.add(identity)
        return is_new

    def _has_its_own_name(self, link: str) -> bool:
        """Whether a link leads to a folder of this root that the listing meets, or would meet, under its own name."""
        here = Path(os.path.realpath(link))
        return any(
            _identity(outer.stat()) == self._root_identity
            and not any(map(_is_passed_over, here.relative_to(outer).parts))
            for outer in (here, *here.parents)
        )

    def _full(self, path: str) -> str:
        return os.path.join(self._root, *path.split("/")) if path else self._root  # noqa: PTH118


def open_regular(path: str) -> BinaryIO:
    """Open a file to read its bytes, and nothing but a file: opening a pipe that took its name would wait for ever.

    Raises FileNotFoundError when it is none any more, and what `os.open` raises.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    )
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "It is no file any more", path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _item(path: str, full: str, found: os.stat_result) -> Item:
    return Item(
        key=keys.escape(path),
        fingerprint=Fingerprint(f"{found.st_size}-{found.st_mtime_ns}"),
        open=partial(open_regular, full),
        dated=found.st_mtime,
    )


def _below(path: Path, root: Path) -> str:
    if not path.is_relative_to(root):
        raise UsageError(
            f"{keys.shown(keys.escape(str(path)))} does not lie in {keys.shown(keys.escape(str(root)))}."
        )
    return "" if path == root else path.relative_to(root).as_posix()


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.lower() in _KEPT_BY_PROGRAMS


def _is_marked_hidden(found: os.stat_result) -> bool:
    """Hidden by an attribute (Windows) or a flag (macOS), which a name does not show."""
    attributes, flags = getattr(found, "st_file_attributes", 0), getattr(found, "st_flags", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN or flags & stat.UF_HIDDEN)


def _is_link(found: os.stat_result) -> bool:
    """A symbolic link, or a junction on Windows, where a user's folder comes with some that form loops."""
    return stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", 0) == _JUNCTION
