"""Visual Genome: `visual_genome:FOLDER`, `visual_genome:FOLDER?texts=regions`.

As its owners publish it (Krishna et al. 2017; https://homes.cs.washington.edu/~ranjay/visualgenome/api.html):

    image_data.json             a list of `image_id`, `url`, `width`, `height`, ...
    region_descriptions.json    a list of pictures, each with `id` and `regions`: `phrase`, `x`, `y`, `width`, `height`
    VG_100K/ VG_100K_2/         the pictures (images.zip, images2.zip); the end of `url` is a picture's place
    paragraphs_v1.json          descriptions of whole pictures (Krause et al. 2017): `image_id`, `paragraph`; from
                                https://cs.stanford.edu/people/ranjaykrishna/im2p/

`?texts=` chooses `regions`, `images` (the paragraphs), or `regions+images`; without it, what is there is read. Phrases
are read picture by picture: of 108,077 pictures their places and sizes are held, some 40 MB, and the paragraphs, 15 MB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from picfind.datasets._collection import Collection, check_options, missing
from picfind.datasets._json import Record, records
from picfind.datasets._judging import Told
from picfind.datasets._names import below
from picfind.datasets.base import JudgedDataset, Place
from picfind.errors import UsageError
from picfind.types import Box

_OWNER = (
    "The owner's address is https://homes.cs.washington.edu/~ranjay/visualgenome/api.html; paragraphs_v1.json is at "
    "https://cs.stanford.edu/people/ranjaykrishna/im2p/"
)
_PICTURES, _REGIONS, _PARAGRAPHS = "image_data.json", "region_descriptions.json", "paragraphs_v1.json"
_FILES = {"regions": _REGIONS, "images": _PARAGRAPHS}
_FOLDERS = ("VG_100K", "VG_100K_2", "images/VG_100K", "images/VG_100K_2", "images")


@dataclass(frozen=True, slots=True)
class _Picture:
    places: tuple[str, ...]
    width: int
    height: int


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The dataset in this folder. Option: `texts`. Raises UsageError for others."""
    check_options(place, "visual_genome", ("texts",))
    unknown = [name for name in place.options.get("texts", "regions").split("+") if name not in _FILES]
    if unknown:
        raise UsageError(f"visual_genome: there are no texts {unknown[0]!r}. Texts are: {', '.join(_FILES)}.")
    return Collection("visual_genome", place.path, told=partial(_read, place), options=place.options)


def _read(place: Place) -> Iterator[Told]:
    root, files = place.path, _files(place)
    pictures = {record.number("image_id"): _picture(record) for record in records(root / _PICTURES)}
    paragraphs = _paragraphs(place) if "images" in files else {}
    left = dict.fromkeys(pictures)
    for record in records(root / _REGIONS) if "regions" in files else ():
        of = record.number("id" if "id" in record.values else "image_id")
        if of not in pictures:
            raise record.error(f"is about the picture {of}, which {_PICTURES} does not have")
        left.pop(of, None)
        said = (region for region in record.records("regions") if not _is_silent(region, "phrase"))
        regions = tuple(_region(region, pictures[of]) for region in said)
        yield Told(pictures[of].places, captions=paragraphs.get(of, ()), regions=regions)
    for of in left:  # without any region
        yield Told(pictures[of].places, captions=paragraphs.get(of, ()))


def _files(place: Place) -> set[str]:
    """The texts that are asked for, or that are there. Raises MissingSourceError."""
    asked = place.options.get("texts", "").split("+") if "texts" in place.options else None
    there = {texts for texts, name in _FILES.items() if os.path.isfile(place.path / name)}
    lacking = [_FILES[texts] for texts in asked or () if texts not in there]
    if not os.path.isfile(place.path / _PICTURES):
        lacking.insert(0, _PICTURES)
    if not there and not asked:
        lacking += _FILES.values()
    if lacking:
        raise missing(place.path, lacking, kind="visual_genome", owner=_OWNER)
    return set(asked) if asked else there


def _paragraphs(place: Place) -> dict[int, tuple[str, ...]]:
    """A few pictures have two."""
    found: dict[int, tuple[str, ...]] = {}
    for record in records(place.path / _PARAGRAPHS):
        if not _is_silent(record, "paragraph"):
            of = record.number("image_id")
            found[of] = (*found.get(of, ()), record.text("paragraph"))
    return found


def _is_silent(record: Record, name: str) -> bool:
    """Whether somebody of the crowd has sent an empty text: it says nothing, and is no damage to the file."""
    text = record.values.get(name)
    return isinstance(text, str) and not text.strip()


def _picture(record: Record) -> _Picture:
    """Its URL ends with the folder that it was published in and its name: `.../VG_100K_2/1.jpg`."""
    parts = urlsplit(record.text("url")).path.split("/")[-2:]
    name, folder = below(parts[-1]), parts[0]
    if name is None:
        raise record.error("has a `url` that does not end with a file's name")
    folders = sorted(_FOLDERS, key=lambda known: known.rpartition("/")[2] != folder)
    sizes = record.number("width"), record.number("height")
    if min(sizes) < 1:
        raise record.error("has no size")
    return _Picture(tuple(f"{known}/{name}" for known in folders), *sizes)


def _region(record: Record, picture: _Picture) -> tuple[str, Box]:
    """A phrase and its box as fractions of the picture, cut at its borders: some reach beyond them by a few pixels."""
    left, right = _span(record, "x", "width", picture.width)
    top, bottom = _span(record, "y", "height", picture.height)
    return record.text("phrase"), (left, top, right - left, bottom - top)


def _span(record: Record, start: str, length: str, whole: int) -> tuple[float, float]:
    begin = record.number(start)
    first, last = (min(max(at / whole, 0.0), 1.0) for at in (begin, begin + record.number(length)))
    return first, max(first, last)
