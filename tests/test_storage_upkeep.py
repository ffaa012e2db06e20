from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picfind.errors import DamagedGalleryError, UsageError
from picfind.images import Facts
from picfind.storage import adoption, health, names, parts, recognised, roots, upkeep
from picfind.storage.names import Content, Name, Refusal
from picfind.storage.store import Store
from picfind.types import Fingerprint, RecognisedLine, Words
from tests.meddling import once_before
from tests.test_storage_store import OTHER, SPACE, add_root, commit, digest, vectors_of


@pytest.fixture
def filled(store: Store) -> Store:
    """Six pictures in three segments of one space, two of them in another space as well."""
    with store.writing() as writer:
        root_id = add_root(writer)
        for start in (0, 2, 4):
            commit(writer, root_id, range(start, start + 2), seed=start)
        commit(writer, root_id, range(2), space=OTHER)
    return store


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    """Another gallery: pictures 4 to 9, of the same root and of one below it, and a refusal."""
    store = Store.open(tmp_path / "other.gallery", create=True)
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(4, 8), seed=99)
        commit(writer, add_root(writer, "/elsewhere/deep"), range(8, 10), seed=98)
        writer.commit(root_id, refusals=[Refusal("bad.png", Fingerprint("1"), "bad")])
    yield store
    store.close()


def forget(store: Store, *keys: str) -> None:
    with store.writing() as writer, writer.transaction() as change:
        names.forget(change, 1, keys)


def places(store: Store) -> set[str]:
    every = {root.id: root for root in roots.roots(store.catalog)}
    return {every[root_id].place(key) for root_id, key in store.catalog.all("SELECT root_id, key FROM names")}


def test_compact_leaves_one_segment_a_space_and_every_vector(filled: Store) -> None:
    before = vectors_of(filled)
    upkeep.compact(filled)
    assert [len(filled.vectors(space)[1]) for space in (SPACE, OTHER)] == [1, 1]
    after = vectors_of(filled)
    assert list(after) == list(before)
    for key, row in before.items():
        np.testing.assert_array_equal(after[key], row)
    assert health.check(filled) == []


def test_compacting_twice_writes_nothing_the_second_time(filled: Store) -> None:
    upkeep.compact(filled)
    generation = filled.catalog.generation
    upkeep.compact(filled)
    assert filled.catalog.generation == generation


def test_forgetting_keeps_vectors_and_purging_removes_them(filled: Store) -> None:
    forget(filled, "0.png", "1.png")
    assert len(vectors_of(filled)) == 6
    assert len(parts.live_parts(filled.catalog, SPACE)[0]) == 4
    assert upkeep.purge(filled) == 2
    assert sorted(vectors_of(filled)) == sorted(digest(number) for number in range(2, 6))
    assert vectors_of(filled, OTHER) == {}
    assert health.check(filled) == []
    kept = b"".join(path.read_bytes() for path in filled.segments_folder.iterdir())
    assert len(kept) == 4 * 8 * 2 + 128, "the purged vectors are gone from the disk"


def test_purging_with_nothing_to_purge(filled: Store) -> None:
    assert upkeep.purge(filled) == 0
    assert len(vectors_of(filled)) == 6


def test_adopting_takes_over_what_is_new(filled: Store, other: Store) -> None:
    ours = vectors_of(filled)
    adoption.adopt(filled, other)
    assert sorted(vectors_of(filled)) == sorted(digest(number) for number in range(10))
    for key, row in ours.items():
        np.testing.assert_array_equal(vectors_of(filled)[key], row)
    np.testing.assert_array_equal(vectors_of(filled)[digest(9)], vectors_of(other)[digest(9)])
    assert places(filled) == {f"/photos/{n}.png" for n in range(8)} | {
        f"/elsewhere/deep/{n}.png" for n in (8, 9)
    }
    assert [refusal.key for _, refusal in names.refusals(filled.catalog)] == ["bad.png"]
    assert health.check(filled) == []


def test_adopting_again_adds_nothing(filled: Store, other: Store) -> None:
    adoption.adopt(filled, other)
    before = vectors_of(filled)
    upkeep.compact(filled)
    adoption.adopt(filled, other)
    assert list(vectors_of(filled)) == list(before)
    assert len(filled.vectors(SPACE)[1]) == 1
    health.repair(filled)
    assert health.check(filled) == []


