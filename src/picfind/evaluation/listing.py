"""The pictures of a dataset that an evaluation takes: all, or so many of them drawn by a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from picfind import keys
from picfind.datasets.base import Dataset
from picfind.errors import UsageError
from picfind.types import Gap, Item

_SHOWN_GAPS = 3


@dataclass(frozen=True)
class Chosen:
    """Some items of a root, as a dataset that an indexing run takes.

    It ends with a gap that everything lies below, so that a run into a gallery forgets none of the others.
    """

    kind: str
    location: str
    items_by_key: Mapping[str, Item]
    scope: str = ""

    def items(self) -> Iterator[Item | Gap]:
        """The items, in their order."""
        yield from self.items_by_key.values()
        yield Gap("", "an evaluation takes a part of the pictures")

    def only(self, wanted: Sequence[str]) -> Chosen:
        """Those of some keys."""
        return replace(self, items_by_key={key: self.items_by_key[key] for key in wanted})


def listed(dataset: Dataset, *, limit: int | None = None, seed: int = 0) -> tuple[Chosen, list[str]]:
    """The pictures of a dataset, at most so many, in its order; and what could not be listed.

    Raises UsageError where there are none, and what `items` raises.
    """
    found: dict[str, Item] = {}
    gaps: list[Gap] = []
    for entry in dataset.items():
        if isinstance(entry, Item):
            found.setdefault(entry.key, entry)
        else:
            gaps.append(entry)
    if not found:
        where = keys.shown(dataset.location)
        raise UsageError(
            f"{where} ({dataset.kind}) has no pictures. Name another split, or check what lies there."
        )
    chosen = {key: found[key] for key in drawn(list(found), limit, seed)}
    warnings = [
        f"{gap.reason}{f' ({keys.shown(gap.prefix)})' if gap.prefix else ''}" for gap in gaps[:_SHOWN_GAPS]
    ]
    if len(gaps) > _SHOWN_GAPS:
        warnings.append(f"... and {len(gaps) - _SHOWN_GAPS:,} more stretches that could not be listed.")
    return Chosen(dataset.kind, dataset.location, chosen), warnings


def drawn(names: Sequence[str], limit: int | None, seed: int) -> list[str]:
    """At most so many of some names, drawn by a seed, in their order."""
    if limit is None or limit >= len(names):
        return list(names)
    generator = np.random.default_rng((seed, 3))
    return [names[at] for at in sorted(generator.choice(len(names), limit, replace=False).tolist())]
