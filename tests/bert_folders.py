"""Small text models in the layout of the hub, written without torch.

The graph is not a transformer but has what can go wrong with one: a token's vector depends on the others that count,
on its segment, and is not zero where a text is padded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.types import Floats

DIM = 12
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789:,;."
WORDS = [*_SPECIAL, *_LETTERS, *(f"##{letter}" for letter in _LETTERS)]


@dataclass(frozen=True)
class Shape:
    """What the graph takes and gives."""

    integers: str = "int64"
    segments: bool = True
    batch: int | str = "n"
    length: int | str = "t"
    output: str = "last_hidden_state"


def write_folder(folder: Path, *, shape: Shape | None = None, graph: str = "onnx/model.onnx") -> Path:
    """A model's folder with the files that no model can do without."""
    folder.mkdir(parents=True)
    (folder / graph).parent.mkdir(exist_ok=True)
    write_graph(folder / graph, shape or Shape())
    tokenizer().save(str(folder / "tokenizer.json"))
    write_json(
        folder / "config.json",
        {"model_type": "bert", "hidden_size": DIM, "pad_token_id": 0, "max_position_embeddings": 64},
    )
    return folder


def write_json(path: Path, content: Any) -> None:
    """A small file of a model's folder; the folder above it is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def tokenizer() -> Tokenizer:
    """WordPiece over letters, which pads and cuts as published files often do: to 8 tokens."""
    made = Tokenizer(WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_padding(length=8)
    made.enable_truncation(8)
    return made


def hidden_states(ids: Any) -> Floats:
    """(t, DIM): what the graph gives for the tokens of one text, all of which count."""
    table, mix, segment = _weights()
    rows = table[np.asarray(ids)]
    found: Floats = np.tanh(rows + rows.mean(axis=0) @ mix + segment)
    return found


def write_graph(path: Path, shape: Shape) -> None:
    """The graph as an ONNX file; the test is skipped without onnx."""
    onnx = pytest.importorskip("onnx", reason="the small model is written with onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    kind = kinds.INT64 if shape.integers == "int64" else kinds.INT32
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if shape.segments else [])]
    inputs = [helper.make_tensor_value_info(name, kind, [shape.batch, shape.length]) for name in names]
    sides: list[int | str | None] = [shape.batch, shape.length, DIM]
    if shape.output in ("sentence_embedding", "pooler_output"):
        sides = [shape.batch, DIM]
    output = helper.make_tensor_value_info(shape.output, kinds.FLOAT, sides)
    nodes, weights = _nodes(onnx, shape)
    graph = helper.make_graph(nodes, "small", inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _nodes(onnx: Any, shape: Shape) -> tuple[list[Any], list[Any]]:
    node, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    table, mix, segment = _weights()
    weights = [tensor(table, "table"), tensor(mix, "mix"), tensor(np.array([1], np.int64), "one")]
    weights.append(tensor(np.stack([segment, -segment]), "segments"))
    weights.append(tensor(np.array([2], np.int64), "two"))
    nodes = [
        node("Gather", ["table", "input_ids"], ["rows"]),
        node("Cast", ["attention_mask"], ["counts"], to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", ["counts", "one"], ["across"]),
        node("MatMul", ["across", "rows"], ["sum"]),
        node("Unsqueeze", ["counts", "two"], ["down"]),
        node("ReduceSum", ["down", "one"], ["number"]),
        node("Div", ["sum", "number"], ["mean"]),
        node("MatMul", ["mean", "mix"], ["context"]),
        node("Add", ["rows", "context"], ["mixed"]),
    ]
    if shape.segments:
        nodes += [
            node("Gather", ["segments", "token_type_ids"], ["kinds"]),
            node("Add", ["mixed", "kinds"], ["all"]),
        ]
    else:
        weights.append(tensor(segment, "segment"))
        nodes.append(node("Add", ["mixed", "segment"], ["all"]))
    if shape.output in ("sentence_embedding", "pooler_output"):
        return [*nodes, node("ReduceMean", ["all"], [shape.output], axes=[1], keepdims=0)], weights
    return [*nodes, node("Tanh", ["all"], [shape.output])], weights


def _weights() -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(5)
    table, mix, segment = (
        random.standard_normal(size).astype(np.float32) for size in ((len(WORDS), DIM), (DIM, DIM), (DIM,))
    )
    return table, mix, segment
