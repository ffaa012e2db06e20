"""What a score means: the relevance of a hit, a figure from 0 to 1 that can be compared across queries and models.

A cosine says which of two pictures fits a query better, but not whether it fits: what counts as high differs from
model to model and from picture to picture. So each hit is asked a second question: does this picture answer this query
better than it answers other ones? Its score is set against the scores that the same picture has for a fixed background:

- words: some 250 short sentences of all kinds (`background.txt`, written for this);
- pictures: a seeded sample of the gallery's own pictures, but for copies of the hit;
- a mixture: the terms are replaced one by one, each by the background of its kind, with the query's own weights.

*Strength* is the distance from the mean of these scores, in their standard deviations. Speaker verification knows this
as test normalisation (Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker
verification systems", Digital Signal Processing 10, 2000). It depends on the hit and on the query, not on what else
there is, so it holds in a gallery of one picture and needs no statistics of the gallery.

*Relevance* is 1 / (1 + exp(-slope * (strength - middle))): a logistic curve fitted to judged hits (Platt, 1999).
A relevance of .7 means: of hits of such strength, some 7 in 10 were right. Judged were the first 30 hits of some 100
queries "a dog", "a bench" and so on, each asked once of photos as they are and once without the photos of its subject; a
photo was right where two of its captions name the subject. `minilm` was asked for a caption of each photo, `builtin-open`
for the photos themselves: 800 of Flickr8k and 800 of COCO 2014, train splits. `builtin` has learned from these, which makes it
look better there (middle 4.40, slope 1.30), so its curve is that of the dev splits, 1,000 and 500 photos (4.64 and 1.16; the
halves 4.57 and 4.49, 1.20 and 1.22). All three together have 4.84 and 1.18, and photos asked by photos (Caltech-101, half of
the classes) 4.57 to 4.96 and 1.32 to 1.46, by model. `USUAL` stands for all of these: with a limit of .5, as many hits
among the other classes are right as it expects, to .04. `python -m benchmarks.calibration` measures all of this.

Its limits: the models alone differ by two units of strength (`_FITTED`), so the figure of a model that nobody has judged
is good to some .2, and up to .4 too high for one as weak as `builtin-open`. It says whether a picture is of this kind, not
whether it is the very one that was meant. And the more pictures there are, the more unrelated ones stand out by chance:
precision stays as it is, since there are more right ones too, but where there is nothing to find, the best of 10,000 looks
better than the best of 100. `by_chance` says how many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from picfind.errors import UsageError
from picfind.types import Floats, Ids

BACKGROUND = Path(__file__).with_name("background.txt")
LEAST = 32
"""Fewer background rows than this say too little, and relevance is NaN: for a query by picture in a gallery of 32, say.

Against all 258 sentences, strengths with 32 of them were .2 higher and .8 apart, with 16 .4 and 1.1, with 128 .0 and .3.
"""
SAMPLE = 512
"""Pictures of a gallery that stand for all of them; with 32, 256 and 512 the area under the curve was .78, .86 and .87."""
_COPY = 0.999
"""Cosine from which a background picture is the hit itself or a copy of it, and no background to it."""
_LEAST_SPREAD = 0.005
"""Standard deviation that is assumed at least: a background of copies would make any difference look enormous."""
_BLOCK = 2048
"""Hits judged at a time: with 250 background rows their scores take 2 MB."""
_NOTHING_LEFT = 1e-4
"""Norm below which terms have cancelled out."""
_SEED = 20


@dataclass(frozen=True, slots=True)
class Curve:
    """Strength to relevance: .5 at `middle`, steeper with a larger `slope`."""

    middle: float
    slope: float

    def __call__(self, strengths: Floats) -> Floats:
        """(n,) in [0, 1]; NaN stays NaN."""
        exponent = np.clip(-self.slope * (strengths.astype(np.float64) - self.middle), -60, 60)
        return (1 / (1 + np.exp(exponent))).astype(np.float32)

    def strength(self, relevance: float) -> float:
        """The strength that has this relevance; those of 0 and 1 are infinite."""
        if not 0 < relevance < 1:
            return -math.inf if relevance <= 0 else math.inf
        return self.middle + math.log(relevance / (1 - relevance)) / self.slope


USUAL = Curve(middle=4.6, slope=1.35)
"""Of a model that no curve was fitted for, and of queries by pictures alone."""
_FITTED: Mapping[str, Curve] = MappingProxyType(
    {
        "builtin": Curve(middle=4.6, slope=1.2),
        "builtin-open": Curve(middle=6.0, slope=0.81),
        "minilm": Curve(middle=4.1, slope=2.07),
    }
)
"""Of queries with words in them, by the model's name."""
_CHANCE = 1.5
"""Of unrelated pictures, the share above a strength of 3, 4, 5 and 6 was .012, .003, .0009 and .0002: about
exp(-1.5 * strength). With `builtin-open` it is two to four times as many, with `minilm` about half as many."""


def curve_for(model: str, *, words: bool) -> Curve:
    """The curve of a model by its name, for queries with words in them or for pictures alone."""
    return _FITTED.get(model, USUAL) if words else USUAL


