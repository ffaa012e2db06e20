"""The looks of pictures: kept ones, and for the rest the files are read and decoded, by several threads."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from picfind.duplicates import shelf
from picfind.duplicates.looks import DECODE_SIZE, LOOK, Looks, look_at
from picfind.duplicates.pairing import Progress
from picfind.duplicates.pictures import Known
from picfind.errors import PictureError
from picfind.images import Limits, decode, read_limited
from picfind.storage.store import Store

_CHUNK = 256
_KEEP_EVERY = 5.0
"""Seconds of decoding that a run which is stopped may lose."""


def looks_of(
    store: Store,
    pictures: Sequence[Known],
    *,
    limits: Limits,
    workers: int,
    progress: Progress = lambda step, done, total: None,
) -> tuple[Looks, list[Known]]:
    """(n,) the look of each picture, in their order; and the pictures that cannot be looked at now.

    The look of such a picture shows nothing, so it is like no other.
    """
    known = shelf.load(store, (picture.sha256 for picture in pictures))
    lacking = [picture for picture in pictures if picture.sha256 not in known]
    unseen = []
    done, kept, new = 0, time.monotonic(), []
    try:
        for picture, look in _looked_at(lacking, limits, workers):
            done += 1
            progress("looking", done, len(lacking))
            if look is None:
                unseen.append(picture)
                continue
            known[picture.sha256] = look
            new.append(look)
            if time.monotonic() - kept > _KEEP_EVERY:
                shelf.add(store, np.concatenate(new))
                kept, new = time.monotonic(), []
    finally:
        shelf.add(store, np.concatenate([np.empty(0, LOOK), *new]))
    looks = np.zeros(len(pictures), LOOK)
    looks["width"] = looks["height"] = 1
    for at, picture in enumerate(pictures):
        if picture.sha256 in known:
            looks[at] = known[picture.sha256][0]
    return looks, unseen


def _looked_at(
    lacking: Sequence[Known], limits: Limits, workers: int
) -> Iterator[tuple[Known, Looks | None]]:
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(lacking), _CHUNK):
            some = lacking[start : start + _CHUNK]
            yield from zip(some, pool.map(lambda picture: _look(picture, limits), some), strict=True)


def _look(picture: Known, limits: Limits) -> Looks | None:
    """The look of the first file that still has the picture's bytes, None without one."""
    for file in picture.files:
        try:
            with file.here.open("rb") as opened:
                data = read_limited(opened, limits)
            if hashlib.sha256(data).digest() == picture.sha256:
                found = decode(data, at_least=DECODE_SIZE, limits=limits)
                size = (found.facts.width or found.image.width, found.facts.height or found.image.height)
                return look_at(found.image, picture.sha256, size=size)
        except (OSError, PictureError):
            continue
    return None
