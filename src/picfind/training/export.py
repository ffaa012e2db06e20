"""Checkpoints to model folders that the families read: `picfind models export`.

A folder is made aside, loaded by picfind's own family, compared with the original, and only then put in its place.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from picfind import encoders
from picfind.encoders._folders import OURS, Manifest, check_name, home, write_manifest
from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, ModelFilesError, PicfindError, UsageError
from picfind.fetch import Progress
from picfind.settings import Settings
from picfind.training import openclip, pretrained
from picfind.training.agreement import Agreement
from picfind.training.checkpoints import describe, located
from picfind.training.folders import compare_pair, compare_words, write_cnn, write_pair, write_words
from picfind.training.originals import Pair, Words, extra, stated_licence, understanding

LEAST = {"fp32": 0.999, "fp16": 0.999, "int8": 0.9}
"""The row cosine that an export must reach on every sample: what falls below is not the same model."""


Original = TypeVar("Original", Pair, Words)


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that was exported, and how its rows agree with those of the original torch model.

    The cosines are those of sixteen pictures and sixteen sentences, each from its file to its row; None for a tower
    that the model lacks. A CNN is compared with its own single precision, and not at all in fp32.
    """

    folder: Path
    name: str
    family: str
    kind: str
    precision: str
    licence: str
    source: str
    size_mb: float
    pictures: Agreement | None
    texts: Agreement | None


def export(
    checkpoint: str,
    *,
    name: str,
    settings: Settings,
    precision: str = "fp32",
    licence: str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Make the model folder `name` in the last folder of models.

    `checkpoint` is a folder of transformers, open_clip or sentence-transformers, a ResNet's `.pth` or `.safetensors`
    file, or a repository of the hub, whose download `progress` is told of. `fp16` halves the files and changes no
    computation; `int8` makes them smaller still and faster on a CPU, for transformers only.

    Raises UsageError for a name that cannot be used or is taken, ModelFilesError for a checkpoint that is not known,
    damaged or does not survive, MissingExtraError without the extra `export`, EncoderError when the folder cannot be
    written, DownloadError when a repository cannot be had. Whatever is raised, no model is left behind; of a download
    that broke off, what arrived stays hidden beside the models for the next try.
    """
    if precision not in LEAST:
        raise UsageError(f"There is no precision {precision!r}. Known are: {', '.join(LEAST)}.")
    check_free(name, settings)
    extra("torch", "onnx", "onnxscript", "safetensors")
    with located(checkpoint, settings, progress=progress) as (found, source):
        make = _maker(found)
        stated = licence or (stated_licence(found) if found.is_dir() else None) or "not stated"
        with aside(settings.models[-1], name) as (inside, place):
            task = _Task(inside, precision, Manifest("", licence=stated, source=source), settings)
            family, kind, pictures, texts = make(task)
            hold(precision, pictures, texts)
            task.sign(family, {"exported_from": kind, "precision": precision})
            size = sum(path.stat().st_size for path in inside.rglob("*") if path.is_file())
            place()
    return Exported(
        folder=settings.models[-1] / name, name=name, family=family, kind=kind, precision=precision, licence=stated,
        source=source, size_mb=round(size / 1e6, 1), pictures=pictures, texts=texts,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Task:
    """A folder to fill, and what is known of it beforehand."""

    folder: Path
    precision: str
    manifest: Manifest
    settings: Settings

    def sign(self, family: str, about: Mapping[str, Any] | None = None) -> None:
        """Write `picfind.json`, by which the family knows its folder."""
        write_manifest(self.folder, replace(self.manifest, family=family, about=about or {}))

    def loaded(self, family: str) -> Encoder:
        """The folder as it is now through picfind's own family, on the CPU."""
        self.sign(family)
        return encoders.load(str(self.folder), replace(self.settings, device="cpu"))


Made = tuple[str, str, Agreement | None, Agreement | None]
"""What was made: family, kind, and the agreement of pictures and of texts."""


def _maker(found: Path) -> Callable[[_Task], Made]:
    """How this kind of checkpoint becomes a folder. Raises ModelFilesError, which says what was found and what is known."""
    if found.is_file():
        return lambda task: _cnn(found, task)
    with understanding(found):
        kind = describe(found)
    if kind == "words":
        return lambda task: _words(_read(pretrained.read_words, found), task)
    read = openclip.read if kind == "open_clip" else pretrained.read_pair
    return lambda task: _pair(_read(read, found), task)


def _read(read: Callable[[Path], Original], found: Path) -> Original:
    with understanding(found):
        return read(found)


def _pair(original: Pair, task: _Task) -> Made:
    write_pair(original, task.folder, task.precision)
    return "clip", original.kind, *compare_pair(original, task.loaded("clip"))


def _words(original: Words, task: _Task) -> Made:
    write_words(original, task.folder, task.precision)
    return "bert", original.kind, None, compare_words(original, task.folder, task.loaded("bert"))


def _cnn(weights: Path, task: _Task) -> Made:
    pictures = write_cnn(weights, task.folder, task.precision, lambda: task.loaded("resnet"))
    return "resnet", weights.name, pictures, None


def hold(precision: str, *found: Agreement | None) -> None:
    """Raises ModelFilesError for an export that is another model than its original."""
    for agreement in found:
        if agreement is not None and not agreement.least >= LEAST[precision]:  # so that NaN fails too
            raise ModelFilesError(
                f"The export in {precision} does not agree with its original: the least row cosine of the samples is "
                f"{agreement.least:.4f}, {LEAST[precision]} is wanted. Nothing was written."
            )


def check_free(name: str, settings: Settings) -> None:
    """Raises UsageError for what cannot be the name of a new model, and for one that is taken."""
    check_name(name)
    target = home(settings) / name
    if os.path.lexists(target):
        raise UsageError(f"There is a model {target} already. Choose another --name, or remove it first.")
    if name in OURS | {card.name for card in encoders.cards(settings)}:
        raise UsageError(f"{name!r} is the name of a model that is known already. Choose another --name.")


@contextmanager
def aside(models: Path, name: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder to fill, and what puts it in its place; it is gone when that is not called."""
    inside = models / f".{name}.{uuid.uuid4().hex}"
    try:
        inside.mkdir(parents=True)
        yield inside, lambda: _place(inside, models / name)
    except OSError as error:
        if isinstance(error, PicfindError):
            raise
        raise EncoderError(
            f"The model {models / name} cannot be written: {error.strerror or error}. Make room, or let "
            "PICFIND_MODELS name another folder. Nothing was left behind."
        ) from error
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def _place(aside: Path, target: Path) -> None:
    if os.path.lexists(target):  # a rename would replace an empty folder
        raise UsageError(f"There is a model {target} already: it was made meanwhile. Choose another --name.")
    aside.rename(target)
