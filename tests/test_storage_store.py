from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from picfind.errors import (
    DamagedGalleryError,
    EncoderError,
    GalleryBusyError,
    GalleryError,
    GalleryWriteError,
    NoGalleryError,
    UnknownSpaceError,
    UsageError,
)
from picfind.images import Facts
from picfind.storage import names, parts, roots, spaces
from picfind.storage import vectors as vectors_module
from picfind.storage.descriptions import describe
from picfind.storage.names import Content, Name, Refusal
from picfind.storage.parts import Part
from picfind.storage.store import Store
from picfind.storage.writer import Vectored, Writer
from picfind.types import PAIR, WORDS, Fingerprint, Floats, Space, Words
from tests.meddling import once_before

SPACE = Space("toy", "000000000001", 8)
OTHER = Space("toy", "000000000002", 4)


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def unit_rows(count: int, *, dim: int = 8, seed: int = 0) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    unit: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def add_root(writer: Writer, location: str = "/photos") -> int:
    with writer.transaction() as change:
        return roots.add_root(change, "folder", location)[0]


def commit(writer: Writer, root_id: int, numbers: range, *, space: Space = SPACE, seed: int = 0) -> Floats:
    rows = unit_rows(len(numbers), dim=space.dim, seed=seed)
    writer.commit(
        root_id,
        contents=[Content(digest(number), number) for number in numbers],
        names=[Name(f"{number}.png", Fingerprint("1"), digest(number)) for number in numbers],
        vectors={space: Vectored([parts.picture(digest(number)) for number in numbers], rows)},
    )
    return rows


def vectors_of(store: Store, space: Space = SPACE) -> dict[bytes, Floats]:
    """Every live vector by the content that it is of."""
    found: dict[int, Floats] = {}
    for segment in store.vectors(space)[1]:
        for part, row in zip(segment.parts.tolist(), segment.vectors, strict=True):
            if part != parts.DEAD:
                assert part not in found
                found[part] = row.astype(np.float32)
    of: dict[int, bytes] = dict(
        store.catalog.all("SELECT p.id, c.sha256 FROM parts p JOIN contents c ON c.id = p.content_id")
    )
    return {of[part]: row for part, row in found.items()}


def test_a_commit_comes_back(store: Store) -> None:
    with store.writing() as writer:
        rows = commit(writer, add_root(writer), range(5))
    found = vectors_of(store)
    assert list(found) == [digest(number) for number in range(5)]
    np.testing.assert_allclose(np.stack(list(found.values())), rows, atol=5e-4)


def test_everything_of_a_name_comes_back(store: Store) -> None:
    facts = Facts(
        format="JPEG", width=30, height=20, orientation=6, taken="2023-05-14T10:15:30", camera_make="A",
        camera_model="B", lens="C", latitude=1.5, longitude=-2.5, altitude=3.0,
    )  # fmt: skip
    words = (Words("a dog", "sidecar"), Words("pets", "folder", "tag"))
    with store.writing() as writer:
        root_id = add_root(writer)
        writer.commit(
            root_id,
            contents=[Content(digest(1), 77, facts)],
            names=[Name("a/b.jpg", Fingerprint("f"), digest(1), "2020-01-01", "file name", words, "m")],
        )
    (content_id,) = store.catalog.one("SELECT id FROM contents")
    described = describe(store.catalog, [content_id])[content_id]
    assert described.sha256 == digest(1)
    assert described.places == ((root_id, "a/b.jpg"),)
    assert described.metadata["bytes"] == 77
    assert (described.metadata["taken"], described.metadata["taken_from"]) == ("2023-05-14T10:15:30", "EXIF")
    assert (described.metadata["latitude"], described.metadata["orientation"]) == (1.5, 6)
    assert store.catalog.all(
        "SELECT t.text, w.origin, w.kind FROM words w JOIN texts t ON t.id = w.text_id"
    ) == [
        ("a dog", "sidecar", "caption"),
        ("pets", "folder", "tag"),
    ]
    state = names.states(store.catalog, root_id)["a/b.jpg"]
    assert state == names.State(Fingerprint("f"), "m", frozenset({names.FACTS_TASK}))


