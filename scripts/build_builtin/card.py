"""Writes card.json and MODEL_CARD.md beside the model's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from parts import Part, table

from picfind.encoders.builtin import IMAGE_SIZE, MODEL_FILES, revision_of

_NOTE = (
    "Words find pictures through 1,000 class names (ConSE), nothing was trained on captioned photos. "
    "builtin-open is the same model in this version."
)
_SOURCE = "EfficientNet-Lite2 (ImageNet) and all-MiniLM-L6-v2, joined by picfind"


def write_card(folder: Path, parts: list[Part]) -> None:
    """card.json, with the revision of the files as they are now, and MODEL_CARD.md."""
    rows = table(parts)
    content = {"card": _card(folder, rows), "parts": rows}
    (folder / "card.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    text = (Path(__file__).parent / "MODEL_CARD.template.md").read_text(encoding="utf-8")
    text = text.replace("{revision}", content["card"]["revision"]).replace("{parts}", _markdown(rows))
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")


def _card(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    size = sum((folder / name).stat().st_size for name in MODEL_FILES)
    return {
        "name": "builtin",
        "family": "builtin",
        "revision": revision_of(folder),
        "dim": sum(row["dim"] for row in rows),
        "licence": "Apache-2.0",
        "source": _SOURCE,
        "size_mb": round(size / 1e6, 1),
        "image_size": IMAGE_SIZE,
        "languages": ["en"],
        "batch_size": 1,
        "note": _NOTE,
    }


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
