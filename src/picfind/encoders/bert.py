"""BERT-type text towers: words alone, as the mean of the last layer's tokens that count.

Reimers and Gurevych, "Sentence-BERT" (arXiv 1908.10084). A model is a folder as it is published on the hub, with an
ONNX graph; `minilm` is the one that comes inside the built-in model's files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from picfind.encoders import _folders
from picfind.encoders._bert.layout import (
    CONFIG,
    FAMILY,
    GRAPHS,
    HINT,
    TOKENIZER,
    Recipe,
    beside,
    files,
    is_bert,
    read_recipe,
)
from picfind.encoders._bert.tower import PartTower, TextTower
from picfind.encoders._onnx import on_accelerator
from picfind.encoders.base import Encoder, EncoderCard, Role, Tower
from picfind.encoders.builtin import FOLDER as BUILTIN
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from picfind.settings import Settings

MINILM = "minilm"
_REINSTALL = "Reinstall picfind: pip install --force-reinstall --no-deps picfind"
_BATCH = 32
_SMALL_FILES = frozenset({
    CONFIG, "config_sentence_transformers.json", "modules.json", "sentence_bert_config.json", "special_tokens_map.json",
    "tokenizer_config.json",
})  # fmt: skip


_E5_NOTE = "94 languages. Puts `query: ` or `passage: ` before a text, as it was trained."


@dataclass(frozen=True, slots=True)
class _Published:
    """A model of the hub that is known by name. `size_mb` is what is downloaded."""

    repository: str
    dim: int
    licence: str
    size_mb: float
    languages: tuple[str, ...]
    note: str = ""


_PUBLISHED = {
    "all-MiniLM-L6-v2": _Published("sentence-transformers/all-MiniLM-L6-v2", 384, "Apache-2.0", 90.9, ("en",)),
    "bert-base-uncased": _Published(
        "google-bert/bert-base-uncased", 768, "Apache-2.0", 532.6, ("en",),
        "Was never trained to compare texts: the mean of its tokens is a baseline, not a good search.",
    ),
    "multilingual-e5-base": _Published(
        "intfloat/multilingual-e5-base", 768, "MIT", 1127.0, ("multilingual",), _E5_NOTE
    ),
    "multilingual-e5-small": _Published(
        "intfloat/multilingual-e5-small", 384, "MIT", 487.4, ("multilingual",), _E5_NOTE
    ),
}  # fmt: skip
_NAMES = {model.repository: name for name, model in _PUBLISHED.items()}


def cards(settings: Settings) -> Iterable[EncoderCard]:
    """`minilm`, the published models, pulled or not, then every other folder of this family in the folders of models.

    A folder that is damaged is listed as not installed, with what is wrong with it as its note.
    """
    folders = _folders.cards(
        settings,
        family=FAMILY,
        is_ours=is_bert,
        read=_card,
        towers=("text",),
        published=map(_known, _PUBLISHED),
    )
    return [_minilm(), *folders]


def find(spec: str, settings: Settings) -> EncoderCard | None:
    """The card for `minilm`, a published model by its name, a repository that was pulled, or a folder of this family.

    Raises ModelFilesError for a folder that is damaged and for a published model that was not pulled yet.
    """
    if spec == MINILM:
        return _minilm()
    name = _NAMES.get(spec, spec.replace("/", "--"))
    folder = _folders.named(spec, settings) or _folders.named(name, settings)
    if folder is not None:
        return _card(folder, settings) if is_bert(folder) else None
    if name in _PUBLISHED:
        raise _folders.not_here(name, _PUBLISHED[name].size_mb)
    return None


def load(
    card: EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """The encoder; `role` chooses the prefix of a model that has one. The files are read at the first text."""
    if card.name == MINILM:
        return Encoder(card=card, text=_minilm_tower())
    folder = _folders.folder_of(card, settings)
    recipe = read_recipe(folder)
    batched = settings.device != "cpu" and on_accelerator(settings.device)
    tower = TextTower(
        folder, recipe, prefix=recipe.prefix(role), device=settings.device, batched=batched, hint=HINT
    )
    return Encoder(card=replace(card, batch_size=_BATCH), text=tower, on_accelerator=batched)


def repository(name: str) -> str | None:
    """The hub's repository of a model that is known by name."""
    return _PUBLISHED[name].repository if name in _PUBLISHED else None


