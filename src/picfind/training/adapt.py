"""The kind `adapt`: one model moved a little towards a person's captions, with frozen towers, and never for the worse.

Each tower's rows get a residual of low rank, which is nothing at first. Half of what is held out chooses when to stop, the
starting point being a candidate. The other half, which has had no say, decides: how much of the way is gone (all, half, a
quarter or nothing; Wortsman et al. 2022, arXiv 2109.01903, call it interpolating weights), and nothing is what remains
where no share is better than the model as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from picfind.training.frozen import Frozen, Rows, encoded, unit
from picfind.training.heads import Residual
from picfind.training.objectives import objective
from picfind.training.publishing import About, Published, publish_heads
from picfind.training.recipe import AdaptRecipe
from picfind.training.saving import RunFolder
from picfind.training.validation import JUDGED, Figures, figures

SHARES = (1.0, 0.5, 0.25)
"""How much of the way may be gone."""
_TOWERS = ("image", "text")


def open_task(
    recipe: AdaptRecipe, examples: Examples, folder: RunFolder, settings: Settings, told: Told
) -> Adapt:
    """Encode pictures and captions by the model. Raises EncoderError for one that lacks a tower, or is itself joint."""
    card = component(recipe.model, "image", settings)
    component(recipe.model, "text", settings)
    found = encoded(card, card, examples, settings, told, skip_broken=recipe.data.skip_broken)
    return Adapt(recipe, found)


class Adapt:
    """What the loop trains."""

    def __init__(self, recipe: AdaptRecipe, found: Frozen) -> None:
        torch.manual_seed(recipe.schedule.seed)
        self._recipe, self._found = recipe, found
        self.notes = found.notes
        self._dim = found.cards["image"].dim
        how = recipe.nudge
        parts = {part: Residual(self._dim, rank=how.rank, dropout=how.dropout) for part in _TOWERS}
        self.module = nn.ModuleDict({**parts, "objective": objective(recipe.objective)})
        every = np.arange(len(found.dev.pictures))
        self._choosing, self._deciding = found.dev.part(every[::2]), found.dev.part(every[1::2])

    @property
    def count(self) -> int:
        """Pictures to learn from."""
        return len(self._found.train.pictures)

    def batch(self, at: list[int], rng: np.random.Generator, /) -> tuple[Any, ...]:
        """Rows of pictures, and of one caption of each."""
        return self._found.train.batch(at, rng)

    def loss(self, *batch: Any) -> Any:
        """The objective, and what it costs to move the vectors."""
        moved = [
            functional.normalize(self.module[part](rows).float(), dim=1)
            for part, rows in zip(_TOWERS, batch, strict=True)
        ]
        way = sum(
            (after - functional.normalize(before, dim=1)).square().sum(dim=1).mean()
            for after, before in zip(moved, batch, strict=True)
        )
        return self.module["objective"](*moved) + self._recipe.nudge.pull * way

    def figures(self) -> Figures:
        return self._judged(self._choosing)

    def publish(self, about: About, settings: Settings) -> Published:
        """As a folder of the family `joint` over the model itself, as far as that is better than the model."""
        share, before, after = self.decide()
        if share:
            note = f"better than {self._recipe.model} on the half that decided: {JUDGED} {after[JUDGED]:.3f} after "
            note += f"{before[JUDGED]:.3f}, with {share:g} of the way gone"
        else:
            note = f"no better than {self._recipe.model} ({JUDGED} {before[JUDGED]:.3f}), so it is left as it is: this "
            note += "model gives the same rankings"
        about = replace(
            about,
            figures=after,
            judged_by=len(self._deciding.pictures),
            notes=(*about.notes, note),
        )
        for part in _TOWERS:
            self.module[part].shrink(share)
        cards = self._found.cards
        heads = {part: partial(self.module[part].write, inputs=self._dim, dim=self._dim) for part in cards}
        return publish_heads(heads, cards, about, settings, dim=self._dim)

    def decide(self) -> tuple[float, Figures, Figures]:
        """The best share of the way, 0 where none is better than none; the figures at 0 and at that share."""
        found = {0.0: self._at(0.0), **{share: self._at(share) for share in SHARES}}
        best = max(found, key=lambda share: (found[share][JUDGED], -share))
        return best, found[0.0], found[best]

    def _at(self, share: float) -> Figures:
        self.module.eval()
        with self._shrunk(share), torch.no_grad():
            return self._judged(self._deciding)

    @contextmanager
    def _shrunk(self, share: float) -> Iterator[None]:
        before = {name: value.clone() for name, value in self.module.state_dict().items()}
        for part in _TOWERS:
            self.module[part].shrink(share)
        try:
            yield
        finally:
            self.module.load_state_dict(before)

    def _judged(self, rows: Rows) -> Figures:
        shown, said = unit(self.module["image"], rows.pictures), unit(self.module["text"], rows.captions)
        return figures(shown, said, rows.owners)


def describe(recipe: AdaptRecipe) -> str:
    """The method in words, for the model card."""
    return (
        f"{recipe.model}, its vectors moved a little towards given captions by a residual of rank {recipe.nudge.rank} for "
        "each tower. The towers are frozen."
    )
