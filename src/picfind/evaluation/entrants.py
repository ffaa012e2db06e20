"""The models that take part in an evaluation: what each can do, and how it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from picfind import encoders
from picfind.datasets.base import IMAGE_TO_IMAGE
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import EncoderError
from picfind.evaluation.trials import Asked
from picfind.settings import Settings

ALONE = "#pictures"
"""What follows the name of a model that would join pictures with their words, where it got the pictures alone: its vectors
are those of another space."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A model by its card, and how it is loaded; pictures alone where it would join them with words."""

    card: EncoderCard
    given: Encoder | None = None

    @property
    def reads(self) -> bool:
        """Whether it encodes words."""
        return "text" in self.card.towers

    @property
    def joins(self) -> bool:
        """Whether it would encode pictures together with their words."""
        return "pair" in self.card.towers if self.given is None else self.given.pair is not None

    def load(self, settings: Settings, role: Role) -> Encoder:
        """The encoder. Raises ModelFilesError, MissingExtraError."""
        loaded = self.given or encoders.load(self.card, settings, role=role, language=settings.language)
        if loaded.pair is None:
            return loaded
        card = replace(loaded.card, name=f"{loaded.card.name}{ALONE}", towers=("image", "text"))
        return replace(loaded, card=card, pair=None)


def contestants(models: Sequence[str | Encoder], settings: Settings, warnings: list[str]) -> list[Contestant]:
    """Models by name, folder or as they are; each once.

    Those of words alone are left out with a warning: many people name one beside that of their pictures, to match
    captions with. Raises UnknownModelError, ModelFilesError; EncoderError where no other is left.
    """
    found: dict[str, Contestant] = {}
    for model in models:
        one = (
            Contestant(model.card, model)
            if isinstance(model, Encoder)
            else Contestant(encoders.find(model, settings))
        )
        found.setdefault(one.card.name, one)
    able = [one for one in found.values() if "image" in one.card.towers]
    for name in (name for name, one in found.items() if "image" not in one.card.towers):
        blind = f"The model {name} encodes no pictures, so it finds none."
        if not able:
            raise EncoderError(f"{blind} Name another one.")
        warnings.append(f"{blind} It takes no part.")
    return able


def check(
    entrants: Sequence[Contestant], asked: Sequence[Asked], wanted: Sequence[str], warnings: list[str]
) -> None:
    """Refuse a model that cannot do what was asked for; say what it leaves out where nothing was asked for by name."""
    of_words = [one.name for one in asked if one.task != IMAGE_TO_IMAGE]
    for one in entrants:
        if of_words and not one.reads:
            missing = f"The model {one.card.name} encodes no words, so it cannot do {' and '.join(of_words)}."
            if wanted or len(of_words) == len(asked):
                raise EncoderError(f"{missing} Leave it out, or evaluate on something with {IMAGE_TO_IMAGE}.")
            warnings.append(f"{missing} It takes no part in that.")
        if one.joins:
            warnings.append(
                f"{one.card.name} joins pictures with their words; here it gets the pictures alone, since captions "
                "would give the answers away."
            )
