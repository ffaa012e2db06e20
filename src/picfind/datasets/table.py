"""Pictures named by a table that says something of them: `table:FILE`, `table:FILE?images=FOLDER#dev`.

CSV, TSV, JSON Lines or JSON, as `picfind.tables` reads them. Columns are known by their names:

    image, file, file_name, path, ...            the picture's path below the table's folder, or below its `images/`
    caption, captions, text, sentence, ...       sentences; several columns, lists or rows for one picture are joined
    label, class, category                       its class: pictures are asked for others of it, and its name for them
    title, tags, keywords                        other words
    split, role                                  `#SPLIT` chooses rows; `role` is `query` where others are the gallery

A folder stands for the first of captions, labels, metadata and manifest that lies in it (.jsonl, .csv). `?images=` names
another folder of pictures. Names and texts are held, about half a kilobyte for each caption.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from picfind import keys
from picfind.datasets._collection import Collection, check_options, missing
from picfind.datasets._columns import Read, added, read, rows_of
from picfind.datasets._judging import Told
from picfind.datasets._names import below
from picfind.datasets.base import JudgedDataset, Place
from picfind.errors import UsageError

_USUAL = [
    f"{name}{ending}"
    for name in ("captions", "labels", "metadata", "manifest")
    for ending in (".jsonl", ".csv")
]
_MOST_NAMED = 10


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The dataset of this table. Options: `split`, `images`. Raises UsageError for others."""
    check_options(place, "table", ("split", "images", "table"))
    table, root = _files(place)
    options = {"table": _relative(table, root), **{k: v for k, v in place.options.items() if k == "split"}}
    told = partial(_read, table, root, place.options.get("split"))
    return Collection("table", root, told=told, options=options)


def _files(place: Place) -> tuple[Path, Path]:
    """The table, and the folder that its pictures lie below. A location has the folder, and the table as an option."""
    if "table" in place.options:
        return keys.absolute(place.path / place.options["table"]), place.path
    folder, table = place.path.parent, place.path
    if os.path.isdir(place.path):
        folder = place.path
        table = folder / next((name for name in _USUAL if os.path.isfile(folder / name)), "")
    return table, keys.absolute(folder / place.options.get("images", ""))


def _relative(table: Path, root: Path) -> str:
    try:
        return os.path.relpath(table, root).replace(os.sep, "/")
    except ValueError:  # another drive
        return str(table)


def _read(table: Path, root: Path, split: str | None) -> Iterator[Told]:
    if os.path.isdir(table):
        raise missing(table, _USUAL, kind="table", owner="Name the table itself: table:FILE")
    wanted = None if split is None else set(split.split("+"))
    pictures: dict[str, Told] = {}
    splits: dict[str, None] = {}
    for number, cells in rows_of(table):
        row = read(cells)
        name = _name(row, table, root, number)
        splits[row.split] = None
        if wanted is None or row.split in wanted:
            first = Told((name, f"images/{name}"), is_query=row.is_query)
            pictures[name] = added(pictures.get(name, first), row.said)
    _check_splits(table, wanted, list(splits))
    yield from pictures.values()


def _name(row: Read, table: Path, root: Path, number: int) -> str:
    """The picture of a row as a path below the root: an absolute one may lead there, too."""
    shown = keys.shown(keys.escape(str(table)))
    if not row.picture:
        raise UsageError(
            f"{shown}, row {number} names no picture. Call that column `image` or `file`, and fill it."
        )
    path = Path(row.picture)
    inside = path.is_absolute() and path.is_relative_to(root)
    name = below(path.relative_to(root).as_posix() if inside else row.picture)
    if name is None:
        raise UsageError(
            f"{shown}, row {number} names {keys.shown(keys.escape(row.picture))}, which leads out of "
            f"{keys.shown(keys.escape(str(root)))}. Name the folder of the pictures: ?images=FOLDER."
        )
    return name


def _check_splits(table: Path, wanted: set[str] | None, there: list[str]) -> None:
    unknown = sorted((wanted or set()) - set(there))
    if unknown:
        known = ", ".join(keys.shown(split) for split in there[:_MOST_NAMED] if split) or "none"
        raise UsageError(
            f"{keys.shown(keys.escape(str(table)))} has no row of the split {unknown[0]!r}. Splits that it has: {known}."
        )
