"""How well an exported folder agrees with its original: sample pictures and sentences, and the cosine of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picfind.types import Floats

_LONG = (
    "a very long sentence about a market square where people sell fruit and flowers while music plays and the clock "
    "of the church strikes twelve and children run between the stalls and nobody seems to be in a hurry at all"
)
SENTENCES = (
    "a dog on a beach",
    "two children playing football in the rain",
    "red",
    "the old town at night, seen from a bridge",
    "a plate of pasta with tomatoes and basil",
    "An aeroplane above the clouds.",
    "my grandmother's wooden kitchen table",
    "black and white portrait of a man with a hat",
    "3 bicycles leaning against a wall",
    "snow-covered mountains at sunrise",
    "a cat asleep on a keyboard",
    "people waiting for a train on a crowded platform",
    "ein Haus am See",
    "une vieille voiture rouge",
    "a diagram of the water cycle with labels",
    _LONG,
)
"""Sixteen texts: short and long, with digits, capitals and accents."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The cosine between rows of an exported model and those of its original."""

    mean: float
    least: float


def compare(found: Floats, wanted: NDArray[Any]) -> Agreement:
    """Row by row, both (n, dim) of any length."""
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return Agreement(float(cosines.mean()), float(cosines.min()))


def pictures() -> list[Image.Image]:
    """Sixteen RGB pictures of several shapes: waves of colour under a little noise, always the same."""
    return [_picture(seed) for seed in range(16)]


def _picture(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed)
    width, height = (320, 240) if seed % 3 else (240, 300)
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    turns, phase = noise.uniform(-6, 6, (3, 2)), noise.uniform(0, 6, 3)
    waves = [np.sin(x * across + y * down + at) for (x, y), at in zip(turns, phase, strict=True)]
    pixels = 128 + 100 * np.stack(waves, axis=2) + noise.normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def run(module: Any, arrays: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """A torch module's rows for some arrays, four at a time, which bounds the memory."""
    import torch

    parts = ([torch.from_numpy(array[at : at + 4]) for array in arrays] for at in range(0, len(arrays[0]), 4))
    with torch.no_grad():
        return np.concatenate([module(*part).float().numpy() for part in parts])
