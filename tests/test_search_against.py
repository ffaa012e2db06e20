"""A query matched against pictures, against their words, and against both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.api import Gallery
from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, PictureError, UnknownSpaceError, UsageError
from picfind.search import hydration, searcher
from picfind.search.fusion import Entry, fuse
from picfind.search.matcher import Matcher
from picfind.search.query import Kind, Query, Term
from picfind.search.rankings import confidence
from picfind.settings import Settings
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_pair, toy_words
from tests.photos import photo, write_photo

Filled = Callable[..., Gallery]


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    """A red picture that is called blue in a text beside it, and a blue one of which nothing is said."""
    write_photo(tmp_path / "photos" / "0001.png", colour="red")
    write_photo(tmp_path / "photos" / "0002.png", colour="blue")
    (tmp_path / "photos" / "0001.txt").write_text("a blue mood.")

    def make(*encoders: Encoder) -> Gallery:
        gallery = Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=encoders)
        gallery.index(tmp_path / "photos")
        return gallery

    return make


def names(gallery: Gallery, query: object, **options: object) -> list[str]:
    return [Path(hit.path).stem for hit in gallery.search(query, **options)]  # type: ignore[arg-type]


def test_pictures_words_or_both(filled: Filled) -> None:
    with filled(toy_encoder(), toy_words()) as gallery:
        assert names(gallery, "blue", against="pictures")[0] == "0002"
        words = gallery.search("blue", against="words")
        assert [(Path(hit.path).stem, hit.caption) for hit in words] == [("0001", "a blue mood.")]
        both = gallery.search("blue")
        assert {Path(hit.path).stem for hit in both} == {"0001", "0002"}
        by_name = {Path(hit.path).stem: hit for hit in both}
        assert set(by_name["0001"].why) == {"pictures: blue", "words: blue", "text: blue"}
        assert by_name["0001"].matched == {"words": "a blue mood.", "text": "a blue mood."}
        assert set(by_name["0001"].shares) == {"pictures", "words", "text"}
        assert sum(by_name["0001"].shares.values()) == pytest.approx(by_name["0001"].score)
        assert set(by_name["0002"].why) == {"pictures: blue"}
        assert by_name["0001"].score > by_name["0002"].score, "it is in both rankings"
        assert both.total == 2


def test_a_picture_is_not_matched_against_words(filled: Filled) -> None:
    with filled(toy_encoder(), toy_words()) as gallery:
        assert names(gallery, photo("red"))[0] == "0001"
        with pytest.raises(EncoderError, match="toy-words cannot search with pictures"):
            gallery.search(photo("red"), against="words")


def test_a_gallery_without_words_says_so(filled: Filled) -> None:
    with filled(toy_encoder()) as gallery:
        assert names(gallery, "blue", against="pictures")[0] == "0002"
        assert names(gallery, "blue", against="text") == ["0001"]
        with pytest.raises(UnknownSpaceError, match="no vectors of words"):
            gallery.search("blue", against="words")
        with pytest.raises(UsageError, match="matched against"):
            gallery.search("blue", against="smells")


def test_a_gallery_of_words_alone(filled: Filled) -> None:
    with filled(toy_words()) as gallery:
        assert names(gallery, "blue") == ["0001"]
        with pytest.raises(UnknownSpaceError, match="no vectors of pictures"):
            gallery.search("blue", against="pictures")


def test_what_full_text_looks_through_is_counted(filled: Filled) -> None:
    """A picture of which nothing is said has no vector of words, but its name is text."""
    with filled(toy_words()) as gallery:
        found = gallery.search("0002", where="name=0002.png")
        assert (names(gallery, "0002"), found.total, found.warnings) == (["0002"], 1, ())
        assert gallery.search("blue").total == 2
        assert gallery.search("blue", against="words").total == 1


def test_what_fits_no_space_is_named(filled: Filled, tmp_path: Path) -> None:
    liked = tmp_path / "photos" / "0001.png"
    with filled(toy_encoder(), toy_words()) as gallery:
        with pytest.raises(EncoderError, match="cannot search with pictures and words"):
            gallery.search("blue", liked=liked, against="words")
        with pytest.raises(PictureError, match="@-: It is empty"):
            gallery.search(Term(Kind.PICTURE, b"", name="@-"))


def test_an_answer_is_made_of_what_was_there_when_it_was_begun(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may refresh the searcher in the middle of it, after which the parts of before are gone."""
    with filled(toy_encoder()) as gallery, filled(toy_encoder()) as other:
        gallery.search("red")
        (held,) = gallery._searchers.values()
        real, begun = Matcher.relevance, list[bool]()

        def meddled(matcher: Matcher, *rest: Any) -> Any:
            if not begun:
                begun.append(True)
                other.forget(tmp_path / "photos", purge=True)
                assert held.refresh()
            return real(matcher, *rest)

        monkeypatch.setattr(Matcher, "relevance", meddled)
        assert len(held.search(Query((Term(Kind.WORDS, "red"),), judged=True))) == 0
        assert begun


