"""Small charts as SVG inside a page: lines over a logarithmic axis, and histograms. Nothing is loaded, nothing is drawn by
a script; colours are those of the page, lighter or darker with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 40
_COLOURS = ("#2f80c3", "#d9772b", "#2f9d78", "#b85a9c", "#9a8420")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 2")
"""Lines are told apart by their dashes too."""
_TICKS = 5
_BINS = 40


@dataclass(frozen=True, slots=True)
class Line:
    """Points of a line, x rising."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def lines(series: Sequence[Line], *, x_label: str, y_label: str) -> str:
    """Lines whose y is between 0 and 1, over x from 1 upward on a logarithmic axis."""
    most = max(max(line.x) for line in series)
    reach = math.log10(max(most, 2))
    drawn = []
    for at, line in enumerate(series):
        points = " ".join(
            f"{_across(math.log10(x) / reach):.1f},{_up(y):.1f}" for x, y in zip(line.x, line.y, strict=True)
        )
        drawn.append(
            f'<polyline points="{points}" fill="none" stroke="{_colour(at)}" stroke-width="2" '
            f'stroke-dasharray="{_DASHES[at % len(_DASHES)]}"/>'
        )
    powers = [k for power in range(5) for k in (10**power, 3 * 10**power) if k <= most]
    ticks = [(math.log10(k) / reach, f"{k:,}") for k in powers]
    label = f"{y_label} over {x_label}: {', '.join(line.name for line in series)}"
    return _figure(drawn, ticks, x_label, y_label, label, [line.name for line in series], top=1.0)


def histograms(
    groups: Sequence[tuple[str, NDArray[np.float64]]], *, x_label: str, y_label: str = "share"
) -> str:
    """How often values occur, as the share of each group's own; the groups lie over one another."""
    every = np.concatenate([values for _, values in groups])
    low, high = float(every.min()), float(every.max())
    edges = np.linspace(low, high if high > low else low + 1e-3, _BINS + 1)
    shares = [np.histogram(values, edges)[0] / max(1, len(values)) for _, values in groups]
    top = max(float(share.max()) for share in shares) or 1.0
    drawn = [_steps(share / top, _colour(at)) for at, share in enumerate(shares)]
    ticks = [(at / (_TICKS - 1), _short(low + (edges[-1] - low) * at / (_TICKS - 1))) for at in range(_TICKS)]
    label = f"{y_label} over {x_label}: {', '.join(name for name, _ in groups)}"
    return _figure(drawn, ticks, x_label, y_label, label, [name for name, _ in groups], top=top)


def _steps(heights: NDArray[np.float64], colour: str) -> str:
    points = [(_across(0), _up(0))]
    for at, height in enumerate(heights.tolist()):
        points += [(_across(at / len(heights)), _up(height)), (_across((at + 1) / len(heights)), _up(height))]
    points.append((_across(1), _up(0)))
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polygon points="{told}" fill="{colour}" fill-opacity=".35" stroke="{colour}" stroke-width="1.5"/>'
    )


def _figure(
    drawn: Sequence[str],
    ticks: Sequence[tuple[float, str]],
    x_label: str,
    y_label: str,
    label: str,
    names: Sequence[str],
    *,
    top: float,
) -> str:
    """The axes round what is drawn, and a legend below; `ticks` are those of the x axis, `top` is the highest y."""
    rows = [(at / (_TICKS - 1), f"{top * at / (_TICKS - 1):.2f}") for at in range(_TICKS)]
    grid = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_up(y):.1f}" y2="{_up(y):.1f}" class="grid"/>'
        f'<text x="{_LEFT - 6}" y="{_up(y) + 4:.1f}" text-anchor="end">{told}</text>'
        for y, told in rows
    )
    below = "".join(
        f'<text x="{_across(x):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{told}</text>'
        for x, told in ticks
    )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    axis = f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    legend = "".join(
        f'<li><span style="background:{_colour(at)}"></span>{escape(name)}</li>'
        for at, name in enumerate(names)
    )
    return (
        f'<figure class="chart"><figcaption>{escape(y_label)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">'
        f'{grid}{"".join(drawn)}{below}{axis}</svg><ul class="legend">{legend}</ul></figure>'
    )


def _short(value: float) -> str:
    """With two digits, and no minus before 0.00."""
    return f"{round(value, 2) + 0.0:.2f}"


def _across(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _up(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _colour(at: int) -> str:
    return _COLOURS[at % len(_COLOURS)]
