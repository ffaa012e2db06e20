"""`picfind index`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

import picfind
from picfind import keys, sources
from picfind.api import Gallery
from picfind.cli import bars
from picfind.cli.options import DONE, FAILED, GalleryFlag, ModelFlag, counted, say, settings_of
from picfind.errors import MissingSourceError, SourceError
from picfind.ingest.report import Report
from picfind.settings import Settings
from picfind.types import Gap

_SHOWN_REFUSALS = 10


SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Folders of pictures, single ones, or datasets, tables, lists of URLs, shards: coco:/data/coco#val.",
    ),
]
CaptionsFlag = Annotated[
    Path | None,
    typer.Option(
        "--captions",
        "-c",
        metavar="FILE",
        help="A table of what is said of the pictures: CSV, JSON Lines, COCO captions JSON.",
    ),
]
RegionsFlag = Annotated[
    bool,
    typer.Option(
        "--regions", help="Encode pieces of each picture too: finds small things, and pictures by crops."
    ),
]
OcrFlag = Annotated[
    bool,
    typer.Option(
        "--ocr",
        help="Read the text inside pictures too, some tenths of a second each; needs the extra `ocr`.",
    ),
]
ExcludeFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        "-x",
        metavar="PATTERN",
        help="Pass over what matches, as in .gitignore; may be repeated.",
    ),
]
WorkersFlag = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Threads that decode and encode; 0: as many as cores."),
]
ForgetFlag = Annotated[
    bool, typer.Option("--forget", help="Agree to forgetting more than half of a source's pictures.")
]


def index(
    source: SourcesArgument,
    gallery: GalleryFlag = None,
    model: ModelFlag = None,
    captions: CaptionsFlag = None,
    regions: RegionsFlag = False,
    ocr: OcrFlag = False,
    exclude: ExcludeFlag = None,
    workers: WorkersFlag = None,
    forget: ForgetFlag = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Add folders of pictures or datasets, or bring them up to date. Running it again goes on where it stopped."""
    settings = settings_of(
        gallery=gallery, model=model or None, exclude=tuple(exclude) if exclude else None, workers=workers
    )
    _check(source, settings)
    failed = False
    with picfind.open(settings=settings) as opened:
        for one in source:
            try:
                index_source(
                    opened, one, captions=captions, forget=forget, regions=regions, ocr=ocr, quiet=quiet
                )
            except SourceError as error:  # one drive that is not plugged in must not keep the others waiting
                say(f"picfind: {error}")
                failed = True
    raise typer.Exit(FAILED if failed else DONE)


def _check(named: Sequence[str], settings: Settings) -> None:
    """Raise what is wrong where no source is there, or one has a bad name: no gallery is made for these."""
    missing: list[MissingSourceError] = []
    for source in named:
        try:
            sources.check_there(source, settings)
        except MissingSourceError as error:
            missing.append(error)
    if len(missing) == len(named):
        raise missing[0] if len(missing) == 1 else MissingSourceError(" ".join(map(str, missing)))


def index_source(
    gallery: Gallery,
    source: str | Path,
    *,
    captions: Path | None = None,
    forget: bool = False,
    regions: bool = False,
    ocr: bool = False,
    quiet: bool = False,
) -> Report:
    """Index one source with a bar on stderr and a summary after it. Gives the last report."""
    refused = []
    last = Report()
    running = gallery.indexing(source, captions=captions, forget=forget, regions=regions, ocr=ocr)
    with closing(running) as reports:
        shown = reports if quiet or not sys.stderr.isatty() else _with_bar(reports, Path(source).name)
        for last in shown:
            refused += [f"{keys.shown(refusal.key)}: {refusal.reason}" for refusal in last.refusals]
    if not quiet:
        _summarise(source, last, refused)
    if captions is not None and not quiet:
        say(_said_by(captions, last))
    return last


def _said_by(captions: Path, report: Report) -> str:
    if report.in_table:
        return f"  {captions.name} says something of {counted(report.in_table, 'picture')}."
    return (
        f"  {captions.name} says nothing of these pictures: the paths that it names must end like theirs, or theirs "
        "like those."
    )


def _gap_told(gap: Gap) -> str:
    if not gap.hides or not gap.prefix:
        return keys.shown(gap.reason)
    return f"could not be listed: {keys.shown(gap.prefix)} ({keys.shown(gap.reason)})"


def _with_bar(reports: Iterator[Report], title: str) -> Iterator[Report]:
    with bars.counting("rate") as progress:
        task = progress.add_task(keys.shown(title), total=None, rate="")
        for report in reports:
            rate = f"{report.done / report.seconds:.0f}/s" if report.done and report.seconds else ""
            progress.update(task, total=report.due, completed=report.done, rate=rate)
            yield report


def _summarise(source: str | Path, report: Report, refused: list[str]) -> None:
    counts = {
        "encoded": report.encoded,
        "read": report.read,
        "encoded with their words": report.pairs,
        "texts encoded": report.texts,
        "cut into regions": report.regions,
        "looked through for text": report.recognised,
        "known already": report.reused,
        "unchanged": report.unchanged,
        "forgotten": report.forgotten,
        "vanished": report.vanished,
        "refused": report.refused,
        "refused before": report.barred,
    }
    told = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number) or "no pictures"
    steps = report.encoded + report.pairs or max(report.regions, report.recognised)
    rate = f", {steps / report.seconds:.0f} a second" if steps and report.seconds else ""
    say(f"{keys.shown(str(source))}: {told} in {report.seconds:.1f} s{rate}.")
    for gap in report.gaps:
        say(f"  {_gap_told(gap)}")
    for line in refused[:_SHOWN_REFUSALS]:
        say(f"  refused: {line}")
    if len(refused) > _SHOWN_REFUSALS:
        say(f"  ... and {len(refused) - _SHOWN_REFUSALS} more: `picfind status --refusals` lists them.")
