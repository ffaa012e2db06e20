"""`picfind models export`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from picfind.cli.downloads import download_bar
from picfind.cli.options import JsonFlag, settings_of

if TYPE_CHECKING:
    from picfind.training.agreement import Agreement
    from picfind.training.export import Exported


def export(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A folder of transformers, open_clip or sentence-transformers, a ResNet's .pth or .safetensors file, "
            "or a repository of the hub (owner/name).",
        ),
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The new model's name.")],
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="fp32|fp16|int8",
            help="fp16 halves the files; int8 makes them smaller still and faster on a CPU, for transformers only.",
        ),
    ] = "fp32",
    licence: Annotated[
        str | None,
        typer.Option("--licence", metavar="TEXT", help="The weights' licence, for the model's card."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a model folder of a checkpoint. Needs the extra `export`, which brings torch."""
    from picfind.training.export import export as export_checkpoint

    with download_bar(quiet=as_json) as progress:
        made = export_checkpoint(
            checkpoint,
            name=name,
            settings=settings_of(),
            precision=precision,
            licence=licence,
            progress=progress,
        )
    if as_json:
        fields = dataclasses.asdict(made)
        typer.echo(json.dumps({**fields, "folder": str(made.folder)}, ensure_ascii=False, indent=2))
        return
    for line in _told(made):
        typer.echo(line)


def _told(made: Exported) -> list[str]:
    """What was made, a line for each thing."""
    return [
        f"{made.name}: {made.kind} in {made.precision}, {made.size_mb:,.1f} MB, licence {made.licence}",
        f"  {made.folder}",
        *_agreed("pictures", made.pictures),
        *_agreed("sentences", made.texts),
        f"Use it with: --model {made.name}",
    ]


def _agreed(what: str, found: Agreement | None) -> list[str]:
    if found is None:
        return []
    return [f"  cosine to the original over 16 {what}: mean {found.mean:.5f}, least {found.least:.5f}"]
