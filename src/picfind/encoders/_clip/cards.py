"""What is known of published models before they are pulled: where they lie, their terms, and how good they are.

Sizes are those of the published parameters at four bytes each with the tokenizer, rounded; `models pull` says the true
one. Figures of recall are text-to-image, in per cent, and only such as their source states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from picfind.encoders.base import EncoderCard

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER = "immich-app"
"""Who publishes the ONNX folders on the hub."""
FAMILY = "clip"

_OPEN_CLIP = "open_clip, docs/openclip_retrieval_results.csv"
_BIG_VISION = "big_vision, README_siglip2.md"
_SIGLIP2 = "Trained on WebLI, whose texts are in 109 languages."
_MANY = ("multilingual",)


@dataclass(frozen=True, slots=True)
class Known:
    """A published model."""

    licence: str
    dim: int
    image_size: int
    size_mb: float
    languages: tuple[str, ...]
    recall: Mapping[str, float] = field(default_factory=dict)
    recall_source: str = ""
    note: str = ""


KNOWN: dict[str, Known] = {
    "ViT-B-32-SigLIP2-256__webli": Known(
        licence="Apache-2.0",
        dim=768,
        image_size=256,
        size_mb=1540,
        languages=_MANY,
        recall={"COCO hit_at(1)": 47.2},
        recall_source=_BIG_VISION,
        note="Fast and good: the first to try. " + _SIGLIP2,
    ),
    "ViT-B-16-SigLIP2__webli": Known(
        licence="Apache-2.0",
        dim=768,
        image_size=224,
        size_mb=1540,
        languages=_MANY,
        recall={"COCO hit_at(1)": 52.1},
        recall_source=_BIG_VISION,
        note="Better, and slower for each picture. " + _SIGLIP2,
    ),
    "ViT-SO400M-16-SigLIP2-384__webli": Known(
        licence="Apache-2.0",
        dim=1152,
        image_size=384,
        size_mb=4580,
        languages=_MANY,
        recall={"COCO hit_at(1)": 56.0},
        recall_source=_BIG_VISION,
        note="The best of these; wants a graphics card or much time. " + _SIGLIP2,
    ),
    "ViT-B-32__openai": Known(
        licence="MIT",
        dim=512,
        image_size=224,
        size_mb=610,
        languages=("en",),
        recall={"COCO hit_at(1)": 30.4, "Flickr30k hit_at(1)": 58.8},
        recall_source=_OPEN_CLIP,
        note="The first CLIP, which many tools use: small and fast, to compare with.",
    ),
    "XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k": Known(
        licence="MIT",
        dim=512,
        image_size=224,
        size_mb=1480,
        languages=_MANY,
        recall={"COCO hit_at(1)": 37.8, "Flickr30k hit_at(1)": 64.5},
        recall_source=_OPEN_CLIP,
        note="Words in the hundred languages of XLM-RoBERTa.",
    ),
    "nllb-clip-base-siglip__mrl": Known(
        licence="CC-BY-NC-4.0",
        dim=768,
        image_size=384,
        size_mb=2060,
        languages=_MANY,
        note=(
            "Not recommended: its terms, like those of the NLLB weights in it, forbid commercial use. Words in the 201 "
            "languages of FLORES-200, of which a query names its own."
        ),
    ),
}
"""By the name of the folder, the recommended ones first."""


def not_pulled(name: str) -> EncoderCard:
    """The card of a published model that is not here yet."""
    known = KNOWN[name]
    return EncoderCard(
        name=name,
        family=FAMILY,
        revision="",
        dim=known.dim,
        licence=known.licence,
        source=f"{OWNER}/{name}",
        size_mb=known.size_mb,
        image_size=known.image_size,
        languages=known.languages,
        note=known.note,
        installed=False,
        recall=known.recall,
        recall_source=known.recall_source,
    )
