"""Several rankings of the same pictures to one."""

from __future__ import annotations

from collections.abc import Sequence

_RANK_CONSTANT = 60
"""Of reciprocal rank fusion: Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods" (SIGIR 2009), who found 60 to do well and little to depend on it."""


def fuse(rankings: Sequence[Sequence[tuple[int, float]]], *, k: int) -> list[tuple[int, float]]:
    """The k best of several rankings of (id, score), each best first, with scores above 0 and up to 1, best first.

    An id gets 1 / (60 + rank) from each ranking that has it; equal scores share the best of their ranks, so that a
    hundred pictures with the same tag stand equal, in whatever order they came in. The sum is divided by what an id
    would have that is first in all of them. Equal sums are ordered by id.
    """
    sums: dict[int, float] = {}
    for ranking in rankings:
        rank, before = 0, None
        for place, (entry, score) in enumerate(ranking, start=1):
            rank, before = (rank, before) if score == before else (place, score)
            sums[entry] = sums.get(entry, 0.0) + 1 / (_RANK_CONSTANT + rank)
    best = len(rankings) / (_RANK_CONSTANT + 1)
    ordered = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    return [(entry, score / best) for entry, score in ordered[:k]]
