"""Measures against cases worked out by hand, their properties, and scikit-learn's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from picfind.errors import UsageError
from picfind.evaluation import metrics
from picfind.evaluation.metrics import Ranking


def ranking_of(scores: Sequence[float], right: Sequence[int], ignored: Sequence[int] = ()) -> Ranking:
    """One query's."""
    columns = [np.array(right, np.int64)], [np.array(ignored, np.int64)]
    return metrics.rankings(np.array([scores], np.float32), *columns)[0]


# Scores .9 .8 .7 .6 of candidates 0 1 2 3; 0 and 2 are right: ranks 1 and 3.
TWO = ranking_of([0.9, 0.8, 0.7, 0.6], [0, 2])
# Only the third is right: rank 3.
THIRD = ranking_of([0.9, 0.8, 0.7, 0.6], [2])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (metrics.hit_at(TWO, 1), 1.0),
        (metrics.hit_at(THIRD, 2), 0.0),
        (metrics.hit_at(THIRD, 3), 1.0),
        (metrics.recall_at(TWO, 1), 1 / 2),
        (metrics.recall_at(TWO, 2), 1 / 2),
        (metrics.recall_at(TWO, 3), 1.0),
        (metrics.average_precision(TWO), (1 / 1 + 2 / 3) / 2),
        (metrics.average_precision(THIRD), 1 / 3),
        (metrics.reciprocal_rank(TWO), 1.0),
        (metrics.reciprocal_rank(THIRD), 1 / 3),
        (metrics.first_rank(THIRD), 3.0),
        # gains at ranks 1 and 3: 1/log2(2) + 1/log2(4) = 1.5; ideal: 1/log2(2) + 1/log2(3) = 1.6309
        (metrics.ndcg_at(TWO), 1.5 / (1 + 1 / np.log2(3))),
        (metrics.ndcg_at(TWO, 2), 1.0 / (1 + 1 / np.log2(3))),
        (metrics.ndcg_at(THIRD, 10), 1 / 2),
    ],
)
def test_measures_without_ties_by_hand(found: float, expected: float) -> None:
    assert found == pytest.approx(expected)


# Four candidates with one score, one of them right: it stands at ranks 1 to 4, each as likely as the other.
EQUAL = ranking_of([0.5, 0.5, 0.5, 0.5], [1])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (metrics.hit_at(EQUAL, 1), 1 / 4),
        (metrics.hit_at(EQUAL, 3), 3 / 4),
        (metrics.hit_at(EQUAL, 9), 1.0),
        (metrics.first_rank(EQUAL), (1 + 2 + 3 + 4) / 4),
        (metrics.reciprocal_rank(EQUAL), (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4),
        (metrics.average_precision(EQUAL), (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4),
        (metrics.recall_at(EQUAL, 2), 2 / 4),
        (metrics.ndcg_at(EQUAL), (1 + 1 / np.log2(3) + 1 / 2 + 1 / np.log2(5)) / 4),
    ],
)
def test_equal_scores_get_what_chance_gives(found: float, expected: float) -> None:
    assert found == pytest.approx(expected)


def test_ignored_candidates_are_not_ranked() -> None:
    found = ranking_of([0.9, 0.8, 0.7], [2], ignored=[0])
    assert metrics.first_rank(found) == 2
    assert found.candidates == 2


def test_a_query_without_a_right_answer_is_refused() -> None:
    with pytest.raises(UsageError, match="without a right answer"):
        ranking_of([0.9, 0.8], [])


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="no numbers"):
        ranking_of([0.9, float("nan")], [0])


def in_order(right: NDArray[np.bool_]) -> dict[str, float]:
    """The plain definitions, for one order of the candidates: the right ones marked, the best first."""
    ranks = np.flatnonzero(right) + 1
    ideal = (1 / np.log2(np.arange(min(3, len(ranks))) + 2)).sum()
    return {
        "hit": float(ranks[0] <= 2),
        "recall": float((ranks <= 2).mean()),
        "first": float(ranks[0]),
        "reciprocal": 1 / ranks[0],
        "precision": float((np.arange(1, len(ranks) + 1) / ranks).mean()),
        "gain": float((1 / np.log2(ranks[ranks <= 3] + 1)).sum() / ideal),
    }