def test_a_context_query_finds_what_is_near_in_both(filled: Filled) -> None:
    with filled(toy_pair()) as gallery:
        assert names(gallery, [photo("red"), "blue"])[0] == "0001"
        assert names(gallery, photo("blue"))[0] == "0002"
        hits = gallery.search("blue", k=2, against="pictures")
        assert Path(hits[0].path).stem == "0001"
        assert hits[1].score == pytest.approx(0, abs=1e-3), "a picture without words is no answer to words"


def test_more_than_there_is_may_be_asked_for(filled: Filled) -> None:
    with filled(toy_encoder(), toy_words()) as gallery:
        assert len(gallery.search("blue", k=10**12)) == 2
        assert len(gallery.search("blue", k=10**12, against="pictures")) == 2


def test_a_model_of_words_beside_pictures_of_which_nothing_is_said(tmp_path: Path) -> None:
    write_photo(tmp_path / "photos" / "0001.png", colour="red")
    store = Store.open(tmp_path / "g", create=True)
    with Gallery(store, Settings(), encoder=[toy_encoder(), toy_words()]) as gallery:
        gallery.index(tmp_path / "photos")
        hits = gallery.search("red")
        assert (len(hits), hits.warnings) == (1, ())
        assert hits[0].why == {"red": pytest.approx(hits[0].score, abs=1e-5)}, "nothing was there to fuse"
        nothing = gallery.search("red", against="words")
        assert (len(nothing), len(nothing.warnings)) == (0, 1)
        assert "Nothing is said of any picture" in nothing.warnings[0]


def test_texts_that_were_not_encoded_yet_are_told_of(filled: Filled, tmp_path: Path) -> None:
    filled(toy_encoder(), toy_words()).close()
    (tmp_path / "photos" / "0002.txt").write_text("a red mood.")
    filled(toy_encoder()).close()
    with Gallery(Store.open(tmp_path / "g"), Settings(), encoder=[toy_encoder(), toy_words()]) as gallery:
        assert [warning.split(",")[0] for warning in gallery.search("red").warnings] == [
            "Texts of the gallery that have no vector of toy-words yet"
        ]
        assert gallery.search("red", against="pictures").warnings == ()


def test_pictures_with_the_same_tag_are_told_apart_by_what_they_show(tmp_path: Path) -> None:
    """Whichever came first: by their words all of them are first."""
    for number in range(30):
        write_photo(
            tmp_path / "blue" / f"{number:04}.png", seed=number, colour="blue" if number == 25 else "red"
        )
    store = Store.open(tmp_path / "g", create=True)
    with Gallery(store, Settings(workers=1), encoder=[toy_encoder(), toy_words()]) as gallery:
        gallery.index(tmp_path)
        assert Path(gallery.search("blue", k=1)[0].path).stem == "0025"


