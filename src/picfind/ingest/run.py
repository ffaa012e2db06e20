"""An indexing run: an iterator of reports, one a commit.

Resuming is running again: what was committed is not due any more. Cancelling is ceasing to iterate: what was encoded
by then is committed. Names are forgotten once, at the end, after a complete listing.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from picfind import keys
from picfind.datasets.base import Dataset
from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, GalleryBusyError, WouldForgetError
from picfind.images import Limits
from picfind.ingest.changes import Change, Survey, changes, survey
from picfind.ingest.stages import Outcome, PictureWork, batched_encode, mapped
from picfind.storage import names, parts, roots
from picfind.storage.names import FACTS_TASK, Content, Name, Refusal, State
from picfind.storage.store import Store
from picfind.storage.writer import Vectored, Writer
from picfind.types import Gap, Item

_COMMIT_SECONDS = 5.0
_COMMIT_PICTURES = 2048
_AHEAD = 3
"""Pictures under way for each worker: enough that none waits for a slow neighbour."""
_FORGET_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is. Counts are of the whole run up to now; `refusals` are those since the report before."""

    due: int = 0
    done: int = 0
    encoded: int = 0
    reused: int = 0
    """Named without being encoded: copies, renamed files, pictures that came back."""
    refused: int = 0
    vanished: int = 0
    unchanged: int = 0
    barred: int = 0
    """Refused by an earlier run, and not tried again: neither the file nor the limits have changed."""
    forgotten: int = 0
    seconds: float = 0.0
    finished: bool = False
    refusals: tuple[Refusal, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(slots=True)
class _Progress:
    """The report so far, as it grows."""

    report: Report
    began: float = field(default_factory=time.monotonic)

    def count(self, outcome: Outcome) -> None:
        """Add one outcome."""
        was = self.report
        self.report = replace(
            was,
            done=was.done + 1,
            encoded=was.encoded + (outcome.vector is not None),
            reused=was.reused + (outcome.content is not None and outcome.vector is None),
            refused=was.refused + (outcome.refusal is not None),
            vanished=was.vanished + (outcome.content is None and outcome.refusal is None),
        )

    def tell(self, refusals: Sequence[Refusal] = (), **last: Any) -> Report:
        """The report as of now."""
        return replace(self.report, seconds=time.monotonic() - self.began, refusals=tuple(refusals), **last)


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
        return cls(now + min(_COMMIT_SECONDS, max(1.0, (now - began) / 4)))

    def is_full(self) -> bool:
        return len(self.outcomes) >= _COMMIT_PICTURES or time.monotonic() >= self.due


def run(
    dataset: Dataset,
    store: Store,
    encoder: Encoder,
    *,
    workers: int = 1,
    limits: Limits | None = None,
    forget: bool = False,
) -> Generator[Report, None, None]:
    """Bring a gallery up to date with a source. Yields a report first, after each commit, and a finished one last.

    `forget` agrees to a run that would lose more than half of the source's pictures. Raises MissingSourceError,
    WouldForgetError (what is new has been committed by then), EncoderError for an encoder without an image tower,
    and the errors of `Store.writing` and `Writer.commit`.
    """
    if encoder.image is None:
        raise EncoderError(f"The model {encoder.card.name} encodes no pictures. Index with another one.")
    limits = limits or Limits()
    wanted = frozenset({FACTS_TASK, names.vector_task(encoder.space)})
    next(dataset.items(), None)  # a source that is not there raises here, and leaves no root behind
    with store.writing() as writer:
        root_id = _root(store, writer, dataset)
        states = names.states(
            store.catalog, root_id, spaces=[encoder.space], scope=dataset.scope, limits=str(limits)
        )
        found = survey(dataset.items(), states, wanted)
        _refuse_empty(dataset, found, states, forget=forget)
        progress = _Progress(
            Report(due=found.due, unchanged=found.unchanged, barred=found.barred, gaps=found.gaps)
        )
        yield progress.tell()
        gone = set(found.gone)
        if found.due:
            work = PictureWork(
                encoder.image,
                encoder,
                limits=limits,
                known=lambda digest: names.content_tasks(store.catalog, digest, encoder.space),
            )
            due = changes(_seen(dataset.items(), gone, progress), states, wanted)
            yield from _work(work, due, writer, root_id, encoder, progress, workers)
        forgotten = _forget(store, writer, root_id, gone, states, agreed=forget)
        yield progress.tell(forgotten=forgotten, finished=True)


def _root(store: Store, writer: Writer, dataset: Dataset) -> int:
    known = roots.find_root(store.catalog, dataset.kind, dataset.location)
    if known is not None and known.location == dataset.location:
        return known.id  # a run that finds nothing to do writes nothing
    with writer.transaction() as change:
        root_id, prefix = roots.add_root(change, dataset.kind, dataset.location)
    if prefix:
        raise GalleryBusyError(
            f"{keys.shown(dataset.location)} has just been indexed as a part of a larger folder. Run again."
        )
    return root_id


def _refuse_empty(dataset: Dataset, found: Survey, states: Mapping[str, State], *, forget: bool) -> None:
    lost = sum(1 for key in found.gone if states[key].named)
    if lost and not found.listed and not forget:
        raise WouldForgetError(
            f"{keys.shown(dataset.location)} is empty now, but the gallery knows pictures of it ({lost}). "
            "Is a drive not plugged in? If they are really gone, run again with --forget; if they lie elsewhere now, "
            "run `picfind roots move OLD NEW`."
        )


def _seen(items: Iterator[Item | Gap], gone: set[str], progress: _Progress) -> Iterator[Item | Gap]:
    """Take back from `gone` what has come back since the survey, or can no longer be seen."""
    for item in items:
        if isinstance(item, Item):
            gone.discard(item.key)
        elif item not in progress.report.gaps:
            gone.difference_update([key for key in gone if key.startswith(item.prefix)])
            progress.report = replace(progress.report, gaps=(*progress.report.gaps, item))
        yield item


def _work(
    work: PictureWork,
    due: Iterator[Change],
    writer: Writer,
    root_id: int,
    encoder: Encoder,
    progress: _Progress,
    workers: int,
) -> Iterator[Report]:
    batch = _Batch.after(progress.began)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="picfind")
    try:
        for outcome in _outcomes(work, due, encoder, pool, workers):
            batch.outcomes.append(outcome)
            if batch.is_full():
                ready, batch = batch, _Batch.after(progress.began)
                yield _commit(writer, root_id, encoder, ready, progress)
    finally:
        # also when the caller has ceased to iterate or pressed Ctrl-C: what is encoded is kept
        pool.shutdown(wait=True, cancel_futures=True)
        last = _commit(writer, root_id, encoder, batch, progress)
    yield last


