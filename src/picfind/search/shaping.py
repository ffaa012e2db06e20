"""What an answer looks like once it is ranked: near-identical pictures folded, alike ones spread, sorted, cut into pages.

Each step keeps a promise that paging rests on: the first n of an answer do not depend on how many were asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from picfind.types import Floats, Ids

_CAUTIOUS = 0.97
_NEAR_IDENTICAL: Mapping[str, float] = MappingProxyType(
    {"builtin": 0.9, "builtin-open": 0.9, "builtin-image": 0.9}
)
"""Cosine from which two pictures are near-identical, by the model. With .9, of copies of 123 photos `builtin` knows .98 of those
saved at quality 50, .91 of those cut to 90 % of each side, .85 of much brightened ones; `builtin-open` .96, .89, .83 and
`builtin-image` .91, .89, .80 (`python -m benchmarks.collapsing`). No two of those photos are that near; of 1,000 of Flickr8k
and 500 of COCO, 2 and 3 have another one that near to `builtin`, 0 and 5 to `builtin-open`, none to `builtin-image`. A model
that nobody has measured gets a cautious limit."""
_BLOCK = 1000
"""Hits that are spread among each other at a time."""
_FOLDED = 256
"""Hits that are folded at a time: their likeness to all before them is one product."""


def near_identical(model: str) -> float:
    """The cosine from which two pictures are near-identical to a model, by its name."""
    return _NEAR_IDENTICAL.get(model, _CAUTIOUS)


def fold(vectors: Floats, *, at_least: float) -> Ids:
    """(n,): for each hit, best first, the place of the hit that it is folded into; its own where it stands for itself.

    `vectors` (n, dim) are unit rows; zeros for a hit without one, which stands for itself. A hit joins the best of those
    before it that stand for themselves and are `at_least` this near: greedy, so that what is shown are hits in
    their order, and no two of those shown are as near as that.
    """
    into = np.arange(len(vectors), dtype=np.int64)
    held, leaders = np.empty_like(vectors), np.empty(0, np.int64)
    for start in range(0, len(vectors), _FOLDED):
        block = vectors[start : start + _FOLDED]
        into[start : start + len(block)] = _fold_block(block, held[: len(leaders)], leaders, start, at_least)
        new = start + np.flatnonzero(into[start : start + len(block)] == np.arange(start, start + len(block)))
        held[len(leaders) : len(leaders) + len(new)] = vectors[new]
        leaders = np.concatenate([leaders, new])
    return into


def _fold_block(block: Floats, held: Floats, leaders: Ids, start: int, at_least: float) -> Ids:
    """(b,): where the hits of a block go, of which the first is at `start`; `held` are the vectors of the leaders so far."""
    before, among = block @ held.T, block @ block.T
    into = np.arange(start, start + len(block), dtype=np.int64)
    own: list[int] = []
    for at in range(len(block)):
        near = np.concatenate([before[at], among[at, own]])
        best = int(near.argmax()) if len(near) else -1
        if best < 0 or near[best] < at_least:
            own.append(at)
        else:
            into[at] = leaders[best] if best < len(leaders) else start + own[best - len(leaders)]
    return into


def spread(scores: Floats, vectors: Floats, *, diversity: float, count: int) -> Ids:
    """The places of the first `count` hits, reordered so that they differ: maximal marginal relevance.

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
    summaries" (SIGIR 1998): each next one has the greatest (1 - diversity) * score - diversity * the cosine with the
    nearest of those before it, both of them brought to 0 to 1 within their block. `scores` (n,) best first, `vectors`
    (n, dim), `diversity` from 0, which changes nothing, to 1, where only the first hit is by its score. Hits are reordered within
    blocks of 1,000.
    """
    order = [
        start + _spread_block(scores[start:][:_BLOCK], vectors[start:][:_BLOCK], diversity, count - start)
        for start in range(0, min(count, len(scores)), _BLOCK)
    ]
    return np.concatenate(order or [np.empty(0, np.int64)])


def _spread_block(scores: Floats, vectors: Floats, diversity: float, count: int) -> Ids:
    worth = _to_unit(scores)
    similar = _to_unit(vectors @ vectors.T)
    nearest = np.zeros(len(scores), np.float32)
    left = np.ones(len(scores), np.bool_)
    order = np.empty(min(count, len(scores)), np.int64)
    for at in range(len(order)):
        marginal = np.where(left, (1 - diversity) * worth - diversity * nearest, -np.inf)
        order[at] = marginal.argmax() if at else 0
        left[order[at]] = False
        nearest = np.maximum(nearest, similar[order[at]])
    return order


def _to_unit(values: Floats) -> Floats:
    lowest, highest = float(values.min()), float(values.max())
    unit: Floats = (values - lowest) / max(highest - lowest, 1e-9)
    return unit


def newest_first(dates: Sequence[str | None]) -> list[int]:
    """Places by date (ISO 8601), newest first; equal ones as they were; what has no date comes last."""
    return sorted(range(len(dates)), key=lambda at: dates[at] or "", reverse=True)


def by_path(paths: Sequence[str]) -> list[int]:
    """Places by path."""
    return sorted(range(len(paths)), key=lambda at: paths[at])
