"""More like these, less like those: a direction in a space learned from pictures that were ticked and crossed.

The query's vector q is where it starts. Ticked pictures shall have the value 1, crossed ones -1, and a sample of the
gallery, which stands for everything that nobody has judged, -1 with little weight. A weighted ridge regression with its
prior mean at a multiple of q gives the direction (Hoerl and Kennard, "Ridge regression", Technometrics 12, 1970; a
regression whose penalty draws it to a known vector instead of to zero). Without the sample one ticked picture would say
nothing about what sets it apart.

    minimise over w, b   sum of c_i (w . x_i + b - y_i)^2 + penalty |w - pull q|^2

It is solved in the dual, one equation for each example and each picture of the sample, so its cost hardly depends on
the dimension. Lengths are measured in the spread of the sample, so the same constants serve models whose cosines lie
between 0 and .3 and those whose cosines lie between .6 and .9.

Measured by `python -m benchmarks.feedback` (docs/concepts.md has the table): it is ahead of Rocchio's formula ("Relevance
feedback in information retrieval", 1971), and level with a logistic regression and a squared hinge towards the same
prior, which need several such solutions each.

*Relevance* of its hits cannot be had by comparing with other queries of its form, as `calibration` does: there are none.
Each score is set against those of the gallery's sample for the same direction (zero normalisation, in the words of the
paper that `calibration` names): strength is the distance from their median, in deviations by the median of their
distances (times 1.4826, which makes it the standard deviation of a normal distribution). Medians, since what is looked
for may be a quarter of the gallery: with a mean and a standard deviation nothing would stand out then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picfind.errors import UsageError
from picfind.search.calibration import LEAST, Curve
from picfind.types import Floats

LEAST_BACKGROUND = 8
"""With fewer pictures than this there is nothing to tell examples from, and Rocchio's formula is used."""
SAMPLE = 128
"""Pictures of the background that are used; with 512 the answers are as good (.584 and .588) and take ten times as long."""
_PENALTY = 1.0
_PENALTY_CROSSED = 4.0
"""Where nothing is liked: what is wrong says little of what is right. With 1 and 4, mAP after crosses alone was .602 and .620."""
_PULL = 0.2
"""How far apart the query's own scores are, in standard deviations of the background, in the prior: examples say 1 and -1.
Means of mAP at .15, .2, .25 and .4: .695, .702, .708 and .699 on the train splits, whose photos the built-in model has seen, so
that words serve it better there than elsewhere; .697, .697, .695 and .684 on the others. At .15 the first round of ticks and
crosses cost COCO .02."""
_WEIGHT = 20.0
"""Of the whole background; an example weighs 1."""
_MOST_WEIGHT = 0.25
"""Of one picture of the background, where there are few."""
_COPY = 0.999
"""Cosine from which a background picture is an example itself or a copy of it, and no background to it."""
_LEAST_SPREAD = 1e-3
"""Standard deviation that is assumed at least of scores, which may all be equal."""
CURVE = Curve(middle=6.8, slope=0.86)
"""Strength to relevance, fitted like those of `calibration`, to the first 30 hits after one and after three rounds of ten
ticks and crosses: `python -m benchmarks.feedback --train --fit`."""
_CHANCE = 1.1
"""Of unrelated pictures, the share above a strength of 3, 5 and 7 was .017, .003, .0005: about exp(-1.1 * strength)."""
_NORMAL = 1.4826

_Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Learned:
    """A direction (dim,), not of unit length: `pull` times the query's vector, and `change`, what the examples add."""

    pull: float
    change: Floats


