"""A question as one unit vector of a space: words and pictures encoded, stored vectors looked up, concepts, examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picfind import keys
from picfind.encoders.base import Encoder
from picfind.errors import PicfindError, PictureError, UsageError
from picfind.images import Limits, open_picture, read_limited
from picfind.search import feedback
from picfind.search.concepts import Meaning, meaning
from picfind.search.query import Kind, Term
from picfind.search.snapshot import Snapshot
from picfind.storage import concepts, contents
from picfind.storage.roots import is_address
from picfind.storage.store import Store
from picfind.types import WORDS, Floats, Read

Form = tuple[tuple[bool, float], ...]
"""What a query is made of, for judging: for each part whether it is words (else pictures), and its weight."""
Example = tuple[Term, Floats]

_NOTHING_LEFT = 1e-4
"""Norm below which terms have cancelled out: what is left is rounding."""
_SAME = 0.9999
"""Cosine from which two examples are one picture to a model. What half precision changes is smaller."""


def read_file(place: str) -> bytes:
    """The bytes of a file by its place. Raises OSError, and for a place on the network too; PictureTooLargeError."""
    file = Path(keys.unescape(place))
    if is_address(place) or not file.is_file():
        raise FileNotFoundError(place)
    with file.open("rb") as opened:
        return read_limited(opened)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as vectors: each term's weighted row (n_terms, dim), and their unit sum (dim,).

    Examples add one more row, the last; `learned` says whether there are any, be it inside a concept. `warnings` say what
    was passed over.
    """

    terms: Floats
    norm: float
    vector: Floats
    form: Form = ()
    learned: bool = False
    warnings: tuple[str, ...] = ()


