"""The kind `joint`: any two encoders in one space, by projections of their vectors. The towers stay as they are."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from picfind.encoders._joint.recipe import component
from picfind.settings import Settings
from picfind.training.captioned import Examples
from picfind.training.features import Told
from picfind.training.frozen import Frozen, encoded, unit
from picfind.training.heads import Head
from picfind.training.loop import Task
from picfind.training.objectives import objective
from picfind.training.publishing import About, Published, publish_heads
from picfind.training.recipe import JointRecipe
from picfind.training.saving import RunFolder
from picfind.training.validation import Figures, figures


def open_task(
    recipe: JointRecipe, examples: Examples, folder: RunFolder, settings: Settings, told: Told
) -> Task:
    """Encode pictures and captions, make the heads; where layers of the towers learn too, see `tuned.py`.

    Raises UnknownModelError, EncoderError and ModelFilesError as the models do, TrainingError for a picture that cannot
    be used.
    """
    if recipe.image.tune or recipe.text.tune:
        from picfind.training.tuned import open_tuned

        return open_tuned(recipe, examples, settings)
    image = component(recipe.image.model, "image", settings)
    text = component(recipe.text.model, "text", settings)
    found = encoded(image, text, examples, settings, told, skip_broken=recipe.data.skip_broken)
    return Joint(recipe, found)


class Joint:
    """What the loop trains."""

    def __init__(self, recipe: JointRecipe, found: Frozen) -> None:
        torch.manual_seed(recipe.schedule.seed)
        self._recipe, self._found = recipe, found
        self.notes = found.notes
        heads = {part: Head(found.cards[part].dim, recipe.heads) for part in ("image", "text")}
        self.module = nn.ModuleDict({**heads, "objective": objective(recipe.objective)})

    @property
    def count(self) -> int:
        """Pictures to learn from."""
        return len(self._found.train.pictures)

    def batch(self, at: list[int], rng: np.random.Generator, /) -> tuple[Any, ...]:
        """Rows of pictures, and of one caption of each."""
        return self._found.train.batch(at, rng)

    def loss(self, *batch: Any) -> Any:
        pictures, captions = batch
        shown = functional.normalize(self.module["image"](pictures).float(), dim=1)
        said = functional.normalize(self.module["text"](captions).float(), dim=1)
        return self.module["objective"](shown, said)

    def figures(self) -> Figures:
        dev = self._found.dev
        return figures(
            unit(self.module["image"], dev.pictures), unit(self.module["text"], dev.captions), dev.owners
        )

    def publish(self, about: About, settings: Settings) -> Published:
        """As a folder of the family `joint`."""
        dim, cards = self._recipe.heads.dim, self._found.cards
        heads = {
            part: partial(self.module[part].write, inputs=card.dim, dim=dim) for part, card in cards.items()
        }
        return publish_heads(heads, cards, about, settings, dim=dim)


def describe(recipe: JointRecipe) -> str:
    """The method in words, for the model card."""
    tuned = recipe.image.tune or recipe.text.tune
    learned = (
        f"Learned with them: the last {recipe.image.tune} stages and {recipe.text.tune} layers."
        if tuned
        else "The towers are frozen."
    )
    return (
        f"The vectors of {recipe.image.model} for pictures and {recipe.text.model} for words, brought into one space of "
        f"{recipe.heads.dim} by {recipe.heads.kind} projections. {learned}"
    )
