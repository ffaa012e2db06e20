"""Which pieces of a picture are encoded besides the whole: its regions.

Three by three tiles, two fifths as wide and as high as the picture, so that they overlap by a quarter. A long picture has
more tiles rather than long ones. `python -m benchmarks.regions` compares this with other tilings; docs/regions.md has its
figures.
"""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import Image

from picfind.types import Box

SHARE = 0.4
"""A tile's side along a picture's shorter side, as a share of that."""
_ACROSS = 3
"""Tiles along the shorter side."""
_LONGEST = 2.0
"""A picture's longer side over its shorter one up to which tiles are as long as it is; longer ones have more tiles."""
_SHORTEST = SHARE / 2
"""The least side of a tile along a picture's longer side, as a share of that, however long it is."""
_STEP = 0.75
"""From one tile to the next one along the longer side, at most, as a share of the tile."""
_LEAST_PIXELS = 64
"""Pixels of a tile's shorter side, below which it shows nothing that the whole picture does not."""


@lru_cache(maxsize=4096)
def boxes(width: int, height: int) -> tuple[Box, ...]:
    """The regions of a picture of so many pixels, upright: none where it is too small to have any.

    Regions with other boxes are of another tiling: they are replaced by these when the picture is indexed again.
    """
    short, long = sorted((width, height))
    if short * SHARE < _LEAST_PIXELS:
        return ()
    length = max(_SHORTEST, SHARE * min(1.0, _LONGEST * short / long))
    along = _count(length)
    return grid(along, _ACROSS, length, SHARE) if width >= height else grid(_ACROSS, along, SHARE, length)


def _count(length: float) -> int:
    """How many tiles of a length lie along a side."""
    return 1 + math.ceil((1 - length) / (_STEP * length) - 1e-9)


MOST = _ACROSS * _count(_SHORTEST)
"""Tiles of one picture at most; nearly all have nine."""


def grid(columns: int, rows: int, width: float, height: float) -> tuple[Box, ...]:
    """Tiles of one size, row by row: the first and the last at the edges, the others evenly between."""
    return tuple(
        (left, top, width, height) for top in _spread(rows, height) for left in _spread(columns, width)
    )


def _spread(count: int, length: float) -> list[float]:
    """Where `count` stretches of a length begin, the first at 0, the last ending at 1."""
    return [at * (1 - length) / max(1, count - 1) for at in range(count)]


def cut(image: Image.Image, box: Box) -> Image.Image:
    """The pixels of a region, at least one."""
    left, top, width, height = box
    x, y = min(int(left * image.width), image.width - 1), min(int(top * image.height), image.height - 1)
    right, bottom = round((left + width) * image.width), round((top + height) * image.height)
    return image.crop((x, y, max(x + 1, min(right, image.width)), max(y + 1, min(bottom, image.height))))
