"""The 1,000 ImageNet classes, one line a class in the order of the logits: names joined by ", ", a tab, a definition."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

_INFO = "timm/data/_info/"


class Label(NamedTuple):
    """What WordNet calls a class, and how it defines it."""

    names: str
    definition: str

    @property
    def name(self) -> str:
        """Its first name."""
        return self.names.split(", ")[0]


def read(path: Path) -> list[Label]:
    """The lines of classes.txt. Raises ValueError unless there are 1,000 of two columns."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) != 1000 or any(line.count("\t") != 1 for line in lines):
        raise ValueError(f"{path} must have 1000 lines of names, a tab, and a definition")
    return [Label(*line.split("\t")) for line in lines]


def write_from_timm(wheel: Path, path: Path) -> None:
    """Make classes.txt from data files of a wheel of timm: the synsets' order, and WordNet's lemmas and definitions.

    Of a definition the first clause is kept, what comes before a semicolon.
    """
    with zipfile.ZipFile(wheel) as archive:
        synsets = _read(archive, "imagenet_synsets.txt")
        lemmas = dict(line.split("\t", 1) for line in _read(archive, "imagenet_synset_to_lemma.txt"))
        definitions = dict(
            line.split("\t", 1) for line in _read(archive, "imagenet_synset_to_definition.txt")
        )
    lines = [f"{lemmas[synset].strip()}\t{definitions[synset].split(';')[0].strip()}\n" for synset in synsets]
    path.write_text("".join(lines), encoding="utf-8")


def _read(archive: zipfile.ZipFile, name: str) -> list[str]:
    return archive.read(_INFO + name).decode("utf-8").splitlines()
