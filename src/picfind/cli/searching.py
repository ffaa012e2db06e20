"""`picfind search`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import picfind
from picfind.cli import answers, asking
from picfind.cli.answers import Form
from picfind.cli.asking import Against, Sort
from picfind.cli.options import (
    DONE,
    NOTHING_FOUND,
    GalleryFlag,
    JsonFlag,
    LikeFlag,
    ModelFlag,
    PathsFlag,
    Print0Flag,
    UnlikeFlag,
    say,
    settings_of,
)
from picfind.search.filters import parse_filters
from picfind.search.query import Query
from picfind.types import Read, Results


def search(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY", help="Words, ./photo.jpg, a URL, @- for stdin, and signs between them."
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--top", metavar="N", help="How many pictures.")] = 10,
    offset: Annotated[int, typer.Option(metavar="N", help="Pass over the first N: the next page.")] = 0,
    gallery: GalleryFlag = None,
    model: ModelFlag = None,
    against: Annotated[
        list[Against] | None,
        typer.Option(
            metavar="PART",
            help="What to match against: pictures, words (the meaning of what is said of them) or text (the very words). "
            "May be repeated; all of them unless given.",
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            metavar="PART=X",
            help="How much `pictures`, `words` or `text` count together: words=2.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            "-w",
            metavar="FILTER",
            help="Look only at pictures that fit: 'date>=2023 and camera~Canon'. May be repeated: all must fit.",
        ),
    ] = None,
    like: LikeFlag = None,
    unlike: UnlikeFlag = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Leave out what is less relevant than this, from 0 to 1; 0.5 is a good first try.",
        ),
    ] = None,
    sort: Annotated[
        Sort,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="Sort the hits by score, date (newest first) or path; with --min-score all relevant ones.",
        ),
    ] = Sort.SCORE,
    collapse: Annotated[
        bool, typer.Option("--collapse", help="Show near-identical pictures once, with their number.")
    ] = False,
    diversity: Annotated[
        float,
        typer.Option(metavar="X", help="Spread hits that are alike, from 0 to 1; 0.3 is a good first try."),
    ] = 0.0,
    index: Annotated[
        str | None,
        typer.Option(
            "--index", metavar="KIND", help="The kind of vector index: flat or faiss. Also PICFIND_INDEX."
        ),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Say below each hit what it matched on.")] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show thumbnails, as far as the terminal can.")
    ] = False,
    preview_as: Annotated[
        str | None, typer.Option(metavar="KIND", help="Write them as kitty, iterm2, sixel or blocks.")
    ] = None,
    as_json: JsonFlag = False,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object a line, one for each hit.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table.")] = False,
    paths: PathsFlag = False,
    print0: Print0Flag = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with thumbnails.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a figure (needs the extra `plot`).")
    ] = None,
) -> None:
    """Search by words, by pictures, or by both. Exits with 0 when something was found, 1 when nothing was."""
    form = asking.form(as_json=as_json, as_jsonl=as_jsonl, as_csv=as_csv, paths=paths, print0=print0)
    settings = settings_of(gallery=gallery, model=model or None, index=index)
    asked = Query(
        asking.terms(query or (), settings),
        k,
        against=asking.against(against or ()),
        where=parse_filters(where or ()),
        judged=form not in (Form.PATHS, Form.PRINT0),
        min_score=min_score,
        weights=asking.weights(weight or ()),
        sort=sort.value,
        offset=offset,
        collapse=collapse,
        diversity=diversity,
        liked=asking.examples(like or (), settings),
        disliked=asking.examples(unlike or (), settings),
    )
    with picfind.open(settings=settings, create=False) as opened:
        results = opened.answer(asked)
        for warning in results.warnings:
            say(f"picfind: {warning}")
        question = " ".join(query or like or ())
        if form is Form.TEXT and (preview or preview_as):
            _preview(results, preview_as, offset, opened.read)
        else:
            answers.show(results, form, question, first=offset + 1, why=why)
        _write(results, question, html=html, plot=plot, read=opened.read)
    raise typer.Exit(DONE if results.hits else NOTHING_FOUND)


def _preview(results: Results, how: str | None, offset: int, read: Read) -> None:
    from picfind.cli import previews

    previews.show(results, how=how or previews.AUTO, stream=sys.stdout, first=offset + 1, read=read)


def _write(results: Results, question: str, *, html: Path | None, plot: Path | None, read: Read) -> None:
    if html is not None:
        from picfind.cli import pages

        pages.write(html, [(question, results)], read=read)
        say(f"Wrote {html}.")
    if plot is not None:
        from picfind.cli import plots

        plots.write(plot, results, question, read=read)
        say(f"Wrote {plot}.")
