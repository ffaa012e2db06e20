"""Flickr8k and Flickr30k with their captions: `flickr:FOLDER`, `flickr:FOLDER#test`.

Flickr8k (Hodosh, Young & Hockenmaier 2013) and Flickr30k (Young et al. 2014) come from
https://hockenmaier.cs.illinois.edu/DenotationGraph/ (on a form) as pictures and token files; others publish them again
as CSV. The first of these files that is there is read:

    dataset_flickr30k.json, dataset_flickr8k.json    Karpathy's splits, which papers report: train, val, test
    results_20130124.token, Flickr8k.token.txt       `name.jpg#0`, a tab, a caption; Flickr8k's splits are lists of
                                                     names: Flickr_8k.trainImages.txt, .devImages.txt, .testImages.txt
    captions.txt, captions.csv                       `image,caption`
    results.csv                                      `image_name| comment_number| comment`

Pictures lie in flickr30k-images/, flickr30k_images/, Flicker8k_Dataset/ (the owners' own spelling), Flickr8k_Dataset/,
Images/, images/, or beside the file. Karpathy's file is read picture by picture; of the others the captions are held,
some 40 MB for Flickr30k.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from picfind import keys
from picfind.datasets import _karpathy
from picfind.datasets._collection import Collection, check_options, missing, splits_of
from picfind.datasets._columns import rows_of
from picfind.datasets._json import Record
from picfind.datasets._judging import Told
from picfind.datasets._names import below
from picfind.datasets.base import JudgedDataset, Place
from picfind.errors import UsageError
from picfind.tables import Row

_OWNER = (
    "The pictures and captions are at https://hockenmaier.cs.illinois.edu/DenotationGraph/, the splits that papers use "
    f"in {_karpathy.OWNER}"
)
_KARPATHY = [
    f"{folder}{name}"
    for folder in _karpathy.PLACES
    for name in ("dataset_flickr30k.json", "dataset_flickr8k.json")
]
_TABLES = [
    *("results_20130124.token", "Flickr8k.token.txt", "Flickr8k_text/Flickr8k.token.txt", "captions.txt"),
    *("captions.csv", "results.csv", "flickr30k_images/results.csv"),
]
_FOLDERS = (
    *(
        "flickr30k-images/",
        "flickr30k_images/",
        "Flicker8k_Dataset/",
        "Flickr8k_Dataset/",
        "Images/",
        "images/",
        "",
    ),
    "flickr30k_images/flickr30k_images/",
)
_SPLITS = ("train", "val", "test")
_LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
_NO_PICTURE = "2258277193_586949ec62.jpg.1"
"""A name in Flickr8k's own file of captions that has never had a picture."""
_WITHOUT_BAR = re.compile(r"\d+\s+(\S.*)")
"""The published results.csv lacks a bar between the number and the caption in one line (`2199200615.jpg| 4   A dog ...`)."""


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The dataset in this folder. Option: `split`; the official "dev" is `val`. Raises UsageError for others."""
    check_options(place, "flickr", ("split",))
    if place.options.get("split") == "dev":
        place = Place(place.path, {"split": "val"}, place.settings)
    splits_of(place, "flickr", _SPLITS)
    return Collection("flickr", place.path, told=partial(_read, place), options=place.options)


def _read(place: Place) -> Iterator[Told]:
    there = [name for name in (*_KARPATHY, *_TABLES) if os.path.isfile(place.path / name)]
    if not there:
        raise missing(place.path, [*_KARPATHY, *_TABLES], kind="flickr", owner=_OWNER)
    path = place.path / there[0]
    find = _finder(place.path)
    if there[0] in _KARPATHY:
        yield from _karpathy.read(path, splits_of(place, "flickr", _SPLITS), partial(_karpathy_places, find))
        return
    wanted = _listed(place, path.parent) if "split" in place.options else None
    for name, captions in _captions(path).items():
        if wanted is None or name in wanted:
            yield Told(find(name), captions=tuple(captions))


def _captions(path: Path) -> dict[str, list[str]]:
    """The captions of each picture, in the order of the file."""
    found: dict[str, list[str]] = {}
    for number, row in rows_of(path):
        name, caption = _cells(row)
        if not name or not caption:
            raise UsageError(
                f"{_shown(path)}, row {number} has no {'caption' if name else 'name of a picture'}. Load the file again, "
                "or correct it."
            )
        if "\n" in caption:
            raise UsageError(
                f"{_shown(path)}, row {number} has a caption of several lines, the first of which is "
                f"{keys.shown(caption.partition(chr(10))[0])!r}. Look for a quotation mark that is not closed."
            )
        if below(name) != name:
            raise UsageError(
                f"{_shown(path)}, row {number} names a picture outside of its folder: {keys.shown(name)}."
            )
        if name != _NO_PICTURE:
            found.setdefault(name, []).append(caption)
    return found


def _cells(row: Row) -> tuple[str, str]:
    """The name and the caption of a row."""
    name, caption = row.get("image") or row.get("image_name"), row.get("caption") or row.get("comment")
    if caption is None:
        shifted = _WITHOUT_BAR.fullmatch(str(row.get("comment_number", "")))
        caption = shifted[1] if shifted else ""
    return str(name or ""), str(caption)


def _listed(place: Place, beside: Path) -> frozenset[str]:
    """The names of the splits that are asked for, from Flickr8k's own lists."""
    names: set[str] = set()
    for split in splits_of(place, "flickr", _SPLITS):
        path = next(
            (
                folder / _LISTS[split]
                for folder in (beside, place.path)
                if os.path.isfile(folder / _LISTS[split])
            ),
            None,
        )
        if path is None:
            raise missing(place.path, [*_KARPATHY, _LISTS[split]], kind=f"flickr#{split}", owner=_OWNER)
        try:
            names.update(path.read_text(encoding="utf-8-sig").split())
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{_shown(path)} cannot be read as a list of names: {error}. Load it again."
            ) from error
    return frozenset(names)


def _finder(root: Path) -> Callable[[str], tuple[str, ...]]:
    """Where a picture may lie: in those of the known folders that are there."""
    folders = [folder for folder in _FOLDERS if os.path.isdir(root / folder)]
    return lambda name: tuple(f"{folder}{name}" for folder in folders) or (name,)


def _karpathy_places(find: Callable[[str], tuple[str, ...]], record: Record) -> tuple[str, ...]:
    name = below(record.text("filename"))
    if name is None:
        raise record.error("has a `filename` that leads out of its folder")
    return find(name)


def _shown(path: Path) -> str:
    return keys.shown(keys.escape(str(path)))
