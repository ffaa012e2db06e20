"""A trained model as a folder that its family reads, with a model card, so that it is used like any other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from picfind import __version__, encoders
from picfind.encoders._folders import Manifest, home, write_manifest
from picfind.encoders._joint.recipe import FAMILY as JOINT
from picfind.encoders._joint.recipe import HEADS, SHARED
from picfind.encoders.base import EncoderCard
from picfind.settings import Settings
from picfind.training.export import aside, check_free, hold
from picfind.training.folders import compare_pair, write_pair
from picfind.training.originals import Pair
from picfind.training.validation import Figures

CARD = "README.md"
TERMS = "not stated; learned from other people's photos and captions, whose terms apply"


@dataclass(frozen=True, slots=True)
class About:
    """What a model card says of how a model came to be."""

    name: str
    method: str
    """A few sentences."""
    sources: tuple[str, ...]
    pictures: int
    captions: int
    judged_by: int
    """Pictures that the figures are of."""
    figures: Figures
    recipe: str
    """As JSON."""
    steps: int
    licence: str = TERMS
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A trained model, in its place."""

    name: str
    folder: Path
    figures: Figures
    notes: tuple[str, ...] = ()


def publish_pair(pair: Pair, about: About, settings: Settings) -> Published:
    """Two torch towers as a folder of the family `clip`. Raises ModelFilesError when its rows are not the towers' own."""

    def fill(inside: Path) -> str:
        write_pair(pair, inside, "fp32")
        write_manifest(inside, Manifest("clip"))
        loaded = encoders.load(str(inside), replace(settings, device="cpu"))
        hold("fp32", *compare_pair(pair, loaded))
        return "clip"

    return publish(fill, about, settings)


def publish_heads(
    heads: Mapping[str, Callable[[Path], None]],
    cards: Mapping[str, EncoderCard],
    about: About,
    settings: Settings,
    *,
    dim: int,
) -> Published:
    """Projections of two models as a folder of the family `joint`.

    `heads` and `cards` are by `image` and `text`: what writes a head's graph, and the model whose rows it takes.
    """
    parts = {part: {"spec": card.name, "revision": card.revision} for part, card in cards.items()}

    def fill(inside: Path) -> str:
        for part, write in heads.items():
            write(inside / HEADS[part])
        return JOINT

    return publish(fill, about, settings, {"mode": SHARED, "dim": dim, **parts})


def publish(
    fill: Callable[[Path], str], about: About, settings: Settings, told: Mapping[str, Any] | None = None
) -> Published:
    """Fill a folder, sign it and put it in its place in the last folder of models; `fill` gives its family.

    Raises UsageError for a name that is taken, EncoderError when it cannot be written. It appears whole or not at all.
    """
    check_free(about.name, settings)
    with aside(home(settings), about.name) as (inside, place):
        family = fill(inside)
        (inside / CARD).write_text(card(about), encoding="utf-8")
        source = f"trained by picfind {__version__} on {', '.join(about.sources)}"
        write_manifest(inside, Manifest(family, about.licence, source, about=told or {}))
        place()
    return Published(about.name, home(settings) / about.name, about.figures, about.notes)


def card(about: About) -> str:
    """The model card, in Markdown: what it learned from, how, under which terms, how good it is and is not."""
    rows = [f"| {name} | {value:.3f} |" for name, value in about.figures.items() if name != "step"]
    recipe = json.dumps(json.loads(about.recipe), ensure_ascii=False, indent=2)
    return "\n".join([
        f"# {about.name}", "", about.method, "",
        "## Data", "",
        f"{about.pictures:,} pictures with {about.captions:,} captions; judged by {about.judged_by:,} others:", "",
        *(f"- `{source}`" for source in about.sources), "",
        "## Terms", "", f"{about.licence}.", "",
        "## Figures", "", f"After {about.steps:,} steps, on the {about.judged_by:,} pictures that it did not learn from:", "",
        "| measure | value |", "|---|---|", *rows, "",
        *_section("Notes", about.notes),
        "## Limits", "",
        ("It knows what its pictures and captions showed, and shares what they are blind to. Figures on other pictures "
        "differ: `picfind evaluate` measures them."), "",
        "## Recipe", "", "```json", recipe, "```", "",
    ])  # fmt: skip


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {line}" for line in lines), ""] if lines else []