class Asker:
    """Turns terms and examples into vectors of one space, as it is in one snapshot. Safe from several threads."""

    def __init__(
        self, store: Store, encoder: Encoder, snapshot: Snapshot, *, limits: Limits, read: Read = read_file
    ) -> None:
        """`read` gives the bytes of a picture by its place."""
        self._store = store
        self._read = read
        self._encoder = encoder
        self._snapshot = snapshot
        self._limits = limits

    def takes(self, meant: Meaning) -> bool:
        """Whether the model has a tower for each term, or the gallery its vector. Raises UsageError: no such concept."""
        examples = (*meant.liked, *meant.disliked)
        if examples and self._snapshot.kind == WORDS:
            return False
        return all(map(self._takes, (*meant.terms, *examples)))

    def ask(self, meant: Meaning, *, saved: bool = False) -> Asked:
        """The vectors of a question; `saved`: of a concept, whose pictures may have left the gallery since.

        Raises UsageError, PictureError.
        """
        rows, form, warnings = list[Floats](), list[tuple[bool, float]](), list[str]()
        learned = False
        for term in meant.terms:
            if saved and term.kind is Kind.CONTENT and not self._is_held(term, warnings):
                continue
            part = self._part(term)
            rows.append(np.float32(term.weight) * part.vector)
            form += [(words, term.weight * weight) for words, weight in part.form]
            learned = learned or part.learned
            warnings += part.warnings
        table = np.array(rows, np.float32).reshape(len(rows), self._encoder.card.dim)
        if meant.liked or meant.disliked:
            return self._turned(table, tuple(form), meant, warnings)
        if not rows:
            raise UsageError(
                " ".join(("None of the pictures that are asked for is in the gallery.", *warnings))
            )
        return _combined(table, tuple(form), warnings, learned=learned)

    def _turned(self, rows: Floats, form: Form, meant: Meaning, warnings: list[str]) -> Asked:
        """A query, which may have no terms, turned by its examples."""
        liked, disliked = self._examples(meant.liked, warnings), self._examples(meant.disliked, warnings)
        _refuse_contradiction(liked, disliked)
        query = _combined(rows, form, warnings, learned=False) if len(rows) else None
        if query is None and not liked:
            told = "Nothing says what to look for: none of the liked pictures is in the gallery."
            raise UsageError(" ".join((told, *warnings)))
        if query is not None and not (liked or disliked):
            return query
        learned = feedback.learn(
            None if query is None else query.vector,
            self._table(liked),
            self._table(disliked),
            self._snapshot.sample(),
        )
        pull = learned.pull / query.norm if query else 0.0
        turned = np.concatenate([np.float32(pull) * rows, learned.change[None]])
        added = (False, float(np.linalg.norm(learned.change)))
        form = (*((words, pull * weight) for words, weight in form), added)
        return _combined(turned, form, warnings, learned=True)

    def _takes(self, term: Term) -> bool:
        if term.kind is Kind.CONCEPT:
            return self.takes(self._meaning(term))
        if term.kind is Kind.CONTENT and term.crop is None:
            return self._snapshot.kind != WORDS
        return self._tower(term) is not None

    def _part(self, term: Term) -> Asked:
        """One term as a question of its own, without its weight."""
        if term.kind is Kind.CONCEPT:
            return self.ask(self._meaning(term), saved=True)
        row = self._row(term)
        return Asked(row[None], 1.0, row, ((term.kind is Kind.WORDS, 1.0),))

    def _row(self, term: Term) -> Floats:
        """The unit vector (dim,) of words or of a picture."""
        if term.kind is Kind.CONTENT and term.crop is None:
            return self._held(term)
        tower = self._tower(term)
        row: Floats = tower.encode([tower.prepare(self._value(term))])[0]
        return row

    def _examples(self, terms: Sequence[Term], warnings: list[str]) -> list[Example]:
        """Those examples that the gallery still has, with their vectors."""
        return [
            (term, self._row(term))
            for term in terms
            if term.kind is not Kind.CONTENT or self._is_held(term, warnings)
        ]

    def _is_held(self, term: Term, warnings: list[str]) -> bool:
        found = contents.find_content(self._store.catalog, str(term.value))
        if found is not None and (term.crop is not None or self._vector(found[0]) is not None):
            return True
        warnings.append(
            f"{term.label} is not in the gallery with a vector of {self._encoder.card.name}: passed over."
        )
        return False

    def _held(self, term: Term) -> Floats:
        """The vector that the gallery has of a content. Raises UsageError."""
        row = self._vector(self._content(term))
        if row is None:
            raise UsageError(
                f"The gallery has no vector of {self._encoder.card.name} for {term.label}: it was forgotten, or not yet "
                "encoded. Run `picfind index` on its folder."
            )
        return row

    def _vector(self, content: int) -> Floats | None:
        row = self._snapshot.of_contents(np.array([content], np.int64))[0]
        norm = float(np.linalg.norm(row))
        # that of a picture joined with words which it does not have is shorter than 1
        return row / np.float32(norm) if norm > _NOTHING_LEFT else None

    def _content(self, term: Term) -> int:
        found = contents.find_content(self._store.catalog, str(term.value))
        if found is None:
            raise UsageError(
                f"The gallery has no picture {term.label}. `picfind search --json` prints content ids."
            )
        return found[0]

    def _meaning(self, term: Term) -> Meaning:
        return meaning(concepts.get(self._store.catalog, str(term.value)))

    def _tower(self, term: Term) -> Any:
        return self._encoder.text if term.kind is Kind.WORDS else self._encoder.image

    def _value(self, term: Term) -> str | Image.Image:
        if term.kind is Kind.CONTENT:
            term = replace(term, kind=Kind.PICTURE, value=self._bytes(term))
        if isinstance(term.value, str):
            return term.value
        source: Path | bytes | Image.Image = term.value
        size = self._encoder.decode_size if term.crop is None else None
        try:
            image = open_picture(source, at_least=size, limits=self._limits).image
        except PictureError as error:
            if not term.name:
                raise
            raise type(error)(f"{keys.shown(term.name)}: {error}") from error
        return image if term.crop is None else term.crop.of(image)

    def _bytes(self, term: Term) -> bytes:
        """The bytes of a content that can be read now. Raises UsageError."""
        for place in contents.places(self._store.catalog, self._content(term)):
            try:
                return self._read(place)
            except (OSError, PicfindError):
                continue
        raise UsageError(
            f"A piece of {term.label} can only be cut out of its file, which is not there now. Plug in its drive, "
            "or ask with the whole picture."
        )

    def _table(self, examples: Sequence[Example]) -> Floats:
        rows = np.array([row for _, row in examples], np.float32)
        return rows.reshape(len(examples), self._encoder.card.dim)


def _combined(rows: Floats, form: Form, warnings: Sequence[str], *, learned: bool) -> Asked:
    """Weighted rows and their unit sum. Raises UsageError where they cancel out."""
    total = rows.sum(axis=0)
    norm = float(np.linalg.norm(total))
    if norm < _NOTHING_LEFT:
        raise UsageError("The terms of this query cancel out: nothing is left to search for.")
    return Asked(rows, norm, total / norm, form, learned, tuple(warnings))


def _refuse_contradiction(liked: Sequence[Example], disliked: Sequence[Example]) -> None:
    for wanted, row in liked:
        for other, against in disliked:
            if float(row @ against) >= _SAME:
                told = f"The picture {wanted.label} is both liked and disliked"
                alike = "" if wanted.label == other.label else f" (as {other.label})"
                raise UsageError(f"{told}{alike}. Leave it out of one of the two.")
