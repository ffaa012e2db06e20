from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest

from picfind.errors import (
    DamagedGalleryError,
    GalleryBusyError,
    GalleryError,
    NewerGalleryError,
    ReadOnlyGalleryError,
)
from picfind.storage import catalog as catalog_module
from picfind.storage import connection as connection_module
from picfind.storage import schema
from picfind.storage.catalog import Catalog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


def _add_root(catalog: Catalog, location: str) -> None:
    with catalog.transaction() as change:
        change.run("INSERT INTO roots (kind, location, added) VALUES ('folder', ?, 0)", (location,))


def _locations(catalog: Catalog) -> list[str]:
    return [location for (location,) in catalog.all("SELECT location FROM roots ORDER BY id")]


def test_a_new_catalog_has_the_present_format(path: Path) -> None:
    catalog = Catalog(path, writable=True)
    assert catalog.one("PRAGMA user_version") == (schema.VERSION,)
    assert catalog.generation == 0
    catalog.close()


def test_a_transaction_is_all_or_nothing_and_raises_the_generation(path: Path) -> None:
    catalog = Catalog(path, writable=True)
    _add_root(catalog, "/a")
    with pytest.raises(RuntimeError), catalog.transaction() as change:
        change.run("INSERT INTO roots (kind, location, added) VALUES ('folder', '/b', 0)")
        raise RuntimeError
    assert _locations(catalog) == ["/a"]
    assert catalog.generation == 1
    catalog.close()


def test_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    Catalog(path, writable=True).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(
        NewerGalleryError, match=rf"format {schema.VERSION + 1}.*pip install --upgrade picfind"
    ):
        Catalog(path, writable=True)
    assert path.read_bytes() == before


def test_a_migration_and_its_number_commit_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Catalog(path, writable=True).close()
    further = "CREATE TABLE extra (a);\nINSERT INTO extra VALUES (1);\n"
    monkeypatch.setattr(
        catalog_module, "MIGRATIONS", (*schema.MIGRATIONS, f"{further}SELECT * FROM nowhere;")
    )
    monkeypatch.setattr(catalog_module, "VERSION", schema.VERSION + 1)
    with pytest.raises(GalleryError, match="nowhere"):
        Catalog(path, writable=True)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchall()
    connection.close()
    monkeypatch.setattr(catalog_module, "MIGRATIONS", (*schema.MIGRATIONS, further))
    catalog = Catalog(path, writable=True)
    assert catalog.one("SELECT a FROM extra") == (1,)
    assert catalog.one("PRAGMA user_version") == (schema.VERSION + 1,)
    catalog.close()


def test_an_older_format_that_cannot_be_written_says_so(path: Path) -> None:
    sqlite3.connect(path).close()
    with pytest.raises(ReadOnlyGalleryError, match="older format"):
        Catalog(path, writable=False)


def test_a_file_that_is_no_catalog_is_called_damaged(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DamagedGalleryError, match="no catalog of picfind or is damaged"):
        Catalog(path, writable=True)


def test_reading_only_changes_nothing_beside_the_file(path: Path) -> None:
    writer = Catalog(path, writable=True)
    _add_root(writer, "/a")
    writer.close()
    before = {entry.name for entry in path.parent.iterdir()}
    reader = Catalog(path, writable=False)
    assert _locations(reader) == ["/a"]
    with pytest.raises(ReadOnlyGalleryError), reader.transaction():
        pass
    reader.close()
    assert {entry.name for entry in path.parent.iterdir()} == before == {"catalog.sqlite"}


def test_closing_folds_the_log_into_the_file(path: Path) -> None:
    catalog = Catalog(path, writable=True)
    assert catalog.one("PRAGMA journal_mode") == ("wal",)
    assert catalog._writer.execute("PRAGMA synchronous").fetchone() == (2,), (
        "FULL: commits survive a loss of power"
    )
    _add_root(catalog, "/a")
    catalog.close()
    assert not path.with_name("catalog.sqlite-wal").exists()


def test_a_reader_sees_one_generation_while_another_writes(path: Path) -> None:
    reader, writer = Catalog(path, writable=True), Catalog(path, writable=True)
    with reader.reading():
        before = reader.generation
        _add_root(writer, "/a")
        assert reader.generation == before
        assert _locations(reader) == []
    assert reader.generation == before + 1
    reader.close()
    writer.close()


def test_nothing_is_changed_from_within_a_reading(path: Path) -> None:
    catalog = Catalog(path, writable=True)
    with catalog.reading(), pytest.raises(GalleryError, match="from within a reading"), catalog.transaction():
        pass
    _add_root(catalog, "/a")
    catalog.close()


def test_an_interrupted_reading_is_over(path: Path) -> None:
    catalog = Catalog(path, writable=True)
    with pytest.raises(KeyboardInterrupt), catalog.reading():
        raise KeyboardInterrupt
    _add_root(catalog, "/a")
    assert _locations(catalog) == ["/a"]
    catalog.close()


def test_a_transaction_that_changes_nothing_leaves_the_generation(path: Path) -> None:
    catalog = Catalog(path, writable=True)
    with catalog.transaction() as change:
        change.run("DELETE FROM roots")
    assert catalog.generation == 0
    catalog.close()


def test_closing_does_not_wait_for_another_writer(path: Path) -> None:
    writer, reader = Catalog(path, writable=True), Catalog(path, writable=True)
    _add_root(writer, "/a")
    with writer.transaction() as change:
        change.run("DELETE FROM roots")
        reader.close()  # a busy timeout of half a minute would show as a test that hangs
    assert _locations(writer) == []
    writer.close()


def test_threads_take_turns(path: Path) -> None:
    catalog = Catalog(path, writable=True)
    threads = [threading.Thread(target=_add_root, args=(catalog, f"/{number}")) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_locations(catalog)) == catalog.generation == 16
    catalog.close()


def _add_many(path: Path, name: str) -> None:
    catalog = Catalog(path, writable=True)
    for number in range(20):
        _add_root(catalog, f"/{name}/{number}")
    catalog.close()


def test_processes_take_turns(path: Path) -> None:
    Catalog(path, writable=True).close()
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_add_many, args=(path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    catalog = Catalog(path, writable=True)
    assert len(_locations(catalog)) == catalog.generation == 40
    catalog.close()


def test_odd_characters_in_the_path_do_not_matter(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1? é\n"
    folder.mkdir()
    catalog = Catalog(folder / "catalog.sqlite", writable=True)
    _add_root(catalog, "/a")
    catalog.close()
    assert (folder / "catalog.sqlite").exists()


def test_a_reader_without_permission_sees_the_log_of_an_open_writer(path: Path) -> None:
    writer = Catalog(path, writable=True)
    _add_root(writer, "/a")
    reader = Catalog(path, writable=False)
    assert _locations(reader) == ["/a"]
    reader.close()
    writer.close()


def test_a_catalog_that_is_locked_for_long_is_explained(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_BUSY_SECONDS", 0.1)
    first, second = Catalog(path, writable=True), Catalog(path, writable=True)
    with first.transaction(), pytest.raises(GalleryBusyError, match="Another process holds it"):
        _add_root(second, "/b")
    first.close()
    second.close()


def test_a_network_drive_gets_no_shared_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "on_network", lambda _: True)
    catalog = Catalog(path, writable=True)
    assert catalog.one("PRAGMA journal_mode") == ("delete",)
    _add_root(catalog, "/a")
    assert _locations(catalog) == ["/a"]
    catalog.close()


def test_a_local_folder_is_no_network_drive(tmp_path: Path) -> None:
    assert not connection_module.on_network(tmp_path)
