"""What regions gain and cost: `python -m benchmarks.regions --data DIR [--model NAME] [--count N]`.

DIR holds `demo_open/`, `flickr8k/` and `caltech101_retrieval/`. Each tiling is a way to cut pictures into tiles; a
picture's score is that of its best part, the whole or a tile. Asked of all photos of demo_open and N of Flickr8k dev:

- crops: pieces of a ninth to a quarter of a photo of demo_open; which share finds its own photo first;
- captions of the N photos, where regions can only do harm: the photos have 224 pixels, so tiles show no more detail;
- small things (made up: a photo of Caltech-101 pasted at a fifth of the width into each photo of demo_open, beside the
  N photos): by the pasted picture, by another picture of its class, by the name of its class.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import picfind
from benchmarks.builtin_quality import encode_texts, hit_at, ranks_of, read_lines
from benchmarks.machine import describe
from picfind.images import open_picture, tiles
from picfind.settings import cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from picfind.encoders.base import Encoder
    from picfind.types import Box, Floats

SHARE = 0.2
"""Width of a pasted thing, as a share of the photo's."""
INDEXED = 40
"""Photos that are indexed to see what that costs."""
CROPS = 3
"""Pieces of each photo that are asked."""
_HALF, _THIRD = tiles.grid(2, 2, 1 / 2, 1 / 2), tiles.grid(3, 3, 1 / 3, 1 / 3)
CUTS: Mapping[str, tuple[Box, ...]] = {
    "none": (),
    "2 x 2 of 1/2": _HALF,
    "3 x 3 of 1/2": tiles.grid(3, 3, 1 / 2, 1 / 2),
    "3 x 3 of .4": tiles.grid(3, 3, 0.4, 0.4),
    "3 x 3 of 1/3": _THIRD,
    "2 x 2 and 3 x 3": (*_HALF, *_THIRD),
}
"""What is compared; `picfind.images.tiles` cuts 3 x 3 of .4."""
EVERY: tuple[Box, ...] = tuple(dict.fromkeys(box for boxes in CUTS.values() for box in boxes))


@dataclass(frozen=True)
class Asked:
    """Queries (q, dim) and which pictures of a gallery are right for each (q, n); `gallery` (n, 1 + tiles, dim)."""

    name: str
    queries: Floats
    right: NDArray[np.bool_]
    gallery: Floats


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what regions gain and cost.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--model", default="builtin", help="a model that encodes pictures and words")
    parser.add_argument("--count", type=int, default=200, help="how many photos of Flickr8k dev")
    given = parser.parse_args()
    encoder = picfind.load_encoder(given.model)
    print(describe("onnxruntime"))
    print(f"{encoder.space}: a vector has {2 * encoder.card.dim:,} bytes")
    cost(given.model, given.data / "demo_open" / "images")
    asked = questions(encoder, given.data, given.count)
    print(f"{'':24}" + "".join(f"{entry.name:>16}" for entry in asked))
    for name, boxes in CUTS.items():
        places = [0, *(1 + EVERY.index(box) for box in boxes)]
        told = [shown(entry, places) for entry in asked]
        print(f"{name:24}" + "".join(f"{text:>16}" for text in told))


def cost(model: str, folder: Path) -> None:
    """What a run with regions takes, in one gallery after another, beside one without."""
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place, "photos")
        photos.mkdir()
        for path in sorted(folder.iterdir())[:INDEXED]:
            (photos / path.name).symlink_to(path.absolute())
        seconds = []
        for regions in (False, True):
            with picfind.open(Path(place, f"gallery-{regions}"), model=model) as gallery:
                began = time.perf_counter()
                gallery.index(photos, regions=regions)
                seconds.append((time.perf_counter() - began) / INDEXED)
    without, with_regions = seconds
    print(
        f"indexing {INDEXED} photos: {without * 1000:.0f} ms a photo, {with_regions * 1000:.0f} ms with regions, ",
        end="",
    )
    print(f"{with_regions / without:.1f} times as long")


