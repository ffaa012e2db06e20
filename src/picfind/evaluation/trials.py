"""Trials: which queries are asked of which pictures or texts.

A trial has one field, or several where a protocol asks smaller galleries in turn (the 1K folds of COCO's 5K); its
figures are then means over all queries of all fields.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from picfind.datasets.base import IMAGE_TO_IMAGE, IMAGE_TO_TEXT, TEXT_TO_IMAGE, Judged, folds, within
from picfind.errors import UsageError

TASKS = (TEXT_TO_IMAGE, IMAGE_TO_TEXT, IMAGE_TO_IMAGE)
_FEW_RIGHT = 5
"""Papers on captions, of which a picture has five, count hits; where more answers are right, average precision says more."""
HITS, PRECISION = "hit_at(10)", "mAP"


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries of one task, under the name that a report has for them."""

    name: str
    task: str
    queries: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """Queries and what is ranked for each of them: keys of pictures or, for `image_to_text`, ids of texts."""

    queries: tuple[Judged, ...]
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is asked of every model alike. `left_out` queries had no right answer among the pictures that can be used."""

    name: str
    task: str
    fields: tuple[Field, ...]
    texts: dict[str, str]
    """The texts of its queries or of its candidates, by id."""
    left_out: int = 0

    @property
    def queries(self) -> list[Judged]:
        """All queries, field by field."""
        return [query for field in self.fields for query in field.queries]

    @property
    def measure(self) -> str:
        """The measure that models are compared by: mAP between pictures, and where queries have many right answers; else
        hit_at(10)."""
        many = sum(len(query.right) for query in self.queries) > _FEW_RIGHT * len(self.queries)
        return PRECISION if many or self.task == IMAGE_TO_IMAGE else HITS

    @property
    def candidates(self) -> int:
        """How many are ranked for a query, at most."""
        most = 0
        for field in self.fields:
            there = frozenset(field.candidates)
            ignored = {query.ignored for query in field.queries}
            most = max(most, len(there) - min(len(some & there) for some in ignored))
        return most


def by_task(queries: Iterable[Judged], tasks: Sequence[str], *, name: str) -> list[Asked]:
    """A dataset's queries by their task, those of `image_to_text` after the texts that they rank.

    Raises UsageError for a task that there is not, or that the dataset has no queries of.
    """
    unknown = next((task for task in tasks if task not in TASKS), None)
    if unknown is not None:
        raise UsageError(f"There is no task {unknown!r}. Tasks are: {', '.join(TASKS)}.")
    found: dict[str, list[Judged]] = {}
    for query in queries:
        found.setdefault(query.task, []).append(query)
    if not found:
        raise UsageError(
            f"{name} has no queries: nothing says what is right. It needs captions, or labels that two pictures share."
        )
    missing = next((task for task in tasks if task not in found), None)
    if missing is not None:
        raise UsageError(f"{name} has no queries of the task {missing}. It has: {', '.join(found)}.")
    return [Asked(task, task, tuple(found[task])) for task in tasks or TASKS if task in found]


def trials(
    asked: Sequence[Asked],
    everything: Sequence[Judged],
    keys: Sequence[str],
    *,
    fold: int | None = None,
    apart: Collection[str] = frozenset(),
) -> list[Trial]:
    """What can be asked of a gallery of these keys, in folds of so many pictures where `fold` is given.

    `everything` are all queries in the dataset's order: `image_to_text` ranks the texts among them. Keys `apart` are
    queries and no part of the gallery: they are at hand in every fold. A trial without any query left is left out.
    Raises UsageError for a fold that is larger than the gallery.
    """
    pictures = [key for key in keys if key not in apart]
    galleries = [one.union(apart) for one in folds(pictures, fold)] if fold else [frozenset(keys)]
    if not galleries:
        raise UsageError(
            f"There are {len(pictures):,} pictures: fewer than one fold of {fold:,}. Make --folds smaller."
        )
    found = [_trial(one, everything, keys, galleries) for one in asked]
    return [trial for trial in found if trial.fields]


def _trial(
    asked: Asked, everything: Sequence[Judged], keys: Sequence[str], galleries: Sequence[frozenset[str]]
) -> Trial:
    wanted = {query.id for query in asked.queries}
    fields: list[Field] = []
    texts: dict[str, str] = {}
    source = everything if asked.task == IMAGE_TO_TEXT else asked.queries
    for gallery in galleries:
        inside = list(within(source, gallery))
        own = tuple(query for query in inside if query.id in wanted and query.task == asked.task)
        said = {
            query.id: query.text for query in inside if query.task == TEXT_TO_IMAGE and query.text is not None
        }
        texts |= said
        pictures = tuple(key for key in keys if key in gallery)
        if own:
            fields.append(Field(own, tuple(said) if asked.task == IMAGE_TO_TEXT else pictures))
    left = len(asked.queries) - sum(len(field.queries) for field in fields)
    return Trial(asked.name, asked.task, tuple(fields), texts, left)
