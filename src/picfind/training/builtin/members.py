"""What is learned from captioned photos, as plain arrays: between training, which makes it, and the graphs, which hold it.

A member is a pair of projections, of a picture's features and of a sentence's vector, to unit rows whose inner product is
a score. `Learned` joins several: their rows, each times its `length`, side by side, brought down to `dim` by one matrix a
side, chosen so that the inner products stay. It is one `.npz` file in fp32, read without unpickling.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from picfind.errors import ModelFilesError
from picfind.types import Floats

POOLED, MIDDLE, WIDE, SENTENCE = 1280, 416, 1696, 384
"""Widths: pooled features, means and maxima after block 15, both together, a sentence's vector."""
ROOT_EPSILON = 1e-3
"""What is added to pooled features, a trained copy's and the tower's own alike, before their roots are taken.

A root has no gradient at 0. Where nothing learns it does no harm: with it the closed form's hit_at(10) on three dev splits is
.000, .002 and .005 higher than without.
"""
_FORMAT = 1
_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError),
    *(RuntimeError, struct.error, zlib.error, zipfile.BadZipFile),  # zipfile's own
)


@dataclass(frozen=True, slots=True)
class Layer:
    """`rows @ weight + bias`: (inputs, outputs) and (outputs,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear map, to which `outer(gelu(inner(rows)))` is added where there is one. Its inputs' scaling is folded in."""

    linear: Layer
    inner: Layer | None = None
    outer: Layer | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual block of the picture tower, trained, batch normalisation folded in.

    `expand` and `project` are 1 x 1 convolutions as layers; `depthwise` is (width, 1, side, side), `bias` (width,).
    """

    expand: Layer
    depthwise: Floats
    bias: Floats
    project: Layer


@dataclass(frozen=True, slots=True)
class Top:
    """A trained copy of the picture tower's last blocks, from `start` on, and of its last convolution."""

    start: int
    blocks: tuple[Block, ...]
    last: Layer


@dataclass(frozen=True, slots=True)
class Member:
    """One pair of projections.

    `image` takes the wide features (n, 1696): `roots` of the pooled features (1,280), means and maxima (208 each) of the maps
    after block 15. With a `top` the pooled features are the trained copy's, else the tower's own.
    """

    image: Projection
    text: Projection
    length: float = 1.0
    top: Top | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """All members, and the two matrices (sum of the members' dimensions, dim) that join them."""

    members: tuple[Member, ...]
    image: Floats
    text: Floats
    spread: float = 1.0
    """What the members' summed score has to be divided by for the spread that the joined cosine has."""
    notes: dict[str, str] = field(default_factory=dict)
    """What the model card says of how it came to be: data, steps, figures."""


def roots(pooled: Floats) -> Floats:
    """The square roots of pooled features, as every member takes them."""
    found: Floats = np.sqrt(np.maximum(pooled, 0) + np.float32(ROOT_EPSILON))
    return found


def unit(rows: NDArray[Any]) -> Floats:
    """Rows divided by their Euclidean length."""
    found: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def save(target: Path | BinaryIO, learned: Learned) -> None:
    """As `.npz`, the same bytes for the same values. Arrays are named by their place: members/0/image/linear/weight."""
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(_FORMAT),
        "image": _single(learned.image),
        "text": _single(learned.text),
        "spread": np.array(learned.spread, np.float64),
        "notes": np.array(json.dumps(learned.notes, ensure_ascii=False, sort_keys=True)),
    }
    for at, member in enumerate(learned.members):
        arrays |= _member_arrays(f"members/{at}/", member)
    if isinstance(target, Path):
        with target.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    else:
        np.savez(target, **arrays)  # type: ignore[arg-type]


def load(source: Path | BinaryIO) -> Learned:
    """What `save` wrote. Raises ModelFilesError for a file that is missing, damaged, or of another kind."""
    name = str(source) if isinstance(source, Path) else "the learned weights"
    with _reading(name), np.load(source, allow_pickle=False) as file:
        found = {key: file[key] for key in file.files}
        if int(found["format"]) != _FORMAT:
            raise ValueError(f"its format is {found['format']}, and {_FORMAT} is known")
        count = len({key.split("/")[1] for key in found if key.startswith("members/")})
        learned = Learned(
            members=tuple(_member(found, f"members/{at}/") for at in range(count)),
            image=_array(found, "image", 2),
            text=_array(found, "text", 2),
            spread=float(found["spread"]),
            notes={str(key): str(value) for key, value in json.loads(str(found["notes"])).items()},
        )
        _check(learned)
        return learned


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise ModelFilesError(
            f"{name} cannot be read: {reason}. Train again, or copy the file again."
        ) from error


