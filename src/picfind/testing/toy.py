"""A tiny real encoder for tests: colours in a 4 x 4 grid, and the words for them. Milliseconds, no files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from picfind.encoders.base import Encoder, EncoderCard
from picfind.types import Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SIDE = 4
_COLOURS = _SIDE * _SIDE * 3
_TRACE = 15
_DIM = _COLOURS + 1 + _TRACE
_BIAS = 0.5
"""Keeps pictures apart that differ only in how strong their colours are, and grey away from the zero vector."""
_TRACE_SIZE = 0.05
"""Small beside colours, enough to tell apart what has the same ones."""
_WORDS = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 1, 0),
    "magenta": (1, 0, 1),
    "cyan": (0, 1, 1),
    "white": (1, 1, 1),
    "black": (0, 0, 0),
    "grey": (0.5, 0.5, 0.5),
    "gray": (0.5, 0.5, 0.5),
}


def toy_encoder(name: str = "toy", *, revision: str = "000000000001") -> Encoder:
    """A deterministic encoder of dim 64 with an image and a text tower in one space.

    It looks at the mean colours of a 4 x 4 grid, and a little at a hash of the pixels, so that different pictures have
    different vectors. It knows ten words for colours and adds those that a sentence has; another text points nowhere
    in particular. `name` and `revision` make as many spaces as a test needs; the vectors are the same in all.
    """
    card = EncoderCard(
        name=name,
        family="toy",
        revision=revision,
        dim=_DIM,
        licence="MIT",
        source="picfind.testing",
        size_mb=0.0,
        image_size=_SIDE,
        languages=("en",),
        batch_size=4,
    )
    return Encoder(card, image=ToyImages(), text=ToyWords(), decode_size=64)


def toy_words(name: str = "toy-words", *, revision: str = "000000000001") -> Encoder:
    """The text tower of `toy_encoder` alone: a space of words."""
    whole = toy_encoder(name, revision=revision)
    card = replace(whole.card, image_size=None, towers=("text",))
    return Encoder(card, text=whole.text, decode_size=whole.decode_size)


def toy_pair(name: str = "toy-pair", *, revision: str = "000000000001") -> Encoder:
    """Pictures joined with their words, dim 128: half of a score is that of the pictures, half that of the words."""
    whole = toy_encoder(name, revision=revision)
    card = replace(whole.card, dim=2 * _DIM, towers=("image", "text", "pair"))
    image, text = _Half(ToyImages(), 0), _Half(ToyWords(), 1)
    return Encoder(card, image=image, text=text, pair=ToyPairs(), decode_size=whole.decode_size)


class ToyPairs:
    """A picture and its words, either of which may be missing: its half of the row is zeros then."""

    def prepare(self, pair: tuple[Image.Image | None, tuple[str, ...]], /) -> Floats:
        """Both halves, weighted: (128,)."""
        image, texts = pair
        row = np.zeros((2, _DIM), np.float32)
        if image is not None:
            row[0] = _unit_rows([ToyImages().prepare(image)])[0]
        if texts:
            row[1] = _unit_rows([ToyWords().prepare(" ".join(texts))])[0]
        return cast(Floats, np.float32(np.sqrt(0.5)) * row.ravel())

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        """Rows of length 1 or, where a part is missing, less: (n, 128)."""
        return np.array(batch, np.float32).reshape(-1, 2 * _DIM)


class _Half:
    """One modality by itself, in its half of a pair's row."""

    def __init__(self, tower: ToyImages | ToyWords, half: int) -> None:
        self._tower: Any = tower
        self._half = half

    def prepare(self, item: Any, /) -> Floats:
        return cast(Floats, self._tower.prepare(item))

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        rows = np.zeros((len(batch), 2, _DIM), np.float32)
        rows[:, self._half] = self._tower.encode(batch)
        return rows.reshape(-1, 2 * _DIM)


class ToyImages:
    """Upright pictures to colours."""

    def prepare(self, picture: Image.Image, /) -> Floats:
        """The mean colours of the grid, centred, and the trace of the pixels: (64,)."""
        picture = picture.convert("RGB")
        grid = np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32) / 255
        seen = repr(picture.size).encode() + picture.tobytes()
        return _vector(grid.ravel() - 0.5, seen)

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        """Unit rows (n, 64)."""
        return _unit_rows(batch)


class ToyWords:
    """Names of colours to the vectors of such pictures."""

    def prepare(self, text: str, /) -> Floats:
        """The mean of the colours that the text names: (64,)."""
        named = [_WORDS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _WORDS]
        if not named:
            return _vector(np.zeros(_COLOURS, np.float32), text.encode("utf-8", "backslashreplace"))
        mean = np.mean(np.array(named, np.float32), axis=0) - 0.5
        return _vector(np.tile(mean, _SIDE * _SIDE), b"")

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        """Unit rows (n, 64)."""
        return _unit_rows(batch)


def _vector(colours: NDArray[Any], seen: bytes) -> Floats:
    trace = (
        np.frombuffer(hashlib.sha256(seen).digest()[:_TRACE], np.uint8) if seen else np.full(_TRACE, 127.5)
    )
    return np.concatenate([colours, [_BIAS], _TRACE_SIZE * (trace / 127.5 - 1)]).astype(np.float32)


def _unit_rows(batch: Sequence[Floats]) -> Floats:
    rows = np.array(batch, np.float64).reshape(-1, _DIM)
    return cast(Floats, (rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))).astype(np.float32))
