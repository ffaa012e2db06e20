"""From content ids to hits: where each picture lies, what is known of it, and why it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from picfind.search.query import Query
from picfind.search.rankings import Ranking, Reason, highest
from picfind.storage import roots
from picfind.storage.descriptions import Described, describe
from picfind.storage.store import Store
from picfind.types import Hit


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of an answer: its content id, its score, what each ranking gave to it, how many were folded into it."""

    content: int
    score: float
    shares: tuple[float, ...]
    alike: int = 0

    def with_alike(self, count: int) -> Shown:
        """The same with so many folded into it."""
        return replace(self, alike=count)


def hits(store: Store, shown: Sequence[Shown], rankings: Sequence[Ranking], query: Query) -> tuple[Hit, ...]:
    """The hits, in their order; a picture that has no name any more is left out."""
    contents = [entry.content for entry in shown]
    told = highest(rankings, contents) if query.wants_relevance else {}
    with store.catalog.reading():
        described = describe(store.catalog, contents)
        places = {root.id: root for root in roots.roots(store.catalog)}
        reasons = [ranking.reasons(store.catalog, query, contents) for ranking in rankings]
    return tuple(
        _hit(
            entry,
            described[entry.content],
            places,
            [
                (ranking.against, own.get(entry.content))
                for ranking, own in zip(rankings, reasons, strict=True)
            ],
            told.get(entry.content),
        )
        for entry in shown
        if entry.content in described
    )


def _hit(
    shown: Shown,
    described: Described,
    places: Mapping[int, roots.Root],
    reasons: Sequence[tuple[str, Reason | None]],
    relevance: float | None,
) -> Hit:
    matched = _matched(reasons)
    return Hit(
        content=described.sha256.hex(),
        score=shown.score,
        keys=tuple(dict.fromkeys(places[root_id].place(key) for root_id, key in described.places)),
        why=_why(reasons),
        caption=matched.get("words") or described.caption,
        metadata=described.metadata,
        shares={against: share for (against, _), share in zip(reasons, shown.shares, strict=True) if share},
        matched=matched,
        box=next((reason.box for _, reason in reasons if reason and reason.box), None),
        alike=shown.alike,
        relevance=relevance,
    )


def _why(reasons: Sequence[tuple[str, Reason | None]]) -> dict[str, float]:
    """The figures of all rankings; beside others, each says what was ranked."""
    alone = len(reasons) == 1
    return {
        label if alone else f"{against}: {label}": figure
        for against, reason in reasons
        if reason
        for label, figure in reason.why.items()
    }


def _matched(reasons: Sequence[tuple[str, Reason | None]]) -> dict[str, str]:
    return {what: text for _, reason in reasons if reason for what, text in reason.matched.items()}
