"""Tables of other people: which columns name a picture, which say something of it, and what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from picfind.datasets._judging import Told
from picfind.tables import PICTURE_COLUMNS, Row, plain_name, read_rows, texts_of

_PICTURE = (*PICTURE_COLUMNS, "key", "name")
"""Columns that name the picture; the first of these that a row has does."""
_URL = ("cocourl", "url", "imageurl", "imgurl", "link", "flickrurl", "src", "image")
_SPLIT = ("split", "subset", "partition")
_KINDS = {
    "captions": re.compile(r"(caption|text|description|sentence|comment|alttext|alt|raw)s?\d*"),
    "titles": re.compile(r"title|headline|productname"),
    "labels": re.compile(r"labels?|class|classes|classname|category|categories"),
    "tags": re.compile(r"tags?|keywords?"),
}
"""What columns hold. A number may follow: some tables have a column for each of five captions."""


@dataclass(frozen=True, slots=True)
class Read:
    """A row: the cells that matter, by what they are."""

    picture: str
    urls: tuple[str, ...]
    split: str
    is_query: bool
    said: Mapping[str, tuple[str, ...]]
    """Texts by the name of the field of `Told` that they belong to."""


def read(row: Row) -> Read:
    """What the columns of a row mean, by their names. A picture's name is "" where no column has one."""
    cells = {plain_name(name): cell for name, cell in row.items()}
    picture = next((name for name in _PICTURE if isinstance(cells.get(name), str)), "")
    said: dict[str, list[str]] = {}
    for name, cell in cells.items():
        kind = _kind(name)
        if kind and name != picture:
            said.setdefault(kind, []).extend(texts_of(cell, tags=kind == "tags"))
    urls = (str(cells.get(name, "")) for name in _URL)
    return Read(
        picture=str(cells.get(picture, "")),
        urls=tuple(dict.fromkeys(url for url in urls if is_url(url))),
        split=next((str(cells[name]) for name in _SPLIT if name in cells), ""),
        is_query=str(cells.get("role", "")).lower() == "query",
        said={kind: tuple(dict.fromkeys(texts)) for kind, texts in said.items()},
    )


def rows_of(path: Path) -> Iterator[tuple[int, Row]]:
    """The rows of a table that are not empty, with their numbers. Raises what `read_rows` raises."""
    return ((number, row) for number, row in enumerate(read_rows(path), 1) if row)


def added(told: Told, said: Mapping[str, Iterable[str]]) -> Told:
    """What is known of a picture, and what one more row says; each text once."""
    joined = {kind: tuple(dict.fromkeys((*getattr(told, kind), *texts))) for kind, texts in said.items()}
    return replace(told, **cast(dict[str, Any], joined))


def said_of(told: Told) -> dict[str, tuple[str, ...]]:
    """What is said of a picture, by kinds, as a row has it."""
    return {kind: getattr(told, kind) for kind in _KINDS}


def is_url(text: str) -> bool:
    """Whether it begins as the address of something on the web."""
    return text[:8].lower().startswith(("http://", "https://"))


@lru_cache(1024)
def _kind(name: str) -> str | None:
    return next((kind for kind, names in _KINDS.items() if names.fullmatch(name)), None)