def learn(query: Floats | None, liked: Floats, disliked: Floats, background: Floats) -> Learned:
    """What examples make of a query: a unit vector (dim,) or None, and unit rows (l, dim), (d, dim), (b, dim).

    Raises UsageError where there is neither a query nor anything that is liked.
    """
    if query is None and not len(liked):
        raise UsageError("Nothing says what to look for: ask for something, or like a picture as well.")
    examples = np.concatenate([liked, disliked])
    sample = _others(background, examples)
    if len(sample) < LEAST_BACKGROUND:
        return rocchio(query, liked, disliked)
    middle = sample.mean(axis=0)
    around = sample - middle
    scale = float(np.sqrt(np.einsum("ij,ij->i", around, around).mean()))
    if scale < _LEAST_SPREAD:  # a gallery of copies
        return rocchio(query, liked, disliked)
    rows = (np.concatenate([examples, sample]) - middle).astype(np.float64) / scale
    wanted = np.concatenate([np.ones(len(liked)), -np.ones(len(disliked) + len(sample))])
    weights = np.concatenate([np.ones(len(examples)), np.full(len(sample), _share(len(sample)))])
    pull = 0.0
    if query is not None:
        pull = _PULL / max(float((around @ query).std()), _LEAST_SPREAD)
        given = pull * scale * (rows @ query)
        if not len(liked):
            given[len(examples) :] = (
                0.0  # then nothing but the query says what is right: the sample keeps its order
            )
        wanted -= given
    penalty = _PENALTY if len(liked) else _PENALTY_CROSSED
    return Learned(pull, (_ridge(rows, wanted, weights, penalty) / scale).astype(np.float32))


def rocchio(
    query: Floats | None, liked: Floats, disliked: Floats, *, more: float = 0.75, less: float = 0.5
) -> Learned:
    """The query, nearer to the mean of what is liked and farther from that of what is not: Rocchio, 1971.

    A query (1, 0) and a liked (0, 1): pull 1, change (0, .75).
    """
    change = np.zeros(liked.shape[1], np.float32)
    if len(liked):
        change += np.float32(more) * liked.mean(axis=0)
    if len(disliked):
        change -= np.float32(less) * disliked.mean(axis=0)
    return Learned(0.0 if query is None else 1.0, change)


def strengths(scores: Floats, background: Floats) -> Floats:
    """(n,): how far scores (n,) are above those of the gallery's sample (b,) for the same direction.

    NaN with fewer than 32 of these. Scores of .9, and a sample of 0 and .2 in equal shares: (.9 - .1) / (1.4826 * .1) = 5.4.
    """
    if len(background) < LEAST:
        return np.full(len(scores), np.nan, np.float32)
    middle = np.median(background)
    spread = _NORMAL * float(np.median(np.abs(background - middle)))
    found: Floats = ((scores - middle) / max(spread, _LEAST_SPREAD)).astype(np.float32)
    return found


def relevance(scores: Floats, background: Floats) -> Floats:
    """(n,) in [0, 1], of hits with their scores (n,), from the sample's scores (b,); NaN: too little to judge by."""
    return CURVE(strengths(scores, background))


def by_chance(at_least: float, *, searched: int) -> float:
    """How many of `searched` unrelated pictures can be expected to have a relevance of `at_least` this, roughly."""
    return searched * math.exp(-_CHANCE * max(0.0, CURVE.strength(at_least)))


def _others(background: Floats, examples: Floats) -> Floats:
    """A sample of the background, without the examples and their copies, always the same one."""
    chosen = background[:: -(-len(background) // SAMPLE) or 1]
    copies = (chosen @ examples.T).max(axis=1, initial=-1.0) >= _COPY
    others: Floats = chosen[~copies]
    return others


def _share(count: int) -> float:
    return min(_WEIGHT / count, _MOST_WEIGHT)


def _ridge(rows: _Doubles, wanted: _Doubles, weights: _Doubles, penalty: float) -> _Doubles:
    """(dim,): the solution of the regression, with an intercept that is not penalised, by its dual (n, n)."""
    shares = weights / weights.sum()
    centred = rows - shares @ rows
    dual = np.linalg.solve(centred @ centred.T + np.diag(penalty / weights), wanted - shares @ wanted)
    found: _Doubles = dual @ centred
    return found
