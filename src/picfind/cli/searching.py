"""`picfind search`."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

import picfind
from picfind.cli import answers
from picfind.cli.options import DONE, NOTHING_FOUND, GalleryFlag, JsonFlag, ModelFlag, say, settings_of
from picfind.search.filters import parse_filters
from picfind.search.query import EVERYTHING, TERMINAL, Query, parse
from picfind.types import Results


class Against(enum.Enum):
    """What a query is matched against."""

    PICTURES = "pictures"
    WORDS = "words"
    BOTH = "both"


_AGAINST = {Against.PICTURES: ("pictures",), Against.WORDS: ("words",), Against.BOTH: EVERYTHING}


def search(
    query: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY", help='Words, ./photo.jpg, @- for stdin: "2:a dog" + ./beach.jpg - people'
        ),
    ],
    k: Annotated[int, typer.Option("-k", "--top", metavar="N", help="How many pictures.")] = 10,
    gallery: GalleryFlag = None,
    model: ModelFlag = None,
    against: Annotated[
        Against,
        typer.Option(help="What to match against: the pictures, the words that belong to them, or both."),
    ] = Against.BOTH,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            metavar="PART=X",
            help="How much `pictures` or `words` count where both are matched: words=2.",
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
    min_score: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Leave out what is less relevant than this, from 0 to 1; 0.5 is a good first try.",
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index", metavar="KIND", help="The kind of vector index: flat or faiss. Also PICFIND_INDEX."
        ),
    ] = None,
    as_json: JsonFlag = False,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object a line, one for each hit.")
    ] = False,
    paths: Annotated[bool, typer.Option("--paths", "-f", help="Print paths only, one a line.")] = False,
    print0: Annotated[
        bool, typer.Option("--print0", "-0", help="Print paths only, raw, each ended by a NUL: for xargs -0.")
    ] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with thumbnails.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a figure (needs the extra `plot`).")
    ] = None,
) -> None:
    """Search by words, by pictures, or by both. Exits with 0 when something was found, 1 when nothing was."""
    form = _form(as_json, as_jsonl, paths, print0)
    filters = parse_filters(where or ())
    terms = parse(query, allow=TERMINAL, stdin=lambda: sys.stdin.buffer.read())
    with picfind.open(
        settings=settings_of(gallery=gallery, model=model or None, index=index), create=False
    ) as opened:
        judged = form in ("json", "jsonl")
        results = opened.answer(
            Query(terms, k, _AGAINST[against], filters, judged, min_score, _weights(weight or []))
        )
    for warning in results.warnings:
        say(f"picfind: {warning}")
    _show(results, form, " ".join(query))
    if html is not None:
        _write_page(html, results, " ".join(query))
    if plot is not None:
        from picfind.cli import plots

        plots.write(plot, results, " ".join(query))
    raise typer.Exit(DONE if results.hits else NOTHING_FOUND)


def _weights(given: list[str]) -> dict[str, float]:
    weights = {}
    for entry in given:
        part, _, number = entry.partition("=")
        try:
            weights[part.strip()] = float(number)
        except ValueError as error:
            raise typer.BadParameter(f"--weight {entry}: write it as words=2.") from error
    return weights


def _form(as_json: bool, as_jsonl: bool, paths: bool, print0: bool) -> str:
    chosen = [
        name
        for name, wanted in (("json", as_json), ("jsonl", as_jsonl), ("paths", paths), ("print0", print0))
        if wanted
    ]
    if len(chosen) > 1:
        raise typer.BadParameter(
            f"--{chosen[0]} and --{chosen[1]} cannot go together: choose one form of output."
        )
    return chosen[0] if chosen else "text"


def _show(results: Results, form: str, question: str) -> None:
    if form == "print0":
        sys.stdout.buffer.write(answers.print0(results))
        sys.stdout.buffer.flush()
        return
    write = {"json": answers.document, "jsonl": answers.lines, "paths": answers.paths, "text": answers.text}[
        form
    ]
    told = write(results, question)
    if told:
        typer.echo(told)


def _write_page(path: Path, results: Results, question: str) -> None:
    from picfind.cli import pages

    pages.write(path, [(question, results)])
    say(f"Wrote {path}.")
