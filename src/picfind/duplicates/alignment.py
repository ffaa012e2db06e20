"""Whether two pictures show the same pixels, give or take a turn, a crop, a size, a brightness and a bit of text.

Three steps, each for what the one before lets pass: `framing` guesses roughly which box of one picture the other is;
the box is moved and scaled until the normalised cross-correlation of 48 x 48 grey values is best; and what counts in
the end is the mean correlation of sixteen blocks of the two, each block by itself. Photos that merely resemble each
other (a sky above a field, the same room a minute later) agree as wholes but not block by block; a word that was
written over a copy spoils a block or two and leaves the rest. A copy keeps its colours or has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picfind.duplicates.framing import Box, Framing, swaps_sides, turned
from picfind.duplicates.looks import COLOUR_SIDE, Looks
from picfind.types import Floats

GATE = 0.8
"""The correlation that a rough framing needs to be looked at closely."""
THE_SAME = 0.97
"""The score from which on no better match is looked for; where two whole pictures reach it, neither is a crop."""
FLAT = 2.0
"""Standard deviation of grey values below which a picture shows nothing that could be compared."""
_SIDE = 48
_BLOCKS = 4
_LEVELS = ((16, 1 / 32), (24, 1 / 48), (48, 1 / 96), (48, 1 / 192))
"""Side of the squares and length of the steps: blurred at first, since fine detail leads astray from afar."""
_MOVES = 6
_NOISE = 1.0
_BLOCK_NOISE = 3.0
"""Variances of grey values that count as none."""
_BUSY = 30.0
"""Standard deviation from which on a block counts in full."""
_COLOURLESS = 3.0
"""Mean distance from grey, of 128, below which a picture has no colours to compare."""
_SAME_COLOURS = 0.4
_SMALLEST = 0.3
"""The shortest side of a box, as a fraction."""


@dataclass(frozen=True, slots=True)
class Match:
    """How two pictures are alike. `score`: mean correlation of blocks, 0 to 1.

    `turn` turns the second as the first lies; `first` and `second` are the shares of each one's area that both show.
    """

    score: float
    turn: int
    first: float
    second: float


def align(first: Looks, second: Looks, framing: Framing, *, inside_first: bool) -> Match:
    """Look closely at a guess: `framing` says where in the first the second lies or, else, where the first in the second.

    Both looks are single ones. A score of 0 stands for colours that differ.
    """
    outer, inner = (first, second) if inside_first else (second, first)
    whole = Image.fromarray(outer["grey"])
    part = Image.fromarray(np.ascontiguousarray(turned(inner["grey"])[framing.turn]))
    box = _refined(whole, part, _shaped(framing.box, _shape(inner, framing.turn) / _shape(outer, 0)))
    score = _block_score(_patch(whole, box), _patch(part, _WHOLE))
    if not _same_colours(outer, inner, box, framing.turn):
        score = 0.0
    area = (box[2] - box[0]) * (box[3] - box[1])
    if inside_first:
        return Match(score, framing.turn, area, 1.0)
    return Match(score, _back(framing.turn), 1.0, area)


def is_flat(looks: Looks) -> NDArray[np.bool_]:
    """(n,): the pictures that show nothing to compare: blank pages, black frames."""
    return np.asarray(looks["grey"].std(axis=(1, 2)) < FLAT)


_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


def _back(turn: int) -> int:
    """The turn that undoes a turn: two of the eight undo each other, the rest themselves."""
    return {5: 6, 6: 5}.get(turn, turn)


def _patch(image: Image.Image, box: Box, side: int = _SIDE) -> Floats:
    """(side, side): a box of a picture."""
    pixels = (box[0] * image.width, box[1] * image.height, box[2] * image.width, box[3] * image.height)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=pixels), np.float32)


def _shape(look: Looks, turn: int) -> float:
    """Width over height, of a picture that was turned."""
    shape = float(look["width"]) / float(look["height"])
    return 1 / shape if swaps_sides(turn) else shape


def _shaped(box: Box, shape: float) -> Box:
    """The box with the same middle and area, as near as may be, whose width is `shape` times its height."""
    left, top, right, bottom = box
    area = (right - left) * (bottom - top)
    wide, high = min(1.0, (area * shape) ** 0.5), min(1.0, (area / shape) ** 0.5)
    wide, high = min(wide, high * shape), min(high, wide / shape)
    left = min(max(0.0, (left + right - wide) / 2), 1 - wide)
    top = min(max(0.0, (top + bottom - high) / 2), 1 - high)
    return left, top, left + wide, top + high


def _refined(image: Image.Image, inner: Image.Image, box: Box) -> Box:
    """The box near `box` that correlates best: moved and scaled in ever smaller steps, uphill."""
    if box == _WHOLE and _block_score(_patch(image, box), _patch(inner, box)) >= THE_SAME:
        return box
    for side, step in _LEVELS:
        wanted = _patch(inner, _WHOLE, side)
        best = _correlation(_patch(image, box, side), wanted)
        for _ in range(_MOVES):
            tried = [(_correlation(_patch(image, near, side), wanted), near) for near in _near(box, step)]
            score, near = max(tried, default=(best, box))
            if score <= best:
                break
            best, box = score, near
    return box


def _near(box: Box, step: float) -> list[Box]:
    """The boxes one step left, right, up, down, smaller and larger, of the same shape and within the picture."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    largest = min(1 / wide, 1 / high)
    moved = [
        (left + across, top + down, 1.0) for across, down in ((-step, 0), (step, 0), (0, -step), (0, step))
    ]
    moved += [
        (left - wide * (scale - 1) / 2, top - high * (scale - 1) / 2, scale)
        for scale in (1 - step, min(1 + step, largest))
    ]
    found = []
    for x, y, scale in moved:
        x, y = (min(max(0.0, x), 1 - wide * scale), min(max(0.0, y), 1 - high * scale))
        found.append((x, y, x + wide * scale, y + high * scale))
    return [near for near in found if min(near[2] - near[0], near[3] - near[1]) >= _SMALLEST]


