"""The kind `builtin`: the learned part of the built-in model, from captioned photos.

Members are pairs of projections whose inner product is a score: one in closed form, one that learns over the frozen picture
tower, one that learns with a copy of its last blocks. All learn at once, each by its own loss. Their scores are added, by the
recipe's weights, and brought down to one short row. What is judged is that sum and the score by class names, as in the
finished model.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from picfind.encoders.builtin import FAMILY, PREPROCESSING
from picfind.errors import RecipeError, TrainingError
from picfind.settings import Settings
from picfind.training.builtin import joining, lite2, members, sentences
from picfind.training.builtin.assembly import read_towers, write_files
from picfind.training.builtin.closed import correlated
from picfind.training.builtin.joined import beside, joined, rows
from picfind.training.builtin.learner import Closed, Learner, Scale, Scored, mixed, wide_features
from picfind.training.builtin.material import (
    Classes,
    Material,
    known_classes,
    material_of,
)
from picfind.training.builtin.trunk import PLACES
from picfind.training.builtin.views import LOGITS, WIDE, How, viewed
from picfind.training.captioned import Example, Examples
from picfind.training.features import Told
from picfind.training.publishing import About, Published, publish
from picfind.training.recipe import BuiltinRecipe, digest
from picfind.training.saving import RunFolder
from picfind.training.validation import Figures, figures
from picfind.types import Floats, Ids

LEARNED = "learned.npz"
"""What a run leaves in its folder, besides what every run leaves: the members as plain arrays."""
CLOSED_DIM = 384
"""Dimensions of the member in closed form: all that a sentence's vector has."""
_LAYOUT = 1
_SAMPLE = 4000
"""Pictures by which members are joined; of captions one of each picture."""


def open_task(
    recipe: BuiltinRecipe, examples: Examples, folder: RunFolder, settings: Settings, told: Told
) -> Builtin:
    """See and read everything once, and make the members.

    Raises RecipeError where nothing would learn, TrainingError for a picture that cannot be used, CheckpointError when
    what was made cannot be kept.
    """
    if not (recipe.members.frozen or recipe.members.tuned):
        raise RecipeError(
            "members.frozen and members.tuned are both 0, so nothing learns: give one a weight."
        )
    seed = recipe.schedule.seed
    made_by = [_LAYOUT, PREPROCESSING, examples.digest, recipe.start, recipe.views, seed]
    place = folder.folder / f"views-{digest(json.dumps(made_by))}"
    notes = list(examples.notes)

    def material(name: str, part: Sequence[Example], views: int) -> Material:
        how = How(recipe.start, views, seed)
        left, kept, faults = viewed(
            name, part, place, how, settings=settings, skip_broken=recipe.data.skip_broken, told=told
        )
        notes.extend(faults)
        if kept.count < 2:
            raise TrainingError(
                f"Of the pictures ({name}) {kept.count} can be used: {faults[0]}. Two are the least."
            )
        return material_of(left, kept, told)

    train = material("train", examples.train, 1 + recipe.views)
    dev = material("dev", examples.dev, 1)
    return Builtin(recipe, train, dev, known_classes(recipe.joining.ridge, told), folder, tuple(notes))


