"""Pictures and words to unit vectors: one file a family, found by its name.

base.py      the contract: card, tower, encoder
builtin.py   both towers inside the package: no download
"""

from __future__ import annotations

import difflib

from picfind import plugins
from picfind.encoders import _folders
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import UnknownModelError
from picfind.settings import Settings


def cards(settings: Settings) -> list[EncoderCard]:
    """The models that are known by name: what is there first, the built-in ones before others. Loads no weights.

    A model that could be pulled is left out where a folder of another kind has its name.
    """
    found = [card for _, family in plugins.load_all("encoders") for card in family.cards(settings)]
    here = {card.name for card in found if card.installed}
    reached = [card for card in found if card.installed or card.name not in here]
    return sorted(reached, key=lambda card: (not card.installed, card.family != "builtin"))


def find(spec: str, settings: Settings) -> EncoderCard:
    """The card for a model's name, folder or pipeline. Loads no weights.

    Raises UnknownModelError, which names the models that are known, and ModelFilesError for a folder that is damaged.
    """
    for _, family in plugins.load_all("encoders"):
        card: EncoderCard | None = family.find(spec, settings)
        if card is not None:
            return card
    raise UnknownModelError(_odd_folder(spec, settings) or _not_known(spec, settings))


def _odd_folder(spec: str, settings: Settings) -> str:
    """What to say of a folder that is there, but that no family takes for a model. Raises ModelFilesError if damaged."""
    folder = _folders.named(spec, settings)
    if folder is None:
        return ""
    manifest = _folders.read_manifest(folder)
    if manifest is not None:
        return f"The model {folder} is of the family {manifest.family!r}, which is not installed."
    return (
        f"The folder {folder} holds no model that is known: it has no picfind.json, no visual/ and textual/ (clip), and "
        "no config.json of a text model (bert). `picfind models export` makes a model's folder of a checkpoint."
    )


def _not_known(spec: str, settings: Settings) -> str:
    known = cards(settings)
    close = difflib.get_close_matches(spec, [card.name for card in known], n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    there = ", ".join(card.name for card in known if card.installed)
    places = " and ".join(map(str, settings.models)) or "none"
    return (
        f"There is no model {spec!r}.{meant} At hand are: {there}. `picfind models` lists those that can be pulled; "
        f"folders of models (PICFIND_MODELS): {places}."
    )


def default(settings: Settings) -> EncoderCard:
    """The model for who asks for none: the CLIP model with the best published recall of those that are here, else the
    built-in one. One whose licence forbids commercial use is nobody's default.
    """
    clip = plugins.load("encoders", "clip")  # no other family's files need to be looked at
    here = [card for card in clip.cards(settings) if card.installed] if clip else []
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
