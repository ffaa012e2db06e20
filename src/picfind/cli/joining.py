"""`picfind models fit-joint`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from picfind.cli.options import counted, say, settings_of
from picfind.datasets.folder import Folder
from picfind.types import Item

_EVERY = 500


def fit_joint(
    image: Annotated[str, typer.Option(metavar="MODEL", help="The model for pictures, such as resnet50.")],
    text: Annotated[
        str, typer.Option(metavar="MODEL", help="The model for words, such as bert-base-uncased.")
    ],
    pca: Annotated[
        int, typer.Option(min=1, metavar="N", help="Dimensions to bring the pictures' vectors down to.")
    ],
    pictures: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Pictures to fit on: at least as many as dimensions.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call the new model.")],
    share: Annotated[
        float, typer.Option(metavar="SHARE", help="The picture's share of the score, between 0 and 1.")
    ] = 0.5,
) -> None:
    """Join two models into one, the pictures' vectors brought down to N dimensions by a PCA that is fitted here, once."""
    from picfind.models.fit_joint import fit_joint as fit

    settings = settings_of()
    source = Folder(pictures, exclude=settings.exclude)
    found = fit(
        _told(entry for entry in source.items() if isinstance(entry, Item)),
        image=image,
        text=text,
        dims=pca,
        name=name,
        settings=settings,
        share=share,
    )
    refused = f", {counted(found.refused, 'picture')} could not be used" if found.refused else ""
    say(
        f"Fitted on {counted(found.pictures, 'picture')}{refused}; {found.kept:.1%} of their variance is kept."
    )
    typer.echo(f"{found.card.name}  {found.card.dim}-d  {found.folder}")


def _told(items: Iterable[Item]) -> Iterator[Item]:
    """The items as they come, with a line on stderr now and then."""
    for at, item in enumerate(items):
        if at and at % _EVERY == 0:
            say(f"{at:,} pictures read")
        yield item
