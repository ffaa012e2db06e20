"""A judged dataset through several models: index its pictures, encode its queries, search exactly, measure.

Pictures go through an ordinary indexing run into a gallery, so they are decoded, encoded and kept in half precision
just as those that are searched. Nothing but their pixels is used: a model that joins pictures with words gets the
pictures alone, since captions would give the answers away.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from pathlib import Path

from picfind import keys
from picfind.datasets.base import IMAGE_TO_IMAGE, Judged, JudgedDataset, same_words, within
from picfind.encoders.base import Encoder
from picfind.errors import UsageError
from picfind.evaluation import scoring, speed, statistics, trials, vectors
from picfind.evaluation.entrants import Contestant, check, contestants
from picfind.evaluation.listing import Chosen, listed
from picfind.evaluation.results import Compared, Entry, Evaluation, Model, Result
from picfind.evaluation.trials import Asked, Trial
from picfind.evaluation.vectors import Vectors
from picfind.images import Limits
from picfind.ingest.report import Report
from picfind.ingest.run import run
from picfind.settings import Settings, cores
from picfind.storage import roots
from picfind.storage.store import Store
from picfind.types import Space

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
_SHOWN_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How to evaluate. `limit` pictures are drawn where there are more; `fold` cuts the gallery into galleries of so many
    pictures; `worst` and `examples` queries of each trial are told in detail. All that is drawn is drawn by `seed`.
    `same_words` counts every picture with the same words as right, for names of products."""

    tasks: tuple[str, ...] = ()
    limit: int | None = None
    fold: int | None = None
    worst: int = 10
    examples: int = 5
    seed: int = 0
    same_words: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What is evaluated on: pictures, all queries in their order, and those that are asked under each name.

    `known` gives the vectors that are there already, by key; `apart` are keys of queries that are no part of the gallery.
    """

    name: str
    chosen: Chosen
    everything: tuple[Judged, ...]
    asked: tuple[Asked, ...]
    known: Callable[[Space], Vectors] = lambda space: vectors.none(space.dim)
    apart: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Bench:
    """Where the work is done, and what has come up."""

    source: Source
    store: Store
    settings: Settings
    progress: Progress
    warnings: list[str] = field(default_factory=list)

    @property
    def workers(self) -> int:
        return self.settings.workers or cores()


def evaluate(
    dataset: JudgedDataset,
    models: Sequence[str | Encoder],
    settings: Settings,
    *,
    options: Options | None = None,
    gallery: Path | None = None,
    progress: Progress = lambda what, done, due: None,
) -> Evaluation:
    """Measure models on a judged dataset.

    `gallery` is the folder of a gallery that keeps the vectors, so that a second run encodes no picture; without it they
    are gone afterwards. Raises UsageError where there is nothing to ask, or nothing of a task; EncoderError for a model
    that cannot do what is asked; and what listing, indexing and loading raise.
    """
    options = options or Options()
    told: list[str] = []
    entrants = contestants(models, settings, told)
    progress("listing", 0, 0)
    chosen, warnings = listed(dataset, limit=options.limit, seed=options.seed, words=gallery is not None)
    everything = _queries(dataset, chosen, options)
    asked = tuple(trials.by_task(everything, options.tasks, name=dataset.name))
    source = Source(dataset.name, chosen, everything, asked, warnings=(*told, *warnings))
    with workshop(gallery) as store:
        found = measure(source, entrants, store, settings, options=options, progress=progress)
    return replace(found, same_words=options.same_words)


def _queries(dataset: JudgedDataset, chosen: Chosen, options: Options) -> tuple[Judged, ...]:
    """The queries about the chosen pictures: of a few that were drawn from very many, no others are ever held.

    Raises UsageError where there are queries, and none of them is about these.
    """
    first = next(queries := dataset.queries(), None)
    every = chain(() if first is None else (first,), queries)
    some = every if options.limit is None else within(every, chosen.items_by_key.keys())
    found = tuple(same_words(some) if options.same_words else some)
    if first is not None and not found:
        raise UsageError(
            f"No query of {dataset.name} is about any of the pictures that were drawn, {len(chosen.items_by_key):,} in all. "
            "Draw more of them (--limit)."
        )
    return found


@contextmanager
def workshop(gallery: Path | None) -> Iterator[Store]:
    """The gallery to work in: this one, which is made where there is none, or one that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="picfind-", ignore_cleanup_errors=True) as aside:
        store = Store.open(gallery or Path(aside, "gallery"), create=True)
        try:
            yield store
        finally:
            store.close()


def measure(
    source: Source,
    entrants: Sequence[Contestant],
    store: Store,
    settings: Settings,
    *,
    options: Options,
    progress: Progress = lambda what, done, due: None,
) -> Evaluation:
    """Measure models on what a source asks. Raises as `evaluate`."""
    bench = _Bench(source, store, settings, progress, list(source.warnings))
    check(entrants, source.asked, options.tasks, bench.warnings)
    pictures, costs = {}, {}
    for one in entrants:
        pictures[one.card.name], costs[one.card.name] = _index(bench, one)
    usable = [
        key for key in source.chosen.items_by_key if all(key in found.places for found in pictures.values())
    ]
    if not usable:
        raise UsageError(f"None of the pictures of {source.name} can be used. " + " ".join(bench.warnings))
    count = sum(1 for key in usable if key not in source.apart)
    asked = trials.trials(source.asked, source.everything, usable, fold=options.fold, apart=source.apart)
    if not asked:
        raise UsageError(
            f"No query of {source.name} has a right answer among the {count:,} pictures that can be used. "
            "Take more of them (--limit), or check that the pictures are there."
        )
    entries: dict[str, list[Entry]] = {trial.name: [] for trial in asked}
    told = []
    for one in entrants:
        cost = _ask(bench, one, asked, pictures[one.card.name], entries, options, costs[one.card.name])
        told.append(Model(one.card, cost))
    results = tuple(
        _compared(trial, entries[trial.name], options.seed) for trial in asked if entries[trial.name]
    )
    warnings, items = tuple(bench.warnings), source.chosen.items_by_key
    return Evaluation(source.name, count, tuple(told), results, warnings, options.seed, items=items)


