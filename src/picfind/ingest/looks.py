"""The pass that looks at pictures a second time: at their regions, and at the text inside them.

What is owed, the catalog says; the pixels are read again, with more of them than the first pass has: a tile has as many
pixels as an encoder wants of a whole picture, and text is read in the full picture.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from PIL import Image

from picfind.encoders.base import Encoder
from picfind.images import Limits, tiles
from picfind.ingest.changes import Change
from picfind.ingest.passes import Passage, listed_in, through, vectored
from picfind.ingest.report import Report
from picfind.ingest.stages import Outcome, Taken, Towers, decoded, read_item
from picfind.storage import names, owed, parts, recognised, spaces
from picfind.storage.catalog import Transaction
from picfind.storage.owed import OwedLook
from picfind.types import PICTURE, RecognisedLine

TEXT_SIZE = 4096
"""Shorter side in pixels that a picture may be scaled down to before it is read for text: hardly one is larger."""


class Recogniser(Protocol):
    """Reads the text inside pictures, from several threads at once."""

    @property
    def name(self) -> str:
        """What it is called, without `@`."""
        ...

    @property
    def version(self) -> str:
        """Changes when it reads differently: then every picture is read again."""
        ...

    def read(self, image: Image.Image) -> Sequence[RecognisedLine]:
        """The lines of text in an upright picture; mostly none. Raises PictureError where it cannot be read."""
        ...


def looks(
    passage: Passage,
    encoders: Sequence[Encoder],
    gone: Collection[str],
    *,
    regions: bool,
    recogniser: Recogniser | None,
) -> Iterator[Report]:
    """Encode the regions of pictures, and read the text inside them, where that has not been done yet.

    Spaces of pairs have no regions: what is said of a picture is not said of its pieces.
    """
    alone = [encoder for encoder in encoders if encoder.kind == PICTURE] if regions else []
    found = owed.looks(
        passage.store.catalog,
        [encoder.space for encoder in alone],
        passage.root_id,
        scope=passage.dataset.scope,
        text_task=None if recogniser is None else names.text_task(recogniser.name, recogniser.version),
    )
    due = {key: look for key, look in found.items() if key not in gone}
    if due:
        passage.progress.add(due=len(due))
        work = LookWork(alone, due, limits=passage.limits, recogniser=recogniser)
        items = listed_in(passage.dataset, due)
        yield from through(passage, work, items, alone, work.commit, each=tiles.MOST if alone else 1)


class LookWork:
    """Reads a picture again, cuts and prepares its regions, reads its text; called by many threads at once."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        owed: Mapping[str, OwedLook],
        *,
        limits: Limits,
        recogniser: Recogniser | None,
    ) -> None:
        self._towers = Towers(encoders, lambda encoder: encoder.image)
        self._owed = owed
        self._limits = limits
        self._recogniser = recogniser
        self._taken = Taken()

    def prepare(self, change: Change) -> Outcome:
        """Everything before the encoder."""
        outcome = read_item(change, self._limits, self._take)
        if outcome.refusal is None:
            return outcome
        # the picture was usable, and stays so: what failed is its full size, in too little memory perhaps
        return replace(outcome, refusal=replace(outcome.refusal, lasting=False))

    def encode(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Encode what has been prepared, in its order."""
        return self._towers.encode(outcomes)

    def _take(self, change: Change, data: bytes, digest: bytes) -> Outcome:
        look = self._owed[change.item.key]
        if digest != look.sha256 or not self._taken.add(digest):
            return Outcome(change)  # another picture by now, which the next run sees; or a copy
        wanted = self._towers.of(lambda space: space in look.spaces)
        sizes = {entry.space: _size(entry) for entry in wanted}
        found = decoded(data, sizes.values(), self._limits)
        prepared = self._towers.prepare(
            wanted,
            lambda entry: {
                parts.region(digest, box): tiles.cut(found[sizes[entry.space]].image, box)
                for box in look.boxes
            },
        )
        return Outcome(change, digest, prepared=prepared, lines=self._read(look, data))

    def _read(self, look: OwedLook, data: bytes) -> Sequence[RecognisedLine] | None:
        if self._recogniser is None or not look.text:
            return None
        return self._recogniser.read(decoded(data, [TEXT_SIZE], self._limits)[TEXT_SIZE].image)

    def commit(self, passage: Passage, outcomes: list[Outcome]) -> Report:
        """Write down what was seen, all of it at once."""
        refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
        if outcomes:
            passage.writer.commit(
                passage.root_id,
                refusals=refusals,
                vectors=vectored(outcomes, PICTURE),
                also=lambda change: self._record(change, outcomes),
            )
        passage.progress.add(
            done=len(outcomes),
            regions=sum(bool(outcome.vectors) for outcome in outcomes),
            recognised=sum(outcome.lines is not None for outcome in outcomes),
            refused=len(refusals),
        )
        return passage.progress.tell(refusals)

    def _record(self, change: Transaction, outcomes: Sequence[Outcome]) -> None:
        """Let go of the regions of an earlier tiling, and write down the lines."""
        for outcome in outcomes:
            look = self._owed[outcome.change.item.key]
            for space in outcome.vectors:
                number = spaces.add_space(change, space, PICTURE)
                parts.keep_regions(change, number, look.sha256, look.boxes)
            if outcome.lines is not None and self._recogniser is not None:
                content = names.content_id(change, look.sha256)
                recognised.record(change, content, outcome.lines)
                task = names.text_task(self._recogniser.name, self._recogniser.version)
                names.record_done(change, content, task)


def _size(encoder: Encoder) -> int:
    """Shorter side in pixels of a picture whose tiles have the pixels that an encoder wants."""
    return math.ceil(encoder.decode_size / tiles.SHARE)
