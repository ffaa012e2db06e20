"""How good a model is on pictures with captions: the figures that training is judged by.

Protocol of the papers on captions: each caption asks for its own picture among all pictures, each picture for any of its
captions among all captions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from picfind.evaluation.metrics import hit_at, rankings, reciprocal_rank
from picfind.types import Floats, Ids

JUDGED = "mrr"
"""Which figure says what is best: the mean reciprocal rank, of both directions. It is finer than a hit_at(k)."""
_ROWS = 1024

Figures: TypeAlias = dict[str, float]


def figures(pictures: Floats, captions: Floats, owners: Ids) -> Figures:
    """hit_at(1), (5) and (10) in both directions, and `JUDGED`.

    `pictures` (n, dim) and `captions` (m, dim) are unit rows, `owners` (m,) says which picture each caption is of; each
    picture has one at least.
    """
    order = np.argsort(owners, kind="stable")
    own = np.split(order, np.searchsorted(owners[order], np.arange(1, len(pictures))))
    to_image = _measures(captions, pictures, [owners[at : at + 1] for at in range(len(owners))])
    to_text = _measures(pictures, captions, own)
    found = {f"text_to_image {name}": value for name, value in to_image.items()}
    found |= {f"image_to_text {name}": value for name, value in to_text.items()}
    both = [found.pop(f"{task} {JUDGED}") for task in ("text_to_image", "image_to_text")]
    return found | {JUDGED: sum(both) / 2}


def _measures(queries: Floats, gallery: Floats, right: Sequence[Ids]) -> Figures:
    """In stretches of queries, which bounds the memory."""
    rows = []
    for at in range(0, len(queries), _ROWS):
        found = rankings(queries[at : at + _ROWS] @ gallery.T, right[at : at + _ROWS])
        rows += [[hit_at(one, 1), hit_at(one, 5), hit_at(one, 10), reciprocal_rank(one)] for one in found]
    means = np.mean(rows, axis=0).tolist()
    return dict(zip(("hit_at(1)", "hit_at(5)", "hit_at(10)", JUDGED), means, strict=True))
