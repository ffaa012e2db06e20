"""Looks: what is kept of a picture's pixels to compare it with others: a small grey picture, and smaller ones of colour.

Both are squeezed into squares, whatever the shape of the picture, so a look has one size: 4.7 kB. Its picture's width
and height, which stand beside it, undo that where it matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64
"""Of the grey square, in pixels."""
COLOUR_SIDE = 16
VERSION = 1
"""Goes up when looks of before can no longer be compared with those that are made now."""
DECODE_SIZE = 2 * SIDE
"""Shorter side in pixels that a decoder may scale down to."""

LOOK = np.dtype(
    [
        ("sha256", np.uint8, (32,)),
        ("width", np.uint32),
        ("height", np.uint32),
        ("grey", np.uint8, (SIDE, SIDE)),
        ("colour", np.uint8, (2, COLOUR_SIDE, COLOUR_SIDE)),
    ]
)
"""One look. `width` and `height`: pixels of the upright picture; `colour`: its Cb and Cr, in the manner of JPEG."""

Looks = NDArray[Any]
"""(n,) of LOOK."""


def look_at(picture: Image.Image, sha256: bytes, *, size: tuple[int, int] | None = None) -> Looks:
    """(1,) the look of an upright RGB picture; `size` is that of the file where the picture was decoded smaller."""
    look = np.zeros(1, LOOK)
    look["sha256"] = np.frombuffer(sha256, np.uint8)
    look["width"], look["height"] = size or picture.size
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    look["grey"] = np.asarray(grey)
    colour = picture.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    look["colour"] = np.moveaxis(np.asarray(colour.convert("YCbCr"))[:, :, 1:], 2, 0)
    return look
