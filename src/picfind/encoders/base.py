"""What an encoder is: a card that can be read without loading anything, and towers that turn things into vectors.

A family is one file of this folder (or a module that another package offers under the entry point group
`picfind.encoders`). Its name is the file's name. It offers three functions:

    cards(settings) -> Iterable[EncoderCard]      the models that it knows by name; loads no weights
    find(spec, settings) -> EncoderCard | None    the card for a name, folder or pipeline; loads no weights
    load(card, settings, *, role, language) -> Encoder

A family whose models are downloaded offers three more, which `picfind models pull` asks:

    repository(name) -> str | None          the hub's repository (`owner/name`) of a model that it knows by name
    wanted(files) -> list[str] | None       which of a repository's files make up a model of this family
    finish(folder, repository, settings)    what remains to be done to a fresh download, in place; may be missing
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from PIL import Image

from picfind.errors import EncoderError
from picfind.types import PAIR, PICTURE, WORDS, Floats, Space

T = TypeVar("T", contravariant=True)
Picturelike = str | Path | bytes | Image.Image
"""A picture as people have it: a path, the bytes of a file, or a Pillow image."""
Prepared = Any
"""What `prepare` makes and `encode` takes: an array or token ids, the tower's own affair."""

Role = Literal["document", "query"]
"""What is encoded: what is searched, or what it is searched with. Some models tell the two apart by a prefix."""


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What can be said of a model without loading it."""

    name: str
    family: str
    revision: str
    """12 hex digits of a SHA-256 over the model's files, its preprocessing and its decoding."""
    dim: int
    licence: str
    source: str
    size_mb: float
    image_size: int | None
    """Side in pixels of the square that the image tower takes, None without an image tower."""
    languages: tuple[str, ...] = ()
    batch_size: int = 1
    """Pictures in one call of `encode` that suit it best where it runs."""
    note: str = ""
    towers: tuple[str, ...] = ("image", "text")
    """Which towers it has, of `image`, `text` and `pair`."""
    installed: bool = True
    """False: known by name only; it must be pulled before it can be loaded, and has no revision yet (an empty one)."""
    recall: Mapping[str, float] = field(default_factory=dict)
    """Published text-to-image hit_at(k) in per cent, such as {"COCO hit_at(1)": 47.2}."""
    recall_source: str = ""

    @property
    def space(self) -> Space:
        """The space that its vectors live in."""
        return Space(self.name, self.revision, self.dim)

    @property
    def kind(self) -> str:
        """What its vectors of a gallery stand for: pictures, words, or pairs of both."""
        return PAIR if "pair" in self.towers else PICTURE if "image" in self.towers else WORDS


class Tower(Protocol[T]):
    """One modality of an encoder. Both methods may be called from several threads at once."""

    def prepare(self, item: T, /) -> Prepared:
        """The work of the CPU before the model: resize, normalise, tokenise. No state."""
        ...

    def encode(self, batch: Sequence[Prepared], /) -> Floats:
        """(n, dim) float32 of unit rows, in the order of the batch; (0, dim) for an empty one."""
        ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """A loaded model. An instance, never subclassed: what differs between models are the towers."""

    card: EncoderCard
    image: Tower[Image.Image] | None = None
    """Takes upright RGB pictures whose shorter side is at least `decode_size` pixels, where the original has them."""
    text: Tower[str] | None = None
    pair: Tower[tuple[Image.Image | None, tuple[str, ...]]] | None = None
    decode_size: int = 512
    """Shorter side in pixels that a decoder may scale down to; part of the revision."""
    on_accelerator: bool = False
    """False: several threads may each decode and encode. True: one thread should encode what others decoded."""

    @property
    def space(self) -> Space:
        """The space that its vectors live in."""
        return self.card.space

    @property
    def kind(self) -> str:
        """What its vectors of a gallery stand for: pairs where it can join, else pictures, else words."""
        return PAIR if self.pair else PICTURE if self.image else WORDS

    def encode_images(self, pictures: Iterable[Picturelike], *, batch_size: int | None = None) -> Floats:
        """(n, dim) float32, unit rows: the vectors of pictures, given as paths, bytes of files or Pillow images.

        Raises EncoderError without an image tower, PictureError for what is no picture.
        """
        if self.image is None:
            raise EncoderError(f"The model {self.card.name} encodes no pictures.")
        from picfind.images import open_picture

        opened = (open_picture(_source(entry), at_least=self.decode_size).image for entry in pictures)
        return encode_all(
            self.image, opened, dim=self.card.dim, batch_size=batch_size or self.card.batch_size
        )

    def encode_texts(self, texts: Iterable[str], *, batch_size: int | None = None) -> Floats:
        """(n, dim) float32, unit rows: the vectors of texts. Raises EncoderError without a text tower."""
        if self.text is None:
            raise EncoderError(f"The model {self.card.name} encodes no words.")
        return encode_all(self.text, texts, dim=self.card.dim, batch_size=batch_size or self.card.batch_size)


def _source(entry: Picturelike) -> Path | bytes | Image.Image:
    return Path(entry) if isinstance(entry, str) else entry


def encode_all(tower: Tower[T], items: Iterable[T], *, dim: int, batch_size: int) -> Floats:
    """Prepare and encode `items` in batches: (n, dim) float32, unit rows, in their order."""
    rows: list[Floats] = []
    batch: list[Prepared] = []
    for item in items:
        batch.append(tower.prepare(item))
        if len(batch) == batch_size:
            rows.append(tower.encode(batch))
            batch = []
    if batch:
        rows.append(tower.encode(batch))
    return np.concatenate(rows) if rows else np.empty((0, dim), np.float32)
