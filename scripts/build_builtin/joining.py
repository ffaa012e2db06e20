"""The parts of version 1: how the two towers are joined. Nothing here is learned from photos.

`conse`: Norouzi et al., "Zero-shot learning by convex combination of semantic embeddings" (arXiv 1312.5650): the mean of
the classes' sentence vectors, weighted by the class probabilities. Two things were chosen on the dev split of Flickr8k
(1,000 photos, 5,000 captions); a dev split of 500 COCO photos agrees. The sentence: with the definition hit_at(10) is
.322, with all names of the class instead .303, with the first name alone .300 (the word "sorrel" does not say that it
is a horse, its definition does). The temperature: .255 at 0.7, .310 at 1.4, .322 at 2, .314 at 2.5. The mean over all
classes is subtracted, so that a vague picture does not resemble every text.

`features`: the pooled features on the 256 main axes of the classifier's own weights (a principal component analysis of
its 1,000 rows), each divided by the square root of its spread. On Caltech-101 this compares pictures as well as axes
fitted on 7,000 photos did (mAP .725 against .726 whitened and .725 half whitened; together with `conse` .726 against
.730), and no photo's terms touch it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from classes import Label
from numpy.typing import NDArray
from parts import Part

if TYPE_CHECKING:
    from picfind.encoders._graph import Graph

TEMPERATURE = 2.0
SENTENCE = "a photo of a {name}, {definition}"
FEATURE_DIM = 256
CONSE_SHARE = 0.25
"""The share of `conse` in a picture's score against a picture.

Chosen on the dev splits by how alike the captions of a photo and of its five nearest are: .2 and .3 are equal there.
"""

Floats = NDArray[np.float32]
Sentences = Callable[[list[str]], Floats]
"""Texts to unit rows (n, 384)."""


@dataclass(frozen=True)
class Joining:
    """The two matrices that join the towers."""

    vectors: Floats
    """(1000, 384): a centred sentence vector a class."""
    axes: Floats
    """(1280, 256): the main axes of the classifier's weights."""


def join(weights: Mapping[str, Floats], classes: list[Label], sentences: Sentences) -> Joining:
    """Make both from the picture tower's weights, the classes' names and the text tower."""
    return Joining(class_vectors(classes, sentences), classifier_axes(weights["_fc.weight"]))


def parts(joining: Joining) -> list[Part]:
    """All parts of this version, in the order of the vector. Heads that are learned would be one more entry."""
    return [conse(joining.vectors), features(joining.axes)]


def class_vectors(classes: list[Label], sentences: Sentences) -> Floats:
    """(1000, 384): a sentence a class, the mean over all classes subtracted."""
    vectors = sentences([SENTENCE.format(name=label.name, definition=label.definition) for label in classes])
    return vectors - vectors.mean(axis=0)


def classifier_axes(weight: Floats) -> Floats:
    """(1280, 256): the main axes of the classifier's rows, scaled by one over the square root of their spread."""
    rows = weight.astype(np.float64)
    _, spread, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    axes *= np.where(
        axes.sum(axis=1, keepdims=True) < 0, -1.0, 1.0
    )  # a sign that no library's version decides
    scale = np.sqrt(spread[:FEATURE_DIM] / spread[0])
    return (axes[:FEATURE_DIM] / scale[:, None]).T.astype(np.float32)


def conse(vectors: Floats) -> Part:
    """The part that pictures and words share."""

    def image(graph: Graph, tensors: Mapping[str, str]) -> str:
        scaled = graph.op("Mul", tensors["logits"], graph.constant(1 / TEMPERATURE))
        return graph.op("MatMul", graph.op("Softmax", scaled, axis=-1), graph.weight(vectors))

    def text(graph: Graph, tensors: Mapping[str, str]) -> str:
        return tensors["sentence"]

    about = (
        "mean of the classes' sentence vectors, weighted by class probability; words: their sentence vector"
    )
    return Part("conse", vectors.shape[1], sqrt(CONSE_SHARE), 1.0, image, text, about)


def features(axes: Floats) -> Part:
    """The part that compares pictures with pictures; words have zeros here."""

    def image(graph: Graph, tensors: Mapping[str, str]) -> str:
        return graph.op("MatMul", tensors["features"], graph.weight(axes))

    about = "pooled picture features on the main axes of the classifier's weights; zeros for words"
    return Part("features", axes.shape[1], sqrt(1 - CONSE_SHARE), 0.0, image, None, about)
