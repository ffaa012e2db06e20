"""Finds a checkpoint, here or on the hub, and says what kind it is."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picfind import keys
from picfind.encoders._bert.layout import TYPES
from picfind.errors import ModelFilesError, UnknownModelError
from picfind.fetch import Progress, download, look_up
from picfind.settings import Settings
from picfind.training.openclip import CONFIG
from picfind.training.originals import read_object
from picfind.training.pretrained import PAIRS

_CNN_FILES = (".pth", ".pt", ".safetensors")
_SMALL = re.compile(r"[^/]+\.(json|txt)|README\.md|1_Pooling/config\.json")
_WEIGHTS = (
    re.compile(r"model[^/]*\.safetensors"),
    re.compile(r"open_clip[^/]*\.safetensors"),
    re.compile(r"pytorch_model[^/]*\.bin"),
    re.compile(r"open_clip[^/]*\.(bin|pt)"),
)
"""The weights of a repository; the first form that it has is fetched."""
_KNOWN = (
    f"a folder or repository of transformers ({', '.join(PAIRS)}, or a BERT type), of open_clip "
    f"({CONFIG}), of sentence-transformers, or a ResNet's {', '.join(_CNN_FILES)} file"
)


@contextmanager
def located(
    checkpoint: str, settings: Settings, *, progress: Progress | None = None
) -> Iterator[tuple[Path, str]]:
    """The checkpoint's folder or file, and where it comes from in words.

    A repository of the hub (`owner/name`) is fetched aside and removed afterwards; what was fetched of it before a
    download broke off stays for the next try. Raises UnknownModelError when there is nothing of this name,
    DownloadError when a repository cannot be had.
    """
    if os.path.exists(checkpoint):
        found = keys.absolute(Path(checkpoint))
        if found.is_file() and found.suffix not in _CNN_FILES:
            raise ModelFilesError(f"The file {found} is no checkpoint that is known: {_KNOWN}.")
        yield found, str(found)
        return
    if checkpoint.count("/") != 1 or checkpoint.startswith((".", "/", "~")):
        raise UnknownModelError(f"There is no checkpoint {checkpoint}. Known are: {_KNOWN}.")
    aside = settings.models[-1] / f".{checkpoint.replace('/', '--')}.checkpoint"
    commit = _fetch(checkpoint, aside, progress)
    try:
        yield aside, f"{checkpoint}@{commit}"
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def describe(folder: Path) -> str:
    """`pair`, `words` or `open_clip`. Raises ModelFilesError, which says what was found and what is known."""
    config = read_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    kind = config.get("model_type")
    if kind in PAIRS:
        return "pair"
    if (folder / CONFIG).is_file() or {"embed_dim", "vision_cfg"} <= set(config.get("model_cfg", {})):
        return "open_clip"
    if kind in TYPES:
        return "words"
    if kind is not None:
        found = f"a config.json of the type {kind!r}"
    else:
        names = sorted(path.name for path in folder.iterdir())[:5]
        found = f"the files {', '.join(names)}" if names else "nothing"
    raise ModelFilesError(
        f"The folder {folder} is no checkpoint that is known: it holds {found}. Known are: {_KNOWN}."
    )


def _fetch(repository: str, folder: Path, progress: Progress | None) -> str:
    """Fetch what an export needs, the small files first: they tell whether the weights are worth it. Gives the commit."""
    listing = look_up(repository)
    names = [file.name for file in listing.files]
    download(listing, [name for name in names if _SMALL.fullmatch(name)], folder, progress=progress)
    try:
        describe(folder)
    except ModelFilesError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    forms = ([name for name in names if form.fullmatch(name)] for form in _WEIGHTS)
    download(listing, next((form for form in forms if form), []), folder, progress=progress)
    return listing.commit
