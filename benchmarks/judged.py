"""What `benchmarks/calibration.py` asks: photos with captions, subjects and classes, as scores with judgements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import picfind
from benchmarks.builtin_quality import encode_photos, encode_texts, read_lines
from picfind.encoders import builtin
from picfind.search import calibration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from picfind.types import Floats

_SUBJECTS = (
    "dog cat horse cow sheep elephant giraffe zebra bear bird train bus car truck motorcycle bicycle boat airplane "
    "umbrella pizza cake sandwich banana broccoli donut laptop keyboard phone television toilet sink bed couch clock "
    "vase kite frisbee skateboard surfboard snowboard skis tennis baseball beach snow mountain kitchen bathroom bench "
    "sign tower bridge football soccer basketball guitar swing pool fountain rock tree grass sunset ball hat sunglasses "
    "rope tent fire lake river waterfall camera wedding"
)
SUBJECTS = tuple(_SUBJECTS.split())
"""What is asked for, each as `a ...`, where at least three photos show it."""
TRAINED = 800
"""Photos of each train split that the curves are fitted on, but for that of `builtin`, which has learned from these."""
_STARTS = {"builtin-open": "conse", "builtin-image": "features"}
"""The part of the rows of `builtin` that those of the other models begin with; all end where these end."""


@dataclass(frozen=True)
class Set:
    """Photos with captions as vectors: `pictures` (n, dim), `captions` (q, dim) of photo `owner` (q,), and as sentences."""

    name: str
    pictures: Floats
    captions: Floats
    sentences: Floats
    owner: NDArray[np.int64]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """A question asked of galleries: scores (q, n), the background's (m, n), and judged pairs (q, n), 1 fits, 0 not, -1 unclear."""

    name: str
    scores: Floats
    background: Floats
    fits: NDArray[np.int8]


@dataclass(frozen=True)
class Captions:
    """Captions asked of photos: scores (q, n), the background's (m, n), and which photo is each caption's own (q,)."""

    name: str
    scores: Floats
    background: Floats
    owner: NDArray[np.int64]


def subjects(rows: Sequence[dict[str, Any]]) -> tuple[list[str], NDArray[np.int8]]:
    """The subjects that at least three photos show, and whether each photo does: two captions say so, none does, or one."""
    names, found = [], []
    for name in SUBJECTS:
        pattern = re.compile(rf"\b{name}(s|es)?\b", re.IGNORECASE)
        said = np.array([sum(bool(pattern.search(text)) for text in row["captions"]) for row in rows])
        if (said >= 2).sum() >= 3:
            names.append(f"a {name}")
            found.append(np.where(said >= 2, 1, np.where(said == 0, 0, -1)))
    return names, np.array(found, np.int8)


def stretch(model: str, rows: Floats) -> Floats:
    """The rows (n, dim) of `builtin` as the model `builtin`, `builtin-open` or `builtin-image` has them."""
    if model not in _STARTS:
        return rows
    table = builtin.read_table(builtin.FOLDER)
    kept = rows[:, next(part["offset"] for part in table if part["name"] == _STARTS[model]) :]
    unit: Floats = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    return unit


def half(one: Set, *, odd: bool) -> Set:
    """Every second photo of a set, with its captions."""
    kept = np.arange(len(one.rows)) % 2 == odd
    said = kept[one.owner]
    return Set(
        one.name,
        one.pictures[kept],
        one.captions[said],
        one.sentences[said],
        one.owner[said] // 2,
        [row for row, keep in zip(one.rows, kept, strict=True) if keep],
    )


