"""Named concepts, or smart albums: a query with ticked and crossed pictures that is kept, searched again and exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from picfind.concepts.exporting import Exported, Way, export_files
from picfind.errors import UsageError
from picfind.filters import And, Content, Or
from picfind.search.concepts import PICTURES, example_digest, meaning, write_terms
from picfind.search.filters import parse_filters
from picfind.search.query import Query, Term, Token
from picfind.storage import concepts as rows
from picfind.storage import contents
from picfind.storage.store import Store
from picfind.types import Hit, Results

Question = Token | Sequence[Token | Term]
"""What `Gallery.search` takes as a query, or as examples."""

MIN_SCORE = 0.5
"""The least relevance of a member, unless another one is given."""
BEST = 100
"""How many members there are at most where nothing is judged: without a least relevance, or in too small a gallery."""
_MOST = 10_000
_AT_ONCE = 100
"""Pictures that one filter names: SQLite takes expressions up to some depth only."""

__all__ = ["BEST", "MIN_SCORE", "Concept", "Concepts", "Exported", "Refreshed", "Way"]


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept as it is kept. `liked` and `disliked` are content ids; times are seconds since the epoch."""

    name: str
    terms: tuple[Term, ...]
    liked: tuple[str, ...]
    disliked: tuple[str, ...]
    where: str
    min_score: float | None
    added: float
    refreshed: float | None

    @property
    def question(self) -> str:
        """Its query as a person may write it; empty where it has examples alone."""
        signed = [("" if term.weight < 0 else "+ ") + term.label for term in self.terms]
        return " ".join(signed).removeprefix("+ ")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What has changed since the last time: members that are new; content ids that have left, with where they lie now."""

    name: str
    new: tuple[Hit, ...]
    left: tuple[tuple[str, str | None], ...]
    count: int
    warnings: tuple[str, ...]


class Concepts:
    """The concepts of a gallery. Pictures are kept by content id: they may be renamed, moved, or gone for a while."""

    def __init__(
        self,
        store: Store,
        answer: Callable[[Query], Results],
        read: Callable[[Question], tuple[Term, ...]],
        bytes_at: Callable[[str], bytes],
    ) -> None:
        """`answer` searches the gallery, `read` makes terms of what a person gives, `bytes_at` reads a picture by its place."""
        self._bytes_at = bytes_at
        self._store = store
        self._answer = answer
        self._read = read

    def all(self) -> list[Concept]:
        """All concepts, by name."""
        return [_concept(saved) for saved in rows.concepts(self._store.catalog)]

    def get(self, name: str) -> Concept:
        """The concept of a name; case makes no difference. Raises UsageError, which says what there is."""
        return _concept(rows.get(self._store.catalog, name))

    def save(
        self,
        name: str,
        query: Question = (),
        *,
        liked: Question = (),
        disliked: Question = (),
        where: str | Sequence[str] = (),
        min_score: float | None = MIN_SCORE,
        replace: bool = False,
    ) -> Concept:
        """Keep a query, examples, or both. Its members are all pictures with a relevance of `min_score`, or the best 100 for None.

        Pictures must be in the gallery, or be known to it: they are kept by what they are. Raises UsageError for a name that is taken (unless
        `replace`) or cannot be one, for an unknown picture, and for a query that makes no sense.
        """
        terms, more, less = self._read(query), self._examples(liked), self._examples(disliked)
        filters = (where,) if isinstance(where, str) else tuple(where)
        # not made again from the parsed filter: `today-30d` shall mean thirty days before the day it is asked
        text = filters[0] if len(filters) == 1 else " and ".join(f"({one})" for one in filters)
        asked = Query(terms, 1, where=parse_filters(filters), min_score=min_score, liked=more, disliked=less)
        self._answer(asked)  # what cannot be asked must not take the place of what can
        catalog = self._store.catalog
        saved = rows.Saved(
            name,
            write_terms(catalog, terms),
            text,
            min_score,
            tuple(example_digest(catalog, term) for term in more),
            tuple(example_digest(catalog, term) for term in less),
        )
        rows.save(catalog, saved, replace=replace)
        return self.get(name)

    def tick(self, name: str, pictures: Question) -> Concept:
        """Like further pictures, of which some may have been disliked before. Raises UsageError."""
        return self._mark(name, liked=pictures)

    def cross(self, name: str, pictures: Question) -> Concept:
        """Dislike further pictures, of which some may have been liked before. Raises UsageError."""
        return self._mark(name, disliked=pictures)

    def rename(self, old: str, new: str) -> None:
        """Raises UsageError for a name that is not there, is taken, or cannot be one."""
        rows.rename(self._store.catalog, old, new)

    def drop(self, name: str) -> None:
        """Forget a concept; no picture is touched. Raises UsageError."""
        rows.drop(self._store.catalog, name)

    def members(self, name: str) -> Results:
        """Its pictures as the gallery is now, best first: what was ticked is among them, what was crossed is not."""
        saved = rows.get(self._store.catalog, name)
        query = _query(saved)
        results = self._answer(query)
        crossed = {digest.hex() for digest in saved.disliked}
        hits = [hit for hit in results if hit.content not in crossed]
        unjudged = [hit for hit in hits if hit.relevance is None or query.min_score is None]
        over = {hit.content for hit in unjudged[BEST:]}
        kept = [hit for hit in hits if hit.content not in over]
        warnings = list(results.warnings)
        if query.min_score is not None and unjudged:
            warnings.append(
                f"There are too few pictures to judge the members of {saved.name!r} by: they are the best {BEST}."
            )
        kept += self._ticked(saved, query, kept)
        return Results(tuple(kept), results.total, tuple(warnings))

    def refresh(self, name: str) -> Refreshed:
        """See which members are new since the last time, and which have left; and write them down for the next time."""
        name, found = self.get(name).name, self.members(name)
        changes = rows.refresh(self._store.catalog, name, [bytes.fromhex(hit.content) for hit in found])
        new = {digest.hex() for digest in changes.new}
        left = tuple((digest.hex(), contents.place(self._store.catalog, digest)) for digest in changes.left)
        return Refreshed(
            name, tuple(hit for hit in found if hit.content in new), left, changes.count, found.warnings
        )

    def export(self, name: str, folder: Path, *, way: Way = Way.COPY) -> Exported:
        """Copy or link the members into a folder. Nothing is overwritten: where names clash, one gets a number.

        Raises UsageError where the folder cannot be made, or a file not be written.
        """
        return export_files([hit.keys for hit in self.members(name)], folder, way=way, read=self._bytes_at)

    def _mark(self, name: str, *, liked: Question = (), disliked: Question = ()) -> Concept:
        catalog = self._store.catalog
        more, less = (
            {example_digest(catalog, term) for term in self._examples(given)} for given in (liked, disliked)
        )
        rows.add_examples(catalog, name, liked=more, disliked=less)
        return self.get(name)

    def _examples(self, given: Question) -> tuple[Term, ...]:
        several = isinstance(given, Sequence) and not isinstance(given, str | bytes)
        entries: Sequence[Token | Term] = given if several else [given]  # type: ignore[assignment, list-item]
        # one by one: together, many content ids are longer than a query may be
        terms = tuple(term for entry in entries for term in self._read([entry]))
        for term in terms:
            if term.kind not in PICTURES:
                raise UsageError(f"{term.label} is no picture: examples are pictures of the gallery.")
        return terms

    def _ticked(self, saved: rows.Saved, query: Query, found: Sequence[Hit]) -> list[Hit]:
        """What was ticked and was not found relevant, as far as it is in the gallery and fits the filter."""
        missing = {digest.hex() for digest in saved.liked} - {hit.content for hit in found}
        if not missing:
            return []
        wanted = [Content(content) for content in sorted(missing)]
        hits = list[Hit]()
        for at in range(0, len(wanted), _AT_ONCE):
            these = Or(tuple(wanted[at : at + _AT_ONCE]))
            where = these if query.where is None else And((query.where, these))
            hits += self._answer(replace(query, where=where, min_score=None, k=_AT_ONCE))
        return sorted(hits, key=lambda hit: -hit.score)


def _query(saved: rows.Saved) -> Query:
    meant = meaning(saved)
    return Query(
        meant.terms,
        _MOST if saved.min_score is not None else BEST + len(meant.disliked),
        where=parse_filters((saved.where,) if saved.where else ()),
        judged=True,
        min_score=saved.min_score,
        liked=meant.liked,
        disliked=meant.disliked,
    )


def _concept(saved: rows.Saved) -> Concept:
    return Concept(
        saved.name,
        meaning(saved).terms,
        tuple(digest.hex() for digest in saved.liked),
        tuple(digest.hex() for digest in saved.disliked),
        saved.where,
        saved.min_score,
        saved.added,
        saved.refreshed,
    )