def test_the_answer_to_a_small_k_begins_that_to_a_larger_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours = ("red", "green", "blue", "yellow", "cyan", "magenta")
    for number in range(24):
        path = tmp_path / "photos" / f"{number:04}.png"
        write_photo(path, seed=number, colour=colours[number % 6])
        path.with_suffix(".txt").write_text(f"{colours[number * 5 % 7 % 6]} {colours[number // 4]}.")
    store = Store.open(tmp_path / "g", create=True)
    monkeypatch.setattr(searcher, "_LEAST_DEPTH", 12)
    with Gallery(store, Settings(), encoder=[toy_encoder(), toy_words()]) as gallery:
        gallery.index(tmp_path / "photos")
        longest = names(gallery, "red blue", k=12)
        assert len(longest) == 12
        assert all(names(gallery, "red blue", k=k) == longest[:k] for k in range(1, 12))
        assert len(names(gallery, "red blue", k=20)) == 20, "further down, rankings are fused further down"


SCORES = st.lists(st.integers(0, 4), max_size=20).map(lambda scores: sorted(scores, reverse=True))
IDS = st.permutations(range(31))


@given(
    rankings=st.lists(
        st.builds(lambda ids, scores: list(zip(ids, scores, strict=False)), IDS, SCORES),
        min_size=1,
        max_size=4,
    ),
    k=st.integers(1, 40),
)
def test_fusion_against_its_definition(rankings: list[list[tuple[int, float]]], k: int) -> None:
    weights = [1.0, 0.3, 2.0, 1.0][: len(rankings)]
    found = fuse([[Entry(*pair) for pair in own] for own in rankings], weights=weights, k=k)
    every = {entry for ranking in rankings for entry, _ in ranking}

    def share(ranking: list[tuple[int, float]], entry: int) -> float:
        scores = dict(ranking)
        if entry not in scores:
            return 0.0
        return 1 / (6 + sum(other > scores[entry] for other in scores.values()))

    wanted = {
        entry: sum(weight * share(ranking, entry) for ranking, weight in zip(rankings, weights, strict=True))
        * 6
        / sum(weights)
        for entry in every
    }
    assert len(found) == min(k, len(every))
    assert [entry.score for entry in found] == sorted((entry.score for entry in found), reverse=True)
    assert all(entry.score == pytest.approx(wanted[entry.id]) for entry in found)
    assert all(sum(entry.shares) == pytest.approx(entry.score) for entry in found)
    left = [wanted[entry] for entry in every - {entry.id for entry in found}]
    assert not left or max(left) <= found[-1].score + 1e-12


def test_weights_may_be_as_large_as_numbers_are() -> None:
    (first,) = fuse([[Entry(7, 0.5)]] * 3, weights=[1e308] * 3, k=1)
    assert first.score == pytest.approx(1.0)
    assert list(first.shares) == pytest.approx([1 / 3] * 3)


def test_a_writer_that_forgets_at_every_look_costs_no_hit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        write_photo(tmp_path / "photos" / f"{number:04}.png", seed=number)
    other = Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_encoder())
    other.index(tmp_path / "photos")
    real = hydration.hits

    def forget_first(store: Store, shown: Sequence[hydration.Shown], *rest: Any) -> Any:
        best = store.catalog.first("SELECT key FROM names WHERE content_id = ?", (shown[0].content,))
        if best is not None:
            other.forget(tmp_path / "photos" / best[0])
        return real(store, shown, *rest)

    with Gallery(Store.open(tmp_path / "g"), Settings(), encoder=toy_encoder()) as gallery:
        monkeypatch.setattr(hydration, "hits", forget_first)
        assert len(gallery.search("red", k=3)) == 3
    other.close()


@pytest.mark.parametrize(
    ("scores", "relevance", "sure"),
    [
        ((0.9, 0.8, 0.8), (0.1, 0.2, 0.5), (0.5, 0.5, 0.5)),
        ((0.9, 0.8, 0.7), (0.9, 0.0, 0.1), (0.9, 0.1, 0.1)),
        ((0.9, 0.8, 0.8, 0.7), (0.3, 0.5, 0.2, 0.1), (0.5, 0.5, 0.5, 0.1)),
        ((0.9, 0.8), (np.nan, np.nan), (1.0, 1.0)),
        ((), (), ()),
    ],
)
def test_nothing_is_less_sure_than_what_is_below_it(
    scores: tuple[float, ...], relevance: tuple[float, ...], sure: tuple[float, ...]
) -> None:
    found = confidence(np.array(scores, np.float32), np.array(relevance, np.float32))
    assert found.tolist() == pytest.approx(sure)
