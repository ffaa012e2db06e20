"""`picfind models use` and `picfind models drop`: the models of a gallery."""

from __future__ import annotations

from typing import Annotated

import typer

import picfind
from picfind.cli.options import GalleryFlag, say, settings_of


def use(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model that the gallery has vectors of.")],
    gallery: GalleryFlag = None,
) -> None:
    """Search the gallery with this model from now on. It must have a vector of everything first."""
    with picfind.open(settings=settings_of(gallery=gallery), create=False) as opened:
        say(f"The gallery is now searched with {opened.use(name)}.")


def drop(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model that the gallery has vectors of.")],
    gallery: GalleryFlag = None,
) -> None:
    """Remove all vectors of a model from the gallery, and give their space back to the disk."""
    with picfind.open(settings=settings_of(gallery=gallery), create=False) as opened:
        say(f"Dropped {opened.drop(name)}.")
