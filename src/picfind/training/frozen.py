"""Kept vectors of frozen towers as tensors: what joint spaces and adapted models learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from picfind import encoders
from picfind.encoders.base import Encoder, EncoderCard
from picfind.settings import Settings
from picfind.training.captioned import Example, Examples
from picfind.training.features import Told, of_pictures, of_texts
from picfind.types import Floats, Ids


@dataclass(frozen=True, slots=True)
class Rows:
    """Pictures (n, dim) and captions (m, dim) of theirs; `owners` (m,) rises and says whose each caption is."""

    pictures: Floats
    captions: Floats
    owners: Ids

    @property
    def starts(self) -> Ids:
        """Where the captions of each picture begin, and where the last ones end: (n + 1,)."""
        return np.searchsorted(self.owners, np.arange(len(self.pictures) + 1))

    def part(self, chosen: Ids) -> Rows:
        """Only these pictures, in this order."""
        starts = self.starts
        captions = np.concatenate([np.arange(starts[one], starts[one + 1]) for one in chosen])
        owners = np.repeat(np.arange(len(chosen)), starts[chosen + 1] - starts[chosen])
        return Rows(self.pictures[chosen], self.captions[captions], owners)

    def batch(self, at: Sequence[int], rng: np.random.Generator) -> tuple[Any, Any]:
        """The rows of these pictures, and of one caption of each."""
        starts = self.starts
        some = [int(rng.integers(starts[one], starts[one + 1])) for one in at]
        return torch.from_numpy(self.pictures[list(at)]), torch.from_numpy(self.captions[some])


@dataclass(frozen=True, slots=True)
class Frozen:
    """What two frozen towers make of the examples."""

    cards: dict[str, EncoderCard]
    """By `image` and `text`."""
    train: Rows
    dev: Rows
    notes: tuple[str, ...]


def encoded(
    image: EncoderCard,
    text: EncoderCard,
    examples: Examples,
    settings: Settings,
    told: Told,
    *,
    skip_broken: bool,
) -> Frozen:
    """Encode what has not been encoded before. Raises TrainingError for a picture that cannot be used."""
    pictures = encoders.load(image, settings)
    words = pictures if text == image else encoders.load(text, settings)
    notes = list(examples.notes)
    parts = []
    for part in (examples.train, examples.dev):
        kept, rows, faults = of_pictures(pictures, part, settings, skip_broken=skip_broken, told=told)
        notes += faults
        parts.append(_rows(kept, rows, words, told))
    train, dev = parts
    return Frozen({"image": image, "text": text}, train, dev, tuple(notes))


def _rows(examples: Sequence[Example], pictures: Floats, words: Encoder, told: Told) -> Rows:
    captions = [caption for example in examples for caption in example.captions]
    owners = np.repeat(np.arange(len(examples)), [len(example.captions) for example in examples])
    return Rows(pictures, of_texts(words, captions, told=told), owners)


def unit(module: Any, rows: Floats) -> Floats:
    """A head's rows, unit, where it lies."""
    device = next(module.parameters()).device
    found = torch.nn.functional.normalize(module(torch.from_numpy(rows).to(device)), dim=1)
    unit_rows: Floats = found.float().cpu().numpy()
    return unit_rows
