"""The catalog: one SQLite file that says what exists. Its connection, its transactions, its generation.

Policy of transactions: every change is made inside `transaction()`, which begins IMMEDIATE (so that it cannot fail
half-way for another writer), raises the generation by one and commits, or rolls all of it back. With
`synchronous = FULL` what is committed survives a loss of power.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from picfind.errors import (
    DamagedGalleryError,
    GalleryBusyError,
    GalleryError,
    GalleryWriteError,
    NewerGalleryError,
    ReadOnlyGalleryError,
)
from picfind.storage.schema import MIGRATIONS, VERSION

FILE = "catalog.sqlite"
_BUSY_SECONDS = 30.0
_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.rclone", "afs", "ceph", "davfs")

Row = tuple[Any, ...]


class Catalog:
    """An open catalog. May be used from several threads: readers take turns among themselves, and so do writers.

    Reading and writing have a connection each, so that readers never wait for a writer, not even in one process.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        """Open or, where writable, create and migrate it.

        Raises NewerGalleryError, DamagedGalleryError, GalleryBusyError, and ReadOnlyGalleryError when it needs a
        migration that cannot be written.
        """
        self.path = path
        self.writable = writable
        self._reading = threading.RLock()
        self._writing = threading.RLock()
        with ExitStack() as stack, explained(path):
            self._writer = _connect(path, writable=writable)
            stack.callback(self._writer.close)
            self._prepare()
            self._reader = _connect(path, writable=writable)
            stack.pop_all()

    def _prepare(self) -> None:
        version = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise NewerGalleryError(
                f"The gallery {self.path.parent} has format {version}; this picfind reads up to {VERSION}. "
                "Upgrade it: pip install --upgrade picfind."
            )
        if self.writable:
            _set_pragmas(self._writer, self.path)
        if version < VERSION:
            self._migrate()

    def _migrate(self) -> None:
        if not self.writable:
            raise ReadOnlyGalleryError(
                f"The gallery {self.path.parent} has an older format, and its folder cannot be written to bring it "
                "up to date. Open it once from where it can be written."
            )
        with _begun(self._writer, "IMMEDIATE"):
            # read again: another process may have migrated while this one waited for its turn
            for number in range(int(self._writer.execute("PRAGMA user_version").fetchone()[0]), VERSION):
                for statement in _statements(MIGRATIONS[number]):
                    self._writer.execute(statement)
                self._writer.execute(f"PRAGMA user_version = {number + 1}")
            self._writer.execute("COMMIT")

    def close(self) -> None:
        """Fold the write-ahead log into the file, so that a reader of a read-only folder sees all, and close."""
        with self._writing, self._reading:
            self._reader.close()
            if self.writable:
                # a full disk: the log stays beside the file, and counts; closing twice does nothing
                with suppress(sqlite3.OperationalError, sqlite3.ProgrammingError):
                    self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writer.close()

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query, as they were committed last."""
        with self._reading, explained(self.path):
            return self._reader.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row:
        """The one row of a query that always has one."""
        row = self.first(sql, values)
        if row is None:
            raise DamagedGalleryError(f"{self.path} lacks a row that it must have. Run `picfind doctor`.")
        return row

    def first(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        with self._reading, explained(self.path):
            row: Row | None = self._reader.execute(sql, values).fetchone()
            return row

    @property
    def generation(self) -> int:
        """Goes up by one with every committed change; equal generations mean an equal gallery."""
        return int(self.one("SELECT value FROM meta WHERE key = 'generation'")[0])

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several queries that see one and the same generation."""
        with self._reading:
            with explained(self.path):
                nested = self._reader.in_transaction
                if not nested:
                    self._reader.execute("BEGIN")
            if nested:
                yield
                return
            try:
                yield
            finally:
                self._reader.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the catalog: all of the block is committed, or none of it. Does not nest.

        Raises ReadOnlyGalleryError, and GalleryWriteError when the disk is full.
        """
        if not self.writable:
            raise ReadOnlyGalleryError(
                f"The gallery {self.path.parent} cannot be written: its folder is read-only."
            )
        with self._writing, explained(self.path), _begun(self._writer, "IMMEDIATE"):
            yield Transaction(self._writer)
            self._writer.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            self._commit()

    def _commit(self) -> None:
        self._writer.execute("COMMIT")

    @contextmanager
    def attached(self, other: Catalog) -> Iterator[None]:
        """Another gallery's catalog, readable in a transaction's statements as `other`."""
        with self._writing, explained(self.path):
            self._writer.execute(
                "ATTACH DATABASE ? AS other", (_address(other.path, _mode(other.path, other.writable)),)
            )
            try:
                yield
            finally:
                self._writer.execute("DETACH DATABASE other")

    def vacuum(self) -> None:
        """Give unused pages of the file back to the disk."""
        with self._writing, explained(self.path):
            self._writer.execute("VACUUM")


class Transaction:
    """Statements of a transaction that is under way."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """One statement."""
        return self._connection.execute(sql, values)

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement for each row of values."""
        self._connection.executemany(sql, rows)

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row:
        """The one row of a query that always has one."""
        row: Row = self._connection.execute(sql, values).fetchone()
        return row


def _connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        _address(path, "mode=rwc" if writable else _mode(path, writable)),
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _mode(path: Path, writable: bool) -> str:
    """How to open a catalog for reading.

    A read-only folder cannot hold the files that WAL wants beside the catalog, so it is opened as immutable; but not
    where a writer of somebody else's has its log there, which that would pass over.
    """
    log = path.with_name(f"{path.name}-wal")
    if writable or (log.exists() and log.stat().st_size):
        return "mode=ro"
    return "mode=ro&immutable=1"


@contextmanager
def _begun(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """A transaction that the block commits; rolled back when it does not come to that."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk makes SQLite roll back by itself
            connection.execute("ROLLBACK")
        raise


def _address(path: Path, options: str) -> str:
    # not Path.as_uri: that refuses names that are not UTF-8
    return f"file:{quote(os.fsencode(path.absolute().as_posix()))}?{options}"


def _set_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    mode = "DELETE" if on_network(path) else "WAL"  # WAL needs shared memory, which a network drive has not
    if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != mode:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")


def _statements(script: str) -> Iterator[str]:
    # not executescript: that commits the transaction it is in; a statement ends where a line does
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


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
