"""Where one picture may lie inside another, roughly: every framing of a picture at once, in one matrix.

A picture is sampled through 625 boxes (25 stretches of its width by 25 of its height: 60 to 100 % long, at steps of
5 %), each squeezed into 8 x 8 grey values. Whether another picture is a crop of it, turned or mirrored in any of the
eight ways, is then one product of (625, 64) by (64, 8): 10 microseconds, where sliding one over the other by FFT took
some 7 milliseconds. What passes here is looked at closely in `alignment`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picfind.duplicates.looks import SIDE, Looks
from picfind.types import Floats

TURNS = 8
"""Turn 0 is as it is, 1 mirrored, 2 upside down and mirrored, 3 turned by 180; 4 to 7 are those with rows as columns."""
_GRID = 8
_LENGTHS = (1.0, 0.9, 0.8, 0.7, 0.6)
_STEP = 0.05
_NOISE = 0.25
"""Variance of a grey value of the grid that counts as none: without it, noise would be stretched to a pattern."""
_STRETCH = 0.08
"""How far a crop's shape may be from its box's, as a logarithm: half the widest gap between the shapes of boxes."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of a picture."""


@dataclass(frozen=True, slots=True)
class Framing:
    """A guess: a picture, turned by `turn`, is what `box` of another one shows. `score`: correlation, at most 1."""

    score: float
    turn: int
    box: Box


def _stretches() -> NDArray[np.float64]:
    """(25, 2): from and to, as fractions; the first is the whole."""
    found = []
    for length in _LENGTHS:
        steps = round((1 - length) / _STEP)
        found += [(at * _STEP, at * _STEP + length) for at in range(steps + 1)]
    return np.array(found)


def _samplers() -> Floats:
    """(25 * 8, SIDE): averages a row of pixels into the 8 cells of each stretch."""
    edges = np.linspace(_STRETCHES[:, 0], _STRETCHES[:, 1], _GRID + 1, axis=1) * SIDE
    low, high = edges[:, :-1, None], edges[:, 1:, None]
    pixels = np.arange(SIDE)
    covered = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None) / (high - low)
    return np.asarray(covered.reshape(-1, SIDE), np.float32)


_STRETCHES = _stretches()
_SAMPLERS = _samplers()
_SHAPES = np.log(
    np.subtract(*_STRETCHES.T[::-1])[None, :] / np.subtract(*_STRETCHES.T[::-1])[:, None]
).ravel()
"""(625,): the logarithm of each box's width over its height, as fractions of the picture's."""


def turned(square: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """The eight turns of a square array, in the order of TURNS."""
    return [way for side in (square, square.T) for way in (side, side[:, ::-1], side[::-1], side[::-1, ::-1])]


def swaps_sides(turn: int) -> bool:
    """Whether a turn makes columns of rows."""
    return turn >= TURNS // 2


def grids(looks: Looks) -> Floats:
    """(n, 8, 64): each whole picture as 8 x 8 grey values in all its turns, centred, of length 1 or, where flat, less."""
    whole = _SAMPLERS[:_GRID]
    cells = np.matmul(np.matmul(whole, looks["grey"].astype(np.float32)), whole.T)
    ways = [
        way
        for side in (cells, cells.swapaxes(1, 2))
        for way in (side, side[:, :, ::-1], side[:, ::-1], side[:, ::-1, ::-1])
    ]
    return _normal(np.stack(ways, axis=1).reshape(len(looks), TURNS, -1))


def framings(look: Looks, others: Looks, other_grids: Floats) -> list[Framing]:
    """For each of the others the best guess where it lies inside `look` (a single one), at the full size or smaller.

    `other_grids` (n, 8, 64) are those of the others. Only boxes of the shape that the other picture has are tried.
    """
    cells = _SAMPLERS @ look["grey"].astype(np.float32) @ _SAMPLERS.T
    count = len(_STRETCHES)
    boxes = _normal(cells.reshape(count, _GRID, count, _GRID).swapaxes(1, 2).reshape(count * count, -1))
    scores = (boxes @ other_grids.reshape(-1, _GRID * _GRID).T).reshape(count * count, len(others), TURNS)
    scores[_odd_shapes(look, others)] = -1
    found = scores.transpose(1, 0, 2).reshape(len(others), -1)
    best = found.argmax(axis=1)
    return [
        Framing(float(found[at, place]), int(place % TURNS), _box(int(place // TURNS)))
        for at, place in enumerate(best.tolist())
    ]


def _odd_shapes(look: Looks, others: Looks) -> NDArray[np.bool_]:
    """(625, n, 8): the boxes whose shape is not that of the other picture in that turn."""
    own = np.log(float(look["width"]) / float(look["height"]))
    shapes = np.log(others["width"] / others["height"])
    upright = np.abs(_SHAPES[:, None] - (shapes - own)) > _STRETCH
    on_side = np.abs(_SHAPES[:, None] - (-shapes - own)) > _STRETCH
    return np.repeat(np.stack([upright, on_side], axis=2), TURNS // 2, axis=2)


def _box(number: int) -> Box:
    down, across = divmod(number, len(_STRETCHES))
    left, right = _STRETCHES[across].tolist()
    top, bottom = _STRETCHES[down].tolist()
    return left, top, right, bottom


def _normal(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    lengths = np.sqrt((centred * centred).sum(axis=-1, keepdims=True) + rows.shape[-1] * _NOISE)
    return np.asarray(centred / lengths, np.float32)