def test_adopting_takes_words_facts_and_tasks_along(filled: Store, other: Store) -> None:
    facts = Facts(format="PNG", width=3, height=2, taken="2023-05-14")
    name = Name("8.png", Fingerprint("1"), digest(8), words=(Words("a dog", "sidecar"),))
    with other.writing() as writer:
        writer.commit(2, contents=[Content(digest(8), 8, facts)], names=[name])
    upkeep_words = (
        "SELECT t.text, n.key FROM words w JOIN texts t ON t.id = w.text_id JOIN names n ON n.id = w.name_id"
    )
    adoption.adopt(filled, other)
    adoption.adopt(filled, other)
    assert filled.catalog.all(upkeep_words) == [("a dog", "8.png")]
    assert names.content_tasks(filled.catalog, digest(8)) == {
        names.FACTS_TASK,
        names.vector_task(SPACE),
    }
    assert filled.catalog.one("SELECT taken FROM contents WHERE sha256 = ?", (digest(8),)) == ("2023-05-14",)


def test_adopting_takes_the_text_that_was_read_there_alone(filled: Store, other: Store) -> None:
    """Also inside pictures that both galleries know."""
    shared, task = set(vectors_of(filled)) & set(vectors_of(other)), names.text_task("reader", "1")
    for sha256 in sorted(shared)[:2]:
        with other.catalog.transaction() as change:
            number = names.content_id(change, sha256)
            recognised.record(change, number, [RecognisedLine("EXIT 24", (0.0, 0.0, 0.5, 0.1), 0.9)])
            names.record_done(change, number, task)
    ours = min(shared)
    with filled.catalog.transaction() as change:  # read here, and nothing was found
        names.record_done(change, names.content_id(change, ours), names.text_task("reader", "2"))
    for _ in range(2):
        adoption.adopt(filled, other)
        found = filled.catalog.all(
            "SELECT c.sha256 FROM said s JOIN names n ON n.id = s.rowid JOIN contents c ON c.id = n.content_id "
            "WHERE s.recognised MATCH 'exit'"
        )
        assert found == [(sorted(shared)[1],)]
        assert task in names.content_tasks(filled.catalog, sorted(shared)[1])


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become somebody else"
)
def test_a_root_below_a_locked_folder_can_be_added(store: Store, tmp_path: Path) -> None:
    """As when another gallery's root lies where this user may not look."""
    place = tmp_path / "locked" / "photos"
    place.mkdir(parents=True)
    (tmp_path / "locked").chmod(0)
    with store.writing() as writer, writer.transaction() as change:
        os.seteuid(65534)
        try:
            root_id, _ = roots.add_root(change, "folder", str(place))
        finally:
            os.seteuid(0)
            (tmp_path / "locked").chmod(0o700)
    (root,) = roots.roots(store.catalog)
    assert root.id == root_id
    assert root.volume is not None
    assert str(place).startswith(root.volume)
    assert os.path.ismount(root.volume)


def test_adopting_keeps_what_is_refused_here(filled: Store, other: Store) -> None:
    with filled.writing() as writer:
        writer.commit(1, refusals=[Refusal("7.png", Fingerprint("2"), "bad")])
    adoption.adopt(filled, other)
    assert "/photos/7.png" not in places(filled)


def test_adopting_copies_nothing_that_brings_nothing(filled: Store, other: Store) -> None:
    adoption.adopt(filled, other)
    health.repair(filled)
    before = {entry.name for entry in filled.segments_folder.iterdir()}
    upkeep.compact(filled)
    adoption.adopt(filled, other)
    assert health.check(filled) == []
    assert {entry.name for entry in filled.segments_folder.iterdir()} & {
        segment.file for segment in other.vectors(SPACE)[1]
    } <= before


def test_adopting_many_galleries_leaves_few_segments(filled: Store, tmp_path: Path) -> None:
    for number in range(12):
        part = Store.open(tmp_path / f"{number}.gallery", create=True)
        with part.writing() as writer:
            commit(writer, add_root(writer), range(100 + number, 101 + number), seed=number)
        adoption.adopt(filled, part)
        part.close()
    assert len(filled.vectors(SPACE)[1]) <= 4
    assert len(vectors_of(filled)) == 18


def test_a_damaged_segment_is_not_adopted(filled: Store, other: Store) -> None:
    _flip_a_bit(other.segments_folder / other.vectors(SPACE)[1][0].file)
    with pytest.raises(DamagedGalleryError, match="its checksum is wrong"):
        adoption.adopt(filled, other)
    assert len(places(filled)) == 6


