"""What is asked: terms with weights, read from the tokens of a command line or of a Python call.

a dog on a beach            words that follow each other are one term
2:a dog + ./beach.jpg       a number before a colon is a weight; + begins the next term
a street - people           a minus of its own, or `not`, takes the next term away
./photo.jpg  @-             a picture by its path; a picture from standard input
./photo.jpg@120,80,400,300  a piece of it: left, top, width and height, in pixels or as fractions
"""

from __future__ import annotations

import enum
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from picfind import keys
from picfind.errors import UsageError
from picfind.filters import Filter
from picfind.images import SUFFIXES
from picfind.search.crop import Crop, split

Token = str | Path | bytes | Image.Image


class Kind(enum.Enum):
    """What a term can be."""

    WORDS = "words"
    PATH = "a path"
    STDIN = "@-"
    PICTURE = "a picture"


TERMINAL = frozenset({Kind.WORDS, Kind.PATH, Kind.STDIN})
"""What a person at a terminal may ask with."""
PYTHON = frozenset({Kind.WORDS, Kind.PATH, Kind.PICTURE})
"""What a Python program may ask with."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is asked for. `value` is text for words, a Path, the bytes of a file, or a Pillow image.

    A negative weight takes it away; `crop` is the piece of a picture that is meant.
    """

    kind: Kind
    value: Token
    weight: float = 1.0
    crop: Crop | None = None

    @property
    def label(self) -> str:
        """What the term is called in an answer."""
        name = keys.shown(str(self.value)) if self.kind in (Kind.WORDS, Kind.PATH) else self.kind.value
        name += str(self.crop) if self.crop else ""
        sign = "- " if self.weight < 0 else ""
        amount = "" if abs(self.weight) == 1 else f"{abs(self.weight):g}:"
        return f"{sign}{amount}{name}"


EVERYTHING = ("pictures", "words")
"""What a query can be matched against: the pictures themselves, and the words that belong to them."""


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
    """How much rankings against `pictures` and `words` count where both are fused; what is not named has its usual weight."""

    def __post_init__(self) -> None:
        if not self.terms:
            raise UsageError("The query is empty. Ask with words or with the path of a picture.")
        if self.k < 1:
            raise UsageError(f"k is {self.k}: at least one picture must be asked for.")
        if not self.against or not set(self.against) <= set(EVERYTHING):
            raise UsageError("A query is matched against `pictures`, against `words`, or against both.")
        if not set(self.weights) <= set(EVERYTHING) or not all(
            math.isfinite(weight) and weight > 0 for weight in self.weights.values()
        ):
            raise UsageError("Weights are numbers above 0 for `pictures` and `words`, such as pictures=2.")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise UsageError(f"The least relevance is {self.min_score:g}: it must be from 0 to 1.")

    @property
    def wants_relevance(self) -> bool:
        """Whether hits are told how relevant they are."""
        return self.judged or self.min_score is not None


_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
_URL = re.compile(r"https?://", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_OPERATORS = {"+": 1.0, "-": -1.0, "not": -1.0}


def parse(
    tokens: Sequence[Token | Term], *, allow: frozenset[Kind], stdin: Callable[[], bytes] | None = None
) -> tuple[Term, ...]:
    """Read the terms of a query; one that is a Term already stays as it is. `allow` says which kinds it may have, `stdin` reads the picture of `@-`.

    Raises UsageError for a dangling operator, a weight that is no positive number, a kind that is not allowed, and a
    path at which there is no file.
    """
    terms: list[Term] = []
    for sign, group in _groups(tokens):
        terms.extend(_terms(group, sign, allow))
    return tuple(_read_stdin(term, stdin) if term.kind is Kind.STDIN else term for term in terms)


def _groups(tokens: Sequence[Token | Term]) -> Iterator[tuple[float, list[Token | Term]]]:
    """The tokens between operators, each group with the sign of its first term."""
    sign, group, operator = 1.0, list[Token | Term](), ""
    for token in tokens:
        if not (isinstance(token, str) and token in _OPERATORS):
            group.append(token)
            continue
        if operator and not group:
            raise UsageError(f"{token!r} follows {operator!r} at once. Write a term between them.")
        yield sign, group
        sign, group, operator = _OPERATORS[token], [], token
    if operator and not group:
        raise UsageError(f"The query ends with {operator!r}. Write a term after it.")
    yield sign, group


def _terms(group: Sequence[Token | Term], sign: float, allow: frozenset[Kind]) -> list[Term]:
    terms: list[Term] = []
    for token in group:
        if isinstance(token, Term):
            terms.append(replace(token, weight=token.weight * (1.0 if terms else sign)))
            continue
        weight, value = _weighted(token)
        term = _term(value, (weight or 1.0) * (1.0 if terms else sign))
        if term.value == "":
            continue
        if term.kind not in allow:
            raise UsageError(f"A query may not have {term.kind.value} here: {keys.shown(str(value))}.")
        if weight is None and term.kind is Kind.WORDS and terms and terms[-1].kind is Kind.WORDS:
            terms[-1] = replace(terms[-1], value=f"{terms[-1].value!s} {term.value!s}")
        else:
            terms.append(term)
    return terms


def _weighted(token: Token) -> tuple[float | None, Token]:
    found = _WEIGHT.fullmatch(token) if isinstance(token, str) else None
    if found is None:
        return None, token
    weight = float(found[1])
    if not (weight > 0 and math.isfinite(weight)):
        raise UsageError(
            f"The weight in {token!r} must be above 0. To take a term away write `- {found[2]}`."
        )
    return weight, found[2]


def _term(value: Token, weight: float) -> Term:
    if isinstance(value, Path):
        return Term(Kind.PATH, value, weight)
    if not isinstance(value, str):
        return Term(Kind.PICTURE, value, weight)
    text = value.strip()
    if text == "@-":
        return Term(Kind.STDIN, text, weight)
    before, crop = split(text)
    if crop is not None and not os.path.exists(text):
        whole = _term(before, weight)
        if whole.kind is not Kind.WORDS:
            return replace(whole, crop=crop)
    if _URL.match(text):
        raise UsageError(
            f"{text} is a URL, which cannot be searched with yet. Download it and give its path."
        )
    path = _as_path(value)
    return Term(Kind.WORDS, text, weight) if path is None else Term(Kind.PATH, path, weight)


def _as_path(text: str) -> Path | None:
    """The path that a token means, or None for words: it begins like a path, or it ends like a picture's name."""
    explicit = text.startswith(("./", "../", "/", "~/", ".\\", "..\\", "~\\")) or bool(_DRIVE.match(text))
    if not explicit and not (text.lower().endswith(SUFFIXES) and " " not in text.strip()):
        return Path(text) if text.lower().endswith(SUFFIXES) and os.path.isfile(text) else None
    path = Path(text).expanduser()
    if not os.path.isfile(path):
        raise UsageError(
            f"There is no picture {keys.shown(text)}. To search for these words, leave off what makes "
            "them look like a path."
        )
    return path


def _read_stdin(term: Term, stdin: Callable[[], bytes] | None) -> Term:
    if stdin is None:
        raise UsageError("@- stands for a picture on standard input, which cannot be read here.")
    return replace(term, kind=Kind.PICTURE, value=stdin())
