"""Measures of a ranking. Pure functions over scores; higher scores are better.

**Ties.** Candidates with equal scores stand in no order, so every measure here is its mean over all orders that they
could stand in (McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of
tied scores", ECIR 2008), in closed form, with nothing drawn. A model that gives one score to everything thus gets what
chance gets, neither 1 nor 0. Without ties these are the usual measures.

`hit_at(k)` is the R@K of papers on image and text: whether any right answer is among the first k. `recall_at(k)` is the
share of all right answers that are among the first k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from picfind.errors import UsageError
from picfind.types import Ids

Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where the right answers of one query stand.

    For each right answer, best first, `above` (r,) says how many candidates score strictly higher, and `equal` (r,) how
    many have its very score, itself included. `candidates` is how many were ranked, without those to be ignored.
    """

    above: Ids
    equal: Ids
    candidates: int


@dataclass(frozen=True, slots=True)
class _Tied:
    """Candidates of one score with right answers among them."""

    above: int
    size: int
    right: int
    before: int
    """Right answers with higher scores."""


def rankings(
    scores: NDArray[Any], right: Sequence[Ids], ignored: Sequence[Ids] | None = None
) -> list[Ranking]:
    """The ranking of each query, of scores (n_queries, n_candidates).

    `right` has for each query the columns of its right answers, at least one; `ignored` those that are taken out of its
    ranking first, none of them right. Raises UsageError for a query without a right answer and for scores that are no
    numbers.
    """
    if not np.isfinite(scores).all():
        raise UsageError("Some scores are no numbers, so nothing can be ranked. Check the model's vectors.")
    rows = scores
    if ignored is not None and any(len(columns) for columns in ignored):
        rows = np.array(scores, np.float64 if scores.dtype.kind != "f" else scores.dtype)
        for row, columns in zip(rows, ignored, strict=True):
            row[columns] = -np.inf
    ordered = np.sort(rows, axis=1)
    left_out = [0] * len(scores) if ignored is None else [len(columns) for columns in ignored]
    return [
        _ranking(ordered[at], rows[at][columns], less)
        for at, (columns, less) in enumerate(zip(right, left_out, strict=True))
    ]


def _ranking(ordered: NDArray[Any], own: NDArray[Any], left_out: int) -> Ranking:
    if not len(own):
        raise UsageError("A query without a right answer cannot be judged. Leave it out.")
    own = np.sort(own)[::-1]
    higher = len(ordered) - np.searchsorted(ordered, own, side="right")
    not_lower = len(ordered) - np.searchsorted(ordered, own, side="left")
    return Ranking(higher.astype(np.int64), (not_lower - higher).astype(np.int64), len(ordered) - left_out)


def _ties(ranking: Ranking) -> list[_Tied]:
    above, first, counts = np.unique(ranking.above, return_index=True, return_counts=True)
    columns = (above, ranking.equal[first], counts, first)
    return [_Tied(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _is_strict(ranking: Ranking) -> bool:
    return bool((ranking.equal == 1).all())


def hit_at(ranking: Ranking, k: int) -> float:
    """Whether any right answer is among the first k, 0 or 1; with ties, how likely that is."""
    if ranking.equal[0] == 1:
        return float(ranking.above[0] < k)
    first = _ties(ranking)[0]
    places = min(max(k - first.above, 0), first.size)
    return 1.0 - float(_none_right(first)[places])


def _none_right(tied: _Tied) -> Values:
    """(size + 1,): how likely it is that none of the first 0, 1, 2, ... of equal candidates is right."""
    done = np.arange(tied.size)
    return np.concatenate(
        [[1.0], np.cumprod(np.maximum(tied.size - tied.right - done, 0) / (tied.size - done))]
    )


def first_rank(ranking: Ranking) -> float:
    """The rank of the first right answer, from 1; its mean where it is tied."""
    if ranking.equal[0] == 1:
        return float(ranking.above[0] + 1)
    first = _ties(ranking)[0]
    return first.above + (first.size + 1) / (first.right + 1)


def reciprocal_rank(ranking: Ranking) -> float:
    """1 by the rank of the first right answer. The mean over queries is MRR."""
    if ranking.equal[0] == 1:
        return 1.0 / float(ranking.above[0] + 1)
    first = _ties(ranking)[0]
    likely = -np.diff(_none_right(first))  # that the first right one stands just here
    return float((likely / (first.above + np.arange(1, first.size + 1))).sum())


def recall_at(ranking: Ranking, k: int) -> float:
    """The share of all right answers that are among the first k."""
    shares = np.clip((k - ranking.above) / ranking.equal, 0.0, 1.0)
    return float(shares.mean())


def average_precision(ranking: Ranking) -> float:
    """The mean, over the right answers, of the precision down to each. The mean over queries is mAP.

    Ranks 1 and 3: (1/1 + 2/3) / 2 = .8333.
    """
    if _is_strict(ranking):
        return float((np.arange(1, len(ranking.above) + 1) / (ranking.above + 1)).mean())
    total = 0.0
    for tied in _ties(ranking):
        others = (tied.right - 1) / (tied.size - 1) if tied.size > 1 else 0.0
        place = np.arange(tied.size)
        precision = (tied.before + place * others + 1) / (tied.above + place + 1)
        total += tied.right / tied.size * float(precision.sum())
    return total / len(ranking.above)


def ndcg_at(ranking: Ranking, k: int | None = None) -> float:
    """Normalised discounted cumulative gain of the first k (all, for None): gains 0 and 1, discount log2(1 + rank).

    Ranks 1 and 3 of two right answers: (1/log2(2) + 1/log2(4)) / (1/log2(2) + 1/log2(3)) = .9197.
    """
    k = ranking.candidates if k is None else k
    ideal = float(_discounts(np.arange(min(len(ranking.above), k))).sum())
    if _is_strict(ranking):
        return float(_discounts(ranking.above[ranking.above < k]).sum()) / ideal
    gain = sum(
        tied.right
        / tied.size
        * float(_discounts(np.arange(tied.above, min(tied.above + tied.size, k))).sum())
        for tied in _ties(ranking)
        if tied.above < k
    )
    return gain / ideal


def _discounts(above: Ids) -> Values:
    """1 / log2(1 + rank) at the ranks that follow so many."""
    found: Values = 1.0 / np.log2(above + 2.0)
    return found
