"""Karpathy's splits: `dataset_coco.json`, `dataset_flickr30k.json`, `dataset_flickr8k.json`.

One object a picture under `images`: `filename`, `filepath` (COCO's alone), `split`, and `sentences` with a `raw` text
each. From https://cs.stanford.edu/people/karpathy/deepimagesent/ (caption_datasets.zip).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from picfind.datasets._json import Record, records
from picfind.datasets._judging import Told

OWNER = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"
PLACES = ("", "karpathy/", "annotations/")
"""Folders where people put the file."""


def read(path: Path, splits: Collection[str], places: Callable[[Record], tuple[str, ...]]) -> Iterator[Told]:
    """The pictures of these splits, one after the other; nothing is held. Raises UsageError for a broken file."""
    for record in records(path, "images"):
        if record.text("split") in splits:
            texts = tuple(sentence.text("raw") for sentence in record.records("sentences"))
            yield Told(places(record), captions=texts)