def wanted(files: Sequence[str]) -> list[str] | None:
    """One full ONNX graph with its weights, the tokenizer and the small configurations.

    None without a graph or a tokenizer: such a repository has to be exported.
    """
    graph = next((name for name in GRAPHS if name in files), None)
    if graph is None or not {TOKENIZER, CONFIG} <= set(files):
        return None
    small = [name for name in files if name in _SMALL_FILES or _of_module(name)]
    return [graph, *sorted(beside(graph, files)), TOKENIZER, *sorted(small)]


def finish(folder: Path, repository: str, settings: Settings) -> None:
    """Check a fresh download by encoding a word. A graph with a head that guesses words is cut before the head.

    Raises ModelFilesError for a graph of another task, MissingExtraError when one must be cut and onnx is missing.
    """
    recipe = read_recipe(folder)
    from picfind.encoders._bert.head import cut_head

    cut_head(folder / recipe.graph)
    tower = TextTower(folder, recipe, hint=HINT)
    tower.encode([tower.prepare("word")])


def _of_module(name: str) -> bool:
    """Whether a file configures a module of sentence-transformers: `1_Pooling/config.json`."""
    path = PurePosixPath(name)
    return len(path.parts) == 2 and path.name == CONFIG and path.parts[0][:1].isdigit()


def _minilm() -> EncoderCard:
    """all-MiniLM-L6-v2 in 8 bits, out of the built-in model's text graph."""
    names = ["text.onnx", TOKENIZER]
    columns, _ = _sentence_columns()
    return EncoderCard(
        name=MINILM, family=FAMILY, revision=_folders.revision(BUILTIN, names, "the part conse; unit length"),
        dim=columns.stop - columns.start, licence="Apache-2.0", source="sentence-transformers/all-MiniLM-L6-v2",
        size_mb=_folders.size_mb(BUILTIN, names), image_size=None, languages=("en",), batch_size=_BATCH,
        towers=("text",), note="Words only, to compare captions with; comes with picfind.",
    )  # fmt: skip


def _minilm_tower() -> Tower[str]:
    """The built-in text graph, of whose vector one part is the sentence vector of MiniLM."""
    columns, whole = _sentence_columns()
    return PartTower(TextTower(BUILTIN, Recipe("text.onnx", whole, limit=256), hint=_REINSTALL), columns)


def _sentence_columns() -> tuple[slice, int]:
    """Where the sentence vector lies in a built-in vector, and how wide that vector is."""
    path = BUILTIN / "card.json"
    try:
        parts: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["parts"]
        found = next(part for part in parts if part["name"] == "conse")
        columns = slice(int(found["offset"]), int(found["offset"]) + int(found["dim"]))
        return columns, sum(int(part["dim"]) for part in parts)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ModelFilesError(
            f"The built-in model's file {path} cannot be read: {error}. {_REINSTALL}"
        ) from error


def _known(name: str) -> EncoderCard:
    """The card of a model that must be pulled first."""
    model = _PUBLISHED[name]
    return EncoderCard(
        name=name, family=FAMILY, revision="", dim=model.dim, licence=model.licence, source=model.repository,
        size_mb=model.size_mb, image_size=None, languages=model.languages, batch_size=_BATCH, note=model.note,
        towers=("text",), installed=False,
    )  # fmt: skip


def _card(folder: Path, settings: Settings) -> EncoderCard:
    recipe = read_recipe(folder)
    manifest = _folders.read_manifest(folder) or _folders.Manifest(FAMILY)
    model = _PUBLISHED.get(folder.name)
    names = files(folder, recipe)
    return EncoderCard(
        name=_folders.name_of(folder, settings), family=FAMILY,
        revision=_folders.revision(folder, names, recipe.describe()), dim=recipe.dim, licence=manifest.licence,
        source=manifest.source, size_mb=_folders.size_mb(folder, names), image_size=None,
        languages=model.languages if model else (), batch_size=_BATCH, note=model.note if model else "",
        towers=("text",),
    )  # fmt: skip
