"""The catalog: one SQLite file that says what exists. Its connection, its transactions, its generation.

Policy of transactions: every change is made inside `transaction()`, which begins IMMEDIATE (so that it cannot fail
half-way for another writer), raises the generation by one and commits, or rolls all of it back. With
`synchronous = FULL` what is committed survives a loss of power.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from picfind.errors import DamagedGalleryError, GalleryError, NewerGalleryError, ReadOnlyGalleryError
from picfind.storage.connection import address, begun, connect, explained, reading_mode, set_pragmas
from picfind.storage.schema import MIGRATIONS, VERSION

FILE = "catalog.sqlite"

Row = tuple[Any, ...]
_AT_ONCE = 500
"""Values that one statement is given: SQLite takes a limited number of them."""


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
        self._closed = False
        self._reading = threading.RLock()
        self._writing = threading.RLock()
        with ExitStack() as stack, explained(path):
            self._writer = connect(path, writable=writable)
            stack.callback(self._writer.close)
            self._prepare()
            self._reader = connect(path, writable=writable)
            stack.pop_all()

    def _prepare(self) -> None:
        version = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise NewerGalleryError(
                f"The gallery {self.path.parent} has format {version}; this picfind reads up to {VERSION}. "
                "Upgrade it: pip install --upgrade picfind."
            )
        if self.writable:
            set_pragmas(self._writer, self.path)
        if version < VERSION:
            self._migrate()

    def _migrate(self) -> None:
        if not self.writable:
            raise ReadOnlyGalleryError(
                f"The gallery {self.path.parent} has an older format, and its folder cannot be written to bring it "
                "up to date. Open it once from where it can be written."
            )
        with begun(self._writer, "IMMEDIATE"):
            # read again: another process may have migrated while this one waited for its turn
            for number in range(int(self._writer.execute("PRAGMA user_version").fetchone()[0]), VERSION):
                for statement in _statements(MIGRATIONS[number]):
                    self._writer.execute(statement)
                self._writer.execute(f"PRAGMA user_version = {number + 1}")
            self._writer.execute("COMMIT")

    def close(self) -> None:
        """Fold the write-ahead log into the file, so that a reader of a read-only folder sees all, and close."""
        with self._writing, self._reading:
            self._closed = True
            self._reader.close()
            # the log stays beside the file, and counts, where the disk is full or another process is writing, which
            # is not waited for; closing twice does nothing
            with suppress(sqlite3.OperationalError, sqlite3.ProgrammingError):
                if self.writable:
                    self._writer.execute("PRAGMA busy_timeout = 0")
                    self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writer.close()

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query, as they were committed last."""
        with self._reading, explained(self.path):
            return self._reader.execute(sql, values).fetchall()

    def all_of(self, sql: str, ids: Sequence[int]) -> list[Row]:
        """All rows of a query about any number of ids, which stand for `(?)` in it: asked in several statements where there are many.

        What the query orders is ordered within one statement only.
        """
        rows: list[Row] = []
        for at in range(0, len(ids), _AT_ONCE):
            some = list(ids[at : at + _AT_ONCE])
            rows += self.all(sql.replace("(?)", f"({', '.join('?' * len(some))})"), some)
        return rows

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
        with self._reading, explained(self.path):
            nested = self._reader.in_transaction
            try:
                if not nested:
                    self._reader.execute("BEGIN")
                yield
            finally:
                if not nested and self._reader.in_transaction:
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
        if self._reading_here():
            raise GalleryError("The gallery cannot be changed from within a reading of it. Leave that first.")
        with self._writing, explained(self.path), begun(self._writer, "IMMEDIATE"):
            change = Transaction(self._writer)
            yield change
            if change.changed:
                self._writer.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            self._commit()

    def _reading_here(self) -> bool:
        """Whether this thread is inside `reading`: what it sees is older than what it would change."""
        if not self._reading.acquire(blocking=False):
            return False  # another thread is
        try:
            return not self._closed and self._reader.in_transaction
        finally:
            self._reading.release()

    def _commit(self) -> None:
        self._writer.execute("COMMIT")

    @contextmanager
    def attached(self, other: Catalog) -> Iterator[None]:
        """Another gallery's catalog, readable in a transaction's statements as `other`."""
        with self._writing, explained(self.path):
            self._writer.execute(
                "ATTACH DATABASE ? AS other",
                (address(other.path, reading_mode(other.path, writable=other.writable)),),
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
        self._before = connection.total_changes

    @property
    def changed(self) -> bool:
        """Whether any row has been changed."""
        return self._connection.total_changes > self._before

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


def _statements(script: str) -> Iterator[str]:
    # not executescript: that commits the transaction it is in; a statement ends where a line does
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
