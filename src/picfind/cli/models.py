"""`picfind models`: what there is, and how it comes here."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Annotated

import typer

from picfind import encoders
from picfind.cli.downloads import download_bar
from picfind.cli.options import DONE, FAILED, JsonFlag, say, settings_of
from picfind.encoders.base import EncoderCard

models_app = typer.Typer(
    help="List models with their licences and sizes; pull one; check one.", rich_markup_mode=None
)


@models_app.callback(invoke_without_command=True)
def list_models(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List models with their licences and sizes; pull one; check one."""
    if ctx.invoked_subcommand is not None:
        return
    settings = settings_of()
    cards = encoders.cards(settings)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(card) for card in cards], ensure_ascii=False, indent=2))
        return
    used = settings.model or (encoders.default(settings).name,)
    for card in sorted(cards, key=lambda card: not card.installed):
        _describe(card, marked=card.name in used)
    typer.echo("* is used where a gallery has no vectors yet and --model is not given.")
    typer.echo(
        "- is not here yet: `picfind models pull NAME` loads it; or it cannot be used, for the reason given."
    )


def _describe(card: EncoderCard, *, marked: bool) -> None:
    mark = "*" if marked else " " if card.installed else "-"
    if not card.dim:  # a folder that nothing can be read from
        typer.echo(f"{mark} {card.name}")
        typer.echo(f"    {card.note}")
        return
    size = f"{card.image_size} px" if card.image_size else "no pictures"
    weight = f"{'' if card.installed else 'about '}{card.size_mb:,.0f} MB"
    typer.echo(f"{mark} {card.name}  {card.dim}-d, {size}, {weight}, {card.licence}")
    if card.recall:
        figures = ", ".join(f"{name} {value:g} %" for name, value in card.recall.items())
        typer.echo(f"    {figures} ({card.recall_source})")
    if card.note:
        typer.echo(f"    {card.note}")


@models_app.command("pull")
def pull(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A model of the list, or a repository of the hub: owner/name."),
    ],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Load a model from the hub. An interrupted download goes on where it stopped."""
    from picfind.models import pull as pulling

    with download_bar(quiet=quiet) as progress:
        card = pulling.pull(
            name,
            settings_of(),
            progress=progress,
            waiting=lambda: say("Another process is loading this model; waiting for it."),
        )
    if not quiet:
        say(
            f"{card.name} is here: {card.size_mb:,.1f} MB, licence {card.licence}. Use it with --model {card.name}."
        )


@models_app.command("check")
def check(
    folder: Annotated[str, typer.Argument(metavar="MODEL", help="A model's folder or name.")],
    as_json: JsonFlag = False,
) -> None:
    """Say what is missing or odd in a model's folder, and encode one picture and one sentence with it."""
    from picfind.models import check as checking

    found = checking.check(folder, settings_of())
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), ensure_ascii=False, indent=2))
    else:
        for line in (*found.problems, *found.measured):
            typer.echo(line)
        typer.echo(f"{os.fspath(folder)}: {'something is wrong' if found.problems else 'all is well'}.")
    raise typer.Exit(FAILED if found.problems else DONE)
