"""What is asked: terms with weights, and how the answer is wanted. `picfind.search.language` reads terms from text."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from picfind import keys
from picfind.errors import UsageError
from picfind.filters import Filter
from picfind.search.crop import Crop

Token = str | Path | bytes | Image.Image


class Kind(enum.Enum):
    """What a term can be; the value is what a person calls it."""

    WORDS = "words"
    PATH = "a path"
    STDIN = "@-"
    PICTURE = "a picture"
    URL = "a URL"
    CONTENT = "a content id"
    CONCEPT = "a concept"


TERMINAL = frozenset({Kind.WORDS, Kind.PATH, Kind.STDIN, Kind.URL, Kind.CONTENT, Kind.CONCEPT})
"""What a person at a terminal may ask with."""
PYTHON = frozenset({Kind.WORDS, Kind.PATH, Kind.PICTURE, Kind.URL, Kind.CONTENT, Kind.CONCEPT})
"""What a Python program may ask with."""
HTTP = frozenset({Kind.WORDS, Kind.PICTURE, Kind.CONTENT, Kind.CONCEPT})
"""What a request may ask with: pictures as uploaded bytes. Kind.URL joins by a setting; files of the server never do."""

SHORTEST_CONTENT = 8
"""Hex digits of a content id that are needed at least."""
_CONTENT = re.compile(r"[0-9a-f]{8,64}")
_SHOWN_CONTENT = 12
"""Hex digits of a content id that a label has."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is asked for. A negative weight takes it away; `crop` is the piece of a picture that is meant.

    `value` is text for WORDS, a Path, the bytes of a file or a Pillow image for PICTURE, the address of a URL, hex digits
    of a SHA-256 for CONTENT (all 64, or a beginning of at least 8), and the name of a CONCEPT. What parsing gives has no
    STDIN and no URL any more: they have become a PICTURE of the bytes that were read.

    Raises UsageError where it makes no sense.
    """

    kind: Kind
    value: Token
    weight: float = 1.0
    crop: Crop | None = None
    phrases: tuple[str, ...] = ()
    """Of WORDS: what stood in double quotes. It is in `value` too, without the quotes."""
    name: str = ""
    """Of a PICTURE: where its bytes are from, such as a URL."""

    def __post_init__(self) -> None:
        if self.weight == 0 or not math.isfinite(self.weight):
            raise UsageError(f"The weight of a term is {self.weight:g}: it must be a number, and not 0.")
        if self.kind is Kind.CONTENT and not _CONTENT.fullmatch(str(self.value)):
            raise UsageError(
                f"{keys.shown(str(self.value))!r} is no content id: {SHORTEST_CONTENT} to 64 digits of 0-9 and a-f are wanted."
            )
        if self.kind is Kind.CONCEPT and not str(self.value).strip():
            raise UsageError("A concept has no name. Write @ and its name: @pets.")
        if self.crop is not None and self.kind in (Kind.WORDS, Kind.CONCEPT):
            raise UsageError(
                f"Only a picture has a piece such as {self.crop}; this term is {self.kind.value}."
            )

    @property
    def label(self) -> str:
        """What the term is called in an answer."""
        sign = "- " if self.weight < 0 else ""
        amount = "" if abs(self.weight) == 1 else f"{abs(self.weight):g}:"
        return f"{sign}{amount}{self._called}{self.crop or ''}"

    @property
    def _called(self) -> str:
        if self.kind in (Kind.STDIN, Kind.PICTURE):
            return keys.shown(self.name) or self.kind.value
        if self.kind is Kind.CONTENT:
            return f"sha256:{str(self.value)[:_SHOWN_CONTENT]}"
        return ("@" if self.kind is Kind.CONCEPT else "") + keys.shown(str(self.value))


EVERYTHING = ("pictures", "words", "text")
"""What a query can be matched against: the pictures themselves, and what belongs to them, by its meaning (`words`) and
by the very words that are written there (`text`)."""
SORTS = ("score", "date", "path")
"""What hits can be sorted by."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question: its terms, how many pictures are wanted, what it is matched against, and among which.

    Raises UsageError where it makes no sense.
    """

    terms: tuple[Term, ...]
    k: int = 10
    against: tuple[str, ...] = EVERYTHING
    where: Filter | None = None
    """Which pictures are looked at: the k best of those that fit are found, however few do."""
    judged: bool = False
    """Whether hits are told how relevant they are, which the first time takes a model some seconds for a gallery."""
    min_score: float | None = None
    """The least relevance of a hit, from 0 to 1. What cannot be judged stays."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How much rankings against what EVERYTHING names count where they are fused; what is not named has its usual weight."""
    sort: str = "score"
    """What the hits are sorted by: one of SORTS."""
    offset: int = 0
    """How many hits are passed over before the first that is wanted."""
    collapse: bool = False
    """Whether near-identical pictures are folded into one hit."""
    diversity: float = 0.0
    """From 0 to 1: how much unlikeness to the hits before counts against likeness to the query."""
    liked: tuple[Term, ...] = ()
    """Pictures that were said to be right: more like these."""
    disliked: tuple[Term, ...] = ()
    """Pictures that were said to be wrong: less like those."""

    def __post_init__(self) -> None:
        if not self.terms and not self.liked:
            raise UsageError("The query is empty. Ask with words or with the path of a picture.")
        if self.k < 1:
            raise UsageError(f"k is {self.k}: at least one picture must be asked for.")
        self._check_parts()
        self._check_shape()
        self._check_feedback()

    def _check_parts(self) -> None:
        if not self.against or not set(self.against) <= set(EVERYTHING):
            raise UsageError("A query is matched against `pictures`, `words`, `text`, or several of them.")
        if not set(self.weights) <= set(EVERYTHING) or not all(
            math.isfinite(weight) and weight > 0 for weight in self.weights.values()
        ):
            raise UsageError(
                "Weights are numbers above 0 for `pictures`, `words` and `text`, such as pictures=2."
            )
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise UsageError(f"The least relevance is {self.min_score:g}: it must be from 0 to 1.")

    def _check_shape(self) -> None:
        if self.sort not in SORTS:
            raise UsageError(f"Hits cannot be sorted by {self.sort!r}. They can by: {', '.join(SORTS)}.")
        if self.offset and self.sort != "score" and self.min_score is None:
            raise UsageError(
                f"Hits sorted by {self.sort} have no further page unless a least relevance says how many there are: "
                "give a min_score as well."
            )
        if self.offset < 0:
            raise UsageError(f"The offset is {self.offset}: it cannot be below 0.")
        if not 0 <= self.diversity <= 1:
            raise UsageError(f"The diversity is {self.diversity:g}: it must be from 0 to 1.")

    def _check_feedback(self) -> None:
        if any(term.kind in (Kind.WORDS, Kind.CONCEPT) for term in (*self.liked, *self.disliked)):
            raise UsageError(
                "Only pictures can be liked and disliked. Words, and words taken away, are terms of the query."
            )
        known = {term.value for term in self.liked if term.kind is Kind.CONTENT}
        both = [term for term in self.disliked if term.kind is Kind.CONTENT and term.value in known]
        if both:
            raise UsageError(f"{both[0].label} is both liked and disliked. Leave it out of one of the two.")

    @property
    def wants_relevance(self) -> bool:
        """Whether hits are told how relevant they are."""
        return self.judged or self.min_score is not None
