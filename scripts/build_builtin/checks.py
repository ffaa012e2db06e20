"""What must hold of the files before they ship, measured through the code that runs them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import judged
import numpy as np
from judged import Judged, hit_at, mean_average_precision
from PIL import Image
from reference import SENTENCES, Expected, pictures

from picfind.encoders.builtin import open_folder, read_card, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from picfind.encoders.base import Encoder
    from picfind.types import Floats

T = TypeVar("T")

FLOORS = {"flickr8k": 0.66, "coco": 0.83, "things": 0.68}
"""The least hit_at(10) of each dev split, words to pictures."""
LEAST_NAMES = 0.52
"""The least mean average precision of class names over the pictures of Caltech-101."""
_MOST_MB = 48
_WORKERS = 2
_TIMED = 100


@dataclass(frozen=True)
class Result:
    """One figure, and whether it is good enough; None where nothing is asked of it."""

    what: str
    figure: str
    holds: bool | None = None

    def __str__(self) -> str:
        mark = {True: "holds", False: "FAILS", None: "     "}[self.holds]
        return f"{mark}  {self.what}: {self.figure}"


@dataclass(frozen=True)
class Rows:
    """One data set as vectors of one model."""

    photos: Floats
    queries: Floats


class Checks:
    """Gathers results, and the figures that the model card shows, by the names that its template has."""

    def __init__(self, *, plain: Path, shipped: Path, expected: Expected, data: Path) -> None:
        self.folder, self.expected, self.data = shipped, expected, data
        self.plain, self.shipped = (open_folder(folder, read_card(folder)) for folder in (plain, shipped))
        self.columns = {
            row["name"]: slice(row["offset"], row["offset"] + row["dim"]) for row in read_table(shipped)
        }
        self.figures: dict[str, str] = {}

    def run(self) -> Iterator[Result]:
        """All checks, one after the other."""
        yield self._size()
        yield from self._fixed()
        for name, least in FLOORS.items():
            yield from self._sentences(name, least)
        yield from self._names()
        yield from self._time()

    def _size(self) -> Result:
        total = sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file()) / 1e6
        return Result(f"all files together, under {_MOST_MB} MB", f"{total:.1f} MB", total < _MOST_MB)

    def _fixed(self) -> Iterator[Result]:
        wanted = np.stack(list(self.expected.images.values())), self.expected.texts
        images, texts = list(pictures().values()), list(SENTENCES)
        plain = self.plain.encode_images(images), self.plain.encode_texts(texts)
        for what, rows, exact in zip(("pictures", "sentences"), plain, wanted, strict=True):
            gap = float(np.abs(rows - exact).max())
            yield Result(f"fixed {what}, fp32 graph against torch, at most 1e-3", f"{gap:.1e}", gap <= 1e-3)
        shipped = self.shipped.encode_images(images), self.shipped.encode_texts(texts)
        for what, rows, exact in zip(("pictures", "sentences"), shipped, plain, strict=True):
            yield _agreement(f"fixed {what}, shipped against fp32", rows, exact)

    def _sentences(self, name: str, least: float) -> Iterator[Result]:
        data = judged.captioned(self.data / name, same_words=name == "things")
        rows = self._rows(self.shipped, data)
        scores = rows.queries @ rows.photos.T
        hits = {k: self._figure(f"{name}_{k}", hit_at(scores, data.right, k)) for k in (1, 5, 10)}
        told = ", ".join(f"hit_at({k}) {hit:.4f}" for k, hit in hits.items())
        what = f"{name} dev, {len(data.queries):,} captions to {len(data.photos):,} pictures"
        yield Result(f"{what}, at least {least} at 10", told, hits[10] >= least)
        without = self._figure(f"open_{name}_10", hit_at(self._open(rows), data.right, 10))
        yield Result("  the same with builtin-open", f"hit_at(10) {without:.4f}")
        if name == "flickr8k":
            yield from self._against_plain(data, rows, hits[10])

    def _against_plain(self, data: Judged, shipped: Rows, hit: float) -> Iterator[Result]:
        plain = self._rows(self.plain, data)
        yield _agreement("  its pictures, shipped against fp32", shipped.photos, plain.photos)
        yield _agreement("  its captions, shipped against fp32", shipped.queries, plain.queries)
        exact = hit_at(plain.queries @ plain.photos.T, data.right, 10)
        yield Result("  hit_at(10) of fp32, within .01", f"{exact:.4f}", abs(exact - hit) <= 0.01)

    def _names(self) -> Iterator[Result]:
        data = judged.classes(self.data / "caltech101_retrieval")
        rows = self._rows(self.shipped, data.named)
        found = self._figure(
            "caltech_names", mean_average_precision(rows.queries @ rows.photos.T, data.named.right)
        )
        yield Result(
            f"Caltech-101, class names, mAP at least {LEAST_NAMES}", f"{found:.4f}", found >= LEAST_NAMES
        )
        without = mean_average_precision(self._open(rows), data.named.right)
        yield Result("  the same with builtin-open", f"{self._figure('open_caltech_names', without):.4f}")
        asks, others = rows.photos[data.asks], rows.photos[~data.asks]
        for name, columns in {"whole": slice(None), **self.columns}.items():
            scores = asks[:, columns] @ others[:, columns].T
            found = self._figure(f"caltech_pictures_{name}", mean_average_precision(scores, data.alike))
            yield Result(f"Caltech-101, pictures to pictures, mAP, {name}", f"{found:.4f}")

    def _time(self) -> Iterator[Result]:
        """Of the processor, for the model alone: a picture is decoded and squashed before, a sentence cut in tokens."""
        photos = judged.captioned(self.data / "flickr8k")
        images = [_read(path) for path in photos.photos[:_TIMED]]
        image, text = self.shipped.image, self.shipped.text
        if image is None or text is None:
            raise ValueError("the model lacks a tower")
        for name, most, tower, prepared in (
            ("picture", 30, image.encode, [image.prepare(item) for item in images]),
            ("sentence", 10, text.encode, [text.prepare(item) for item in photos.queries[:_TIMED]]),
        ):
            taken = _median_ms(tower, prepared)
            self.figures[f"ms_{name}"] = f"{taken:.0f}"
            yield Result(
                f"processor time of a {name} on one core; under {most} ms is wanted", f"{taken:.1f} ms"
            )

    def _open(self, rows: Rows) -> Floats:
        """Scores by `conse` alone: of one length in all pictures and in all words, so they rank as builtin-open does."""
        conse = self.columns["conse"]
        scores: Floats = rows.queries[:, conse] @ rows.photos[:, conse].T
        return scores

    def _rows(self, encoder: Encoder, data: Judged) -> Rows:
        photos = _each(lambda path: encoder.encode_images([_read(path)]), data.photos)
        return Rows(photos, _each(lambda text: encoder.encode_texts([text]), data.queries))

    def _figure(self, name: str, value: float) -> float:
        self.figures[name] = f"{value:.3f}".removeprefix("0")
        return value


def _agreement(what: str, rows: Floats, others: Floats) -> Result:
    cosines = (rows * others).sum(axis=1)
    figure = f"mean {cosines.mean():.6f}, least {cosines.min():.6f}"
    return Result(f"{what}, row cosine at least .995", figure, bool(cosines.min() >= 0.995))


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _each(encode: Callable[[T], Floats], items: Sequence[T]) -> Floats:
    with ThreadPoolExecutor(_WORKERS) as workers:
        return np.concatenate(list(workers.map(encode, items)))


def _median_ms(encode: Callable[[Sequence[T]], Floats], prepared: Sequence[T]) -> float:
    taken = []
    for item in prepared:
        start = time.process_time()
        encode([item])
        taken.append(time.process_time() - start)
    return 1e3 * float(np.median(taken))