def test_adopting_beside_a_writer_sees_one_generation(
    filled: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        with other.writing() as writer:
            commit(writer, 1, range(50, 60), seed=5)

    once_before(monkeypatch, adoption, "_copy", grow)
    adoption.adopt(filled, other)
    assert health.check(filled) == []
    assert sorted(vectors_of(filled)) == sorted(digest(number) for number in range(10))


def test_adopting_from_a_gallery_that_merges_meanwhile(
    filled: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merge() -> None:
        upkeep.compact(other)
        with other.writing() as writer:
            writer.remove_retired()

    once_before(monkeypatch, adoption, "_copy", merge)
    adoption.adopt(filled, other)
    assert health.check(filled) == []
    assert len(vectors_of(filled)) == 10


def test_adopting_joins_roots_that_lie_inside_one_another(tmp_path: Path, other: Store) -> None:
    store = Store.open(tmp_path / "outer.gallery", create=True)
    with store.writing() as writer:
        add_root(writer, "/elsewhere")
    adoption.adopt(store, other)
    assert [root.location for root in roots.roots(store.catalog)] == ["/elsewhere", "/photos"]
    assert "/elsewhere/deep/8.png" in places(store)
    store.close()


def test_a_gallery_cannot_adopt_itself(filled: Store) -> None:
    again = Store.open(filled.folder)
    with pytest.raises(UsageError, match="cannot adopt itself"):
        adoption.adopt(filled, again)
    again.close()


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_flip_a_bit, "its checksum is wrong"),
        (Path.unlink, "its file is missing"),
        (lambda path: path.write_bytes(b"no array"), "its file is not what was written"),
    ],
)
def test_a_damaged_segment_is_found_and_dropped(filled: Store, harm: object, told: str) -> None:
    file = filled.vectors(SPACE)[1][0].file
    harm(filled.segments_folder / file)  # type: ignore[operator]
    findings = health.check(filled)
    assert [(finding.what, finding.mendable) for finding in findings] == [(f"segment {file}: {told}", True)]
    assert any("encodes its pictures again" in line for line in health.repair(filled))
    assert health.check(filled) == []
    state = names.states(filled.catalog, 1, spaces=[SPACE])
    assert [key for key, entry in state.items() if names.vector_task(SPACE) not in entry.done] == [
        "0.png",
        "1.png",
    ]


def test_a_segment_that_cannot_be_read_now_is_told_and_left_alone(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("numpy.load", fail)
    findings = health.check(filled)
    assert findings
    assert not any(finding.mendable for finding in findings)
    assert health.repair(filled) == []
    monkeypatch.undo()
    assert health.check(filled) == []
    assert len(vectors_of(filled)) == 6


def test_stray_files_are_found_and_swept(filled: Store) -> None:
    (filled.segments_folder / "stray.npy").write_bytes(b"")
    assert [finding.what for finding in health.check(filled)] == ["stray file stray.npy"]
    assert health.repair(filled) == ["removed the stray file stray.npy"]


def test_a_broken_reference_is_found(filled: Store) -> None:
    import sqlite3

    filled.close()
    connection = sqlite3.connect(filled.folder / "catalog.sqlite")
    connection.execute("DELETE FROM contents WHERE id = 1")
    connection.commit()
    connection.close()
    again = Store.open(filled.folder)
    assert any("refers to a row of contents" in finding.what for finding in health.check(again))
    again.close()


def test_roots_join_when_an_outer_one_is_added(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer, "/photos/2023"), range(2))
        with writer.transaction() as change:
            outer, _ = roots.add_root(change, "folder", "/photos")
    assert [root.location for root in roots.roots(store.catalog)] == ["/photos"]
    assert sorted(names.states(store.catalog, outer)) == ["2023/0.png", "2023/1.png"]


def test_a_root_that_moved_keeps_its_names(filled: Store) -> None:
    roots.move_root(filled.catalog, "/photos", "/mnt/photos")
    assert "/mnt/photos/0.png" in places(filled)
    with pytest.raises(UsageError, match=r"no root /photos. Roots of this gallery: /mnt/photos"):
        roots.move_root(filled.catalog, "/photos", "/x")


def test_a_root_cannot_move_into_another(filled: Store) -> None:
    with filled.writing() as writer:
        add_root(writer, "/backup")
    with pytest.raises(UsageError, match="already belongs to the root /backup"):
        roots.move_root(filled.catalog, "/photos", "/backup/photos")


def test_a_root_cannot_move_around_another(filled: Store) -> None:
    with filled.writing() as writer:
        add_root(writer, "/x/pics")
    with pytest.raises(UsageError, match="holds the root /x/pics"):
        roots.move_root(filled.catalog, "/photos", "/x")


def test_a_root_inside_another_is_a_part_of_it(filled: Store) -> None:
    with filled.writing() as writer, writer.transaction() as change:
        assert roots.add_root(change, "folder", "/photos/2023") == (1, "2023/")
        assert roots.add_root(change, "folder", "/photos") == (1, "")
        assert roots.add_root(change, "folder", "/photos2")[1] == ""
    assert [root.location for root in roots.roots(filled.catalog)] == ["/photos", "/photos2"]


def test_status_counts(filled: Store) -> None:
    forget(filled, "0.png")
    told = upkeep.status(filled)
    assert (told["pictures"], told["names"], told["roots"][0]["names"]) == (5, 5, 5)
    assert [space["vectors"] for space in told["spaces"]] == [6, 2]
    assert told["roots"][0]["present"] is False
