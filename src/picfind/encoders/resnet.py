"""ResNet features: pictures alone, as the output of the last pooling of an ImageNet classifier.

A model is a folder that holds `model.onnx` and `config.json` with the fields `architecture` and `num_features`. It is
made of a safetensors file of timm's, torchvision's or transformers' weights, without torch: by `models pull`, or by
naming the file as the model. Pictures are prepared as all of these networks were evaluated: shorter side to 256,
bilinear, the centre 224 x 224.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from picfind import keys
from picfind.encoders import _folders
from picfind.encoders._onnx import Once, on_accelerator, open_session, unreadable
from picfind.encoders._preprocess import Preprocess
from picfind.encoders._resnet.weights import ARCHITECTURES, NO_CONVERT, read_weights
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import MissingExtraError, ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from PIL import Image

    from picfind.settings import Settings
    from picfind.types import Floats

FAMILY = "resnet"
GRAPH, CONFIG, WEIGHTS = "model.onnx", "config.json", "model.safetensors"
PREPROCESS = Preprocess(
    size=(224, 224),
    mode="shortest",
    resize=256,
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
_DESCRIBED = f"{PREPROCESS.describe()}; last pooling, unit length"
_LICENCE = "BSD-3-Clause"
"""As the repositories state it for torchvision's own weights. ImageNet's photos are for research; see `_NOTE`."""
_NOTE = "Pictures only. Trained on ImageNet, whose photos are offered for non-commercial research."
_SIZES = {"resnet18": 46.8, "resnet34": 87.3, "resnet50": 102.0, "resnet101": 179.0, "resnet152": 241.0}
"""Millions of bytes of the weights' file, which the graph comes close to."""
_NAMES = {f"timm/{name}.tv_in1k": name for name in ARCHITECTURES}
_BATCH = 32
"""Pictures in one call on an accelerator."""
_HINT = "Remove the folder, then pull the model or convert its safetensors file again."


def cards(settings: Settings) -> Iterable[EncoderCard]:
    """The ResNets that can be pulled, pulled or not, then every other folder of this family in the folders of models.

    A folder that is damaged is listed as not installed, with what is wrong with it as its note.
    """
    return _folders.cards(
        settings,
        family=FAMILY,
        is_ours=partial(_folders.says, family=FAMILY),
        read=_card,
        towers=("image",),
        published=map(_known, ARCHITECTURES),
    )


def find(spec: str, settings: Settings) -> EncoderCard | None:
    """The card for a known name, a repository that was pulled, a folder of this family, or a safetensors file.

    The file is converted once, into the last folder of models. Raises ModelFilesError for a folder or file that is
    damaged and for a known model that was not pulled yet, MissingExtraError when a file cannot be converted.
    """
    path = keys.absolute(Path(spec))
    if path.suffix == ".safetensors" and os.path.isfile(path):
        return _card(converted(path, settings), settings)
    if path.suffix in (".pth", ".pt") and os.path.isfile(path):
        raise ModelFilesError(
            f"{spec} is a pickle, which could run code when it is opened. Turn it into a model folder with "
            "`picfind models export`, or give a .safetensors file."
        )
    name = _NAMES.get(spec, spec.replace("/", "--"))
    folder = _folders.named(spec, settings) or _folders.named(name, settings)
    if folder is not None:
        return _card(folder, settings) if _folders.says(folder, FAMILY) else None
    if name in ARCHITECTURES:
        raise _folders.not_here(name, _SIZES[name])
    return None


