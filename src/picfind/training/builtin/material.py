"""What is learned from, as both frozen towers see it: pictures with captions, and the 1,000 classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from picfind.encoders.builtin import FOLDER
from picfind.training.builtin import classes, joining, lite2, members, sentences
from picfind.training.builtin.views import Views
from picfind.training.captioned import Example
from picfind.training.features import Told
from picfind.types import Floats, Ids


@dataclass(frozen=True, slots=True)
class Material:
    """Pictures with captions, as both frozen towers see them."""

    views: Views
    plain: Floats
    """(n, 2696): the kept rows of the pictures as they are."""
    captions: Floats
    """(m, 384), grouped by picture."""
    owners: Ids
    """(m,), rising: whose each caption is."""
    marks: Ids
    """(m,): equal for captions that are equal."""

    @property
    def starts(self) -> Ids:
        """Where each picture's captions begin, and where the last ones end: (n + 1,)."""
        return np.searchsorted(self.owners, np.arange(self.views.count + 1))

    def maps(self, at: Ids) -> Any:
        """Of pictures as they are."""
        return self.views.maps(at, np.zeros_like(at))


@dataclass(frozen=True, slots=True)
class Classes:
    """What is known of the 1,000 classes without any photo."""

    said: Floats
    """(4, 1000, 384): the vectors of four sentences a class."""
    names: Floats
    """(1000, 384): the unit mean of each class's sentences."""
    rows: Floats
    """(1000, 1696): the classifier's rows, standing for a photo of each class, standardised; 0 where it does not look."""
    conse: Floats
    """(1000, 384): a vector a class, for the score by names."""


def material_of(examples: Sequence[Example], views: Views, told: Told) -> Material:
    """Encode the captions, and number them."""
    captions = [caption for example in examples for caption in example.captions]
    owners = np.repeat(np.arange(len(examples)), [len(example.captions) for example in examples])
    _, marks = np.unique(np.array(captions), return_inverse=True)
    return Material(
        views, views.plain(), sentences.vectors(captions, told=told), owners, marks.astype(np.int64)
    )


def known_classes(ridge: float, told: Told) -> Classes:
    """Encode the classes' sentences, and read the classifier."""
    labels = classes.read(FOLDER / "classes.txt")
    said = joining.class_sentences(labels, partial(sentences.vectors, told=told))
    weight = lite2.weights()["_fc.weight"]
    away = weight - weight.mean(axis=0)
    known = np.zeros((lite2.CLASSES, members.WIDE), np.float32)
    known[:, : members.POOLED] = away / away.std()
    names = members.unit(said.sum(axis=0))
    return Classes(said, names, known, joining.conse_rows(names, ridge=ridge))
