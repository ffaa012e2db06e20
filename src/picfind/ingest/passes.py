"""What the passes of a run share: what they work on, how many do it at once, and when they commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from picfind.datasets.base import Dataset
from picfind.encoders.base import Encoder
from picfind.images import Limits
from picfind.ingest.changes import Change
from picfind.ingest.report import Progress, Report
from picfind.ingest.stages import Outcome, Work, outcomes_of
from picfind.storage.parts import Part
from picfind.storage.store import Store
from picfind.storage.writer import Vectored, Writer
from picfind.types import Floats, Item, Space

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


def next_commit(began: float) -> float:
    """When a run that began then commits next, on the monotonic clock.

    The first commits come soon, so that a person sees how it goes.
    """
    now = time.monotonic()
    return now + min(COMMIT_SECONDS, max(1.0, (now - began) / 4))


@dataclass(slots=True)
class _Batch:
    """Outcomes that wait for their commit."""

    due: float
    """When to commit at the latest, on the monotonic clock."""
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def after(cls, began: float) -> _Batch:
        """The next batch of a run."""
        return cls(next_commit(began))

    def is_full(self) -> bool:
        return len(self.outcomes) >= COMMIT_STEPS or time.monotonic() >= self.due


def listed_in(dataset: Dataset, wanted: Container[str]) -> Iterator[Change]:
    """The items whose keys are wanted, in the order of the source."""
    for item in dataset.items():
        if isinstance(item, Item) and item.key in wanted:
            yield Change(item, frozenset())


def through(
    passage: Passage,
    work: Work,
    due: Iterator[Change],
    encoders: Sequence[Encoder],
    commit: Callable[[Passage, list[Outcome]], Report],
    *,
    each: int = 1,
) -> Iterator[Report]:
    """Do the work on all that is due, and commit what has become of it; a report after each commit, and one at the end.

    `each` is how many vectors one change comes to.
    """
    batch = _Batch.after(passage.progress.began)
    pool = ThreadPoolExecutor(max_workers=passage.workers, thread_name_prefix="picfind")
    try:
        for outcome in outcomes_of(work, due, encoders, pool, passage.workers, each):
            batch.outcomes.append(outcome)
            if batch.is_full():
                ready, batch = batch, _Batch.after(passage.progress.began)
                yield commit(passage, ready.outcomes)
    finally:
        # also when the caller has ceased to iterate or pressed Ctrl-C: what is encoded is kept
        pool.shutdown(wait=True, cancel_futures=True)
        last = commit(passage, batch.outcomes)
    yield last


def vectored(outcomes: Sequence[Outcome], kind: str) -> Mapping[Space, Vectored]:
    """The vectors of some outcomes, by their space, whose vectors stand for `kind`."""
    rows: dict[Space, list[tuple[Part, Floats]]] = {}
    for outcome in outcomes:
        for space, own in outcome.vectors.items():
            rows.setdefault(space, []).extend(own.items())
    return {
        space: Vectored([part for part, _ in own], np.stack([row for _, row in own]), kind)
        for space, own in rows.items()
        if own
    }
