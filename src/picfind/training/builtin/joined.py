"""All members as one: the matrices that bring their rows down to one short row, and how much of the spread is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from picfind.training.builtin.closed import pair
from picfind.training.builtin.members import Learned, Member, unit
from picfind.types import Floats

_COMPARED = 500
"""Rows of each side that the spread is measured on."""


def beside(rows: Sequence[Floats], lengths: Sequence[float]) -> Floats:
    """Members' unit rows, each times its length, side by side."""
    return np.concatenate(
        [np.float32(length) * one for one, length in zip(rows, lengths, strict=True)], axis=1
    )


def joined(members: Sequence[Member], pictures: Floats, captions: Floats, *, dim: int) -> Learned:
    """From the members' rows `beside` each other of some pictures and of other captions."""
    image, text = pair(pictures, captions, min(dim, pictures.shape[1]))
    some, others = pictures[:_COMPARED], captions[:_COMPARED]
    before = (some @ others.T).std()
    after = (unit(some @ image) @ unit(others @ text).T).std()
    return Learned(tuple(members), image, text, float(before / after))


def rows(learned: Learned, pictures: Floats, captions: Floats) -> tuple[Floats, Floats]:
    """Unit rows (n, dim) and (m, dim) from what `beside` gives."""
    return unit(pictures @ learned.image), unit(captions @ learned.text)
