"""The fixed pictures and sentences that the built-in model's reference vectors are of.

`scripts/build_builtin` computes the vectors with the towers in torch, tests/test_encoders_builtin.py compares.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

SENTENCES = (
    "a cat",
    "A dog runs along the beach, chasing a red ball.",
    "Ein größeres Fahrrad, naïve façade – 猫と自転車 🚲",
    "",
    " \t\n",
    "the same words again and " * 200,
)

PHOTOS = {
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
"""Photos that come inside installed packages: the package, and the file below it."""


def photo_path(name: str) -> Path:
    """Where a photo of `PHOTOS` lies. Raises ModuleNotFoundError when its package is not installed."""
    package, below = PHOTOS[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    return Path(spec.origin).parent / below


def photo(name: str) -> Image.Image:
    """A photo of `PHOTOS`, RGB."""
    with Image.open(photo_path(name)) as image:
        return image.convert("RGB")


def waves() -> Image.Image:
    """Smooth waves of all colours, 600 x 520."""
    across, down = np.meshgrid(np.arange(600), np.arange(520))
    planes = [np.sin(across / 40 + down / (25 + 10 * plane) + plane) for plane in range(3)]
    return Image.fromarray(np.uint8(np.round(127.5 + 127 * np.stack(planes, axis=2))))


def tiles() -> Image.Image:
    """A chequered floor of two colours, 300 x 900: proportions that squashing changes."""
    across, down = np.meshgrid(np.arange(300), np.arange(900))
    dark = ((across // 30 + down // 30) % 2 == 1)[:, :, None]
    blue, cream = np.array([40, 60, 160], np.uint8), np.array([240, 230, 200], np.uint8)
    return Image.fromarray(np.where(dark, blue, cream))


def pictures() -> dict[str, Image.Image]:
    """All fixed pictures by name."""
    return {**{name: photo(name) for name in PHOTOS}, "waves": waves(), "tiles": tiles()}