@dataclass(frozen=True, slots=True)
class Cut:
    """Which of some hits are relevant: their places (count,) in the order of the hits, and the share of these that can
    be expected to answer the query, NaN where none is left."""

    places: Ids
    precision: float

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The background of one space: rows of sentences (m, dim) and of pictures (p, dim), either of which may be empty.

    For a space of words, `pictures` is empty: its queries are words. Made once a generation. Safe from several threads.
    """

    model: str
    sentences: Floats
    pictures: Floats

    def __post_init__(self) -> None:
        """Raises UsageError where the rows do not belong to one space."""
        if self.sentences.ndim != 2 or self.pictures.ndim != 2:
            raise UsageError("Background rows must have the shapes (m, dim) and (p, dim).")
        if self.sentences.shape[1] != self.pictures.shape[1]:
            raise UsageError("The background's sentences and pictures are of different spaces.")

    def rows(self, terms: Sequence[tuple[bool, float]]) -> Floats:
        """(m, dim) unit rows: other queries of the form of this one, `terms` being (is it words?, its weight) for each.

        (0, dim) where there is too little to judge by, or where what there is cancels out.
        """
        chosen = [(self.sentences if words else self.pictures, weight) for words, weight in terms]
        count = max((len(rows) for rows, _ in chosen), default=0)
        if any(len(rows) < LEAST for rows, _ in chosen) or not chosen:
            return self.sentences[:0]
        total = np.zeros((count, self.sentences.shape[1]), np.float32)
        for at, (rows, weight) in enumerate(chosen):
            total += np.float32(weight) * rows[_picks(len(rows), count, at)]
        return _unit(total)

    def relevance(self, scores: Floats, vectors: Floats, *, terms: Sequence[tuple[bool, float]]) -> Floats:
        """(n,) in [0, 1], of hits with their scores (n,) and vectors (n, dim); NaN: too little to judge by."""
        return self._curve(terms)(strengths(scores, vectors, self.rows(terms)))

    def by_chance(self, at_least: float, *, searched: int, terms: Sequence[tuple[bool, float]]) -> float:
        """How many of `searched` unrelated pictures can be expected to have a relevance of `at_least` this.

        A rough figure, good to a factor of four. No more hits than this are no sign that anything was found.
        """
        return searched * math.exp(-_CHANCE * max(0.0, self._curve(terms).strength(at_least)))

    def _curve(self, terms: Sequence[tuple[bool, float]]) -> Curve:
        return curve_for(self.model, words=any(words for words, _ in terms))


def strengths(scores: Floats, vectors: Floats, background: Floats) -> Floats:
    """(n,): how far each score (n,) is above those of the same vector (n, dim) with the background (m, dim).

    In standard deviations of the latter; NaN with fewer than `LEAST` rows. Background rows that are copies of a vector do
    not count for it. A score of .3, and background scores of .0 and .2 (mean .1, deviation .1): 2.
    """
    found = np.full(len(scores), np.nan, np.float32)
    if len(background) < LEAST:
        return found
    middle = background.mean(axis=0)
    around = (background - middle).T.copy()
    for start in range(0, len(scores), _BLOCK):
        block = slice(start, start + _BLOCK)
        rows = vectors[block].astype(np.float32)
        found[block] = _strengths(scores[block], rows @ middle, rows @ around)
    return found


def _strengths(scores: Floats, mean: Floats, apart: Floats) -> Floats:
    """`mean` (n,) of each vector's background scores, and how far each lies from it (n, m), so that nothing cancels."""
    spread = np.sqrt(np.einsum("ij,ij->i", apart, apart) / apart.shape[1])
    above: Floats = (scores - mean) / np.maximum(spread, _LEAST_SPREAD)
    for row in np.flatnonzero(apart.max(axis=1) + mean >= _COPY).tolist():
        others = mean[row] + apart[row]
        others = others[others < _COPY].astype(np.float64)
        enough = len(others) >= LEAST
        above[row] = (scores[row] - others.mean()) / max(others.std(), _LEAST_SPREAD) if enough else np.nan
    return above


def cut(relevances: Floats, *, at_least: float) -> Cut:
    """The hits whose relevance (n,) is `at_least` this or cannot be told (NaN), in their order.

    The expected precision is the mean of their relevances: of .9 and .7, .8 can be expected to be right. Raises UsageError for a
    limit outside 0 to 1.
    """
    if not 0 <= at_least <= 1:
        raise UsageError(f"The least relevance is {at_least:g}: it must be from 0 to 1.")
    places = np.flatnonzero(~(relevances < at_least))
    told = relevances[places][~np.isnan(relevances[places])]
    return Cut(places, float(told.mean(dtype=np.float64)) if len(told) else float("nan"))


def sample(count: int, *, size: int = SAMPLE) -> Ids:
    """Which of `count` pictures stand for all: places in rising order, always the same ones for a count."""
    if count <= size:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(_SEED).choice(count, size, replace=False)).astype(np.int64)


@cache
def sentences() -> tuple[str, ...]:
    """The background sentences, in the order of their file."""
    return tuple(BACKGROUND.read_text(encoding="utf-8").split("\n")[:-1])


def _picks(rows: int, count: int, term: int) -> Ids:
    """Which row stands for a term in each of `count` other queries: its own order for each term, so that they mix."""
    if term == 0:
        return np.arange(count, dtype=np.int64) % rows
    return np.random.default_rng(_SEED + term).permutation(count).astype(np.int64) % rows


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    left = norms[:, 0] > _NOTHING_LEFT
    unit: Floats = rows[left] / norms[left]
    return unit
