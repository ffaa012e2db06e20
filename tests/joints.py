"""What the tests of joint models share: toy components, rows of one thing, and folders to damage."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from picfind import encoders
from picfind.datasets.folder import Folder
from picfind.encoders import _folders
from picfind.encoders.base import Encoder
from picfind.models.fit_joint import Fitted, fit_joint
from picfind.settings import Settings
from picfind.testing import toy_encoder
from picfind.types import Floats, Item
from tests.photos import write_photo

COLOURS = ("red", "green", "blue", "yellow", "magenta", "cyan", "white", "black")


def pictures_only() -> Encoder:
    """The toy encoder without its words."""
    toy = toy_encoder("toy-pictures")
    return replace(toy, text=None, card=replace(toy.card, towers=("image",)))


def words_only() -> Encoder:
    toy = toy_encoder("toy-words")
    return replace(toy, image=None, card=replace(toy.card, towers=("text",), image_size=None))


def pair(encoder: Encoder, picture: Image.Image | None, *texts: str) -> Floats:
    assert encoder.pair is not None
    row: Floats = encoder.pair.encode([encoder.pair.prepare((picture, texts))])[0]
    return row


def image(encoder: Encoder, picture: Image.Image) -> Floats:
    row: Floats = encoder.encode_images([picture])[0]
    return row


def text(encoder: Encoder, words: str) -> Floats:
    row: Floats = encoder.encode_texts([words])[0]
    return row


def photos_in(folder: Path, count: int) -> Path:
    for seed in range(count):
        write_photo(folder / f"{seed:03}.png", colour=COLOURS[seed % len(COLOURS)], seed=seed)
    return folder


def items(folder: Path) -> list[Item]:
    return [entry for entry in Folder(folder).items() if isinstance(entry, Item)]


def fit(tmp_path: Path, *, name: str = "mine", dims: int = 12, count: int = 16, **more: Any) -> Fitted:
    found = items(photos_in(tmp_path / "photos", count))
    return fit_joint(
        found,
        image=more.pop("image", "builtin-image"),
        text="minilm",
        dims=dims,
        name=name,
        settings=models(tmp_path),
        **more,
    )


def models(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "models",), workers=2)


def copied(fitted: Path, tmp_path: Path) -> Path:
    shutil.copytree(fitted / "models", tmp_path / "models")
    return tmp_path / "models" / "mine"


def rewrite(folder: Path, **about: Any) -> None:
    """Change what the folder says of itself; None takes a word out."""
    manifest = _folders.read_manifest(folder)
    assert manifest is not None
    told = {name: value for name, value in {**manifest.about, **about}.items() if value is not None}
    _folders.write_manifest(folder, replace(manifest, about=told))


def loaded(tmp_path: Path) -> Encoder:
    return encoders.load("mine", models(tmp_path))


def kept(spec: str, where: Settings, known: dict[Any, Encoder] = {}) -> Encoder:  # noqa: B006  (each loaded once)
    if (spec, where) not in known:
        known[spec, where] = encoders.load(spec, where)
    return known[spec, where]
