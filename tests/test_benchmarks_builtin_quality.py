"""The measures that benchmarks/builtin_quality.py prints, on cases small enough to check by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from benchmarks import builtin_quality


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return vars(builtin_quality)


def test_rank_is_the_number_of_better_columns(script: dict[str, Any]) -> None:
    scores = np.array([[0.9, 0.5, 0.7], [0.9, 0.5, 0.7], [0.1, 0.2, 0.2]], np.float32)
    assert script["ranks_of"](scores, np.array([2, 0, 1])).tolist() == [1, 0, 0]


@pytest.mark.parametrize(("k", "share"), [(1, 0.25), (5, 0.75), (10, 1.0)])
def test_hit_at_is_the_share_of_ranks_below_k(script: dict[str, Any], k: int, share: float) -> None:
    assert script["hit_at"](np.array([0, 1, 4, 9]), k) == share


def test_average_precision_by_hand(script: dict[str, Any]) -> None:
    scores = np.array([[0.7, 0.9, 0.8], [0.1, 0.2, 0.3]], np.float32)
    relevant = np.array([[True, True, False], [False, False, True]])
    # First row, best first: relevant, not, relevant: (1/1 + 2/3) / 2. Second row: the best is the one: 1.
    assert script["mean_average_precision"](scores, relevant) == pytest.approx((5 / 6 + 1) / 2)


def test_parts_cover_the_vector(script: dict[str, Any]) -> None:
    found = list(script["parts"]())
    assert [name for name, _ in found] == ["heads alone", "conse alone", "features alone"]
    assert all(one.stop == next_one.start for (_, one), (_, next_one) in pairwise(found))
