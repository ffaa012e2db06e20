"""Captions and labels to judged queries, in the protocols of the papers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from picfind.datasets.base import IMAGE_TO_IMAGE, IMAGE_TO_TEXT, TEXT_TO_IMAGE, Judged
from picfind.types import Box

FIVE = 5
"""Captions of a picture that become queries: a few pictures of COCO have six or seven, and papers take the first five."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the files of a dataset say of one picture."""

    places: tuple[str, ...]
    """Where it may lie below the root, as paths with `/`: the first that is there counts."""
    captions: tuple[str, ...] = ()
    regions: tuple[tuple[str, Box], ...] = ()
    """Descriptions of parts of it."""
    labels: tuple[str, ...] = ()
    """The classes that it belongs to."""
    doubtful: tuple[str, ...] = ()
    """Classes that it can hardly be seen to belong to: neither right nor wrong."""
    titles: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Other words, as titles are: no queries are made of them."""
    is_query: bool = False
    """Where some are, pictures are compared from these to all others, and these are no part of the gallery."""


def judged(pictures: Iterable[tuple[str, Told]]) -> Iterator[Judged]:
    """The queries of pictures with these keys.

    Captions as they come: nothing is held. Of labelled pictures the keys and labels are held until the end.
    """
    labelled: list[tuple[str, Told]] = []
    for key, told in pictures:
        yield from _of_texts(key, told)
        if told.labels or told.doubtful:
            labelled.append((key, told))
    if labelled:
        yield from _Classes(labelled).queries()


def _of_texts(key: str, told: Told) -> Iterator[Judged]:
    texts = [*((text, None) for text in told.captions[:FIVE]), *told.regions]
    ids = [f"{key}#{number}" for number in range(len(texts))]
    right = frozenset({key})
    for name, (text, box) in zip(ids, texts, strict=True):
        yield Judged(name, TEXT_TO_IMAGE, right, text=text, group=key, box=box)
    if ids:
        yield Judged(f"{key}#texts", IMAGE_TO_TEXT, frozenset(ids), picture=key, group=key)


class _Classes:
    """Pictures with labels: names of classes as words for pictures, pictures for others of their class, and for names."""

    def __init__(self, pictures: Sequence[tuple[str, Told]]) -> None:
        self._pictures = pictures
        self._members = _by_class((key, told.labels) for key, told in pictures)
        self._doubts = _by_class((key, told.doubtful) for key, told in pictures)
        self._apart = frozenset(key for key, told in pictures if told.is_query)
        self._alike: dict[tuple[str, ...], frozenset[str]] = {}
        """Those that share one of some labels: one set for all pictures with these."""

    def queries(self) -> Iterator[Judged]:
        for label, members in self._members.items():
            if not _is_named(label):
                continue
            unsure = self._doubts.get(label, frozenset()) - members
            yield Judged(_id(label), TEXT_TO_IMAGE, members, text=label, ignored=unsure, group=label)
        for key, told in self._pictures:
            if told.labels:
                yield from self._of_picture(key, told)

    def _of_picture(self, key: str, told: Told) -> Iterator[Judged]:
        group = "+".join(told.labels)
        unsure = frozenset().union(*(self._doubts.get(label, ()) for label in told.labels))
        alike = self._sharing(told.labels)
        besides = {key} | (unsure - alike)
        ignored = self._apart if besides <= self._apart else self._apart | besides  # one set for all, mostly
        if (told.is_query or not self._apart) and alike - ignored:
            yield Judged(f"{key}#alike", IMAGE_TO_IMAGE, alike, picture=key, ignored=ignored, group=group)
        names = frozenset(map(_id, filter(_is_named, told.labels)))
        if names and not told.captions:
            hardly = frozenset(_id(label) for label in told.doubtful if label in self._members) - names
            yield Judged(f"{key}#texts", IMAGE_TO_TEXT, names, picture=key, ignored=hardly, group=group)

    def _sharing(self, labels: tuple[str, ...]) -> frozenset[str]:
        if labels not in self._alike:
            self._alike[labels] = frozenset().union(*(self._members[label] for label in labels))
        return self._alike[labels]


def _is_named(label: str) -> bool:
    """Whether it is a name; some datasets have numbers for their classes."""
    return any(map(str.isalpha, label))


def _id(label: str) -> str:
    return f"{label}#class"


def _by_class(pictures: Iterable[tuple[str, Sequence[str]]]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for key, labels in pictures:
        for label in labels:
            found.setdefault(label, set()).add(key)
    return {label: frozenset(found[label]) for label in sorted(found)}
