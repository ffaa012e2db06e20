"""The encoder that comes with picfind: pictures and words in one space, without a download and without torch.

The pictures' tower is EfficientNet-Lite2, the words' tower all-MiniLM-L6-v2; `builtin_model/MODEL_CARD.md` says how the
two were joined and how well that works. Both graphs carry everything from pixels or token ids to the finished unit row.

A vector is made of parts, which `card.json` lists: `heads` was learned from captioned photos, `conse` is shared by
pictures and words through the classes' names, `features` compares pictures with pictures and is zero for words.

Two more models are stretches of its rows, made unit again, out of the same files:

    builtin-open     `conse` and `features`: nothing that was learned from photos with terms of their own
    builtin-image    `features` alone, for picture to picture, no words

**A folder** of this family is what a recipe of the kind `builtin` makes: image.onnx, text.onnx, tokenizer.json and
card.json, with a picfind.json that says whose data it learned from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picfind.encoders import _folders
from picfind.encoders._builtin.towers import IMAGE_SIZE as IMAGE_SIZE
from picfind.encoders._builtin.towers import ImageTower, PartTower, TextTower
from picfind.encoders._builtin.towers import squash as squash
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picfind.settings import Settings

FAMILY = "builtin"
NAME = "builtin"
OPEN = "builtin-open"
IMAGE_ONLY = "builtin-image"
FOLDER = Path(__file__).parent / "builtin_model"
DECODE_SIZE = 512
MODEL_FILES = ("image.onnx", "text.onnx", "tokenizer.json")
IMAGE_FILES = ("image.onnx",)
CARD = "card.json"
FILES = (*MODEL_FILES, CARD)
_CONSE, _FEATURES = "conse", "features"
PREPROCESSING = (
    f"upright RGB, shorter side {DECODE_SIZE} or more; squash to {IMAGE_SIZE}, antialiased bicubic; uint8"
)
"""How a picture becomes pixels, in words that change whenever it does: they are part of the revision."""


def cards(settings: Settings) -> Iterable[EncoderCard]:
    """The models that come with picfind, then the folders of this family in the folders of models.

    Raises ModelFilesError when a file of the former is missing or damaged; a folder that is damaged is listed as not
    installed, with what is wrong with it as its note.
    """
    trained = _folders.cards(
        settings, family=FAMILY, is_ours=is_ours, read=read_folder_card, towers=("image", "text")
    )
    return [*(read(FOLDER) for read in _OURS.values()), *trained]


def find(spec: str, settings: Settings) -> EncoderCard | None:
    """The card for `builtin`, `builtin-open`, `builtin-image` or a folder of this family, else None.

    Raises ModelFilesError for a folder that is damaged.
    """
    if spec in _OURS:
        return _OURS[spec](FOLDER)
    folder = _folders.named(spec, settings)
    return read_folder_card(folder, settings) if folder is not None and is_ours(folder) else None


def load(
    card: EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """The encoder; role and language make no difference. Raises ModelFilesError as `open_folder` does."""
    if card.name == IMAGE_ONLY:
        return open_images(FOLDER, card)
    if card.name == OPEN:
        return open_open(FOLDER, card)
    return open_folder(FOLDER if card.name == NAME else _folders.folder_of(card, settings), card)


def is_ours(folder: Path) -> bool:
    """Whether a folder's `picfind.json` says that it is of this family."""
    return _folders.says(folder, FAMILY)


def problems(folder: Path) -> list[str]:
    """What is missing or odd in a folder of this family, a sentence each; the graphs are not opened."""
    missing = [f"{name} is missing" for name in FILES if not (folder / name).is_file()]
    if missing:
        return missing
    try:
        read_card(folder), read_table(folder)
    except ModelFilesError as error:
        return [str(error)]
    return []


def open_folder(folder: Path, card: EncoderCard) -> Encoder:
    """The encoder whose files lie in `folder`.

    A tower's files are opened when it is first used: a query in words never reads the pictures' model. Raises
    ModelFilesError when a file is missing; one that is damaged shows as ModelFilesError at that first use.
    """
    _require(folder, MODEL_FILES)
    image, text = _towers(folder, card.dim)
    return Encoder(card=card, image=image, text=text, decode_size=DECODE_SIZE)


def open_open(folder: Path, card: EncoderCard) -> Encoder:
    """The encoder `builtin-open` out of the files in `folder`. Raises as `open_folder`."""
    _require(folder, MODEL_FILES)
    columns = _columns(folder, _CONSE, _FEATURES)
    image, text = _towers(folder, read_card(folder).dim)
    return Encoder(
        card=card, image=PartTower(image, columns), text=PartTower(text, columns), decode_size=DECODE_SIZE
    )


