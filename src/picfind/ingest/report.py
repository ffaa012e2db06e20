"""How far a run is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from picfind.storage.names import Refusal
from picfind.types import Gap


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is. Counts are of the whole run up to now; `refusals` are those since the report before.

    `due` and `done` count steps: a picture that is read, a text or a picture with its words that is encoded, a
    second look at a picture. What there is to do beyond reading shows once the pictures are read, so `due` may grow.
    """

    due: int = 0
    done: int = 0
    encoded: int = 0
    """Pictures that were encoded, with any model."""
    read: int = 0
    """Named, and what their inside says read, with no model that encodes pictures by themselves."""
    reused: int = 0
    """Named without being opened as pictures: copies, renamed files, pictures that came back, new words of known ones."""
    texts: int = 0
    """Texts that were encoded."""
    pairs: int = 0
    """Pictures that were encoded together with their words."""
    regions: int = 0
    """Pictures whose regions were encoded."""
    recognised: int = 0
    """Pictures that were looked through for text."""
    refused: int = 0
    vanished: int = 0
    unchanged: int = 0
    barred: int = 0
    """Refused by an earlier run, and not tried again: neither the file nor the limits have changed."""
    forgotten: int = 0
    in_table: int = 0
    """Pictures of the source that the given table of captions says something of."""
    seconds: float = 0.0
    finished: bool = False
    refusals: tuple[Refusal, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(slots=True)
class Progress:
    """The report so far, as it grows."""

    report: Report
    began: float = field(default_factory=time.monotonic)

    def add(self, **counts: int) -> None:
        """Add to some counts."""
        self.report = replace(
            self.report, **{name: getattr(self.report, name) + number for name, number in counts.items()}
        )

    def gap(self, gap: Gap) -> None:
        """Note a stretch that could not be listed."""
        self.report = replace(self.report, gaps=(*self.report.gaps, gap))

    def tell(self, refusals: Sequence[Refusal] = (), **last: Any) -> Report:
        """The report as of now."""
        return replace(self.report, seconds=time.monotonic() - self.began, refusals=tuple(refusals), **last)
