"""The vectors as they should be: computed with the towers in torch and transformers and with plain NumPy around them.

Nothing here touches the ONNX graphs or the code that runs them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from math import erf, hypot, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from picfind.training.builtin import lite2, minilm
from picfind.training.builtin.joining import FEATURE_DIM, SHARES, Fixed, Floats
from picfind.training.builtin.members import ROOT_EPSILON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picfind.training.builtin.members import Layer, Learned, Member, Projection, Top
    from picfind.training.recipe import Joining

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.builtin_inputs import SENTENCES, pictures

_gelu = np.vectorize(lambda value: value * (1 + erf(value / sqrt(2))) / 2, otypes=[np.float32])


@dataclass(frozen=True)
class Expected:
    """Reference vectors: of the fixed pictures by name, and of the fixed sentences in their order."""

    images: dict[str, Floats]
    texts: Floats


def compute(fixed: Fixed, learned: Learned, how: Joining) -> Expected:
    """The vectors of the pictures and sentences in tests/builtin_inputs.py."""
    named = pictures()
    rows = image_vectors(list(named.values()), fixed, learned, how)
    return Expected(dict(zip(named, rows, strict=True)), text_vectors(list(SENTENCES), learned, how))


def image_vectors(images: Sequence[Image.Image], fixed: Fixed, learned: Learned, how: Joining) -> Floats:
    """(n, dim) unit rows: heads, conse, features."""
    squashed = [
        np.asarray(image.resize((lite2.SIDE, lite2.SIDE), Image.Resampling.BICUBIC)) for image in images
    ]
    with torch.inference_mode():
        maps, features, logits = _tower(lite2.normalise(torch.from_numpy(np.stack(squashed))))
        shares = (logits / how.temperature).softmax(dim=1).numpy()
        sides = [_projected(member.image, _wide(member, maps, features)) for member in learned.members]
    parts = {
        "heads": _joined(sides, learned.members, learned.image),
        "conse": shares @ fixed.vectors,
        "features": features.numpy() @ fixed.axes,
    }
    return np.concatenate([sqrt(SHARES[name]) * _unit(rows) for name, rows in parts.items()], axis=1)


def text_vectors(texts: Sequence[str], learned: Learned, how: Joining) -> Floats:
    """(n, dim) unit rows: heads, conse, and zeros for the features."""
    sentences = np.concatenate([minilm.reference([text]) for text in texts])
    sides = [_projected(member.text, sentences) for member in learned.members]
    heads = _unit(_joined(sides, learned.members, learned.text))
    total = sum(member.length**2 for member in learned.members)
    ratio = how.weight * total / learned.spread * sqrt(SHARES["heads"] / SHARES["conse"])
    rows = np.concatenate([heads, ratio * sentences], axis=1) / hypot(1, ratio)
    return np.concatenate([rows, np.zeros((len(rows), FEATURE_DIM))], axis=1).astype(np.float32)


def _tower(pixels: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """What goes into each block, and last out of the last one; pooled features; logits."""
    tower = lite2.load()
    maps = [functional.relu6(tower._bn0(tower._conv_stem(pixels)))]
    for block in tower._blocks:
        maps.append(block(maps[-1]))
    features = functional.relu6(tower._bn1(tower._conv_head(maps[-1]))).mean(dim=(2, 3))
    return maps, features, tower._fc(features)


def _wide(member: Member, maps: list[torch.Tensor], features: torch.Tensor) -> Floats:
    """What a member's projection of pictures takes: roots of pooled features, means and maxima after block 15."""
    pooled = features if member.top is None else _top(maps[member.top.start], member.top)
    roots = np.sqrt(pooled.numpy() + np.float32(ROOT_EPSILON))
    return np.concatenate(
        [roots, maps[16].mean(dim=(2, 3)).numpy(), maps[16].amax(dim=(2, 3)).numpy()], axis=1
    )


def _top(maps: torch.Tensor, top: Top) -> torch.Tensor:
    for block in top.blocks:
        hidden = functional.relu6(_pointwise(maps, block.expand))
        kernel, bias = torch.from_numpy(block.depthwise), torch.from_numpy(block.bias)
        padding = kernel.shape[-1] // 2
        hidden = functional.conv2d(hidden, kernel, bias, padding=padding, groups=len(kernel))
        found = _pointwise(functional.relu6(hidden), block.project)
        maps = found + maps if found.shape == maps.shape else found
    return functional.relu6(_pointwise(maps, top.last)).mean(dim=(2, 3))


def _pointwise(maps: torch.Tensor, layer: Layer) -> torch.Tensor:
    weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
    return torch.einsum("nchw,cd->ndhw", maps, weight) + bias[:, None, None]


def _projected(projection: Projection, rows: Floats) -> Floats:
    """Unit rows of one member."""
    mapped = rows @ projection.linear.weight + projection.linear.bias
    if projection.inner is not None and projection.outer is not None:
        hidden = _gelu(rows @ projection.inner.weight + projection.inner.bias)
        mapped = mapped + hidden @ projection.outer.weight + projection.outer.bias
    return _unit(mapped)


def _joined(sides: list[Floats], whole: Sequence[Member], matrix: Floats) -> Floats:
    rows = [member.length * side for member, side in zip(whole, sides, strict=True)]
    return np.concatenate(rows, axis=1) @ matrix


def write(path: Path, expected: Expected) -> None:
    """As JSON with five decimals, one vector a line."""
    rows = {**expected.images, **{f"text {at}": row for at, row in enumerate(expected.texts)}}
    lines = [f"{json.dumps(name)}: {_decimals(row)}" for name, row in rows.items()]
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _decimals(row: Floats) -> str:
    return json.dumps([round(float(value), 5) or 0 for value in row], separators=(",", ":"))


def _unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