class Builtin:
    """What the loop trains."""

    def __init__(
        self,
        recipe: BuiltinRecipe,
        train: Material,
        dev: Material,
        known: Classes,
        folder: RunFolder,
        notes: tuple[str, ...],
    ) -> None:
        torch.manual_seed(recipe.schedule.seed)
        self._recipe, self._train, self._dev, self._known = recipe, train, dev, known
        self._folder, self.notes = folder, notes
        self.module = nn.ModuleDict()
        self._scored: list[tuple[Scored, float]] = []
        self._make()
        self._by_name = self._conse(dev.plain)

    def _make(self) -> None:
        """The closed form, and from it what learns."""
        train, weights = self._train, self._recipe.members
        wide = wide_features(train.plain)
        scale = Scale.of(wide)
        shown = scale(wide)
        also = self._known.rows, self._known.names
        found = correlated(shown, train.captions, train.owners, also=also, dim=CLOSED_DIM)
        if weights.closed:
            self._scored.append((Closed(found, scale), math.sqrt(weights.closed)))
        for name, weight in (("frozen", weights.frozen), ("tuned", weights.tuned)):
            if weight:
                learner = Learner(self._recipe, scale, tuned=name == "tuned")
                learner.begin(found, shown[:_SAMPLE], train.captions[:_SAMPLE])
                self.module[name] = learner
                self._scored.append((learner, math.sqrt(weight)))

    @property
    def count(self) -> int:
        """Pictures to learn from."""
        return self._train.views.count

    def batch(self, at: list[int], rng: np.random.Generator, /) -> tuple[Any, ...]:
        """A view and a caption of each picture, and classes with one of their sentences.

        Rows (n, 1696), maps (n, 81, channels) or none, sentences (n + k, 384), marks (n + k,), classes (k,), and the
        places of the pictures that the classes are mixed with (k,).
        """
        train, names = self._train, self._recipe.names
        places = np.array(at)
        views = rng.integers(0, 1 + self._recipe.views, len(places))
        captions = rng.integers(train.starts[places], train.starts[places + 1])
        count = min(lite2.CLASSES, round(len(places) * names.share / (1 - names.share)))
        chosen = rng.choice(lite2.CLASSES, count, replace=False)
        said = self._known.said[rng.integers(0, len(self._known.said), count), chosen]
        arrays = (
            train.views.rows(places, views)[:, WIDE],
            train.views.maps(places, views)
            if "tuned" in self.module
            else np.empty((0, PLACES, 0), np.float16),
            np.concatenate([train.captions[captions], said]),
            np.concatenate([train.marks[captions], -1 - chosen]),
            chosen,
            rng.integers(0, len(places), count),
        )
        return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)

    def loss(self, *batch: Any) -> Any:
        """The sum of what each member that learns loses."""
        kept, maps, said, marks, chosen, partners = batch
        known, share = torch.from_numpy(self._known.rows).to(kept.device)[chosen], self._recipe.names.mixing
        losses = []
        with mixed(kept.device):
            for learner in self.module.values():
                wide = learner.wide(kept, maps)
                named = share * known + (1 - share) * wide[partners].detach()
                losses.append(learner.loss(torch.cat([wide, named]), said, marks))
        return sum(losses)

    def figures(self) -> Figures:
        """Of the members' scores and the score by names, added as in the finished model."""
        pictures, captions = self._rows(self._dev, np.arange(self._dev.views.count), self._dev.captions)
        total = sum(length**2 for _, length in self._scored)
        by_name = np.float32(math.sqrt(self._recipe.joining.weight * total))
        return figures(
            np.concatenate([pictures, by_name * self._by_name], axis=1),
            np.concatenate([captions, by_name * self._dev.captions], axis=1),
            self._dev.owners,
        )

    def publish(self, about: About, settings: Settings) -> Published:
        """As a folder of the family `builtin`; what was learned stays in the run's folder as well."""
        self.module.eval()
        learned = self.learned()
        about = replace(about, figures=self._joined_figures(learned))
        learned = replace(learned, notes=_notes(about))
        buffer = io.BytesIO()
        members.save(buffer, learned)
        self._folder.write(LEARNED, buffer.getvalue())

        def fill(inside: Path) -> str:
            how = self._recipe.joining
            towers = read_towers(how, partial(sentences.vectors, told=lambda *_: None))  # they are kept
            write_files(inside, towers, learned, how)
            return FAMILY

        return publish(fill, about, settings)

    def learned(self) -> members.Learned:
        """All members, joined by what they make of some pictures and of one caption of each picture."""
        train, rng = self._train, np.random.default_rng(self._recipe.schedule.seed)
        some = rng.permutation(self.count)[:_SAMPLE]
        one_each = rng.integers(train.starts[:-1], train.starts[1:])
        pictures, captions = self._rows(train, some, train.captions[one_each])
        made = [scored.member(length) for scored, length in self._scored]
        return joined(made, pictures, captions, dim=self._recipe.joining.dim)

    def _joined_figures(self, learned: members.Learned) -> Figures:
        dev, how = self._dev, self._recipe.joining
        pictures, captions = rows(learned, *self._rows(dev, np.arange(dev.views.count), dev.captions))
        a, b = joining.word_lengths(learned, how)
        share = math.sqrt(joining.SHARES["conse"] / joining.SHARES["heads"])
        return figures(
            np.concatenate([pictures, np.float32(share) * self._by_name], axis=1),
            np.concatenate([np.float32(a) * captions, np.float32(b) * dev.captions], axis=1),
            dev.owners,
        )

    def _rows(self, of: Material, at: Ids, captions: Floats) -> tuple[Floats, Floats]:
        """The members' rows side by side, of pictures as they are and of captions."""
        maps = of.maps(at) if "tuned" in self.module else None
        lengths = [length for _, length in self._scored]
        with torch.no_grad(), mixed(next(self.module.parameters()).device):
            shown = [scored.pictures(of.plain[at], maps) for scored, _ in self._scored]
            said = [scored.texts(captions) for scored, _ in self._scored]
        return beside(shown, lengths), beside(said, lengths)

    def _conse(self, kept: Floats) -> Floats:
        """Unit rows (n, 384): the mean of the classes' vectors by their probabilities."""
        logits = kept[:, LOGITS] / self._recipe.joining.temperature
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return members.unit(shares @ self._known.conse)


def _notes(about: About) -> dict[str, str]:
    """What stays with the learned weights: nothing that names a folder."""
    counts = {"pictures": about.pictures, "captions": about.captions, "steps": about.steps}
    judged = {name: f"{value:.4f}" for name, value in about.figures.items()}
    return {name: str(count) for name, count in counts.items()} | judged


def describe(recipe: BuiltinRecipe) -> str:
    """The method in words, for the model card."""
    weights = recipe.members
    parts = (
        ("canonical correlations in closed form", weights.closed),
        ("projections over the frozen tower", weights.frozen),
        (f"projections with a trained copy of the tower from block {recipe.start} on", weights.tuned),
    )
    named = "; ".join(f"{name} (weight {weight:g})" for name, weight in parts if weight)
    return (
        f"EfficientNet-Lite2 and all-MiniLM-L6-v2, joined by what was learned from captioned photos: {named}. Their scores are "
        f"added and brought down to {recipe.joining.dim} dimensions, beside a score by the names of 1,000 classes (ConSE, "
        f"weight {recipe.joining.weight:g})."
    )
