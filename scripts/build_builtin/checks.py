"""What must hold of the files before they ship, measured through the code that runs them."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from reference import SENTENCES, Expected, pictures

from picfind.encoders.builtin import open_folder, read_card

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from joining import Floats

    from picfind.encoders.base import Encoder

_WORKERS = 2


@dataclass(frozen=True)
class Result:
    """One figure, and whether it is good enough."""

    what: str
    figure: str
    holds: bool

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'FAILS'}  {self.what}: {self.figure}"


@dataclass(frozen=True)
class Captioned:
    """Photos with captions; `owner[i]` is the photo of caption i."""

    photos: list[Path]
    captions: list[str]
    owner: np.ndarray[tuple[int], np.dtype[np.int64]]


def run(*, plain: Path, shipped: Path, expected: Expected, data: Path | None) -> list[Result]:
    """All checks; those with photos only where `data` is given."""
    encoders = open_folder(plain, read_card(plain)), open_folder(shipped, read_card(shipped))
    results = [_size(shipped), *_fixed(*encoders, expected)]
    if data is None:
        print("No --data: the checks with photos are left out.", file=sys.stderr)
        return results
    return [*results, *_retrieval(*encoders, read_captions(data / "flickr8k", split="dev"))]


def read_captions(folder: Path, *, split: str) -> Captioned:
    """One split of a folder with images/ and captions.jsonl."""
    lines = (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == split]
    pairs = [(at, caption) for at, row in enumerate(rows) for caption in row["captions"]]
    return Captioned(
        [folder / "images" / row["image"] for row in rows],
        [caption for _, caption in pairs],
        np.array([at for at, _ in pairs]),
    )


def hit_at(scores: Floats, owner: np.ndarray[tuple[int], np.dtype[np.int64]], k: int) -> float:
    """The share of captions (rows) whose photo is among the k best columns; ties count for the caption."""
    own = scores[np.arange(len(owner)), owner]
    return float(((scores > own[:, None]).sum(axis=1) < k).mean())


def _size(folder: Path) -> Result:
    total = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6
    return Result("all files together, at most 48 MB", f"{total:.1f} MB", total < 48)


def _fixed(plain: Encoder, shipped: Encoder, expected: Expected) -> Iterator[Result]:
    images = [_encode_image(plain, image) for image in pictures().values()]
    texts = [_encode_text(plain, text) for text in SENTENCES]
    gap = float(np.abs(np.stack(images) - np.stack(list(expected.images.values()))).max())
    yield Result("pictures, fp32 graph against torch, at most 1e-3", f"{gap:.1e}", gap <= 1e-3)
    gap = float(np.abs(np.stack(texts) - expected.texts).max())
    yield Result("words, fp32 graph against transformers, at most 1e-3", f"{gap:.1e}", gap <= 1e-3)
    found = np.stack([_encode_image(shipped, image) for image in pictures().values()])
    yield _agreement("fixed pictures, shipped against fp32", np.stack(images), found)
    yield _agreement(
        "fixed sentences, shipped against fp32",
        np.stack(texts),
        np.stack([_encode_text(shipped, text) for text in SENTENCES]),
    )


def _retrieval(plain: Encoder, shipped: Encoder, data: Captioned) -> Iterator[Result]:
    images = [_encode_photos(encoder, data.photos) for encoder in (plain, shipped)]
    texts = [_encode_texts(encoder, data.captions) for encoder in (plain, shipped)]
    yield _agreement("dev photos, shipped against fp32", *images)
    yield _agreement("dev captions, shipped against fp32", *texts)
    hits = [hit_at(text @ image.T, data.owner, 10) for text, image in zip(texts, images, strict=True)]
    figure = f"fp32 {hits[0]:.4f}, shipped {hits[1]:.4f}"
    yield Result(
        "Flickr8k dev words to pictures, hit_at(10), within .01", figure, abs(hits[0] - hits[1]) <= 0.01
    )
    yield Result("and at least .24", figure, hits[1] >= 0.24)


def _agreement(what: str, rows: Floats, others: Floats) -> Result:
    cosines = (rows * others).sum(axis=1)
    figure = f"mean {cosines.mean():.6f}, least {cosines.min():.6f}"
    return Result(f"{what}, row cosine at least .995", figure, bool(cosines.min() >= 0.995))


def _encode_photos(encoder: Encoder, paths: list[Path]) -> Floats:
    def one(path: Path) -> Floats:
        with Image.open(path) as image:
            return _encode_image(encoder, image.convert("RGB"))

    with ThreadPoolExecutor(_WORKERS) as workers:
        return np.stack(list(workers.map(one, paths)))


def _encode_texts(encoder: Encoder, texts: list[str]) -> Floats:
    with ThreadPoolExecutor(_WORKERS) as workers:
        return np.stack(list(workers.map(lambda text: _encode_text(encoder, text), texts)))


def _encode_image(encoder: Encoder, image: Image.Image) -> Floats:
    assert encoder.image is not None
    return encoder.image.encode([encoder.image.prepare(image)])[0]


def _encode_text(encoder: Encoder, text: str) -> Floats:
    assert encoder.text is not None
    return encoder.text.encode([encoder.text.prepare(text)])[0]
