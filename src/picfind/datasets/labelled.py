"""A folder with one folder a class: `labelled:FOLDER`, as Caltech-101, Imagenette and many others are published.

    dog/a.jpg, dog/b.jpg, cat/c.jpg              the class is the first folder's name
    train/dog/a.jpg, val/dog/b.jpg               with `#train`

Pictures are listed as those of any folder are. A name becomes words: `_` stands for a blank, and a number before it goes
(`012.Golden_retriever`). Pictures that lie in no folder belong to no class. For queries keys and labels are held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import BinaryIO

from picfind import datasets, keys
from picfind.datasets._collection import check_options, words_of
from picfind.datasets._entries import open_regular
from picfind.datasets._judging import Told, judged
from picfind.datasets._names import below
from picfind.datasets.base import Judged, JudgedDataset, Place
from picfind.datasets.folder import Folder
from picfind.errors import UsageError
from picfind.types import Fingerprint, Gap, Item

_NUMBER = re.compile(r"\d+[._ -]+(?=\D)")


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The dataset in this folder. Option: `split`, the folder that holds those of the classes. Raises UsageError."""
    check_options(place, "labelled", ("split",))
    return Labelled(place)


class Labelled:
    """The pictures below a folder, with the names of their classes."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._split = place.options.get("split", "")
        if self._split and below(self._split) != self._split:
            raise UsageError(f"labelled: the split {self._split!r} is no folder's name.")
        self._folder = Folder(place.path / self._split, exclude=place.settings.exclude, root=place.path)

    @property
    def kind(self) -> str:
        """`labelled`."""
        return "labelled"

    @property
    def name(self) -> str:
        """`labelled`, and the split."""
        return "labelled" + (f"#{self._split}" if self._split else "")

    @property
    def location(self) -> str:
        """The folder, and the split: without it, names of splits would be taken for those of classes."""
        return datasets.location_of(self._place.path, self._place.options)

    @property
    def scope(self) -> str:
        """ "" for all; the split's folder."""
        return self._folder.scope

    def items(self) -> Iterator[Item | Gap]:
        """As `Folder.items`, each with its class. Raises MissingSourceError."""
        for listed in self._folder.items():
            if isinstance(listed, Item):
                yield replace(listed, words=words_of(Told((listed.key,), labels=self._labels(listed.key))))
            else:
                yield listed

    def reopen(self, key: str, fingerprint: Fingerprint) -> BinaryIO:
        """Open the file as it is now. Raises OSError."""
        return open_regular(str(self._place.path / keys.unescape(key)))

    def would_list(self, parts: Sequence[str]) -> bool:
        """As `Folder.would_list`, within the split."""
        split = self.scope.split("/")[:-1]
        return list(parts[: len(split)]) == split and self._folder.would_list(parts)

    def queries(self) -> Iterator[Judged]:
        """The names of classes for their pictures, and pictures for others of their class. Raises MissingSourceError."""
        found = (listed.key for listed in self._folder.items() if isinstance(listed, Item))
        yield from judged((key, Told((key,), labels=self._labels(key))) for key in found)

    def _labels(self, key: str) -> tuple[str, ...]:
        folders = key[len(self.scope) :].split("/")[:-1]
        return (label_of(folders[0]),) if folders else ()


@lru_cache(4096)
def label_of(folder: str) -> str:
    """A folder's name as words; as it is where nothing would be left."""
    return " ".join(_NUMBER.sub("", folder, count=1).replace("_", " ").split()) or folder
