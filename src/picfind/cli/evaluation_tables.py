"""An evaluation on a terminal: the tables of `evaluation_text`, ruled, the best figure of each row in bold."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from picfind.cli import evaluation_text
from picfind.evaluation.results import Evaluation, Result
from picfind.evaluation.scoring import FIRST_RANK


def show(evaluation: Evaluation, *, worst: int = 0, console: Console | None = None) -> None:
    """Print all of it."""
    console = console or Console()
    console.print(Text(evaluation_text.heading(evaluation), style="bold"))
    for result in evaluation.results:
        console.print(Text(f"\n{evaluation_text.summary(result)}"))
        console.print(_ruled(evaluation_text.figures(result), _best(result)))
        for compared in result.compared:
            console.print(Text(evaluation_text.sentence(compared)))
    console.print("\nWhat they cost here")
    console.print(_ruled(evaluation_text.costs(evaluation.models), {}))
    for text in evaluation_text.worst_of(evaluation, worst):
        console.print(Text(f"\n{text}"))
    if evaluation.advice is not None:
        console.print(Text(f"\n{evaluation_text.advice(evaluation)}", style="bold"))


def _ruled(rows: Sequence[Sequence[str]], best: dict[str, int]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in rows[0]:
        table.add_column(Text(name), overflow="fold")
    for row in rows[1:]:
        cells = [Text(cell, style="bold" if best.get(row[0]) == at else "") for at, cell in enumerate(row)]
        table.add_row(*cells)
    return table


def _best(result: Result) -> dict[str, int]:
    """The column of the best figure of each measure, where there are several models."""
    if len(result.entries) < 2:
        return {}
    found = {}
    for name in result.entries[0].figures:
        values = [entry.figures[name].value for entry in result.entries]
        best = min(values) if name == FIRST_RANK else max(values)
        if values.count(best) == 1:
            found[name] = values.index(best) + 1
    return found
