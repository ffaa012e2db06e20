"""Pictures as small squares of bytes, held in memory, and crops of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picfind.encoders._clip.config import MEAN, STD
from picfind.types import Floats

Bytes: TypeAlias = NDArray[np.uint8]


def squashed(image: Image.Image, side: int) -> Bytes:
    """(side, side, 3) of a whole picture, as the family `clip` makes it with `resize_mode` squash."""
    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC), np.uint8)


def cropped(squares: Sequence[Bytes], side: int, *, least: float, rng: np.random.Generator) -> Bytes:
    """A random square of each, (n, side, side, 3), of at least the share `least` of its area, half of them mirrored."""
    found = np.empty((len(squares), side, side, 3), np.uint8)
    for at, square in enumerate(squares):
        whole = len(square)
        size = round(whole * np.sqrt(rng.uniform(least, 1)))
        top, left = rng.integers(0, whole - size + 1, 2)
        part = Image.fromarray(square[top : top + size, left : left + size])
        pixels = np.asarray(part.resize((side, side), Image.Resampling.BILINEAR))
        found[at] = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    return found


def normalised(pixels: Bytes) -> Floats:
    """(n, 3, side, side) float32 as the towers take them, with OpenAI's mean and spread."""
    scaled = (pixels.astype(np.float32) / np.float32(255) - np.array(MEAN, np.float32)) / np.array(
        STD, np.float32
    )
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def square_maker(side: int) -> Callable[[bytes, Callable[[], Image.Image]], Bytes]:
    """What `each_picture` is to do with a picture."""
    return lambda _, opened: squashed(opened(), side)