def _correlation(first: Floats, second: Floats) -> float:
    one, other = first - first.mean(), second - second.mean()
    noise = first.size * _NOISE
    return float((one * other).sum() / np.sqrt(((one * one).sum() + noise) * ((other * other).sum() + noise)))


def _block_score(first: Floats, second: Floats) -> float:
    """The mean correlation of blocks, none below 0, each weighted by how much it shows."""
    one, other = _blocks(first), _blocks(second)
    squares, other_squares = (one * one).sum(axis=1), (other * other).sum(axis=1)
    pixels = one.shape[1]
    noise = pixels * _BLOCK_NOISE
    alike = (one * other).sum(axis=1) / np.sqrt((squares + noise) * (other_squares + noise))
    shown = np.minimum(np.sqrt(np.maximum(squares, other_squares) / pixels), _BUSY)
    return float((np.clip(alike, 0, 1) * shown).sum() / max(float(shown.sum()), 1e-6))


def _blocks(square: Floats) -> Floats:
    """(16, 144): the blocks, each centred."""
    side = _SIDE // _BLOCKS
    rows = square.reshape(_BLOCKS, side, _BLOCKS, side).swapaxes(1, 2).reshape(_BLOCKS * _BLOCKS, -1)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True), np.float32)


def _same_colours(outer: Looks, inner: Looks, box: Box, turn: int) -> bool:
    """Whether the colours point the same way, however strong they are; true where one picture has none."""
    planes = [
        (
            _patch(Image.fromarray(outer["colour"][plane]), box, COLOUR_SIDE) - 128,
            turned(inner["colour"][plane].astype(np.float32) - 128)[turn],
        )
        for plane in range(2)
    ]
    one = np.stack([plane[0] for plane in planes]).ravel()
    other = np.stack([plane[1] for plane in planes]).ravel()
    if min(np.abs(one).mean(), np.abs(other).mean()) < _COLOURLESS:
        return True
    return float(one @ other) >= _SAME_COLOURS * float(np.linalg.norm(one) * np.linalg.norm(other))
