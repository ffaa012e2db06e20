"""What is due: a pure comparison of what a source lists with what the gallery knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from picfind.ingest.wording import Marks
from picfind.storage.names import State
from picfind.types import Gap, Item


@dataclass(frozen=True, slots=True)
class Change:
    """An item that needs work, and which tasks are due on its content as far as its name can tell.

    `same_bytes`: its file is as it was; without tasks only its words are to be read again.
    """

    item: Item
    tasks: frozenset[str]
    same_bytes: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """What a complete listing says before any work is done."""

    due: int
    unchanged: int
    barred: int
    """Refused before, and not to be tried again now."""
    gone: frozenset[str]
    gaps: tuple[Gap, ...]

    @property
    def listed(self) -> int:
        """How many items the source has."""
        return self.due + self.unchanged + self.barred


MarksOf = Callable[[Item], Marks]


def change_of(item: Item, state: State | None, wanted: frozenset[str], marks_of: MarksOf) -> Change | None:
    """What an item needs; None where nothing is due."""
    if state is None or state.fingerprint != item.fingerprint:
        return Change(item, wanted)
    if state.refused:
        return None
    due = wanted - state.done
    if due or _says_other(state, marks_of(item)):
        return Change(item, due, same_bytes=True)
    return None


def _says_other(state: State, marks: Marks) -> bool:
    return marks.words != state.words_mark or marks.table not in (None, state.table_mark)


def changes(
    items: Iterable[Item | Gap], states: Mapping[str, State], wanted: frozenset[str], marks_of: MarksOf
) -> Iterator[Change]:
    """The items that need work, in the order of the source."""
    for item in items:
        if isinstance(item, Item):
            change = change_of(item, states.get(item.key), wanted, marks_of)
            if change is not None:
                yield change


def survey(
    items: Iterable[Item | Gap], states: Mapping[str, State], wanted: frozenset[str], marks_of: MarksOf
) -> Survey:
    """Go through a whole source once and count; what is known, not listed and not below a gap is gone."""
    due = unchanged = barred = 0
    gaps: list[Gap] = []
    missing = dict.fromkeys(states)
    for item in items:
        if isinstance(item, Gap):
            gaps.append(item)
            continue
        missing.pop(item.key, None)
        state = states.get(item.key)
        if change_of(item, state, wanted, marks_of) is not None:
            due += 1
        elif state is not None and state.refused:
            barred += 1
        else:
            unchanged += 1
    hidden = tuple(gap.prefix for gap in gaps if gap.hides)
    gone = frozenset(key for key in missing if not (hidden and key.startswith(hidden)))
    return Survey(due, unchanged, barred, gone, tuple(gaps))
