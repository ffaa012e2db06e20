"""What a source of pictures is, and what it asks of a search to see how good that is.

A plug-in is a module with `open(place) -> Dataset`, where `place` is a `Place`: what stands behind its name in
`NAME:PATH#SPLIT?OPTION=VALUE`. Opening reads nothing yet, and refuses options that the plug-in does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

from picfind.settings import Settings
from picfind.types import Box, Fingerprint, Gap, Item

DATASET = "dataset"
"""The origin of `Words` that a dataset says of its pictures: an evaluation leaves these out when it matches words."""
TEXT_TO_IMAGE, IMAGE_TO_TEXT, IMAGE_TO_IMAGE = "text_to_image", "image_to_text", "image_to_image"
"""The tasks that a query can be of."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One query together with all of its right answers.

    `text` or `picture` is the query: words, or the key of an item. What is ranked for it, and `answers` name, are keys
    of items; for `image_to_text` they are ids of the `text_to_image` queries, which come before it and whose texts are
    ranked. What a text is the caption of is its only right answer, as in the papers, though others may fit as well.
    """

    id: str
    """Of this query alone within its dataset."""
    task: str
    answers: frozenset[str]
    """Some of `ignored` may be among them, so that many queries can share one set: `right` are those that count."""
    text: str | None = None
    picture: str | None = None
    ignored: frozenset[str] = frozenset()
    """Neither right nor wrong, to be taken out of the ranking before it is looked at: a picture that is itself the query,
    queries that are no part of the gallery, pictures where it is in doubt."""
    group: str = ""
    """Queries of one group are not independent of one another: the captions of one picture, the pictures of one class. A
    bootstrap draws groups, and a mean over classes is one over groups."""
    box: Box | None = None
    """What of the picture the text describes, where the dataset says it."""

    @property
    def right(self) -> frozenset[str]:
        """The answers that count; there is always one."""
        return self.answers - self.ignored


@dataclass(frozen=True, slots=True)
class Place:
    """What a person wrote behind a dataset's name, and the settings of the process."""

    path: Path
    """Absolute; nobody has looked yet whether anything is there."""
    options: Mapping[str, str] = field(default_factory=dict)
    """As given; `#SPLIT` is the option `split`."""
    settings: Settings = field(default_factory=Settings)


class Dataset(Protocol):
    """A source of pictures: a folder, a list of URLs, a published dataset."""

    @property
    def kind(self) -> str:
        """The kind of root that it makes in a gallery: `folder`, or the name of its plug-in."""
        ...

    @property
    def location(self) -> str:
        """Where the root lies now: for a folder its absolute path, escaped like a key.

        For a plug-in it is what `picfind.datasets.open_root` makes the same dataset of, as `location_of` writes it: the
        path that keys lie below (keys that are whole URLs lie below nothing), and the options behind a `?`.
        """
        ...

    @property
    def scope(self) -> str:
        """The part of the root that it lists: "" for all, `sub/` for what lies below a folder, or a single key."""
        ...

    def items(self) -> Iterator[Item | Gap]:
        """Everything in it, without reading any of it: stat only. Each key once, in a stable order.

        An item's sidecars come with it, sorted by key; their changes do not touch the item's own fingerprint.
        Raises MissingSourceError when the source itself is not there.
        """
        ...


class Reopening(Protocol):
    """A dataset may have this too: then single pictures are shown and cut without its being listed."""

    def reopen(self, key: str, fingerprint: Fingerprint) -> BinaryIO:
        """Open the picture that had this key and this fingerprint when it was listed.

        Raises OSError or PictureError where it cannot be had any more, for a network after one try.
        """
        ...


class JudgedDataset(Dataset, Protocol):
    """A dataset that knows right answers. Its gallery is all of its items."""

    @property
    def name(self) -> str:
        """What reports call it: `coco#test`."""
        ...

    def queries(self) -> Iterator[Judged]:
        """Its queries, in a stable order, as far as their pictures are there. Raises what `items` raises."""
        ...


def folds(keys: Sequence[str], size: int) -> list[frozenset[str]]:
    """Whole folds of so many keys, in their order: five of 1,000 make the "1K" protocol of Karpathy's COCO test split.

    Papers give the mean over the five; "5K" is the whole split. What is left over at the end is in no fold.
    """
    source = iter(keys)
    return [frozenset(islice(source, size)) for _ in range(len(keys) // size)]


def same_words(queries: Iterable[Judged]) -> list[Judged]:
    """The queries where every picture with the same words is right, whatever their case: products have names, and
    two photos of one product have one name. The papers on captions count the one picture alone.

    Those of `image_to_text` come last, behind all texts that may be right for them now.
    """
    found = list(queries)
    words = {query.id: " ".join(query.text.casefold().split()) for query in found if query.text is not None}
    pictures, texts = dict[str, set[str]](), dict[str, set[str]]()
    for query in found:
        if query.id in words:
            pictures.setdefault(words[query.id], set()).update(query.answers)
            texts.setdefault(words[query.id], set()).add(query.id)
    answers = {text: frozenset(keys) for text, keys in pictures.items()}

    def widened(query: Judged) -> Judged:
        if query.id in words:
            return replace(query, answers=answers[words[query.id]])
        if query.task == IMAGE_TO_TEXT:
            return replace(query, answers=frozenset().union(*(texts[words[text]] for text in query.answers)))
        return query

    return sorted(map(widened, found), key=lambda query: query.task == IMAGE_TO_TEXT)


def within(queries: Iterable[Judged], keys: Collection[str]) -> Iterator[Judged]:
    """The queries of a smaller gallery: only these keys are ranked, and only their texts.

    `keys` should be a set; those of pictures that are queries belong to it. A query without a right answer there, or
    whose picture is not there, is left out.
    """
    texts: set[str] = set()
    cut: dict[frozenset[str], frozenset[str]] = {}
    for query in queries:
        there = query.picture is None or query.picture in keys
        if query.task == IMAGE_TO_TEXT or len(query.answers) == 1:
            answers = query.answers.intersection(texts if query.task == IMAGE_TO_TEXT else keys)
        else:  # those of one class share a set, which may be as large as the dataset
            answers = cut.get(query.answers) or cut.setdefault(
                query.answers, query.answers.intersection(keys)
            )
        if there and answers - query.ignored:
            if query.task == TEXT_TO_IMAGE:
                texts.add(query.id)
            yield replace(query, answers=answers)
