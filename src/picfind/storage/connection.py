"""How SQLite is spoken to: opening a catalog where and as its folder allows, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from picfind.errors import (
    DamagedGalleryError,
    GalleryBusyError,
    GalleryError,
    GalleryWriteError,
    ReadOnlyGalleryError,
)
from picfind.storage import functions

_BUSY_SECONDS = 30.0
_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.rclone", "afs", "ceph", "davfs")


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open a catalog, which is made where it is not there and may be written. Transactions begin only by `begun`."""
    connection = sqlite3.connect(
        address(path, "mode=rwc" if writable else reading_mode(path, writable=writable)),
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    functions.define(connection)
    return connection


def reading_mode(path: Path, *, writable: bool) -> str:
    """How to open a catalog for reading.

    A read-only folder cannot hold the files that WAL wants beside the catalog, so it is opened as immutable; but not
    where a writer of somebody else's has its log there, which that would pass over.
    """
    log = path.with_name(f"{path.name}-wal")
    if writable or (log.exists() and log.stat().st_size):
        return "mode=ro"
    return "mode=ro&immutable=1"


@contextmanager
def begun(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """A transaction that the block commits; rolled back when it does not come to that."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk makes SQLite roll back by itself
            connection.execute("ROLLBACK")
        raise


def address(path: Path, options: str) -> str:
    """A path as SQLite takes it together with options."""
    # not Path.as_uri: that refuses names that are not UTF-8
    return f"file:{quote(os.fsencode(path.absolute().as_posix()))}?{options}"


def set_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    """Make what is committed survive a loss of power."""
    mode = "DELETE" if on_network(path) else "WAL"  # WAL needs shared memory, which a network drive has not
    if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != mode:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a catalog into an error that says what to do."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise GalleryError(f"The gallery {path.parent} has been closed. Open it again.") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind, advice = _MEANINGS.get(code, (GalleryError, "Run `picfind doctor`."))
        raise kind(f"{path}: {error}. {advice}") from error


_MEANINGS: dict[int, tuple[type[GalleryError], str]] = {
    sqlite3.SQLITE_BUSY: (
        GalleryBusyError,
        "Another process holds it. Wait until it has finished, then run again.",
    ),
    sqlite3.SQLITE_LOCKED: (
        GalleryBusyError,
        "Another process holds it. Wait until it has finished, then run again.",
    ),
    sqlite3.SQLITE_FULL: (
        GalleryWriteError,
        "Make room on the disk and run again; nothing committed is lost.",
    ),
    sqlite3.SQLITE_IOERR: (
        GalleryWriteError,
        "Is the disk full? Make room and run again; nothing committed is lost.",
    ),
    sqlite3.SQLITE_READONLY: (ReadOnlyGalleryError, "Searching works; to change it, make it writable."),
    sqlite3.SQLITE_CANTOPEN: (
        ReadOnlyGalleryError,
        "Check that its folder can be read, and written where it must.",
    ),
    sqlite3.SQLITE_CORRUPT: (DamagedGalleryError, "It is damaged: restore it from a backup, or index anew."),
    sqlite3.SQLITE_NOTADB: (
        DamagedGalleryError,
        "It is no catalog of picfind or is damaged: restore it from a backup, or index anew.",
    ),
}


def on_network(path: Path) -> bool:
    """Whether a path is known to lie on a network file system."""
    if sys.platform == "win32":
        return str(path.absolute()).startswith("\\\\")
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    place = str(path.absolute())
    kind, longest = "", 0
    for line in mounts.splitlines():
        point, file_system = line.split(" ")[1:3]
        point = point.replace("\\040", " ").rstrip("/")
        if (place == point or place.startswith(point + "/")) and len(point) >= longest:
            kind, longest = file_system, len(point)
    return kind.startswith(_NETWORK_FILE_SYSTEMS)
