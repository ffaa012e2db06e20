"""The pictures of a folder and of the folders below it, as they lie on a disk.

Passed over: hidden files and folders, folders that programs keep for themselves (`@eaDir`, `.git`, ...), what patterns
exclude, names that do not end like a picture's, and all that is no regular file. Links to files are followed. Links
to folders are followed too, with two exceptions that keep a listing finite and free of doubles: a folder that is
listed under its own name anyway is not listed again under the link's, and a folder outside of the root that several
links lead to is listed once, under the first.

Each picture comes with the files beside it that may hold words (`_sidecars.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from picfind import keys
from picfind.datasets._entries import identity, is_marked_hidden, is_passed_over, reason
from picfind.datasets._ignore import Rules
from picfind.datasets._sidecars import Beside
from picfind.datasets._walk import Walk, item_of
from picfind.datasets.base import Place
from picfind.errors import MissingSourceError, UsageError
from picfind.types import Gap, Item


def open(place: Place) -> Folder:  # noqa: A001
    """The pictures of this folder, or this one picture. Raises UsageError for any option."""
    if place.options:
        raise UsageError(f"folder: there is no option {next(iter(place.options))!r}: a folder has none.")
    return Folder(place.path, exclude=place.settings.exclude)


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
            yield item_of(self._path, str(self._root / self._path), found, self._beside())
            return
        yield from self._listing()
        if identity(self._there()) != identity(found):
            raise MissingSourceError(self._missing("was replaced while it was listed"))

    def would_list(self, parts: Sequence[str]) -> bool:
        """Whether pictures in a folder, by its parts below the root, would be listed; it need not be there.

        True also where that cannot be told: the root is gone, an ignore file cannot be read.
        """
        rules, path = self._rules, ""
        try:
            walk = Walk(str(self._root))
            for part in parts:
                rules = walk.with_file(rules, path)
                path += f"{part}/"
                if is_passed_over(part) or rules.ignores(path) or self._is_hidden(path):
                    return False
        except (OSError, UsageError):
            return True
        return True

    def _is_hidden(self, path: str) -> bool:
        try:
            return is_marked_hidden((self._root / path).lstat())
        except FileNotFoundError:
            return False

    def _listing(self) -> Iterator[Item | Gap]:
        walk = Walk(str(self._root))
        try:
            start = walk.place(filter(None, self._path.split("/")), self._rules)
        except (OSError, UsageError) as error:
            yield Gap(self.scope, reason(error))
            return
        yield from walk.run(start)

    def _beside(self) -> Beside:
        """What lies beside the one file: the same as when its whole folder is listed."""
        folders = self._path.split("/")[:-1]
        try:
            walk = Walk(str(self._root))
            return walk.beside(walk.place(folders, self._rules))
        except (OSError, UsageError):
            return Beside("", self._rules, ())

    def _there(self) -> os.stat_result:
        try:
            found = (self._root / self._path).stat()
        except (OSError, ValueError) as error:
            raise MissingSourceError(self._missing(f"cannot be found ({reason(error)})")) from error
        if not (stat.S_ISREG if self._is_file else stat.S_ISDIR)(found.st_mode):
            raise MissingSourceError(self._missing("is neither a folder nor a file"))
        return found

    def _missing(self, what: str) -> str:
        shown = keys.shown(keys.escape(str(self._root / self._path)))
        return f"{shown} {what}. Plug in its drive; if it has moved, run `picfind roots move OLD NEW`."


def _below(path: Path, root: Path) -> str:
    if not path.is_relative_to(root):
        raise UsageError(
            f"{keys.shown(keys.escape(str(path)))} does not lie in {keys.shown(keys.escape(str(root)))}."
        )
    return "" if path == root else path.relative_to(root).as_posix()
