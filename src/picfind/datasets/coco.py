"""MSCOCO with its captions: `coco:FOLDER`, `coco:FOLDER#test`, `coco:FOLDER?year=2017#val`.

As its owners publish it (https://cocodataset.org/#download, https://cocodataset.org/#format-data):

    annotations/captions_train2014.json, captions_val2014.json, captions_train2017.json, captions_val2017.json
    train2014/ val2014/ train2017/ val2017/        the pictures, also below images/

and with the split of Karpathy & Fei-Fei 2015 (`dataset_coco.json`, beside or below the others), which papers report: 5,000
pictures each for val and test, 30,504 in restval, which many join with train (`#train+restval`). It divides the pictures
of 2014; where only those of 2017 are there, which are the same under other names, they are found by their ids.

Which of them is read: `?year=2014`, `?year=2017` or `?year=karpathy`; else the first that is there of Karpathy's, 2017's
and 2014's. Karpathy's file is read picture by picture. Of the others the captions are held, some 95 MB for train.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from picfind.datasets import _karpathy
from picfind.datasets._coco import captioned
from picfind.datasets._collection import Collection, check_options, missing, need, splits_of
from picfind.datasets._json import Record
from picfind.datasets._judging import Told
from picfind.datasets._names import below
from picfind.datasets.base import JudgedDataset, Place
from picfind.errors import UsageError

_OWNER = "They are at https://cocodataset.org/#download (2014 or 2017: Train images, Val images, Train/Val annotations)"
_SPLITS = {
    "karpathy": ("train", "restval", "val", "test"),
    "2014": ("train", "val"),
    "2017": ("train", "val"),
}
_EVERY_SPLIT = _SPLITS["karpathy"]
_ROOTS = ("", "images/")


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The dataset in this folder. Options: `split`, `year`. Raises UsageError for others."""
    check_options(place, "coco", ("split", "year"))
    year = place.options.get("year")
    if year is not None and year not in _SPLITS:
        raise UsageError(f"coco: there is no year {year!r}. Years are: {', '.join(_SPLITS)}.")
    splits_of(place, "coco", _EVERY_SPLIT if year is None else _SPLITS[year])
    return Collection("coco", place.path, told=partial(_read, place), options=place.options)


def _read(place: Place) -> Iterator[Told]:
    year = place.options.get("year") or _year_of(place)
    splits = splits_of(place, f"coco?year={year}", _SPLITS[year])
    if year == "karpathy":
        path = need(place.path, _karpathy_files(), kind="coco", owner=f"It is in {_karpathy.OWNER}")
        yield from _karpathy.read(path, splits, _karpathy_places)
        return
    given = "split" in place.options
    files = {split: place.path / _captions(split, year) for split in splits}
    there = {split: path for split, path in files.items() if os.path.isfile(path)}
    if not there or (given and len(there) < len(files)):
        lacking = [_captions(split, year) for split in splits if split not in there]
        raise missing(place.path, lacking, kind="coco", owner=_OWNER)
    for split, path in there.items():
        yield from captioned(path, partial(_places, f"{split}{year}"))


def _year_of(place: Place) -> str:
    """The first kind of captions that is there, and has the split that is asked for."""
    if any(os.path.isfile(place.path / name) for name in _karpathy_files()):
        return "karpathy"
    if {"restval", "test"} & set(place.options.get("split", "").split("+")):
        raise missing(place.path, _karpathy_files(), kind="coco", owner=f"It is in {_karpathy.OWNER}")
    for year in ("2017", "2014"):
        if any(os.path.isfile(place.path / _captions(name, year)) for name in _SPLITS[year]):
            return year
    years = [_captions(name, year) for year in ("2017", "2014") for name in _SPLITS[year]]
    raise missing(place.path, [*_karpathy_files(), *years], kind="coco", owner=f"{_OWNER}, {_karpathy.OWNER}")


def _captions(split: str, year: str) -> str:
    return f"annotations/captions_{split}{year}.json"


def _karpathy_files() -> list[str]:
    return [f"{folder}dataset_coco.json" for folder in _karpathy.PLACES]


def _places(folder: str, record: Record) -> tuple[str, ...]:
    name = below(record.text("file_name"))
    if name is None:
        raise record.error("has a `file_name` that leads out of its folder")
    return tuple(f"{root}{folder}/{name}" for root in _ROOTS)


def _karpathy_places(record: Record) -> tuple[str, ...]:
    """Where a picture of Karpathy's split may lie: under its name of 2014, or as one of 2017 with the same id."""
    name = below(f"{record.text('filepath')}/{record.text('filename')}")
    if name is None:
        raise record.error("has a `filename` that leads out of its folder")
    later = f"{record.number('cocoid'):012}.jpg"
    names = (name, f"train2017/{later}", f"val2017/{later}")
    return tuple(f"{root}{name}" for name in names for root in _ROOTS)
