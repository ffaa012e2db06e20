"""What the JSON files of a folder say of its vectors and of how its pictures are prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picfind.encoders._clip.graph import HINT
from picfind.encoders._folders import read_json
from picfind.encoders._preprocess import INTERPOLATIONS, MODES, Preprocess
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Those of OpenAI's CLIP, which open_clip takes where none are stated."""


def embed_dim(folder: Path) -> int:
    """How many numbers a vector has. Raises ModelFilesError when `config.json` does not say."""
    found = read_json(folder / "config.json").get("embed_dim")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ModelFilesError(
            f"{folder / 'config.json'}: embed_dim is {found!r}, a whole number is wanted. {HINT}"
        )
    return found


def read_preprocess(folder: Path) -> Preprocess:
    """How pictures are prepared. Raises ModelFilesError for a choice that is missing or not known.

    Mean and std, interpolation and resize_mode may be missing, as in open_clip: OpenAI's numbers, bicubic, shortest.
    """
    path = folder / "visual" / "preprocess_cfg.json"
    found = read_json(path)
    interpolation = str(found.get("interpolation") or "bicubic").lower()
    mode = str(found.get("resize_mode") or "shortest").lower()
    if interpolation == "random":  # of training; open_clip evaluates such models with bicubic
        interpolation = "bicubic"
    for name, value, known in (
        ("interpolation", interpolation, INTERPOLATIONS),
        ("resize_mode", mode, MODES),
    ):
        if value not in known:
            raise ModelFilesError(
                f"{path}: {name} {value!r} is not known; known are {', '.join(known)}. {HINT}"
            )
    return Preprocess(
        size=_size(path, found.get("size")),
        mode=next(entry for entry in MODES if entry == mode),
        mean=_channels(path, "mean", found.get("mean", MEAN)),
        std=_channels(path, "std", found.get("std", STD)),
        interpolation=next(entry for entry in INTERPOLATIONS if entry == interpolation),
    )


def _size(path: Path, found: Any) -> tuple[int, int]:
    """(height, width) of one number or a list of one or two."""
    sides = found if isinstance(found, list) else [found]
    if len(sides) not in (1, 2) or not all(_whole(side) for side in sides):
        raise ModelFilesError(
            f"{path}: size is {found!r}; a number of pixels or [height, width] is wanted. {HINT}"
        )
    return sides[0], sides[-1]


def _whole(side: Any) -> bool:
    return isinstance(side, int) and not isinstance(side, bool) and 0 < side <= 4096


def _channels(path: Path, name: str, found: Any) -> tuple[float, float, float]:
    """A number for each of red, green and blue; one number stands for all three."""
    values = list(found) if isinstance(found, list | tuple) else [found] * 3
    if len(values) != 3 or not all(_number(value) for value in values) or (name == "std" and 0 in values):
        raise ModelFilesError(f"{path}: {name} is {found!r}; three numbers are wanted. {HINT}")
    return float(values[0]), float(values[1]), float(values[2])


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
