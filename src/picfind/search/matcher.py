"""One space of a gallery, searched: terms to vectors, combined, to the nearest pictures and the reasons for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picfind.encoders.base import Encoder
from picfind.errors import UsageError
from picfind.images import Limits, open_picture
from picfind.search.judging import Judge
from picfind.search.query import Kind, Term
from picfind.search.snapshot import Found, Snapshot
from picfind.storage.store import Store
from picfind.types import WORDS, Floats, Ids

_NOTHING_LEFT = 1e-4
"""Norm below which terms have cancelled out: what is left is rounding."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as vectors: each term's weighted row (n_terms, dim), and their unit sum (dim,)."""

    terms: Floats
    norm: float
    vector: Floats


class Matcher:
    """Finds the pictures of one space that are nearest to some terms. Safe from several threads, but for `refresh`."""

    def __init__(self, store: Store, encoder: Encoder, *, index: str, limits: Limits) -> None:
        """Raises UnknownSpaceError and DamagedGalleryError."""
        self._store = store
        self._index = index
        self._limits = limits
        self.encoder = encoder
        self.snapshot = Snapshot(store, encoder.space, index=index)
        self.judge = Judge(store, encoder, self.snapshot)

    @property
    def against(self) -> str:
        """What a query is matched against here: `pictures` or `words`."""
        return "words" if self.snapshot.kind == WORDS else "pictures"

    def refresh(self) -> bool:
        """See what has been committed since. Gives whether there was anything."""
        if self._store.catalog.generation == self.snapshot.generation:
            return False
        self.snapshot = Snapshot(self._store, self.encoder.space, index=self._index)
        self.judge = Judge(self._store, self.encoder, self.snapshot)
        return True

    def takes(self, terms: Sequence[Term]) -> bool:
        """Whether the model has a tower for every term."""
        return all(self._tower(term) is not None for term in terms)

    def ask(self, terms: Sequence[Term]) -> Asked:
        """The terms as vectors, combined by their weights. Raises UsageError where they cancel out, PictureError."""
        rows = np.stack([term.weight * self._encode(term) for term in terms]).astype(np.float32)
        total = rows.sum(axis=0)
        norm = float(np.linalg.norm(total))
        if norm < _NOTHING_LEFT:
            raise UsageError("The terms of this query cancel out: nothing is left to search for.")
        return Asked(rows, norm, total / norm)

    def find(self, asked: Asked, *, k: int, ties: bool = False, allowed: Ids | None = None) -> Found:
        """The k nearest pictures, of those `allowed`; with `ties` also those that score like the k-th."""
        return self.snapshot.search(asked.vector, k=k, ties=ties, allowed=allowed)

    def reasons(self, found: Found, terms: Sequence[Term], asked: Asked) -> list[dict[str, float]]:
        """How much of each score each term gave; they add up to the score."""
        labels = _labels(terms)
        shares = self.snapshot.vectors(found.parts) @ asked.terms.T / asked.norm
        return [
            {label: round(float(share), 6) for label, share in zip(labels, row, strict=True)}
            for row in shares
        ]

    def _tower(self, term: Term) -> Any:
        return self.encoder.text if term.kind is Kind.WORDS else self.encoder.image

    def _encode(self, term: Term) -> Floats:
        tower = self._tower(term)
        row: Floats = tower.encode([tower.prepare(self._value(term))])[0]
        return row

    def _value(self, term: Term) -> str | Image.Image:
        if isinstance(term.value, str):
            return term.value
        source: Path | bytes | Image.Image = term.value
        if term.crop is None:
            return open_picture(source, at_least=self.encoder.decode_size, limits=self._limits).image
        return term.crop.of(open_picture(source, at_least=None, limits=self._limits).image)


def _labels(terms: Sequence[Term]) -> list[str]:
    """What the terms are called, each differently."""
    labels: list[str] = []
    for at, term in enumerate(terms):
        before = sum(1 for earlier in terms[:at] if earlier.label == term.label)
        labels.append(f"{term.label} #{before + 1}" if before else term.label)
    return labels
