"""Looks at a model's folder: what is missing or odd, and whether it encodes a picture and a sentence."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from picfind import encoders, plugins
from picfind.encoders import _folders
from picfind.errors import EncoderError, ModelFilesError

if TYPE_CHECKING:
    from picfind.encoders.base import Encoder
    from picfind.settings import Settings
    from picfind.types import Floats

_RED, _BLUE = "a red picture", "a blue picture"


@dataclass(frozen=True, slots=True)
class Check:
    """What was found. Without `problems` the model can be used; `measured` says what was tried, a line each."""

    problems: tuple[str, ...]
    measured: tuple[str, ...] = ()


def check(spec: str, settings: Settings) -> Check:
    """Look at the files of a model, then load it and encode with it.

    Raises UnknownModelError for a name or path where there is no model.
    """
    folder = _folders.named(spec, settings)
    problems = _file_problems(folder) if folder is not None else []
    if problems:
        return Check(tuple(problems))
    try:
        encoder = encoders.load(spec, settings)
        return Check((), tuple(_measure(encoder)))
    except (ModelFilesError, _OddError) as error:
        return Check((str(error),))


class _OddError(EncoderError):
    """The model runs, but what it gives is not what its card says."""


def _file_problems(folder: Path) -> list[str]:
    """What the files alone show: against `picfind.json`, and what the family knows of its layout."""
    found = []
    try:
        manifest = _folders.read_manifest(folder)
    except ModelFilesError as error:
        return [str(error)]
    for name, digest in (manifest.files if manifest else {}).items():
        if not os.path.isfile(folder / name):
            found.append(f"{name} is missing, but {_folders.MANIFEST} lists it")
        elif _folders.digest(folder / name, anew=True) != digest:
            found.append(f"{name} is not what was pulled or exported: its SHA-256 is another one")
    for _, family in plugins.load_all("encoders"):
        if getattr(family, "is_ours", None) and hasattr(family, "problems") and family.is_ours(folder):
            found += [line for line in family.problems(folder) if line not in found]
    return found


def _measure(encoder: Encoder) -> list[str]:
    """Encode and time. Raises _OddError when the vectors are not what the card says."""
    card = encoder.card
    lines = [f"model     {card.name}@{card.revision}, {card.family}, {card.licence}, {card.size_mb:,.1f} MB"]
    red, blue = (Image.new("RGB", (640, 480), colour) for colour in ("red", "blue"))
    pictures = texts = None
    if encoder.image is not None:
        pictures, ms = _timed(lambda: encoder.encode_images([red, blue]), card.dim)
        lines.append(f"pictures  {card.dim} numbers, {ms:,.0f} ms each")
    if encoder.text is not None:
        texts, ms = _timed(lambda: encoder.encode_texts([_RED, _BLUE]), card.dim)
        lines.append(f"words     {card.dim} numbers, {ms:,.0f} ms each")
    if pictures is not None and texts is not None:
        near, far = pictures[0] @ texts[0], pictures[0] @ texts[1]
        lines.append(f"cosine    of a red picture with {_RED!r} {near:.3f}, with {_BLUE!r} {far:.3f}")
    return lines


def _timed(encode: Callable[[], Floats], dim: int) -> tuple[Floats, float]:
    """Two rows and the milliseconds for each, after one run to warm up."""
    encode()
    start = time.perf_counter()
    rows = encode()
    passed = time.perf_counter() - start
    if rows.shape != (2, dim) or not np.isfinite(rows).all():
        raise _OddError(
            f"The model gives {rows.shape} numbers for two inputs; (2, {dim}) are what its card says."
        )
    return rows, passed * 500
