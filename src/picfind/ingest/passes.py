"""The three passes of a run, and the commits that they are made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from picfind import keys
from picfind.datasets.base import Dataset
from picfind.encoders.base import Encoder
from picfind.images import Limits
from picfind.ingest import pairs as pairing
from picfind.ingest.changes import Change
from picfind.ingest.pairs import PairWork
from picfind.ingest.pictures import PictureWork
from picfind.ingest.report import Progress, Report
from picfind.ingest.stages import Outcome, Work, mapped, outcomes_of
from picfind.ingest.wording import Wording
from picfind.storage import names, owed, parts, spaces
from picfind.storage.names import DATED_BY_FILE, DATED_BY_NAME, Name
from picfind.storage.parts import Part
from picfind.storage.store import Store
from picfind.storage.writer import Vectored, Writer
from picfind.types import PAIR, PICTURE, WORDS, Floats, Space

COMMIT_SECONDS = 5.0
COMMIT_STEPS = 2048


@dataclass(frozen=True, slots=True)
class Passage:
    """What all passes of one run share."""

    dataset: Dataset
    store: Store
    writer: Writer
    root_id: int
    progress: Progress
    workers: int
    limits: Limits


@dataclass(slots=True)
class _Batch:
    """Outcomes that wait for their commit."""

    due: float
    """When to commit at the latest, on the monotonic clock."""
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def after(cls, began: float) -> _Batch:
        """The next batch of a run; the first ones are short, so that a person soon sees how it goes."""
        now = time.monotonic()
        return cls(now + min(COMMIT_SECONDS, max(1.0, (now - began) / 4)))

    def is_full(self) -> bool:
        return len(self.outcomes) >= COMMIT_STEPS or time.monotonic() >= self.due


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
    yield from _through(passage, work, due, encoders, _commit_pictures)


def pairs(passage: Passage, encoders: Sequence[Encoder], gone: Collection[str]) -> Iterator[Report]:
    """Encode the pictures whose words are new to a space of pairs, together with them; not those that are gone."""
    joined = [encoder for encoder in encoders if encoder.kind == PAIR]
    wanted = [encoder.space for encoder in joined]
    found = owed.pairs(passage.store.catalog, wanted, passage.root_id, scope=passage.dataset.scope)
    lacking = {key: pair for key, pair in found.items() if key not in gone}
    if lacking:
        passage.progress.add(due=len(lacking))
        work = PairWork(joined, lacking, limits=passage.limits)

        def commit(passage: Passage, outcomes: list[Outcome]) -> Report:
            return _commit_pairs(passage, outcomes, lacking)

        yield from _through(passage, work, pairing.due(passage.dataset.items(), lacking), joined, commit)


def words(passage: Passage, encoders: Sequence[Encoder]) -> Iterator[Report]:
    """Encode every text that a space of words lacks, from whatever root it is."""
    for encoder in encoders:
        if encoder.kind == WORDS:
            _name_space(passage, encoder.space)
            texts = owed.texts(passage.store.catalog, encoder.space)
            passage.progress.add(due=len(texts))
            if texts:
                yield from _texts(passage, encoder, texts)


def _name_space(passage: Passage, space: Space) -> None:
    """Make a space of words known, though there may be no words yet: it can be searched, and finds nothing."""
    catalog = passage.store.catalog
    if space not in spaces.spaces(catalog) and names.count_contents(catalog):
        with passage.writer.transaction() as change:
            spaces.add_space(change, space, WORDS)


def _texts(passage: Passage, encoder: Encoder, texts: Sequence[str]) -> Iterator[Report]:
    chunks = [texts[at : at + _CHUNK] for at in range(0, len(texts), _CHUNK)]
    held: list[tuple[Sequence[str], Floats]] = []
    due = _Batch.after(passage.progress.began).due
    workers = 1 if encoder.on_accelerator else passage.workers
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="picfind")
    try:
        encoded = mapped(pool, encoder.encode_texts, chunks, ahead=workers * 2)
        for some, rows in zip(chunks, encoded, strict=True):
            held.append((some, rows))
            if len(held) * _CHUNK >= COMMIT_STEPS or time.monotonic() >= due:
                ready, held, due = held, [], _Batch.after(passage.progress.began).due
                yield _commit_texts(passage, encoder.space, ready)
    finally:
        # as in _through: what is encoded is kept
        pool.shutdown(wait=True, cancel_futures=True)
        last = _commit_texts(passage, encoder.space, held)
    yield last


_CHUNK = 64
"""Texts that a thread encodes at a time."""


def _commit_texts(passage: Passage, space: Space, held: Sequence[tuple[Sequence[str], Floats]]) -> Report:
    if held:
        named = [parts.words(text) for some, _ in held for text in some]
        rows = np.concatenate([rows for _, rows in held])
        passage.writer.commit(vectors={space: Vectored(named, rows, WORDS)})
        passage.progress.add(done=len(named), texts=len(named))
    return passage.progress.tell()


def _through(
    passage: Passage,
    work: Work,
    due: Iterator[Change],
    encoders: Sequence[Encoder],
    commit: Callable[[Passage, list[Outcome]], Report],
) -> Iterator[Report]:
    batch = _Batch.after(passage.progress.began)
    pool = ThreadPoolExecutor(max_workers=passage.workers, thread_name_prefix="picfind")
    try:
        for outcome in outcomes_of(work, due, encoders, pool, passage.workers):
            batch.outcomes.append(outcome)
            if batch.is_full():
                ready, batch = batch, _Batch.after(passage.progress.began)
                yield commit(passage, ready.outcomes)
    finally:
        # also when the caller has ceased to iterate or pressed Ctrl-C: what is encoded is kept
        pool.shutdown(wait=True, cancel_futures=True)
        last = commit(passage, batch.outcomes)
    yield last


def _commit_pictures(passage: Passage, outcomes: list[Outcome]) -> Report:
    refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
    if outcomes:
        passage.writer.commit(
            passage.root_id,
            contents=[outcome.content for outcome in outcomes if outcome.content],
            names=[_name(outcome) for outcome in outcomes if outcome.sha256],
            refusals=refusals,
            vectors=_vectored(outcomes, PICTURE, lambda outcome: parts.picture(outcome.sha256 or b"")),
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


def _commit_pairs(passage: Passage, outcomes: list[Outcome], lacking: pairing.Owed) -> Report:
    def part(outcome: Outcome) -> Part:
        pair, _ = lacking[outcome.change.item.key]
        return parts.pair(pair.sha256, pair.text)

    refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
    if outcomes:
        vectors = _vectored(outcomes, PAIR, part)
        passage.writer.commit(passage.root_id, refusals=refusals, vectors=vectors)
    passage.progress.add(
        done=len(outcomes),
        pairs=sum(bool(outcome.vectors) for outcome in outcomes),
        refused=len(refusals),
    )
    return passage.progress.tell(refusals)


def _vectored(
    outcomes: Sequence[Outcome], kind: str, part: Callable[[Outcome], Part]
) -> Mapping[Space, Vectored]:
    rows: dict[Space, list[tuple[Part, Floats]]] = {}
    for outcome in outcomes:
        for space, row in outcome.vectors.items():
            rows.setdefault(space, []).append((part(outcome), row))
    return {
        space: Vectored([entry for entry, _ in own], np.stack([row for _, row in own]), kind)
        for space, own in rows.items()
    }


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