def open_images(folder: Path, card: EncoderCard) -> Encoder:
    """The encoder `builtin-image`, whose file lies in `folder`: that of the pictures alone. Raises as `open_folder`."""
    _require(folder, IMAGE_FILES)
    image, _ = _towers(folder, read_card(folder).dim)
    tower = PartTower(image, _columns(folder, _FEATURES))
    return Encoder(card=card, image=tower, decode_size=DECODE_SIZE)


def _towers(folder: Path, dim: int) -> tuple[ImageTower, TextTower]:
    hint = _hint(folder)
    return ImageTower(folder, dim, hint), TextTower(folder, dim, hint)


def read_card(folder: Path) -> EncoderCard:
    """The card in `folder`. Raises ModelFilesError when it is missing or damaged."""
    path = folder / CARD
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["card"]
        return EncoderCard(**{**fields, "languages": tuple(fields["languages"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def read_folder_card(folder: Path, settings: Settings) -> EncoderCard:
    """The card of a folder of this family: terms and source are those of its `picfind.json`.

    Raises ModelFilesError when a file is missing, damaged or not what was made.
    """
    _folders.require(folder, FILES)
    manifest = _folders.read_manifest(folder) or _folders.Manifest(FAMILY)
    return replace(
        read_card(folder),
        name=_folders.name_of(folder, settings),
        family=FAMILY,
        revision=_folders.revision(folder, MODEL_FILES, PREPROCESSING),
        dim=sum(row["dim"] for row in read_table(folder)),
        licence=manifest.licence,
        source=manifest.source,
        size_mb=_folders.size_mb(folder, MODEL_FILES),
    )


def read_open_card(folder: Path) -> EncoderCard:
    """The card of `builtin-open`: what words and pictures share without anything learned from captioned photos.

    Raises ModelFilesError when a file is missing or damaged.
    """
    return _part_card(
        folder,
        _columns(folder, _CONSE, _FEATURES),
        MODEL_FILES,
        name=OPEN,
        note="builtin without what it learned from photos: words find pictures through 1,000 class names (ConSE).",
    )


def read_image_card(folder: Path) -> EncoderCard:
    """The card of `builtin-image`. Its revision depends on the pictures' model and on nothing else in `folder`.

    Raises ModelFilesError when a file is missing or damaged.
    """
    return _part_card(
        folder,
        _columns(folder, _FEATURES),
        IMAGE_FILES,
        name=IMAGE_ONLY,
        source="EfficientNet-Lite2 (ImageNet), its features as in builtin",
        languages=(),
        note="Pictures with pictures only: the features of builtin without its words.",
        towers=("image",),
    )


_OURS = {NAME: read_card, OPEN: read_open_card, IMAGE_ONLY: read_image_card}


def _part_card(folder: Path, columns: slice, files: Sequence[str], **told: Any) -> EncoderCard:
    """The card of a stretch of the rows. No photo's terms touch it: its licence is that of the two towers."""
    _require(folder, files)
    how = f"{PREPROCESSING}; {columns.start} to {columns.stop}, unit"
    return replace(
        read_card(folder),
        revision=_folders.revision(folder, files, how),
        dim=columns.stop - columns.start,
        licence="Apache-2.0",
        size_mb=_folders.size_mb(folder, files),
        **told,
    )


def read_table(folder: Path) -> list[dict[str, Any]]:
    """The parts of the rows, as `card.json` lists them. Raises ModelFilesError for a damaged card."""
    path = folder / CARD
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["parts"]
        return [{**row, "offset": int(row["offset"]), "dim": int(row["dim"])} for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _columns(folder: Path, first: str, last: str = "") -> slice:
    """Where a stretch of parts lies in a whole row. Raises ModelFilesError for a card that lacks one of them."""
    rows = {row.get("name"): row for row in read_table(folder)}
    try:
        start, end = rows[first], rows[last or first]
        return slice(start["offset"], end["offset"] + end["dim"])
    except KeyError as error:
        raise _damaged(folder / CARD, error) from error


def _require(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise ModelFilesError(f"The built-in model's file {folder / name} is missing. {_hint(folder)}")


def revision_of(folder: Path) -> str:
    """12 hex digits of a SHA-256 over the model's files and `PREPROCESSING`. Reads all of them: for builds and checks."""
    digest = hashlib.sha256(PREPROCESSING.encode())
    for name in MODEL_FILES:
        content = (folder / name).read_bytes()
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _damaged(path: Path, error: Exception) -> ModelFilesError:
    return ModelFilesError(f"The built-in model's file {path} cannot be read: {error}. {_hint(path.parent)}")


def _hint(folder: Path) -> str:
    """What to do about a damaged file: a folder that says of itself what it is was trained or copied."""
    if (folder / _folders.MANIFEST).is_file():
        return "Train or copy the model again."
    return "Reinstall picfind: pip install --force-reinstall --no-deps picfind"
