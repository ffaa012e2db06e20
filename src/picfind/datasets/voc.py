"""Pascal VOC 2007 to 2012: `voc:FOLDER`, `voc:FOLDER?year=2012#val`. Classes are labels; pictures are asked for pictures.

As its owners publish it (Everingham et al. 2010; http://host.robots.ox.ac.uk/pascal/VOC/):

    VOCdevkit/VOC2012/JPEGImages/                        the pictures
    VOCdevkit/VOC2012/ImageSets/Main/train.txt ...       the names of a split: train, val, trainval, test
    VOCdevkit/VOC2012/ImageSets/Main/dog_train.txt ...   a name and 1 (shows a dog), -1 (shows none) or 0 (hardly to be seen)
    VOCdevkit/VOC2012/Annotations/                       read only where a split has no such list for any class

The folder may be that of VOCdevkit, what holds it, or one year's; where several years lie there the last is taken, unless
`?year=` names another. As in the challenge, 0 counts neither as right nor as wrong. Without a split, the pictures of all
four are listed. Names and labels of a split are held, some 20 MB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from picfind import keys
from picfind.datasets._collection import Collection, check_options, missing, splits_of
from picfind.datasets._judging import Told
from picfind.datasets._names import below
from picfind.datasets.base import JudgedDataset, Place
from picfind.errors import UsageError

_OWNER = "The owner's address is http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ (or voc2007/): the development kit's data"
_SPLITS = ("train", "val", "trainval", "test")
_SETS = "ImageSets/Main"
_YEARS = tuple(str(year) for year in range(2012, 2006, -1))
_NAMES = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv monitor"}
"""Classes whose names are written in one word, as a person writes them."""
_VERDICTS = {"1": True, "0": None, "-1": False}


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The dataset in this folder. Options: `split`, `year`. Raises UsageError for others."""
    check_options(place, "voc", ("split", "year"))
    if place.options.get("year", _YEARS[0]) not in _YEARS:
        raise UsageError(f"voc: there is no year {place.options['year']!r}. Years are: {', '.join(_YEARS)}.")
    splits_of(place, "voc", _SPLITS)
    return Collection("voc", place.path, told=partial(_read, place), options=place.options)


def _read(place: Place) -> Iterator[Told]:
    year = _year(place)
    root = place.path / year
    seen: set[str] = set()
    for split in splits_of(place, "voc", _SPLITS):
        path = root / _SETS / f"{split}.txt"
        if not os.path.isfile(path):
            if "split" in place.options:
                wanted = [f"{year}{_SETS}/{split}.txt"]
                raise missing(place.path, wanted, kind=f"voc#{split}", owner=_OWNER)
            continue
        names = [name for (name,) in _lines(path, 1) if name not in seen]
        seen.update(names)
        yield from _told(root, year, split, names)
    if not seen:
        wanted = [f"{year}{_SETS}/{split}.txt" for split in _SPLITS]
        raise missing(place.path, wanted, kind="voc", owner=_OWNER)


def _year(place: Place) -> str:
    """The path of the year's folder below the place, with `/` at its end; "" for the place itself."""
    years = (place.options["year"],) if "year" in place.options else _YEARS
    folders = [f"{outer}VOC{year}/" for year in years for outer in ("VOCdevkit/", "")]
    own = [""] if "year" not in place.options or place.path.name == f"VOC{years[0]}" else []
    found = [folder for folder in (*own, *folders) if os.path.isdir(place.path / folder / _SETS)]
    if not found:
        wanted = [f"{folder}{_SETS}/train.txt" for folder in (*folders[:2], *own)]
        raise missing(place.path, wanted, kind="voc", owner=_OWNER)
    return found[0]


def _told(root: Path, year: str, split: str, names: Sequence[str]) -> Iterator[Told]:
    shown, unsure = _by_lists(root, split)
    listed = bool(shown or unsure)
    for name in names:
        labels, doubts = (shown.get(name, []), unsure.get(name, [])) if listed else _annotated(root, name)
        yield Told((f"{year}JPEGImages/{name}.jpg",), labels=tuple(labels), doubtful=tuple(doubts))


def _by_lists(root: Path, split: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The classes that each picture shows, and those that it hardly shows, from the lists of a split."""
    shown: dict[str, list[str]] = {}
    unsure: dict[str, list[str]] = {}
    end = f"_{split}.txt"
    for path in sorted(path for path in (root / _SETS).iterdir() if path.name.endswith(end)):
        label = _label(path.name.removesuffix(end))
        for name, verdict in _lines(path, 2):
            if verdict not in _VERDICTS:
                raise UsageError(
                    f"{_shown(path)}: {name} has {keys.shown(verdict)} instead of 1, 0 or -1. Unpack it again."
                )
            if _VERDICTS[verdict] is not False:
                (shown if _VERDICTS[verdict] else unsure).setdefault(name, []).append(label)
    return shown, unsure


def _lines(path: Path, columns: int) -> Iterator[tuple[str, ...]]:
    """The first columns of each line that is not blank; the first is a picture's name."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{_shown(path)} cannot be read: {error}. Unpack it again.") from error
    for number, line in enumerate(lines, 1):
        cells = tuple(line.split())
        if cells and (len(cells) < columns or below(cells[0]) != cells[0] or "/" in cells[0]):
            what = "is no name of a picture" if columns == 1 else "is no name of a picture and a verdict"
            raise UsageError(f"{_shown(path)}, line {number} {what}. Unpack it again.")
        if cells:
            yield cells[:columns]


def _annotated(root: Path, name: str) -> tuple[list[str], list[str]]:
    """The classes of a picture's objects, and those of which all objects are marked as difficult. Nothing without a file."""
    path = root / "Annotations" / f"{name}.xml"
    found: dict[str, bool] = {}
    for entry in _objects(path):
        label = _label((entry.findtext("name") or "").strip())
        difficult = (entry.findtext("difficult") or "").strip() == "1"
        found[label] = found.get(label, True) and difficult
    labels = sorted(filter(None, found))
    return [label for label in labels if not found[label]], [label for label in labels if found[label]]


def _objects(path: Path) -> list[Any]:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    try:
        return list(parse(path).getroot().iterfind("object"))
    except FileNotFoundError:
        return []
    except (OSError, ParseError, DefusedXmlException, ValueError) as error:
        raise UsageError(f"{_shown(path)} is no annotation: {error}. Unpack it again.") from error


def _label(name: str) -> str:
    return _NAMES.get(name, name)


def _shown(path: Path) -> str:
    return keys.shown(keys.escape(str(path)))
