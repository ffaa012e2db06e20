"""What a joint model is made of, from its name or its folder. Loads no weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from picfind import plugins
from picfind.encoders import _folders
from picfind.encoders.base import EncoderCard
from picfind.errors import EncoderError, ModelFilesError, UnknownModelError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.settings import Settings

FAMILY = "joint"
PREFIX = "joint:"
DEFAULT_SHARE = 0.5
Mode = Literal["concat", "shared"]
CONCAT: Final = "concat"
SHARED: Final = "shared"
_MODES: Mapping[str, Mode] = {CONCAT: CONCAT, SHARED: SHARED}
HEADS = {"image": "image_head.onnx", "text": "text_head.onnx"}
BLOCKS = ("image", "text")
_GRAMMAR = "Write joint:IMAGE+TEXT or joint:IMAGE+TEXT@0.7, such as joint:builtin-image+minilm."
_AGAIN = "Fit, train or copy the model again."


def arrays(block: str) -> tuple[str, str]:
    """The files of a block's axes: their mean (dim_in,) and themselves (dim_in, dim_out)."""
    return f"{block}_mean.npy", f"{block}_axes.npy"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Two models, and how they become one."""

    image: EncoderCard
    text: EncoderCard
    name: str
    revision: str
    share: float = DEFAULT_SHARE
    mode: Mode = CONCAT
    dim: int = 0
    """The dimension of the shared space; of no meaning in the mode `concat`."""
    folder: Path | None = None
    fitted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The dimensions before and after of each block that has axes."""
    licence: str = ""
    source: str = ""
    size_mb: float = 0.0

    def block_dim(self, block: str) -> int:
        """The dimension of a block in a row."""
        whole = self.image.dim if block == "image" else self.text.dim
        return self.fitted[block][1] if block in self.fitted else whole

    def card(self) -> EncoderCard:
        """What can be said of the whole."""
        side_by_side = self.mode == CONCAT
        return EncoderCard(
            name=self.name,
            family=FAMILY,
            revision=self.revision,
            dim=self.block_dim("image") + self.block_dim("text") if side_by_side else self.dim,
            licence=self.licence or both(self.image.licence, self.text.licence),
            source=self.source or both(self.image.source, self.text.source),
            size_mb=round(self.image.size_mb + self.text.size_mb + self.size_mb, 1),
            image_size=self.image.image_size,
            languages=self.text.languages,
            batch_size=self.image.batch_size,
            note=self._note() if side_by_side else "One space for pictures and words, by trained heads.",
            towers=("image", "text", "pair") if side_by_side else ("image", "text"),
            installed=self.image.installed and self.text.installed,
        )

    def _note(self) -> str:
        return (
            f"A picture and its words in one vector: {self.share:.0%} {self.image.name}, "
            f"{1 - self.share:.0%} {self.text.name}."
        )


def both(first: str, second: str) -> str:
    """Two statements as one, once where they are the same."""
    return first if first == second else f"{first} and {second}"


def recipe_of(spec: str, settings: Settings) -> Recipe | None:
    """The recipe behind `joint:IMAGE+TEXT`, or behind a folder of this family; None for anything else.

    Raises UsageError, EncoderError, UnknownModelError and ModelFilesError, as `joint.find` says.
    """
    if spec.startswith(PREFIX):
        image, text, share = parse(spec)
        return combine(component(image, "image", settings), component(text, "text", settings), share=share)
    folder = _folders.named(spec, settings)
    manifest = _folders.read_manifest(folder) if folder is not None else None
    if folder is None or manifest is None or manifest.family != FAMILY:
        return None
    return from_folder(folder, settings)


def parse(spec: str) -> tuple[str, str, float]:
    """The two specs and the picture's share. Raises UsageError with the grammar for anything else."""
    image, plus, rest = spec.removeprefix(PREFIX).partition("+")
    if "+" in rest:
        raise UsageError(
            f"{spec!r} has more than one +. A model whose path has one cannot stand there: put its folder, under "
            f"another name, into a folder of PICFIND_MODELS. {_GRAMMAR}"
        )
    text, at, last = rest.rpartition("@")
    try:
        share = float(last) if at else DEFAULT_SHARE
    except ValueError:  # an @ of the name itself
        text, share = rest, DEFAULT_SHARE
    text = text if at else rest
    if not (plus and image and text):
        raise UsageError(f"{spec!r} names no two models. {_GRAMMAR}")
    return image, text, checked_share(share)


