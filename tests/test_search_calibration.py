"""search/calibration.py: what a score means, by hand, as properties, and on real photos where there are some."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import picfind
from picfind.errors import UsageError
from picfind.search import calibration
from picfind.search.calibration import LEAST, USUAL, Calibration, Curve, curve_for, cut, sample, strengths
from picfind.types import Floats
from tests.photos import SHARED

DIM = 16
WORDS = (True, 1.0)
PICTURE = (False, 1.0)
seeds = st.integers(0, 2**32 - 1)


def unit_rows(count: int, *, seed: int, dim: int = DIM) -> Floats:
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    unit: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def calibrated(*, sentences: int = 60, pictures: int = 50, model: str = "") -> Calibration:
    return Calibration(model, unit_rows(sentences, seed=1), unit_rows(pictures, seed=2))


def along(values: Sequence[float]) -> Floats:
    """Rows of two whose first values these are: their products with [1, 0]."""
    return np.array([[value, math.sqrt(1 - value * value)] for value in values], np.float32)


EAST = np.array([[1.0, 0.0]], np.float32)


class TestStrengths:
    def test_by_hand(self) -> None:
        """The mean of 0 and .2 is .1, their deviation .1, and .3 is two of these above it."""
        found = strengths(np.array([0.3], np.float32), EAST, along([0.0, 0.2] * 16))
        assert found == pytest.approx([2.0], abs=1e-5)

    def test_a_high_score_means_little_for_a_picture_that_all_sentences_fit(self) -> None:
        vectors, background = np.eye(2, dtype=np.float32), along([0.6, 0.62] * 16)
        background = np.concatenate([background, along([0.61])])
        easy, hard = strengths(np.array([0.62, 0.85], np.float32), vectors, background)
        swapped = strengths(np.array([0.85, 0.62], np.float32), vectors, background)
        assert easy == pytest.approx(1.015, abs=0.01), "(.62 - .61) / .0098"
        assert swapped[0] > 10 > easy
        assert swapped[1] < 0 < hard

    def test_background_that_is_a_copy_of_the_hit_does_not_count(self) -> None:
        alone = along([0.0, 0.2] * 16)
        score = np.array([0.3], np.float32)
        with_copies = np.concatenate([np.repeat(EAST, 3, axis=0), alone])
        assert strengths(score, EAST, with_copies) == pytest.approx(strengths(score, EAST, alone))

    @pytest.mark.parametrize("count", [0, 1, LEAST - 1])
    def test_too_little_background_says_nothing(self, count: int) -> None:
        assert np.isnan(
            strengths(np.array([0.3], np.float32), EAST, along([0.1] * count).reshape(-1, 2))
        ).all()

    def test_too_little_is_left_without_the_copies(self) -> None:
        background = np.concatenate([np.repeat(EAST, 5, axis=0), along([0.1] * (LEAST - 1))])
        assert np.isnan(strengths(np.array([0.3], np.float32), EAST, background)).all()

    def test_a_background_of_copies_has_the_least_spread(self) -> None:
        found = strengths(np.array([0.11], np.float32), EAST, along([0.1] * LEAST))
        assert found == pytest.approx([2.0], abs=1e-3), ".01 over .005"

    def test_no_hits_have_no_strengths(self) -> None:
        assert strengths(
            np.empty(0, np.float32), np.empty((0, 2), np.float32), along([0.1] * LEAST)
        ).shape == (0,)

    def test_many_hits_are_judged_in_blocks_like_few(self) -> None:
        vectors, background = unit_rows(5000, seed=3), unit_rows(40, seed=4)
        scores = vectors[:, 0].copy()
        found = strengths(scores, vectors, background)
        few = np.concatenate(
            [strengths(scores[at : at + 1], vectors[at : at + 1], background) for at in (0, 2048, 4999)]
        )
        assert found[[0, 2048, 4999]] == pytest.approx(few, abs=1e-4)

    def test_half_precision_rows_as_segments_have_them(self) -> None:
        vectors, background = unit_rows(5, seed=3), unit_rows(40, seed=4)
        halves = strengths(vectors[:, 0], vectors.astype(np.float16), background)
        assert halves == pytest.approx(strengths(vectors[:, 0], vectors, background), abs=0.01)


class TestCurve:
    def test_by_hand(self) -> None:
        curve = Curve(middle=2.0, slope=1.0)
        found = curve(np.array([2.0, 2.0 + math.log(3), -1000, 1000, math.nan], np.float32))
        assert found[:4] == pytest.approx([0.5, 0.75, 0, 1], abs=1e-6)
        assert np.isnan(found[4])

    @given(st.floats(0.001, 0.999))
    def test_strength_is_its_inverse(self, relevance: float) -> None:
        assert USUAL(np.array([USUAL.strength(relevance)], np.float32)) == pytest.approx(
            [relevance], abs=1e-5
        )

    def test_its_ends_are_never_reached(self) -> None:
        assert (USUAL.strength(0), USUAL.strength(1)) == (-math.inf, math.inf)

    def test_each_model_has_one(self) -> None:
        judged = {
            curve_for(name, words=True) for name in ("builtin", "builtin-open", "minilm", "nobody-knows-it")
        }
        assert len(judged) == 4
        assert curve_for("builtin", words=False) == curve_for("nobody-knows-it", words=True) == USUAL


class TestRows:
    def test_one_term_has_the_background_of_its_kind(self) -> None:
        judge = calibrated()
        assert judge.rows([WORDS]) == pytest.approx(judge.sentences, abs=1e-6)
        assert judge.rows([PICTURE]) == pytest.approx(judge.pictures, abs=1e-6)

    def test_a_weight_alone_changes_nothing_and_a_minus_turns_it_round(self) -> None:
        judge = calibrated()
        assert judge.rows([(True, 2.5)]) == pytest.approx(judge.sentences, abs=1e-6)
        assert judge.rows([(True, -1.0)]) == pytest.approx(-judge.sentences, abs=1e-6)

    def test_a_mixture_has_as_many_as_its_larger_half_and_the_weights_of_the_query(self) -> None:
        judge = calibrated()
        rows = judge.rows([WORDS, (False, 100.0)])
        assert rows.shape == (60, DIM)
        assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(60), abs=1e-5)
        assert (rows @ judge.pictures.T).max(axis=1) == pytest.approx(np.ones(60), abs=1e-2)

    def test_two_terms_of_a_kind_are_not_the_same_sentence_twice(self) -> None:
        judge = calibrated()
        taken_away = judge.rows([WORDS, (True, -1.0)])
        assert 50 < len(taken_away) <= 60, "the few that cancel out are left out"

    @pytest.mark.parametrize("terms", [[PICTURE], [WORDS, PICTURE], []])
    def test_none_where_a_kind_has_too_little(self, terms: list[tuple[bool, float]]) -> None:
        assert calibrated(pictures=LEAST - 1).rows(terms).shape == (0, DIM)

    def test_rows_of_two_spaces_are_refused(self) -> None:
        with pytest.raises(UsageError, match="different spaces"):
            Calibration("", unit_rows(9, seed=1), unit_rows(9, seed=2, dim=DIM + 1))
        with pytest.raises(UsageError, match="shapes"):
            Calibration("", np.zeros(9, np.float32), unit_rows(9, seed=2))


class TestRelevance:
    @given(
        seeds,
        st.integers(1, 12),
        st.sampled_from([[WORDS], [PICTURE], [WORDS, (False, 0.5)], [WORDS, (True, -1.0)]]),
    )
    def test_from_0_to_1_and_higher_for_a_higher_score(
        self, seed: int, count: int, terms: list[tuple[bool, float]]
    ) -> None:
        judge, vectors = calibrated(), unit_rows(count, seed=seed)
        scores = np.random.default_rng(seed).uniform(-1, 1, count).astype(np.float32)
        lower = judge.relevance(scores, vectors, terms=terms)
        higher = judge.relevance(scores + np.float32(0.1), vectors, terms=terms)
        assert ((lower >= 0) & (lower <= 1)).all()
        assert (higher > lower).all()

    @given(seeds, st.integers(1, 12))
    def test_the_order_of_the_gallery_and_its_copies_do_not_matter(self, seed: int, count: int) -> None:
        rng = np.random.default_rng(seed)
        vectors, scores = unit_rows(count, seed=seed), rng.uniform(-1, 1, count).astype(np.float32)
        judge, order = calibrated(), rng.integers(0, count, 2 * count)
        shuffled = Calibration("", judge.sentences[rng.permutation(60)], judge.pictures)
        told = judge.relevance(scores, vectors, terms=[WORDS])
        assert shuffled.relevance(scores[order], vectors[order], terms=[WORDS]) == pytest.approx(
            told[order], abs=1e-4
        )

    @pytest.mark.parametrize("count", [1, 2, 10])
    def test_words_are_judged_in_the_smallest_gallery(self, count: int) -> None:
        vectors = unit_rows(count, seed=5)
        judge = Calibration("", unit_rows(250, seed=1), vectors)
        asked = judge.relevance(vectors @ vectors[0], vectors, terms=[WORDS])
        assert not np.isnan(asked).any()
        assert asked[0] > 0.1 > asked[1:].max(initial=0), "a cosine of 1 is four deviations here"

    @pytest.mark.parametrize(
        ("count", "told"), [(1, False), (2, False), (10, False), (LEAST, False), (LEAST + 1, True)]
    )
    def test_pictures_are_judged_where_there_are_enough_others(self, count: int, told: bool) -> None:
        vectors = unit_rows(count, seed=5)
        judge = Calibration("", unit_rows(250, seed=1), vectors[sample(count)])
        asked = judge.relevance(vectors @ vectors[0], vectors, terms=[PICTURE])
        assert np.isnan(asked).all() != told

    def test_a_gallery_of_copies_cannot_be_judged_by_pictures(self) -> None:
        vectors = np.repeat(unit_rows(1, seed=5), 50, axis=0)
        asked = Calibration("", unit_rows(250, seed=1), vectors).relevance(
            vectors @ vectors[0], vectors, terms=[PICTURE]
        )
        assert np.isnan(asked).all()

    def test_the_same_again(self) -> None:
        vectors = unit_rows(20, seed=5)
        first, second = (
            calibrated().relevance(vectors[:, 0].copy(), vectors, terms=[WORDS, PICTURE]) for _ in range(2)
        )
        assert first.tobytes() == second.tobytes()


class TestCut:
    def test_by_hand(self) -> None:
        kept = cut(np.array([0.9, 0.4, 0.7, 0.1], np.float32), at_least=0.5)
        assert kept.places.tolist() == [0, 2]
        assert len(kept) == 2
        assert kept.precision == pytest.approx(0.8)

    def test_what_cannot_be_told_stays(self) -> None:
        kept = cut(np.array([0.9, math.nan, 0.1], np.float32), at_least=0.5)
        assert kept.places.tolist() == [0, 1]
        assert kept.precision == pytest.approx(0.9)

    @pytest.mark.parametrize("relevances", [[], [0.1, 0.2]])
    def test_nothing_is_left(self, relevances: list[float]) -> None:
        kept = cut(np.array(relevances, np.float32), at_least=0.5)
        assert len(kept) == 0
        assert math.isnan(kept.precision)

    @pytest.mark.parametrize("limit", [-0.1, 1.1, math.nan])
    def test_a_limit_outside_0_to_1_is_refused(self, limit: float) -> None:
        with pytest.raises(UsageError, match="from 0 to 1"):
            cut(np.array([0.9], np.float32), at_least=limit)

    @given(st.lists(st.floats(0, 1, width=32), max_size=20), st.floats(0, 1), st.floats(0, 1))
    def test_a_higher_limit_keeps_a_part_and_expects_more_of_it(
        self, told: list[float], one: float, two: float
    ) -> None:
        low, high = sorted((one, two))
        many, few = (cut(np.array(told, np.float32), at_least=limit) for limit in (low, high))
        assert set(few.places.tolist()) <= set(many.places.tolist())
        assert not len(few) or few.precision >= many.precision - 1e-6


class TestByChance:
    def test_by_hand(self) -> None:
        told = calibrated().by_chance(0.5, searched=10_000, terms=[WORDS])
        assert told == pytest.approx(10_000 * math.exp(-1.5 * 4.6))

    def test_all_of_them_without_a_limit_and_none_with_the_highest(self) -> None:
        judge = calibrated(model="builtin")
        assert judge.by_chance(0.0, searched=50, terms=[WORDS]) == 50
        assert judge.by_chance(1.0, searched=50, terms=[WORDS]) == 0

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_fewer_reach_a_higher_limit(self, one: float, two: float) -> None:
        judge, (low, high) = calibrated(), sorted((one, two))
        assert judge.by_chance(high, searched=99, terms=[WORDS]) <= judge.by_chance(
            low, searched=99, terms=[WORDS]
        )


class TestBackground:
    def test_the_sentences_are_many_short_and_all_different(self) -> None:
        told = calibration.sentences()
        assert len(told) >= 200
        assert len(set(told)) == len(told)
        assert all(line == line.strip() and 3 <= len(line) <= 50 and line.isascii() for line in told)

    @pytest.mark.parametrize("count", [0, 1, 512])
    def test_a_small_gallery_stands_for_itself(self, count: int) -> None:
        assert sample(count).tolist() == list(range(count))

    def test_of_a_large_one_the_same_pictures_are_drawn_each_time(self) -> None:
        drawn = sample(100_000)
        assert len(drawn) == len(set(drawn.tolist())) == calibration.SAMPLE
        assert drawn.tolist() == sorted(drawn.tolist())
        assert drawn.tolist() == sample(100_000).tolist()
        assert drawn[0] >= 0
        assert drawn[-1] < 100_000


@pytest.mark.skipif(not (SHARED / "demo_open").is_dir(), reason="needs the photos of demo_open")
def test_real_photos_their_own_captions_are_more_relevant_than_those_of_others() -> None:
    rows = [
        json.loads(line)
        for line in (SHARED / "demo_open" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    rows = [row for row in rows if row.get("captions")][:12]
    encoder = picfind.load_encoder("builtin")
    photos = encoder.encode_images([SHARED / "demo_open" / "images" / row["file"] for row in rows])
    queries = encoder.encode_texts([row["captions"][0] for row in rows])
    judge = Calibration("builtin", encoder.encode_texts(calibration.sentences()), photos)
    told = np.stack([judge.relevance(photos @ query, photos, terms=[WORDS]) for query in queries])
    own = np.eye(len(rows), dtype=bool)
    assert told[own].mean() > 5 * told[~own].mean()
    assert told[~own].mean() < 0.05
