"""`picfind evaluate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from picfind import encoders
from picfind.cli import bars
from picfind.cli.options import GalleryFlag, JsonFlag, say, settings_of
from picfind.errors import UsageError

if TYPE_CHECKING:
    from picfind.evaluation.results import Evaluation
    from picfind.evaluation.running import Options, Progress
    from picfind.settings import Settings


def evaluate(
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATASET]",
            show_default=False,
            help="A judged dataset: labelled:FOLDER, table:FILE#dev, coco:FOLDER#test, ... Without one, the gallery's own "
            "pictures are asked for.",
        ),
    ] = None,
    gallery: GalleryFlag = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help="A model to measure; repeat it to compare several. Also PICFIND_MODEL.",
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="text_to_image, image_to_text or image_to_image; may be repeated. All that there are queries of unless given.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take so many pictures, drawn by the seed.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Ask galleries of so many pictures in turn: 1000 for the 1K protocol."
        ),
    ] = None,
    worst: Annotated[
        int, typer.Option(min=0, metavar="N", help="List so many of the worst queries of each model.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="What is drawn is drawn by this number.")] = 0,
    same: Annotated[
        bool,
        typer.Option(
            "--same-words", help="Count every picture with the same words as right: for names of products."
        ),
    ] = False,
    as_json: JsonFlag = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with charts and example rankings.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Measure how well models find, on a judged dataset or on the gallery's own pictures, and compare them.

    With a dataset, --gallery keeps the vectors of its pictures for the next time. Without one, queries are made of the
    gallery's captions, folders and altered copies, and a model is recommended.
    """
    from picfind.evaluation.running import Options

    settings = settings_of(gallery=gallery, model=model or None)
    told = worst or (10 if as_json or html else 0)
    examples = 5 if html else 0
    options = Options(
        tuple(task or ()), limit, folds, worst=told, examples=examples, seed=seed, same_words=same
    )
    if html is not None:
        _check_place(html)
    with _progress(quiet=quiet) as progress:
        if dataset is None:
            found = _own(settings, options, progress)
        else:
            found = _judged(dataset, gallery, settings, options, progress)
    for warning in found.warnings:
        say(f"picfind: {warning}")
    if as_json:
        from picfind.evaluation.results import plain

        typer.echo(json.dumps(plain(found), ensure_ascii=False, indent=2))
    else:
        _show(found, worst)
    if html is not None:
        from picfind.cli import evaluation_page

        evaluation_page.write(html, found)


def _check_place(page: Path) -> None:
    """See early that a page can be written, which comes after hours of work. Raises UsageError."""
    path = page.expanduser()
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent} for the page. Make it, or name another one.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Name a file in it for the page.")


def _judged(
    name: str, gallery: Path | None, settings: Settings, options: Options, progress: Progress
) -> Evaluation:
    from dataclasses import replace

    from picfind.datasets import open_source, with_queries
    from picfind.evaluation.running import evaluate as measured

    dataset = with_queries(open_source(name, settings))
    models = settings.model or (encoders.default(settings).name,)
    kept = settings.gallery if gallery is not None else None
    return replace(
        measured(dataset, models, settings, options=options, gallery=kept, progress=progress), name=name
    )


def _own(settings: Settings, options: Options, progress: Progress) -> Evaluation:
    from picfind.evaluation.own import evaluate_own
    from picfind.storage.store import Store

    store = Store.open(settings.gallery)
    try:
        return evaluate_own(store, settings.model, settings, options=options, progress=progress)
    finally:
        store.close()


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """A bar on stderr where a person looks at it."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, due: None
        return
    with bars.counting(transient=True) as shown:
        bar = shown.add_task("", total=None)

        def tell(what: str, done: int, due: int) -> None:
            if shown.tasks[bar].description != what:
                shown.reset(bar, description=what, total=due or None)
            shown.update(bar, completed=done, total=due or None)

        yield tell


def _show(found: Evaluation, worst: int) -> None:
    if not sys.stdout.isatty():
        from picfind.cli import evaluation_text

        typer.echo(evaluation_text.text(found, worst=worst))
        return
    from picfind.cli import evaluation_tables

    evaluation_tables.show(found, worst=worst)
