"""Pictures and words to unit vectors: one file a family, found by its name.

base.py      the contract: card, tower, encoder
builtin.py   both towers inside the package: no download
"""

from __future__ import annotations

from picfind import plugins
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import UnknownModelError
from picfind.settings import Settings


def cards(settings: Settings) -> list[EncoderCard]:
    """The models that are known by name, by family and name. Loads no weights."""
    return [card for _, family in plugins.load_all("encoders") for card in family.cards(settings)]


def find(spec: str, settings: Settings) -> EncoderCard:
    """The card for a model's name, folder or pipeline. Loads no weights.

    Raises UnknownModelError, which names the models that are known.
    """
    for _, family in plugins.load_all("encoders"):
        card: EncoderCard | None = family.find(spec, settings)
        if card is not None:
            return card
    known = ", ".join(card.name for card in cards(settings))
    raise UnknownModelError(
        f"There is no model {spec!r}. Known are: {known}. `picfind models` tells more of each."
    )


def load(
    spec: str | EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """Load a model by name or card. Raises UnknownModelError, ModelFilesError and MissingExtraError."""
    card = find(spec, settings) if isinstance(spec, str) else spec
    family = plugins.load("encoders", card.family)
    if family is None:
        raise UnknownModelError(
            f"The model {card.name} is of the family {card.family!r}, which is not installed."
        )
    encoder: Encoder = family.load(card, settings, role=role, language=language)
    return encoder
