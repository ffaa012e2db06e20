"""Pairs of pictures that are copies of each other: candidates, guessed at by framing, then aligned."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from picfind.duplicates.alignment import GATE, THE_SAME, Match, align, is_flat
from picfind.duplicates.candidates import Pairs, unique_pairs
from picfind.duplicates.framing import Framing, framings, grids
from picfind.duplicates.looks import Looks
from picfind.duplicates.verdicts import Verdicts

ALIKE = 0.84
"""The score from which on two pictures count as copies; chosen on one half of synthetic copies, see docs/duplicates.md."""
_BLOCK = 64
"""Pictures that a thread takes at a time."""

Matches = dict[tuple[int, int], Match]
"""The matches of pairs of row numbers, the smaller first."""
Progress = Callable[[str, int, int], object]
"""Told what is being done, how much of it is done, and how much there is."""


def copies(
    looks: Looks,
    pairs: Pairs,
    *,
    threshold: float = ALIKE,
    workers: int = 1,
    progress: Progress = lambda step, done, total: None,
    verdicts: Verdicts | None = None,
) -> Matches:
    """Those of the candidate pairs that are copies, with how they match. Pictures that show nothing match nothing.

    Pairs that `verdicts` know are not compared again; the others are added to them.
    """
    verdicts = verdicts or Verdicts()
    flat = is_flat(looks)
    pairs = unique_pairs(pairs[~flat[pairs].any(axis=1)])
    known, found = verdicts.known(looks, pairs)
    pairs = pairs[~known]
    ends = np.searchsorted(pairs[:, 0], np.arange(0, len(looks) + _BLOCK, _BLOCK)).tolist()
    blocks = [pairs[start:end] for start, end in itertools.pairwise(ends) if end > start]
    done = 0
    pool = ThreadPoolExecutor(workers)
    try:
        compared = pool.map(lambda block: _compared(looks, block), blocks)
        for block, matches in zip(blocks, compared, strict=True):
            found |= matches
            verdicts.add(looks, block, dict(matches))
            done += len(block)
            progress("comparing", done, len(pairs))
    finally:
        pool.shutdown(
            cancel_futures=True
        )  # whoever stops waits for the blocks under way, not for all of them
        verdicts.keep()
    return {pair: match for pair, match in sorted(found.items()) if match.score >= threshold}


def compare(looks: Looks, first: int, second: int, *, verdicts: Verdicts | None = None) -> Match | None:
    """How two pictures match; None where a rough look finds nothing or one of them shows nothing."""
    if is_flat(looks[[first, second]]).any():
        return None
    pair = np.array([[first, second]])
    verdicts = verdicts or Verdicts()
    known, found = verdicts.known(looks, pair)
    if not known[0]:
        found = dict(_compared(looks, pair))
        verdicts.add(looks, pair, found)
    return found.get((first, second))


def _compared(looks: Looks, pairs: Pairs) -> list[tuple[tuple[int, int], Match]]:
    inside_first = dict(_rough(looks, pairs))
    inside_second = dict(_rough(looks, pairs[:, ::-1]))
    compared = []
    for first, second in pairs.tolist():
        one, other = inside_first[first, second], inside_second[second, first]
        match = _closely(looks[first], looks[second], one, other)
        if match is not None:
            compared.append(((first, second), match))
    return compared


def _closely(first: Looks, second: Looks, one: Framing, other: Framing) -> Match | None:
    """The better match of the two guesses: the second inside the first, and the first inside the second."""
    guesses = sorted(((one.score, True, one), (other.score, False, other)), key=lambda guess: -guess[0])
    best: Match | None = None
    for score, inside_first, framing in guesses:
        if score < GATE or (best is not None and best.score >= THE_SAME):
            break
        match = align(first, second, framing, inside_first=inside_first)
        best = match if best is None or match.score > best.score else best
    return best


def _rough(looks: Looks, pairs: Pairs) -> Iterator[tuple[tuple[int, int], Framing]]:
    """For each pair the best guess where the second lies inside the first."""
    for first in np.unique(pairs[:, 0]).tolist():
        seconds = pairs[pairs[:, 0] == first, 1]
        others = looks[seconds]
        for second, framing in zip(
            seconds.tolist(), framings(looks[first], others, grids(others)), strict=True
        ):
            yield (first, second), framing
