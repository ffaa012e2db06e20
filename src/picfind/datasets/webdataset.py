r"""WebDataset's tar shards: `webdataset:FOLDER`, `webdataset:FOLDER/train-{00000..00009}.tar`.

Files of a tar archive that follow one another and share what stands before the first dot of their names are one sample
(https://github.com/webdataset/webdataset; img2dataset writes them):

    000000001.jpg, .jpeg, .png, .webp, ...       pictures; several (`1.left.jpg`, `1.right.jpg`) share the sample's words
    000000001.txt                                a caption a line
    000000001.json                               an object: `caption`, `text`, `title`, `tags`, `label`, ...
    000000001.cls                                the class: its name, or its number, which says nothing in words

Only heads are read for a listing, and the words: a shard is passed over in steps, and one sample is held at a time. A
picture is read later straight from its place in the shard. `{000..009}` stands for numbers, `{a,b}` for choices, `*` and
`?` for any characters. Links, devices and names that lead out of the archive are refused and counted; nothing is ever
unpacked. Shards must not be compressed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from picfind import datasets, keys
from picfind.datasets._collection import check_options, missing, words_of
from picfind.datasets._judging import Told, judged
from picfind.datasets._shards import Sample, Shard, expand, open_marked
from picfind.datasets.base import Judged, JudgedDataset, Place
from picfind.errors import UsageError
from picfind.types import Fingerprint, Gap, Item

_WRITTEN = "See https://github.com/webdataset/webdataset for how shards are written"


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The shards of a folder, or those that a pattern means. Raises UsageError for options, and for a bad pattern."""
    check_options(place, "webdataset", ("shards",))
    return Shards(place)


class Shards:
    """The pictures in the shards of one folder."""

    def __init__(self, place: Place) -> None:
        is_folder = "shards" in place.options or os.path.isdir(place.path)
        self._root = place.path if is_folder else place.path.parent
        self._pattern = place.options.get("shards", "*.tar") if is_folder else place.path.name
        self._names = expand(self._pattern)
        if any("/" in name or os.sep in name or name in ("", ".", "..") for name in self._names):
            raise UsageError(f"{self._pattern!r} is no name of shards: all lie in one folder.")

    @property
    def kind(self) -> str:
        """`webdataset`."""
        return "webdataset"

    @property
    def name(self) -> str:
        """`webdataset`."""
        return "webdataset"

    @property
    def location(self) -> str:
        """The folder, and the pattern."""
        return datasets.location_of(self._root, {"shards": self._pattern} if self._pattern != "*.tar" else {})

    @property
    def scope(self) -> str:
        """All of it."""
        return ""

    def items(self) -> Iterator[Item | Gap]:
        """The pictures, shard by shard and in the order of the shards; what was refused or is damaged, for each shard.

        Raises MissingSourceError where no shard is there.
        """
        for shard in self._shards():
            for listed in shard.samples():
                yield from [listed] if isinstance(listed, Gap) else listed.items(words_of(listed.told()))

    def reopen(self, key: str, fingerprint: Fingerprint) -> BinaryIO:
        """Open a picture where it lies in its shard, which has not changed since. Raises OSError."""
        return open_marked(self._root, key, fingerprint)

    def queries(self) -> Iterator[Judged]:
        """What captions and classes ask. Raises what `items` raises."""
        yield from judged(self._told())

    def _told(self) -> Iterator[tuple[str, Told]]:
        for shard in self._shards():
            for listed in shard.samples():
                if isinstance(listed, Sample):
                    told = listed.told()
                    yield from ((item.key, told) for item in listed.items(()))

    def _shards(self) -> Iterator[Shard]:
        paths = sorted({path for name in self._names for path in self._found(name)})
        if not any(map(os.path.isfile, paths)):
            wanted = [keys.shown(keys.escape(self._pattern))]
            raise missing(self._root, wanted, kind="webdataset", owner=_WRITTEN)
        yield from map(Shard, paths)

    def _found(self, name: str) -> Iterator[Path]:
        if not set("*?[") & set(name):
            yield self._root / name  # one that is named and not there is a gap
            return
        yield from (path for path in self._root.glob(name) if os.path.isfile(path))
