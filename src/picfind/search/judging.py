"""The relevance of hits: brings the background of a space together for `calibration`, and keeps it beside the gallery."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from picfind.encoders.base import Encoder
from picfind.search import calibration, saved
from picfind.search.calibration import Calibration
from picfind.search.query import Kind, Term
from picfind.search.snapshot import Found, Snapshot
from picfind.storage import durable
from picfind.storage.store import INDEXES, Store
from picfind.types import WORDS, Floats


class Judge:
    """Says how relevant the hits of one snapshot are. What it needs is made when it is first asked."""

    def __init__(self, store: Store, encoder: Encoder, snapshot: Snapshot) -> None:
        self._store = store
        self._encoder = encoder
        self._snapshot = snapshot
        self._made: Calibration | None = None

    def relevance(self, found: Found, terms: Sequence[Term]) -> Floats:
        """(n,) from 0 to 1, NaN where there is too little to judge by."""
        vectors = self._snapshot.vectors(found.parts)
        return self._calibration().relevance(found.scores, vectors, terms=_form(terms))

    def by_chance(self, at_least: float, terms: Sequence[Term]) -> float:
        """How many unrelated pictures can be expected to be as relevant as this, roughly."""
        return self._calibration().by_chance(at_least, searched=len(self._snapshot), terms=_form(terms))

    def _calibration(self) -> Calibration:
        if self._made is None:
            card = self._encoder.card
            nothing = np.empty((0, card.dim), np.float32)
            pictured = self._snapshot.kind != WORDS and self._encoder.image is not None
            pictures = self._snapshot.sample() if pictured else nothing
            said = _sentences(self._store, self._encoder) if self._encoder.text else nothing
            self._made = Calibration(card.name, said, pictures)
        return self._made


def _form(terms: Sequence[Term]) -> list[tuple[bool, float]]:
    return [(term.kind is Kind.WORDS, term.weight) for term in terms]


def _sentences(store: Store, encoder: Encoder) -> Floats:
    """The vectors of the background's sentences, which depend on the model only: encoded once for a gallery."""
    space = encoder.space
    told = zlib.crc32(calibration.BACKGROUND.read_bytes())
    path = store.folder / INDEXES / f"{saved.stem(space, 'sentences')}-{told:08x}.npy"
    try:
        known: Floats = np.load(path, allow_pickle=False)
        if known.shape == (len(calibration.sentences()), space.dim) and np.isfinite(known).all():
            return known.astype(np.float32)
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or damaged: it is a cache
    rows = encoder.encode_texts(calibration.sentences())
    if store.writable:
        try:
            durable.make_folder(path.parent)
            durable.write(path, lambda file: np.save(file, rows))
        except OSError:
            return rows  # a full disk: they are encoded again the next time
    return rows
