"""Pictures and words to unit vectors: one file a family, found by its name.

base.py      the contract: card, tower, encoder
builtin.py   both towers inside the package: no download
"""

from __future__ import annotations

import difflib

from picfind import plugins
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import UnknownModelError
from picfind.settings import Settings


def cards(settings: Settings) -> list[EncoderCard]:
    """The models that are known by name: what is there first, the built-in ones before others. Loads no weights."""
    found = [card for _, family in plugins.load_all("encoders") for card in family.cards(settings)]
    return sorted(found, key=lambda card: (not card.installed, card.family != "builtin"))


def find(spec: str, settings: Settings) -> EncoderCard:
    """The card for a model's name, folder or pipeline. Loads no weights.

    Raises UnknownModelError, which names the models that are known.
    """
    for _, family in plugins.load_all("encoders"):
        card: EncoderCard | None = family.find(spec, settings)
        if card is not None:
            return card
    known = cards(settings)
    close = difflib.get_close_matches(spec, [card.name for card in known], n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    there = ", ".join(card.name for card in known if card.installed)
    raise UnknownModelError(
        f"There is no model {spec!r}.{meant} At hand are: {there}. `picfind models` lists those that can be pulled."
    )


def default(settings: Settings) -> EncoderCard:
    """The model for who asks for none: the CLIP model with the best published recall of those that are here, else the
    built-in one. One whose licence forbids commercial use is nobody's default.
    """
    here = [card for card in cards(settings) if card.installed and card.family == "clip"]
    free = [card for card in here if "-NC" not in card.licence.upper()]
    best = max(free, key=lambda card: card.recall.get("COCO hit_at(1)", 0.0), default=None)
    return best or find(DEFAULT, settings)


DEFAULT = "builtin"


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
