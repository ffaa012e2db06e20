"""An indexing run: an iterator of reports, one a commit.

Its passes: pictures (read, named, encoded by themselves), pictures with their words, words, and a second look at
pictures, for their regions and the text inside them. Which of them there are, the encoders say, and who runs it. Resuming is running again: what was committed is not due any more. Cancelling is ceasing to iterate:
what was encoded by then is committed. Names are forgotten once, at the end, after a complete listing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence

from picfind import keys
from picfind.captions.table import CaptionTable
from picfind.datasets.base import Dataset
from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, GalleryBusyError, UsageError, WouldForgetError
from picfind.images import Limits
from picfind.ingest.changes import Survey, changes, survey
from picfind.ingest.looks import Recogniser, looks
from picfind.ingest.pairs import pairs
from picfind.ingest.passes import Passage
from picfind.ingest.pictures import pictures
from picfind.ingest.report import Progress, Report
from picfind.ingest.texts import texts
from picfind.ingest.wording import Wording
from picfind.storage import names, roots, spaces
from picfind.storage.names import FACTS_TASK, State
from picfind.storage.store import Store
from picfind.storage.writer import Writer
from picfind.types import PICTURE, Gap, Item

_FORGET_SHARE = 0.5


def run(
    dataset: Dataset,
    store: Store,
    encoders: Sequence[Encoder],
    *,
    captions: CaptionTable | None = None,
    workers: int = 1,
    limits: Limits | None = None,
    forget: bool = False,
    regions: bool = False,
    recogniser: Recogniser | None = None,
) -> Generator[Report, None, None]:
    """Bring a gallery up to date with a source. Yields a report first, after each commit, and a finished one last.

    `captions` is a table of what is said of the source's pictures; without one, what an earlier one said stays.
    `forget` agrees to a run that would lose more than half of the source's pictures. With `regions` pieces of each
    picture are encoded too, and a `recogniser` reads the text inside them; without these, what earlier runs have done of
    it stays. Raises MissingSourceError, WouldForgetError (what is new has been committed by then), EncoderError for an
    encoder without towers or one that breaks its promises, UsageError for regions without an encoder of pictures alone,
    and the errors of `Store.writing` and `Writer.commit`.
    """
    _check(store, encoders, regions=regions)
    limits = limits or Limits()
    wording = Wording(captions)
    alone = [encoder for encoder in encoders if encoder.kind == PICTURE]
    wanted = frozenset({FACTS_TASK, *(names.vector_task(encoder.space) for encoder in alone)})
    next(dataset.items(), None)  # a source that is not there raises here, and leaves no root behind
    with store.writing() as writer:
        root_id = _root(store, writer, dataset)
        states = names.states(
            store.catalog,
            root_id,
            spaces=[encoder.space for encoder in alone],
            scope=dataset.scope,
            limits=str(limits),
        )
        progress = Progress(Report())
        found = survey(_counted(dataset.items(), wording, progress), states, wanted, wording.marks)
        _refuse_empty(dataset, found, states, forget=forget)
        progress.add(due=found.due, unchanged=found.unchanged, barred=found.barred)
        for gap in found.gaps:
            progress.gap(gap)
        yield progress.tell()
        gone = set(found.gone)
        passage = Passage(dataset, store, writer, root_id, progress, workers=workers, limits=limits)
        if found.due:
            due = changes(_seen(dataset.items(), gone, progress), states, wanted, wording.marks)
            yield from pictures(passage, alone, due, wording)
        yield from pairs(passage, encoders, gone)
        yield from texts(passage, encoders)
        yield from looks(passage, encoders, gone, regions=regions, recogniser=recogniser)
        forgotten = _forget(store, writer, root_id, gone, states, agreed=forget)
        yield progress.tell(forgotten=forgotten, finished=True)


def _check(store: Store, encoders: Sequence[Encoder], *, regions: bool) -> None:
    for encoder in encoders:
        if not (encoder.image or encoder.text or encoder.pair):
            raise EncoderError(f"The model {encoder.card.name} encodes nothing. Index with another one.")
        spaces.check_same(store.catalog, encoder.space, encoder.kind)
    if regions and not any(encoder.kind == PICTURE for encoder in encoders):
        told = ", ".join(encoder.card.name for encoder in encoders)
        raise UsageError(
            f"Regions need a model that encodes pictures by themselves, which {told} does not. Name one as well: "
            "--model NAME."
        )


def _counted(items: Iterator[Item | Gap], wording: Wording, progress: Progress) -> Iterator[Item | Gap]:
    """The same items; counts those that the table of captions knows."""
    for item in items:
        if isinstance(item, Item) and wording.is_in_table(item):
            progress.add(in_table=1)
        yield item


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


def _seen(items: Iterator[Item | Gap], gone: set[str], progress: Progress) -> Iterator[Item | Gap]:
    """Take back from `gone` what has come back since the survey, or can no longer be seen."""
    for item in items:
        if isinstance(item, Item):
            gone.discard(item.key)
        elif item not in progress.report.gaps:
            gone.difference_update([key for key in gone if item.hides and key.startswith(item.prefix)])
            progress.gap(item)
        yield item


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
