"""Full text: which pictures have the words of a query in what is said of them, in what was read inside them, in their names.

Ranked by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) as SQLite's FTS5
computes it: k1 = 1.2, b = .75; words are compared by their Porter stems, without case and accents.

What of the query a picture has, by the rarity of its words (the idf of BM25), tells how much its place in this ranking
counts: "a man with a hat" must not move each picture up of which somebody says "a".
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picfind.search.query import Kind, Term
from picfind.storage import said
from picfind.storage.catalog import Catalog
from picfind.types import Floats, Ids

_LEAST_COVERED = 0.2
"""Share of the query below which a picture is not found by its text. With .1 to .3, fused rankings were as good."""
_WHOLE = 0.999
_MOST_TOKENS = 32
"""Different words of a term that are looked up at most: a pasted page is cut here."""
SAYS_NOTHING = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "s",
        "that",
        "the",
        "their",
        "there",
        "this",
        "to",
        "was",
        "were",
        "with",
    ]
)
"""English words that say nothing of a picture. In other languages their rarity tells them."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Pictures found by their text, best first: content ids and scores (BM25, above 0), both (n,).

    `covered` (n,): which share of the query, by rarity, each of them has; 1 is all of it. `confidence` (n,) is the share
    that somebody says; a path counts half, and only where it completes the query: flowers.jpg is no answer to "flowers in a vase".
    """

    contents: Ids
    scores: Floats
    covered: Floats
    confidence: Floats
    names: Ids
    """The name of each content that has the text."""

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(n,): which of them have all of the query."""
        return self.covered > _WHOLE


_NO_IDS, _NO_FIGURES = np.empty(0, np.int64), np.empty(0, np.float32)
NOTHING = Texts(_NO_IDS, _NO_FIGURES, _NO_FIGURES, _NO_FIGURES, _NO_IDS)


def takes(terms: Sequence[Term]) -> bool:
    """Whether full text can answer: what is wanted is words alone; what is not wanted may be pictures too."""
    wanted = [term for term in terms if term.weight > 0]
    return bool(wanted) and all(term.kind is Kind.WORDS for term in wanted)


def find(catalog: Catalog, terms: Sequence[Term], *, allowed: Ids | None = None) -> Texts:
    """The pictures whose text has the words of the terms, of those `allowed` (content ids).

    What a term with a minus says must not be there, word after word; phrases of the others must be. Weights do not count.
    """
    wanted = [term for term in terms if term.weight > 0 and term.kind is Kind.WORDS]
    tokens = tokens_of(wanted)
    if not tokens:
        return NOTHING
    must = [phrase for term in wanted for phrase in term.phrases]
    without = [str(term.value) for term in terms if term.weight < 0 and term.kind is Kind.WORDS]
    with catalog.reading():
        having = {token: said.having(catalog, token) for token in tokens}
        written = {token: said.having(catalog, token, written=True) for token in tokens}
        found = said.ranked(catalog, tokens, must=must, without=without)
        count = said.count(catalog)
    rarity = {token: _rarity(count, len(rows)) for token, rows in having.items()}
    covered = _coverage(found.names, having, rarity)
    told = _coverage(found.names, written, rarity)
    return _best(found, covered, np.where(covered > _WHOLE, (covered + told) / 2, told), allowed)


def tokens_of(terms: Sequence[Term]) -> list[str]:
    """The different words of some terms that are looked up, lower-cased, without those that say nothing."""
    every = [token.lower() for term in terms for token in _split(str(term.value))]
    telling = [token for token in every if token not in SAYS_NOTHING] or every
    return list(dict.fromkeys(telling))[:_MOST_TOKENS]


def _split(text: str) -> list[str]:
    """The words of a text: letters, digits, and the marks on them, without which no word is whole in many scripts."""
    signs = unicodedata.normalize("NFC", text)
    words = "".join(
        sign if sign.isalnum() or sign == "_" or unicodedata.category(sign)[0] == "M" else " "
        for sign in signs
    )
    return [word for word in words.split() if any(map(str.isalnum, word))]


def _best(found: said.Ranked, covered: Floats, confidence: Floats, allowed: Ids | None) -> Texts:
    """Each content once, by its best name."""
    kept = covered >= _LEAST_COVERED
    if allowed is not None:
        kept &= np.isin(found.contents, allowed)
    places = np.flatnonzero(kept)
    order = places[np.lexsort((found.contents[places], -found.scores[places]))]
    _, first = np.unique(found.contents[order], return_index=True)
    order = order[np.sort(first)]
    return Texts(
        found.contents[order], found.scores[order], covered[order], confidence[order], found.names[order]
    )


def _coverage(names: Ids, having: Mapping[str, Ids], rarity: Mapping[str, float]) -> Floats:
    """(n,): the share of the query, by rarity, that each name has."""
    covered = np.zeros(len(names), np.float64)
    for token, rows in having.items():
        covered += rarity[token] * np.isin(names, rows)
    return (covered / sum(rarity.values())).astype(np.float32)


def _rarity(count: int, having: int) -> float:
    """The idf of BM25, but never nothing: where all have a word, that word is still enough to find them by."""
    return math.log(1 + (count - having + 0.5) / (having + 0.5))
