"""The text read inside pictures, in the catalog: kept by content, searchable by name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picfind.storage import names, recognised, roots
from picfind.storage.catalog import Catalog
from picfind.storage.names import Content, Name
from picfind.storage.store import Store
from picfind.types import Fingerprint, RecognisedLine

EXIT = RecognisedLine("Exit only", (0.1, 0.2, 0.3, 0.05), 0.98)
PLATFORM = RecognisedLine("Platform 7", (0.5, 0.6, 0.25, 0.125), 0.9)


def digest(number: int) -> bytes:
    """A made-up SHA-256."""
    return bytes([number]) * 32


def put(store: Store, pictures: dict[str, int]) -> None:
    """Name contents; several names may have the same one."""
    with store.catalog.transaction() as change:
        root, _ = roots.add_root(change, "folder", "/home/ann/photos")
        names.record(
            change,
            root,
            contents=[Content(digest(number), 1) for number in sorted(set(pictures.values()))],
            names=[Name(key, Fingerprint("1"), digest(number)) for key, number in pictures.items()],
        )


def content_id(catalog: Catalog, number: int) -> int:
    """The id of a content."""
    return int(catalog.one("SELECT id FROM contents WHERE sha256 = ?", (digest(number),))[0])


def record(store: Store, number: int, lines: Sequence[RecognisedLine]) -> None:
    """Write down what was read in a content."""
    with store.catalog.transaction() as change:
        recognised.record(change, content_id(store.catalog, number), lines)


def found(store: Store, text: str) -> list[str]:
    """The keys of the names in whose recognised text some words stand."""
    rows = store.catalog.all(
        "SELECT n.key FROM said JOIN names n ON n.id = said.rowid WHERE said MATCH ? ORDER BY n.key",
        (f"recognised : {text}",),
    )
    return [key for (key,) in rows]


def test_lines_come_back_in_their_order(store: Store) -> None:
    put(store, {"a.jpg": 1, "b.jpg": 2})
    record(store, 1, [PLATFORM, EXIT])
    ids = [content_id(store.catalog, 1), content_id(store.catalog, 2)]
    assert recognised.lines_of(store.catalog, ids) == {ids[0]: [PLATFORM, EXIT]}
    assert recognised.lines_of(store.catalog, []) == {}


def test_every_name_of_the_content_is_found(store: Store) -> None:
    put(store, {"a.jpg": 1, "copy.jpg": 1, "b.jpg": 2})
    record(store, 1, [EXIT, PLATFORM])
    assert found(store, "exit") == found(store, '"platform 7"') == ["a.jpg", "copy.jpg"]


def test_reading_again_replaces(store: Store) -> None:
    put(store, {"a.jpg": 1})
    record(store, 1, [EXIT, PLATFORM])
    record(store, 1, [PLATFORM])
    number = content_id(store.catalog, 1)
    assert recognised.lines_of(store.catalog, [number]) == {number: [PLATFORM]}
    assert (found(store, "exit"), found(store, "platform")) == ([], ["a.jpg"])
    record(store, 1, [])
    assert (recognised.count(store.catalog), found(store, "platform")) == (0, [])


def test_a_name_that_comes_later_is_found(store: Store) -> None:
    put(store, {"a.jpg": 1, "other.jpg": 2})
    record(store, 1, [EXIT])
    put(store, {"later.jpg": 1})
    assert found(store, "exit") == ["a.jpg", "later.jpg"]
    put(store, {"a.jpg": 2})
    assert found(store, "exit") == ["later.jpg"]


def test_only_pictures_with_a_name_are_counted(store: Store) -> None:
    put(store, {"a.jpg": 1, "copy.jpg": 1, "b.jpg": 2})
    record(store, 1, [EXIT, PLATFORM])
    record(store, 2, [EXIT])
    assert recognised.count(store.catalog) == 2
    with store.catalog.transaction() as change:
        change.run("DELETE FROM names WHERE key = 'b.jpg'")
    assert recognised.count(store.catalog) == 1


def test_a_failed_transaction_leaves_all_as_it_was(store: Store) -> None:
    put(store, {"a.jpg": 1})
    record(store, 1, [EXIT])
    number = content_id(store.catalog, 1)
    with pytest.raises(RuntimeError), store.catalog.transaction() as change:
        recognised.record(change, number, [PLATFORM])
        raise RuntimeError
    assert recognised.lines_of(store.catalog, [number]) == {number: [EXIT]}
    assert (found(store, "exit"), found(store, "platform")) == (["a.jpg"], [])


def test_many_contents_are_asked_for_at_once(store: Store) -> None:
    put(store, {"a.jpg": 1})
    record(store, 1, [EXIT])
    number = content_id(store.catalog, 1)
    assert recognised.lines_of(store.catalog, [*range(100_000, 140_000), number]) == {number: [EXIT]}


fractions = st.integers(0, 1_000_000).map(lambda number: number / 1_000_000)
lines = st.builds(
    RecognisedLine,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.tuples(fractions, fractions, fractions, fractions),
    st.floats(0, 1),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(lines, max_size=6))
def test_any_text_and_box_come_back(store: Store, read: list[RecognisedLine]) -> None:
    put(store, {"a.jpg": 1})
    record(store, 1, read)
    number = content_id(store.catalog, 1)
    assert recognised.lines_of(store.catalog, [number]).get(number, []) == read
