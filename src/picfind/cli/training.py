"""`picfind train`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from picfind.cli import bars
from picfind.cli.options import counted, say, settings_of

if TYPE_CHECKING:
    from picfind.training.features import Told
    from picfind.training.loop import Progress
    from picfind.training.publishing import Published
    from picfind.training.run import Begun

_SHOWN_NOTES = 5


def train_command(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe that comes with picfind, or a TOML file.")
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", metavar="SOURCE", help="Pictures with captions to learn from; may be repeated."
        ),
    ] = None,
    dev: Annotated[
        list[str] | None,
        typer.Option(
            "--dev", metavar="SOURCE", help="What to judge by; without it a share of --data is held out."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The new model's name; else the recipe's.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run's folder: checkpoints, curves. Else NAME.run."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change the recipe: schedule.epochs=3; may be repeated."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Train a model by a recipe, and keep it as any other. Needs the extra `train`, which brings torch."""
    from picfind.training.recipe import load_recipe
    from picfind.training.run import train, with_data

    stem, read = load_recipe(recipe, changes or ())
    called = name or stem
    with _bar(quiet=quiet) as bar:
        running = train(
            with_data(read, data or (), dev or ()),
            name=called,
            out=out or Path(f"{called}.run"),
            settings=settings_of(),
            resume=resume,
            told=bar.told,
        )
        with closing(running) as reports:
            published = _followed(reports, bar, quiet=quiet)
    if published is not None:
        _show(published)


def _followed(reports: Iterator[Begun | Progress | Published], bar: _Bar, *, quiet: bool) -> Published | None:
    from picfind.training.run import Begun

    for report in reports:
        if isinstance(report, Begun):
            if not quiet:
                _tell_data(report)
        elif hasattr(report, "folder"):
            return report  # type: ignore[return-value]
        else:
            bar.step(report)
    return None


def _tell_data(begun: Begun) -> None:
    say(
        f"{counted(begun.pictures, 'picture')} with {counted(begun.captions, 'caption')}, judged by "
        f"{begun.judged_by:,} others."
    )
    for note in begun.notes[:_SHOWN_NOTES]:
        say(f"  {note}")
    if len(begun.notes) > _SHOWN_NOTES:
        say(f"  ... and {len(begun.notes) - _SHOWN_NOTES} more.")


def _show(published: Published) -> None:
    for line in published.notes[-1:]:
        say(f"  {line}")
    for figure, value in published.figures.items():
        typer.echo(f"{figure:26} {value:.3f}")
    typer.echo(f"{published.name}  {published.folder}")
    say(f"Use it with: --model {published.name}")


class _Bar:
    """Tells of preparation, steps and validations: a bar where somebody looks, else a line for each that takes long."""

    def __init__(self, shown: Any, *, quiet: bool) -> None:
        self._shown, self._quiet = shown, quiet
        self._tasks: dict[str, Any] = {}

    @property
    def told(self) -> Told:
        return self._move

    def step(self, report: Progress) -> None:
        self._move("training", report.step, report.steps, f"loss {report.loss:.3f}")
        if report.figures is not None and not self._quiet:
            found = ", ".join(
                f"{name} {value:.3f}" for name, value in report.figures.items() if name in _TOLD
            )
            mark = " (best so far)" if report.is_best else ""
            self._say(f"epoch {report.epoch}, step {report.step:,}: loss {report.loss:.3f}, {found}{mark}")
        if report.stopped and not self._quiet:
            self._say("No gain for some time: stopped early.")

    def _move(self, what: str, done: int, all_: int, beside: str = "") -> None:
        if self._shown is None:
            if what not in self._tasks and not beside and not self._quiet:
                say(f"{what}: {all_:,}")
            self._tasks.setdefault(what, None)
            return
        if what not in self._tasks:
            self._tasks[what] = self._shown.add_task(what, total=all_, beside=beside)
        self._shown.update(self._tasks[what], completed=done, total=all_, beside=beside)

    def _say(self, line: str) -> None:
        if self._shown is None:
            say(line)
        else:
            self._shown.console.print(line, highlight=False, markup=False)


_TOLD = ("text_to_image hit_at(10)", "image_to_text hit_at(10)", "mrr")


@contextmanager
def _bar(*, quiet: bool) -> Iterator[_Bar]:
    if quiet or not sys.stderr.isatty():
        yield _Bar(None, quiet=quiet)
        return
    with bars.counting("beside") as shown:
        yield _Bar(shown, quiet=quiet)
