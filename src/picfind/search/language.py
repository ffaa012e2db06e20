r"""The query language: what a person writes, on a command line, in Python or in a request, to terms.

    a dog on a beach              words that follow each other are one term
    "black cat" on a sofa         double quotes keep words together: a phrase, in which no sign means anything
    a street + ./dusk.jpg         + begins the next term
    a street - people             - takes the next term away, and so does `not`
    2:a street + ./dusk.jpg       a number before a colon is a weight, of the term that begins there
    ./dusk.jpg  dusk.jpg          a picture by its path: it begins with ./ ../ / or ~/, or ends like a picture's name
    ./dusk.jpg@120,80,400,300     a piece of a picture: left, top, width and height, in pixels or as fractions
    https://example.org/dusk.jpg  a picture by its address
    sha256:596aa1e7               a picture of the gallery by its content id, or a beginning of it
    @-                            a picture from standard input
    @pets  @"my pets"             a concept that was saved under this name

Tokens of a command line, a list in Python and one string read alike: `a street - people` as five arguments is the same
as one argument with blanks. A shell takes quotes away, so phrases need two kinds there: '"black cat" on a sofa'. What
stands apart, with blanks around it, is a sign; what is part of a word belongs to the word:

- `black-and-white`, `C++`, `1990-1999`, `10:30` and `16:9` are words. So is a dash between two numbers, `1990 - 1999`.
- `"not"` and `"-"` in quotes are words, and so is a path or an address in quotes.
- `-people` is an error that asks whether the minus or the word was meant.
- A weight takes a colon that neither a blank nor a digit follows. It begins a new term: `a dog 2:a cat` has two.
- One argument with blanks that is the path of a file is that file, `./my dog.jpg`.
- The signs that phones and other keyboards put in their place are known: “ ” „ for quotes, and an en dash, a true minus or a
  full-width one for the minus.
- In quotes, \" is a quotation mark and \\ is a backslash.

Every mistake is a QueryError, which shows the query with a mark under the spot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from PIL import Image

from picfind import keys
from picfind.errors import QueryError
from picfind.search.crop import Crop, split
from picfind.search.filter_scanner import pointed
from picfind.search.query import SHORTEST_CONTENT, Kind, Term, Token
from picfind.search.signs import (
    ATTACHED,
    COMMA_WEIGHT,
    CONCEPT,
    CONCEPT_BEGINS,
    CONTENT,
    CONTENT_MARK,
    LONGEST,
    QUOTES,
    RANGE,
    SIGNS,
    URL,
    WEIGHT,
    at_home,
    ends_like_a_picture,
    is_explicit,
    is_file,
)
from picfind.search.stretches import Stretch, laid_out

_MOST_TERMS = 1_000
_SHOWN = 200
"""Characters of a word that a message has, at most."""

_AROUND_DASH = re.compile(r"\s+")
_BLANKS, _WORD = re.compile(r"\s*"), re.compile(r"\S+")

Fetch = Callable[[str], bytes]
"""Gives the bytes at a URL, and raises PicfindError where it cannot."""


def parse(
    query: Token | Term | Sequence[Token | Term],
    *,
    allow: frozenset[Kind],
    stdin: Callable[[], bytes] | None = None,
    fetch: Fetch | None = None,
) -> tuple[Term, ...]:
    """Read the terms of a query: one text or picture, or a list of them; one that is a Term stays as it is.

    `allow` says which kinds it may have. `stdin` reads the picture of `@-`, and `fetch` those of URLs, each once and only
    when all else could be read; they become terms of Kind.PICTURE that keep the name. No file is looked for where
    paths are not allowed. Raises QueryError, and what `stdin` and `fetch` raise.
    """
    several = isinstance(query, Sequence) and not isinstance(query, str | bytes)
    tokens: Sequence[Token | Term] = query if several else [query]  # type: ignore[list-item, assignment]
    stretches = list(laid_out(tokens, Kind.PATH in allow))
    text = " ".join(stretch.text for stretch in stretches)
    readers: dict[Kind, Fetch] = {}
    if stdin is not None:
        readers[Kind.STDIN] = lambda _: stdin()
    if fetch is not None:
        readers[Kind.URL] = fetch
    terms = _Reading(text, allow, readers).terms(stretches)
    return tuple(_loaded(terms, readers))


def _loaded(terms: Sequence[Term], readers: Mapping[Kind, Fetch]) -> Iterator[Term]:
    """The terms, with pictures in the place of what has to be read; each thing is read once."""
    known: dict[str, bytes] = {}
    for term in terms:
        if term.kind not in (Kind.STDIN, Kind.URL):
            yield term
            continue
        name = str(term.value)
        if name not in known:
            known[name] = readers[term.kind](name)
        yield replace(term, kind=Kind.PICTURE, value=known[name], name=name)


def _brief(text: str) -> str:
    return keys.shown(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


class _Reading:
    """A query being read from left to right: the terms so far, and the words of the one that may still grow."""

    def __init__(self, text: str, allow: frozenset[Kind], readable: Container[Kind]) -> None:
        self._text = text
        self._allow = allow
        self._missing = {kind for kind in (Kind.STDIN, Kind.URL) if kind not in readable}
        self._terms: list[Term] = []
        self._words: list[str] = []
        self._phrases: list[str] = []
        self._weight = 1.0
        self._sign: tuple[str, int] | None = None
        """A sign that no term has followed yet, and where it stands."""

    def terms(self, stretches: Sequence[Stretch]) -> list[Term]:
        """All terms. Raises QueryError."""
        if len(self._text) > LONGEST:
            self._fail(f"it has {len(self._text):,} characters, and at most {LONGEST:,} can be read", LONGEST)
        at = 0
        for stretch in stretches:
            self._stretch(stretch, at, at + len(stretch.text))
            at += len(stretch.text) + 1
        self._finish_words()
        if self._sign is not None:
            self._fail(f"it ends with {self._sign[0]}; write a term after it", self._sign[1])
        return self._terms

    def _stretch(self, stretch: Stretch, at: int, end: int) -> None:
        if stretch.thing is not None:
            self._thing(stretch.thing, at)
            return
        at = self._past_blanks(at)
        while at < end:
            at = self._past_blanks(self._piece(at, end, stretch.whole))

    def _past_blanks(self, at: int) -> int:
        blanks = _BLANKS.match(self._text, at)
        return blanks.end() if blanks else at

    def _thing(self, thing: Path | bytes | Image.Image | Term, at: int) -> None:
        if isinstance(thing, Term):
            self._add(thing, at)
        else:
            self._add(Term(Kind.PATH if isinstance(thing, Path) else Kind.PICTURE, thing), at)

    def _piece(self, at: int, end: int, whole: bool) -> int:
        """Read one word, phrase, range or picture; gives where it ends."""
        weight, start = self._weight_at(at, end)
        named = self._text[start] == "@"
        if not whole and (opening := start + named) < end and self._text[opening] in QUOTES:
            phrase, end = self._phrase(opening, end)
            self._concept(phrase, weight, at) if named else self._say(phrase, weight, at, quoted=True)
            return end
        if found := RANGE.match(self._text, start, end):
            self._say(_AROUND_DASH.sub("", found[0]), weight, at)
            return found.end()
        word = self._text[start:end].rstrip() if whole else _WORD.match(self._text, start, end)[0]  # type: ignore[index]
        self._word(word, weight, at, start)
        return start + len(word)

    def _weight_at(self, at: int, end: int) -> tuple[float | None, int]:
        """The weight that stands here, if one does, and where what it weighs begins."""
        if comma := COMMA_WEIGHT.match(self._text, at, end):
            wanted = comma[0].replace(",", ".")
            self._fail(f"a weight is written with a point: write {wanted} and the term", at)
        found = WEIGHT.match(self._text, at, end)
        if found is None:
            return None, at
        weight = float(found[1])
        if weight == 0:
            self._fail("a weight must be above 0; to take a term away, write - before it", at)
        return weight, found.end()

    def _phrase(self, at: int, end: int) -> tuple[str, int]:
        """What stands in quotes, and where it ends."""
        closing = QUOTES[self._text[at]]
        letters: list[str] = []
        here = at + 1
        while here < end and (sign := self._text[here]) not in closing:
            if sign == "\\" and self._text[here + 1 : here + 2] in ('"', "\\"):
                here += 1
                sign = self._text[here]
            letters.append(sign)
            here += 1
        if here >= end:
            self._fail(r'this quote is never closed; close it, or write "\"" to mean the sign itself', at)
        return " ".join("".join(letters).split()), here + 1

    def _word(self, word: str, weight: float | None, at: int, start: int) -> None:
        if word in SIGNS:
            if weight is not None:
                self._fail(f"a weight stands before a term: write {word} first, then 2:term", at)
            self._operate(word, at)
            return
        if attached := ATTACHED.match(word):
            rest = _brief(word[1:])
            self._fail(
                f'write "{attached[1]} {rest}" with a blank to mean the sign, or put "{attached[1]}{rest}" in double quotes '
                "to mean the word",
                at,
            )
        term = self._picture(word, start)
        if term is None:
            self._say(word, weight, at)
        else:
            self._add(replace(term, weight=weight or 1.0), at)

    def _picture(self, word: str, at: int) -> Term | None:
        """The picture or concept that a word stands for; None for plain words."""
        before, crop = split(word)
        if crop is not None and Kind.PATH in self._allow and is_file(word):
            before, crop = word, None
        if before == "@-":
            return Term(Kind.STDIN, before, crop=crop)
        if URL.match(before):
            return Term(Kind.URL, before, crop=crop)
        if before.lower().startswith(CONTENT_MARK):
            return Term(Kind.CONTENT, self._content(before, at), crop=crop)
        if CONCEPT_BEGINS.match(before):
            return self._named(before, crop, at)
        path = self._path(before, at)
        return None if path is None else Term(Kind.PATH, path, crop=crop)

    def _content(self, text: str, at: int) -> str:
        digits = text[len(CONTENT_MARK) :].lower()
        if not CONTENT.fullmatch(digits):
            self._fail(
                f"a content id is sha256: and {SHORTEST_CONTENT} to 64 digits of 0-9 and a-f, as --json shows it",
                at,
            )
        return digits

    def _named(self, text: str, crop: Crop | None, at: int) -> Term:
        found = CONCEPT.fullmatch(text)
        if found is None:
            self._fail('a name after @ that has other signs than . - _ needs quotes: @"my pets"', at)
        if crop is not None:
            self._fail("a concept is no picture and has no piece", at + len(text))
        return Term(Kind.CONCEPT, found[1])

    def _path(self, text: str, at: int) -> Path | None:
        """The path that a word means, or None for words. The disk is looked at only where paths are allowed."""
        explicit, named = is_explicit(text), ends_like_a_picture(text)
        if not (explicit or named):
            return None
        if Kind.PATH not in self._allow:
            return Path(text) if explicit and named else None
        if not is_file(text):
            self._no_file(text, at)
        return Path(at_home(text))

    def _no_file(self, text: str, at: int) -> NoReturn:
        words = "or put the words in double quotes to search for them"
        if os.path.isdir(at_home(text)):  # it never raises, unlike Path's own
            self._stop(f"{_brief(text)} is a folder. Give a picture in it, {words}.", at)
        self._stop(f"There is no picture {_brief(text)}. Check the path, {words}.", at)

    def _concept(self, name: str, weight: float | None, at: int) -> None:
        if not name:
            self._fail("a concept needs a name: @pets", at)
        self._add(Term(Kind.CONCEPT, name, weight or 1.0), at)

    def _operate(self, sign: str, at: int) -> None:
        self._finish_words()
        if self._sign is not None:
            self._fail(f"{sign} follows {self._sign[0]} at once; write a term between them", at)
        self._sign = (sign, at)

    def _say(self, words: str, weight: float | None, at: int, *, quoted: bool = False) -> None:
        """Words go on a term of words, unless a weight begins a new one."""
        if not words:
            return
        self._check(Kind.WORDS, at)
        if weight is not None or self._sign is not None:
            self._finish_words()
        if not self._words:
            self._weight = (weight or 1.0) * self._taken()
        self._words.append(words)
        if quoted:
            self._phrases.append(words)

    def _finish_words(self) -> None:
        if self._words:
            value = " ".join(self._words)
            self._terms.append(Term(Kind.WORDS, value, self._weight, phrases=tuple(self._phrases)))
            self._words, self._phrases = [], []

    def _add(self, term: Term, at: int) -> None:
        self._check(term.kind, at)
        self._finish_words()
        self._terms.append(replace(term, weight=term.weight * self._taken()))

    def _taken(self) -> float:
        """What the sign before a term makes of its weight; the sign is used up."""
        sign, self._sign = self._sign, None
        return SIGNS[sign[0]] if sign else 1.0

    def _check(self, kind: Kind, at: int) -> None:
        if kind not in self._allow:
            self._fail(f"a query may not have {kind.value} here", at)
        if kind in self._missing:
            self._fail(f"{kind.value} cannot be read here; give the picture itself", at)
        if len(self._terms) >= _MOST_TERMS:
            self._fail(f"it has more than {_MOST_TERMS:,} terms", at)

    def _fail(self, what: str, at: int) -> NoReturn:
        self._stop(f"The query cannot be read: {what}.", at)

    def _stop(self, message: str, at: int) -> NoReturn:
        raise QueryError(f"{message}\n{pointed(self._text, at)}", query=self._text, position=at)
