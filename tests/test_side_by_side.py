"""A writer and readers of several processes at one gallery: no reader ever meets an error or a wrong answer."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from picfind.search.query import Kind, Query, Term
from picfind.search.searcher import Searcher
from picfind.storage import health, names, parts, upkeep
from picfind.storage import writer as writer_module
from picfind.storage.names import Content, Name
from picfind.storage.store import Store
from picfind.storage.writer import Vectored, Writer
from picfind.testing import toy_encoder
from picfind.types import Fingerprint
from tests.photos import photo
from tests.test_storage_store import add_root, digest

SECONDS = 6.0


def write(folder: Path) -> None:
    """Add, merge, forget and purge as fast as it goes."""
    writer_module._FANOUT = 2
    store = Store.open(folder)
    end, number = time.monotonic() + SECONDS, 3
    while time.monotonic() < end:
        with store.writing() as writer:
            root_id = add_root(writer)
            for _ in range(4):
                _commit(writer, root_id, number)
                number += 1
            with writer.transaction() as change:
                names.forget(change, root_id, [f"{old}.png" for old in range(3, number - 10)])
        upkeep.purge(store)
    store.close()


def _commit(writer: Writer, root_id: int, number: int) -> None:
    rows = toy_encoder().encode_images([photo("green" if number == 1 else "red", seed=number)])
    writer.commit(
        root_id,
        contents=[Content(digest(number), 1)],
        names=[Name(f"{number}.png", Fingerprint("1"), digest(number))],
        vectors={toy_encoder().space: Vectored([parts.picture(digest(number))], rows)},
    )


def read(folder: Path, kind: str, told: Queue[str]) -> None:
    """Search for a picture that is always there, and say how often that went well."""
    end, done = time.monotonic() + SECONDS, 0
    query = Query((Term(Kind.PICTURE, photo("green", seed=1)),), k=3)
    try:
        while time.monotonic() < end:
            store = Store.open(folder)
            searcher = Searcher(store, [toy_encoder()], index=kind)
            for _ in range(5):
                searcher.refresh()
                hits = searcher.search(query).hits
                assert hits[0].content == digest(1).hex(), hits
                assert len(hits) == 3, hits
                done += 1
            store.close()
    except BaseException as error:
        told.put(f"{kind}: {type(error).__name__}: {error}")
        raise
    told.put(f"{kind}: {done}")


@pytest.mark.slow
def test_readers_never_meet_a_writer(tmp_path: Path) -> None:
    folder = tmp_path / "test.gallery"
    store = Store.open(folder, create=True)
    with store.writing() as writer:
        root_id = add_root(writer)
        for number in range(3):
            _commit(writer, root_id, number)
    spawn = multiprocessing.get_context("spawn")
    told: Queue[str] = spawn.Queue()
    processes = [
        spawn.Process(target=write, args=(folder,)),
        *(spawn.Process(target=read, args=(folder, kind, told)) for kind in ("flat", "faiss", "faiss")),
    ]
    for process in processes:
        process.start()
    answers = [told.get(timeout=60) for _ in range(3)]
    for process in processes:
        process.join()
    assert all(answer.split(": ")[1].isdigit() for answer in answers), answers
    assert all(int(answer.split(": ")[1]) > 5 for answer in answers), answers
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert [finding for finding in health.check(store) if not finding.what.startswith("stray")] == []
    store.close()
