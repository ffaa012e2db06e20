"""The kind `clip`: two small towers and a vocabulary from nothing, on pictures with captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from picfind.encoders._clip.config import MEAN, STD
from picfind.settings import Settings
from picfind.training.captioned import Example, Examples, each_picture, usable
from picfind.training.features import Told
from picfind.training.objectives import objective
from picfind.training.originals import Pair, Preprocess, pixels_of
from picfind.training.pixels import Bytes, cropped, normalised, square_maker
from picfind.training.publishing import About, Published, publish_pair
from picfind.training.recipe import ClipRecipe
from picfind.training.saving import RunFolder
from picfind.training.text import text
from picfind.training.validation import Figures, figures
from picfind.training.vision import vision
from picfind.training.vocabulary import count, fit_vocabulary, tokenizing
from picfind.types import Floats

TOKENIZER = "tokenizer.json"
"""The vocabulary in a run's folder: fitted once, so that a resumed run has the same."""
METHOD = (
    "Two small transformers, one for pictures and one for words, that learned from nothing to place pictures beside their "
    "captions (CLIP: Radford et al. 2021)."
)
_AT_ONCE = 256
_MARGIN = 9 / 8
"""How much larger pictures are kept than the tower sees them, so that a crop has pixels of its own."""


def open_task(
    recipe: ClipRecipe, examples: Examples, folder: RunFolder, settings: Settings, told: Told
) -> Scratch:
    """Read all pictures, fit the vocabulary, make the towers. Raises TrainingError for a picture that cannot be used."""
    sides = (max(recipe.picture.size, round(recipe.picture.size * _MARGIN)), recipe.picture.size)
    sets, notes = [], list(examples.notes)
    for what, part, side in zip(("train", "dev"), (examples.train, examples.dev), sides, strict=True):
        read = each_picture(
            part,
            square_maker(side),
            at_least=2 * side,
            settings=settings,
            told=lambda done, all_, what=what: told(f"pictures to {what}", done, all_),  # type: ignore[misc]
        )
        kept, squares, faults = usable(part, read, skip_broken=recipe.data.skip_broken)
        sets.append((kept, squares))
        notes += faults
    content = folder.read(TOKENIZER)
    if content is None:
        captions = (caption for example in sets[0][0] for caption in example.captions)
        content = fit_vocabulary(captions, size=recipe.words.vocabulary).encode()
        folder.write(TOKENIZER, content)
    return Scratch(recipe, content.decode(), train=sets[0], dev=sets[1], notes=notes)


Set = tuple[Sequence[Example], Sequence[Bytes]]


class Scratch:
    """What the loop trains."""

    def __init__(
        self, recipe: ClipRecipe, vocabulary: str, *, train: Set, dev: Set, notes: Sequence[str]
    ) -> None:
        torch.manual_seed(recipe.schedule.seed)
        self._recipe = recipe
        self._tokenizing = tokenizing(vocabulary, length=recipe.words.length)
        self.module = nn.ModuleDict({
            "image": vision(recipe.picture, recipe.dim),
            "text": text(recipe.words, recipe.dim, vocabulary=count(vocabulary)),
            "objective": objective(recipe.objective),
        })  # fmt: skip
        self._train, self._dev, self.notes = train, dev, tuple(notes)
        self._captions = [self._tokens(example.captions) for example in train[0]]

    @property
    def count(self) -> int:
        """Pictures to learn from."""
        return len(self._captions)

    def batch(self, at: list[int], rng: np.random.Generator, /) -> tuple[Any, ...]:
        """Crops (n, 3, side, side), and one caption of each picture (n, length)."""
        how = self._recipe.picture
        crops = cropped([self._train[1][one] for one in at], how.size, least=how.least_crop, rng=rng)
        some = [self._captions[one] for one in at]
        captions = np.stack([each[rng.integers(len(each))] for each in some])
        return torch.from_numpy(normalised(crops)), torch.from_numpy(captions)

    def loss(self, *batch: Any) -> Any:
        pictures, captions = batch
        shown = functional.normalize(self.module["image"](pictures), dim=1)
        said = functional.normalize(self.module["text"](captions), dim=1)
        return self.module["objective"](shown.float(), said.float())

    def figures(self) -> Figures:
        examples, squares = self._dev
        owners = np.repeat(np.arange(len(examples)), [len(example.captions) for example in examples])
        captions = [caption for example in examples for caption in example.captions]
        shown = [
            self._rows("image", normalised(np.stack(squares[at : at + _AT_ONCE])))
            for at in range(0, len(squares), _AT_ONCE)
        ]
        said = [
            self._rows("text", self._tokens(captions[at : at + _AT_ONCE]))
            for at in range(0, len(captions), _AT_ONCE)
        ]
        return figures(np.concatenate(shown), np.concatenate(said), owners)

    def publish(self, about: About, settings: Settings) -> Published:
        """As a folder of the family `clip`."""
        size = self._recipe.picture.size
        preprocess = Preprocess(size, MEAN, STD, resize_mode="squash")
        pair = Pair(
            kind="clip-small",
            image=self.module["image"].cpu().eval(),
            text=self.module["text"].cpu().eval(),
            dim=self._recipe.dim,
            preprocess=preprocess,
            tokenizing=self._tokenizing,
            text_inputs=("text",),
            pixels=lambda pictures: pixels_of(pictures, preprocess),
            tokens=lambda texts: (self._tokens(texts),),
        )
        return publish_pair(pair, about, settings)

    def _tokens(self, texts: Sequence[str]) -> Any:
        return self._tokenizing(texts)[0].astype(np.int32)

    def _rows(self, tower: str, given: Any) -> Floats:
        device = next(self.module.parameters()).device
        found: Floats = (
            functional.normalize(self.module[tower](torch.from_numpy(given).to(device)), dim=1).cpu().numpy()
        )
        return found


def describe(recipe: ClipRecipe) -> str:
    """The method in words, for the model card."""
    how = recipe.picture
    return f"{METHOD} Pictures of {how.size} px in patches of {how.patch}, {recipe.dim} numbers a vector."
