"""Several rankings of the same pictures to one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

_RANK_CONSTANT = 5
"""Of reciprocal rank fusion: Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods" (SIGIR 2009). They took 60 for many rankings of about one quality; with few of which one is far better,
60 lets the worse ones decide: captions asked for captions on Flickr8k dev (`benchmarks/fusion.py`) find their photo first for
.54 with the words alone; an earlier built-in model, of which a quarter as many were found, brought that down to .28 at 60, and
to .52 at 5 with the weight UNPROVEN."""
UNPROVEN, PROVEN, WORDS = 0.25, 1.0, 1.0
"""Weights of rankings: of pictures by a model of which nobody knows how good it is, of pictures by one with a published recall,
of the vectors of words."""
MEASURED: Mapping[str, float] = MappingProxyType({"builtin": 0.75})
"""Weights of pictures by models that were measured here, by name. With .75 what is fused is nowhere worse than the best of its
parts, be there a text for every photo or for every second one (`benchmarks/fusion.py`); with .5, hit_at(10) is up to .03 worse
than with pictures alone where every second one has a text, with 1, hit_at(1) is a little worse than with words alone where all
have one."""
TEXT, TEXT_ALONE = 0.3, 0.5
"""Weights of full text beside vectors of words, and of full text that must do without them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a ranking; `confidence`, from 0 to 1, is the share of the ranking's weight that it has."""

    id: int
    score: float
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Fused:
    """One entry of a fused ranking: its score, and what each of the rankings gave to it."""

    id: int
    score: float
    shares: tuple[float, ...]


def fuse(rankings: Sequence[Sequence[Entry]], *, weights: Sequence[float], k: int) -> list[Fused]:
    """The k best of several rankings, each best first; best first, with scores above 0 and up to 1.

    An id gets weight * confidence / (5 + rank) from each ranking that has it; equal scores share the best of their ranks, so
    that a hundred pictures with the same tag stand equal, in whatever order they came in. The sum is divided by what an id
    would have that is first in all of them. Equal sums are ordered by id.
    """
    most = max(weights, default=1.0)
    weights = [weight / most for weight in weights]  # so that no sum of them is infinite
    best = sum(weights) / (_RANK_CONSTANT + 1)
    shares: dict[int, list[float]] = {}
    for at, (ranking, weight) in enumerate(zip(rankings, weights, strict=True)):
        for entry, rank in _ranks(ranking):
            share = weight * entry.confidence / (_RANK_CONSTANT + rank) / best
            shares.setdefault(entry.id, [0.0] * len(rankings))[at] = share
    fused = [Fused(entry, sum(own), tuple(own)) for entry, own in shares.items()]
    return sorted(fused, key=lambda entry: (-entry.score, entry.id))[:k]


def _ranks(ranking: Sequence[Entry]) -> Iterator[tuple[Entry, int]]:
    rank, before = 0, None
    for place, entry in enumerate(ranking, start=1):
        rank, before = (rank, before) if entry.score == before else (place, entry.score)
        yield entry, rank
