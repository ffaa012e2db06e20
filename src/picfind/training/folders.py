"""Originals to files in the layout of each family, and the exported rows against the original's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from picfind.encoders import resnet
from picfind.encoders._bert.layout import read_recipe
from picfind.encoders.base import Encoder
from picfind.errors import UsageError
from picfind.training import agreement
from picfind.training.agreement import Agreement
from picfind.training.graphs import halve, quantise, write_graph
from picfind.training.originals import Pair, Words, read_weights


def write_pair(original: Pair, folder: Path, precision: str) -> None:
    """The `clip` layout: a folder for each tower, graph and configuration."""
    import torch

    side, length = original.preprocess.size, original.tokenizing.length
    example = torch.zeros(2, 3, side, side)
    words = {name: torch.ones(2, length, dtype=torch.int32) for name in original.text_inputs}
    batch = {0: "batch"}
    write_graph(
        original.image, folder / "visual/model.onnx", {"image": example}, output="features", dynamic=batch
    )
    write_graph(original.text, folder / "textual/model.onnx", words, output="features", dynamic=batch)
    for tower in ("visual", "textual"):
        shrink(folder / tower / "model.onnx", precision)
    words_of = original.tokenizing
    text_cfg: dict[str, Any] = {"context_length": words_of.length}
    if words_of.clean:
        text_cfg["tokenizer_kwargs"] = {"clean": words_of.clean}
    write_json(folder / "config.json", {"embed_dim": original.dim, "text_cfg": text_cfg})
    write_json(folder / "visual/preprocess_cfg.json", asdict(original.preprocess))
    (folder / "textual/tokenizer.json").write_text(words_of.content, encoding="utf-8")
    about = {
        "pad_token": words_of.pad_token,
        "padding_side": "left" if words_of.pad_left else "right",
    }
    write_json(folder / "textual/tokenizer_config.json", about)


def compare_pair(original: Pair, encoder: Encoder) -> tuple[Agreement, Agreement]:
    """How the folder's rows of the sample pictures and sentences agree with the original's."""
    pictures, sentences = agreement.pictures(), agreement.SENTENCES
    shown = agreement.run(original.image, [original.pixels(pictures)])
    said = agreement.run(original.text, original.tokens(sentences))
    return (
        agreement.compare(encoder.encode_images(pictures), shown),
        agreement.compare(encoder.encode_texts(sentences), said),
    )


def write_words(original: Words, folder: Path, precision: str) -> None:
    """The `bert` layout: the graph, the tokenizer, and the small configurations as they were."""
    import torch

    example = {name: torch.ones(2, 8, dtype=torch.int64) for name in original.inputs}
    axes = {0: "batch", 1: "length"}
    write_graph(original.model, folder / "model.onnx", example, output="last_hidden_state", dynamic=axes)
    shrink(folder / "model.onnx", precision)
    for name, content in original.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "tokenizer.json").write_text(original.tokenizer, encoding="utf-8")


def compare_words(original: Words, folder: Path, encoder: Encoder) -> Agreement:
    """How the folder's rows of the sample sentences agree with the original's tokens, pooled as its files say."""
    recipe = read_recipe(folder)
    given = [recipe.prefix("document") + text for text in agreement.SENTENCES]
    states, mask = original.states([text.lower() if recipe.lower else text for text in given], recipe.limit)
    means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    said = states[:, 0] if recipe.pooling == "cls" else means
    return agreement.compare(encoder.encode_texts(agreement.SENTENCES), np.asarray(said, np.float32))


def write_cnn(weights: Path, folder: Path, precision: str, loaded: Callable[[], Encoder]) -> Agreement | None:
    """The `resnet` layout; in fp16 compared with its own single precision. Raises UsageError for int8."""
    from safetensors.torch import save_file

    if precision == "int8":
        raise UsageError("8 bits ruin convolutional networks: export a ResNet with --precision fp32 or fp16.")
    state = {
        name: value.contiguous() for name, value in read_weights(weights).items() if value.is_floating_point()
    }
    with TemporaryDirectory(dir=folder) as inside:
        plain = Path(inside) / "model.safetensors"
        save_file(state, str(plain))
        made = resnet.convert(plain, Path(inside), name="made", licence="", source="")
        for path in made.iterdir():
            path.rename(folder / path.name)
    if precision == "fp32":
        return None
    wanted = loaded().encode_images(agreement.pictures())
    halve(folder / "model.onnx")
    return agreement.compare(loaded().encode_images(agreement.pictures()), wanted)


def shrink(graph: Path, precision: str) -> None:
    """Bring a graph of single precision to the one that is wanted."""
    if precision == "fp16":
        halve(graph)
    elif precision == "int8":
        quantise(graph)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, as people read it."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
