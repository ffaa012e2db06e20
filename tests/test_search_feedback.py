"""More like these, less like those: the model by itself, and through a gallery."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchmarks.feedback import average_precision
from picfind.api import Gallery
from picfind.errors import EncoderError, UsageError
from picfind.search import feedback
from picfind.search.query import Kind, Query, Term
from picfind.settings import Settings
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_pair, toy_words
from picfind.types import Floats
from tests.photos import photo, write_photo

DIM = 24
COLOURS = ("red", "green", "blue", "yellow", "white")


def unit(rows: NDArray[Any]) -> Floats:
    found: Floats = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found


def made_up(seed: int, *, offset: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """A query (dim,), 40 pictures of its kind, and 200 others; with an offset all of them point the same way, nearly."""
    rng = np.random.default_rng(seed)
    kind, common = unit(rng.normal(size=DIM)), np.float32(offset) * unit(rng.normal(size=DIM))
    right = unit(common + kind + 1.3 * unit(rng.normal(size=(40, DIM))))
    others = unit(common + unit(rng.normal(size=(200, DIM))))
    query = unit(kind + 2.5 * unit(rng.normal(size=DIM)))
    return query, right, others


def direction(query: Floats | None, learned: feedback.Learned) -> Floats:
    return unit(learned.change if query is None else np.float32(learned.pull) * query + learned.change)


def precision(vector: Floats, right: Floats, others: Floats) -> float:
    fits = np.arange(len(right) + len(others)) < len(right)
    return average_precision(np.concatenate([right, others]) @ vector, fits)


def test_average_precision_by_hand() -> None:
    found = average_precision(np.array([0.9, 0.8, 0.7], np.float32), np.array([True, False, True]))
    assert found == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("offset", [0.0, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_examples_help_whatever_the_cosines_of_a_model_are(seed: int, offset: float) -> None:
    query, right, others = made_up(seed, offset=offset)
    learned = feedback.learn(query, right[:6], others[:6], others[100:])
    before = precision(query, right[6:], others[6:100])
    after = precision(direction(query, learned), right[6:], others[6:100])
    assert after > before + 0.05
    simple = direction(query, feedback.rocchio(query, right[:6], others[:6]))
    assert after > precision(simple, right[6:], others[6:100]) - 0.02, "never clearly behind Rocchio"


@pytest.mark.parametrize(("liked", "disliked"), [(1, 0), (0, 1), (1, 1), (3, 0), (0, 3)])
def test_few_examples_move_in_the_right_direction(liked: int, disliked: int) -> None:
    query, right, others = made_up(3)
    near = others[np.argsort(-(others @ query))]
    vector = direction(query, feedback.learn(query, right[:liked], near[:disliked], others))
    assert vector @ query > 0.2, "the query still counts"
    if liked:
        assert (right[:liked] @ vector > right[:liked] @ query).all()
    if disliked:
        assert (near[:disliked] @ vector < near[:disliked] @ query).all()


def test_examples_alone_are_enough_where_one_is_liked() -> None:
    _, right, others = made_up(4)
    learned = feedback.learn(None, right[:1], others[:0], others)
    assert learned.pull == 0
    assert precision(direction(None, learned), right[1:], others) > 0.5
    with pytest.raises(UsageError, match="like a picture"):
        feedback.learn(None, right[:0], others[:2], others)


def test_rocchio_by_hand_is_used_where_there_is_no_background() -> None:
    query, liked = np.eye(2, dtype=np.float32)[0], np.eye(2, dtype=np.float32)[1:]
    found = feedback.rocchio(query, liked, liked[:0])
    assert found.pull == 1
    assert found.change.tolist() == [0, 0.75]
    less = feedback.rocchio(query, liked[:0], liked)
    assert less.change.tolist() == [0, -0.5]
    few = feedback.learn(query, liked, liked[:0], np.eye(2, dtype=np.float32))
    assert few.change.tolist() == [0, 0.75]


def test_copies_of_examples_in_the_background_do_not_speak_against_them() -> None:
    query, right, others = made_up(5)
    crowded = np.concatenate([np.repeat(right[:1], 20, axis=0), others[:30]])
    with_copies = feedback.learn(query, right[:1], others[:0], crowded)
    without = feedback.learn(query, right[:1], others[:0], others[:30])
    np.testing.assert_allclose(with_copies.change, without.change, atol=1e-5)


@given(
    seed=st.integers(0, 1000),
    liked=st.integers(0, 5),
    disliked=st.integers(0, 5),
    background=st.integers(0, 40),
    alike=st.booleans(),
)
def test_whatever_is_given_the_direction_is_finite(
    seed: int, liked: int, disliked: int, background: int, alike: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows = unit(rng.normal(size=(1 + liked + disliked + background, 8)))
    if alike:
        rows[:] = rows[0]
    more, less = rows[1 : 1 + liked], rows[1 + liked : 1 + liked + disliked]
    learned = feedback.learn(rows[0], more, less, rows[1 + liked + disliked :])
    assert np.isfinite(learned.change).all()
    assert np.isfinite(learned.pull)


def test_strength_and_relevance_by_hand() -> None:
    background = np.tile(np.array([0.0, 0.2], np.float32), 20)
    found = feedback.strengths(np.array([0.9, 0.1], np.float32), background)
    assert found.tolist() == pytest.approx([0.8 / (1.4826 * 0.1), 0], abs=1e-4)
    middle = feedback.CURVE.middle * 1.4826 * 0.1 + 0.1
    assert feedback.relevance(np.array([middle], np.float32), background)[0] == pytest.approx(0.5, abs=0.01)
    assert np.isnan(feedback.relevance(np.array([0.9], np.float32), background[:31]))
    assert feedback.by_chance(0.9, searched=10_000) < feedback.by_chance(0.5, searched=10_000) < 10


def test_what_fills_a_fifth_of_the_gallery_still_stands_out() -> None:
    scores = np.concatenate([np.random.default_rng(1).normal(0, 0.05, 80), np.full(20, 0.6)]).astype(
        np.float32
    )
    assert feedback.relevance(scores[80:], scores).min() > 0.8
    assert feedback.relevance(scores[:80], scores).max() < 0.1


@pytest.fixture
def many(tmp_path: Path) -> Gallery:
    """A hundred pictures of five colours, the white ones with a text beside them."""
    for number in range(100):
        write_photo(tmp_path / "photos" / f"{number:04}.png", colour=COLOURS[number % 5], seed=number)
        if number % 5 == 4:
            (tmp_path / "photos" / f"{number:04}.txt").write_text("a white wall")
    gallery = Gallery(
        Store.open(tmp_path / "g", create=True), Settings(), encoder=[toy_encoder(), toy_words()]
    )
    gallery.index(tmp_path / "photos")
    return gallery


def colours(hits: object) -> list[str]:
    return [COLOURS[int(Path(hit.path).stem) % 5] for hit in hits]  # type: ignore[attr-defined]


def test_liked_pictures_draw_a_search_and_disliked_ones_push_it_away(many: Gallery, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    assert "blue" not in colours(many.search("red", k=20, against="pictures"))
    liked = many.search("red", liked=[photos / "0002.png", photos / "0007.png"], k=20)
    assert set(colours(liked)) == {"blue"}
    plain = many.search("yellow", k=40, against="pictures")
    pushed = many.search("yellow", disliked=photos / "0000.png", k=40)
    assert colours(pushed).count("red") < max(colours(plain).count("red"), 1)
    alone = many.search(liked=photos / "0001.png", k=20)
    assert set(colours(alone)) == {"green"}


def test_the_reasons_add_up_to_the_score(many: Gallery, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    hits = many.search(
        ["red", "+", "2:blue"], liked=photos / "0002.png", disliked=photos / "0001.png", k=10, judged=True
    )
    for hit in hits:
        assert list(hit.why) == ["red", "2:blue", "feedback"]
        assert sum(hit.why.values()) == pytest.approx(hit.score, abs=2e-3)
        assert hit.relevance is not None
        assert 0 <= hit.relevance <= 1
    alone = many.search(liked=photos / "0002.png", k=1)
    assert list(alone[0].why) == ["feedback"]


def test_words_take_no_part_where_there_are_examples(many: Gallery, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot search with"):
        many.search("white", liked=tmp_path / "photos" / "0000.png", against="words")


def test_one_picture_cannot_be_liked_and_disliked(many: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "0000.png"
    same = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UsageError, match=r"both liked and disliked \(as sha256:"):
        many.search("red", liked=path, disliked=[f"sha256:{same}"])


def test_a_stored_picture_is_asked_by_its_content_id(many: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "0003.png"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"its file is not needed: the vector is known")
    hits = many.search(f"sha256:{digest[:12]}", k=1)
    assert hits[0].content == digest
    assert hits[0].score == pytest.approx(1, abs=1e-3)
    with pytest.raises(UsageError, match=r"no picture sha256:000000000000\."):
        many.search("sha256:000000000000")
    with pytest.raises(EncoderError, match="cannot search with"):
        many.search(f"sha256:{digest}", against="words")


def test_a_beginning_that_several_contents_have_is_refused(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    with gallery.store.catalog.transaction() as change:
        for end in (b"\x00", b"\x01"):
            change.run(
                "INSERT INTO contents (sha256, bytes, added) VALUES (?, 1, 0)", (b"\xab" * 6 + end * 26,)
            )
    with pytest.raises(UsageError, match="Several pictures begin with sha256:abababab"):
        gallery.search("sha256:" + "ab" * 6)
    with pytest.raises(UsageError, match="no vector of toy"):
        gallery.search("sha256:" + "ab" * 6 + "01")


def test_a_piece_of_a_stored_picture_is_cut_out_of_its_file(gallery: Gallery, tmp_path: Path) -> None:
    both = Image.new("RGB", (40, 20))
    both.paste(photo("red", size=(20, 20)), (0, 0))
    both.paste(photo("blue", size=(20, 20)), (20, 0))
    (tmp_path / "p").mkdir()
    both.save(tmp_path / "p" / "both.png")
    write_photo(tmp_path / "p" / "blue.png", colour="blue")
    gallery.index(tmp_path / "p")
    digest = hashlib.sha256((tmp_path / "p" / "both.png").read_bytes()).hexdigest()
    assert Path(gallery.search(f"sha256:{digest}@0.5,0,0.5,1", k=1)[0].path).name == "blue.png"
    (tmp_path / "p" / "both.png").unlink()
    with pytest.raises(UsageError, match="is not there now"):
        gallery.search(f"sha256:{digest}@0.5,0,0.5,1")


def test_examples_that_have_left_are_passed_over_with_a_warning(many: Gallery) -> None:
    gone = Term(Kind.CONTENT, "0" * 64)
    terms = (Term(Kind.WORDS, "red"),)
    answer = many.answer(Query(terms, 3, ("pictures",), liked=(gone,)))
    assert any("passed over" in warning for warning in answer.warnings)
    assert [hit.content for hit in answer] == [
        hit.content for hit in many.answer(Query(terms, 3, ("pictures",)))
    ]
    with pytest.raises(UsageError, match="none of the liked pictures is in the gallery"):
        many.answer(Query((), 3, liked=(gone,)))


def test_pairs_are_searched_with_examples_too(tmp_path: Path, open_gallery: Callable[..., Gallery]) -> None:
    for number in range(50):
        write_photo(tmp_path / "p" / f"{number:04}.png", colour=COLOURS[number % 5], seed=number)
    gallery = Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_pair())
    gallery.index(tmp_path / "p")
    digest = hashlib.sha256((tmp_path / "p" / "0000.png").read_bytes()).hexdigest()
    hits = gallery.search(liked=f"sha256:{digest}", k=10, against="pictures")
    assert set(colours(hits)) == {"red"}
    gallery.close()
