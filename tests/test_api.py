from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import picfind
from picfind.api import Gallery
from picfind.errors import (
    EncoderError,
    NoGalleryError,
    NotAPictureError,
    UnknownModelError,
    UnknownSpaceError,
    UsageError,
)
from picfind.search import hydration
from picfind.search.query import Kind, Query, Term
from picfind.search.searcher import Searcher
from picfind.storage.store import Store
from picfind.testing import toy_encoder
from tests.meddling import once_before
from tests.photos import photo, write_photo


def best(gallery: Gallery, query: object, k: int = 1) -> list[str]:
    return [Path(hit.path).stem for hit in gallery.search(query, k=k)]  # type: ignore[arg-type]


@pytest.fixture
def filled(gallery: Gallery, photos: Path) -> Gallery:
    gallery.index(photos)
    return gallery


def test_words_find_pictures(filled: Gallery) -> None:
    for colour in ("red", "green", "blue", "yellow"):
        assert best(filled, f"something {colour}") == [colour]


def test_a_picture_finds_itself_however_it_is_given(filled: Gallery, photos: Path) -> None:
    path = photos / "blue.png"
    with path.open("rb") as file:
        data = file.read()
    with Image.open(io.BytesIO(data)) as image:
        for given in (path, str(path), data, image):
            hits = filled.search(given, k=1)
            assert Path(hits[0].path) == path
            assert hits[0].score == pytest.approx(1, abs=2e-3)


def test_words_and_pictures_combine(filled: Gallery, photos: Path) -> None:
    write_photo(photos / "cyan.png", colour="cyan")
    filled.index(photos)
    assert best(filled, ["2:green", "+", photos / "blue.png"], 2) in (["cyan", "green"], ["green", "cyan"])
    assert best(filled, [photos / "cyan.png", "-", "2:green"]) == ["blue"]
    ready = ["2:green", "+", Term(Kind.PATH, photos / "blue.png")]
    assert best(filled, ready, 2) == best(filled, ["2:green", "+", photos / "blue.png"], 2)


@pytest.mark.parametrize("again", ["white", "2:green"])
def test_the_reasons_add_up_to_the_score(filled: Gallery, photos: Path, again: str) -> None:
    hits = filled.search(["2:green", "+", photos / "blue.png", "-", "red", "+", again], k=4)
    for hit in hits:
        assert len(hit.why) == 4
        assert sum(hit.why.values()) == pytest.approx(hit.score, abs=1e-4)
    assert next(iter(hits[0].why)) == "2:green"


def test_results_are_a_sequence(filled: Gallery) -> None:
    results = filled.search("red", k=3)
    assert len(results) == 3 == len(list(results))
    assert results[0].score >= results[1].score >= results[-1].score
    assert [hit.path for hit in results[:2]] == [results[0].path, results[1].path]
    assert results.total == 4


def test_a_hit_tells_what_the_catalog_knows(filled: Gallery, photos: Path) -> None:
    (photos / "IMG_20230514_101530.png").write_bytes((photos / "red.png").read_bytes())
    filled.index(photos)
    hit = filled.search(photos / "red.png", k=1)[0]
    assert [Path(key).name for key in hit.keys] == ["IMG_20230514_101530.png", "red.png"]
    assert (hit.metadata["width"], hit.metadata["height"]) == (32, 24)
    assert hit.metadata["format"] == "PNG"
    assert (hit.metadata["taken"], hit.metadata["taken_from"]) == ("2023-05-14T10:15:30", "file name")


