"""Intervals and tests: what they must be on cases that can be worked out, and that they are the same again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.evaluation import statistics
from picfind.evaluation.metrics import Values
from picfind.types import Ids


def alone(count: int) -> Ids:
    """Each query a group of its own."""
    return np.arange(count)


def test_the_interval_of_a_share_is_that_of_the_binomial() -> None:
    values = np.repeat([0.0, 1.0], 200)[:, None]
    figure = statistics.mean_figures(values, alone(400))[0]
    spread = 1.96 * np.sqrt(0.25 / 400)  # .049
    assert figure.value == 0.5
    assert figure.low == pytest.approx(0.5 - spread, abs=0.006)
    assert figure.high == pytest.approx(0.5 + spread, abs=0.006)


def test_queries_of_one_group_count_as_one() -> None:
    """Each value five times over, as the captions of one picture: the interval must not shrink for that."""
    few = np.random.default_rng(1).random(60)
    many, groups = np.repeat(few, 5)[:, None], np.repeat(np.arange(60), 5)
    one = statistics.mean_figures(few[:, None], alone(60))[0]
    five = statistics.mean_figures(many, groups)[0]
    assert five.low == pytest.approx(one.low)
    assert five.high == pytest.approx(one.high)


def test_one_group_has_no_interval_and_no_test() -> None:
    values, groups = np.array([0.1, 0.9]), np.zeros(2, np.int64)
    assert statistics.mean_figures(values[:, None], groups)[0] == statistics.Figure(0.5)
    assert statistics.median_figure(values, groups).low is None
    assert statistics.difference(values, values / 2, groups).p is None


def test_the_median_of_drawn_values_by_hand() -> None:
    """Three values: a draw has the middle one for its median unless one of the others comes twice or more."""
    figure = statistics.median_figure(np.array([30.0, 1.0, 2.0]), alone(3))
    assert (figure.value, figure.low, figure.high) == (2.0, 1.0, 30.0)


def test_a_constant_has_an_interval_of_no_width() -> None:
    figure = statistics.median_figure(np.full(50, 7.0), alone(50))
    assert (figure.value, figure.low, figure.high) == (7.0, 7.0, 7.0)


def test_equal_models_do_not_differ() -> None:
    values = np.random.default_rng(0).random(40)
    found = statistics.difference(values, values, alone(40))
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_p_by_hand() -> None:
    """Four queries, each better by the same: of 16 ways to swap, 2 make as large a difference, p = 1/8."""
    found = statistics.difference(np.full(4, 0.6), np.full(4, 0.5), alone(4))
    assert found.p == pytest.approx(2 / 16, abs=0.02)


def test_a_clear_difference_is_seen() -> None:
    generator = np.random.default_rng(2)
    base = generator.random(200)
    found = statistics.difference(base + 0.05 + 0.01 * generator.standard_normal(200), base, alone(200))
    assert found.p == pytest.approx(1 / (statistics.FLIPS + 1))
    assert found.low is not None
    assert 0.04 < found.low < found.value


def test_p_is_evenly_spread_where_nothing_differs() -> None:
    generator = np.random.default_rng(3)
    found = []
    for at in range(200):
        one, other = generator.random((2, 30))
        told = statistics.difference(one, other, alone(30), draws=10, flips=199, seed=at)
        found.append(told.p or 0.0)
    assert 0.02 < np.mean(np.array(found) < 0.1) < 0.2


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.integers(0, 5))
def test_the_same_seed_gives_the_same_and_the_value_lies_inside(some: list[float], seed: int) -> None:
    values: Values = np.array(some)[:, None]
    one = statistics.mean_figures(values, alone(len(some)), seed=seed, draws=50)[0]
    assert one == statistics.mean_figures(values, alone(len(some)), seed=seed, draws=50)[0]
    assert one.low is not None
    assert one.high is not None
    assert min(some) - 1e-9 <= one.low <= one.high <= max(some) + 1e-9


def test_groups_become_numbers() -> None:
    assert statistics.codes(["b", "a", "b"]).tolist() == [1, 0, 1]