@st.composite
def tied(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    """Up to five candidates with scores of which many are equal, and which of them are right."""
    scores = draw(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=5))
    places = st.lists(st.integers(0, len(scores) - 1), min_size=1, unique=True)
    return scores, draw(places)


@given(tied())
def test_ties_are_the_mean_over_all_orders(case: tuple[list[float], list[int]]) -> None:
    scores, right = case
    marked = np.isin(np.arange(len(scores)), right)
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    every = [in_order(marked[list(order)]) for order in orders]
    ranking = ranking_of(scores, right)
    found = {
        "hit": metrics.hit_at(ranking, 2),
        "recall": metrics.recall_at(ranking, 2),
        "first": metrics.first_rank(ranking),
        "reciprocal": metrics.reciprocal_rank(ranking),
        "precision": metrics.average_precision(ranking),
        "gain": metrics.ndcg_at(ranking, 3),
    }
    for name, value in found.items():
        assert value == pytest.approx(np.mean([one[name] for one in every])), name


@st.composite
def ranked(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Up to thirty candidates, some of them with equal scores, and which of them are right."""
    count = draw(st.integers(2, 30))
    scores = draw(st.lists(st.integers(0, 12), min_size=count, max_size=count))
    right = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=8, unique=True))
    return np.array(scores, np.float32) / np.float32(12), np.array(right, np.int64)


ALL: dict[str, Callable[[Ranking], float]] = {
    "hit_at(5)": lambda ranking: metrics.hit_at(ranking, 5),
    "recall_at(5)": lambda ranking: metrics.recall_at(ranking, 5),
    "average precision": metrics.average_precision,
    "reciprocal rank": metrics.reciprocal_rank,
    "nDCG(5)": lambda ranking: metrics.ndcg_at(ranking, 5),
    "nDCG": metrics.ndcg_at,
}


@given(ranked())
def test_measures_are_between_0_and_1(case: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    ranking = metrics.rankings(case[0][None], [case[1]])[0]
    for name, measure in ALL.items():
        assert -1e-9 <= measure(ranking) <= 1 + 1e-9, name


@given(ranked())
def test_more_places_never_find_less(case: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    ranking = metrics.rankings(case[0][None], [case[1]])[0]
    for measure in (metrics.hit_at, metrics.recall_at):
        values = [measure(ranking, k) for k in range(1, len(case[0]) + 2)]
        assert all(b >= a - 1e-12 for a, b in itertools.pairwise(values))
        assert values[-1] == pytest.approx(1.0)


@given(ranked())
def test_right_answers_before_all_others_are_perfect(
    case: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    scores, right = case[0].copy(), case[1]
    scores[right] += 2
    ranking = metrics.rankings(scores[None], [right])[0]
    for name, measure in ALL.items():
        expected = min(5, len(right)) / len(right) if name == "recall_at(5)" else 1.0
        assert measure(ranking) == pytest.approx(expected), name


@given(ranked(), st.integers(0, 2**32 - 1))
def test_the_order_of_candidates_makes_no_difference(
    case: tuple[NDArray[np.float32], NDArray[np.int64]], seed: int
) -> None:
    scores, right = case
    order = np.random.default_rng(seed).permutation(len(scores))
    one = metrics.rankings(scores[None], [right])[0]
    other = metrics.rankings(scores[order][None], [np.flatnonzero(np.isin(order, right))])[0]
    for name, measure in ALL.items():
        assert measure(one) == measure(other), name


@pytest.fixture(scope="module")
def sklearn_metrics() -> Any:
    """scikit-learn, which knows two of these measures."""
    return pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn(sklearn_metrics: Any, seed: int) -> None:
    """Without ties: scikit-learn counts tied candidates as found together."""
    generator = np.random.default_rng(seed)
    scores = generator.permutation(200) / 200
    right = generator.random(200) < 0.1
    found = metrics.average_precision(metrics.rankings(scores[None], [np.flatnonzero(right)])[0])
    assert found == pytest.approx(sklearn_metrics.average_precision_score(right, scores))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [None, 10])
def test_ndcg_is_that_of_scikit_learn_with_ties_too(sklearn_metrics: Any, seed: int, k: int | None) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 25, 200) / 25
    right = generator.random(200) < 0.1
    found = metrics.ndcg_at(metrics.rankings(scores[None], [np.flatnonzero(right)])[0], k)
    assert found == pytest.approx(sklearn_metrics.ndcg_score(right[None].astype(float), scores[None], k=k))
