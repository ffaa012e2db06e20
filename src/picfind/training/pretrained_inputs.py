"""How transformers prepares pictures and words: its files in our terms, and its own code to compare with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picfind.errors import ModelFilesError
from picfind.training.graphs import quiet
from picfind.training.originals import Pixels, Preprocess, Tokenizing, Tokens, pixels_of, read_object

_LONGEST = 77
"""Tokens that a text tower with a mask is exported for; CLIP's own number."""
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers for what resizes, as `preprocessor_config.json` gives them."""


def read_preprocess(folder: Path) -> Preprocess:
    """Raises ModelFilesError for steps that the published layout has no words for."""
    found = read_object(folder / "preprocessor_config.json")
    odd = [step for step in ("do_resize", "do_rescale", "do_normalize") if found.get(step) is False]
    size, crop = found.get("size", 224), found.get("crop_size")
    cuts = bool(found.get("do_center_crop", crop is not None))
    shorter = size.get("shortest_edge") if isinstance(size, dict) else (size if cuts else None)
    side = _side(crop if cuts else size)
    if odd or side is None or (cuts and shorter not in (side, None)) or (shorter and not cuts):
        raise ModelFilesError(
            f"The checkpoint {folder} prepares pictures in a way that the layout cannot say (size {size}, crop {crop}"
            f"{', no ' + odd[0] if odd else ''}): one square, resized to or cut out of the resized shorter side."
        )
    return Preprocess(
        size=side,
        mean=tuple(found["image_mean"]),
        std=tuple(found["image_std"]),
        interpolation=_FILTERS.get(found.get("resample", 3), str(found.get("resample"))),
        resize_mode="shortest" if shorter else "squash",
    )


def _side(size: Any) -> int | None:
    """The side of a square, None when it is none."""
    if isinstance(size, dict):
        return int(size["height"]) if size.get("height") and size.get("height") == size.get("width") else None
    return int(size) if size else None


def read_tokenizing(folder: Path, config: dict[str, Any], *, masked: bool) -> Tokenizing:
    content, about = read_tokenizer(folder), _about_tokenizer(folder)
    side = about.get("padding_side") or getattr(_auto_tokenizer(folder), "padding_side", "right")
    clean = None
    if config["model_type"] == "siglip":
        # SigLIP 2 was trained on lower-case text, which Gemma's tokenizer does not see to
        clean = "canonicalize" if about.get("tokenizer_class") == "SiglipTokenizer" else "lower"
    return Tokenizing(
        content=content,
        pad_token=_pad_token(folder, json.loads(content), about),
        length=_context_length(config, about, masked=masked),
        pad_left=side == "left",
        clean=clean,
    )


def read_tokenizer(folder: Path) -> str:
    """The content of tokenizer.json; where the checkpoint has none, transformers makes it."""
    path = folder / "tokenizer.json"
    return path.read_text(encoding="utf-8") if path.is_file() else _own_tokenizer(folder)


def _about_tokenizer(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return read_object(path) if path.is_file() else {}


def _pad_token(folder: Path, table: dict[str, Any], about: dict[str, Any]) -> str:
    stated = about.get("pad_token")
    token = stated["content"] if isinstance(stated, dict) else stated
    if token is None and table.get("padding"):
        token = table["padding"]["pad_token"]
    if token is None:
        names = {entry["content"] for entry in table.get("added_tokens", [])}
        token = next((name for name in ("<pad>", "[PAD]", "<|endoftext|>") if name in names), None)
    if token is None:
        raise ModelFilesError(f"The checkpoint {folder} names no pad_token in tokenizer_config.json.")
    return str(token)


def _own_tokenizer(folder: Path) -> str:
    opened = _auto_tokenizer(folder)
    backend = getattr(opened, "backend_tokenizer", None)
    if backend is None:
        raise ModelFilesError(
            f"The checkpoint {folder} has no tokenizer.json, and transformers makes none of what is there. Put one "
            "beside the weights."
        )
    return str(backend.to_str())


def _auto_tokenizer(folder: Path) -> Any:
    """transformers' tokenizer, None where it needs what is not there (sentencepiece, say)."""
    import transformers

    try:
        with quiet():
            return transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
    except Exception:  # whatever it is: the tokenizer's file alone must do then
        return None


def _context_length(config: dict[str, Any], about: dict[str, Any], *, masked: bool) -> int:
    text = config.get("text_config") or {}
    if not masked:
        return int(text.get("max_position_embeddings", 64 if config["model_type"] == "siglip" else 77))
    positions = text.get("max_position_embeddings", 514) - 2  # RoBERTa counts from 2
    return int(min(about.get("model_max_length") or _LONGEST, positions, _LONGEST))


def own_tokens(folder: Path, how: Tokenizing) -> Callable[[Sequence[str]], Tokens]:
    """transformers' own tokenizer; the file's alone where that one needs what is not there."""
    opened = _auto_tokenizer(folder)
    if opened is None:
        return how

    def tokens(texts: Sequence[str]) -> Tokens:
        with quiet():
            found = opened(
                [how.cleaned(text) for text in texts],
                padding="max_length",
                truncation=True,
                max_length=how.length,
                return_attention_mask=True,
            )
        return np.array(found["input_ids"]), np.array(found["attention_mask"])

    return tokens


def own_pixels(folder: Path, preprocess: Preprocess) -> Callable[[Sequence[Image.Image]], Pixels]:
    """transformers' own preprocessing on Pillow; ours where it has none."""
    import transformers

    new = int(transformers.__version__.split(".")[0]) >= 5
    try:
        with quiet():
            own: Any = transformers.AutoImageProcessor.from_pretrained(
                str(folder), local_files_only=True, **({"backend": "pil"} if new else {"use_fast": False})
            )
    except Exception:  # a processor that it does not know, or that needs torchvision
        return lambda pictures: pixels_of(pictures, preprocess)

    def pixels(pictures: Sequence[Image.Image]) -> Pixels:
        return np.asarray(own(list(pictures), return_tensors="np")["pixel_values"], np.float32)

    return pixels


def own_states(folder: Path, model: Any) -> Callable[[Sequence[str], int], tuple[Pixels, Pixels]]:
    """transformers' own tokens and their vectors: texts and a limit -> (n, length, dim) and the mask (n, length)."""
    import torch

    opened = _auto_tokenizer(folder)
    if opened is None:
        raise ModelFilesError(f"transformers cannot open the tokenizer of {folder}.")

    def states(texts: Sequence[str], limit: int) -> tuple[Pixels, Pixels]:
        with torch.no_grad(), quiet():
            given = opened(list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
            found = model(**given).last_hidden_state
        return found.numpy(), given["attention_mask"].numpy().astype(np.float32)

    return states
