"""Pictures for tests, made on the spot: coloured, and each one different by its seed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

SHARED = Path(os.environ.get("PICFIND_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Real photos, where the machine has them; they are not part of the project."""


def photo(colour: str = "red", *, seed: int = 0, size: tuple[int, int] = (32, 24)) -> Image.Image:
    """A picture of mostly one colour with a little noise of its own."""
    base = np.array(ImageColor.getrgb(colour), np.int16)
    noise = np.random.default_rng(seed).integers(-12, 13, (size[1], size[0], 3))
    return Image.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8))


def photo_bytes(
    colour: str = "red", *, seed: int = 0, form: str = "PNG", size: tuple[int, int] = (32, 24)
) -> bytes:
    """The bytes of such a picture's file."""
    buffer = io.BytesIO()
    photo(colour, seed=seed, size=size).save(buffer, form)
    return buffer.getvalue()


def write_photo(path: Path, *, colour: str = "red", seed: int = 0, size: tuple[int, int] = (32, 24)) -> Path:
    """Such a picture in a file; the file's ending says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo(colour, seed=seed, size=size).save(path)
    return path
