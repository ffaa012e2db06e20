"""`picfind models`."""

from __future__ import annotations

import dataclasses
import json

import typer

from picfind import encoders
from picfind.api import DEFAULT_MODEL
from picfind.cli.options import JsonFlag, settings_of


def models(as_json: JsonFlag = False) -> None:
    """List the models that are known by name, with their licences and sizes. Loads none."""
    settings = settings_of()
    cards = encoders.cards(settings)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(card) for card in cards], ensure_ascii=False, indent=2))
        return
    default = settings.model or DEFAULT_MODEL
    for card in cards:
        mark = "*" if card.name == default else " "
        size = f"{card.image_size} px" if card.image_size else "no pictures"
        typer.echo(f"{mark} {card.name}  {card.dim}-d, {size}, {card.size_mb:.0f} MB, {card.licence}")
        if card.note:
            typer.echo(f"    {card.note}")
    typer.echo("* is used where a gallery has no vectors yet and --model is not given.")