def test_the_best_date_is_exif_then_the_files_name_then_its_time(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for key, dated, source in (("a", "2022-01-01", "file time"), ("b", "2023-01-01", "file name")):
            writer.commit(
                root_id,
                contents=[Content(digest(1), 1)],
                names=[Name(key, Fingerprint("f"), digest(1), dated, source)],
            )
    (content_id,) = store.catalog.one("SELECT id FROM contents")
    metadata = describe(store.catalog, [content_id])[content_id].metadata
    assert (metadata["taken"], metadata["taken_from"]) == ("2023-01-01", "file name")


def test_regions_words_and_pairs_need_no_new_format(store: Store) -> None:
    kinds = [
        parts.picture(digest(1)),
        Part(parts.REGION, digest(1), box=(0.0, 0.0, 0.5, 0.5)),
        Part(parts.REGION, digest(1), box=(0.5, 0.0, 0.5, 0.5)),
        Part(WORDS, text="a dog"),
        Part(PAIR, digest(1), text="a dog"),
    ]
    with store.writing() as writer:
        root_id = add_root(writer)
        for _ in range(2):  # the second time adds nothing
            writer.commit(
                root_id,
                contents=[Content(digest(1), 1)],
                names=[Name("a.png", Fingerprint("1"), digest(1), words=(Words("a dog", "sidecar"),))],
                vectors={SPACE: Vectored(kinds, unit_rows(5))},
            )
    assert store.catalog.one("SELECT count(*) FROM parts") == (5,)
    assert store.catalog.one("SELECT count(*) FROM rows") == (5,)
    part_ids, content_ids = parts.live_parts(store.catalog, SPACE)
    assert len(part_ids) == 5
    assert set(content_ids.tolist()) == {1}
    with store.writing() as writer, writer.transaction() as change:
        names.forget(change, root_id, ["a.png"])
    assert len(parts.live_parts(store.catalog, SPACE)[0]) == 0


def test_two_spaces_lie_side_by_side(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(3))
        commit(writer, root_id, range(2), space=OTHER)
    assert spaces.spaces(store.catalog) == [SPACE, OTHER]
    assert (len(vectors_of(store)), len(vectors_of(store, OTHER))) == (3, 2)


def test_an_unknown_space_names_those_that_are_there(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(1))
    with pytest.raises(UnknownSpaceError, match=r"no vectors of other@1.*It has: toy@000000000001"):
        store.vectors(Space("other", "1", 8))


def test_small_segments_are_merged_as_a_run_goes(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for number in range(50):
            commit(writer, root_id, range(number, number + 1), seed=number)
            assert len(store.vectors(SPACE)[1]) <= 4
    found = vectors_of(store)
    assert list(found) == [digest(number) for number in range(50)]
    np.testing.assert_allclose(found[digest(7)], unit_rows(1, seed=7)[0], atol=5e-4)


def test_files_are_removed_a_generation_after_their_segments(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for number in range(4):
            commit(writer, root_id, range(number, number + 1))
        merged = {segment.file for segment in store.vectors(SPACE)[1]}
        assert len(merged) == 1
        assert len(list(store.segments_folder.iterdir())) == 5
        add_root(writer, "/elsewhere")
        assert len(list(store.segments_folder.iterdir())) == 5, (
            "a reader of the last generation may want them"
        )
        add_root(writer, "/elsewhere")
    assert {entry.name for entry in store.segments_folder.iterdir()} == merged


def test_an_open_snapshot_outlives_a_merge(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        rows = commit(writer, root_id, range(3))
        held = store.vectors(SPACE)[1]
        for number in range(10, 30):
            commit(writer, root_id, range(number, number + 1))
        np.testing.assert_allclose(held[0].vectors, rows, atol=5e-4)


def test_a_reader_that_comes_too_late_for_a_file_reads_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(3))

        def merge() -> None:
            writer.merge(SPACE, [segment.id for segment in store.vectors(SPACE)[1]])
            add_root(writer, "/elsewhere")
            add_root(writer, "/another")

        once_before(monkeypatch, vectors_module, "_open", merge)
        assert sum(len(segment.vectors) for segment in store.vectors(SPACE)[1]) == 3


def test_a_missing_segment_is_damage(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(3))
    next(store.segments_folder.iterdir()).unlink()
    with pytest.raises(DamagedGalleryError, match=r"is missing\. Run `picfind doctor --repair`"):
        store.vectors(SPACE)


def test_a_cut_segment_is_damage(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(3))
    file = next(store.segments_folder.iterdir())
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(DamagedGalleryError, match="is damaged"):
        store.vectors(SPACE)


def test_vectors_that_are_not_of_unit_length_are_refused(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for bad in (
            unit_rows(1) * 2,
            unit_rows(1) * 0,
            np.full((1, 8), np.nan, np.float32),
            unit_rows(1, dim=3),
        ):
            with pytest.raises(EncoderError):
                writer.commit(
                    root_id,
                    contents=[Content(digest(1), 1)],
                    vectors={SPACE: Vectored([parts.picture(digest(1))], bad)},
                )
    assert store.catalog.one("SELECT count(*) FROM contents") == (0,)


def test_a_lasting_refusal_takes_the_name_away_and_a_passing_one_does_not(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(2))
        writer.commit(root_id, refusals=[Refusal("0.png", Fingerprint("2"), "bad")])
        writer.commit(root_id, refusals=[Refusal("1.png", Fingerprint("2"), "locked", lasting=False)])
    states = names.states(store.catalog, root_id)
    assert (states["0.png"].refused, states["0.png"].fingerprint) == (True, "2")
    assert states["1.png"].fingerprint == "", "it is due, whatever it looks like"
    assert [key for (key,) in store.catalog.all("SELECT key FROM names")] == ["1.png"]
    with store.writing() as writer:
        commit(writer, root_id, range(2))
    assert names.refusals(store.catalog) == []


def test_a_pair_may_be_shorter_than_unit_length(store: Store) -> None:
    pair = Part(PAIR, digest(1), text="a dog")
    with store.writing() as writer:
        root_id = add_root(writer)
        writer.commit(
            root_id,
            contents=[Content(digest(1), 1)],
            names=[Name("a.png", Fingerprint("1"), digest(1))],
            vectors={SPACE: Vectored([pair], np.float32(0.5) * unit_rows(1), PAIR)},
        )
    assert store.catalog.one("SELECT count(*) FROM rows") == (1,)


def test_words_are_replaced_not_piled_up(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for text in ("one", "two"):
            name = Name("a.png", Fingerprint("1"), digest(1), words=(Words(text, "sidecar"),))
            writer.commit(root_id, contents=[Content(digest(1), 1)], names=[name])
    said = "SELECT t.text FROM words w JOIN texts t ON t.id = w.text_id"
    assert store.catalog.all(said) == [("two",)]


def test_states_within_a_scope(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for key in ("a.jpg", "a.jpg.png", "sub/a.png", "sub/b.png", "sub0.png", "sub.png", "suc/a.png"):
            writer.commit(
                root_id, contents=[Content(digest(1), 1)], names=[Name(key, Fingerprint("1"), digest(1))]
            )
        writer.commit(root_id, refusals=[Refusal("sub/bad.png", Fingerprint("1"), "bad")])
    assert sorted(names.states(store.catalog, root_id, scope="sub/")) == [
        "sub/a.png",
        "sub/b.png",
        "sub/bad.png",
    ]
    assert sorted(names.states(store.catalog, root_id, scope="a.jpg")) == ["a.jpg"]
    assert len(names.states(store.catalog, root_id)) == 8


def test_the_writer_can_be_left_in_another_thread(store: Store) -> None:
    import threading

    held = store.writing()
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with store.writing():
        pass


def test_a_reader_does_not_wait_for_a_writer_of_its_process(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(3))
        with writer.transaction() as change:
            change.run("DELETE FROM names")
            assert store.catalog.one("SELECT count(*) FROM names") == (3,), (
                "what is not committed is not seen"
            )
            assert len(vectors_of(store)) == 3


def test_a_closed_gallery_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(GalleryError, match="has been closed"):
        store.vectors(SPACE)


def test_a_lock_that_cannot_be_made_is_explained(store: Store) -> None:
    (store.folder / "writer.lock").mkdir()
    with pytest.raises(GalleryWriteError, match=r"writer\.lock cannot be made"), store.writing():
        pass


def test_there_is_one_writer(store: Store) -> None:
    other = Store.open(store.folder)
    with (
        store.writing(),
        pytest.raises(GalleryBusyError, match="Another process is writing"),
        other.writing(),
    ):
        pass
    with other.writing():
        pass
    other.close()


def test_the_lock_dies_with_its_process(store: Store) -> None:
    script = (
        "import os, sys, pathlib\nfrom picfind.storage.store import Store\n"
        "held = Store.open(pathlib.Path(sys.argv[1])).writing()\nheld.__enter__()\n"
        "print('held', flush=True)\nsys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(store.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"held"
        with pytest.raises(GalleryBusyError), store.writing():
            pass
        process.kill()
        process.wait()
    with store.writing():
        pass


def test_no_gallery_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoGalleryError, match="picfind index FOLDER"):
        Store.open(tmp_path / "none")


def test_no_gallery_is_made_among_other_things(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"holds other things \(holiday.jpg"):
        Store.open(tmp_path, create=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(UsageError, match="is a file"):
        Store.open(tmp_path / "holiday.jpg", create=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_full_disk_is_told_and_loses_nothing(store: Store) -> None:
    import resource
    import signal

    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(3))
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, old[1]))
        try:
            with pytest.raises(GalleryWriteError, match=r"could not be written: .*Make room on the disk"):
                commit(writer, root_id, range(10, 200))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            signal.signal(signal.SIGXFSZ, handler)
        assert len(vectors_of(store)) == 3
        assert not [entry for entry in store.segments_folder.iterdir() if entry.suffix == ".tmp"]
        commit(writer, root_id, range(10, 200))
    assert len(vectors_of(store)) == 193


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_five_thousand_commits_open_with_few_files(tmp_path: Path) -> None:
    """A gallery of 5,000 commits is written and searched under `ulimit -n 256`."""
    script = (
        "import pathlib, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from picfind.storage import catalog\n"
        "catalog.set_pragmas, real = lambda c, p: (real(c, p), c.execute('PRAGMA synchronous = OFF')), catalog.set_pragmas\n"
        "from picfind.storage import durable\n"
        "durable._flush = durable._flush_folder = lambda _: None  # the machine does not crash in this test\n"
        "from picfind.storage.store import Store\n"
        "from tests.test_storage_store import SPACE, add_root, commit, vectors_of\n"
        "from picfind.search.snapshot import Snapshot\n"
        "store = Store.open(pathlib.Path(sys.argv[1]), create=True)\n"
        "with store.writing() as writer:\n"
        "    root = add_root(writer)\n"
        "    for n in range(5000):\n"
        "        commit(writer, root, range(n, n + 1), seed=n)\n"
        "assert len(store.vectors(SPACE)[1]) <= 30, len(store.vectors(SPACE)[1])\n"
        "assert len(vectors_of(store)) == 5000\n"
        "assert len(Snapshot(store, SPACE)) == 5000\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "many.gallery")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
