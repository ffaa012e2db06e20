"""What an export starts from: a checkpoint's towers as torch modules, with its own pixels and its own tokens."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picfind.errors import MissingExtraError, ModelFilesError, PicfindError

Pixels = NDArray[np.float32]
Tokens = tuple[NDArray[np.int64], ...]

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes pixels; its fields are the keys of `preprocess_cfg.json`."""

    size: int
    """Side of the square in pixels."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    """`shortest`: the shorter side is resized and the middle cut out; `squash`: proportions are not kept."""

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise ModelFilesError(
                f"The checkpoint resizes pictures by {self.interpolation!r}. Known are: {', '.join(_FILTERS)}."
            )
        if self.resize_mode not in ("shortest", "squash"):
            raise ModelFilesError(
                f"The checkpoint resizes pictures in the mode {self.resize_mode!r}. Known are: shortest, squash."
            )


@dataclass(frozen=True, slots=True)
class Tokenizing:
    """How a text becomes token ids."""

    content: str
    """The content of tokenizer.json."""
    pad_token: str
    length: int
    """Tokens that every text is padded or cut to."""
    pad_left: bool = False
    clean: str | None = None
    """`lower` or `canonicalize`: what is done to a text before."""

    def cleaned(self, text: str) -> str:
        """The text as the tokenizer gets it."""
        if self.clean == "canonicalize":
            return canonical(text)
        return text.lower() if self.clean == "lower" else text

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Ids and mask, (n, length) each, by the tokenizer's file alone."""
        from tokenizers import Tokenizer

        opened = Tokenizer.from_str(self.content)
        opened.enable_truncation(self.length)
        opened.enable_padding(
            length=self.length,
            pad_id=opened.token_to_id(self.pad_token),
            pad_token=self.pad_token,
            direction="left" if self.pad_left else "right",
        )
        found = opened.encode_batch([self.cleaned(text) for text in texts])
        return np.array([row.ids for row in found]), np.array([row.attention_mask for row in found])


@dataclass(frozen=True, slots=True)
class Pair:
    """A checkpoint with a tower for pictures and one for words."""

    kind: str
    """What it is, in words: `CLIPModel`, `open_clip`."""
    image: Any
    """A torch module: (n, 3, size, size) float32 -> (n, dim)."""
    text: Any
    """A torch module: its `text_inputs`, (n, length) int32 each, -> (n, dim)."""
    dim: int
    preprocess: Preprocess
    tokenizing: Tokenizing
    text_inputs: tuple[str, ...]
    """`text`, or `input_ids` and `attention_mask`."""
    pixels: Callable[[Sequence[Image.Image]], Pixels]
    """The checkpoint's own preprocessing: pictures -> (n, 3, size, size)."""
    tokens: Callable[[Sequence[str]], Tokens]
    """The checkpoint's own tokenizer: texts -> an array (n, length) for each of `text_inputs`."""


@dataclass(frozen=True, slots=True)
class Words:
    """A BERT-type checkpoint: a tower for words whose token vectors are pooled outside."""

    kind: str
    model: Any
    """A torch module: `inputs`, (n, length) int64 each, -> (n, length, dim)."""
    dim: int
    inputs: tuple[str, ...]
    states: Callable[[Sequence[str], int], tuple[Pixels, Pixels]]
    """The checkpoint's own way from texts, cut to so many tokens, to (n, length, dim) and the mask (n, length)."""
    tokenizer: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Configuration files that go into the model's folder as they are."""


def extra(*modules: str) -> None:
    """Raises MissingExtraError unless the packages of the extra `export` are installed."""
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(
                f'Exporting a model needs the package {module!r}. Install it: pip install "picfind[export]"'
            )


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint. Raises ModelFilesError when it is missing or is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFilesError(f"The checkpoint's file {path} cannot be read: {reason}.") from error
    if not isinstance(found, dict):
        raise ModelFilesError(f"The checkpoint's file {path} holds no JSON object.")
    return found


@contextmanager
def understanding(checkpoint: Path) -> Iterator[None]:
    """Turns what comes of a configuration that lacks a setting, or has an odd one, into ModelFilesError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, PicfindError):
            raise
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ModelFilesError(f"The configuration of the checkpoint {checkpoint} is odd: {what}.") from error


def stated_licence(folder: Path) -> str | None:
    """The licence in the first block of the checkpoint's README.md, where model cards state it."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    block = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found = block and re.search(r"^license:\s*(\S+)\s*$", block[1], re.MULTILINE)
    return found[1].strip("'\"") if found else None


def read_weights(path: Path) -> dict[str, Any]:
    """The tensors of a `.safetensors` file or of a torch file that holds nothing but tensors.

    Raises ModelFilesError for one that is damaged, and for a pickled one that would run code when loaded.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(str(path)))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile, torch and safetensors each raise their own
        first = str(error).strip().split("\n")[0]
        raise ModelFilesError(
            f"The weights {path} cannot be read: {first} Only tensors are loaded, nothing is unpickled; convert "
            "them to safetensors."
        ) from error
    return _tensors(found, path)


def _tensors(found: Any, path: Path) -> dict[str, Any]:
    """The state dict of a file, which training scripts wrap, and whose names distributed training prefixes."""
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise ModelFilesError(f"The weights {path} hold no named tensors.")
    return {name.removeprefix("module."): value for name, value in state.items()}


def load_state(module: Any, state: Mapping[str, Any], what: str) -> None:
    """Load weights into a module. Raises ModelFilesError, which names the first that is missing, left over or odd."""
    try:
        missing, left = module.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise ModelFilesError(
            f"The weights of {what} do not fit: {str(error).splitlines()[-1].strip()}"
        ) from error
    if missing or left:
        word, names = ("missing", missing) if missing else ("left over", left)
        raise ModelFilesError(f"The weights of {what} do not fit its configuration: {names[0]} is {word}.")


def first_of(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of some files that is in a folder."""
    return next((folder / name for name in names if os.path.isfile(folder / name)), None)


def pixels_of(pictures: Sequence[Image.Image], how: Preprocess) -> Pixels:
    """Pictures as (n, 3, size, size) float32, in Pillow and numpy alone: a second opinion on the family's own."""
    rows = [np.asarray(_square(picture.convert("RGB"), how), np.float64) / 255 for picture in pictures]
    scaled = (np.stack(rows) - np.array(how.mean)) / np.array(how.std)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def _square(picture: Image.Image, how: Preprocess) -> Image.Image:
    size, resample = how.size, _FILTERS[how.interpolation]
    if how.resize_mode == "squash":
        return picture.resize((size, size), resample)
    width, height = picture.size
    short = min(width, height)
    wide, high = int(size * width / short), int(size * height / short)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return picture.resize((wide, high), resample).crop((left, top, left + size, top + size))


def canonical(text: str) -> str:
    """Lower-case, without punctuation and double spaces: what SigLIP was trained with (big_vision, open_clip)."""
    kept = "".join(sign for sign in text.replace("_", " ") if sign not in _PUNCTUATION)
    return " ".join(kept.lower().split())


_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
