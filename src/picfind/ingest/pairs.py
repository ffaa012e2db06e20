"""The pass that joins pictures with their words: what is owed, the catalog says; the pixels are read again.

Which words a picture has is known for certain only once its name is recorded. So a picture of a fresh gallery is read
twice where a space of pairs is wanted, and a caption that changes costs reading one picture.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from picfind.encoders.base import Encoder
from picfind.images import Limits
from picfind.ingest.changes import Change
from picfind.ingest.stages import Outcome, decoded, encode_by_space, read_item, rgb_of
from picfind.storage.owed import OwedPair
from picfind.storage.wording import texts_of
from picfind.types import Gap, Item, Space

Owed = Mapping[str, tuple[OwedPair, frozenset[Space]]]


def due(items: Iterable[Item | Gap], owed: Owed) -> Iterator[Change]:
    """The items whose pair is owed, in the order of the source."""
    for item in items:
        if isinstance(item, Item) and item.key in owed:
            yield Change(item, frozenset())


class PairWork:
    """Reads, decodes and prepares one picture with its words; called by many threads at once."""

    def __init__(self, encoders: Sequence[Encoder], owed: Owed, *, limits: Limits) -> None:
        self._encoders = {encoder.space: encoder for encoder in encoders}
        self._towers = {encoder.space: encoder.pair for encoder in encoders}
        self._owed = owed
        self._limits = limits
        self._taken: set[OwedPair] = set()
        self._lock = threading.Lock()

    def prepare(self, change: Change) -> Outcome:
        """Everything before the encoder."""
        return read_item(change, self._limits, self._take)

    def encode(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Encode what has been prepared, in its order."""
        return encode_by_space(outcomes, self._towers)

    def _take(self, change: Change, data: bytes, digest: bytes) -> Outcome:
        pair, spaces = self._owed[change.item.key]
        if digest != pair.sha256 or self._is_taken(pair):
            return Outcome(
                change
            )  # another picture by now, which the next run sees; or a copy with the same words
        wanted = [self._encoders[space] for space in spaces]
        pictures = decoded(data, wanted, self._limits)
        prepared: dict[Space, object] = {
            entry.space: self._towers[entry.space].prepare((rgb_of(pictures, entry), texts_of(pair.text)))  # type: ignore[union-attr]
            for entry in wanted
        }
        return Outcome(change, digest, prepared=prepared)

    def _is_taken(self, pair: OwedPair) -> bool:
        with self._lock:
            taken = pair in self._taken
            self._taken.add(pair)
        return taken
