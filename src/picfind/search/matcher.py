"""One space of a gallery, searched: terms to vectors, combined, to the nearest pictures and the reasons for them."""

from __future__ import annotations

from collections.abc import Sequence

from picfind.encoders.base import Encoder
from picfind.images import Limits
from picfind.search.asking import Asked, Asker, read_file
from picfind.search.concepts import Meaning
from picfind.search.judging import Judge
from picfind.search.query import Term
from picfind.search.snapshot import Found, Snapshot
from picfind.storage.store import Store
from picfind.types import WORDS, Floats, Ids, Read

FEEDBACK = "feedback"
"""What the share of liked and disliked pictures is called among the reasons."""


class Matcher:
    """Finds the pictures of one space that are nearest to some terms. Safe from several threads."""

    def __init__(
        self, store: Store, encoder: Encoder, *, index: str, limits: Limits, read: Read = read_file
    ) -> None:
        """Raises UnknownSpaceError and DamagedGalleryError."""
        self._store = store
        self._read = read
        self._index = index
        self._limits = limits
        self.encoder = encoder
        self.judge = Judge(store, encoder, Snapshot(store, encoder.space, index=index))

    @property
    def snapshot(self) -> Snapshot:
        """What is searched. One attribute holds it and its judge, so that they change together."""
        return self.judge.snapshot

    @property
    def against(self) -> str:
        """What a query is matched against here: `pictures` or `words`."""
        return "words" if self.snapshot.kind == WORDS else "pictures"

    def refresh(self) -> bool:
        """See what has been committed since. Gives whether there was anything."""
        if self._store.catalog.generation == self.snapshot.generation:
            return False
        snapshot = Snapshot(self._store, self.encoder.space, index=self._index)
        self.judge = Judge(self._store, self.encoder, snapshot)
        return True

    def takes(self, terms: Sequence[Term], liked: Sequence[Term] = (), disliked: Sequence[Term] = ()) -> bool:
        """Whether this space can answer: the model has a tower for every term, or the gallery has its vector.

        A space of words has no vectors of pictures, so it takes no examples, no content ids, and of concepts those that
        are words alone. Raises UsageError for a concept that is not there.
        """
        return self._asker.takes(Meaning(tuple(terms), tuple(liked), tuple(disliked)))

    def ask(self, terms: Sequence[Term], liked: Sequence[Term] = (), disliked: Sequence[Term] = ()) -> Asked:
        """The terms as vectors, combined by their weights, and turned by the examples.

        Examples that the gallery no longer has are passed over with a warning. Raises UsageError where terms cancel out,
        for a content id or a concept that is not there, and for a picture that is both liked and disliked; PictureError.
        """
        return self._asker.ask(Meaning(tuple(terms), tuple(liked), tuple(disliked)))

    def find(self, asked: Asked, *, k: int, ties: bool = False, allowed: Ids | None = None) -> Found:
        """The k nearest pictures, of those `allowed`; with `ties` also those that score like the k-th."""
        return self.snapshot.search(asked.vector, k=k, ties=ties, allowed=allowed)

    def reasons(self, found: Found, terms: Sequence[Term], asked: Asked) -> list[dict[str, float]]:
        """How much of each score each term gave, and the examples as `feedback`; they add up to the score."""
        labels = _labels(terms)
        if len(asked.terms) > len(terms):
            labels.append(FEEDBACK)
        shares = self.snapshot.vectors(found.parts) @ asked.terms.T / asked.norm
        return [
            {label: round(float(share), 6) for label, share in zip(labels, row, strict=True)}
            for row in shares
        ]

    def relevance(self, found: Found, asked: Asked) -> Floats:
        """(n,) from 0 to 1: how relevant the hits are; NaN where there is too little to judge by."""
        return self.judge.relevance(found, asked)

    def by_chance(self, at_least: float, asked: Asked) -> float:
        """How many unrelated pictures can be expected to be as relevant as this, roughly."""
        return self.judge.by_chance(at_least, asked)

    @property
    def _asker(self) -> Asker:
        return Asker(self._store, self.encoder, self.snapshot, limits=self._limits, read=self._read)


def _labels(terms: Sequence[Term]) -> list[str]:
    """What the terms are called, each differently."""
    labels: list[str] = []
    for at, term in enumerate(terms):
        before = sum(1 for earlier in terms[:at] if earlier.label == term.label)
        labels.append(f"{term.label} #{before + 1}" if before else term.label)
    return labels
