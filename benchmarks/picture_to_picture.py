"""How well models find pictures by pictures: `python -m benchmarks.picture_to_picture --data DIR [--model NAME ...]`.

DIR holds `caltech101_retrieval/` with labels.jsonl and images/. For each model two measures over all queries: the mean
average precision, and the share of a class's pictures that are among the first ten.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import picfind
from benchmarks.builtin_quality import encode_photos, mean_average_precision, read_lines
from benchmarks.machine import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from picfind.encoders.base import Encoder
    from picfind.types import Floats

MODELS = ("builtin", "builtin-image")
SET = "caltech101_retrieval"
FIRST = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure retrieval of pictures by pictures.")
    parser.add_argument("--data", type=Path, required=True, help=f"folder that holds {SET}/")
    parser.add_argument(
        "--model", action="append", help=f"a model, repeatable; {' and '.join(MODELS)} unless given"
    )
    given = parser.parse_args(arguments)
    print(describe("onnxruntime"))
    for name in given.model or MODELS:
        encoder = picfind.load_encoder(name)
        precision, recall = measure(encoder, given.data / SET)
        print(f"{encoder.space}, {encoder.card.dim}-d: mAP {precision:.4f}, recall_at({FIRST}) {recall:.4f}")


def measure(encoder: Encoder, folder: Path) -> tuple[float, float]:
    """(mAP, recall_at(10)) of the queries of a labelled folder against its other pictures."""
    rows = read_lines(folder / "labels.jsonl")
    images = encode_photos(encoder, [folder / "images" / row["image"] for row in rows])
    labels = np.array([row["label"] for row in rows])
    asks = np.array([row["role"] == "query" for row in rows])
    scores = images[asks] @ images[~asks].T
    relevant = labels[asks][:, None] == labels[~asks][None, :]
    print(f"{folder.name}: {asks.sum()} queries, {(~asks).sum()} pictures, {len(set(labels))} classes")
    return mean_average_precision(scores, relevant), recall_at(scores, relevant, FIRST)


def recall_at(scores: Floats, relevant: NDArray[np.bool_], k: int) -> float:
    """The mean over rows of the share of the relevant columns that are among the k best.

    Scores .9, .8, .7 of which the first and third are relevant: at k = 2 one of two, .5.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(relevant, best, axis=1).sum(axis=1)
    return float((found / relevant.sum(axis=1)).mean())


if __name__ == "__main__":
    main()
