"""Synthetic copies of photos, each made by one kind of change that people and programs make: for `benchmarks.duplicates`.

Every change is drawn from a generator that is seeded by the photo's name and the kind, so a run can be repeated.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

Random = np.random.Generator
Change = Callable[[Image.Image, Random], Image.Image]

QUALITY = 88
"""Of the JPEG that a copy is saved as, where its kind says nothing else."""


def write_copies(photos: list[Path], folder: Path, kinds: tuple[str, ...]) -> None:
    """Write a copy of each photo for each kind as `folder/KIND/NAME.jpg`; those that are there stay."""
    for photo in photos:
        wanted = {kind: folder / kind / f"{photo.stem}.jpg" for kind in kinds}
        if all(path.exists() for path in wanted.values()):
            continue
        with Image.open(photo) as opened:
            picture = opened.convert("RGB")
        for kind, path in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            random = np.random.default_rng(zlib.crc32(f"{kind}/{photo.name}".encode()))
            CHANGES[kind](picture, random).save(path, "JPEG", quality=_QUALITIES.get(kind, QUALITY))


def _same(picture: Image.Image, random: Random) -> Image.Image:
    return picture


def _scaled(scale: float) -> Change:
    def change(picture: Image.Image, random: Random) -> Image.Image:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        return picture.resize(size, Image.Resampling.LANCZOS)

    return change


def _cropped(width: float, height: float) -> Change:
    """Keeps these shares of the width and height, at any place."""

    def change(picture: Image.Image, random: Random) -> Image.Image:
        size = round(picture.width * width), round(picture.height * height)
        left = int(random.integers(0, picture.width - size[0] + 1))
        top = int(random.integers(0, picture.height - size[1] + 1))
        return picture.crop((left, top, left + size[0], top + size[1]))

    return change


def _squared(picture: Image.Image, random: Random) -> Image.Image:
    """The middle square, as sites make it, where that keeps at least 60 % of the area; else as much as that."""
    width, height = picture.size
    side = min(width, height)
    keep = max(side, round(0.6 * max(width, height)))
    wide, high = (keep, height) if width > height else (width, keep)
    left, top = (width - wide) // 2, (height - high) // 2
    return picture.crop((left, top, left + wide, top + high))


def _turned(method: Image.Transpose) -> Change:
    return lambda picture, random: picture.transpose(method)


def _brightened(factor: float) -> Change:
    return lambda picture, random: ImageEnhance.Brightness(picture).enhance(factor)


def _contrasted(factor: float) -> Change:
    return lambda picture, random: ImageEnhance.Contrast(picture).enhance(factor)


def _written_on(picture: Image.Image, random: Random) -> Image.Image:
    """Two lines of text, 5 % of the height each, in a random place: 3 to 6 % of the area."""
    written = picture.copy()
    size = max(10, picture.height // 20)
    place = (
        int(random.integers(0, max(1, picture.width // 2))),
        int(random.integers(0, max(1, picture.height - 3 * size))),
    )
    ImageDraw.Draw(written).multiline_text(
        place,
        "holiday 2019\n@somebody",
        font=ImageFont.load_default(size),
        fill="white",
        stroke_width=max(1, size // 12),
        stroke_fill="black",
    )
    return written


def _grey(picture: Image.Image, random: Random) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _tilted(degrees: float) -> Change:
    """Turned by a few degrees, corners black."""
    return lambda picture, random: picture.rotate(degrees, Image.Resampling.BICUBIC)


def _framed(picture: Image.Image, random: Random) -> Image.Image:
    """A white border of 5 % of the longer side all round."""
    edge = round(0.05 * max(picture.size))
    framed = Image.new("RGB", (picture.width + 2 * edge, picture.height + 2 * edge), "white")
    framed.paste(picture, (edge, edge))
    return framed


def _after(*changes: Change) -> Change:
    def change(picture: Image.Image, random: Random) -> Image.Image:
        for step in changes:
            picture = step(picture, random)
        return picture

    return change


_MIRROR, _QUARTER = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90
_SIDE_OF_AREA = 0.7**0.5

CHANGES: dict[str, Change] = {
    "quality 20": _same,
    "quality 50": _same,
    "quality 90": _same,
    "scale .3": _scaled(0.3),
    "scale .6": _scaled(0.6),
    "scale .3, quality 20": _scaled(0.3),
    "crop, 90 % of each side": _cropped(0.9, 0.9),
    "crop, 70 % of the area": _cropped(_SIDE_OF_AREA, _SIDE_OF_AREA),
    "crop, 70 % of the width": _cropped(0.7, 1),
    "crop, 70 % of the height": _cropped(1, 0.7),
    "crop, 70 % of each side": _cropped(0.7, 0.7),
    "crop to a square": _squared,
    "mirrored": _turned(_MIRROR),
    "upside down, mirrored": _turned(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned 90": _turned(_QUARTER),
    "turned 180": _turned(Image.Transpose.ROTATE_180),
    "turned 270": _turned(Image.Transpose.ROTATE_270),
    "brightness .6": _brightened(0.6),
    "brightness 1.5": _brightened(1.5),
    "contrast .6": _contrasted(0.6),
    "text": _written_on,
}
"""The kinds that count towards the recall."""
HARDER: dict[str, Change] = {
    "grey": _grey,
    "text, crop of 80 %, scale .5": _after(_written_on, _cropped(0.8, 0.8), _scaled(0.5)),
    "crop of 80 %, mirrored": _after(_cropped(0.8, 0.8), _turned(_MIRROR)),
    "crop of 80 %, turned 90": _after(_cropped(0.8, 0.8), _turned(_QUARTER)),
    "crop, 50 % of each side": _cropped(0.5, 0.5),
    "white frame": _framed,
    "tilted 2 degrees": _tilted(2),
    "tilted 10 degrees": _tilted(10),
}
"""What is measured beside them: combinations, and what is likely to be missed."""
CHANGES = {**CHANGES, **HARDER}
COUNTED = tuple(kind for kind in CHANGES if kind not in HARDER)
_QUALITIES = {"quality 20": 20, "quality 50": 50, "quality 90": 90, "scale .3, quality 20": 20}
