"""Several rankings of the same pictures to one."""

from __future__ import annotations

from collections.abc import Sequence

_RANK_CONSTANT = 5
"""Of reciprocal rank fusion: Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods" (SIGIR 2009). They took 60 for many rankings of about one quality; with two of which one is far better,
60 lets the worse one decide: captions asked for captions on Flickr8k dev (`benchmarks/fusion.py`) find their photo first for
.54 with the words alone, for .28 with both at 60 and for .52 with both at 5 and the weights below."""
UNPROVEN, PROVEN, WORDS = 0.3, 1.0, 1.0
"""Weights of rankings: of pictures by a model without a published recall, of pictures by one that has it, of words."""


def fuse(
    rankings: Sequence[Sequence[tuple[int, float]]], *, weights: Sequence[float], k: int
) -> list[tuple[int, float]]:
    """The k best of several rankings of (id, score), each best first, with scores above 0 and up to 1, best first.

    An id gets weight / (5 + rank) from each ranking that has it; equal scores share the best of their ranks, so that a
    hundred pictures with the same tag stand equal, in whatever order they came in. The sum is divided by what an id
    would have that is first in all of them. Equal sums are ordered by id.
    """
    sums: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        rank, before = 0, None
        for place, (entry, score) in enumerate(ranking, start=1):
            rank, before = (rank, before) if score == before else (place, score)
            sums[entry] = sums.get(entry, 0.0) + weight / (_RANK_CONSTANT + rank)
    best = sum(weights) / (_RANK_CONSTANT + 1)
    ordered = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    return [(entry, score / best) for entry, score in ordered[:k]]
