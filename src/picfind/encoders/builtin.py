"""The encoder that comes with picfind: pictures and words in one space, without a download and without torch.

The pictures' tower is EfficientNet-Lite2, the words' tower all-MiniLM-L6-v2; `builtin_model/MODEL_CARD.md` says how the
two were joined and how well that works. Both graphs carry everything from pixels or token ids to the finished unit row.

A vector is made of parts, which `card.json` lists: `conse` (384) is shared by pictures and words, `features` (256)
compares pictures with pictures and is zero for words. Parts that a later version learns join the same list.

`builtin-image` is the part `features` by itself, for picture to picture: the same files, rows of 256, no words.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from picfind.encoders import _folders
from picfind.encoders._onnx import Once, open_session, open_tokenizer, plain
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from picfind.settings import Settings
    from picfind.types import Floats

NAMES = ("builtin", "builtin-open")
"""Both name one space: no part is learned from captioned photos yet, so there is nothing that `builtin-open` leaves out."""
IMAGE_ONLY = "builtin-image"
FOLDER = Path(__file__).parent / "builtin_model"
IMAGE_SIZE = 260
DECODE_SIZE = 512
MODEL_FILES = ("image.onnx", "text.onnx", "tokenizer.json")
IMAGE_FILES = ("image.onnx",)
_FEATURES = "features"
PREPROCESSING = (
    f"upright RGB, shorter side {DECODE_SIZE} or more; squash to {IMAGE_SIZE}, antialiased bicubic; uint8"
)
"""How a picture becomes pixels, in words that change whenever it does: they are part of the revision."""


def cards(settings: Settings) -> Iterable[EncoderCard]:
    """The models of this family. Raises ModelFilesError when a card or the file behind it is missing or damaged."""
    return [read_card(FOLDER), read_image_card(FOLDER)]


def find(spec: str, settings: Settings) -> EncoderCard | None:
    """The card for `builtin`, `builtin-open` or `builtin-image`, else None."""
    if spec == IMAGE_ONLY:
        return read_image_card(FOLDER)
    return read_card(FOLDER) if spec in NAMES else None


def load(
    card: EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """The encoder; role and language make no difference. Raises ModelFilesError as `open_folder` does."""
    return open_images(FOLDER, card) if card.name == IMAGE_ONLY else open_folder(FOLDER, card)


def open_folder(folder: Path, card: EncoderCard) -> Encoder:
    """The encoder whose files lie in `folder`.

    A tower's files are opened when it is first used: a query in words never reads the pictures' model. Raises
    ModelFilesError when a file is missing; one that is damaged shows as ModelFilesError at that first use.
    """
    _require(folder, MODEL_FILES)
    image, text = _ImageTower(folder, card.dim), _TextTower(folder, card.dim)
    return Encoder(card=card, image=image, text=text, decode_size=DECODE_SIZE)


def open_images(folder: Path, card: EncoderCard) -> Encoder:
    """The encoder `builtin-image`, whose file lies in `folder`: that of the pictures alone. Raises as `open_folder`."""
    _require(folder, IMAGE_FILES)
    tower = _FeatureTower(_ImageTower(folder, read_card(folder).dim), _features(folder))
    return Encoder(card=card, image=tower, decode_size=DECODE_SIZE)


def read_card(folder: Path) -> EncoderCard:
    """The card in `folder`. Raises ModelFilesError when it is missing or damaged."""
    path = folder / "card.json"
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["card"]
        return EncoderCard(**{**fields, "languages": tuple(fields["languages"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def read_image_card(folder: Path) -> EncoderCard:
    """The card of `builtin-image`. Its revision depends on the pictures' model and on nothing else in `folder`.

    Raises ModelFilesError when a file is missing or damaged.
    """
    _require(folder, IMAGE_FILES)
    whole, part = read_card(folder), _features(folder)
    return replace(
        whole,
        name=IMAGE_ONLY,
        revision=_folders.revision(
            folder, IMAGE_FILES, f"{PREPROCESSING}; {part.start} to {part.stop}, unit"
        ),
        dim=part.stop - part.start,
        source="EfficientNet-Lite2 (ImageNet), its features as in builtin",
        size_mb=_folders.size_mb(folder, IMAGE_FILES),
        languages=(),
        note="Pictures with pictures only: the features of builtin without its words.",
        towers=("image",),
    )


def _features(folder: Path) -> slice:
    """Where the pictures' features lie in a vector of `builtin`. Raises ModelFilesError for a damaged card."""
    path = folder / "card.json"
    try:
        parts: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["parts"]
        (part,) = [part for part in parts if part["name"] == _FEATURES]
        return slice(int(part["offset"]), int(part["offset"]) + int(part["dim"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _require(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise ModelFilesError(f"The built-in model's file {folder / name} is missing. {_REINSTALL}")


def revision_of(folder: Path) -> str:
    """12 hex digits of a SHA-256 over the model's files and `PREPROCESSING`. Reads all of them: for builds and checks."""
    digest = hashlib.sha256(PREPROCESSING.encode())
    for name in MODEL_FILES:
        content = (folder / name).read_bytes()
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def squash(image: Image.Image) -> NDArray[np.uint8]:
    """The whole picture as (260, 260, 3) uint8 RGB: nothing is cut off, its proportions are not kept."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return np.asarray(rgb.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC), np.uint8)


class _ImageTower:
    """Upright RGB pictures to unit rows.

    Runs one picture at a time: on one thread a batch is no faster (22.5 ms a picture in eights, 21.0 alone), takes more
    memory, and would let a picture's vector depend on its neighbours in the last bit.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._dim = dim
        self._session = Once(lambda: open_session(folder / "image.onnx", hint=_REINSTALL))

    def prepare(self, item: Image.Image, /) -> NDArray[np.uint8]:
        return squash(item)

    def encode(self, batch: Sequence[NDArray[np.uint8]], /) -> Floats:
        rows = np.empty((len(batch), self._dim), np.float32)
        for at, pixels in enumerate(batch):
            rows[at] = self._session.get().run(None, {"pixels": pixels[None]})[0][0]
        return rows


class _FeatureTower:
    """Pictures to one part of a whole vector, rescaled to unit rows."""

    def __init__(self, whole: _ImageTower, part: slice) -> None:
        self._whole = whole
        self._part = part

    def prepare(self, item: Image.Image, /) -> NDArray[np.uint8]:
        return self._whole.prepare(item)

    def encode(self, batch: Sequence[NDArray[np.uint8]], /) -> Floats:
        rows = self._whole.encode(batch)[:, self._part]
        unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


class _TextTower:
    """Texts to unit rows, one at a time as pictures are: nothing is padded. Of a long text the first 256 tokens count."""

    def __init__(self, folder: Path, dim: int) -> None:
        self._dim = dim
        self._tokenizer = Once(lambda: open_tokenizer(folder / "tokenizer.json", hint=_REINSTALL))
        self._session = Once(lambda: open_session(folder / "text.onnx", hint=_REINSTALL))

    def prepare(self, item: str, /) -> NDArray[np.int64]:
        return np.asarray(self._tokenizer.get().encode(plain(item)).ids, np.int64)

    def encode(self, batch: Sequence[NDArray[np.int64]], /) -> Floats:
        rows = np.empty((len(batch), self._dim), np.float32)
        for at, ids in enumerate(batch):
            feeds = {"input_ids": ids[None], "attention_mask": np.ones((1, len(ids)), np.int64)}
            rows[at] = self._session.get().run(None, feeds)[0][0]
        return rows


def _damaged(path: Path, error: Exception) -> ModelFilesError:
    return ModelFilesError(f"The built-in model's file {path} cannot be read: {error}. {_REINSTALL}")


_REINSTALL = "Reinstall picfind: pip install --force-reinstall --no-deps picfind"
