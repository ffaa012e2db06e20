"""Torch modules to ONNX files, quietly, and ONNX files to smaller ones."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from picfind.errors import ModelFilesError

OPSET = 18
"""What torch's exporter writes without a conversion; onnxruntime reads it since 1.14."""
LARGE = 1_800_000_000
"""Bytes of weights above which they go to a second file: a protobuf message ends at 2 GiB."""
_SMALL = 1024
"""Matrices of fewer values stay as they are, and so do rows: they are constants, norms and scales, and weigh nothing."""


@contextmanager
def quiet() -> Iterator[None]:
    """Torch, transformers and onnxruntime tell their own affairs on stderr; what matters comes as an exception."""
    root, silent, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(silent)  # without one, logging.warning() gives the root logger a handler for good
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.removeHandler(silent)


def write_graph(
    module: Any, path: Path, inputs: Mapping[str, Any], *, output: str, dynamic: Mapping[int, str]
) -> None:
    """Write a torch module as an ONNX graph.

    `inputs` are example tensors by the names that the graph's inputs get, in the order of the module's arguments;
    `dynamic` names the axes that may have any length, in all of them. Weights of more than `LARGE` bytes go to a file
    beside the graph. Raises OSError when it cannot be written.
    """
    import torch

    axes = {at: torch.export.Dim(name) for at, name in dynamic.items()}
    weight = sum(entry.numel() * entry.element_size() for entry in module.parameters())
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple(axes for _ in inputs),
        )
        _forget_traces(program.model)
        path.parent.mkdir(parents=True, exist_ok=True)
        program.save(str(path), external_data=weight > LARGE)


def _forget_traces(model: Any) -> None:
    """The exporter notes where in the source each node comes from: paths of this machine, and half of a small file."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()


def halve(path: Path) -> None:
    """Store a graph's weights in half precision, in place. It still computes, takes and gives single precision.

    Raises ModelFilesError for a weight beyond what half precision holds (65504).
    """
    import onnx

    model = onnx.load(str(path))
    casts = [_halved(onnx, tensor) for tensor in model.graph.initializer if _is_large(onnx, tensor)]
    for at, cast in enumerate(casts):
        model.graph.node.insert(at, cast)
    _save(onnx, model, path)


def quantise(path: Path) -> None:
    """Store the weights of a transformer's matrix products in 8 bits, in place; activations are scaled as they come.

    What remains, embedding tables above all, is stored in half precision: one scale for a whole table would lose the
    rare words of it.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    aside = path.with_name("single.onnx")
    model = onnx.load(str(path))
    large = _weight(model) > LARGE
    del model.graph.value_info[:]  # shapes are worked out again; stale ones stop the quantiser
    _remove(path)
    _save(onnx, model, aside)
    with quiet():
        quantize_dynamic(
            str(aside),
            str(path),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,  # 7 bits: processors without VNNI overflow with 8
            weight_type=QuantType.QInt8,
            use_external_data_format=large,
            extra_options={"MatMulConstBOnly": True},
        )
    _remove(aside)
    halve(path)


def _is_large(onnx: Any, tensor: Any) -> bool:
    matrix = len(tensor.dims) > 1 and np.prod(tensor.dims) >= _SMALL
    return bool(matrix and tensor.data_type == onnx.TensorProto.FLOAT)


def _halved(onnx: Any, tensor: Any) -> Any:
    """Make the tensor half; the node that gives it back in single precision under its old name."""
    name = tensor.name
    values = onnx.numpy_helper.to_array(tensor)
    if not np.abs(values).max(initial=0) <= np.finfo(np.float16).max:
        raise ModelFilesError(f"The weights {name!r} do not fit into fp16. Export with --precision fp32.")
    tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
    return onnx.helper.make_node(
        "Cast", [f"{name}.half"], [name], f"{name}.single", to=onnx.TensorProto.FLOAT
    )


def _save(onnx: Any, model: Any, path: Path) -> None:
    """Write a model, with its weights in a second file where they are too many for one."""
    large = _weight(model) > LARGE
    _remove(path)
    if large:
        onnx.save(model, str(path), save_as_external_data=True, location=f"{path.name}.data")
    else:
        onnx.save(model, str(path))


def _weight(model: Any) -> int:
    """Bytes of a model's weights; the message's own ByteSize fails just where it would be needed."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}.data")):
        each.unlink(missing_ok=True)
