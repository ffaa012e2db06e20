"""How pictures and words are joined: the three parts of a vector.

`heads`: what was learned from captioned photos, see `members.py`.

`conse`: Norouzi et al., "Zero-shot learning by convex combination of semantic embeddings" (arXiv 1312.5650): the mean of
the classes' vectors, weighted by the class probabilities. A class's vector is the unit mean of the sentence vectors of
`SENTENCES`, less the mean over all classes, so that a vague picture does not resemble every text. Ridge regression then
makes them (V Vt + ridge I)^-1 V, so that classes whose names are nearly equal do not count twice. Ridge and temperature
are the recipe's, chosen on the dev splits with all parts together.

`features`: the pooled features on the 256 main axes of the classifier's own weights (a principal component analysis of
its 1,000 rows), each divided by the square root of its spread. On Caltech-101 this compares pictures as well as axes
fitted on 7,000 photos did (mAP .725 against .726 whitened and .725 half whitened), and no photo's terms touch it.

**What the score of words and a picture means.** With the shares h, c, f of `SHARES`, a picture's row is
[√h · heads, √c · conse, √f · features] of unit rows; that of words is [a · heads, b · conse, 0] with a² + b² = 1. The
ratio b/a is chosen so that the inner product, a√h · (cos of heads + w' · cos of conse), ranks as the members' mean score
plus `weight` times the cosine of conse would: the members' mean score is `spread` / Σ length² times the joined cosine
(see `Learned`), so w' = weight · Σ length² / spread, and b/a = w' √(h / c). Two pictures score h · cos(heads) +
c · cos(conse) + f · cos(features).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import hypot, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from picfind.training.builtin.classes import Label
from picfind.training.builtin.member_graph import write_joined
from picfind.training.builtin.members import Learned, unit
from picfind.training.builtin.parts import Part

if TYPE_CHECKING:
    from picfind.encoders._graph import Graph
    from picfind.training.recipe import Joining

SENTENCES = ("{name}", "a photo of a {name}", "{names}", "a photo of a {name}, {definition}")
FEATURE_DIM = 256
SHARES: Mapping[str, float] = {"heads": 0.15, "conse": 0.20, "features": 0.65}
"""The share of each part in a picture's score against a picture.

Chosen by how well pictures of a class find each other on Caltech-101 (mAP .733; .726 without heads).
"""

Floats = NDArray[np.float32]
Sentences = Callable[[list[str]], Floats]
"""Texts to unit rows (n, 384)."""


@dataclass(frozen=True)
class Fixed:
    """The two matrices for which no photo is needed."""

    vectors: Floats
    """(1000, 384): a vector a class, of `conse`."""
    axes: Floats
    """(1280, 256): the main axes of the classifier's weights, of `features`."""


def fix(weights: Mapping[str, Floats], classes: list[Label], sentences: Sentences, *, ridge: float) -> Fixed:
    """Make both from the picture tower's weights, the classes' names and the text tower."""
    vectors = class_vectors(classes, sentences)
    return Fixed(conse_rows(vectors, ridge=ridge), classifier_axes(weights["_fc.weight"]))


def parts(fixed: Fixed, learned: Learned, how: Joining) -> list[Part]:
    """All parts, in the order of the vector."""
    of_heads, of_conse = word_lengths(learned, how)
    return [
        heads(learned, length=of_heads),
        conse(fixed.vectors, length=of_conse, temperature=how.temperature),
        features(fixed.axes),
    ]


def word_lengths(learned: Learned, how: Joining) -> tuple[float, float]:
    """The lengths of `heads` and of `conse` in words, a and b of the module's text."""
    lengths = sum(member.length**2 for member in learned.members)
    ratio = how.weight * lengths / learned.spread * sqrt(SHARES["heads"] / SHARES["conse"])
    return 1 / hypot(1, ratio), ratio / hypot(1, ratio)


def class_texts(classes: list[Label]) -> list[list[str]]:
    """For each of `SENTENCES`, that sentence of every class."""
    return [
        [sentence.format(**label._asdict(), name=label.name) for label in classes] for sentence in SENTENCES
    ]


def class_vectors(classes: list[Label], sentences: Sentences) -> Floats:
    """(1000, 384): the unit mean of each class's sentences."""
    return unit(class_sentences(classes, sentences).sum(axis=0))


def class_sentences(classes: list[Label], sentences: Sentences) -> Floats:
    """(4, 1000, 384): for each of `SENTENCES`, the vectors of that sentence of every class."""
    flat = [text for texts in class_texts(classes) for text in texts]
    return sentences(flat).reshape(len(SENTENCES), len(classes), -1)


def conse_rows(vectors: Floats, *, ridge: float) -> Floats:
    """(1000, 384): what a picture's class probabilities are multiplied with, from `class_vectors`."""
    return ridge_rows(vectors - vectors.mean(axis=0), ridge=ridge)


def ridge_rows(vectors: Floats, *, ridge: float) -> Floats:
    """(V Vt + ridge I)^-1 V, scaled to a mean length of 1: half precision has few digits for what is small."""
    exact = vectors.astype(np.float64)
    rows = np.linalg.solve(exact @ exact.T + ridge * np.eye(len(exact)), exact)
    scaled: Floats = (rows / np.linalg.norm(rows, axis=1).mean()).astype(np.float32)
    return scaled


def classifier_axes(weight: Floats) -> Floats:
    """(1280, 256): the main axes of the classifier's rows, scaled by one over the square root of their spread."""
    rows = weight.astype(np.float64)
    _, spread, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    axes *= np.where(
        axes.sum(axis=1, keepdims=True) < 0, -1.0, 1.0
    )  # a sign that no library's version decides
    scale = np.sqrt(spread[:FEATURE_DIM] / spread[0])
    scaled: Floats = (axes[:FEATURE_DIM] / scale[:, None]).T.astype(np.float32)
    return scaled


def heads(learned: Learned, *, length: float) -> Part:
    """The part that was learned; `length` is that in words."""

    def image(graph: Graph, tensors: Mapping[str, str]) -> str:
        return write_joined(graph, tensors, learned, "image")

    def text(graph: Graph, tensors: Mapping[str, str]) -> str:
        return write_joined(graph, tensors, learned, "text")

    about = (
        "learned from captioned photos: projections of picture features and of the sentence vector, joined"
    )
    return Part("heads", learned.image.shape[1], sqrt(SHARES["heads"]), length, image, text, about)


def conse(vectors: Floats, *, length: float, temperature: float) -> Part:
    """The part that pictures and words share by the classes' names; `length` is that in words."""

    def image(graph: Graph, tensors: Mapping[str, str]) -> str:
        scaled = graph.op("Mul", tensors["logits"], graph.constant(1 / temperature))
        return graph.op("MatMul", graph.op("Softmax", scaled, axis=-1), graph.weight(vectors))

    def text(graph: Graph, tensors: Mapping[str, str]) -> str:
        return tensors["sentence"]

    about = "mean of the classes' vectors, weighted by class probability; words: their sentence vector"
    return Part("conse", vectors.shape[1], sqrt(SHARES["conse"]), length, image, text, about)


def features(axes: Floats) -> Part:
    """The part that compares pictures with pictures; words have zeros here."""

    def image(graph: Graph, tensors: Mapping[str, str]) -> str:
        return graph.op("MatMul", tensors["features"], graph.weight(axes))

    about = "pooled picture features on the main axes of the classifier's weights; zeros for words"
    return Part("features", axes.shape[1], sqrt(SHARES["features"]), 0.0, image, None, about)
