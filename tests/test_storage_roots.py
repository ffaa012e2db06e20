"""Roots of folders and of datasets: where their keys lie, which key lies at a place, and roots that move."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind import keys
from picfind.errors import UsageError
from picfind.search.filters import parse_filters
from picfind.storage import descriptions, roots
from picfind.storage.names import Content, Name
from picfind.storage.roots import Root
from picfind.storage.selection import select
from picfind.storage.store import Store
from picfind.types import Fingerprint
from tests.test_storage_store import digest

posix = pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
parts = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6)
paths = st.lists(parts.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)


def root(location: str, kind: str = "coco") -> Root:
    return Root(1, kind, location, None, 0.0)


@posix
@given(paths, paths, st.sampled_from(["", "?split=val", "?split=a%3Fb&year=2017"]))
def test_a_key_lies_at_a_place_and_a_place_has_its_key(folder: str, name: str, options: str) -> None:
    location = keys.escape(f"/{folder}").replace("?", "%3F").replace("#", "%23") + options
    known, key = root(location), keys.escape(name)
    place = known.place(key)
    assert keys.unescape(place) == f"/{folder}/{name}"
    assert str(known.path) == f"/{folder}"
    assert known.key_of(place) == key
    assert known.key_of(known.folder) == ""
    assert known.key_of(f"/other{place}") is None


@posix
@pytest.mark.parametrize(
    ("location", "kind", "key", "place"),
    [
        ("/photos", "folder", "a/b.png", "/photos/a/b.png"),
        ("/really?", "folder", "b.png", "/really?/b.png"),
        ("/data/coco?split=val", "coco", "val2017/1.jpg", "/data/coco/val2017/1.jpg"),
        ("/data%3F/x", "coco", "1.jpg", "/data?/x/1.jpg"),
        ("/shards", "webdataset", "a.tar/1.jpg", "/shards/a.tar/1.jpg"),
        ("/list.txt", "urls", "http://a.b/c%2520d%2525zz%.jpg", "http://a.b/c%20d%25zz%.jpg"),
        ("s3://bucket/x?part=1", "store", "a/b.jpg", "s3://bucket/x/a/b.jpg"),
    ],
)
def test_places(location: str, kind: str, key: str, place: str) -> None:
    known = root(location, kind)
    assert known.place(key) == place
    if kind != "folder":
        assert known.key_of(place) == key


@posix
def test_filters_and_sorting_see_the_places_that_are_shown(store: Store) -> None:
    told = [
        ("folder", "/really?", "a.png"),
        ("coco", "/data/coco?split=val", "val/b.png"),
        ("coco", "/data/coco", "c.png"),
        ("urls", "/list.txt", "http://h.test/d.png"),
    ]
    with store.writing() as writer:
        for number, (kind, location, key) in enumerate(told):
            with writer.transaction() as change:
                root_id, _ = roots.add_root(change, kind, location)
            name = Name(key, Fingerprint("1"), digest(number))
            writer.commit(root_id, contents=[Content(digest(number), 1)], names=[name])
    every = {entry.id: entry for entry in roots.roots(store.catalog)}
    for number, content_id, root_id, key in store.catalog.all(
        "SELECT id, content_id, root_id, key FROM names"
    ):
        place = every[root_id].place(key)
        assert number and descriptions.paths(store.catalog, [content_id]) == {content_id: place}
        tree = parse_filters([f'path="{place}"'])
        assert tree is not None
        assert select(store.catalog, tree).tolist() == [content_id]


@posix
def test_a_dataset_moves_with_its_folder_and_keeps_its_options(store: Store) -> None:
    told = [("coco", "/old?split=val"), ("folder", "/old"), ("flickr", "/old"), ("coco", "/older?split=val")]
    with store.writing() as writer, writer.transaction() as change:
        for kind, location in told:
            roots.add_root(change, kind, location)
    assert [entry.source for entry in roots.moving(store.catalog, "/old")] == [
        *("coco:/old?split=val", "/old", "flickr:/old")
    ]
    roots.move_root(store.catalog, "/old", "/new#1")
    assert [entry.source for entry in roots.roots(store.catalog)] == [
        *("coco:/new%231?split=val", "/new#1", "flickr:/new%231", "coco:/older?split=val")
    ]
    roots.move_root(store.catalog, "flickr:/new%231", "/flickr")
    assert roots.roots(store.catalog)[2].source == "flickr:/flickr"
    with pytest.raises(UsageError, match=r"already belongs to the root coco:/older\?split=val"):
        roots.move_root(store.catalog, "coco:/new%231?split=val", "/older")
    with pytest.raises(UsageError, match="no root coco:/none"):
        roots.move_root(store.catalog, "coco:/none", "/x")


@posix
def test_a_drive_is_known_for_a_dataset_too(store: Store) -> None:
    with store.writing() as writer, writer.transaction() as change:
        roots.add_root(change, "coco", "/nowhere/at/all?split=val")
        roots.add_root(change, "store", "s3://bucket")
    assert [entry.volume for entry in roots.roots(store.catalog)] == [os.sep, None]
