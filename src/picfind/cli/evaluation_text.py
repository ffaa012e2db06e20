"""An evaluation as text: tables of figures, of comparisons, of costs, and the worst queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from picfind import keys
from picfind.cli.options import counted
from picfind.datasets.base import IMAGE_TO_TEXT
from picfind.evaluation.results import Compared, Entry, Evaluation, Model, Result
from picfind.evaluation.scoring import FIRST_RANK, Told
from picfind.evaluation.statistics import Figure

Table = list[list[str]]
"""Rows of cells; the first row names the columns, the first cell of a row names it."""


def text(evaluation: Evaluation, *, worst: int = 0) -> str:
    """Everything for a terminal or a file, without colours."""
    parts = [heading(evaluation)]
    for result in evaluation.results:
        told = [summary(result), aligned(figures(result)), *map(sentence, result.compared)]
        parts.append("\n".join(told))
    parts.append("What they cost here\n" + aligned(costs(evaluation.models)))
    parts += worst_of(evaluation, worst)
    if evaluation.advice is not None:
        parts.append(advice(evaluation))
    return "\n\n".join(parts)


def heading(evaluation: Evaluation) -> str:
    """What was evaluated on."""
    same = ", all with the same words are right" if evaluation.same_words else ""
    return f"{keys.shown(evaluation.name)}: {counted(evaluation.pictures, 'picture')}{same}"


def summary(result: Result) -> str:
    """What was asked of how many."""
    trial = result.trial
    what = counted(trial.candidates, "text" if trial.task == IMAGE_TO_TEXT else "picture")
    number = len(trial.queries)
    asked = f"{trial.name}: {number:,} {'query' if number == 1 else 'queries'} of {what}"
    task = "" if trial.name == trial.task else f" ({trial.task})"
    folds = f", the mean over {len(trial.fields)} galleries" if len(trial.fields) > 1 else ""
    left = f"; {trial.left_out:,} without a right answer there are left out" if trial.left_out else ""
    return f"{asked}{task}{folds}{left}"


def figures(result: Result) -> Table:
    """A row for each measure, a column for each model."""
    names = list(result.entries[0].figures)
    rows = [["", *(keys.shown(entry.model) for entry in result.entries)]]
    rows += [[name, *(figure(entry.figures[name], name) for entry in result.entries)] for name in names]
    rows.append(["cosine of true pairs", *(f"{entry.scored.true_mean:.3f}" for entry in result.entries)])
    rows.append(["cosine of false pairs", *(f"{entry.scored.false_mean:.3f}" for entry in result.entries)])
    return rows


def figure(found: Figure, name: str) -> str:
    """A figure with its interval."""
    digits = 1 if name == FIRST_RANK else 3
    if found.low is None or found.high is None:
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def sentence(compared: Compared) -> str:
    """One comparison in words."""
    found = compared.difference
    ends = "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    p = "too few groups for a test" if found.p is None else f"p = {found.p:.4f}"
    better, other = keys.shown(compared.better), keys.shown(compared.other)
    return f"{better} - {other}: {compared.measure} {found.value:+.3f}{ends}, {p}"


def costs(models: Sequence[Model]) -> Table:
    """A row for each kind of cost, a column for each model."""
    rows = [["", *(keys.shown(model.name) for model in models)]]
    for label, field, unit in _COSTS:
        cells = [getattr(model.speed, field) for model in models]
        rows.append([label, *("-" if cell is None else f"{cell:,.1f}{unit}" for cell in cells)])
    rows.append(["files", *(f"{model.card.size_mb:,.1f} MB" for model in models)])
    rows.append(["licence", *(model.card.licence or "not stated" for model in models)])
    return rows


_COSTS = (
    ("a picture alone", "picture_ms", " ms"),
    ("a text alone", "text_ms", " ms"),
    ("pictures a second", "pictures_per_second", ""),
    ("texts a second", "texts_per_second", ""),
    ("peak memory", "memory_mb", " MB"),
)


def advice(evaluation: Evaluation) -> str:
    """Which model to take."""
    found = evaluation.advice
    if found is None:
        return ""
    reason = keys.shown(found.reason)
    return reason if found.model is None else f"Recommended: {keys.shown(found.model)}. {reason}"


def aligned(rows: Table) -> str:
    """Columns side by side, two blanks between."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def worst_of(evaluation: Evaluation, most: int) -> list[str]:
    """The worst queries of each model at each trial, at most so many."""
    return [_worst(result, entry, most) for result in evaluation.results for entry in result.entries if most]


def _worst(result: Result, entry: Entry, most: int) -> str:
    lines = [f"{result.trial.name}, worst of {keys.shown(entry.model)}"]
    for told in entry.scored.worst[:most]:
        lines += _lines(result, told)
    return "\n".join(lines)


def _lines(result: Result, told: Told) -> Iterator[str]:
    texts = result.trial.texts
    yield f"  rank {rank(told)}: {asked(told)}"
    yield f"    right: {named(told.answer, texts)} ({told.score:.3f})"
    first = ", ".join(f"{named(name, texts)} ({score:.3f})" for name, score, _ in told.first[:3])
    yield f"    first: {first}"


def rank(told: Told) -> str:
    """Where the first right answer stood; with a fraction where it is tied."""
    return f"{told.rank:,.0f}" if told.rank.is_integer() else f"{told.rank:,.1f}"


def asked(told: Told) -> str:
    """What was asked, on one line."""
    query = told.query
    return (
        keys.shown(" ".join(query.text.split()))
        if query.text is not None
        else keys.shown(query.picture or "")
    )


def named(name: str, texts: dict[str, str]) -> str:
    """A candidate on one line: a text as it is, a picture by its key."""
    return keys.shown(" ".join(texts.get(name, name).split()))