class Bench:
    """`builtin` and its stretches for words to pictures, `minilm` for words to captions, and the background in all."""

    def __init__(self, data: Path, keep: Path | None) -> None:
        self.data, self.keep = data, keep
        self._rng = np.random.default_rng(7)
        self.pictures, self.words = picfind.load_encoder("builtin"), picfind.load_encoder("minilm")
        texts = calibration.sentences()
        self.to_pictures, self.to_words = encode_texts(self.pictures, texts), encode_texts(self.words, texts)

    def read(self, name: str, folder: str, split: str | None = None, *, table: str = "captions.jsonl") -> Set:
        """One split; of the train split TRAINED photos, without `captions`, which nobody asks for there."""
        rows = [row for row in read_lines(self.data / folder / table) if split in (None, row.get("split"))]
        if split == "train":
            chosen = self._rng.choice(len(rows), min(TRAINED, len(rows)), replace=False)
            rows = [rows[at] for at in sorted(chosen.tolist())]
        texts = [(text, at) for at, row in enumerate(rows) for text in row.get("captions", [])]
        photos = [self.data / folder / "images" / (row.get("image") or row["file"]) for row in rows]
        said = [text for text, _ in texts]
        return Set(
            name,
            self._kept(f"{name}-pictures", lambda: encode_photos(self.pictures, photos)),
            self._kept(f"{name}-captions", lambda: encode_texts(self.pictures, said))
            if said and split != "train"
            else self.to_pictures[:0],
            self._kept(f"{name}-sentences", lambda: encode_texts(self.words, said))
            if said
            else self.to_words[:0],
            np.array([at for _, at in texts], np.int64),
            rows,
        )

    def _kept(self, name: str, make: Callable[[], Floats]) -> Floats:
        path = None if self.keep is None else self.keep / f"{name}.npy"
        if path is not None and path.is_file():
            kept: Floats = np.load(path, allow_pickle=False)
            return kept
        made = make()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, made)
        return made

    def asked_words(self, one: Set) -> Iterator[Case]:
        """Subjects against pictures, and against the first caption of each picture."""
        names, fits = subjects(one.rows)
        asked = encode_texts(self.pictures, names)
        for model in ("builtin", "builtin-open"):
            scores, background = self._against(model, asked, one.pictures)
            yield Case(f"words, {model}, {one.name}", scores, background, fits)
        texts = one.sentences[np.searchsorted(one.owner, np.arange(len(one.rows)))]
        scores = encode_texts(self.words, names) @ texts.T
        yield Case(f"words, minilm, {one.name}", scores, self.to_words @ texts.T, fits)

    def _against(self, model: str, asked: Floats, pictures: Floats) -> tuple[Floats, Floats]:
        """Scores (q, n) and the background's (m, n), out of rows of `builtin`."""
        rows = stretch(model, pictures).T
        return stretch(model, asked) @ rows, stretch(model, self.to_pictures) @ rows

    def asked_captions(self, one: Set) -> Iterator[Captions]:
        """Captions against pictures, and four of each photo's captions against its first."""
        scores, background = self._against("builtin", one.captions, one.pictures)
        yield Captions(f"captions, builtin, {one.name}", scores, background, one.owner)
        first = np.searchsorted(one.owner, np.arange(len(one.rows)))
        asks = np.setdiff1d(np.arange(len(one.owner)), first)
        texts = one.sentences[first]
        scores = one.sentences[asks] @ texts.T
        yield Captions(f"captions, minilm, {one.name}", scores, self.to_words @ texts.T, one.owner[asks])

    def asked_classes(self, one: Set) -> Iterator[Case]:
        """The classes of Caltech-101, by name and by picture; one case each."""
        labels = np.array([row["label"] for row in one.rows])
        names = sorted(set(labels.tolist()))
        asked = encode_texts(self.pictures, [f"a {name.lower().replace('_', ' ')}" for name in names])
        fits = (np.array(names)[:, None] == labels[None]).astype(np.int8)
        for model in ("builtin", "builtin-open"):
            yield Case(f"classes by name, {model}", *self._against(model, asked, one.pictures), fits)
        asks = np.array([row["role"] == "query" for row in one.rows])
        for model in ("builtin", "builtin-open", "builtin-image"):
            rows = stretch(model, one.pictures)
            gallery = rows[~asks]
            others = gallery[calibration.sample(len(gallery))] @ gallery.T
            same = (labels[asks][:, None] == labels[~asks][None]).astype(np.int8)
            yield Case(f"pictures, {model}", rows[asks] @ gallery.T, others, same)

    def first_captions(self) -> tuple[Floats, list[dict[str, Any]]]:
        """The first caption of every photo of Flickr8k and COCO as a sentence (12,852, dim), and their rows."""
        rows = [
            row
            for folder in ("flickr8k", "coco")
            for row in read_lines(self.data / folder / "captions.jsonl")
        ]
        return self._kept(
            "all-sentences", lambda: encode_texts(self.words, [row["captions"][0] for row in rows])
        ), rows


def every_second_class(case: Case, *, odd: bool) -> Case:
    """The queries of every second class, told apart by what fits them."""
    kinds = {key: at for at, key in enumerate(sorted({row.tobytes() for row in case.fits}))}
    chosen = np.array([kinds[row.tobytes()] % 2 == odd for row in case.fits])
    return Case(case.name, case.scores[chosen], case.background, case.fits[chosen])
