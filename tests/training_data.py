"""Small pictures with captions to learn from: a colour each, said in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.photos import write_photo

COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange", "purple")

TINY: Mapping[str, Any] = {
    "kind": "clip",
    "dim": 8,
    "picture": {"size": 16, "patch": 8, "width": 16, "layers": 1, "heads": 2},
    "words": {"vocabulary": 280, "length": 8, "width": 16, "layers": 1, "heads": 2},
    "schedule": {"epochs": 3, "batch": 8, "rate": 3e-3, "checkpoint": 2},
}
"""A recipe that is trained in a second."""


def write_captions(folder: Path, *, count: int = 24, split: str = "train", seed: int = 0) -> str:
    """So many pictures and a table of captions; the source's name."""
    rows = []
    for at in range(count):
        colour = COLOURS[at % len(COLOURS)]
        name = f"{split}{at:03}.png"
        write_photo(folder / name, colour=colour, seed=seed + at)
        rows.append({"image": name, "captions": [f"all {colour} number {at}", f"a {colour} picture"]})
    table = folder / f"{split}.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"table:{table}"


def write_recipe(path: Path, content: Mapping[str, Any] = TINY) -> Path:
    """A recipe as TOML: sections of plain values."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for key, section in content.items():
        if isinstance(section, dict):
            lines += [f"[{key}]", *(f"{name} = {json.dumps(value)}" for name, value in section.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
