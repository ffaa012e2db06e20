from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picfind.errors import UsageError
from picfind.search import saved
from picfind.search.snapshot import Snapshot
from picfind.storage import names, parts, spaces, upkeep
from picfind.storage.names import Content, Name
from picfind.storage.parts import Part
from picfind.storage.store import Store
from picfind.storage.writer import Vectored
from picfind.types import PICTURE, WORDS, Fingerprint, Floats, Words
from tests.test_storage_store import SPACE, add_root, commit, digest, unit_rows

KINDS = ["flat", "faiss"]


def brute_force(store: Store, query: Floats, k: int) -> list[tuple[int, float]]:
    """The oracle: every live part, one by one."""
    part_ids, content_ids = parts.live_parts(store.catalog, SPACE)
    vectors = {
        part: row.astype(np.float64)
        for segment in store.vectors(SPACE)[1]
        for part, row in zip(segment.parts.tolist(), segment.vectors, strict=True)
    }
    best: dict[int, tuple[float, int]] = {}
    for part, content in zip(part_ids.tolist(), content_ids.tolist(), strict=True):
        rated = (-float(np.float32(vectors[part] @ query.astype(np.float64))), part)
        best[content] = min(best.get(content, rated), rated)
    return [(content, -rated[0]) for content, rated in sorted(best.items(), key=lambda entry: entry[1])][:k]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    gone=st.sets(st.integers(0, 20)),
    k=st.integers(1, 12),
    seed=st.integers(0, 100),
)
def test_the_nearest_live_pictures_are_found(
    tmp_path_factory: pytest.TempPathFactory, kind: str, sizes: list[int], gone: set[int], k: int, seed: int
) -> None:
    store = Store.open(tmp_path_factory.mktemp("gallery"), create=True)
    with store.writing() as writer:
        root_id = add_root(writer)
        start = 0
        for size in sizes:
            commit(writer, root_id, range(start, start + size), seed=start)
            start += size
        with writer.transaction() as change:
            names.forget(change, root_id, [f"{number}.png" for number in gone])
    query = unit_rows(1, seed=seed)[0]
    found = Snapshot(store, SPACE, index=kind).search(query, k=k)
    expected = brute_force(store, query, k)
    assert found.contents.tolist() == [content for content, _ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score in expected], atol=1e-6)
    store.close()


def add_regions(store: Store, count: int) -> None:
    """Pictures of which each has several regions that are all alike, and words that they share."""
    with store.writing() as writer:
        root_id = add_root(writer)
        for number in range(count):
            boxes = [Part(parts.REGION, digest(number), box=(edge / 10, 0, 0.1, 0.1)) for edge in range(5)]
            rows = np.repeat(unit_rows(1, seed=number), 5, axis=0)
            writer.commit(
                root_id,
                contents=[Content(digest(number), 1)],
                names=[Name(f"{number}", Fingerprint("1"), digest(number), words=(Words("shared", "test"),))],
                vectors={SPACE: Vectored(boxes, rows)},
            )


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_counts_once_however_many_parts_it_has(store: Store, kind: str) -> None:
    add_regions(store, 20)
    query = unit_rows(1, seed=3)[0]
    found = Snapshot(store, SPACE, index=kind).search(query, k=10)
    assert len(set(found.contents.tolist())) == 10
    assert found.contents.tolist() == [content for content, _ in brute_force(store, query, 10)]


def test_words_that_are_shared_stand_for_every_picture(store: Store) -> None:
    add_regions(store, 3)
    words = unit_rows(1, seed=50)
    with store.writing() as writer:
        writer.commit(1, vectors={SPACE: Vectored([Part(WORDS, text="shared")], words)})
    found = Snapshot(store, SPACE).search(words[0], k=3)
    assert found.contents.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.scores, 1, atol=1e-3)


def test_equal_scores_come_in_the_order_of_arrival(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for number in (5, 3, 8, 1):
            rows = unit_rows(1, seed=1)
            writer.commit(
                root_id,
                contents=[Content(digest(number), 1)],
                names=[Name(f"{number}", Fingerprint("1"), digest(number))],
                vectors={SPACE: Vectored([parts.picture(digest(number))], rows)},
            )
    for k in (1, 2, 3, 4):
        found = Snapshot(store, SPACE).search(unit_rows(1, seed=1)[0], k=k)
        assert found.contents.tolist() == [1, 2, 3, 4][:k]


def test_an_empty_space_has_no_answers(store: Store) -> None:
    with store.writing() as writer, writer.transaction() as change:
        spaces.add_space(change, SPACE, PICTURE)
    snapshot = Snapshot(store, SPACE)
    assert len(snapshot) == 0
    assert len(snapshot.search(unit_rows(1)[0], k=5).contents) == 0


def test_a_saved_index_is_used_and_what_came_later_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(100))
        Snapshot(store, SPACE, index="faiss")
        commit(writer, root_id, range(100, 103), seed=7)
    monkeypatch.setattr(saved, "save", lambda *_: pytest.fail("it was built again"))
    snapshot = Snapshot(store, SPACE, index="faiss")
    fresh = unit_rows(3, seed=7)[2]
    assert snapshot.search(fresh, k=1).contents.tolist() == [103]
    assert len(snapshot) == 103


