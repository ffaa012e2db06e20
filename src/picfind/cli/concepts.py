"""`picfind concepts`: queries with ticked and crossed pictures, kept under a name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

import picfind
from picfind import keys
from picfind.api import Gallery
from picfind.cli import answers, asking
from picfind.cli.options import (
    DONE,
    FAILED,
    NOTHING_FOUND,
    GalleryFlag,
    JsonFlag,
    LikeFlag,
    PathsFlag,
    Print0Flag,
    UnlikeFlag,
    counted,
    say,
    settings_of,
)
from picfind.concepts import MIN_SCORE, Concept, Refreshed, Way
from picfind.errors import UsageError

concepts_app = typer.Typer(
    no_args_is_help=True, help="Keep what was asked, ticked and crossed under a name: a smart album."
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The concept's name.")]
PicturesArgument = Annotated[
    list[str],
    typer.Argument(metavar="PICTURE...", help="Pictures of the gallery: ./photo.jpg or sha256:596aa1e7."),
]


@concepts_app.command("save")
def save(
    name: NameArgument,
    query: Annotated[
        list[str] | None, typer.Argument(metavar="[QUERY]", help="What to search for, as for `search`.")
    ] = None,
    like: LikeFlag = None,
    unlike: UnlikeFlag = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", "-w", metavar="FILTER", help="As for `search`.")
    ] = None,
    min_score: Annotated[
        float, typer.Option(metavar="X", help="The least relevance of a member, from 0 to 1.")
    ] = MIN_SCORE,
    best: Annotated[
        bool, typer.Option("--best", help="The best 100 are members, however relevant they are.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In place of the one of this name.")] = False,
    gallery: GalleryFlag = None,
) -> None:
    """Keep a query, examples, or both under a name. `picfind search @NAME` then searches with it."""
    settings = settings_of(gallery=gallery)
    with picfind.open(settings=settings, create=False) as opened:
        saved = opened.concepts.save(
            name,
            asking.terms(query or [], settings),
            liked=asking.examples(like or [], settings),
            disliked=asking.examples(unlike or [], settings),
            where=where or (),
            min_score=None if best else min_score,
            replace=replace,
        )
        try:
            changes = opened.concepts.refresh(saved.name)
        except UsageError:
            if not replace:
                opened.concepts.drop(saved.name)  # what cannot be searched for, such as terms that cancel out
            raise
        _tell(changes, "Saved")


@concepts_app.command("list")
def list_(gallery: GalleryFlag = None, as_json: JsonFlag = False) -> None:
    """List the concepts of the gallery."""
    with _open(gallery) as opened:
        every = opened.concepts.all()
    if as_json:
        typer.echo(json.dumps([_record(concept) for concept in every], ensure_ascii=False, indent=2))
        return
    for concept in every:
        typer.echo(f"{concept.name}: {_described(concept)}")
    if not every:
        say("No concept has been saved yet: picfind concepts save NAME QUERY.")


@concepts_app.command("show")
def show(
    name: NameArgument,
    gallery: GalleryFlag = None,
    as_json: JsonFlag = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a table: rank, score, relevance, path.")
    ] = False,
    paths: PathsFlag = False,
    print0: Print0Flag = False,
) -> None:
    """Show the members of a concept as the gallery is now, best first. Exits with 1 where it has none."""
    form = asking.form(as_json=as_json, as_csv=as_csv, paths=paths, print0=print0)
    with _open(gallery) as opened:
        results = opened.concepts.members(name)
    _warn(results.warnings)
    answers.show(results, form, f"@{name}")
    raise typer.Exit(DONE if results.hits else NOTHING_FOUND)


@concepts_app.command("refresh")
def refresh(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which concepts; all of them unless given."),
    ] = None,
    gallery: GalleryFlag = None,
) -> None:
    """Say which pictures are new in a concept and which have left since the last time."""
    failed = False
    with _open(gallery) as opened:
        for name in names or [concept.name for concept in opened.concepts.all()]:
            try:
                _tell_all(opened.concepts.refresh(name))
            except UsageError as error:  # the others can be refreshed all the same
                say(f"picfind: {keys.shown(name)}: {error}")
                failed = True
    if failed:
        raise typer.Exit(FAILED)


@concepts_app.command("tick")
def tick(name: NameArgument, pictures: PicturesArgument, gallery: GalleryFlag = None) -> None:
    """Say that pictures belong to a concept: more like these."""
    settings = settings_of(gallery=gallery)
    with _open(gallery) as opened:
        say(_examples_told(opened.concepts.tick(name, asking.examples(pictures, settings))))


@concepts_app.command("cross")
def cross(name: NameArgument, pictures: PicturesArgument, gallery: GalleryFlag = None) -> None:
    """Say that pictures do not belong to a concept: less like those."""
    settings = settings_of(gallery=gallery)
    with _open(gallery) as opened:
        say(_examples_told(opened.concepts.cross(name, asking.examples(pictures, settings))))


@concepts_app.command("rename")
def rename(
    name: NameArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    gallery: GalleryFlag = None,
) -> None:
    """Give a concept another name."""
    with _open(gallery) as opened:
        opened.concepts.rename(name, new)


@concepts_app.command("drop")
def drop(name: NameArgument, gallery: GalleryFlag = None) -> None:
    """Forget a concept. No picture is touched."""
    with _open(gallery) as opened:
        opened.concepts.drop(name)
    say(f"Dropped {keys.shown(name)}.")


@concepts_app.command("export")
def export(
    name: NameArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder, which is made.")],
    link: Annotated[
        bool, typer.Option("--link", help="Link to the files instead of copying them (symbolic links).")
    ] = False,
    hard_link: Annotated[
        bool, typer.Option("--hard-link", help="Give the files second names there; on the same drive only.")
    ] = False,
    gallery: GalleryFlag = None,
) -> None:
    """Copy the members of a concept into a folder. Nothing that lies there is overwritten."""
    if link and hard_link:
        raise typer.BadParameter("Choose --link or --hard-link.")
    way = Way.SYMLINK if link else Way.HARD_LINK if hard_link else Way.COPY
    with _open(gallery) as opened:
        done = opened.concepts.export(name, folder, way=way)
    for place in done.missing:
        say(f"picfind: {keys.shown(place)} is not there now.")
    known = f", {len(done.known):,} there already" if done.known else ""
    say(f"{counted(len(done.written), 'picture')} written to {keys.shown(str(folder))}{known}.")


def _open(gallery: Path | None) -> Gallery:
    return picfind.open(settings=settings_of(gallery=gallery), create=False)


def _described(concept: Concept) -> str:
    """What a concept asks for, in a line."""
    asked = [concept.question] if concept.question else []
    asked += [
        f"{len(some):,} {what}"
        for what, some in (("liked", concept.liked), ("disliked", concept.disliked))
        if some
    ]
    if concept.where:
        asked.append(f"where {concept.where}")
    asked.append("the best 100" if concept.min_score is None else f"relevance from {concept.min_score:g}")
    return keys.shown(", ".join(asked))


def _examples_told(concept: Concept) -> str:
    return f"{concept.name}: {len(concept.liked):,} liked, {len(concept.disliked):,} disliked."


def _tell(changes: Refreshed, done: str) -> None:
    _warn(changes.warnings)
    differences = f", {len(changes.new):,} new, {len(changes.left):,} left" if not done else ""
    typer.echo(
        f"{done + ' ' if done else ''}{changes.name}: {counted(changes.count, 'picture')}{differences}"
    )


def _tell_all(changes: Refreshed) -> None:
    _tell(changes, "")
    for hit in changes.new:
        typer.echo(f"  new   {keys.shown(hit.path)}")
    for content, place in changes.left:
        typer.echo(f"  left  {keys.shown(place) if place else f'sha256:{content}'}")


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        say(f"picfind: {warning}")


def _record(concept: Concept) -> dict[str, Any]:
    return {
        "name": concept.name,
        "query": concept.question,
        "where": concept.where,
        "min_score": concept.min_score,
        "liked": list(concept.liked),
        "disliked": list(concept.disliked),
        "added": _time(concept.added),
        "refreshed": _time(concept.refreshed),
    }


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
