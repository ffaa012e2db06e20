"""How well the built-in model finds: `python -m benchmarks.builtin_quality --data DIR`.

DIR holds `flickr8k/` and `caltech101_retrieval/`, each with images/. Printed are, for the dev split of Flickr8k, the
share of captions whose photo is among the first 1, 5 and 10; for Caltech-101, the mean average precision of finding pictures of one
class by a picture of it, with the vector as it is and with each of its parts alone.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import picfind
from benchmarks.machine import describe
from picfind.encoders import builtin
from picfind.settings import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from picfind.encoders.base import Encoder
    from picfind.types import Floats

T = TypeVar("T")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the built-in model's retrieval.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the two data sets")
    data: Path = parser.parse_args().data
    encoder = picfind.load_encoder("builtin")
    print(describe("onnxruntime"))
    print(f"{encoder.space}, {encoder.card.dim} dimensions, {encoder.card.size_mb} MB")
    flickr(encoder, data / "flickr8k")
    caltech(encoder, data / "caltech101_retrieval")


def flickr(encoder: Encoder, folder: Path, *, each: int = 5) -> dict[int, float]:
    """Words to pictures over the dev split, by so many captions of each photo: hit_at by k."""
    rows = [row for row in read_lines(folder / "captions.jsonl") if row["split"] == "dev"]
    captions = [(caption, at) for at, row in enumerate(rows) for caption in row["captions"][:each]]
    images = encode_photos(encoder, [folder / "images" / row["image"] for row in rows])
    texts = encode_texts(encoder, [caption for caption, _ in captions])
    ranks = ranks_of(texts @ images.T, np.array([at for _, at in captions]))
    print(f"Flickr8k dev, words to pictures: {len(rows)} photos, {len(captions)} captions")
    hits = {k: hit_at(ranks, k) for k in (1, 5, 10)}
    for k, share in hits.items():
        print(f"  hit_at({k}) {share:.4f}")
    return hits


def caltech(encoder: Encoder, folder: Path) -> dict[str, float]:
    """Pictures to pictures, the queries against the gallery, by class: mAP of the vector and of each of its parts."""
    rows = read_lines(folder / "labels.jsonl")
    images = encode_photos(encoder, [folder / "images" / row["image"] for row in rows])
    labels = np.array([row["label"] for row in rows])
    asks = np.array([row["role"] == "query" for row in rows])
    relevant = labels[asks][:, None] == labels[~asks][None, :]
    print(f"Caltech-101, pictures to pictures: {asks.sum()} queries, {(~asks).sum()} pictures")
    found = {
        name: mean_average_precision(images[asks][:, columns] @ images[~asks][:, columns].T, relevant)
        for name, columns in [("whole vector", slice(None)), *parts()]
    }
    for name, precision in found.items():
        print(f"  mAP {precision:.4f}  {name}")
    return found


def parts() -> Iterable[tuple[str, slice]]:
    """The named parts of the vector, from the card."""
    table = json.loads((builtin.FOLDER / "card.json").read_text(encoding="utf-8"))["parts"]
    return [(f"{row['name']} alone", slice(row["offset"], row["offset"] + row["dim"])) for row in table]


def ranks_of(scores: Floats, owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row, how many columns score higher than column `owner[row]`; 0 is best.

    [[.9, .5, .7]] with owner [2] has rank 1: only .9 is higher.
    """
    own = scores[np.arange(len(owner)), owner]
    ranks: NDArray[np.int64] = (scores > own[:, None]).sum(axis=1)
    return ranks


def hit_at(ranks: NDArray[np.int64], k: int) -> float:
    """The share of ranks below k. Ranks 0, 1, 4, 9 hit at 5 in 3 of 4 cases: .75."""
    return float((ranks < k).mean())


def mean_average_precision(scores: Floats, relevant: NDArray[np.bool_]) -> float:
    """The mean over rows of the mean precision at each relevant column, best score first.

    Scores .9, .8, .7 of which the first and third are relevant: (1/1 + 2/3) / 2 = .8333.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    found = np.take_along_axis(relevant, order, axis=1)
    precision = np.cumsum(found, axis=1) / np.arange(1, found.shape[1] + 1)
    return float(((precision * found).sum(axis=1) / found.sum(axis=1)).mean())


def encode_photos(encoder: Encoder, paths: Sequence[Path]) -> Floats:
    """(n, dim) unit rows, on all cores."""
    return _rows(lambda path: encoder.encode_images([path]), paths)


def encode_texts(encoder: Encoder, texts: Sequence[str]) -> Floats:
    """(n, dim) unit rows, on all cores."""
    return _rows(lambda text: encoder.encode_texts([text]), texts)


def _rows(encode: Callable[[T], Floats], items: Sequence[T]) -> Floats:
    with ThreadPoolExecutor(cores()) as workers:
        return np.concatenate(list(workers.map(encode, items)))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