def checked_share(share: float) -> float:
    """The share itself. Raises UsageError unless it lies between 0 and 1."""
    if not 0 < share < 1:
        raise UsageError(
            f"The picture's share of the score is {share}; it must lie between 0 and 1. For one of the two alone, "
            "use that model by itself."
        )
    return share


def component(spec: str, tower: Literal["image", "text"], settings: Settings) -> EncoderCard:
    """The card of one of the two models; another joint one is not taken, so that no model contains itself.

    Raises UnknownModelError for a model that there is not, EncoderError for one that lacks the tower.
    """
    for name, family in plugins.load_all("encoders"):
        card: EncoderCard | None = None if name == FAMILY else family.find(spec, settings)
        if card is None:
            continue
        if tower not in card.towers:
            what = {"image": "pictures", "text": "words"}[tower]
            raise EncoderError(
                f"The model {card.name} has no {tower} tower, so it cannot encode the {what} of a joint model: it "
                f"has {' and '.join(card.towers)}. {_GRAMMAR}"
            )
        return card
    raise UnknownModelError(
        f"There is no model {spec!r} for the {tower} part of a joint model. `picfind models` lists what there is."
    )


def combine(image: EncoderCard, text: EncoderCard, *, share: float = DEFAULT_SHARE) -> Recipe:
    """Two models side by side, under the name by which they are found again. Raises UsageError."""
    checked_share(share)
    if "+" in image.name + text.name:
        raise UsageError(
            f"The models {image.name} and {text.name} cannot be joined by their names, because of the + in them. Put "
            "their folders, under other names, into a folder of PICFIND_MODELS."
        )
    named = f"@{share!r}" if share != DEFAULT_SHARE or "@" in text.name else ""
    parts = [CONCAT, share, image.name, image.revision, text.name, text.revision]
    there = image.installed and text.installed
    revision = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12] if there else ""
    return Recipe(image, text, f"{PREFIX}{image.name}+{text.name}{named}", revision, share)


def from_folder(folder: Path, settings: Settings) -> Recipe:
    """The recipe in a folder of this family. Raises ModelFilesError, and what finding its components raises."""
    manifest = _folders.read_manifest(folder) or _folders.Manifest(FAMILY)
    about = manifest.about
    try:
        mode = _MODES[about["mode"]]
        specs = {block: str(about[block]["spec"]) for block in BLOCKS}
        stated = {block: str(about[block]["revision"]) for block in BLOCKS}
        share = float(about.get("share", DEFAULT_SHARE))
        dim = int(about["dim"]) if mode == SHARED else 0
        fitted = {block: _sizes(about["pca"][block]) for block in BLOCKS if block in about.get("pca", {})}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFilesError(
            f"The model {folder} does not say what it is made of: {error!r} in {_folders.MANIFEST}. {_AGAIN}"
        ) from error
    cards = {block: _unchanged(folder, specs[block], block, stated[block], settings) for block in BLOCKS}
    for block, (before, _) in fitted.items():
        if before != cards[block].dim:
            raise ModelFilesError(
                f"The model {folder} was fitted on vectors of {before}, but those of {specs[block]} have "
                f"{cards[block].dim}. {_AGAIN}"
            )
    files = _files(mode, fitted)
    return Recipe(
        image=cards["image"],
        text=cards["text"],
        name=_folders.name_of(folder, settings),
        revision=_folders.revision(folder, files, json.dumps(about, sort_keys=True)),
        share=checked_share(share),
        mode=mode,
        dim=dim,
        folder=folder,
        fitted=fitted,
        licence=manifest.licence,
        source=manifest.source,
        size_mb=_folders.size_mb(folder, files),
    )


def _files(mode: Mode, fitted: Mapping[str, Any]) -> list[str]:
    return [*HEADS.values()] if mode == SHARED else [name for block in fitted for name in arrays(block)]


def _sizes(entry: Any) -> tuple[int, int]:
    before, after = entry
    if not 0 < int(after) <= int(before):
        raise ValueError(f"{after} axes of {before}")
    return int(before), int(after)


def _unchanged(folder: Path, spec: str, block: str, stated: str, settings: Settings) -> EncoderCard:
    """A component's card. Raises ModelFilesError when it is no longer the model that the folder was made with."""
    card = component(spec, "image" if block == "image" else "text", settings)
    if card.installed and card.revision != stated:
        raise ModelFilesError(
            f"The model {folder} was made with {card.name}@{stated}, but {card.name} is now {card.revision}. "
            "Make it again with `picfind models fit-joint`, or bring the old files back."
        )
    return card
