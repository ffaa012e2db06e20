"""How sure a figure is: intervals by bootstrap, and differences between two models with a test.

Queries of one group are not independent (the five captions of a picture, the pictures of a class), so groups are drawn,
never single queries. All draws come from one seed: models and measures are drawn alike, and a figure is the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picfind.evaluation.metrics import Values
from picfind.types import Ids

DRAWS = 1000
FLIPS = 9999
_AT_ONCE = 1 << 22
"""Values drawn at a time."""
_OUTSIDE = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure, and its 95 % interval; None for both ends where there is only one group to draw from."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher a measure of the one is than of the other, with its 95 % interval.

    `p` is how likely a difference as large is, either way, if the two were equally good.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None


def codes(groups: Sequence[str]) -> Ids:
    """(q,): the group of each query as a number from 0."""
    _, found = np.unique(np.array(groups, np.str_), return_inverse=True)
    return found.astype(np.int64).ravel()


def mean_figures(values: Values, groups: Ids, *, seed: int = 0, draws: int = DRAWS) -> list[Figure]:
    """The mean of each column of `values` (q, m) with its percentile interval (Efron, 1979)."""
    means = values.mean(axis=0)
    low, high = _ends(_drawn_means(values, groups, seed=seed, draws=draws))
    return [Figure(float(mean), *ends) for mean, *ends in zip(means.tolist(), low, high, strict=True)]


def median_figure(values: Values, groups: Ids, *, seed: int = 0, draws: int = DRAWS) -> Figure:
    """The median of `values` (q,) with its percentile interval."""
    order = np.argsort(values, kind="stable")
    ordered, owner = values[order], groups[order]
    drawn = [
        _weighted_median(ordered, weights[owner])
        for block in _weights(groups, seed=seed, draws=draws)
        for weights in block
    ]
    low, high = _ends(np.array(drawn).reshape(-1, 1))
    return Figure(float(np.median(values)), low[0], high[0])


def difference(
    one: Values, other: Values, groups: Ids, *, seed: int = 0, draws: int = DRAWS, flips: int = FLIPS
) -> Difference:
    """How much better `one` (q,) is than `other` (q,) on the same queries.

    The interval is a paired bootstrap's; p is a randomisation test's: within each group the two are swapped or not, by
    chance (Fisher; for retrieval see Smucker, Allan and Carterette, CIKM 2007).
    """
    apart = one - other
    low, high = _ends(_drawn_means(apart[:, None], groups, seed=seed, draws=draws))
    return Difference(float(apart.mean()), low[0], high[0], _p_value(apart, groups, seed=seed, flips=flips))


def _p_value(apart: Values, groups: Ids, *, seed: int, flips: int) -> float | None:
    """With one added above and below, so that it is never 0 (Phipson and Smyth, 2010)."""
    sums = np.bincount(groups, weights=apart)
    if len(sums) < 2:
        return None
    seen = abs(float(sums.sum())) * (1 - 1e-9)  # a sum in another order is another one in the last digit
    generator = np.random.default_rng((seed, 1))
    step = max(1, _AT_ONCE // len(sums))
    as_large = 0
    for start in range(0, flips, step):
        signs = generator.integers(0, 2, (min(step, flips - start), len(sums)), np.int8) * 2.0 - 1.0
        as_large += int((np.abs(signs @ sums) >= seen).sum())
    return (as_large + 1) / (flips + 1)


def _drawn_means(values: Values, groups: Ids, *, seed: int, draws: int) -> Values:
    """(draws, m): the means of resampled groups; (0, m) where there is only one."""
    counts = np.bincount(groups)
    if len(counts) < 2:
        return np.empty((0, values.shape[1]))
    sums = np.stack([np.bincount(groups, weights=column) for column in values.T], axis=1)
    drawn = [
        (weights @ sums) / (weights @ counts)[:, None] for weights in _weights(groups, seed=seed, draws=draws)
    ]
    return np.concatenate(drawn)


def _weights(groups: Ids, *, seed: int, draws: int) -> list[NDArray[np.float64]]:
    """How often each group is drawn, (draws, n_groups) in blocks; none where there is only one group."""
    number = int(groups.max()) + 1
    if number < 2:
        return []
    generator = np.random.default_rng((seed, 0))
    step = max(1, _AT_ONCE // number)
    sizes = [min(step, draws - start) for start in range(0, draws, step)]
    return [_counted(generator.integers(0, number, (size, number))) for size in sizes]


def _counted(drawn: Ids) -> NDArray[np.float64]:
    """How often each number from 0 stands in each row, where a row is as long as there are numbers."""
    size, number = drawn.shape
    flat = (drawn + np.arange(size)[:, None] * number).ravel()
    return np.bincount(flat, minlength=size * number).reshape(size, number).astype(np.float64)


def _weighted_median(ordered: Values, weights: NDArray[np.float64]) -> float:
    """The median of values in rising order, each counted as often as its weight says."""
    reach = np.cumsum(weights)
    half = reach[-1] / 2
    lower, upper = np.searchsorted(reach, half, side="left"), np.searchsorted(reach, half, side="right")
    return float((ordered[lower] + ordered[upper]) / 2)


def _ends(drawn: Values) -> tuple[list[float | None], list[float | None]]:
    """The two ends of each column's middle 95 %."""
    if not len(drawn):
        return [None] * drawn.shape[1], [None] * drawn.shape[1]
    low, high = np.percentile(drawn, _OUTSIDE, axis=0)
    return low.tolist(), high.tolist()
