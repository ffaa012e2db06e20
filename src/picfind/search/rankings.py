"""The rankings that an answer is fused from: by vectors of pictures, by vectors of words, by full text.

Each knows what it ranks, how much it counts, how relevant its pictures are, and why each of them is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from picfind.search import fulltext
from picfind.search.asking import Asked
from picfind.search.fulltext import Texts
from picfind.search.fusion import MEASURED, PROVEN, TEXT, TEXT_ALONE, UNPROVEN, WORDS, Entry
from picfind.search.matcher import Matcher
from picfind.search.query import Query
from picfind.search.snapshot import Found
from picfind.storage import parts, recognised, said
from picfind.storage.catalog import Catalog
from picfind.types import Box, Floats, Ids, RecognisedLine

_LEAST_WORDS = 0.1
"""Confidence below which words that match do not count for a fused ranking: they must not move pictures about."""
ALL_SAID = 0.9
"""Relevance of a picture of which all that was asked for is said in so many words: of photos of which one caption names a
subject, two captions name it of .89 (Flickr8k, train split) and .91 (COCO). Where less of the query is said, it falls with the
square of that share; this is an assumption."""
ALL_NAMED = 0.6
"""Relevance of a picture whose path completes the query: a folder or a file was given that name by somebody. An assumption."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a ranking has a picture: figures by what was asked for, the texts that matched, and where in the picture."""

    why: Mapping[str, float]
    matched: Mapping[str, str]
    box: Box | None = None


class Ranking(Protocol):
    """Pictures that answer a query, best first: content ids and scores, both (n,)."""

    @property
    def against(self) -> str:
        """What was ranked: `pictures`, `words` or `text`."""
        ...

    @property
    def weight(self) -> float:
        """How much it counts beside others, unless the query says otherwise."""
        ...

    @property
    def contents(self) -> Ids: ...

    def relevance_of(self, wanted: Sequence[int]) -> dict[int, float]:
        """How relevant some contents are, from 0 to 1; those that are not here, or cannot be told, are left out."""
        ...

    def entries(self, *, fused: bool) -> list[Entry]:
        """Those that count, alone or beside others."""
        ...

    def reasons(self, catalog: Catalog, query: Query, wanted: Sequence[int]) -> dict[int, Reason]:
        """Why some contents are here; those that are not here are left out."""
        ...


@dataclass(frozen=True, slots=True)
class ByVectors:
    """What is nearest in one space."""

    matcher: Matcher
    asked: Asked
    found: Found
    relevance: Floats | None
    """(n,) from 0 to 1, NaN where it cannot be told; None where nothing is cut by it."""

    @property
    def against(self) -> str:
        return self.matcher.against

    @property
    def weight(self) -> float:
        if self.against == "words":
            return WORDS
        card = self.matcher.encoder.card
        return MEASURED.get(card.name, PROVEN if card.recall else UNPROVEN)

    @property
    def contents(self) -> Ids:
        return self.found.contents

    def relevance_of(self, wanted: Sequence[int]) -> dict[int, float]:
        if self.relevance is not None:
            return _told(self.contents, self.relevance, wanted)
        found = self.found.only(wanted)
        return _told(found.contents, self.matcher.relevance(found, self.asked), wanted)

    def entries(self, *, fused: bool) -> list[Entry]:
        contents, scores = self.contents, self.found.scores
        if not fused or self.against != "words" or self.relevance is None:
            return list(map(Entry, contents.tolist(), scores.tolist()))
        sure = confidence(scores, self.relevance)
        kept = sure >= _LEAST_WORDS
        return list(map(Entry, contents[kept].tolist(), scores[kept].tolist(), sure[kept].tolist()))

    def reasons(self, catalog: Catalog, query: Query, wanted: Sequence[int]) -> dict[int, Reason]:
        found = self.found.only(wanted)
        texts = parts.texts(catalog, found.parts.tolist()) if self.against == "words" else {}
        boxes = parts.boxes(catalog, found.parts.tolist())
        figures = self.matcher.reasons(found, query.terms, self.asked)
        return {
            content: Reason(why, {"words": texts[part]} if part in texts else {}, boxes.get(part))
            for content, part, why in zip(found.contents.tolist(), found.parts.tolist(), figures, strict=True)
        }


@dataclass(frozen=True, slots=True)
class ByText:
    """What has the words of the query in its text."""

    texts: Texts
    alone: bool
    """Whether nothing else is matched against words."""
    against: str = "text"

    @property
    def weight(self) -> float:
        return TEXT_ALONE if self.alone else TEXT

    @property
    def contents(self) -> Ids:
        return self.texts.contents

    def relevance_of(self, wanted: Sequence[int]) -> dict[int, float]:
        said_all = ALL_SAID * self.texts.confidence**2
        named = np.where(self.texts.whole, ALL_NAMED, 0.0).astype(np.float32)
        return _told(self.contents, np.maximum(said_all, named), wanted)

    def entries(self, *, fused: bool) -> list[Entry]:
        texts = self.texts
        entries = map(Entry, texts.contents.tolist(), texts.scores.tolist(), texts.confidence.tolist())
        return [entry for entry in entries if entry.confidence or not fused]

    def reasons(self, catalog: Catalog, query: Query, wanted: Sequence[int]) -> dict[int, Reason]:
        terms = [term for term in query.terms if term.weight > 0]
        tokens = fulltext.tokens_of(terms)
        label = " + ".join(term.label for term in terms)
        lines = recognised.lines_of(catalog, wanted)
        places = np.flatnonzero(np.isin(self.contents, wanted)).tolist()
        return {
            int(self.contents[at]): Reason(
                {label: round(float(self.texts.scores[at]), 6)},
                said.matched(catalog, int(self.texts.names[at]), tokens),
                _box_with(lines.get(int(self.contents[at]), ()), tokens),
            )
            for at in places
        }


def _box_with(lines: Sequence[RecognisedLine], tokens: Sequence[str]) -> Box | None:
    """Where the line stands that was read inside the picture and has most of the words."""
    best, most = None, 0
    for line in lines:
        count = sum(token in line.text.lower() for token in tokens)
        if count > most:
            best, most = line.box, count
    return best


def highest(rankings: Sequence[Ranking], wanted: Sequence[int]) -> dict[int, float]:
    """How relevant some contents are: the most that any of the rankings says; none where none can tell."""
    told: dict[int, float] = {}
    for ranking in rankings:
        for content, figure in ranking.relevance_of(wanted).items():
            told[content] = max(figure, told.get(content, 0.0))
    return told


def confidence(scores: Floats, relevance: Floats) -> Floats:
    """(n,) from 0 to 1: how sure a ranking is of its entries, best first: as relevant as each is, or as one below it is.

    So that words which are the best there are, but say little, do not push away what the pictures show; and that no entry
    falls behind one with a lower score. Where relevance cannot be told (NaN), it is 1. Equal scores have equal confidence:
    scores (.9, .8, .8) with relevances (.1, .2, .5) have .5, .5, .5.
    """
    told = np.where(np.isnan(relevance), np.float32(1), relevance)
    at_least = np.maximum.accumulate(told[::-1])[::-1]
    sure: Floats = at_least[np.searchsorted(-scores, -scores, side="left")]
    return sure


def _told(contents: Ids, relevance: Floats, wanted: Sequence[int]) -> dict[int, float]:
    kept = np.isin(contents, np.asarray(wanted, np.int64)) & ~np.isnan(relevance)
    return dict(zip(contents[kept].tolist(), relevance[kept].tolist(), strict=True))
