"""The flags that several commands share, and what they make of the settings."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from picfind.settings import Settings, load_settings

DONE, NOTHING_FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes. DONE is also what a search that found something ends with."""

GalleryFlag = Annotated[
    Path | None,
    typer.Option("--gallery", "-g", metavar="DIR", help="The gallery's folder. Also PICFIND_GALLERY."),
]
ModelFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help="The model to encode with; may be repeated: one for pictures, one for words. Also PICFIND_MODEL.",
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PathsFlag = Annotated[bool, typer.Option("--paths", "-f", help="Print paths only, one a line.")]
Print0Flag = Annotated[
    bool, typer.Option("--print0", "-0", help="Print paths only, raw, each ended by a NUL: for xargs -0.")
]
LikeFlag = Annotated[
    list[str] | None,
    typer.Option("--like", metavar="PICTURE", help="More like this picture; may be repeated."),
]
UnlikeFlag = Annotated[
    list[str] | None,
    typer.Option("--unlike", metavar="PICTURE", help="Less like this picture; may be repeated."),
]


def settings_of(**flags: Any) -> Settings:
    """The settings with a command's flags over them."""
    return load_settings(flags)


def say(text: str) -> None:
    """Tell the person something that is no answer: on stderr."""
    with suppress(OSError):  # a full disk behind 2> must not end what is under way
        typer.echo(text, err=True)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 name, 2 names."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sized(count: int) -> str:
    """Bytes as a person reads them: 14 kB, 12.8 MB."""
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"
