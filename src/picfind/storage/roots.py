"""Roots: the places that pictures come from, of which one never lies inside another."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from picfind import keys
from picfind.errors import UsageError
from picfind.storage.catalog import Catalog, Transaction

FOLDER_KIND = "folder"
_SELECT = "SELECT id, kind, location, volume, added FROM roots"
_ESCAPED_SIGN = re.compile("%25(?=[0-9A-Fa-f]{2})")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
"""Two letters at least: a drive's name has one."""


@dataclass(frozen=True, slots=True)
class Root:
    """A source as the catalog knows it. `volume` is the mount point of its drive.

    `location` is escaped like a key. That of a dataset is the path that its keys lie below and, behind a `?`, what else
    makes it this dataset; `?` and `#` in the path are escaped.
    """

    id: int
    kind: str
    location: str
    volume: str | None
    added: float

    @property
    def source(self) -> str:
        """What a person calls it: the path of a folder, and of a dataset its kind before it."""
        return self.location if self.kind == FOLDER_KIND else f"{self.kind}:{self.location}"

    @property
    def folder(self) -> str:
        """What its keys lie below: its location without the options of a dataset, escaped like a key."""
        if self.kind == FOLDER_KIND:
            return self.location
        plain = self.location.partition("?")[0]
        return plain if is_address(plain) else keys.escape(keys.unescape(plain))

    @property
    def path(self) -> Path:
        """Where it lies on this machine."""
        return Path(keys.unescape(self.folder))

    def place(self, key: str) -> str:
        """Where one of its keys lies: a path, escaped, or the very URL. In an archive, the path goes on below its name."""
        if is_address(key):
            return _ESCAPED_SIGN.sub("%", key)
        separator = "/" if is_address(self.folder) else os.sep
        return self.folder.rstrip("/\\") + separator + key.replace("/", separator)

    def key_of(self, place: str) -> str | None:
        """The key that lies at a place, the opposite of `place`; "" for the root's own, None for what lies outside."""
        if is_address(place) and not is_address(self.folder):
            return keys.escape(place)
        if place == self.folder:
            return ""
        separator = "/" if is_address(self.folder) else os.sep
        outer = self.folder.rstrip("/\\") + separator
        return place.removeprefix(outer).replace(separator, "/") if place.startswith(outer) else None


def is_address(place: str) -> bool:
    """Whether a place is a URL and no path."""
    return _SCHEME.match(place) is not None


def location_of(path: Path) -> str:
    """A folder's location as a root has it."""
    return keys.escape(str(keys.absolute(path)))


def roots(catalog: Catalog) -> list[Root]:
    """All roots, oldest first."""
    return [Root(*row) for row in catalog.all(f"{_SELECT} ORDER BY id")]


def find_root(catalog: Catalog, kind: str, location: str) -> Root | None:
    """The root of this kind at this location, or for folders the one that it lies inside."""
    for root in roots(catalog):
        if prefix_of(root, kind, location) is not None:
            return root
    return None


def prefix_of(root: Root, kind: str, location: str) -> str | None:
    """What a folder's keys start with in a root that holds it; "" for the root itself, None when it lies outside."""
    if root.kind != kind:
        return None
    if root.location == location:
        return ""
    outer, inner = root.path, Path(keys.unescape(location))
    if kind != FOLDER_KIND or not inner.is_relative_to(outer):
        return None
    below = inner.relative_to(outer).as_posix()
    return "" if below == "." else f"{keys.escape(below)}/"  # "." on Windows, where case makes no difference


def add_root(change: Transaction, kind: str, location: str) -> tuple[int, str]:
    """The id of the root that holds a location, and the prefix that its keys have there.

    A new root is added where there is none; those that lie inside it join it.
    """
    every = [Root(*row) for row in change.run(f"{_SELECT} ORDER BY id").fetchall()]
    for root in every:
        prefix = prefix_of(root, kind, location)
        if prefix is not None:
            return root.id, prefix
    values = (kind, location, _volume(kind, location), time.time())
    added = Root(
        *change.one(
            "INSERT INTO roots (kind, location, volume, added) VALUES (?, ?, ?, ?) "
            "RETURNING id, kind, location, volume, added",
            values,
        )
    )
    for inner in every:
        prefix = prefix_of(added, inner.kind, inner.location)
        if prefix is not None:
            _join(change, inner.id, added.id, prefix)
    return added.id, ""


def _join(change: Transaction, inner: int, outer: int, prefix: str) -> None:
    for table in ("names", "refusals"):
        change.run(
            f"UPDATE OR IGNORE {table} SET root_id = ?, key = ? || key WHERE root_id = ?",
            (outer, prefix, inner),
        )
    change.run("DELETE FROM roots WHERE id = ?", (inner,))


def moving(catalog: Catalog, old: str) -> list[Root]:
    """The roots that lie at a location, or the one of this `source`."""
    return [root for root in roots(catalog) if old in (root.source, root.folder)]


def move_root(catalog: Catalog, old: str, new: str) -> None:
    """Say that what lies at a location, or the root of this `source`, now lies elsewhere; nothing is read again.

    With a folder go the datasets in it whose keys lie below the very same folder; they keep their options. `new` is a
    path, escaped like a key. Raises UsageError when there is no such root or when the new place already belongs to one.
    """
    every = roots(catalog)
    leaving = moving(catalog, old)
    if not leaving:
        known = ", ".join(keys.shown(root.source) for root in every) or "none"
        raise UsageError(f"There is no root {keys.shown(old)}. Roots of this gallery: {known}.")
    moved = [replace(root, location=_moved(root, new)) for root in leaving]
    others = [root for root in every if root not in leaving]
    for root in moved:
        _check_free(root, others, old)
    with catalog.transaction() as change:
        for root in moved:
            values = (root.location, _volume(root.kind, root.location), root.id)
            change.run("UPDATE roots SET location = ?, volume = ? WHERE id = ?", values)


def _moved(root: Root, new: str) -> str:
    """The location that a root has at a new place."""
    if root.kind == FOLDER_KIND:
        return new
    _, options, told = root.location.partition("?")
    return new.replace("?", "%3F").replace("#", "%23") + options + told


def _check_free(moved: Root, others: list[Root], old: str) -> None:
    new = moved.source
    for other in others:
        if prefix_of(other, moved.kind, moved.location) is not None:
            raise UsageError(
                f"{keys.shown(new)} already belongs to the root {keys.shown(other.source)}, which knows the pictures "
                f"there. Forget the old place: picfind forget {keys.shown(old)}."
            )
        if prefix_of(moved, other.kind, other.location) is not None:
            raise UsageError(
                f"{keys.shown(new)} holds the root {keys.shown(other.source)}. Forget that one first, or index "
                f"{keys.shown(new)} anew: nothing is encoded twice."
            )


def _volume(kind: str, location: str) -> str | None:
    """The mount point: a drive that is not plugged in can then be named when its root is missing."""
    path = Root(0, kind, location, None, 0.0).path
    if not path.is_absolute():
        return None
    mount = next((place for place in (path, *path.parents) if os.path.ismount(place)), None)
    return keys.escape(str(mount)) if mount else None
