"""Folding, spreading, sorting and paging of hits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.api import Gallery
from picfind.errors import UnknownSpaceError, UsageError
from picfind.search import shaping
from picfind.settings import Settings
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_words
from picfind.types import Floats
from tests.photos import photo, write_photo


def unit(rows: object) -> Floats:
    vectors = np.asarray(rows, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Floats = vectors / np.maximum(norms, 1e-9)
    return made


VECTORS = st.lists(st.tuples(*[st.sampled_from((-1.0, 0.0, 0.5, 1.0))] * 3), min_size=1, max_size=25).map(
    unit
)


@given(VECTORS, st.sampled_from((0.6, 0.9, 0.99)))
def test_what_stays_after_folding_differs_and_what_goes_has_somewhere_to_go(
    vectors: Floats, limit: float
) -> None:
    into = shaping.fold(vectors, at_least=limit)
    leaders = np.flatnonzero(into == np.arange(len(into)))
    among = vectors[leaders] @ vectors[leaders].T
    np.fill_diagonal(among, -1)
    assert (among < limit).all()
    for at, leader in enumerate(into.tolist()):
        assert leader == at or (leader < at and leader in leaders and vectors[at] @ vectors[leader] >= limit)


@given(VECTORS)
def test_the_first_of_a_folding_do_not_depend_on_the_rest(vectors: Floats) -> None:
    whole = shaping.fold(vectors, at_least=0.9)
    for end in range(1, len(vectors)):
        assert shaping.fold(vectors[:end], at_least=0.9).tolist() == whole[:end].tolist()


def plain_mmr(scores: Floats, vectors: Floats, diversity: float) -> list[int]:
    """The definition, word for word, over one block."""
    similar = vectors @ vectors.T
    similar = (similar - similar.min()) / max(similar.max() - similar.min(), 1e-9)
    worth = (scores - scores.min()) / max(scores.max() - scores.min(), 1e-9)
    chosen: list[int] = []
    while len(chosen) < len(scores):
        left = [at for at in range(len(scores)) if at not in chosen]
        marginal = [
            (1 - diversity) * worth[at] - diversity * max((similar[at, other] for other in chosen), default=0)
            for at in left
        ]
        chosen.append(left[int(np.argmax(np.asarray(marginal, np.float32)))])
    return chosen


@given(VECTORS, st.integers(0, 1000), st.sampled_from((0.0, 0.3, 0.7)))
def test_spreading_against_its_definition(vectors: Floats, seed: int, diversity: float) -> None:
    # scores far apart, so that the rounding of one way or the other decides nothing
    scores = np.sort(np.random.default_rng(seed).permutation(len(vectors) * 7)[: len(vectors)])[::-1]
    figures = scores.astype(np.float32)
    order = shaping.spread(figures, vectors, diversity=diversity, count=len(vectors)).tolist()
    assert sorted(order) == list(range(len(vectors)))
    if not diversity:
        assert order == list(range(len(vectors)))
    marginal = plain_mmr(figures, vectors, diversity)
    assert order[0] == marginal[0] == 0
    for count in range(1, len(vectors)):
        few = shaping.spread(figures, vectors, diversity=diversity, count=count)
        assert few.tolist() == order[:count]


def test_spreading_takes_a_different_one_before_a_better_alike_one() -> None:
    vectors = unit([[1, 0, 0], [1, 0.01, 0], [0, 1, 0]])
    scores = np.array([0.9, 0.89, 0.5], np.float32)
    assert shaping.spread(scores, vectors, diversity=0.0, count=3).tolist() == [0, 1, 2]
    assert shaping.spread(scores, vectors, diversity=0.6, count=3).tolist() == [0, 2, 1]
    assert plain_mmr(scores, vectors, 0.6) == [0, 2, 1]


def test_many_hits_are_spread_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shaping, "_BLOCK", 4)
    rows = unit(np.random.default_rng(1).normal(size=(10, 5)))
    order = shaping.spread(np.linspace(1, 0, 10).astype(np.float32), rows, diversity=0.5, count=10).tolist()
    assert [sorted(order[at : at + 4]) for at in (0, 4, 8)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_newest_first_and_what_has_no_date_last() -> None:
    assert shaping.newest_first(["2020-01-01", None, "2021-05-01T10:00:00", "2020-01-01"]) == [2, 0, 3, 1]
    assert shaping.newest_first([]) == []


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    """Six red pictures and six blue ones, each with a date in its name."""
    for number in range(12):
        colour = "red" if number % 2 else "blue"
        write_photo(
            tmp_path / "photos" / f"2021-{12 - number:02}-01 {colour}.png", seed=number, colour=colour
        )
    opened = Gallery(
        Store.open(tmp_path / "g", create=True), Settings(), encoder=[toy_encoder(), toy_words()]
    )
    opened.index(tmp_path / "photos")
    return opened


def stems(results: object) -> list[str]:
    return [Path(hit.path).stem for hit in results]  # type: ignore[attr-defined]


def test_the_best_are_sorted_by_date_or_path(gallery: Gallery) -> None:
    best = stems(gallery.search("red", k=5, against="pictures"))
    by_date = stems(gallery.search("red", k=5, against="pictures", sort="date"))
    assert sorted(best) == sorted(by_date), "the same pictures"
    assert by_date == sorted(by_date, reverse=True), "their names begin with their dates"
    assert stems(gallery.search("red", k=5, against="pictures", sort="path")) == sorted(best)


def test_all_that_is_relevant_is_sorted_before_it_is_cut(gallery: Gallery) -> None:
    every = gallery.search("red", k=20, min_score=0.5)
    newest = gallery.search("red", k=2, min_score=0.5, sort="date")
    assert stems(newest) == sorted(stems(every), reverse=True)[:2]


def test_pages_follow_each_other(gallery: Gallery) -> None:
    for options in (
        {},
        {"sort": "date", "min_score": 0.0},
        {"collapse": True},
        {"diversity": 0.5},
        {"collapse": True, "diversity": 0.3},
    ):
        whole = stems(gallery.search("red", k=12, **options))
        pages = [stems(gallery.search("red", k=3, offset=at, **options)) for at in (0, 3, 6, 9)]
        assert [stem for page in pages for stem in page] == whole
        assert len(gallery.search("red", k=3, offset=100, **options)) == 0


def test_pages_of_hits_sorted_without_a_limit_are_refused(gallery: Gallery) -> None:
    with pytest.raises(UsageError, match="page"):
        gallery.search("red", k=3, offset=3, sort="date")


def test_near_identical_pictures_are_shown_once(tmp_path: Path) -> None:
    halves = photo("red", size=(64, 48))
    halves.paste(photo("green", size=(32, 48)))
    (tmp_path / "photos").mkdir()
    halves.save(tmp_path / "photos" / "a.png")
    halves.resize((48, 36)).save(tmp_path / "photos" / "b.jpg", quality=70)
    write_photo(tmp_path / "photos" / "c.png", colour="red")
    with Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_encoder()) as gallery:
        gallery.index(tmp_path / "photos")
        plain = gallery.search("red", k=3, against="pictures")
        assert next((Path(hit.path).stem, hit.alike) for hit in plain) == ("c", 0)
        folded = gallery.search("red", k=3, against="pictures", collapse=True)
        assert [hit.alike for hit in folded] == [0, 1]
        assert Path(folded[1].path).stem in ("a", "b")


def test_pages_of_sorted_hits_follow_each_other_whatever_is_spread(tmp_path: Path) -> None:
    for number in range(40):
        write_photo(tmp_path / "photos" / f"{number:04}.png", seed=number)
    with Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_encoder()) as gallery:
        gallery.index(tmp_path / "photos")
        pages = [
            stems(gallery.search("red", k=8, offset=at, min_score=0.0, sort="path", diversity=0.7))
            for at in range(0, 40, 8)
        ]
    assert [stem for page in pages for stem in page] == [f"{number:04}" for number in range(40)]


def test_a_large_folding_is_that_of_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit(np.random.default_rng(3).integers(-2, 3, (300, 3)))
    whole = shaping.fold(rows, at_least=0.95)
    monkeypatch.setattr(shaping, "_FOLDED", 7)
    assert shaping.fold(rows, at_least=0.95).tolist() == whole.tolist()
    assert 10 < len(set(whole.tolist())) < 200


@pytest.mark.parametrize("with_pictures", [True, False])
def test_pictures_of_which_the_same_is_said_are_not_folded(tmp_path: Path, with_pictures: bool) -> None:
    """Also where the space of pictures is not searched, and its model is not even loaded."""
    for number, colour in enumerate(("red", "green", "blue")):
        path = write_photo(tmp_path / "photos" / f"{number}.png", colour=colour)
        path.with_suffix(".txt").write_text("a garden")
    with Gallery(
        Store.open(tmp_path / "g", create=True), Settings(), encoder=[toy_encoder(), toy_words()]
    ) as gallery:
        gallery.index(tmp_path / "photos")
    loaded = [toy_encoder(), toy_words()] if with_pictures else [toy_words()]
    with Gallery(Store.open(tmp_path / "g"), Settings(), encoder=loaded) as gallery:
        assert len(gallery.search("a garden", against="words", collapse=True)) == 3


def test_how_alike_pictures_are_is_not_told_by_words(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "photos" / "0.png")
    path.with_suffix(".txt").write_text("a garden")
    with Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_words()) as gallery:
        gallery.index(tmp_path / "photos")
        with pytest.raises(UnknownSpaceError, match="How alike pictures are cannot be told"):
            gallery.search("a garden", collapse=True)


@pytest.mark.parametrize("k", [10**400, 10**18])
def test_any_number_may_be_asked_for(gallery: Gallery, k: int) -> None:
    assert len(gallery.search("red", k=k)) == 12
    assert len(gallery.search("red", k=k, collapse=True, diversity=0.3)) > 0
    assert len(gallery.search("red", offset=k)) == 0
