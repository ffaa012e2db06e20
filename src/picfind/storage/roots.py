"""Roots: the places that pictures come from, of which one never lies inside another."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from picfind import keys
from picfind.errors import UsageError
from picfind.storage.catalog import Catalog, Transaction

FOLDER_KIND = "folder"
_SELECT = "SELECT id, kind, location, volume, added FROM roots"


@dataclass(frozen=True, slots=True)
class Root:
    """A source as the catalog knows it. `location` is escaped like a key; `volume` is the mount point of its drive."""

    id: int
    kind: str
    location: str
    volume: str | None
    added: float

    @property
    def path(self) -> Path:
        """Where a folder lies on this machine."""
        return Path(keys.unescape(self.location))

    def place(self, key: str) -> str:
        """The path of one of its keys, escaped."""
        if self.kind != FOLDER_KIND:
            return key
        return self.location.rstrip("/\\") + os.sep + key.replace("/", os.sep)


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


def move_root(catalog: Catalog, old: str, new: str) -> None:
    """Say that a root now lies elsewhere; nothing is read or encoded again.

    Raises UsageError when there is no such root or when the new place already belongs to one.
    """
    root = next((root for root in roots(catalog) if root.location == old), None)
    if root is None:
        known = ", ".join(keys.shown(root.location) for root in roots(catalog)) or "none"
        raise UsageError(f"There is no root {keys.shown(old)}. Roots of this gallery: {known}.")
    moved = replace(root, location=new)
    for other in roots(catalog):
        if other.id == root.id:
            continue
        if prefix_of(other, root.kind, new) is not None:
            raise UsageError(
                f"{keys.shown(new)} already belongs to the root {keys.shown(other.location)}, which knows the pictures "
                f"there. Forget the old place: picfind forget {keys.shown(old)}."
            )
        if prefix_of(moved, other.kind, other.location) is not None:
            raise UsageError(
                f"{keys.shown(new)} holds the root {keys.shown(other.location)}. Forget that one first, or index "
                f"{keys.shown(new)} anew: nothing is encoded twice."
            )
    with catalog.transaction() as change:
        change.run(
            "UPDATE roots SET location = ?, volume = ? WHERE id = ?", (new, _volume(root.kind, new), root.id)
        )


def _volume(kind: str, location: str) -> str | None:
    """The mount point: a drive that is not plugged in can then be named when its root is missing."""
    if kind != FOLDER_KIND:
        return None
    path = Path(keys.unescape(location))
    mount = next((place for place in (path, *path.parents) if os.path.ismount(place)), None)
    return keys.escape(str(mount)) if mount else None
