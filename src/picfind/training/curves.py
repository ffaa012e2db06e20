"""Learning curves as an SVG that stands by itself: the loss above, what validation found below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP = 640, 180, 56, 150, 28
_COLOURS = ("#1f6f8b", "#d1495b", "#2e8b57", "#8e6c8a", "#c98a1b", "#555555", "#00a0a0")
_STEP = "step"
_MOST_POINTS = 600

Point = tuple[float, float]


def svg(losses: Sequence[float], figures: Sequence[Mapping[str, float]], *, title: str) -> str:
    """Both curves over the steps, as the text of an SVG file."""
    last = max(len(losses), 1)
    points = _thinned([(at, loss) for at, loss in enumerate(losses, start=1)])
    names = [name for name in (figures[0] if figures else {}) if name != _STEP]
    found = {name: [(row[_STEP], row[name]) for row in figures if name in row] for name in names}
    panels = [_panel({"loss": points}, last, 0), _panel(found, last, 1)]
    height = 2 * (_HEIGHT + _TOP) + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>\n'
        + "".join(panels)
        + f'<text x="{_LEFT + _WIDTH}" y="{height - 8}" text-anchor="end">steps</text>\n</svg>\n'
    )


def _panel(curves: Mapping[str, Sequence[Point]], last: int, number: int) -> str:
    top = _TOP + number * (_HEIGHT + _TOP)
    values = [value for points in curves.values() for _, value in points]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    high = high if high > low else low + 1

    def place(point: Point) -> str:
        x = _LEFT + _WIDTH * point[0] / last
        return f"{x:.1f},{top + _HEIGHT * (high - point[1]) / (high - low):.1f}"

    parts = [
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#bbb"/>\n',
        _label(_LEFT - 6, top + 10, f"{high:.3g}"),
        _label(_LEFT - 6, top + _HEIGHT, f"{low:.3g}"),
        _label(_LEFT + _WIDTH, top + _HEIGHT + 14, f"{last}"),
    ]
    for at, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[at % len(_COLOURS)]
        line = " ".join(map(place, points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>\n')
        y = top + 14 + 16 * at
        parts.append(f'<text x="{_LEFT + _WIDTH + 8}" y="{y}" fill="{colour}">{escape(name)}</text>\n')
    return "".join(parts)


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="end">{text}</text>\n'


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most some hundred points: the mean of each stretch."""
    size = -(-len(points) // _MOST_POINTS) or 1
    stretches = [points[at : at + size] for at in range(0, len(points), size)]
    return [(stretch[-1][0], sum(value for _, value in stretch) / len(stretch)) for stretch in stretches]
