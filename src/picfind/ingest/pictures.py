"""The first pass over a source: read, name, and encode pictures by themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from picfind.encoders.base import Encoder
from picfind.images import Limits, inspect
from picfind.ingest.changes import Change
from picfind.ingest.stages import Outcome, decoded, encode_by_space, read_item, rgb_of
from picfind.ingest.wording import Wording
from picfind.storage.names import FACTS_TASK, Content, vector_task
from picfind.types import Space


class PictureWork:
    """Reads, hashes, decodes and prepares one item; called by many threads at once."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        *,
        limits: Limits,
        wording: Wording,
        known: Callable[[bytes], frozenset[str]],
        digest_of: Callable[[str], bytes | None],
    ) -> None:
        """`known` gives the tasks that are done on some bytes, by their SHA-256; `digest_of` that of a known key."""
        self._encoders = {encoder.space: encoder for encoder in encoders}
        self._towers = {encoder.space: encoder.image for encoder in encoders}
        self._limits = limits
        self._wording = wording
        self._known = known
        self._digest_of = digest_of
        self._taken: set[bytes] = set()
        self._lock = threading.Lock()

    def prepare(self, change: Change) -> Outcome:
        """Everything before the encoder."""
        if change.same_bytes and not change.tasks:
            return Outcome(change, self._digest_of(change.item.key), said=self._wording.read(change.item))
        return read_item(change, self._limits, self._take)

    def encode(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Encode what has been prepared, in its order."""
        return encode_by_space(outcomes, self._towers)

    def _take(self, change: Change, data: bytes, digest: bytes) -> Outcome:
        said = self._wording.read(change.item)
        due = change.tasks - self._known(digest)
        if not due or self._is_copy(digest):
            return Outcome(change, digest, Content(digest, len(data)), said)
        wanted = [entry for space, entry in self._encoders.items() if vector_task(space) in due]
        pictures = decoded(data, wanted, self._limits)
        prepared: dict[Space, object] = {
            entry.space: self._towers[entry.space].prepare(rgb_of(pictures, entry))  # type: ignore[union-attr]
            for entry in wanted
        }
        content = Content(digest, len(data))
        if FACTS_TASK in due:
            found = next(iter(pictures.values()), None) or inspect(data, limits=self._limits)
            content = Content(digest, len(data), found.facts, found.words)
        with self._lock:
            self._taken.add(digest)
        return Outcome(change, digest, content, said, prepared)

    def _is_copy(self, digest: bytes) -> bool:
        """Whether this run has taken the same bytes already, though they may not be committed yet."""
        with self._lock:
            return digest in self._taken