def _outcomes(
    work: PictureWork, due: Iterator[Change], encoder: Encoder, pool: ThreadPoolExecutor, workers: int
) -> Iterator[Outcome]:
    ahead = workers * _AHEAD
    if not encoder.on_accelerator:
        return mapped(pool, work.prepare_and_encode, due, ahead=ahead)
    size = encoder.card.batch_size
    return batched_encode(work, mapped(pool, work.prepare, due, ahead=ahead + size), size)


def _commit(writer: Writer, root_id: int, encoder: Encoder, batch: _Batch, progress: _Progress) -> Report:
    for outcome in batch.outcomes:
        progress.count(outcome)
    refusals = [outcome.refusal for outcome in batch.outcomes if outcome.refusal]
    taken = [(outcome.change.item, outcome.content) for outcome in batch.outcomes if outcome.content]
    encoded = [
        (parts.picture(outcome.content.sha256), outcome.vector)
        for outcome in batch.outcomes
        if outcome.content and outcome.vector is not None
    ]
    if batch.outcomes:
        rows = (
            np.stack([row for _, row in encoded]) if encoded else np.empty((0, encoder.space.dim), np.float32)
        )
        writer.commit(
            root_id,
            contents=[content for _, content in taken],
            names=[_name(item, content) for item, content in taken],
            refusals=refusals,
            vectors={encoder.space: Vectored([part for part, _ in encoded], rows)},
        )
    return progress.tell(refusals)


def _name(item: Item, content: Content) -> Name:
    dated, source = keys.date_in_name(item.key), names.FILE_NAME
    if dated is None:
        dated, source = _iso(item.dated), names.FILE_TIME
    return Name(item.key, item.fingerprint, content.sha256, dated, source if dated else None, item.words)


def _iso(seconds: float | None) -> str | None:
    try:
        return datetime.fromtimestamp(seconds).isoformat(timespec="seconds") if seconds is not None else None
    except (ValueError, OverflowError, OSError):
        return None  # a file system may hold times that no calendar has


def _forget(
    store: Store, writer: Writer, root_id: int, gone: set[str], states: dict[str, State], *, agreed: bool
) -> int:
    """Remove the names that are gone, unless that would lose more than half of the pictures unasked."""
    if not gone:
        return 0
    lost = names.last_names(store.catalog, root_id, gone)
    known = sum(1 for state in states.values() if state.named)
    if lost > known * _FORGET_SHARE and not agreed:
        raise WouldForgetError(
            f"{lost} of the {known} pictures that the gallery knows of this source are gone, or are excluded now. If "
            "that is right, run again with --forget; if they lie elsewhere now, run `picfind roots move OLD NEW`. "
            "What is new has been indexed."
        )
    with writer.transaction() as change:
        names.forget(change, root_id, gone)
    return sum(1 for key in gone if states[key].named)
