"""From pairs to groups, without chains.

Pictures that are connected by matches are no group yet: a may be like b and b like c, while a and c are nothing alike.
A group is a star: one picture in the middle, which is the one to keep, and those that were compared with that very one
and match it. What is left makes stars of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Star(Generic[T]):
    """A picture, and the others that match it, with how each of them does."""

    middle: int
    around: Mapping[int, T]


def stars(
    pairs: Mapping[tuple[int, int], T], rank: Callable[[int], Any], check: Callable[[int, int], T | None]
) -> Iterator[Star[T]]:
    """The groups of pictures that are given as pairs of numbers, the smaller first.

    The middle of a group is the picture that has the smallest `rank` of those that are left and connected. `check`
    compares two pictures (the smaller number first) that share a match but were no pair so far; None: not alike.
    """
    beside = _beside(pairs)
    for component in components(pairs):
        left = set(component)
        while len(left) > 1:
            middle = min((one for one in left if beside[one] & left), key=rank, default=None)
            if middle is None:
                break
            around = dict(_around(middle, left, beside, pairs, check))
            yield Star(middle, around)
            left -= {middle, *around}


def components(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The sets of numbers that are connected by pairs, each sorted, ordered by their smallest."""
    parent: dict[int, int] = {}

    def root(one: int) -> int:
        while parent.setdefault(one, one) != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    found: dict[int, list[int]] = {}
    for one in sorted(parent):
        found.setdefault(root(one), []).append(one)
    return list(found.values())


def _beside(pairs: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    beside: dict[int, set[int]] = {}
    for first, second in pairs:
        beside.setdefault(first, set()).add(second)
        beside.setdefault(second, set()).add(first)
    return beside


def _around(
    middle: int,
    left: set[int],
    beside: Mapping[int, set[int]],
    pairs: Mapping[tuple[int, int], T],
    check: Callable[[int, int], T | None],
) -> Iterator[tuple[int, T]]:
    """What matches the middle: its pairs, and of the pairs of these what matches it when it is compared now."""
    near = beside[middle] & left
    further = set().union(*(beside[one] for one in near)) & left - near - {middle}
    for other in sorted(near | further):
        pair = (min(middle, other), max(middle, other))
        match = pairs.get(pair) if other in near else check(*pair)
        if match is not None:
            yield other, match
