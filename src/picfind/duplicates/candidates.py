"""Which pairs of pictures are worth a close look: neighbours among vectors, and neighbours among small grey patterns.

Vectors find crops, mirrored pictures and most else; they lose pictures that were turned, which a model sees as
something else. Those keep their coarse pattern: the lowest 63 frequencies of the grey values (what perceptual hashes
take the signs of), compared as numbers in all eight turns at once. Both are products of blocks of rows, exact, in as
much memory as the blocks need.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picfind.duplicates.framing import TURNS, swaps_sides
from picfind.duplicates.looks import SIDE, Looks
from picfind.types import Floats, Ids

NEIGHBOURS = 10
"""How many nearest vectors of each picture are looked at."""
PATTERN_LIMIT = 0.65
"""The cosine of patterns from which on a pair is looked at."""
_MOST_ALIKE = 32
"""How many pictures of a like pattern are looked at for each one: a thousand blank pages are not a million pairs."""
_ROWS, _COLUMNS = 1024, 8192
_FREQUENCIES = 8

Pairs = NDArray[np.int64]
"""(n, 2): row numbers of two pictures, the smaller first, each pair once."""


def nearest(vectors: NDArray[np.floating[Any]], *, k: int) -> tuple[Ids, Floats]:
    """The k nearest other rows of each unit row, by inner product: their numbers and scores, both (n, min(k, n - 1))."""
    count = len(vectors)
    k = min(k, count - 1)
    ids, scores = np.empty((count, max(k, 0)), np.int64), np.empty((count, max(k, 0)), np.float32)
    if k < 1:
        return ids, scores
    for start in range(0, count, _ROWS):
        rows = np.asarray(vectors[start : start + _ROWS], np.float32)
        best_ids = np.full((len(rows), k), -1, np.int64)
        best = np.full((len(rows), k), -np.inf, np.float32)
        for left in range(0, count, _COLUMNS):
            found = rows @ np.asarray(vectors[left : left + _COLUMNS], np.float32).T
            own = np.arange(start, start + len(rows)) - left
            inside = (own >= 0) & (own < found.shape[1])
            found[np.flatnonzero(inside), own[inside]] = -np.inf
            best_ids, best = _merged(best_ids, best, found, left, k)
        ids[start : start + len(rows)], scores[start : start + len(rows)] = best_ids, best
    return ids, scores


def _merged(ids: Ids, best: Floats, found: Floats, left: int, k: int) -> tuple[Ids, Floats]:
    """The k best of what was found before and what was found in the columns from `left` on."""
    few = min(k, found.shape[1])
    at = np.argpartition(-found, few - 1, axis=1)[:, :few]
    all_ids = np.concatenate([ids, at + left], axis=1)
    all_scores = np.concatenate([best, np.take_along_axis(found, at, axis=1)], axis=1)
    order = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(all_ids, order, axis=1), np.take_along_axis(all_scores, order, axis=1)


def neighbour_pairs(ids: Ids) -> Pairs:
    """The pairs that `nearest` found, from either side."""
    rows = np.repeat(np.arange(len(ids)), ids.shape[1])
    return unique_pairs(np.stack([rows, ids.ravel()], axis=1))


def pattern_pairs(looks: Looks) -> Pairs:
    """The pairs whose patterns are alike in any of the eight turns."""
    patterns = _patterns(looks)
    turned = _turned(patterns)
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(looks), _ROWS):
        found += list(_alike(patterns[start : start + _ROWS], turned, start))
    return unique_pairs(np.concatenate(found))


def _alike(rows: Floats, turned: list[Floats], start: int) -> Iterator[Pairs]:
    """Pairs of the rows from `start` on with those that come later: the others have met them already."""
    for left in range(start, len(turned[0]), _COLUMNS):
        scores = rows @ turned[0][left : left + _COLUMNS].T
        for way in turned[1:]:
            np.maximum(scores, rows @ way[left : left + _COLUMNS].T, out=scores)
        scores[np.arange(len(rows))[:, None] + start >= np.arange(scores.shape[1])[None, :] + left] = -1
        if scores.shape[1] > _MOST_ALIKE:
            least = np.partition(scores, -_MOST_ALIKE, axis=1)[:, -_MOST_ALIKE, None]
            scores[scores < least] = -1
        row, column = np.nonzero(scores >= PATTERN_LIMIT)
        yield np.stack([row + start, column + left], axis=1)


def _patterns(looks: Looks) -> Floats:
    """(n, 8, 8): frequencies of the grey values, higher ones weighted up as they are weaker, of length 1."""
    waves = np.cos(np.pi * (np.arange(SIDE) + 0.5) * np.arange(_FREQUENCIES)[:, None] / SIDE)
    waves[0] /= np.sqrt(2)
    waves = waves.astype(np.float32)
    numbers = np.arange(_FREQUENCIES)
    # the mean has the weight 0
    weights = np.sqrt(numbers[:, None] ** 2 + numbers[None, :] ** 2).astype(np.float32)
    found = np.empty((len(looks), _FREQUENCIES, _FREQUENCIES), np.float32)
    for start in range(0, len(looks), _ROWS):
        grey = looks["grey"][start : start + _ROWS].astype(np.float32)
        found[start : start + _ROWS] = np.matmul(np.matmul(waves, grey), waves.T) * weights
    lengths = np.sqrt((found * found).sum(axis=(1, 2), keepdims=True))
    return np.asarray((found / np.maximum(lengths, 1e-6)).reshape(len(looks), _FREQUENCIES**2), np.float32)


def _turned(patterns: Floats) -> list[Floats]:
    """The patterns of the turned pictures: mirroring changes the sign of odd frequencies, nothing else."""
    signs = (-1.0) ** np.arange(_FREQUENCIES, dtype=np.float32)
    square = patterns.reshape(-1, _FREQUENCIES, _FREQUENCIES)
    ways = []
    for turn in range(TURNS):
        way = square.swapaxes(1, 2) if swaps_sides(turn) else square
        across = signs if turn & 1 else np.ones_like(signs)
        down = signs if turn & 2 else np.ones_like(signs)
        ways.append(np.ascontiguousarray((way * down[:, None] * across).reshape(patterns.shape)))
    return ways


def unique_pairs(pairs: Pairs) -> Pairs:
    """Each pair once, the smaller number first; a picture is no pair with itself."""
    ordered = np.sort(pairs[(pairs >= 0).all(axis=1)], axis=1)
    return np.unique(ordered[ordered[:, 0] != ordered[:, 1]], axis=0)
