"""Writes what is said of a model of this family: card.json, and the model card of the one that comes with picfind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picfind.encoders.builtin import CARD, FAMILY, IMAGE_SIZE, MODEL_FILES, read_table, revision_of
from picfind.training.builtin.parts import Part, table
from picfind.training.publishing import TERMS

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED_LICENCE = "Apache-2.0; learned in part from photos for non-commercial use (see the note)"
SHIPPED_NOTE = (
    "Learned from photos with captions: Flickr8k (non-commercial research and education), COCO (captions CC BY 4.0; each "
    "photo under its owner's Flickr licence, many NonCommercial) and 2,676 pictures of other kinds (MIT, CC0, Unlicense, "
    "research only, or not stated). builtin-open is the same files without what was learned from them."
)
_SOURCE = "EfficientNet-Lite2 (ImageNet) and all-MiniLM-L6-v2, joined by picfind"


def write_card(
    folder: Path, parts: list[Part], *, licence: str = TERMS, note: str = "Learned by a recipe of picfind."
) -> None:
    """card.json, with the revision of the files as they are now."""
    write_rows(folder, table(parts), licence=licence, note=note)


def write_rows(folder: Path, rows: list[dict[str, Any]], *, licence: str, note: str) -> None:
    """The same with parts as `table` or `encoders.builtin.read_table` give them."""
    content = {"card": _card(folder, rows, licence, note), "parts": rows}
    (folder / CARD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _card(folder: Path, rows: list[dict[str, Any]], licence: str, note: str) -> dict[str, Any]:
    size = sum((folder / name).stat().st_size for name in MODEL_FILES)
    return {
        "name": FAMILY,
        "family": FAMILY,
        "revision": revision_of(folder),
        "dim": sum(row["dim"] for row in rows),
        "licence": licence,
        "source": _SOURCE,
        "size_mb": round(size / 1e6, 1),
        "image_size": IMAGE_SIZE,
        "languages": ["en"],
        "batch_size": 1,
        "note": note,
    }


def write_shipped(folder: Path, figures: Mapping[str, str]) -> None:
    """The cards of the model that comes with picfind: card.json with its terms, and MODEL_CARD.md.

    `figures` are those that the template names besides `revision`, `size` and `parts`. Raises KeyError for one that lacks.
    """
    rows = read_table(folder)
    write_rows(folder, rows, licence=SHIPPED_LICENCE, note=SHIPPED_NOTE)
    told = json.loads((folder / CARD).read_text(encoding="utf-8"))["card"]
    template = (Path(__file__).parent / "MODEL_CARD.template.md").read_text(encoding="utf-8")
    known = {**figures, "revision": told["revision"], "size": str(told["size_mb"]), "parts": _markdown(rows)}
    (folder / "MODEL_CARD.md").write_text(template.format_map(known), encoding="utf-8")


def _markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| part | offset | dim | length in a picture | length in words | what it is |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['offset']} | {row['dim']} | {row['weight']:.4f} | {row['text_weight']:.4f} "
        f"| {row['about']} |"
        for row in rows
    ]
    return "\n".join(lines)
