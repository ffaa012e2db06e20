"""Files of COCO's format: `images` and `annotations`, joined by the pictures' ids (https://cocodataset.org/#format-data)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from picfind.datasets._json import Record, members
from picfind.datasets._judging import Told


def captioned(path: Path, places: Callable[[Record], tuple[str, ...]]) -> Iterator[Told]:
    """The pictures of a file of COCO's format with their captions, in the order of its `images`.

    Pictures and captions are held, since one file may have either first. Raises UsageError for a broken file.
    """
    pictures: dict[int, tuple[str, ...]] = {}
    captions: dict[int, list[str]] = {}
    strays: dict[int, Record] = {}
    for name, record in members(path, {"images", "annotations"}):
        if name == "images":
            pictures[record.number("id")] = places(record)
        else:
            of = record.number("image_id")
            if of not in captions and of not in pictures:
                strays[of] = record
            captions.setdefault(of, []).append(record.text("caption"))
    stray = next((record for of, record in strays.items() if of not in pictures), None)
    if stray is not None:
        raise stray.error("is about a picture that the file does not have")
    for of, where in pictures.items():
        yield Told(where, captions=tuple(captions.get(of, ())))
