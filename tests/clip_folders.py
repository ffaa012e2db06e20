"""Tiny real models in the layout that `clip` reads: graphs of a few hundred numbers, tokenizers of a few hundred tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

DIM, SIDE, CONTEXT = 16, 8, 12
SENTENCES = [
    "a dog on a beach",
    "many people in the rain",
    "two white cups on a green table",
    "red and blue and green",
    "Ein Haus und zwei Bäume",
    "a photo of a cat",
]


@dataclass(frozen=True)
class Variant:
    """How a folder differs from the plainest one."""

    tokenizer: str = "bpe"
    """`bpe` as CLIP's, `unigram` as SigLIP's, `roberta` as XLM-R's, `nllb` with languages."""
    batch: int | str = "batch"
    """The first dimension of the graphs' inputs: a number is fixed."""
    ids: int = TensorProto.INT32
    pixels: int = TensorProto.FLOAT
    mask: bool = False
    external: bool = False
    out: int = DIM
    static_out: bool = True
    size: Any = SIDE
    preprocess: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    tokens: dict[str, Any] | None = None


def make_folder(folder: Path, variant: Variant | None = None) -> Path:
    """Write a model's folder and give its path."""
    variant = variant or Variant()
    for name in ("visual", "textual"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text, pad = _tokenizer(variant.tokenizer)
    (folder / "textual" / "tokenizer.json").write_text(text, encoding="utf-8")
    text_cfg = {"context_length": CONTEXT, **(variant.config or {})}
    _write(folder / "config.json", {"embed_dim": DIM, "vision_cfg": {}, "text_cfg": text_cfg})
    preprocess = {
        "size": variant.size,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    _write(folder / "visual" / "preprocess_cfg.json", {**preprocess, **(variant.preprocess or {})})
    _write(folder / "textual" / "tokenizer_config.json", {"pad_token": pad, **(variant.tokens or {})})
    _save(visual_model(variant), folder / "visual" / "model.onnx", variant)
    _save(
        textual_model(variant, Tokenizer.from_str(text).get_vocab_size()),
        folder / "textual" / "model.onnx",
        variant,
    )
    return folder


@cache
def _tokenizer(kind: str) -> tuple[str, str]:
    """A tokenizer's JSON and its token for padding; trained once, since training breaks ties at random."""
    tokenizer, pad = TOKENIZERS[kind]()
    return tokenizer.to_str(), pad


def visual_model(variant: Variant) -> onnx.ModelProto:
    """Pixels times a matrix, plus a bias."""
    size = variant.size if isinstance(variant.size, list) else [variant.size]
    height, width = size[0], size[-1]
    weights = _weights((3 * height * width, variant.out), 1)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["embedding"]),
    ]
    image = helper.make_tensor_value_info("image", variant.pixels, [variant.batch, 3, height, width])
    return _model(nodes, [image], {"weights": weights, "bias": _weights((variant.out,), 2)}, variant)


def textual_model(variant: Variant, vocabulary: int) -> onnx.ModelProto:
    """The sum of the tokens' rows, each weighted by its place (and by the mask), plus a bias."""
    length = (variant.config or {}).get("context_length", CONTEXT)
    name = "input_ids" if variant.mask else "text"
    nodes = [
        helper.make_node("Gather", ["weights", name], ["rows"]),
        helper.make_node("Mul", ["rows", "places"], ["placed"]),
    ]
    inputs = [helper.make_tensor_value_info(name, variant.ids, [variant.batch, length])]
    if variant.mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", variant.ids, [variant.batch, length]))
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["placed", "wide"], ["masked"]),
        ]
    nodes += [
        helper.make_node("ReduceSum", [nodes[-1].output[0], "middle"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "bias"], ["embedding"]),
    ]
    constants = {
        "weights": _weights((vocabulary, variant.out), 3),
        "places": (1 + np.arange(length, dtype=np.float32) / length)[:, None],
        "bias": _weights((variant.out,), 4),
        "middle": np.array([1], np.int64),
        "last": np.array([2], np.int64),
    }
    return _model(nodes, inputs, constants, variant)


def clip_tokenizer() -> tuple[Tokenizer, str]:
    """Byte-pair encoding as CLIP's, begin and end around every text, padded with the end."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", 1), ("<|startoftext|>", 0), add_prefix_space=False
    )
    return tokenizer, "<|endoftext|>"


def _unigram(specials: list[str]) -> Tokenizer:
    """A SentencePiece-like tokenizer that knows every byte."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    alphabet = sorted({*"abcdefghijklmnopqrstuvwxyzäöüßABEHZ0123456789.,;家和树🌳"})
    trainer = trainers.UnigramTrainer(
        vocab_size=120,
        special_tokens=specials,
        unk_token="<unk>",
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def framed(tokenizer: Tokenizer, *frame: str) -> Tokenizer:
    """Let every text stand in a frame of special tokens, `$A` being the text."""
    special = [(token, tokenizer.token_to_id(token)) for token in frame if token != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=list(frame), pair=None, special_tokens=special
    )
    return tokenizer


def siglip_tokenizer() -> tuple[Tokenizer, str]:
    """As SigLIP's: a text ends with `</s>`, which also pads."""
    return framed(_unigram(["<pad>", "</s>", "<unk>"]), "$A", "</s>"), "</s>"


def roberta_tokenizer() -> tuple[Tokenizer, str]:
    """As XLM-RoBERTa's: `<s>` and `</s>` around a text, `<pad>` after it."""
    return framed(_unigram(["<s>", "<pad>", "</s>", "<unk>"]), "<s>", "$A", "</s>"), "<pad>"


def nllb_tokenizer() -> tuple[Tokenizer, str]:
    """As NLLB's: the language before a text, `</s>` after it; saved with English."""
    tokenizer = _unigram(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens(["eng_Latn", "deu_Latn", "fra_Latn", "zho_Hans", "zho_Hant"])
    return framed(tokenizer, "eng_Latn", "$A", "</s>"), "<pad>"


TOKENIZERS = {
    "bpe": clip_tokenizer,
    "unigram": siglip_tokenizer,
    "roberta": roberta_tokenizer,
    "nllb": nllb_tokenizer,
}


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    constants: dict[str, Any],
    variant: Variant,
) -> onnx.ModelProto:
    shape = [variant.batch, variant.out if variant.static_out else "dim"]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape)
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _weights(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _save(model: onnx.ModelProto, path: Path, variant: Variant) -> None:
    if not variant.external:
        onnx.save(model, str(path))
        return
    onnx.save(
        model, str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=64,
        convert_attribute=False,
    )  # fmt: skip


def _write(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found), encoding="utf-8")
