"""The pass that joins pictures with their words: what is owed, the catalog says; the pixels are read again.

Which words a picture has is known for certain only once its name is recorded. So a picture of a fresh gallery is read
twice where a space of pairs is wanted, and a caption that changes costs reading one picture.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from picfind.encoders.base import Encoder
from picfind.images import Limits
from picfind.ingest.changes import Change
from picfind.ingest.passes import Passage, listed_in, through, vectored
from picfind.ingest.report import Report
from picfind.ingest.stages import Outcome, Taken, Towers, decoded, read_item
from picfind.storage import owed, parts
from picfind.storage.owed import OwedPair
from picfind.storage.wording import texts_of
from picfind.types import PAIR, Space

Owed = Mapping[str, tuple[OwedPair, frozenset[Space]]]


def pairs(passage: Passage, encoders: Sequence[Encoder], gone: Collection[str]) -> Iterator[Report]:
    """Encode the pictures whose words are new to a space of pairs, together with them; not those that are gone."""
    joined = [encoder for encoder in encoders if encoder.kind == PAIR]
    wanted = [encoder.space for encoder in joined]
    found = owed.pairs(passage.store.catalog, wanted, passage.root_id, scope=passage.dataset.scope)
    lacking = {key: pair for key, pair in found.items() if key not in gone}
    if lacking:
        passage.progress.add(due=len(lacking))
        work = PairWork(joined, lacking, limits=passage.limits)
        yield from through(passage, work, listed_in(passage.dataset, lacking), joined, _commit)


class PairWork:
    """Reads, decodes and prepares one picture with its words; called by many threads at once."""

    def __init__(self, encoders: Sequence[Encoder], owed: Owed, *, limits: Limits) -> None:
        self._towers = Towers(encoders, lambda encoder: encoder.pair)
        self._owed = owed
        self._limits = limits
        self._taken = Taken()

    def prepare(self, change: Change) -> Outcome:
        """Everything before the encoder."""
        return read_item(change, self._limits, self._take)

    def encode(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Encode what has been prepared, in its order."""
        return self._towers.encode(outcomes)

    def _take(self, change: Change, data: bytes, digest: bytes) -> Outcome:
        pair, spaces = self._owed[change.item.key]
        if digest != pair.sha256 or not self._taken.add(pair):
            # another picture by now, which the next run sees; or a copy with the same words
            return Outcome(change)
        wanted = self._towers.of(lambda space: space in spaces)
        found = decoded(data, [entry.decode_size for entry in wanted], self._limits)
        part, texts = parts.pair(digest, pair.text), texts_of(pair.text)
        prepared = self._towers.prepare(wanted, lambda entry: {part: (found[entry.decode_size].image, texts)})
        return Outcome(change, digest, prepared=prepared)


def _commit(passage: Passage, outcomes: list[Outcome]) -> Report:
    refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
    if outcomes:
        passage.writer.commit(passage.root_id, refusals=refusals, vectors=vectored(outcomes, PAIR))
    passage.progress.add(
        done=len(outcomes),
        pairs=sum(bool(outcome.vectors) for outcome in outcomes),
        refused=len(refusals),
    )
    return passage.progress.tell(refusals)
