"""The development data that the checks ask, and the measures: pictures with captions, and pictures of classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.types import Floats

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """Queries in words, pictures, and which of them are right: (queries, pictures)."""

    photos: list[Path]
    queries: list[str]
    right: Flags


@dataclass(frozen=True)
class Classes:
    """Pictures of classes: queried by the classes' names, and by the pictures whose role it is."""

    named: Judged
    asks: Flags
    """(pictures,): those that ask; the others are what they look among."""
    alike: Flags
    """(asking, others): of one class."""


def captioned(folder: Path, *, same_words: bool = False) -> Judged:
    """The dev split of a folder with images/ and captions.jsonl, queried by its captions.

    A caption's own picture is right, and with `same_words` every other that has just these words too.
    """
    lines = (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == "dev"]
    pairs = [(caption, at) for at, row in enumerate(rows) for caption in row["captions"]]
    right = np.zeros((len(pairs), len(rows)), bool)
    right[np.arange(len(pairs)), [at for _, at in pairs]] = True
    if same_words:
        said = [{_plain(caption) for caption in row["captions"]} for row in rows]
        right |= [[_plain(caption) in words for words in said] for caption, _ in pairs]
    photos = [folder / "images" / row["image"] for row in rows]
    return Judged(photos, [caption for caption, _ in pairs], right)


def _plain(caption: str) -> str:
    return " ".join(caption.lower().split())


def classes(folder: Path) -> Classes:
    """A folder with images/ and labels.jsonl."""
    lines = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    labels = np.array([row["label"] for row in rows])
    names = np.unique(labels)
    asks = np.array([row["role"] == "query" for row in rows])
    named = Judged(
        [folder / "images" / row["image"] for row in rows],
        [name.replace("_", " ") for name in names.tolist()],
        names[:, None] == labels,
    )
    return Classes(named, asks, labels[asks][:, None] == labels[~asks])


def hit_at(scores: Floats, right: Flags, k: int) -> float:
    """The share of queries (rows) with a right picture among the k best columns; ties count for the query."""
    best = np.where(right, scores, -np.inf).max(axis=1)
    return float(((scores > best[:, None]).sum(axis=1) < k).mean())


def mean_average_precision(scores: Floats, right: Flags) -> float:
    """The mean over queries of the mean precision at each right picture, best score first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    found = np.take_along_axis(right, order, axis=1)
    precision = np.cumsum(found, axis=1) / np.arange(1, found.shape[1] + 1)
    return float(((precision * found).sum(axis=1) / found.sum(axis=1)).mean())