def test_k_larger_than_the_gallery(filled: Gallery) -> None:
    assert len(filled.search("red", k=1000)) == 4


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "The query is empty"),
        ([], "The query is empty"),
        (["red", "-", "red"], "cancel out"),
    ],
)
def test_queries_that_make_no_sense(filled: Gallery, query: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        filled.search(query)  # type: ignore[arg-type]


def test_k_of_zero(filled: Gallery) -> None:
    with pytest.raises(UsageError, match="k is 0"):
        filled.search("red", k=0)


def test_a_query_picture_that_is_none(filled: Gallery, tmp_path: Path) -> None:
    bad = tmp_path / "words.jpg"
    bad.write_text("these are words")
    with pytest.raises(NotAPictureError, match=r"words\.jpg"):
        filled.search(bad)
    with pytest.raises(NotAPictureError):
        filled.search(b"")


def test_an_empty_gallery_says_what_to_do(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    gallery.index(tmp_path / "empty")
    results = gallery.search("red")
    assert len(results) == 0
    assert "picfind index" in results.warnings[0]


def test_searching_before_indexing_names_the_way(gallery: Gallery) -> None:
    results = gallery.search("red")
    assert (len(results), results.total) == (0, 0)
    assert "picfind index FOLDER" in results.warnings[0]


def test_another_model_names_those_that_are_there(
    open_gallery: Callable[..., Gallery], filled: Gallery
) -> None:
    other = open_gallery(encoder="other")
    with pytest.raises(UnknownSpaceError, match=r"It has: toy@000000000001.*picfind index --model other"):
        other.search("red")


def test_pictures_that_were_not_searched_are_told(
    open_gallery: Callable[..., Gallery], filled: Gallery, photos: Path
) -> None:
    other = open_gallery(encoder="other")
    other.index(photos / "trip")
    results = other.search("red")
    assert results.total == 1
    assert "no vector of other yet, and were not searched: 3." in results.warnings[0]
    assert filled.search("red").warnings == ()


def test_a_new_revision_of_a_model_encodes_everything_again(filled: Gallery, photos: Path) -> None:
    newer = Gallery(filled.store, filled.settings, encoder=toy_encoder(revision="000000000002"))
    assert newer.index(photos).encoded == 4
    assert len(newer.search("red")) == 4


def test_what_is_forgotten_beside_a_search_leaves_no_gap(
    filled: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once_before(monkeypatch, hydration, "hits", lambda: filled.forget(photos / "red.png", purge=True))
    assert len(filled.search("red", k=1)) == 1


def test_a_gallery_of_another_revision_says_so(filled: Gallery) -> None:
    newer = Gallery(filled.store, filled.settings, encoder=toy_encoder(revision="000000000002"))
    with pytest.raises(UnknownSpaceError, match="another revision of toy"):
        newer.search("red")


def test_an_open_gallery_sees_what_another_process_adds(
    open_gallery: Callable[..., Gallery], filled: Gallery, photos: Path
) -> None:
    filled.search("white")
    other = open_gallery()
    write_photo(photos / "white.png", colour="white")
    other.index(photos)
    assert best(filled, "white") == ["white"]


def test_a_snapshot_is_kept_while_nothing_changes(filled: Gallery) -> None:
    searcher = Searcher(filled.store, [toy_encoder()])
    assert not searcher.refresh()
    assert (
        len(searcher.search_many([Query((Term(Kind.WORDS, "red"),)), Query((Term(Kind.WORDS, "blue"),))]))
        == 2
    )


def test_forgetting_a_picture_a_folder_and_a_root(filled: Gallery, photos: Path) -> None:
    assert filled.forget(photos / "red.png") == 1
    assert filled.forget(photos / "trip") == 1
    assert sorted(best(filled, "red", 9)) == ["blue", "green"]
    assert filled.forget(photos) == 2
    assert len(filled.search("red")) == 0
    assert filled.index(photos).reused == 4, "the vectors were kept"


def test_forgetting_with_purge_removes_the_vectors(filled: Gallery, photos: Path) -> None:
    filled.forget(photos / "red.png", purge=True)
    assert filled.purge() == 0
    assert filled.index(photos).encoded == 1


@pytest.mark.parametrize("name", ["photos/none.png", "elsewhere"])
def test_forgetting_what_is_not_known(filled: Gallery, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"knows n"):
        filled.forget(tmp_path / name)


def test_adopting_another_gallery(open_gallery: Callable[..., Gallery], filled: Gallery) -> None:
    other = open_gallery("other.gallery")
    other.adopt(filled.folder)
    assert best(other, "yellow") == ["yellow"]
    other.compact()
    assert best(other, "yellow") == ["yellow"]


def test_opening_without_creating(tmp_path: Path) -> None:
    with pytest.raises(NoGalleryError, match="no gallery at"):
        picfind.open(tmp_path / "none", create=False)


def test_an_unknown_model_names_those_that_are_known_and_leaves_no_gallery_behind(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"no model 'magic'\. At hand are: builtin"):
        picfind.open(tmp_path / "a", model="magic")
    assert not (tmp_path / "a").exists()


def test_a_term_that_the_model_has_no_tower_for(filled: Gallery) -> None:
    deaf = Gallery(filled.store, filled.settings, encoder=replace(toy_encoder(), text=None))
    with pytest.raises(EncoderError, match="cannot search with words"):
        deaf.search("red", against="pictures")
    by_text = deaf.search("red")
    assert [hit.why.keys() for hit in by_text] == [{"red"}] * len(by_text)
    assert "cannot search with words: only" in by_text.warnings[0]
    assert len(deaf.search(photo("red"))) == 4


def test_the_encoders_own_functions(tmp_path: Path) -> None:
    encoder = toy_encoder()
    path = write_photo(tmp_path / "a.png")
    rows = encoder.encode_images([path, str(path), path.read_bytes(), photo()])
    assert rows.shape == (4, 64)
    assert (rows == rows[0]).all()
    assert encoder.encode_texts([]).shape == (0, 64)
    with pytest.raises(EncoderError):
        replace(encoder, image=None).encode_images([path])
    with pytest.raises(EncoderError):
        replace(encoder, text=None).encode_texts(["a"])


def test_the_built_in_model_is_the_default(tmp_path: Path) -> None:
    with picfind.open(tmp_path / "a") as gallery:
        assert gallery.cards()[0].name == "builtin"
        assert gallery.spaces == []
        assert gallery.folder == tmp_path / "a"


def test_everything_public_can_be_had() -> None:
    for name in picfind.__all__:
        assert getattr(picfind, name) is not None
    with pytest.raises(AttributeError):
        picfind.nothing  # noqa: B018
    assert dir(picfind) == picfind.__all__


def test_a_gallery_that_is_open_twice_reads_and_writes(
    open_gallery: Callable[..., Gallery], photos: Path
) -> None:
    first, second = open_gallery(), open_gallery()
    first.index(photos)
    second.index(photos)
    assert best(first, "red") == best(second, "red") == ["red"]
    assert isinstance(first.store, Store)


def test_a_model_in_use_that_is_not_here_is_named_with_the_gallery(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    with (
        picfind.open(gallery.folder) as opened,
        pytest.raises(
            UnknownModelError, match=r"test\.gallery is searched with toy, which is not here.*models use"
        ),
    ):
        opened.search("red")


def test_a_filter_comes_before_the_best_k(filled: Gallery) -> None:
    everything = filled.search("red", k=10)
    fitting = filled.search("red", k=2, where='name="blue.png" or name="yellow.png"')
    assert {Path(hit.path).name for hit in fitting} == {"blue.png", "yellow.png"}
    assert (fitting.total, everything.total) == (2, len(everything))
    both = filled.search("red", where=["folder~trip", "extension=png"])
    assert [Path(hit.path).name for hit in both] == ["yellow.png"]


def test_a_filter_that_nothing_fits_says_so(filled: Gallery) -> None:
    results = filled.search("red", where="width>100000")
    assert (len(results), results.total) == (0, 0)
    assert results.warnings == ("No picture fits the filter: width > 100000.",)
    with pytest.raises(UsageError, match="did you mean camera"):
        filled.search("red", where="camra=canon")