def _single(array: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(array, np.float32)


def _layer_arrays(at: str, layer: Layer) -> dict[str, NDArray[Any]]:
    return {f"{at}weight": _single(layer.weight), f"{at}bias": _single(layer.bias)}


def _member_arrays(at: str, member: Member) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {f"{at}length": np.array(member.length, np.float64)}
    for side, projection in (("image", member.image), ("text", member.text)):
        for name in ("linear", "inner", "outer"):
            layer: Layer | None = getattr(projection, name)
            if layer is not None:
                arrays |= _layer_arrays(f"{at}{side}/{name}/", layer)
    return arrays | (_top_arrays(f"{at}top/", member.top) if member.top is not None else {})


def _top_arrays(at: str, top: Top) -> dict[str, NDArray[Any]]:
    arrays = {f"{at}start": np.array(top.start), **_layer_arrays(f"{at}last/", top.last)}
    for number, block in enumerate(top.blocks):
        inside = f"{at}blocks/{number}/"
        arrays |= _layer_arrays(f"{inside}expand/", block.expand)
        arrays |= {
            f"{inside}depthwise": _single(block.depthwise),
            f"{inside}bias": _single(block.bias),
        }
        arrays |= _layer_arrays(f"{inside}project/", block.project)
    return arrays


def _array(found: Mapping[str, Any], name: str, ndim: int) -> Floats:
    array: Floats = found[name]
    if array.dtype != np.float32 or array.ndim != ndim or not np.isfinite(array).all():
        raise ValueError(f"{name} is no array of {ndim} dimensions of finite float32")
    return array


def _layer(found: Mapping[str, Any], at: str) -> Layer:
    layer = Layer(_array(found, f"{at}weight", 2), _array(found, f"{at}bias", 1))
    if layer.weight.shape[1] != len(layer.bias):
        raise ValueError(f"{at}weight and {at}bias do not fit")
    return layer


def _projection(found: Mapping[str, Any], at: str) -> Projection:
    linear = _layer(found, f"{at}linear/")
    if f"{at}inner/weight" not in found:
        return Projection(linear)
    return Projection(linear, _layer(found, f"{at}inner/"), _layer(found, f"{at}outer/"))


def _member(found: Mapping[str, Any], at: str) -> Member:
    return Member(
        image=_projection(found, f"{at}image/"),
        text=_projection(found, f"{at}text/"),
        length=float(found[f"{at}length"]),
        top=_top(found, f"{at}top/") if f"{at}top/start" in found else None,
    )


def _top(found: Mapping[str, Any], at: str) -> Top:
    count = len(
        {key.removeprefix(f"{at}blocks/").split("/")[0] for key in found if key.startswith(f"{at}blocks/")}
    )
    return Top(
        start=int(found[f"{at}start"]),
        blocks=tuple(_block(found, f"{at}blocks/{number}/") for number in range(count)),
        last=_layer(found, f"{at}last/"),
    )


def _block(found: Mapping[str, Any], at: str) -> Block:
    return Block(
        expand=_layer(found, f"{at}expand/"),
        depthwise=_array(found, f"{at}depthwise", 4),
        bias=_array(found, f"{at}bias", 1),
        project=_layer(found, f"{at}project/"),
    )


def _check(learned: Learned) -> None:
    """Raises ValueError for widths that do not fit each other or the towers."""
    total = 0
    for at, member in enumerate(learned.members):
        widths = {"image": WIDE, "text": SENTENCE}
        dims = {side: _outputs(getattr(member, side), width) for side, width in widths.items()}
        if dims["image"] != dims["text"]:
            raise ValueError(
                f"the two sides of member {at} have {dims['image']} and {dims['text']} dimensions"
            )
        total += dims["image"]
    if (
        not (len(learned.image) == len(learned.text) == total > 0)
        or learned.image.shape != learned.text.shape
    ):
        raise ValueError("its joining matrices do not fit its members")


def _outputs(projection: Projection, inputs: int) -> int:
    """The dimensions of a projection's rows."""
    dim = len(projection.linear.bias)
    fits = len(projection.linear.weight) == inputs
    if projection.inner is not None and projection.outer is not None:
        fits &= len(projection.inner.weight) == inputs and len(projection.outer.bias) == dim
        fits &= len(projection.outer.weight) == len(projection.inner.bias)
    if not fits:
        raise ValueError("the layers of a projection do not fit each other or the towers")
    return dim
