"""The first pass over a source: read, name, and encode pictures by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from picfind import keys
from picfind.encoders.base import Encoder
from picfind.images import Limits, inspect
from picfind.ingest.changes import Change
from picfind.ingest.passes import Passage, through, vectored
from picfind.ingest.report import Report
from picfind.ingest.stages import Outcome, Taken, Towers, decoded, read_item
from picfind.ingest.wording import Wording
from picfind.storage import names, parts
from picfind.storage.names import DATED_BY_FILE, DATED_BY_NAME, FACTS_TASK, Content, Name, vector_task
from picfind.types import PICTURE


def pictures(
    passage: Passage, encoders: Sequence[Encoder], due: Iterator[Change], wording: Wording
) -> Iterator[Report]:
    """Read what is due, name it, and encode it with every encoder that takes pictures by themselves."""
    catalog, root_id = passage.store.catalog, passage.root_id
    work = PictureWork(
        encoders,
        limits=passage.limits,
        wording=wording,
        known=lambda digest: names.content_tasks(catalog, digest),
        digest_of=lambda key: names.digest_of(catalog, root_id, key),
    )
    yield from through(passage, work, due, encoders, _commit)


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
        self._towers = Towers(encoders, lambda encoder: encoder.image)
        self._limits = limits
        self._wording = wording
        self._known = known
        self._digest_of = digest_of
        self._taken = Taken()

    def prepare(self, change: Change) -> Outcome:
        """Everything before the encoder."""
        if change.same_bytes and not change.tasks:
            return Outcome(change, self._digest_of(change.item.key), said=self._wording.read(change.item))
        return read_item(change, self._limits, self._take)

    def encode(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Encode what has been prepared, in its order."""
        return self._towers.encode(outcomes)

    def _take(self, change: Change, data: bytes, digest: bytes) -> Outcome:
        said = self._wording.read(change.item)
        due = change.tasks - self._known(digest)
        if not due or digest in self._taken:
            return Outcome(change, digest, Content(digest, len(data)), said)
        wanted = self._towers.of(lambda space: vector_task(space) in due)
        found = decoded(data, [entry.decode_size for entry in wanted], self._limits)
        prepared = self._towers.prepare(
            wanted, lambda entry: {parts.picture(digest): found[entry.decode_size].image}
        )
        content = Content(digest, len(data))
        if FACTS_TASK in due:
            told = next(iter(found.values()), None) or inspect(data, limits=self._limits)
            content = Content(digest, len(data), told.facts, told.words)
        self._taken.add(digest)  # only now: a copy of what cannot be used is refused by itself
        return Outcome(change, digest, content, said, prepared)


def _commit(passage: Passage, outcomes: list[Outcome]) -> Report:
    refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
    if outcomes:
        passage.writer.commit(
            passage.root_id,
            contents=[outcome.content for outcome in outcomes if outcome.content],
            names=[_name(outcome) for outcome in outcomes if outcome.sha256],
            refusals=refusals,
            vectors=vectored(outcomes, PICTURE),
        )
    passage.progress.add(
        done=len(outcomes),
        encoded=sum(bool(outcome.vectors) for outcome in outcomes),
        read=sum(_is_read(outcome) for outcome in outcomes),
        reused=sum(
            bool(outcome.sha256 and not outcome.vectors) and not _is_read(outcome) for outcome in outcomes
        ),
        refused=len(refusals),
        vanished=sum(outcome.sha256 is None and outcome.refusal is None for outcome in outcomes),
    )
    return passage.progress.tell(refusals)


def _is_read(outcome: Outcome) -> bool:
    """Whether the inside of a picture was read with nothing of it to encode by itself."""
    return not outcome.vectors and outcome.content is not None and outcome.content.facts is not None


def _name(outcome: Outcome) -> Name:
    item, said = outcome.change.item, outcome.said
    dated, source = keys.date_in_name(item.key), DATED_BY_NAME
    if dated is None:
        dated, source = _iso(item.dated), DATED_BY_FILE
    return Name(
        item.key,
        item.fingerprint,
        outcome.sha256 or b"",
        dated,
        source if dated else None,
        words=said.words if said else (),
        words_mark=said.marks.words if said else "",
        table=said.table if said else None,
        table_mark=said.marks.table if said else None,
    )


def _iso(seconds: float | None) -> str | None:
    try:
        return datetime.fromtimestamp(seconds).isoformat(timespec="seconds") if seconds is not None else None
    except (ValueError, OverflowError, OSError):
        return None  # a file system may hold times that no calendar has
