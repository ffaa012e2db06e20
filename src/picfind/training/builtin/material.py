"""What is learned from, as both frozen towers see it: pictures with captions, and the 1,000 classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from picfind.encoders.builtin import FOLDER
from picfind.training.builtin import classes, joining, lite2, members, minilm, sentences
from picfind.training.builtin.assembly import Towers
from picfind.training.builtin.views import Views
from picfind.training.captioned import Example
from picfind.training.features import Told
from picfind.training.recipe import Joining
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
    rows: Floats
    """(1000, 1696): the classifier's rows, standing for a photo of each class, standardised; 0 where it does not look."""
    conse: Floats
    """(1000, 384): a vector a class, for the score by names."""

    @property
    def names(self) -> Floats:
        """(1000, 384): the unit mean of each class's sentences."""
        total = self.said.sum(axis=0)
        found: Floats = total / np.linalg.norm(total, axis=1, keepdims=True)
        return found


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
    texts = joining.class_texts(classes.read(FOLDER / "classes.txt"))
    flat = sentences.vectors([text for kind in texts for text in kind], told=told)
    said = flat.reshape(len(texts), lite2.CLASSES, -1)
    weight = lite2.load().state_dict()["_fc.weight"].numpy()
    away = weight - weight.mean(axis=0)
    known = np.zeros((lite2.CLASSES, members.WIDE), np.float32)
    known[:, : members.POOLED] = away / away.std()
    found = Classes(said, known, np.empty((0, 0), np.float32))
    names = found.names
    return replace(found, conse=joining.ridge_rows(names - names.mean(axis=0), ridge=ridge))


def known_towers(how: Joining) -> Towers:
    """What the graphs are written from, with the classes' sentences as they are kept."""
    image = {name: tensor.numpy() for name, tensor in lite2.load().state_dict().items()}
    labels = classes.read(FOLDER / "classes.txt")
    fixed = joining.fix(
        image, labels, lambda texts: sentences.vectors(texts, told=lambda *_: None), ridge=how.ridge
    )
    return Towers(image, minilm.weights(), fixed)
