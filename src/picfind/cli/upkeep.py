"""`picfind status`, `roots`, `forget`, `doctor` and `compact`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

import picfind
from picfind import keys
from picfind.api import Gallery
from picfind.cli.options import DONE, FAILED, GalleryFlag, JsonFlag, counted, say, settings_of, sized
from picfind.errors import UsageError
from picfind.storage import health, roots, upkeep
from picfind.types import PAIR, PICTURE, WORDS

_SHOWN_REFUSALS = 10


def _open(gallery: Path | None) -> Gallery:
    return picfind.open(settings=settings_of(gallery=gallery), create=False)


def status(
    gallery: GalleryFlag = None,
    refusals: Annotated[
        bool, typer.Option("--refusals", help="List every picture that could not be used.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say what is in the gallery, and what could not be used."""
    with _open(gallery) as opened:
        told = upkeep.status(opened.store)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    typer.echo(f"gallery   {told['gallery']}{'' if told['writable'] else ' (read-only)'}")
    typer.echo(f"pictures  {told['pictures']:,} under {counted(told['names'], 'name')}")
    for root in told["roots"]:
        lost = "" if root["present"] else "  (not there now)"
        typer.echo(f"root      {keys.shown(root['source'])}  {root['names']:,}{lost}")
    for space in told["spaces"]:
        typer.echo(
            f"model     {space['name']}@{space['revision']}  {space['vectors']:,} x {space['dim']}, "
            f"{sized(space['bytes'])}, of {_KINDS[space['kind']]}{_with_regions(space)}{'' if space['in_use'] else ', not in use'}"
            f"{_lacking(space)}"
        )
    _list_refusals(told["refusals"], everything=refusals)


_KINDS = {PICTURE: "pictures", WORDS: "words", PAIR: "pictures with their words"}


def _with_regions(space: dict[str, Any]) -> str:
    return f", {space['with_regions']:,} with regions" if space["with_regions"] else ""


def _lacking(space: dict[str, Any]) -> str:
    return f", {space['lacking']:,} still to encode" if space["lacking"] else ""


def _list_refusals(refused: list[dict[str, Any]], *, everything: bool) -> None:
    typer.echo(f"refused   {len(refused):,}")
    for entry in refused if everything else refused[:_SHOWN_REFUSALS]:
        typer.echo(f"  {keys.shown(entry['path'])}: {entry['reason']}")
    if len(refused) > _SHOWN_REFUSALS and not everything:
        typer.echo(f"  ... and {len(refused) - _SHOWN_REFUSALS:,} more: --refusals lists them all")


roots_app = typer.Typer(
    help="List the places that pictures come from, or say that one has moved.", rich_markup_mode=None
)


@roots_app.callback(invoke_without_command=True)
def list_roots(ctx: typer.Context, gallery: GalleryFlag = None) -> None:
    """List the places that pictures come from, or say that one has moved."""
    if ctx.invoked_subcommand is not None:
        return
    with _open(gallery) as opened:
        for root in roots.roots(opened.store.catalog):
            typer.echo(keys.shown(root.source))


@roots_app.command("move")
def move_root(
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="Where the root was, or its name as `picfind roots` lists it."),
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Where it is now.")],
    gallery: GalleryFlag = None,
) -> None:
    """Say that a folder has moved, with the datasets that lie there. Nothing is read or encoded again."""
    with _open(gallery) as opened, opened.store.writing():
        catalog = opened.store.catalog
        named = any(root.source == old for root in roots.roots(catalog))
        location = old if named else roots.location_of(Path(old))
        if not _is_like(roots.moving(catalog, location), keys.absolute(new)):
            raise UsageError(f"There is no folder {new}. Name the place where the pictures lie now.")
        roots.move_root(catalog, location, roots.location_of(new))


def _is_like(moved: list[roots.Root], new: Path) -> bool:
    """Whether what lies at the new place is a folder; a list of URLs is a file, and so may others be."""
    return os.path.isdir(new) or (
        os.path.exists(new) and bool(moved) and all(root.kind != roots.FOLDER_KIND for root in moved)
    )


def forget(
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help="A root, a folder below one, a picture, a dataset by its name."),
    ] = None,
    gallery: GalleryFlag = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also remove the vectors of all that no longer has a name.")
    ] = False,
) -> None:
    """Take pictures out of the gallery. No picture's file is ever touched: the next `index` of its folder adds it again."""
    if path is None and not purge:
        raise UsageError(
            "Say what to forget: a root, a folder below one, or a picture. `picfind roots` lists roots."
        )
    with _open(gallery) as opened:
        if path is not None:
            say(f"Forgot {counted(opened.forget(path), 'name')}.")
        if purge:
            say(f"Purged {counted(opened.purge(), 'picture')}.")


def doctor(
    gallery: GalleryFlag = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
) -> None:
    """Check the gallery: its catalog, every vector file's checksum, stray files, missing roots."""
    with _open(gallery) as opened:
        if repair:
            for done in health.repair(opened.store):
                say(f"mended: {done}")
        findings = health.check(opened.store)
        missing = [root for root in roots.roots(opened.store.catalog) if not upkeep.is_present(root)]
    for finding in findings:
        typer.echo(f"{finding.what}{' (--repair mends it)' if finding.mendable else ''}")
    for root in missing:
        drive = (
            f" Its drive was mounted at {keys.shown(root.volume)}." if root.volume not in (None, "/") else ""
        )
        typer.echo(
            f"the root {keys.shown(root.source)} is not there now.{drive} If it moved: picfind roots move OLD NEW"
        )
    if not findings and not missing:
        typer.echo("All is well.")
    raise typer.Exit(FAILED if findings else DONE)


def compact(gallery: GalleryFlag = None) -> None:
    """Merge the files of vectors and give unused space back to the disk."""
    with _open(gallery) as opened:
        opened.compact()