def _index(bench: _Bench, one: Contestant) -> tuple[Vectors, speed.Speed]:
    """The vectors of all pictures that can be used, and what encoding them took."""
    encoder = one.load(bench.settings, "document")
    speed.forget_peak()
    chosen = bench.source.chosen
    known = bench.source.known(encoder.space)
    lacking = [key for key in chosen.items_by_key if key not in known.places]
    rate = None
    if lacking:
        report = _run(bench, chosen.only(lacking), encoder)
        rate = report.encoded / report.seconds if report.encoded and report.seconds else None
        root = roots.find_root(bench.store.catalog, chosen.kind, chosen.location)
        if root is not None:
            found = vectors.of_root(bench.store, root.id, encoder.space)
            fresh = [key for key in lacking if key in found.places]
            known = known.joined(Vectors(tuple(fresh), found.of(fresh)))
    alone = speed.picture_ms(encoder, list(chosen.items_by_key.values()))
    return known, speed.Speed(picture_ms=alone, pictures_per_second=rate, memory_mb=speed.peak_mb())


def _run(bench: _Bench, chosen: Chosen, encoder: Encoder) -> Report:
    limits = Limits(max_pixels=bench.settings.max_pixels, max_bytes=bench.settings.max_bytes)
    refused: list[str] = []
    report = Report()
    for report in run(chosen, bench.store, [encoder], workers=bench.workers, limits=limits):
        bench.progress(f"pictures, {encoder.card.name}", report.done, report.due)
        refused += [f"{keys.shown(one.key)}: {one.reason}" for one in report.refusals]
    if refused:
        some = " ".join(refused[:_SHOWN_REFUSALS])
        bench.warnings.append(
            f"{len(refused):,} {'picture' if len(refused) == 1 else 'pictures'} cannot be used with "
            f"{encoder.card.name}. {some}"
        )
    return report


def _ask(
    bench: _Bench,
    one: Contestant,
    asked: Sequence[Trial],
    pictures: Vectors,
    entries: Mapping[str, list[Entry]],
    options: Options,
    cost: speed.Speed,
) -> speed.Speed:
    """Ask one model all trials that it can take part in; gives what it costs, with the texts."""
    able = [trial for trial in asked if one.reads or trial.task == IMAGE_TO_IMAGE]
    texts = vectors.none(one.card.dim)
    wanted = {name: text for trial in able for name, text in trial.texts.items()}
    if wanted:
        texts, cost = _read(bench, one, wanted, cost)
    for trial in able:
        bench.progress(f"{trial.name}, {one.card.name}", 0, 0)
        scored = scoring.score(
            trial, pictures, texts, worst=options.worst, examples=options.examples, seed=options.seed
        )
        entries[trial.name].append(Entry(one.card.name, _figures(trial, scored, options.seed), scored))
    return cost


def _read(
    bench: _Bench, one: Contestant, wanted: Mapping[str, str], cost: speed.Speed
) -> tuple[Vectors, speed.Speed]:
    """The vectors of texts, as those of queries are, and what encoding them took."""
    bench.progress(f"{len(wanted):,} texts, {one.card.name}", 0, 0)
    encoder = one.load(bench.settings, "query")
    speed.forget_peak()
    alone = speed.text_ms(encoder, list(wanted.values()))
    texts, rate = speed.timed(
        lambda: vectors.of_texts(encoder, wanted, workers=bench.workers), len(set(wanted.values()))
    )
    memory = max(cost.memory_mb or 0.0, speed.peak_mb() or 0.0) or None
    return texts, replace(cost, text_ms=alone, texts_per_second=rate, memory_mb=memory)


def _figures(trial: Trial, scored: scoring.Scored, seed: int) -> dict[str, statistics.Figure]:
    groups = statistics.codes([query.group or query.id for query in trial.queries])
    means = statistics.mean_figures(scored.values, groups, seed=seed)
    found = dict(zip(scoring.MEASURES, means, strict=True))
    return {**found, scoring.FIRST_RANK: statistics.median_figure(scored.first, groups, seed=seed)}


def _compared(trial: Trial, entries: Sequence[Entry], seed: int) -> Result:
    """Each model against each other one, the best ones first."""
    column = scoring.MEASURES.index(trial.measure)
    groups = statistics.codes([query.group or query.id for query in trial.queries])
    ranked = sorted(entries, key=lambda entry: -entry.figures[trial.measure].value)
    compared = [
        Compared(one.model, other.model, trial.measure, statistics.difference(own, theirs, groups, seed=seed))
        for one, other in combinations(ranked, 2)
        for own, theirs in [(one.scored.values[:, column], other.scored.values[:, column])]
    ]
    return Result(trial, tuple(entries), tuple(compared))