def questions(encoder: Encoder, data: Path, count: int) -> list[Asked]:
    """All that is asked, each with the gallery that it is asked of."""
    rng = np.random.default_rng(5)
    photos = [
        data / "demo_open" / "images" / row["file"]
        for row in read_lines(data / "demo_open" / "manifest.jsonl")
    ]
    rows = [row for row in read_lines(data / "flickr8k" / "captions.jsonl") if row["split"] == "dev"][:count]
    opened = [open_picture(path, at_least=None).image for path in photos]
    own = encode(encoder, opened)
    others = encode(
        encoder,
        [open_picture(data / "flickr8k" / "images" / row["image"], at_least=None).image for row in rows],
    )
    crops = [piece(photo, rng) for photo in opened for _ in range(CROPS)]
    owner = np.repeat(np.arange(len(photos)), CROPS)
    both = np.concatenate([own, others])
    captions = encode_texts(encoder, [text for row in rows for text in row["captions"]])
    of = np.array([at for at, row in enumerate(rows) for _ in row["captions"]])
    return [
        Asked("crops", whole(encoder, crops), owner[:, None] == np.arange(len(both)), both),
        Asked("captions", captions, of[:, None] == np.arange(len(others)), others),
        *small_things(encoder, data / "caltech101_retrieval", opened, others, rng),
    ]


def small_things(
    encoder: Encoder, folder: Path, photos: Sequence[Image.Image], others: Floats, rng: np.random.Generator
) -> list[Asked]:
    """Pasted pictures asked by themselves, by another of their class, by the name of their class."""
    rows = read_lines(folder / "labels.jsonl")
    labels = sorted({row["label"] for row in rows})
    chosen = [labels[at % len(labels)] for at in range(len(photos))]
    pasted = [_of_class(folder, rows, label, "gallery", at // len(labels)) for at, label in enumerate(chosen)]
    scenes = [paste(photo, thing, rng) for photo, thing in zip(photos, pasted, strict=True)]
    gallery = np.concatenate([encode(encoder, scenes), others])
    same = np.zeros((len(labels), len(gallery)), np.bool_)
    same[:, : len(chosen)] = np.array(labels)[:, None] == np.array(chosen)
    alike = [_of_class(folder, rows, label, "query", 0) for label in labels]
    names = encode_texts(encoder, [f"a {label.replace('_', ' ').lower()}" for label in labels])
    itself = np.eye(len(pasted), len(gallery), dtype=np.bool_)
    return [
        Asked("the thing", whole(encoder, pasted), itself, gallery),
        Asked("one like it", whole(encoder, alike), same, gallery),
        Asked("its name", names, same, gallery),
    ]


def _of_class(
    folder: Path, rows: Sequence[dict[str, Any]], label: str, role: str, number: int
) -> Image.Image:
    found = [row["image"] for row in rows if (row["label"], row["role"]) == (label, role)]
    return open_picture(folder / "images" / found[number], at_least=None).image


def paste(photo: Image.Image, thing: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The photo with the thing in it at a random place, SHARE of its width."""
    width = max(1, round(photo.width * SHARE))
    height = min(photo.height, max(1, round(width * thing.height / thing.width)))
    left, top = rng.integers(photo.width - width + 1), rng.integers(photo.height - height + 1)
    scene = photo.copy()
    scene.paste(thing.resize((width, height), Image.Resampling.LANCZOS), (int(left), int(top)))
    return scene


def piece(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A piece of a photo, of its shape, at a random place: a ninth to a quarter of it."""
    side = rng.uniform(1 / 3, 1 / 2)
    left, top = rng.uniform(0, 1 - side, 2)
    return tiles.cut(photo, (float(left), float(top), float(side), float(side)))


def encode(encoder: Encoder, photos: Sequence[Image.Image]) -> Floats:
    """(n, 1 + tiles, dim): the whole pictures and all tiles of all cuts, on all cores."""

    def parts(photo: Image.Image) -> Floats:
        return encoder.encode_images([photo, *(tiles.cut(photo, box) for box in EVERY)], batch_size=1)

    with ThreadPoolExecutor(cores()) as workers:
        return np.stack(list(workers.map(parts, photos)))


def whole(encoder: Encoder, photos: Sequence[Image.Image]) -> Floats:
    """(n, dim): the whole pictures, on all cores."""
    with ThreadPoolExecutor(cores()) as workers:
        return np.concatenate(list(workers.map(lambda photo: encoder.encode_images([photo]), photos)))


def shown(asked: Asked, places: Sequence[int]) -> str:
    """hit_at(1) and hit_at(10), of the best of some parts."""
    ranks = ranks_best(asked, places)
    return f"{hit_at(ranks, 1):.3f} {hit_at(ranks, 10):.3f}"


def ranks_best(asked: Asked, places: Sequence[int]) -> NDArray[np.int64]:
    """(q,) the rank of the best right picture of each query, by its best part."""
    scores = np.max([asked.queries @ asked.gallery[:, place].T for place in places], axis=0)
    best = np.argmax(np.where(asked.right, scores, -np.inf), axis=1)
    return ranks_of(scores, best)


if __name__ == "__main__":
    main()
