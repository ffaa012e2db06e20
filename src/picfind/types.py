"""The nouns that travel between the layers: what a picture, its vector and an answer are.

This module imports nothing else of picfind, so that every layer can speak these words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]
Box: TypeAlias = tuple[float, float, float, float]
"""A piece of an upright picture: left, top, width and height as fractions of it."""
Read: TypeAlias = Callable[[str], bytes]
"""Gives the bytes of a picture by its place, as `Hit.keys` has it. May raise PicfindError and OSError."""

Fingerprint = NewType("Fingerprint", str)
"""What a source can cheaply say about an item so that a change shows: opaque, compared for equality only.

For a file it is made of its size and modification time; for a URL it would be an ETag.
"""

CAPTION, TAG, TITLE, RECOGNISED = "caption", "tag", "title", "recognised"
"""The kinds of `Words`."""
PICTURE, WORDS, PAIR = "picture", "words", "pair"
"""What the vectors of a space stand for. Pairs are pictures joined with their words, and are searched as pictures."""
TABLE, FILE_NAME, FOLDER = "table", "file name", "folder"
HINTS = frozenset({FILE_NAME, FOLDER})
"""Origins of `Words` that are treated apart: tables are given to single runs, names only hint at what is seen."""


@dataclass(frozen=True, slots=True)
class Space:
    """The space that a vector lives in: the same weights and the same preprocessing.

    `revision` is 12 hex digits of a SHA-256 over the model's files, its preprocessing and its decoding. Vectors of
    different spaces are never compared. The metric is the inner product of unit vectors.
    """

    name: str
    revision: str
    dim: int

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Words:
    """Some text that belongs to a picture, with where it came from (`origin`) and what it is (`kind`)."""

    text: str
    origin: str
    kind: str = CAPTION


@dataclass(frozen=True, slots=True)
class RecognisedLine:
    """A line of text that was read inside a picture.

    `box`: left, top, width and height of the rectangle around it, as fractions of the upright picture. `confidence`:
    from 0 to 1, the mean over its characters of how sure the reader was.
    """

    text: str
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file beside a picture that says something of it. `key` and `open` are like those of an `Item`."""

    key: str
    fingerprint: Fingerprint
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Item:
    """One named thing of a source, not yet read.

    `key` names it within its source: the POSIX path below the root, undecodable bytes percent-escaped. `open` opens
    its bytes and may raise OSError.
    """

    key: str
    fingerprint: Fingerprint
    open: Callable[[], BinaryIO]
    words: tuple[Words, ...] = ()
    """What the source itself says of the item, without anything being read for it."""
    sidecars: tuple[Sidecar, ...] = ()
    """The files beside it that may hold words, by key: their own fingerprints, so that a change of them is no change of it."""
    dated: float | None = None
    """Seconds since the epoch that the source itself knows for the item (a file's modification time)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a source that could not be listed: every key that starts with `prefix`.

    Names below a gap are left as they are: what cannot be seen is not gone.
    """

    prefix: str
    reason: str
    hides: bool = True
    """False: all was seen, and what is not there is gone. Then the gap only tells."""


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Nearest vectors: `ids` and `scores`, both (n_queries, k), best first.

    Where there are fewer than k, ids are -1 and scores -inf. Equal scores are ordered by id.
    """

    ids: Ids
    scores: Floats


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture of an answer. `score`: higher is better. Where one space was searched it is a cosine (of half-precision
    vectors: good to three digits); where rankings were fused it tells ranks alone, and `why` has the cosines.

    `content` is the SHA-256 of the picture's bytes in hex; `keys` are the places where it lies (paths or URLs);
    `why` gives the part of the score that each thing searched has; `metadata` holds the catalog's facts.
    """

    content: str
    score: float
    keys: tuple[str, ...]
    why: Mapping[str, float] = field(default_factory=dict)
    caption: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    """What each ranking gave to the score: of `pictures`, `words` and `text`. They add up to it."""
    matched: Mapping[str, str] = field(default_factory=dict)
    """The texts that matched: `words` by its vector; `text`, `recognised` and `path` by the words in it."""
    box: Box | None = None
    """Where in the picture it matched: left, top, width and height as fractions of the upright picture. None: the whole."""
    alike: int = 0
    """How many near-identical pictures further down were folded into this hit, where that was asked for."""
    relevance: float | None = None
    """From 0 to 1, comparable across queries, galleries and models: of hits with .7, some 7 in 10 are right. None where
    it was not asked for, or where there is too little to judge by."""

    @property
    def path(self) -> str:
        """The first place where the picture lies."""
        return self.keys[0]


@dataclass(frozen=True, slots=True)
class Results(Sequence[Hit]):
    """The answer to one query: its hits, best first; how many pictures were looked through; what to know about it."""

    hits: tuple[Hit, ...]
    total: int
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, at: Any) -> Any:
        return self.hits[at]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)
