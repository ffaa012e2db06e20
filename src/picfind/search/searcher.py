"""Questions to answers: encode the terms, combine them, search, and say of each hit what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, UsageError
from picfind.images import Limits, open_picture
from picfind.search.query import Kind, Query, Term
from picfind.search.snapshot import EXACT, Found, Snapshot
from picfind.storage import parts, roots
from picfind.storage.descriptions import Described, describe
from picfind.storage.store import Store
from picfind.types import Floats, Hit, Results

NO_PICTURES = "The gallery has no pictures yet: run `picfind index FOLDER`."
_TRIES = 5
_NOTHING_LEFT = 1e-4
"""Norm below which terms have cancelled out: what is left is rounding."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query as vectors: each term's weighted row (n_terms, dim), and their unit sum (dim,)."""

    terms: Floats
    norm: float
    vector: Floats


class Searcher:
    """Answers queries over one space of a gallery. Safe from several threads, but for `refresh`."""

    def __init__(
        self, store: Store, encoder: Encoder, *, index: str = EXACT, limits: Limits | None = None
    ) -> None:
        """Raises UnknownSpaceError and DamagedGalleryError."""
        self._store = store
        self._encoder = encoder
        self._index = index
        self._limits = limits or Limits()
        self._snapshot = Snapshot(store, encoder.space, index=index)

    def refresh(self) -> bool:
        """See what has been committed since. Gives whether there was anything."""
        if self._store.catalog.generation == self._snapshot.generation:
            return False
        self._snapshot = Snapshot(self._store, self._encoder.space, index=self._index)
        return True

    def search(self, query: Query) -> Results:
        """Answer one query."""
        return self.search_many([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[Results]:
        """Answer each query: its hits best first, equal scores in the order in which pictures came in.

        Raises UsageError for terms that cancel out, EncoderError for a term that the model has no tower for, and
        PictureError for a query picture that is none.
        """
        snapshot = self._snapshot
        return [self._answer(snapshot, query) for query in queries]

    def _answer(self, snapshot: Snapshot, query: Query) -> Results:
        asked = self._ask(query.terms)
        for _ in range(_TRIES):
            found = snapshot.search(asked.vector, k=query.k)
            hits = _hits(self._store, found, _reasons(snapshot, found, query.terms, asked))
            if len(hits) == len(found.contents):
                break
            # something was forgotten since the snapshot was taken: look again, so that none is missing
            self.refresh()
            snapshot = self._snapshot
        return Results(hits, len(snapshot), tuple(_warnings(snapshot, self._encoder.card.name)))

    def _ask(self, terms: Sequence[Term]) -> _Asked:
        rows = np.stack([term.weight * self._encode(term) for term in terms]).astype(np.float32)
        total = rows.sum(axis=0)
        norm = float(np.linalg.norm(total))
        if norm < _NOTHING_LEFT:
            raise UsageError("The terms of this query cancel out: nothing is left to search for.")
        return _Asked(rows, norm, total / norm)

    def _encode(self, term: Term) -> Floats:
        tower: Any = self._encoder.text if term.kind is Kind.WORDS else self._encoder.image
        if tower is None:
            what = "words" if term.kind is Kind.WORDS else "pictures"
            others = ", ".join(space.name for space in parts.spaces(self._store.catalog))
            raise EncoderError(
                f"The model {self._encoder.card.name} cannot search with {what}. Choose another with --model; the "
                f"gallery has vectors of: {others}."
            )
        row: Floats = tower.encode([tower.prepare(self._value(term))])[0]
        return row

    def _value(self, term: Term) -> str | Image.Image:
        if isinstance(term.value, str):
            return term.value
        source: Path | bytes | Image.Image = term.value
        return open_picture(source, at_least=self._encoder.decode_size, limits=self._limits).image


def _warnings(snapshot: Snapshot, model: str) -> Iterator[str]:
    if not len(snapshot):
        yield NO_PICTURES
    elif snapshot.missing:
        yield (
            f"Pictures of the gallery that have no vector of {model} yet, and were not searched: "
            f"{snapshot.missing:,}. Run `picfind index` on their folders."
        )


def _reasons(
    snapshot: Snapshot, found: Found, terms: Sequence[Term], asked: _Asked
) -> list[dict[str, float]]:
    """How much of each hit's score each term gave; they add up to the score."""
    labels = _labels(terms)
    shares = snapshot.vectors(found.parts) @ asked.terms.T / asked.norm
    return [
        {label: round(float(share), 6) for label, share in zip(labels, row, strict=True)} for row in shares
    ]


def _labels(terms: Sequence[Term]) -> list[str]:
    """What the terms are called, each differently."""
    labels: list[str] = []
    for at, term in enumerate(terms):
        before = sum(1 for earlier in terms[:at] if earlier.label == term.label)
        labels.append(f"{term.label} #{before + 1}" if before else term.label)
    return labels


def _hits(store: Store, found: Found, why: Sequence[dict[str, float]]) -> tuple[Hit, ...]:
    contents = found.contents.tolist()
    with store.catalog.reading():
        described = describe(store.catalog, contents)
        places = {root.id: root for root in roots.roots(store.catalog)}
    return tuple(
        _hit(described[content], places, score, reasons)
        for content, score, reasons in zip(contents, found.scores.tolist(), why, strict=True)
        if content in described
    )


def _hit(described: Described, places: dict[int, roots.Root], score: float, why: dict[str, float]) -> Hit:
    return Hit(
        content=described.sha256.hex(),
        score=score,
        keys=tuple(places[root_id].place(key) for root_id, key in described.places),
        why=why,
        metadata=described.metadata,
    )
