"""An evaluation as one HTML page: tables, charts, and rankings with their pictures. Nothing is loaded from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from picfind import keys
from picfind.cli import charts, evaluation_text, pages
from picfind.datasets.base import IMAGE_TO_TEXT
from picfind.errors import PictureError
from picfind.evaluation.results import Entry, Evaluation, Result
from picfind.evaluation.scoring import Told
from picfind.images import Limits, decode, read_limited, thumbnail_jpeg
from picfind.types import Item

_SIDE = 176
_STYLE = """
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { border-bottom: 1px solid var(--edge); padding: .25rem .9rem .25rem 0; text-align: start; white-space: nowrap; }
thead th { vertical-align: bottom; }
.charts { display: grid; gap: 1rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); max-width: 72rem; }
.chart { margin: 0; max-width: 34rem; } .chart figcaption { font-size: .85rem; }
.chart svg { display: block; height: auto; width: 100%; }
.chart text { fill: currentColor; font-size: 11px; } .grid { stroke: currentColor; stroke-opacity: .18; }
.legend { display: flex; flex-wrap: wrap; font-size: .85rem; gap: .2rem 1rem; list-style: none; margin: .2rem 0 0; padding: 0; }
.legend span { border-radius: .15rem; display: inline-block; height: .7rem; margin-inline-end: .35rem; width: .7rem; }
h3.part { font-size: 1.05rem; margin: 1.4rem 0 .3rem; } .asked { border-top: 1px solid var(--edge); padding: .7rem 0; }
.asked > p { margin: 0 0 .4rem; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: .6rem; list-style: none; margin: 0; padding: 0; }
.row li { font-size: .8rem; overflow-wrap: anywhere; width: 9.5rem; }
.row li.wide { width: min(100%, 16rem); }
.row img, .row .lost { background: var(--tint); display: block; height: 7.5rem; object-fit: contain; width: 100%; }
.row .lost { align-content: center; text-align: center; }
.row .right { outline: 3px solid #2f9d78; outline-offset: 2px; }
"""


def write(path: Path, evaluation: Evaluation) -> None:
    """Write the page. Raises UsageError when the file cannot be written."""
    pages.save(path, render(evaluation))


def render(evaluation: Evaluation) -> str:
    """The page; everything that comes from outside is escaped."""
    parts = [f"<style>{_STYLE}</style>", f"<p>{escape(evaluation_text.heading(evaluation))}</p>"]
    parts += [f'<p class="note">{escape(keys.shown(warning))}</p>' for warning in evaluation.warnings]
    if evaluation.advice is not None:
        parts.append(f"<h2>Which model</h2>\n<p>{escape(evaluation_text.advice(evaluation))}</p>")
    pictures = _Pictures(evaluation)
    parts += [_section(result, pictures) for result in evaluation.results]
    parts.append(f"<section>\n<h2>Cost</h2>\n{_table(evaluation_text.costs(evaluation.models))}\n</section>")
    parts.append(
        "<p>In brackets: 95 % intervals, by a bootstrap over groups of queries. p: a randomisation test of the "
        f"difference, not corrected for several comparisons. Drawn by seed {evaluation.seed}.</p>"
    )
    return pages.document("\n".join(parts), title=f"evaluation of {evaluation.name}")


def _section(result: Result, pictures: _Pictures) -> str:
    parts = [f"<h2>{escape(result.trial.name)}</h2>", f"<p>{escape(evaluation_text.summary(result))}</p>"]
    parts.append(_table(evaluation_text.figures(result)))
    parts += [f"<p>{escape(evaluation_text.sentence(compared))}</p>" for compared in result.compared]
    parts.append(f'<div class="charts">{_curves(result)}{"".join(map(_histogram, result.entries))}</div>')
    for entry in result.entries:
        name = escape(keys.shown(entry.model))
        for label, some in (
            ("The worst queries", entry.scored.worst),
            ("Some others", entry.scored.examples),
        ):
            if some:
                parts.append(f'<h3 class="part">{label}, {name}</h3>')
                parts += [_asked(result, told, pictures) for told in some]
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows[1:]
    )
    return (
        f'<div class="scroll" role="region" aria-label="Figures" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n'
        "</table></div>"
    )


def _curves(result: Result) -> str:
    """hit_at over k; recall_at too where queries have several right answers."""
    drawn = [_curve(result, "hit_at(k)", lambda entry: entry.scored.curve.hit)]
    if any(len(query.right) > 1 for query in result.trial.queries):
        drawn.append(_curve(result, "recall_at(k)", lambda entry: entry.scored.curve.recall))
    return "".join(drawn)


def _curve(result: Result, label: str, values: Callable[[Entry], tuple[float, ...]]) -> str:
    series = [
        charts.Line(keys.shown(entry.model), entry.scored.curve.k, values(entry)) for entry in result.entries
    ]
    return charts.lines(series, x_label="k", y_label=label)


def _histogram(entry: Entry) -> str:
    groups = [("true pairs", entry.scored.true), ("false pairs", entry.scored.false)]
    label = f"share of pairs, {keys.shown(entry.model)}"
    return charts.histograms(
        [(name, some) for name, some in groups if len(some)], x_label="cosine", y_label=label
    )


def _asked(result: Result, told: Told, pictures: _Pictures) -> str:
    """One query: what was asked, where its answer stood, and what came first."""
    query, texts = told.query, result.trial.texts
    heading = (
        f"<p><strong>Rank {evaluation_text.rank(told)}</strong>: {escape(evaluation_text.asked(told))}</p>"
    )
    cells = []
    if query.picture is not None:
        cells.append(pictures.cell(query.picture, "asked"))
    shown = {name for name, _, _ in told.first}
    ranked = [(name, score, right, f"{at}.") for at, (name, score, right) in enumerate(told.first, start=1)]
    if told.answer not in shown:
        ranked.insert(0, (told.answer, told.score, True, "right:"))
    for name, score, right, place in ranked:
        label = f"{place} {score:.3f}{', right' if right and place != 'right:' else ''}"
        if result.trial.task == IMAGE_TO_TEXT:
            cells.append(_words(evaluation_text.named(name, texts), label, right=right))
        else:
            cells.append(pictures.cell(name, label, right=right))
    return f'<div class="asked">{heading}<ul class="row">{"".join(cells)}</ul></div>'


def _words(text: str, label: str, *, right: bool) -> str:
    mark = ' class="wide right"' if right else ' class="wide"'
    return f"<li{mark}>{escape(label)}<br>{escape(text)}</li>"


class _Pictures:
    """The thumbnails of a page, each read once."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._items = evaluation.items
        self._made: dict[str, str] = {}

    def cell(self, key: str, label: str, *, right: bool = False) -> str:
        """A picture with a label below it."""
        if key not in self._made:
            self._made[key] = _image(self._items.get(key), key)
        mark = ' class="right"' if right else ""
        return f"<li{mark}>{self._made[key]}{escape(label)}<br>{escape(keys.shown(key))}</li>"


def _image(item: Item | None, key: str) -> str:
    if item is None:
        return '<p class="lost">not there now</p>'
    try:
        with item.open() as file:
            image = decode(read_limited(file, Limits()), at_least=_SIDE).image
    except (OSError, PictureError):
        return '<p class="lost">not there now</p>'
    data = base64.b64encode(thumbnail_jpeg(image, side=_SIDE)).decode("ascii")
    return f'<img alt="{escape(keys.shown(key), quote=True)}" src="data:image/jpeg;base64,{data}">'
