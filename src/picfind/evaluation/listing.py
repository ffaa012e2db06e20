"""The pictures of a dataset that an evaluation takes: all, or so many of them drawn by a seed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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


def listed(
    dataset: Dataset, *, limit: int | None = None, seed: int = 0, words: bool = True
) -> tuple[Chosen, list[str]]:
    """The pictures of a dataset, at most so many, in its order; and what could not be listed.

    With `words` unset they come without what is said of them, which can be far more than they are. Where some are drawn,
    the dataset is listed twice, so that no more than these are held. Raises UsageError where there are none, and what
    `items` raises.
    """
    gaps: list[Gap] = []
    chosen = None if limit is None else frozenset(drawn(_named(dataset), limit, seed))
    found = _items(dataset, chosen, gaps, words=words)
    if not found:
        where = keys.shown(dataset.location)
        raise UsageError(
            f"{where} ({dataset.kind}) has no pictures. Name another split, or check what lies there."
        )
    return Chosen(dataset.kind, dataset.location, found), _told(gaps)


def _named(dataset: Dataset) -> list[str]:
    """All keys, each once, in their order."""
    return list(dict.fromkeys(entry.key for entry in dataset.items() if isinstance(entry, Item)))


def _items(
    dataset: Dataset, chosen: Collection[str] | None, gaps: list[Gap], *, words: bool
) -> dict[str, Item]:
    """The chosen items by key, or all of them; gaps are added to `gaps`."""
    found: dict[str, Item] = {}
    for entry in dataset.items():
        if not isinstance(entry, Item):
            gaps.append(entry)
        elif chosen is None or entry.key in chosen:
            found.setdefault(entry.key, entry if words else replace(entry, words=(), sidecars=()))
    return found


def _told(gaps: Sequence[Gap]) -> list[str]:
    warnings = [
        f"{gap.reason}{f' ({keys.shown(gap.prefix)})' if gap.prefix else ''}" for gap in gaps[:_SHOWN_GAPS]
    ]
    if len(gaps) > _SHOWN_GAPS:
        warnings.append(f"... and {len(gaps) - _SHOWN_GAPS:,} more stretches that could not be listed.")
    return warnings


def drawn(names: Sequence[str], limit: int | None, seed: int) -> list[str]:
    """At most so many of some names, drawn by a seed, in their order."""
    if limit is None or limit >= len(names):
        return list(names)
    generator = np.random.default_rng((seed, 3))
    return [names[at] for at in sorted(generator.choice(len(names), limit, replace=False).tolist())]
