"""The relevance of hits: brings the background of a space together for `calibration`, and keeps it beside the gallery.

Words are judged by other words, pictures by other pictures of the gallery, among them stored ones (content ids), and a
concept by what it is made of. A query that was learned from examples has no others of its form: its hits are set
against the gallery's own scores for it, as `feedback` says.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from picfind.encoders.base import Encoder
from picfind.search import calibration, feedback, saved
from picfind.search.asking import Asked
from picfind.search.calibration import Calibration
from picfind.search.snapshot import Found, Snapshot
from picfind.storage import durable
from picfind.storage.store import INDEXES, Store
from picfind.types import WORDS, Floats, Space


class Judge:
    """Says how relevant the hits of one snapshot are. What it needs is made when it is first asked."""

    def __init__(self, store: Store, encoder: Encoder, snapshot: Snapshot) -> None:
        self._store = store
        self._encoder = encoder
        self.snapshot = snapshot
        self._made: Calibration | None = None

    def relevance(self, found: Found, asked: Asked) -> Floats:
        """(n,) from 0 to 1, NaN where there is too little to judge by."""
        calibrated = self._calibration()
        if asked.learned:
            return feedback.relevance(found.scores, calibrated.pictures @ asked.vector)
        return calibrated.relevance(found.scores, self.snapshot.vectors(found.parts), terms=asked.form)

    def by_chance(self, at_least: float, asked: Asked) -> float:
        """How many unrelated pictures can be expected to be as relevant as this, roughly."""
        searched = self.snapshot.searchable  # each region has a chance of its own
        if asked.learned:
            return feedback.by_chance(at_least, searched=searched)
        return self._calibration().by_chance(at_least, searched=searched, terms=asked.form)

    def _calibration(self) -> Calibration:
        if self._made is None:
            card = self._encoder.card
            nothing = np.empty((0, card.dim), np.float32)
            pictured = self.snapshot.kind != WORDS and self._encoder.image is not None
            pictures = self.snapshot.sample() if pictured else nothing
            said = _sentences(self._store, self._encoder) if self._encoder.text else nothing
            self._made = Calibration(card.name, said, pictures)
        return self._made


def lacks_background(store: Store, space: Space) -> bool:
    """Whether the sentences of the background have not been encoded for this gallery yet."""
    return not _kept_sentences(store, space).exists()


def prepare(store: Store, encoder: Encoder) -> None:
    """Encode them now, so that the first search need not. The encoder is one for queries."""
    if encoder.text is not None:
        _sentences(store, encoder)


def _kept_sentences(store: Store, space: Space) -> Path:
    told = zlib.crc32(calibration.BACKGROUND.read_bytes())
    return store.folder / INDEXES / f"{saved.stem(space, 'sentences')}-{told:08x}.npy"


def _sentences(store: Store, encoder: Encoder) -> Floats:
    """The vectors of the background's sentences, which depend on the model only: encoded once for a gallery."""
    space, path = encoder.space, _kept_sentences(store, encoder.space)
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
