"""What has a closed form: a member out of correlations, and the matrices that bring several members' rows to fewer numbers.

Both are singular value decompositions of what two sides have in common once each side has been whitened (Hotelling 1936,
"Relations between two sets of variates"). All sums are in double precision, and nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from picfind.types import Floats

Doubles: TypeAlias = NDArray[np.float64]

PICTURE_RIDGE, TEXT_RIDGE = 1.0, 0.05
"""What is added to the spread of each side, as a share of its mean. Chosen on dev splits among .05 to 1 and .02 to .1."""
_LEAST = 1e-9
"""The least spread of a direction that counts, as a share of the greatest."""
JOINING_RIDGE = 1e-2
"""The same where rows are joined. With few rows it keeps what they do not show; with thousands it changes nothing."""
_STRETCH = 4096


@dataclass(frozen=True, slots=True)
class Correlated:
    """`pictures @ image` and `(sentences - mean) @ text`, both (n, dim) after they are made unit, agree by their cosine."""

    image: Floats
    text: Floats
    mean: Floats


def correlated(
    pictures: Floats,
    captions: Floats,
    owners: NDArray[np.int64],
    *,
    also: tuple[Floats, Floats],
    dim: int,
) -> Correlated:
    """Regularised canonical correlations between pictures (n, a) and the means of their captions' vectors.

    `captions` (m, b) are grouped by picture, `owners` (m,) rises and says whose each is; `also` are further pairs, (k, a) and
    (k, b). The spread of the text side is that of single captions, which is what it will be asked with. Each direction
    counts by the square root of its correlation on either side.
    """
    shares = 1 / np.bincount(owners, minlength=len(pictures))
    means = _means(captions, owners, shares)
    mean = means.mean(axis=0)
    rows, others = np.concatenate([pictures, also[0]]), np.concatenate([means, also[1]]) - mean
    across = _product(rows, others) / len(rows)
    image = _ridged(_product(rows, rows) / len(rows), PICTURE_RIDGE)
    text = _ridged(_spread(captions, shares[owners], mean) / len(pictures), TEXT_RIDGE)
    _, image_white = _roots(image)
    _, text_white = _roots(text)
    left, strengths, right = np.linalg.svd(image_white @ across @ text_white, full_matrices=False)
    scale = np.sqrt(strengths[:dim])
    return Correlated(
        (image_white @ left[:, :dim] * scale).astype(np.float32),
        (text_white @ right[:dim].T * scale).astype(np.float32),
        mean.astype(np.float32),
    )


def pair(pictures: Floats, captions: Floats, dim: int) -> tuple[Floats, Floats]:
    """P (a, dim) and Q (b, dim) for which `(pictures @ P) @ (captions @ Q).T` is nearest to `pictures @ captions.T`.

    Nearest by the mean squared difference over all pairs of a row of `pictures` (n, a) with one of `captions` (m, a), and
    over `JOINING_RIDGE` of as many rows that point every way.
    """
    (own, own_white), (other, other_white) = (
        _roots(_ridged(_product(rows, rows) / len(rows), JOINING_RIDGE)) for rows in (pictures, captions)
    )
    left, strengths, right = np.linalg.svd(own @ other)
    scale = np.sqrt(strengths[:dim])
    image, text = own_white @ left[:, :dim] * scale, other_white @ right[:dim].T * scale
    return image.astype(np.float32), text.astype(np.float32)


def _means(captions: Floats, owners: NDArray[np.int64], shares: Doubles) -> Doubles:
    """(n, b): the mean of each picture's captions."""
    starts = np.searchsorted(owners, np.arange(len(shares)))
    sums: Doubles = np.add.reduceat(captions, starts, axis=0, dtype=np.float64)
    found: Doubles = sums * shares[:, None]
    return found


def _product(rows: NDArray[np.floating], others: NDArray[np.floating]) -> Doubles:
    """`rows.T @ others` in double precision, in stretches that bound the memory."""
    found = np.zeros((rows.shape[1], others.shape[1]))
    for at in range(0, len(rows), _STRETCH):
        part = slice(at, at + _STRETCH)
        found += rows[part].astype(np.float64).T @ others[part].astype(np.float64)
    return found


def _spread(captions: Floats, shares: Doubles, mean: Doubles) -> Doubles:
    found = np.zeros((captions.shape[1], captions.shape[1]))
    for at in range(0, len(captions), _STRETCH):
        part = slice(at, at + _STRETCH)
        away: Doubles = captions[part] - mean
        found += (away * shares[part, None]).T @ away
    return found


def _ridged(matrix: Doubles, share: float) -> Doubles:
    """The matrix with a share of its mean eigenvalue added to each."""
    found: Doubles = matrix + share * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    return found


def _roots(matrix: Doubles) -> tuple[Doubles, Doubles]:
    """The root of a symmetric matrix, and the inverse of that; directions without spread are kept from growing."""
    spread, axes = np.linalg.eigh(matrix)
    root = np.sqrt(np.maximum(spread, _LEAST * spread.max()))
    return (axes * root) @ axes.T, (axes / root) @ axes.T
