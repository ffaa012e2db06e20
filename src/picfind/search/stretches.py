"""The parts of a query before its signs are read: texts, and things that are no text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from picfind.errors import UsageError
from picfind.search.crop import split
from picfind.search.query import Term, Token
from picfind.search.signs import (
    LONGEST,
    QUOTES,
    SIGNS,
    ends_like_a_picture,
    is_explicit,
    is_file,
    weight_ends,
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a query: text that is read word by word, the text of one path (`whole`), or a thing that is no text."""

    text: str
    whole: bool = False
    thing: Path | bytes | Image.Image | Term | None = None


def laid_out(tokens: Sequence[Token | Term], paths: bool) -> Iterator[Stretch]:
    """The parts of a query; texts that follow each other are one, so that a phrase may go over several."""
    texts: list[str] = []
    for token in tokens:
        if isinstance(token, str) and not (paths and _is_one_path(token)):
            texts.append(token)
            continue
        if texts:
            yield Stretch(" ".join(texts))
            texts = []
        yield Stretch(token, whole=True) if isinstance(token, str) else Stretch(_shown(token), thing=token)
    if texts:
        yield Stretch(" ".join(texts))


def _shown(thing: object) -> str:
    if isinstance(thing, Term):
        return thing.label
    if isinstance(thing, Path):
        return str(thing)
    if isinstance(thing, bytes | Image.Image):
        return "(a picture)"
    raise UsageError(
        f"A query is made of text, paths, bytes of pictures, Pillow images and terms, not of {type(thing).__name__}."
    )


def _is_one_path(token: str) -> bool:
    """Whether a text with blanks is one path: of a file that is there, or as far as one can tell of one that is not."""
    text = token.strip()
    if len(text) > LONGEST or len(words := text.split()) < 2:
        return False
    text = text[weight_ends(text) :]
    before, _ = split(text)
    if not (is_explicit(before) or ends_like_a_picture(before)):
        return False
    if is_file(text) or is_file(before):
        return True
    first = split(words[0][weight_ends(words[0]) :])[0]
    plain = not any(word in SIGNS or word[0] in QUOTES for word in words)
    return plain and is_explicit(before) and ends_like_a_picture(before) and not is_file(first)
