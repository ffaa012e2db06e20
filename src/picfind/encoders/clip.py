"""CLIP and its kin: ONNX folders in the layout that Immich publishes on the hub, from there or from anywhere else.

    config.json                       open_clip's model config: embed_dim, text_cfg
    visual/model.onnx                 pictures -> vectors; large weights may lie in further files beside it
    visual/preprocess_cfg.json        size, mean, std, interpolation, resize_mode
    textual/model.onnx                token ids -> vectors
    textual/tokenizer.json            of the library `tokenizers`
    textual/tokenizer_config.json     pad_token

A folder's name is the model's name. `models pull` fetches a folder, `models export` makes one, and one that is copied
into a folder of the setting `models` does as well.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from picfind.encoders import _folders
from picfind.encoders._clip.cards import FAMILY, KNOWN, OWNER, not_pulled
from picfind.encoders._clip.config import embed_dim, read_preprocess
from picfind.encoders._clip.graph import Graph
from picfind.encoders._clip.towers import ImageTower, TextTower, visual_graph
from picfind.encoders._clip.words import Words, read_settings
from picfind.encoders._onnx import Once, on_accelerator
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picfind.settings import Settings

GRAPHS = ("visual/model.onnx", "textual/model.onnx")
FILES = (
    "config.json",
    "visual/preprocess_cfg.json",
    "textual/tokenizer.json",
    "textual/tokenizer_config.json",
    *GRAPHS,
)
_BATCH = 32
"""Pictures in one call where a batch is faster: on an accelerator."""
_NO_WEIGHTS = frozenset(
    [
        ".json",
        ".txt",
        ".md",
        ".model",
        ".onnx",
        ".ort",
        ".armnn",
        ".rknn",
        ".mlmodel",
        ".tflite",
        ".xml",
        ".pt",
        ".pth",
        ".safetensors",
        ".py",
        ".png",
        ".jpg",
    ]
)
"""Endings of files beside a graph that are no further weights of it: tokenizers of other libraries, other formats."""


def cards(settings: Settings) -> Iterable[EncoderCard]:
    """The published models, pulled or not, then every other folder of this layout in the folders of models.

    A folder that is damaged is listed as not installed, with what is wrong with it as its note.
    """
    return _folders.cards(
        settings,
        family=FAMILY,
        is_ours=is_ours,
        read=read_card,
        towers=("image", "text"),
        published=map(not_pulled, KNOWN),
    )


def find(spec: str, settings: Settings) -> EncoderCard | None:
    """The card for a model's name, its repository on the hub (`owner/name`), its folder's name, or a path.

    Raises ModelFilesError for a folder that is damaged, and for a published model that was not pulled yet.
    """
    folder = _folders.named(spec, settings) or _folders.named(folder_name(spec), settings)
    if folder is not None:
        return read_card(folder, settings) if is_ours(folder) else None
    name = folder_name(spec)
    if name in KNOWN:
        raise _folders.not_here(name, KNOWN[name].size_mb)
    if spec.startswith(f"{OWNER}/"):
        raise _folders.not_here(spec)
    return None


def load(
    card: EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """The encoder. Its graphs are opened when they are first used: words never read the pictures' weights.

    `language` is the language of the words, for models that want to be told (NLLB's); the role makes no difference.
    Raises ModelFilesError for files that are missing or odd, UsageError for a language that the model does not have.
    """
    folder = _folders.folder_of(card, settings)
    _folders.require(folder, FILES)
    preprocess = read_preprocess(folder)
    at_once = _BATCH if on_accelerator(settings.device) else 1
    visual = Once(lambda: visual_graph(folder / GRAPHS[0], card.dim, settings.device, at_once, preprocess))
    textual = Once(lambda: Graph(folder / GRAPHS[1], dim=card.dim, device=settings.device, at_once=at_once))
    words = Once(lambda: Words(folder, language=language))
    if language is not None:
        words.get()  # a language that is not there shows now
    return Encoder(
        card=replace(card, batch_size=at_once),
        image=ImageTower(visual, preprocess, card.dim),
        text=TextTower(textual, words, card.dim),
        decode_size=preprocess.decode_size,
        on_accelerator=at_once > 1,
    )


def repository(name: str) -> str | None:
    """The hub's repository of a published model, None for a name that is not known."""
    return f"{OWNER}/{name}" if name in KNOWN else None


def wanted(files: Sequence[str]) -> list[str] | None:
    """Which of a repository's files make up a model of this layout, with the weights that lie beside its graphs.

    What is there for other runtimes (`visual/model.armnn`, `rknpu/`, `fp16/`) is left out. None for a repository that
    has no such model.
    """
    if not set(FILES) <= set(files):
        return None
    return [name for name in files if name in FILES or _may_be_weights(name)]


def folder_name(repository: str) -> str:
    """The folder that a model of the hub (`owner/name`) is kept in: its name alone where the owner is the known one."""
    owner, _, name = repository.rpartition("/")
    return name if owner == OWNER else f"{owner}--{name}" if owner else name


def is_ours(folder: Path) -> bool:
    """Whether a folder means to be of this layout: by its `picfind.json`, else by having both towers' folders."""
    try:
        manifest = _folders.read_manifest(folder)
    except ModelFilesError:
        manifest = None
    if manifest is not None:
        return manifest.family == FAMILY
    return any(os.path.isdir(folder / part) for part in ("visual", "textual"))


def read_card(folder: Path, settings: Settings) -> EncoderCard:
    """The card of a folder. Raises ModelFilesError when a file is missing, damaged or not what was pulled."""
    _folders.require(folder, FILES)
    preprocess = read_preprocess(folder)
    files = model_files(folder)
    how = f"{preprocess.describe()}; {read_settings(folder).describe()}; unit length"
    manifest = _folders.read_manifest(folder)
    known = KNOWN.get(folder.name)
    published = known is not None and (manifest is None or manifest.source.startswith(f"{OWNER}/"))
    stated = manifest.licence if manifest else "not stated"
    return EncoderCard(
        name=_folders.name_of(folder, settings),
        family=FAMILY,
        revision=_folders.revision(folder, files, how),
        dim=embed_dim(folder),
        licence=known.licence if known and published else stated,
        source=manifest.source if manifest else "a local folder",
        size_mb=_folders.size_mb(folder, files),
        image_size=max(preprocess.size),
        languages=known.languages if known else (),
        note=known.note if known else "",
        recall=known.recall if known else {},
        recall_source=known.recall_source if known else "",
    )


def model_files(folder: Path) -> list[str]:
    """The files that the vectors depend on besides the settings in JSON: graphs, further weights, the tokenizer."""
    return sorted(
        ["textual/tokenizer.json", *GRAPHS, *(name for graph in GRAPHS for name in _weights(folder, graph))]
    )


def problems(folder: Path) -> list[str]:
    """What is missing or odd in a folder of this layout, a sentence each; the graphs are not opened."""
    found = []
    for name in FILES:
        if not os.path.isfile(folder / name):
            found.append(f"{name} is missing")
        elif not (folder / name).stat().st_size:
            found.append(f"{name} is empty")
    checks = (embed_dim, read_preprocess, read_settings)
    for check in checks if not found else ():
        try:
            check(folder)
        except ModelFilesError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def _weights(folder: Path, graph: str) -> list[str]:
    """The files beside a graph that it names: weights too large for one file. Reads the graph only if there are any."""
    place = (folder / graph).parent
    beside = [path.relative_to(folder).as_posix() for path in sorted(place.rglob("*")) if path.is_file()]
    maybe = [name for name in beside if _may_be_weights(name)]
    if not maybe or not (folder / graph).stat().st_size:
        return []
    start = len(PurePosixPath(graph).parent.as_posix()) + 1
    with (
        _folders.reading(folder),
        (folder / graph).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return [name for name in maybe if content.find(_location(name[start:])) >= 0]


def _location(name: str) -> bytes:
    """How a graph's protobuf spells the file of a tensor: the key `location`, the length as a varint, the name."""
    text = name.encode()
    low, high = len(text) & 0x7F, len(text) >> 7
    return b"location\x12" + (bytes([low | 0x80, high]) if high else bytes([low])) + text


def _may_be_weights(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        len(path.parts) == 2
        and path.parts[0] in ("visual", "textual")
        and path.suffix.lower() not in _NO_WEIGHTS
        and not path.name.startswith(".")
    )
