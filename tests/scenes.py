"""Pictures with large and small things in them, each different by its seed: what copies can be told from others by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def scene(seed: int, *, size: tuple[int, int] = (240, 160)) -> Image.Image:
    """A picture of patches of colour of many sizes, as photos have them."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((size[1], size[0], 3), np.float32)
    for cells in (3, 6, 12, 24):
        spots = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        pixels += np.asarray(spots.resize(size, Image.Resampling.BICUBIC), np.float32) / cells**0.5
    pixels = 255 * (pixels - pixels.min()) / (pixels.max() - pixels.min())
    return Image.fromarray(pixels.astype(np.uint8))


def save(picture: Image.Image, path: Path, *, quality: int = 90) -> Path:
    """Save a picture; the ending of the name says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in {".jpg", ".jpeg", ".webp"}:
        picture.save(path, quality=quality)
    else:
        picture.save(path)
    return path