def test_a_saved_index_outlives_a_merge(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(50))
        commit(writer, root_id, range(50, 100), seed=2)
        Snapshot(store, SPACE, index="faiss")
        writer.merge(SPACE, [segment.id for segment in store.vectors(SPACE)[1]])
    monkeypatch.setattr(saved, "save", lambda *_: pytest.fail("it was built again"))
    query = unit_rows(1, seed=9)[0]
    found = Snapshot(store, SPACE, index="faiss").search(query, k=10)
    assert found.contents.tolist() == [content for content, _ in brute_force(store, query, 10)]


def test_a_stale_or_damaged_index_is_built_again(store: Store) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(10))
        Snapshot(store, SPACE, index="faiss")
        (first,) = (store.folder / "indexes").glob("*.index")
        commit(writer, root_id, range(10, 20), seed=3)
    Snapshot(store, SPACE, index="faiss")
    (second,) = (store.folder / "indexes").glob("*.index")
    assert second != first
    second.write_bytes(second.read_bytes()[:-1] + b"?")
    query = unit_rows(1, seed=9)[0]
    found = Snapshot(store, SPACE, index="faiss").search(query, k=10)
    assert found.contents.tolist() == [content for content, _ in brute_force(store, query, 10)]


def test_an_index_of_other_pictures_under_the_same_ids_is_not_trusted(store: Store, tmp_path: Path) -> None:
    """As after a catalog has been restored from a backup."""
    with store.writing() as writer:
        commit(writer, add_root(writer), range(10))
    Snapshot(store, SPACE, index="faiss")
    other = Store.open(tmp_path / "restored.gallery", create=True)
    with other.writing() as writer:
        commit(writer, add_root(writer), range(50, 60), seed=5)
    shutil.copytree(store.folder / "indexes", other.folder / "indexes")
    query = unit_rows(1, seed=9)[0]
    found = Snapshot(other, SPACE, index="faiss").search(query, k=10)
    np.testing.assert_allclose(found.scores, [score for _, score in brute_force(other, query, 10)], atol=1e-6)
    other.close()


def test_indexes_of_a_lost_catalog_are_swept(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(10))
    Snapshot(store, SPACE, index="faiss")
    store.close()
    (store.folder / "catalog.sqlite").unlink()
    Store.open(store.folder, create=True).close()
    assert not list((store.folder / "indexes").iterdir())


def test_equal_scores_keep_their_order_across_an_index_and_its_tail(store: Store) -> None:
    same = unit_rows(1, seed=1)
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(100))
        for number in (200, 201, 202):
            writer.commit(
                root_id,
                contents=[Content(digest(number), 1)],
                names=[Name(f"{number}", Fingerprint("1"), digest(number))],
                vectors={SPACE: Vectored([parts.picture(digest(number))], same)},
            )
            if number == 200:
                Snapshot(store, SPACE, index="faiss")
    snapshot = Snapshot(store, SPACE, index="faiss")
    assert len(snapshot._indexes[1]) == 2, "two are in the tail"
    for k in (1, 2, 3):
        assert snapshot.search(same[0], k=k).contents.tolist() == [101, 102, 103][:k]


def test_what_is_purged_beside_a_saved_index_is_not_found(store: Store, tmp_path: Path) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(100))
    Snapshot(store, SPACE, index="faiss")
    shutil.copytree(store.folder / "indexes", tmp_path / "kept")
    with store.writing() as writer, writer.transaction() as change:
        names.forget(change, 1, ["5.png"])
    upkeep.purge(store)
    shutil.copytree(tmp_path / "kept", store.folder / "indexes", dirs_exist_ok=True)
    query = unit_rows(1, seed=9)[0]
    found = Snapshot(store, SPACE, index="faiss").search(query, k=100)
    assert len(found.contents) == 99
    assert found.contents.tolist() == [content for content, _ in brute_force(store, query, 100)]


def test_an_index_that_cannot_be_saved_costs_nothing(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(10))
    (store.folder / "indexes").write_text("in the way")
    assert len(Snapshot(store, SPACE, index="faiss").search(unit_rows(1)[0], k=3).contents) == 3


def test_indexes_are_a_cache_that_anyone_may_delete(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(10))
    Snapshot(store, SPACE, index="faiss")
    for path in (store.folder / "indexes").iterdir():
        path.unlink()
    assert len(Snapshot(store, SPACE, index="faiss").search(unit_rows(1)[0], k=3).contents) == 3


def test_an_unknown_index_names_those_that_are_known(store: Store) -> None:
    with store.writing() as writer:
        commit(writer, add_root(writer), range(1))
    with pytest.raises(UsageError, match=r"no index 'magic'\. Known are: faiss, flat"):
        Snapshot(store, SPACE, index="magic")


def test_a_plain_name_is_made_of_any_space(tmp_path: Path) -> None:
    assert saved.stem(SPACE, "faiss") == "toy-000000000001-faiss"
