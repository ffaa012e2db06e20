"""Questions to answers: rank pictures by vectors and by text, fuse the rankings, shape them, and say what each hit is."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

import numpy as np

from picfind.encoders.base import Encoder
from picfind.errors import DamagedGalleryError, EncoderError, UnknownSpaceError
from picfind.images import Limits
from picfind.search import fulltext, hydration, notices, shaping
from picfind.search.asking import Asked, read_file
from picfind.search.fusion import Fused, fuse
from picfind.search.hydration import Shown
from picfind.search.matcher import Matcher
from picfind.search.query import Kind, Query
from picfind.search.rankings import ByText, ByVectors, Ranking, highest
from picfind.search.snapshot import EXACT, Snapshot
from picfind.storage import descriptions, spaces
from picfind.storage.selection import select
from picfind.storage.store import Store
from picfind.types import Floats, Hit, Ids, Read, Results

Ask = tuple[Matcher, Asked]
"""A space, and a query as its vectors."""

_TRIES = 5
_MOST_SHAPED = 10_000
"""How many hits are judged at least, where all relevant ones matter and not the first k alone."""
_LEAST_DEPTH = 1000
"""How far down rankings are fused. The same for small k, so that the answer to a small k begins that to a larger one."""


class Searcher:
    """Answers queries over some spaces of a gallery. Safe from several threads: an answer is made of what was there when it
    was begun, whoever refreshes meanwhile."""

    def __init__(
        self,
        store: Store,
        encoders: Sequence[Encoder],
        *,
        index: str = EXACT,
        limits: Limits | None = None,
        read: Read = read_file,
    ) -> None:
        """`encoders` are those of the spaces that are searched, `read` gives the bytes of a picture by its place.

        Raises UnknownSpaceError and DamagedGalleryError.
        """
        self._store = store
        self._matchers = [
            Matcher(store, encoder, index=index, limits=limits or Limits(), read=read) for encoder in encoders
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
        return [self._pinned()._answer(query) for query in queries]

    def _pinned(self) -> Searcher:
        """The same with matchers of its own, which see what is seen now until this one itself refreshes them."""
        pinned = copy.copy(self)
        pinned._matchers = [copy.copy(matcher) for matcher in self._matchers]
        return pinned

    def _answer(self, query: Query) -> Results:
        able = self._able(query)
        if not able and not _takes_text(query):
            raise self._unable(query)
        # a space without a vector ranks nothing: there is nothing to fuse
        matchers = [matcher for matcher in able if len(matcher.snapshot)] or able[:1]
        asked = [(matcher, matcher.ask(query.terms, query.liked, query.disliked)) for matcher in matchers]
        for attempt in range(_TRIES):
            with self._still(attempt):
                allowed = None if query.where is None else select(self._store.catalog, query.where)
                rankings = self._rankings(asked, query, allowed)
                ranked = _ranked(rankings, query)
                shown = self._shaped(ranked, query)
                hits = hydration.hits(self._store, shown, rankings, query)
            if len(hits) == len(shown):
                break
        return self._results(hits, ranked, query, able, asked, allowed)

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

    def _wanted(self, query: Query) -> list[Matcher]:
        return [matcher for matcher in self._matchers if matcher.against in query.against]

    def _able(self, query: Query) -> list[Matcher]:
        """The spaces that can answer; none where full text alone can."""
        return [
            matcher
            for matcher in self._wanted(query)
            if matcher.takes(query.terms, query.liked, query.disliked)
        ]

    def _unable(self, query: Query) -> UnknownSpaceError | EncoderError:
        wanted = self._wanted(query)
        if not wanted:
            return UnknownSpaceError(notices.no_space(query.against))
        kinds = {
            "words" if term.kind is Kind.WORDS else "pictures"
            for term in (*query.terms, *query.liked, *query.disliked)
        }
        return EncoderError(
            f"{notices.listed(wanted)} cannot search with {' and '.join(sorted(kinds))}. Ask otherwise, or index with "
            "another model as well: `picfind models` lists them."
        )

    def _rankings(self, asked: Sequence[Ask], query: Query, allowed: Ids | None) -> list[Ranking]:
        """What is fused. Full text that finds nothing is left out: the figures of one ranking say more than its ranks."""
        texts = fulltext.NOTHING
        if _takes_text(query):
            texts = fulltext.find(self._store.catalog, query.terms, allowed=allowed)
            if asked and not texts.confidence.any():
                texts = fulltext.NOTHING
        fused = len(asked) + bool(len(texts.contents)) > 1
        rankings: list[Ranking] = []
        for matcher, vectors in asked:
            found = matcher.find(vectors, k=_depth(query, fused=fused), ties=fused, allowed=allowed)
            # what is shown is judged later; what is cut by its relevance, or by that of its words, is judged now
            judged = query.min_score is not None or (fused and matcher.against == "words")
            relevance = matcher.relevance(found, vectors) if judged else None
            rankings.append(ByVectors(matcher, vectors, found, relevance))
        if len(texts.contents) or not rankings:
            rankings.append(ByText(texts, alone=all(ranking.against != "words" for ranking in rankings)))
        return rankings

    def _shaped(self, ranked: list[Fused], query: Query) -> list[Shown]:
        """The page that is asked for, near-identical pictures folded, alike ones spread, sorted."""
        end = query.offset + query.k
        shown = [Shown(entry.id, entry.score, entry.shares) for entry in ranked]
        if query.collapse or query.diversity:
            # full text may have found any number of pictures
            shown = self._told_apart(shown[: _depth(query, fused=True)], query)
        if query.sort == "score":
            return shown[query.offset : end]
        if query.min_score is None:
            shown = shown[: query.k]
        return self._sorted(shown, query.sort)[query.offset : end]

    def _told_apart(self, shown: list[Shown], query: Query) -> list[Shown]:
        """Near-identical pictures folded, alike ones spread."""
        model, vectors = self._likeness()
        if query.collapse:
            into = shaping.fold(_rows(shown, vectors), at_least=shaping.near_identical(model))
            shown = _folded(shown, into)
        if not query.diversity or (query.sort != "score" and query.min_score is not None):
            return shown  # all of them are sorted anew
        scores = np.array([entry.score for entry in shown], np.float32)
        end = query.offset + query.k
        order = shaping.spread(scores, _rows(shown, vectors), diversity=query.diversity, count=end)
        return [shown[at] for at in order.tolist()]

    def _sorted(self, shown: list[Shown], sort: str) -> list[Shown]:
        contents = [entry.content for entry in shown]
        if sort == "date":
            dates = descriptions.dates(self._store.catalog, contents)
            return [shown[at] for at in shaping.newest_first([dates.get(content) for content in contents])]
        paths = descriptions.paths(self._store.catalog, contents)
        return [shown[at] for at in shaping.by_path([paths.get(content, "") for content in contents])]

    def _likeness(self) -> tuple[str, Snapshot]:
        """The model, and its vectors, that tell how alike pictures are, also where words alone are matched against.

        Never those of words: pictures of which the same is said need not be alike. Raises UnknownSpaceError.
        """
        for matcher in self._matchers:
            if matcher.against == "pictures":
                return matcher.encoder.card.name, matcher.snapshot
        for space in spaces.spaces(self._store.catalog, kinds=spaces.PICTURES)[:1]:
            return space.name, Snapshot(self._store, space)
        raise UnknownSpaceError(f"How alike pictures are cannot be told. {notices.no_space(('pictures',))}")

    def _results(
        self,
        hits: Sequence[Hit],
        ranked: Sequence[Fused],
        query: Query,
        able: Sequence[Matcher],
        asked: Sequence[Ask],
        allowed: Ids | None,
    ) -> Results:
        matchers = [matcher for matcher, _ in asked]
        searched = self._searched(matchers)
        looked_at = self._searched(()) if _takes_text(query) and not _any_pictures(matchers) else searched
        fitting = len(looked_at) if allowed is None else int(np.isin(looked_at, allowed).sum())
        warnings = [
            *notices.unsearched(self._store.catalog, self._wanted(query), able, len(searched)),
            *dict.fromkeys(warning for _, vectors in asked for warning in vectors.warnings),
            *notices.nothing_said(query, len(ranked)),
            *notices.by_chance(asked, query, len(ranked)),
        ]
        if len(looked_at) and not fitting:
            warnings.append(f"No picture fits the filter: {query.where}.")
        return Results(tuple(hits), fitting, tuple(warnings))

    def _searched(self, matchers: Sequence[Matcher]) -> Ids:
        """The content ids of all pictures that were looked through; by full text, these are all that have a name."""
        if not matchers:
            return descriptions.named(self._store.catalog)
        return np.unique(np.concatenate([matcher.snapshot.pictures for matcher in matchers]))


def _any_pictures(matchers: Sequence[Matcher]) -> bool:
    return any(matcher.against == "pictures" for matcher in matchers)


def _rows(shown: Sequence[Shown], vectors: Snapshot) -> Floats:
    """(n, dim): what tells how alike hits are; zeros for one without a vector."""
    return vectors.of_contents(np.array([entry.content for entry in shown], np.int64))


def _takes_text(query: Query) -> bool:
    return "text" in query.against and not query.liked and not query.disliked and fulltext.takes(query.terms)


def _ranked(rankings: Sequence[Ranking], query: Query) -> list[Fused]:
    """All that was found and is relevant enough, best first."""
    fused = len(rankings) > 1
    entries = [ranking.entries(fused=fused) for ranking in rankings]
    if fused:
        weights = [query.weights.get(ranking.against, ranking.weight) for ranking in rankings]
        best = fuse(entries, weights=weights, k=sum(map(len, entries)))
    else:
        best = [Fused(entry.id, entry.score, (entry.score,)) for entry in entries[0]]
    if query.min_score is None:
        return best
    told = highest(rankings, [entry.id for entry in best])
    return [entry for entry in best if not told.get(entry.id, math.nan) < query.min_score]


def _depth(query: Query, *, fused: bool) -> int:
    """How far down to look: doubled until it is enough, so that it is the same for most k."""
    k = query.offset + query.k
    if query.min_score is not None:
        k = max(k, _MOST_SHAPED)
    if not (fused or query.collapse or query.diversity):
        return k
    return _LEAST_DEPTH << ((k - 1) // _LEAST_DEPTH).bit_length()


def _folded(shown: Sequence[Shown], into: Ids) -> list[Shown]:
    counts = np.bincount(into, minlength=len(shown))
    return [entry.with_alike(int(counts[at]) - 1) for at, entry in enumerate(shown) if into[at] == at]
