"""Joint spaces whose towers learn too: the last stages of a ResNet and the last layers of a BERT, with the projections.

Supported are ResNet-18 to 152 (weights of torchvision, timm or transformers, `.safetensors` or `.pth`) and the BERT types of
transformers that have a list of layers. Statistics of batch normalisation stay as they are. Pictures are decoded as they
are needed, cut at random and mirrored; this wants a GPU. The result is a folder of the family `clip`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from picfind import keys
from picfind.encoders import _folders
from picfind.encoders.resnet import PREPROCESS
from picfind.errors import ModelFilesError, PictureError, TrainingError
from picfind.images import Limits, decode, read_limited
from picfind.settings import Settings, cores
from picfind.training.backbones import bert, resnet
from picfind.training.captioned import Example, Examples
from picfind.training.heads import Head
from picfind.training.objectives import objective
from picfind.training.originals import Pair, Preprocess, Tokenizing, pixels_of
from picfind.training.pixels import cropped
from picfind.training.publishing import About, Published, publish_pair
from picfind.training.recipe import JointRecipe
from picfind.training.validation import Figures, figures
from picfind.types import Floats

SIZE = 224
_LEAST_CROP = 0.5
_LENGTH = 64
"""Tokens of a caption that count."""
_AT_ONCE = 64
_HOW = Preprocess(SIZE, PREPROCESS.mean, PREPROCESS.std, "bilinear", "squash")


def open_tuned(recipe: JointRecipe, examples: Examples, settings: Settings) -> Tuned:
    """Load both checkpoints. Raises ModelFilesError for one that is not there or of another kind."""
    weights = keys.absolute(Path(recipe.image.model))
    if not os.path.isfile(weights):
        raise ModelFilesError(
            f"There are no weights {recipe.image.model}: where layers are tuned (image.tune, text.tune), image.model is a "
            "ResNet's .safetensors or .pth file and text.model a folder of transformers. With both tunes 0 any model does."
        )
    folder = _folders.named(recipe.text.model, settings)
    if folder is None:
        raise ModelFilesError(
            f"There is no folder {recipe.text.model} of a BERT that transformers reads, with its model.safetensors."
        )
    torch.manual_seed(recipe.schedule.seed)
    image = resnet(weights, tune=recipe.image.tune)
    text, tokenizing = bert(folder, tune=recipe.text.tune, length=_LENGTH)
    return Tuned(recipe, examples, settings, image=image, text=text, tokenizing=tokenizing)


class Tuned:
    """What the loop trains."""

    def __init__(
        self,
        recipe: JointRecipe,
        examples: Examples,
        settings: Settings,
        *,
        image: Any,
        text: Any,
        tokenizing: Tokenizing,
    ) -> None:
        self._recipe, self._examples, self._settings = recipe, examples, settings
        self._tokenizing, self.notes = tokenizing, examples.notes
        self.module = nn.ModuleDict({
            "image": nn.Sequential(image, Head(image.dim, recipe.heads)),
            "text": _Words(text, Head(text.dim, recipe.heads)),
            "objective": objective(recipe.objective),
        })  # fmt: skip

    @property
    def count(self) -> int:
        """Pictures to learn from."""
        return len(self._examples.train)

    def batch(self, at: list[int], rng: np.random.Generator, /) -> tuple[Any, ...]:
        """Crops (n, 3, 224, 224), and ids and mask of one caption of each (n, length)."""
        some = [self._examples.train[one] for one in at]
        crops = cropped(self._squares(some, SIZE * 9 // 8), SIZE, least=_LEAST_CROP, rng=rng)
        captions = [one.captions[rng.integers(len(one.captions))] for one in some]
        ids, mask = self._tokenizing(captions)
        return _pixels(crops), torch.from_numpy(ids), torch.from_numpy(mask)

    def loss(self, *batch: Any) -> Any:
        pictures, ids, mask = batch
        shown = functional.normalize(self.module["image"](pictures).float(), dim=1)
        said = functional.normalize(self.module["text"](ids, mask).float(), dim=1)
        return self.module["objective"](shown, said)

    def figures(self) -> Figures:
        dev = self._examples.dev
        shown = [
            self._rows("image", _pixels(np.stack(self._squares(dev[at : at + _AT_ONCE], SIZE))))
            for at in range(0, len(dev), _AT_ONCE)
        ]
        captions = [caption for example in dev for caption in example.captions]
        said = [
            self._rows("text", *map(torch.from_numpy, self._tokenizing(captions[at : at + _AT_ONCE])))
            for at in range(0, len(captions), _AT_ONCE)
        ]
        owners = np.repeat(np.arange(len(dev)), [len(example.captions) for example in dev])
        return figures(np.concatenate(shown), np.concatenate(said), owners)

    def publish(self, about: About, settings: Settings) -> Published:
        """As a folder of the family `clip`: a projection and its tower are one graph."""
        pair = Pair(
            kind="resnet and bert",
            image=self.module["image"].cpu().eval(),
            text=self.module["text"].cpu().eval(),
            dim=self._recipe.heads.dim,
            preprocess=_HOW,
            tokenizing=self._tokenizing,
            text_inputs=("input_ids", "attention_mask"),
            pixels=lambda pictures: pixels_of(pictures, _HOW),
            tokens=self._tokenizing,
        )
        return publish_pair(pair, about, settings)

    def _rows(self, tower: str, *given: Any) -> Floats:
        device = next(self.module.parameters()).device
        found = self.module[tower](*(one.to(device) for one in given))
        rows: Floats = functional.normalize(found.float(), dim=1).cpu().numpy()
        return rows

    def _squares(self, examples: Sequence[Example], side: int) -> list[Any]:
        """(side, side, 3) uint8 of each. Raises TrainingError for a picture that cannot be used."""
        limits = Limits(max_pixels=self._settings.max_pixels, max_bytes=self._settings.max_bytes)

        def one(example: Example) -> Any:
            try:
                with example.item.open() as file:
                    image = decode(read_limited(file, limits), at_least=2 * side, limits=limits).image
            except (OSError, PictureError) as error:
                raise TrainingError(
                    f"A picture cannot be used: {keys.shown(example.item.key)}: {error}. Mend it or bring it back, then go "
                    "on with --resume: the last good checkpoint is kept."
                ) from error
            from PIL import Image

            return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), np.uint8)

        with ThreadPoolExecutor(self._settings.workers or cores()) as pool:
            return list(pool.map(one, examples))


class _Words(nn.Module):  # type: ignore[misc]
    """Ids and mask (n, length) to embeddings (n, dim)."""

    def __init__(self, tower: Any, head: Any) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.head(self.tower(input_ids.long(), attention_mask.long()))


def _pixels(squares: Any) -> Any:
    scaled = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(some)[:, None, None] for some in (PREPROCESS.mean, PREPROCESS.std))
    return (scaled - mean) / std
