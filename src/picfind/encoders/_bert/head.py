"""Cuts the head off a graph that was exported to guess words, so that it gives the vectors of the tokens.

Some repositories of the hub publish their ONNX file with the task that the model was pre-trained on
(`google-bert/bert-base-uncased` is one). What is wanted lies just before that head.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from picfind.encoders._bert.layout import HINT
from picfind.encoders._onnx import open_session, unreadable
from picfind.errors import MissingExtraError, ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnx import GraphProto, NodeProto

_HEAD = "logits"
_HIDDEN = "last_hidden_state"
_ENCODER = re.compile(r"/[^/]+/(encoder|transformer)/")
"""How exporters name the nodes of the encoder, which the head's come after: `/bert/encoder/layer.11/...`."""


def cut_head(path: Path) -> bool:
    """Rewrite a graph whose only output is `logits`; True when that was done. Weights in a second file stay there.

    Raises ModelFilesError for a graph in which the end of the encoder is not to be seen, MissingExtraError without onnx.
    """
    session = open_session(path, hint=HINT)
    if [output.name for output in session.get_outputs()] != [_HEAD]:
        return False
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(
            f'{path} guesses words; cutting it before that needs the package onnx: pip install "picfind[convert]"'
        ) from error
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's and onnx's exceptions have no common base but this
        raise unreadable(path, error, HINT) from error
    _cut(model.graph, path)
    aside = path.with_name(f".{path.name}")
    try:
        aside.write_bytes(model.SerializeToString())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ModelFilesError(
            f"The model's file {path} cannot be written: {error.strerror or error}. Make room, or set PICFIND_MODELS."
        ) from error
    return True


def _cut(graph: GraphProto, path: Path) -> None:
    from onnx import TensorProto, helper

    inside = [node for node in graph.node if _ENCODER.match(node.name)]
    if not inside:
        raise ModelFilesError(
            f"The model's file {path} was exported with a head for another task. `picfind models export` makes a "
            "graph without one."
        )
    last = helper.make_node("Identity", [inside[-1].output[0]], [_HIDDEN], name=_HIDDEN)
    nodes = _before(graph, last)
    used = {name for node in nodes for name in _inputs(node)}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    for field in ("node", "initializer", "output", "value_info"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    graph.output.append(helper.make_tensor_value_info(_HIDDEN, TensorProto.FLOAT, ["n", "t", None]))


def _before(graph: GraphProto, last: NodeProto) -> list[NodeProto]:
    """`last` and every node that it depends on, in the graph's order."""
    needed = set(last.input)
    kept = [last]
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed.update(_inputs(node))
    return kept[::-1]


def _inputs(node: NodeProto) -> Iterator[str]:
    """What a node reads, the graphs inside it included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _inputs(inner)