def load(
    card: EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """The encoder; role and language make no difference. The graph is read when a picture is first encoded."""
    folder = _folders.folder_of(card, settings)
    _folders.require(folder, [GRAPH])
    batched = settings.device != "cpu" and on_accelerator(settings.device)
    tower = _Tower(folder / GRAPH, card.dim, device=settings.device, batched=batched)
    return Encoder(
        card=replace(card, batch_size=_BATCH if batched else 1),
        image=tower,
        decode_size=PREPROCESS.decode_size,
        on_accelerator=batched,
    )


def repository(name: str) -> str | None:
    """The hub's repository of a model that is known by name: torchvision's first weights, as timm keeps them."""
    return f"timm/{name}.tv_in1k" if name in ARCHITECTURES else None


def wanted(files: Sequence[str]) -> list[str] | None:
    """The weights and their configuration; None for a repository of anything that has words or a graph of its own.

    Raises MissingExtraError, before anything is loaded, where the weights could not be converted afterwards.
    """
    if not {WEIGHTS, CONFIG} <= set(files):
        return None
    words = any(Path(name).name.startswith(("tokenizer", "vocab", "modules.json")) for name in files)
    if words:
        return None
    if not all(importlib.util.find_spec(package) for package in ("onnx", "safetensors")):
        raise MissingExtraError(NO_CONVERT)
    return [WEIGHTS, CONFIG]


def finish(folder: Path, repository: str, settings: Settings) -> None:
    """Turn the weights of a fresh download into the graph, in place. Raises what `convert` does."""
    try:
        _write(folder / WEIGHTS, folder)
        (folder / WEIGHTS).unlink()
    except OSError as error:
        raise _not_written(folder, error) from error


def convert(weights: Path, folder: Path, *, name: str, licence: str, source: str) -> Path:
    """Make the model folder `folder`/`name` of a safetensors file and give its path; a folder already there stays.

    The folder appears whole or not at all. Raises ModelFilesError for a file that is no ResNet's and when the folder
    cannot be written, MissingExtraError without the extra `convert`.
    """
    target = folder / name
    if os.path.isdir(target):
        return target
    aside = folder / f".{name}.{uuid.uuid4().hex}"
    try:
        aside.mkdir(parents=True)
        _write(weights, aside)
        _folders.write_manifest(aside, _folders.Manifest(FAMILY, licence=licence, source=source))
        with suppress(FileExistsError):  # another process was quicker
            _place(aside, target)
    except OSError as error:
        raise _not_written(target, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def converted(weights: Path, settings: Settings) -> Path:
    """The folder in the model cache that a safetensors file was turned into, now or before."""
    name = f"{weights.stem}-{_folders.digest(weights)[:8]}"
    there = _folders.named(name, settings)
    if there is not None:
        return there
    source = f"converted from {weights}"
    return convert(weights, _folders.home(settings), name=name, licence="not stated", source=source)


class _Tower:
    """Upright RGB pictures to unit rows.

    On a CPU one picture at a time: a batch is no faster (ResNet-50 on one thread: 75 ms a picture either way), and a
    vector would depend on its neighbours in the last bit. On an accelerator in batches.
    """

    def __init__(self, path: Path, dim: int, *, device: str, batched: bool) -> None:
        self._path = path
        self._dim = dim
        self._batched = batched
        self._session = Once(lambda: open_session(path, device=device, hint=_HINT))

    def prepare(self, item: Image.Image, /) -> Floats:
        return PREPROCESS.prepare(item)

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        if not batch:
            return np.empty((0, self._dim), np.float32)
        runs = [np.stack(batch)] if self._batched else [pixels[None] for pixels in batch]
        return np.concatenate([self._run(pixels) for pixels in runs])

    def _run(self, pixels: Floats) -> Floats:
        try:
            rows = np.asarray(self._session.get().run(None, {"pixels": pixels})[0], np.float32)
        except ModelFilesError:
            raise
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise unreadable(self._path, error, _HINT) from error
        if rows.shape != (len(pixels), self._dim):
            raise ModelFilesError(
                f"The model's file {self._path} gives {rows.shape[-1]} numbers a picture, its {CONFIG} says "
                f"{self._dim}. {_HINT}"
            )
        return rows


def _known(name: str) -> EncoderCard:
    """The card of a model that must be pulled first."""
    return EncoderCard(
        name=name, family=FAMILY, revision="", dim=ARCHITECTURES[name].dim, licence=_LICENCE,
        source=f"timm/{name}.tv_in1k", size_mb=_SIZES[name], image_size=PREPROCESS.size[0], note=_NOTE,
        towers=("image",), installed=False,
    )  # fmt: skip


def _card(folder: Path, settings: Settings) -> EncoderCard:
    _folders.require(folder, [GRAPH, CONFIG])
    manifest = _folders.read_manifest(folder) or _folders.Manifest(FAMILY)
    config = _folders.read_json(folder / CONFIG)
    shape = ARCHITECTURES.get(str(config.get("architecture")))
    if shape is None or config.get("num_features") != shape.dim:
        raise ModelFilesError(
            f"The model's file {folder / CONFIG} names no ResNet that is known with its num_features. {_HINT}"
        )
    return EncoderCard(
        name=_folders.name_of(folder, settings), family=FAMILY,
        revision=_folders.revision(folder, [GRAPH], _DESCRIBED), dim=shape.dim, licence=manifest.licence,
        source=manifest.source, size_mb=_folders.size_mb(folder, [GRAPH]), image_size=PREPROCESS.size[0],
        note=_NOTE if manifest.source.startswith("timm/") else "Pictures only.", towers=("image",),
    )  # fmt: skip


def _write(weights: Path, folder: Path) -> None:
    """`model.onnx` and `config.json` of a safetensors file."""
    _refuse_early_stride(weights.with_name(CONFIG))
    shape, tensors = read_weights(weights)
    try:
        from picfind.encoders._resnet.graph import write_graph
    except ImportError as error:
        raise MissingExtraError(NO_CONVERT) from error
    write_graph(folder / GRAPH, shape, tensors)
    config = {"architecture": shape.name, "num_features": shape.dim}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _refuse_early_stride(config: Path) -> None:
    """transformers also knows bottlenecks whose stride sits in the first convolution; their tensors look the same."""
    if os.path.isfile(config) and _folders.read_json(config).get("downsample_in_bottleneck"):
        raise ModelFilesError(
            f"{config.parent} has its strides in the 1 x 1 convolutions (downsample_in_bottleneck), which is not "
            "supported. Give weights of the usual shape."
        )


def _not_written(folder: Path, error: OSError) -> ModelFilesError:
    return ModelFilesError(
        f"The model {folder} cannot be written: {error.strerror or error}. Make room, or set PICFIND_MODELS."
    )


def _place(aside: Path, target: Path) -> None:
    """Rename a whole folder into place. Raises FileExistsError when something is there already."""
    try:
        aside.rename(target)
    except OSError as error:
        if os.path.isdir(target):
            raise FileExistsError(str(target)) from error
        raise
