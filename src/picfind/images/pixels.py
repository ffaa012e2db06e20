"""A Pillow image of any mode -> an upright RGB one, as a person would expect to see it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; 1 is upright."""


def upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """RGB, turned as EXIF's `orientation` asks, and without metadata: nothing that follows can turn it again.

    An image that is upright RGB already is not copied, but loses its metadata.
    """
    result = rgb(image)
    if orientation in _TURNS:
        result = result.transpose(_TURNS[orientation])
    result.info = {}
    return result


def rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, on white where it is transparent; the same image when it is RGB already."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values of 16 or 32 bits, or floats, spread over 0 to 255. What is not a number is black."""
    whole = values.dtype.kind != "f"
    finite = values if whole else values[np.isfinite(values)]
    least, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    black, white = _range(least, most, whole=whole)
    with np.errstate(all="ignore"):  # infinities
        grey = values.astype(np.float32)  # changed in place from here on: a huge picture is in memory once
        grey -= black
        grey *= 255 / (white - black)
        np.nan_to_num(grey, copy=False, nan=0.0)
        return grey.clip(0, 255, out=grey).round(out=grey).astype(np.uint8)


def _range(least: float, most: float, *, whole: bool) -> tuple[float, float]:
    """The values that black and white stand for.

    Cameras, scanners and microscopes store 10, 12 or 14 bits in 16: the smallest such depth that holds all values
    is taken. Floats count from 0 to 1 or to 255. Anything else is stretched from its least to its largest value.
    """
    depths = (255, 1023, 4095, 16383, 65535) if whole else (1, 255)
    if least >= 0 and most <= depths[-1]:
        return 0, next(depth for depth in depths if most <= depth)
    return least, most if most > least else least + 1
