"""`picfind duplicates`."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import picfind
from picfind import keys
from picfind.cli import bars
from picfind.cli import duplicates_shown as shown
from picfind.cli.options import DONE, FAILED, NOTHING_FOUND, GalleryFlag, JsonFlag, counted, say, settings_of
from picfind.duplicates import (
    ALIKE,
    EXACT,
    PERCEPTUAL,
    RULES,
    SEMANTIC,
    SIMILAR,
    Group,
    Step,
    check_target,
    in_trash,
    move_surplus,
    taste,
    trash_surplus,
    undo,
)
from picfind.storage.store import Store


class Kind(enum.Enum):
    """What counts as a duplicate."""

    EXACT = EXACT
    PERCEPTUAL = PERCEPTUAL
    SEMANTIC = SEMANTIC


def duplicates(
    gallery: GalleryFlag = None,
    kind: Annotated[
        list[Kind] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="exact: the same bytes. perceptual: the same picture, also smaller, cropped, turned, re-saved. "
            "semantic: other pictures of much the same, only shown. May be repeated; exact and perceptual unless given.",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="RULES",
            help=f"What decides which file is kept, first one first, by commas: {', '.join(RULES)}.",
        ),
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Keep files whose path matches, like '*/Originals/*'; may be repeated."
        ),
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Rather keep files whose path does not match; may be repeated."),
    ] = None,
    variants: Annotated[
        bool, typer.Option("--variants", help="Treat the HEIC, JPEG and RAW of one shot as copies too.")
    ] = False,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="How alike perceptual copies must be.")
    ] = ALIKE,
    similar: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="COSINE", help="How near semantic ones must be in the gallery's space."
        ),
    ] = SIMILAR,
    move_to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Move the copies into a folder, all but the kept ones."),
    ] = None,
    trash: Annotated[
        bool, typer.Option("--trash", help="Move the copies to the system's trash (needs the extra `trash`).")
    ] = False,
    undo_last: Annotated[
        bool,
        typer.Option("--undo", help="Move back what the last --move-to moved; say what lies in the trash."),
    ] = False,
    as_json: JsonFlag = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with thumbnails.")] = None,
) -> None:
    """Find duplicates; without --move-to or --trash nothing is touched, and nothing is ever deleted.

    Exits with 0 when something was found, 1 when nothing was.
    """
    if sum((move_to is not None, trash, undo_last)) > 1:
        raise typer.BadParameter("--move-to, --trash and --undo cannot go together: choose one.")
    with picfind.open(settings=settings_of(gallery=gallery), create=False) as opened:
        if undo_last:
            raise typer.Exit(_undo(opened.store))
        exclude = opened.settings.exclude
        if move_to is not None:  # before all the work, not after it
            check_target(opened.store, move_to, exclude=exclude)
        with _progress() as progress:
            found = opened.duplicates(
                kinds=[entry.value for entry in kind or (Kind.EXACT, Kind.PERCEPTUAL)],
                taste=taste(_rules(keep), prefer=prefer or (), avoid=avoid or ()),
                variants=variants,
                threshold=threshold,
                similar=similar,
                progress=progress,
            )
        for warning in found.warnings:
            say(f"picfind: {warning}")
        typer.echo(shown.document(found) if as_json else shown.text(found), nl=bool(found) or as_json)
        say(shown.summary(found))
        if html is not None:
            shown.write_page(html, found)
            say(f"Wrote {html}.")
        refused = _clean_up(opened.store, found, move_to=move_to, trash=trash, exclude=exclude)
    raise typer.Exit(FAILED if refused else DONE if found else NOTHING_FOUND)


def _rules(keep: str | None) -> list[str] | None:
    return None if keep is None else [rule.strip() for rule in keep.split(",") if rule.strip()]


def _clean_up(
    store: Store, found: Iterable[Group], *, move_to: Path | None, trash: bool, exclude: Sequence[str]
) -> int:
    """Move what was asked to be moved; gives how many files stayed against the wish."""
    if move_to is not None:
        return _told(move_surplus(store, found, move_to, exclude=exclude), "Moved", f" to {move_to}")
    if trash:
        return _told(trash_surplus(store, found), "Moved", " to the trash")
    return 0


def _undo(store: Store) -> int:
    refused = _told(undo(store), "Moved", " back")
    lying = in_trash(store)
    if lying:
        say(f"In the system's trash, which alone can bring them back, from: {len(lying):,}")
        for path in lying:
            typer.echo(keys.shown(path))
    return FAILED if refused else DONE


def _told(steps: Iterable[Step], verb: str, where: str) -> int:
    """Follow what is done, and say it at the end; gives how many files were refused."""
    done, refused = 0, 0
    try:
        for step in steps:
            done += not step.refused
            refused += bool(step.refused)
            if step.refused:
                say(f"  stays: {keys.shown(step.path)}: {step.refused}")
    finally:
        say(f"{verb} {counted(done, 'file')}{where}{f', {refused:,} not' if refused else ''}.")
    return refused


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], object]]:
    """A bar for each step, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda step, done, total: None
        return
    with bars.counting() as bar:
        tasks = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield show
