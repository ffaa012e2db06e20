"""Questions to answers: match each against pictures, words or both, fuse the rankings, and say what each hit is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import numpy as np

from picfind.encoders.base import Encoder
from picfind.errors import DamagedGalleryError, EncoderError, UnknownSpaceError
from picfind.images import Limits
from picfind.search.fusion import PROVEN, UNPROVEN, WORDS, fuse
from picfind.search.matcher import Asked, Matcher
from picfind.search.query import Kind, Query, Term
from picfind.search.snapshot import EXACT, Found
from picfind.storage import names, parts, roots
from picfind.storage.descriptions import Described, describe
from picfind.storage.selection import select
from picfind.storage.store import Store
from picfind.types import Floats, Hit, Ids, Results

NO_PICTURES = "The gallery has no pictures yet: run `picfind index FOLDER`."
_TRIES = 5
_MOST_JUDGED = 10_000
"""How many hits are judged at most, where only relevant ones are wanted."""
_LEAST_WORDS = 0.1
"""Relevance below which words that match do not count for a fused ranking."""
_LEAST_DEPTH = 1000
"""How far down rankings are fused. The same for small k, so that the answer to a small k begins that to a larger one."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The pictures of an answer, best first: content ids, scores, reasons, and the words that matched."""

    contents: Sequence[int]
    scores: Sequence[float]
    why: Sequence[Mapping[str, float]]
    words: Mapping[int, str]
    relevance: Mapping[int, float]


