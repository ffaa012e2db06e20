"""Checkpoints of open_clip as originals of an export, built from their published configuration.

open_clip itself is not needed. Known are transformer towers; what a configuration asks for beyond them is refused by
name instead of being left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from picfind.errors import ModelFilesError
from picfind.training.originals import (
    Pair,
    Pixels,
    Preprocess,
    Tokenizing,
    Tokens,
    extra,
    first_of,
    load_state,
    pixels_of,
    read_object,
    read_weights,
)

CONFIG = "open_clip_config.json"
WEIGHTS = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_model.bin",
    "open_clip_model.pt",
    "pytorch_model.bin",
)
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
"""OpenAI's, and open_clip's default where a checkpoint states none."""

_VISION = {
    "image_size", "patch_size", "width", "layers", "head_width", "mlp_ratio", "pool_type", "global_average_pool",
    "no_ln_pre", "final_ln_after_pool", "norm_kwargs", "pos_embed_type", "patch_dropout", "output_tokens",
}  # fmt: skip
_TEXT = {
    "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "pool_type", "no_causal_mask",
    "proj_bias", "norm_kwargs", "hf_tokenizer_name", "tokenizer_kwargs", "pad_id", "output_tokens",
}  # fmt: skip
_MODEL = {
    "embed_dim",
    "vision_cfg",
    "text_cfg",
    "quick_gelu",
    "custom_text",
    "init_logit_scale",
    "init_logit_bias",
}
"""The settings that are understood, in each part of a configuration; those that only training has are left aside."""
_BESIDE = ("logit_scale", "logit_bias", "attn_mask", "text.attn_mask")
"""Weights that belong to neither tower."""


def read(folder: Path) -> Pair:
    """The checkpoint in a folder. Raises ModelFilesError for files that are missing and for towers of another kind."""
    extra("torch", "safetensors")
    found = read_object(folder / CONFIG)
    config = found.get("model_cfg", found)
    _understood(config)
    weights = first_of(folder, WEIGHTS)
    if weights is None:
        raise ModelFilesError(
            f"The checkpoint {folder} lacks its weights. Known names are: {', '.join(WEIGHTS)}."
        )
    image, text = towers(config)
    _load(image, text, read_weights(weights))
    return _pair(folder, config, found.get("preprocess_cfg", {}), (image.eval(), text.eval()))


def towers(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """The two towers of a configuration, with fresh weights: torch modules of `picfind.training.towers`."""
    from picfind.training.towers import Shape, TextTower, VisionTower

    vision, text, dim = config["vision_cfg"], config["text_cfg"], config["embed_dim"]
    quick = bool(config.get("quick_gelu"))

    def shape(part: Mapping[str, Any], heads: int) -> Shape:
        eps = part.get("norm_kwargs", {}).get("eps", 1e-5)
        return Shape(part["width"], part["layers"], heads, part.get("mlp_ratio", 4.0), quick, eps)

    image = VisionTower(
        shape(vision, vision["width"] // vision.get("head_width", 64)),
        size=_side(vision["image_size"]),
        patch=_side(vision["patch_size"]),
        dim=dim,
        pool="avg" if vision.get("global_average_pool") else vision.get("pool_type", "tok"),
        norm_before=not vision.get("no_ln_pre"),
        norm_after_pool=bool(vision.get("final_ln_after_pool")),
    )
    words = TextTower(
        shape(text, text["heads"]),
        vocabulary=text["vocab_size"],
        length=text.get("context_length", 77),
        dim=dim,
        pool=text.get("pool_type", "argmax"),
        causal=not text.get("no_causal_mask"),
        bias=bool(text.get("proj_bias")),
    )
    return image, words


def _understood(config: Mapping[str, Any]) -> None:
    """Raises ModelFilesError, which names the first setting that asks for another kind of tower."""
    vision, text = config.get("vision_cfg"), config.get("text_cfg")
    if not isinstance(vision, dict) or not isinstance(text, dict) or "embed_dim" not in config:
        raise ModelFilesError(f"{CONFIG} has no model_cfg with embed_dim, vision_cfg and text_cfg.")
    if vision.get("timm_model_name"):
        raise _refused(f"the picture tower is timm's {vision['timm_model_name']}")
    if text.get("hf_model_name"):
        raise _refused(f"the text tower is {text['hf_model_name']} of transformers")
    if isinstance(vision.get("layers"), list):
        raise _refused(f"the picture tower is a ResNet, layers {vision['layers']}")
    for where, part, known in (
        ("vision_cfg", vision, _VISION),
        ("text_cfg", text, _TEXT),
        ("model_cfg", config, _MODEL),
    ):
        for name, value in part.items():
            if name not in known and value not in (None, False, 0, {}):
                raise _refused(f"{where}.{name} is {value!r}")
    _one_of("vision_cfg.pool_type", vision.get("pool_type", "tok"), ("tok", "avg"))
    _one_of("text_cfg.pool_type", text.get("pool_type", "argmax"), ("argmax", "first", "last"))


def _one_of(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise _refused(f"{name} is {value!r}, known are {' and '.join(known)}")


def _refused(why: str) -> ModelFilesError:
    return ModelFilesError(
        f"This open_clip checkpoint cannot be exported: {why}. Known are open_clip's own transformer towers; for "
        "others take a checkpoint of transformers, or a folder that was published as ONNX."
    )


def _side(size: Any) -> int:
    """A number, or a list of two equal ones."""
    sides = {int(each) for each in size} if isinstance(size, list | tuple) else {int(size)}
    if len(sides) != 1:
        raise _refused(f"pictures or patches of {size} are no squares")
    return sides.pop()


def _load(image: Any, text: Any, state: Mapping[str, Any]) -> None:
    words = {
        name: value for name, value in state.items() if not name.startswith("visual.") and name not in _BESIDE
    }
    pictures = {
        name.removeprefix("visual."): value for name, value in state.items() if name.startswith("visual.")
    }
    load_state(image, {name: value.float() for name, value in pictures.items()}, "the picture tower")
    own = {name.removeprefix("text."): value.float() for name, value in words.items()}
    load_state(text, own, "the text tower")


def _pair(
    folder: Path, config: Mapping[str, Any], stated: Mapping[str, Any], towers: tuple[Any, Any]
) -> Pair:
    text = config["text_cfg"]
    preprocess = Preprocess(
        size=_side(stated.get("size", config["vision_cfg"]["image_size"])),
        mean=tuple(stated.get("mean", _MEAN)),
        std=tuple(stated.get("std", _STD)),
        interpolation=stated.get("interpolation", "bicubic"),
        resize_mode=stated.get("resize_mode", "shortest"),
    )
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelFilesError(
            f"The checkpoint {folder} lacks tokenizer.json. Put beside it the one of "
            f"{text.get('hf_tokenizer_name') or 'openai/clip-vit-base-patch32'}."
        )
    config_path = folder / "tokenizer_config.json"
    about = read_object(config_path) if config_path.is_file() else {}
    tokenizing = Tokenizing(
        content=path.read_text(encoding="utf-8"),
        pad_token=_pad_token(about),
        length=int(text.get("context_length", 77)),
        pad_left=about.get("padding_side") == "left",
        clean=(text.get("tokenizer_kwargs") or {}).get("clean"),
    )

    def tokens(texts: Sequence[str]) -> Tokens:
        return tokenizing(texts)[:1]

    def pixels(pictures: Sequence[Image.Image]) -> Pixels:
        return pixels_of(pictures, preprocess)

    return Pair(
        kind="open_clip",
        image=towers[0],
        text=towers[1],
        dim=int(config["embed_dim"]),
        preprocess=preprocess,
        tokenizing=tokenizing,
        text_inputs=("text",),
        pixels=pixels,
        tokens=tokens,
    )


def _pad_token(about: Mapping[str, Any]) -> str:
    """The tokenizer's own; open_clip pads CLIP's with token 0, but what follows the end mark counts for nothing there."""
    stated = about.get("pad_token")
    return str(stated["content"] if isinstance(stated, dict) else stated or "<|endoftext|>")
