"""A small text transformer, for learning from nothing."""

from __future__ import annotations

from picfind.errors import RecipeError
from picfind.training.recipe import Language
from picfind.training.towers import Shape, TextTower


def text(how: Language, dim: int, *, vocabulary: int) -> TextTower:
    """Token ids (n, length) to embeddings (n, dim), not of unit length yet: the end mark's, which has the largest id.

    Raises RecipeError for a width that its heads do not divide.
    """
    if how.width % how.heads:
        raise RecipeError(f"words.width must be a multiple of words.heads: {how.width} of {how.heads}.")
    shape = Shape(how.width, how.layers, how.heads)
    return TextTower(shape, vocabulary=vocabulary, length=how.length, dim=dim)