class Searcher:
    """Answers queries over some spaces of a gallery. Safe from several threads, but for `refresh`."""

    def __init__(
        self, store: Store, encoders: Sequence[Encoder], *, index: str = EXACT, limits: Limits | None = None
    ) -> None:
        """`encoders` are those of the spaces that are searched. Raises UnknownSpaceError and DamagedGalleryError."""
        self._store = store
        self._matchers = [
            Matcher(store, encoder, index=index, limits=limits or Limits()) for encoder in encoders
        ]

    def refresh(self) -> bool:
        """See what has been committed since. Gives whether there was anything."""
        refreshed = [matcher.refresh() for matcher in self._matchers]
        return any(refreshed)

    def search(self, query: Query) -> Results:
        """Answer one query."""
        return self.search_many([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[Results]:
        """Answer each query: its hits best first, equal scores in the order in which pictures came in.

        Raises UsageError for terms that cancel out, EncoderError for a term that no model here has a tower for,
        UnknownSpaceError where what to match against has no vectors, and PictureError for a query picture that is none.
        """
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Results:
        able = self._chosen(query)
        # a space without a vector ranks nothing: there is nothing to fuse
        matchers = [matcher for matcher in able if len(matcher.snapshot)] or able[:1]
        asked = [matcher.ask(query.terms) for matcher in matchers]
        for attempt in range(_TRIES):
            with self._still(attempt):
                allowed = None if query.where is None else select(self._store.catalog, query.where)
                ranked = self._ranked(matchers, asked, query, allowed)
                hits = _hits(self._store, ranked)
            if len(hits) == len(ranked.contents):
                break
        searched = np.unique(np.concatenate([matcher.snapshot.pictures for matcher in matchers]))
        warnings = (
            *self._warnings(able, len(searched)),
            *_judged_warnings(matchers, query, len(ranked.contents)),
        )
        if allowed is None:
            return Results(hits, len(searched), warnings)
        fitting = int(np.isin(searched, allowed).sum())
        nothing = () if fitting or not len(searched) else (f"No picture fits the filter: {query.where}.",)
        return Results(hits, fitting, (*warnings, *nothing))

    @contextmanager
    def _still(self, attempt: int) -> Iterator[None]:
        """Where something was forgotten since the snapshot was taken, look again, and at one generation throughout.

        So no hit is missing, however fast a writer forgets. Its files may be gone by then: so first of all without.
        """
        with self._store.catalog.reading() if attempt else nullcontext():
            if attempt:
                with suppress(DamagedGalleryError):  # removed by the writer since this generation began
                    self.refresh()
            yield

    def _warnings(self, matchers: Sequence[Matcher], searched: int) -> Iterator[str]:
        if not searched and not names.count_contents(self._store.catalog):
            yield NO_PICTURES
            return
        for matcher in matchers:
            if matcher.snapshot.missing:
                what = "Texts" if matcher.against == "words" else "Pictures"
                yield (
                    f"{what} of the gallery that have no vector of {matcher.encoder.card.name} yet, and were not "
                    f"searched: {matcher.snapshot.missing:,}. Run `picfind index` on their folders."
                )
        if not searched and not any(matcher.snapshot.missing for matcher in matchers):
            yield "Nothing is said of any picture of the gallery: there are no words to match against."

    def _chosen(self, query: Query) -> list[Matcher]:
        """The spaces that can answer."""
        wanted = [matcher for matcher in self._matchers if matcher.against in query.against]
        if not wanted:
            raise UnknownSpaceError(_no_space(query.against[0]))
        able = [matcher for matcher in wanted if matcher.takes(query.terms)]
        if not able:
            kinds = {"words" if term.kind is Kind.WORDS else "pictures" for term in query.terms}
            raise EncoderError(
                f"{_listed(wanted)} cannot search with {' and '.join(sorted(kinds))}. Ask otherwise, or index with "
                "another model as well: `picfind models` lists them."
            )
        return able

    def _ranked(
        self, matchers: Sequence[Matcher], asked: Sequence[Asked], query: Query, allowed: Ids | None
    ) -> _Ranked:
        fused = len(matchers) > 1
        depth = (
            _depth(query.k) if fused else query.k if query.min_score is None else max(query.k, _MOST_JUDGED)
        )
        found = [
            matcher.find(vectors, k=depth, ties=fused, allowed=allowed)
            for matcher, vectors in zip(matchers, asked, strict=True)
        ]
        judged = [
            matcher.judge.relevance(one, query.terms) if _is_judged(query, matcher, fused=fused) else None
            for matcher, one in zip(matchers, found, strict=True)
        ]
        told = _highest(found, judged)
        rankings = [_ranking(*each) for each in zip(matchers, found, judged, strict=True)]
        if fused:
            weights = [_weight(matcher, query) for matcher in matchers]
            best = fuse(rankings, weights=weights, k=sum(map(len, rankings)))
        else:
            best = list(zip(found[0].contents.tolist(), found[0].scores.tolist(), strict=True))
        best = [entry for entry in best if not told.get(entry[0], math.nan) < (query.min_score or 0)][
            : query.k
        ]
        found = [one.only([content for content, _ in best]) for one in found]
        why = [
            _reasons(*each, query.terms, alone=not fused) for each in zip(matchers, found, asked, strict=True)
        ]
        return _Ranked(
            [content for content, _ in best],
            [score for _, score in best],
            [
                {label: share for own in why for label, share in own.get(content, {}).items()}
                for content, _ in best
            ],
            self._words(matchers, found),
            told if query.wants_relevance else {},
        )

    def _words(self, matchers: Sequence[Matcher], found: Sequence[Found]) -> dict[int, str]:
        """The text that each picture matched by, where it was matched against words."""
        said: dict[int, str] = {}
        for matcher, one in zip(matchers, found, strict=True):
            if matcher.against == "words":
                texts = parts.texts(self._store.catalog, one.parts.tolist())
                for content, part in zip(one.contents.tolist(), one.parts.tolist(), strict=True):
                    if part in texts:
                        said[content] = texts[part]
        return said


def _depth(k: int) -> int:
    """How far down to fuse for k pictures: doubled until it is enough, so that it is the same for most k."""
    return _LEAST_DEPTH << max(0, math.ceil(math.log2(k / _LEAST_DEPTH)))


def _is_judged(query: Query, matcher: Matcher, *, fused: bool) -> bool:
    """Whether relevance is wanted: when it was asked for, and of words that are to be fused."""
    return query.wants_relevance or (fused and matcher.against == "words")


def _ranking(matcher: Matcher, found: Found, judged: Floats | None) -> list[tuple[int, float]]:
    """What is fused: words that have nothing to do with the query must not move pictures about."""
    kept = np.ones(len(found.contents), np.bool_)
    if matcher.against == "words" and judged is not None:
        kept = ~(judged < _LEAST_WORDS)
    return list(zip(found.contents[kept].tolist(), found.scores[kept].tolist(), strict=True))


def _weight(matcher: Matcher, query: Query) -> float:
    if matcher.against in query.weights:
        return query.weights[matcher.against]
    return WORDS if matcher.against == "words" else PROVEN if matcher.encoder.card.recall else UNPROVEN


def _highest(found: Sequence[Found], judged: Sequence[Floats | None]) -> dict[int, float]:
    """How relevant each content is: the most that any of the rankings says; none where none can tell."""
    told: dict[int, float] = {}
    for one, figures in zip(found, judged, strict=True):
        if figures is not None:
            for content, figure in zip(one.contents.tolist(), figures.tolist(), strict=True):
                if not math.isnan(figure):
                    told[content] = max(figure, told.get(content, 0.0))
    return told


def _reasons(
    matcher: Matcher, found: Found, asked: Asked, terms: Sequence[Term], *, alone: bool
) -> dict[int, dict[str, float]]:
    """The reasons of one ranking by content; beside another one they say what was matched against."""
    prefix = "" if alone else f"{matcher.against}: "
    own = matcher.reasons(found, terms, asked)
    return {
        content: {prefix + label: share for label, share in why.items()}
        for content, why in zip(found.contents.tolist(), own, strict=True)
    }


def _no_space(against: str) -> str:
    if against == "words":
        return (
            "The gallery has no vectors of words: run `picfind index --model minilm` on its folders, or match against "
            "pictures."
        )
    return "The gallery has no vectors of pictures: run `picfind index --model builtin` on its folders."


def _listed(matchers: Sequence[Matcher]) -> str:
    names = [matcher.encoder.card.name for matcher in matchers]
    return f"The model {names[0]}" if len(names) == 1 else f"The models {' and '.join(names)}"


def _judged_warnings(matchers: Sequence[Matcher], query: Query, count: int) -> Iterator[str]:
    if query.min_score is None:
        return
    chance = max(matcher.judge.by_chance(query.min_score, query.terms) for matcher in matchers)
    if not count:
        yield f"No picture is relevant enough: none has {query.min_score:g} or more."
    elif count < query.k and count <= chance:
        yield (
            f"By chance alone, about {math.ceil(chance):,} of so many pictures are as relevant as {query.min_score:g}: "
            "perhaps nothing fits."
        )


def _hits(store: Store, ranked: _Ranked) -> tuple[Hit, ...]:
    with store.catalog.reading():
        described = describe(store.catalog, ranked.contents)
        places = {root.id: root for root in roots.roots(store.catalog)}
    return tuple(
        _hit(
            described[content],
            places,
            score,
            reasons,
            ranked.words.get(content),
            ranked.relevance.get(content),
        )
        for content, score, reasons in zip(ranked.contents, ranked.scores, ranked.why, strict=True)
        if content in described
    )


def _hit(
    described: Described,
    places: Mapping[int, roots.Root],
    score: float,
    why: Mapping[str, float],
    matched: str | None,
    relevance: float | None,
) -> Hit:
    return Hit(
        content=described.sha256.hex(),
        score=score,
        keys=tuple(places[root_id].place(key) for root_id, key in described.places),
        why=why,
        caption=matched or described.caption,
        metadata=described.metadata,
        relevance=relevance,
    )
