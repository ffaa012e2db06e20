"""A small vision transformer, for learning from nothing on few photos."""

from __future__ import annotations

from typing import Any

from torch import nn

from picfind.errors import RecipeError
from picfind.training.recipe import Sight
from picfind.training.towers import Shape, VisionTower


def vision(how: Sight, dim: int) -> VisionTower:
    """Pictures (n, 3, size, size) to embeddings (n, dim), not of unit length yet.

    Tokens come from small convolutions where the recipe says so: they learn faster than one large one and mind the
    learning rate less (Xiao et al. 2021, "Early convolutions help transformers see better", arXiv 2106.14881). The patches'
    mean stands for the picture. Raises RecipeError for numbers that do not go together.
    """
    if how.size % how.patch or how.width % how.heads:
        raise RecipeError(
            f"picture.size must be a multiple of picture.patch, and width of heads: {how.size} of {how.patch}, "
            f"{how.width} of {how.heads}."
        )
    shape = Shape(how.width, how.layers, how.heads)
    tower = VisionTower(shape, size=how.size, patch=how.patch, dim=dim, pool="avg")
    if how.stem == "convolutions":
        tower.conv1 = _stem(how)
    return tower


def _stem(how: Sight) -> Any:
    """Convolutions of stride 2 down to a patch, each twice as wide as the one before."""
    steps = how.patch.bit_length() - 1
    if 2**steps != how.patch:
        raise RecipeError(
            f"picture.patch is {how.patch}; with convolutions it must be a power of two: 4, 8, 16."
        )
    widths = [max(how.width >> (steps - at), 8) for at in range(1, steps)] + [how.width]
    layers: list[Any] = []
    before = 3
    for width in widths:
        layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), nn.GroupNorm(1, width), nn.GELU()]
        before = width
    return nn.Sequential(*layers[:-2])
