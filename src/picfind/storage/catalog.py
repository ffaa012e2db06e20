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
from contextlib import contextmanager, suppress
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
    """An open catalog. May be used from several threads: they take turns."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        """Open or, where writable, create and migrate it.

        Raises NewerGalleryError, DamagedGalleryError, and ReadOnlyGalleryError when it needs a migration that cannot
        be written.
        """
        self.path = path
        self.writable = writable
        self._closed = False
        self._lock = threading.RLock()
        self._connection = _connect(path, writable=writable)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        try:
            version = int(self.one("PRAGMA user_version")[0])
            if version > VERSION:
                raise NewerGalleryError(
                    f"The gallery {self.path.parent} has format {version}; this picfind reads up to {VERSION}. "
                    "Upgrade it: pip install --upgrade picfind."
                )
            if self.writable:
                _set_pragmas(self._connection, self.path)
            if version < VERSION:
                self._migrate()
        except sqlite3.DatabaseError as error:
            raise _opening_error(self.path, error) from error

    def _migrate(self) -> None:
        if not self.writable:
            raise ReadOnlyGalleryError(
                f"The gallery {self.path.parent} has an older format, and its folder cannot be written to bring it "
                "up to date. Open it once from where it can be written."
            )
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                # read again: another process may have migrated while this one waited for its turn
                for number in range(int(self.one("PRAGMA user_version")[0]), VERSION):
                    for statement in _statements(MIGRATIONS[number]):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA user_version = {number + 1}")
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Fold the write-ahead log into the file, so that a reader of a read-only folder sees all, and close."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self.writable:
                with suppress(
                    sqlite3.OperationalError
                ):  # a full disk: the log stays beside the file, and counts
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row:
        """The one row of a query that always has one."""
        row = self.first(sql, values)
        if row is None:
            raise DamagedGalleryError(f"{self.path} lacks a row that it must have. Run `picfind doctor`.")
        return row

    def first(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        with self._lock:
            row: Row | None = self._connection.execute(sql, values).fetchone()
            return row

    @property
    def generation(self) -> int:
        """Goes up by one with every committed change; equal generations mean an equal gallery."""
        return int(self.one("SELECT value FROM meta WHERE key = 'generation'")[0])

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several queries that see one and the same generation."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the catalog: all of the block is committed, or none of it. Does not nest.

        Raises ReadOnlyGalleryError, and GalleryWriteError when the disk is full.
        """
        if not self.writable:
            raise ReadOnlyGalleryError(
                f"The gallery {self.path.parent} cannot be written: its folder is read-only."
            )
        with self._lock, _explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection)
                self._connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
                self._commit()
            except BaseException:
                # a full disk makes SQLite roll back by itself
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    @contextmanager
    def attached(self, other: Catalog) -> Iterator[None]:
        """Another gallery's catalog, readable in queries as `other`."""
        options = "mode=ro" if other.writable else "mode=ro&immutable=1"
        with self._lock:
            self._connection.execute("ATTACH DATABASE ? AS other", (_address(other.path, options),))
            try:
                yield
            finally:
                self._connection.execute("DETACH DATABASE other")

    def vacuum(self) -> None:
        """Give unused pages of the file back to the disk."""
        with self._lock, _explained(self.path):
            self._connection.execute("VACUUM")


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
    # immutable: a read-only folder cannot hold the files that WAL wants beside the catalog
    options = "mode=rwc" if writable else "mode=ro&immutable=1"
    connection = sqlite3.connect(
        _address(path, options),
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _address(path: Path, options: str) -> str:
    # not Path.as_uri: that refuses names that are not UTF-8
    return f"file:{quote(os.fsencode(path.absolute().as_posix()))}?{options}"


def _set_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    mode = "DELETE" if on_network(path) else "WAL"  # WAL needs shared memory, which a network drive has not
    if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != mode:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")


def _opening_error(path: Path, error: sqlite3.DatabaseError) -> GalleryError:
    code = error.sqlite_errorcode & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return GalleryBusyError(
            f"{path} has been locked by another process for {_BUSY_SECONDS:.0f} s. Try again."
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return DamagedGalleryError(
            f"{path} is not a catalog of picfind or is damaged ({error}). Restore it from a backup, or move the "
            "folder away and index again."
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return GalleryWriteError(
            f"{path} cannot be opened: {error}. Is the disk full? Make room and run again."
        )
    return GalleryError(f"{path} cannot be opened: {error}.")


def _statements(script: str) -> Iterator[str]:
    # not executescript: that commits the transaction it is in; a statement ends where a line does
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise GalleryWriteError(
                f"{path} could not be written: {error}. Make room on the disk and run again; nothing that was "
                "committed is lost."
            ) from error
        raise


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
