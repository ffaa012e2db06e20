"""One listing of a folder and of all below it: a walk that neither links nor depth can trap."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from picfind import keys
from picfind.datasets._entries import (
    fingerprint,
    identity,
    is_link,
    is_marked_hidden,
    is_passed_over,
    is_usable,
    open_regular,
    reason,
)
from picfind.datasets._ignore import IGNORE_FILE, Rules
from picfind.datasets._sidecars import Beside
from picfind.errors import UsageError
from picfind.images import SUFFIXES
from picfind.types import Gap, Item

_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""Gone since its folder was read, or a link that leads nowhere."""
_LONGEST_IGNORE_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A folder on the way: its path below the root with `/` at its end, and what holds there."""

    path: str
    rules: Rules
    linked: bool = False
    """Whether a link to a folder was followed to get here."""


_Opened: TypeAlias = tuple[Place, Beside, Iterator[os.DirEntry[str]]]
"""A folder that has been read: what lies beside its pictures, and the entries that are left to look at."""


class Walk:
    """One listing. Keeps a stack of its own, because folders can be nested deeper than Python calls."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._root_identity = identity(Path(root).stat())
        self._seen = {self._root_identity}
        """The folders that links led to, so that none is listed twice and no loop is followed."""

    def place(self, parts: Iterable[str], rules: Rules) -> Place:
        """The folder with this path below the root, with the rules of all ignore files above it.

        Raises OSError and UsageError.
        """
        path = ""
        for part in parts:
            rules = self.with_file(rules, path)
            path += f"{part}/"
        return Place(path, rules)

    def beside(self, folder: Place) -> Beside:
        """What lies beside the pictures of one folder, for a picture that is listed alone. Nothing where it cannot be read."""
        opened = self._open(folder)
        return Beside(folder.path, folder.rules, ()) if isinstance(opened, Gap) else opened[1]

    def run(self, start: Place) -> Iterator[Item | Gap]:
        stack: list[_Opened] = []
        found: Item | Gap | Place | None = start
        while found is not None or stack:
            if isinstance(found, Place):
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

    def _next(self, stack: list[_Opened]) -> Item | Gap | Place | None:
        place, beside, entries = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
            return None
        return self._look(entry, place, beside)

    def _open(self, place: Place) -> _Opened | Gap:
        entries: list[os.DirEntry[str]] = []
        try:
            with os.scandir(self._full(place.path)) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
            if any(entry.name == IGNORE_FILE for entry in entries):
                place = Place(place.path, self.with_file(place.rules, place.path), place.linked)
        except (OSError, UsageError) as error:
            if not isinstance(error, OSError) or error.errno not in _NOTHING_THERE:
                return Gap(keys.escape(place.path), reason(error))
            entries = []
        return place, Beside(place.path, place.rules, entries), iter(entries)

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

    def _look(self, entry: os.DirEntry[str], place: Place, beside: Beside) -> Item | Gap | Place | None:
        if is_passed_over(entry.name):
            return None
        path = place.path + entry.name
        try:
            if entry.is_dir():
                return self._folder(entry, path + "/", place)
            if not entry.name.lower().endswith(SUFFIXES) or place.rules.ignores(path):
                return None
            found = entry.stat()
            return item_of(path, entry.path, found, beside) if is_usable(found) else None
        except OSError as error:
            return None if error.errno in _NOTHING_THERE else Gap(keys.escape(path), reason(error))

    def _folder(self, entry: os.DirEntry[str], path: str, place: Place) -> Place | None:
        found = entry.stat(follow_symlinks=False)
        if place.rules.ignores(path) or is_marked_hidden(found):
            return None
        linked = is_link(found)
        if linked and self._has_its_own_name(entry.path):
            return None
        if (linked or place.linked) and not self._is_new(entry.path):
            return None
        return Place(path, place.rules, place.linked or linked)

    def _is_new(self, path: str) -> bool:
        folder = identity(Path(path).stat())
        is_new = folder not in self._seen
        self._seen.add(folder)
        return is_new

    def _has_its_own_name(self, link: str) -> bool:
        """Whether a link leads to a folder of this root that the listing meets, or would meet, under its own name."""
        here = Path(os.path.realpath(link))
        return any(
            identity(outer.stat()) == self._root_identity
            and not any(map(is_passed_over, here.relative_to(outer).parts))
            for outer in (here, *here.parents)
        )

    def _full(self, path: str) -> str:
        return os.path.join(self._root, *path.split("/")) if path else self._root  # noqa: PTH118


def item_of(path: str, full: str, found: os.stat_result, beside: Beside) -> Item:
    """The item of a picture's file: `path` below its root, `full` as the system takes it."""
    return Item(
        key=keys.escape(path),
        fingerprint=fingerprint(found),
        open=partial(open_regular, full),
        sidecars=beside.of(path.rpartition("/")[2]),
        dated=found.st_mtime,
    )
