"""The order in which a person reads the lines of a page: columns one after the other, each from the top down.

The boxes are cut apart recursively where a straight gap runs through all of them (the XY cut of Nagy and Seth, 1984):
first into columns, and where there are none at the widest gap between rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

Rectangle = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

_GUTTER = 1.0
"""How wide a gap between columns is at least, in heights of a line: blanks between words are narrower."""


def reading_order(boxes: Sequence[Rectangle]) -> list[int]:
    """The positions of boxes in the order in which they are read. Every one is there exactly once."""
    return _ordered(boxes, list(range(len(boxes))))


def _ordered(boxes: Sequence[Rectangle], some: list[int]) -> list[int]:
    if len(some) < 2:
        return some
    parts = _columns(boxes, some) or _rows(boxes, some)
    return [at for part in parts for at in _ordered(boxes, part)] if parts else _in_rows(boxes, some)


def _columns(boxes: Sequence[Rectangle], some: list[int]) -> list[list[int]] | None:
    """Two parts side by side with a gutter between them, each of two lines or more; None where there is none."""
    height = median(boxes[at][3] - boxes[at][1] for at in some)
    width, middle = _widest_gap((boxes[at][0], boxes[at][2]) for at in some)
    parts = [[at for at in some if (boxes[at][0] < middle) is side] for side in (True, False)]
    return parts if width >= _GUTTER * height and min(map(len, parts)) > 1 else None


def _rows(boxes: Sequence[Rectangle], some: list[int]) -> list[list[int]] | None:
    """Two parts, one above the other; None where no straight gap parts them."""
    width, middle = _widest_gap((boxes[at][1], boxes[at][3]) for at in some)
    parts = [[at for at in some if (boxes[at][1] < middle) is side] for side in (True, False)]
    return parts if width > 0 else None


def _widest_gap(spans: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """The widest stretch between spans that none of them covers, and its middle; (0, 0) where all is covered."""
    best, end = (0.0, 0.0), float("inf")
    for start, stop in sorted(spans):
        if start - end > best[0]:
            best = (start - end, (start + end) / 2)
        end = stop if end == float("inf") else max(end, stop)
    return best


def _in_rows(boxes: Sequence[Rectangle], some: list[int]) -> list[int]:
    """From the top down; boxes whose middles are within half a line of the row's first are read from left to right."""
    half = median(boxes[at][3] - boxes[at][1] for at in some) / 2
    ordered: list[list[int]] = []
    for at in sorted(some, key=lambda at: _middle(boxes[at])):
        if ordered and _middle(boxes[at]) - _middle(boxes[ordered[-1][0]]) < half:
            ordered[-1].append(at)
        else:
            ordered.append([at])
    return [at for row in ordered for at in sorted(row, key=lambda at: boxes[at][0])]


def _middle(box: Rectangle) -> float:
    return (box[1] + box[3]) / 2
