"""Models from the hub into the folder of models: whole, checked, and under their names only when they are complete."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from picfind import encoders, fetch, plugins
from picfind.encoders import _folders
from picfind.encoders.base import EncoderCard
from picfind.errors import DownloadError, ModelFilesError, UnknownModelError, UsageError

if TYPE_CHECKING:
    from picfind.settings import Settings

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a model comes from and where it goes. `families` are those that may know what to take of it."""

    repository: str
    folder: str
    families: dict[str, ModuleType]


def pull(
    spec: str,
    settings: Settings,
    *,
    progress: fetch.Progress | None = None,
    waiting: Callable[[], None] | None = None,
) -> EncoderCard:
    """Load a model by its name or repository (`owner/name`) into the last folder of models, and give its card.

    A model that is here and whole is left alone, without a word to the network. One that is damaged is replaced when
    the new one is complete. An interrupted download goes on where it stopped. Two processes that want the same model
    wait for one another; `waiting` is called once if this one has to.

    Raises DownloadError, and UsageError for what is neither a name nor a repository.
    """
    source = _source(spec, settings)
    card = _here(source, settings)
    if card is not None:
        return card
    place = _folders.home(settings)
    with _alone(place, source.folder, waiting):
        card = _here(source, settings)
        if card is None:
            _load(source, place, settings, progress)
            card = _here(source, settings)
    if card is None:
        raise ModelFilesError(f"{source.repository} is no model that can be used.")
    return card


def _source(spec: str, settings: Settings) -> _Source:
    families = {name: family for name, family in plugins.load_all("encoders") if hasattr(family, "wanted")}
    for name, family in families.items():
        known = [spec] if "/" not in spec else [card.name for card in family.cards(settings)]
        for model in known:
            repository = family.repository(model)
            if repository and spec in (model, repository):
                return _Source(repository, model, {name: family})
    if not _REPOSITORY.fullmatch(spec):
        if any(card.name == spec and card.installed for card in encoders.cards(settings)):
            raise UsageError(f"The model {spec} is here, and none of the hub's. Use it with --model {spec}.")
        raise UsageError(
            f"There is no model {spec!r} to pull. `picfind models` lists those that are known; any other one is named as "
            "on the hub: owner/name."
        )
    from picfind.encoders import clip

    return _Source(spec, clip.folder_name(spec), families)


def _here(source: _Source, settings: Settings) -> EncoderCard | None:
    """The card of a model that is here and whole; None when it must be loaded.

    Raises DownloadError when something else is in its place.
    """
    places = [place / source.folder for place in settings.models]
    folder = next((path for path in places if os.path.isdir(path)), None)
    if folder is None:
        return None
    try:
        card = encoders.find(source.folder, settings)
        return card if card.installed else None
    except ModelFilesError as error:
        if folder.parent == settings.models[-1]:
            return None
        raise DownloadError(f"{error} The damaged folder {folder} comes first: remove it.") from error
    except UnknownModelError as error:
        raise DownloadError(f"{folder} is in the way and is no model that is known: move it.") from error


def _load(source: _Source, place: Path, settings: Settings, progress: fetch.Progress | None) -> None:
    listing = fetch.look_up(source.repository)
    family, files = _wanted(source, listing)
    target, partial = place / source.folder, place / f".{source.folder}.partial"
    _sweep(partial, files)
    fetch.download(listing, files, partial, progress=progress, nearby=target)
    finish = getattr(source.families[family], "finish", None)
    if finish is not None:
        finish(partial, source.repository, settings)
    origin = f"{source.repository}@{listing.commit}"
    _folders.write_manifest(partial, _folders.Manifest(family, licence=listing.licence, source=origin))
    _put_in_place(partial, target)


def _wanted(source: _Source, listing: fetch.Listing) -> tuple[str, list[str]]:
    """The family whose model a repository holds, and the files that make it up."""
    names = [file.name for file in listing.files]
    for name, family in source.families.items():
        files: list[str] | None = family.wanted(names)
        if files:
            return name, files
    raise DownloadError(
        f"{source.repository} holds no model of the families {', '.join(source.families)}: its files are "
        f"{', '.join(names[:8]) or 'none'}. Perhaps `picfind models export` can make one of it."
    )


def _sweep(partial: Path, files: list[str]) -> None:
    """Remove what an earlier try at another version left."""
    for path in sorted(partial.rglob("*"), reverse=True) if os.path.isdir(partial) else ():
        name = path.relative_to(partial).as_posix()
        if path.is_file() and name not in files and not name.startswith(f"{fetch.PARTS}/"):
            path.unlink()


def _put_in_place(partial: Path, target: Path) -> None:
    """One rename; a damaged folder of the name goes first and comes back should that fail."""
    aside = target.with_name(f".{target.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    replaced = os.path.isdir(target)
    try:
        if replaced:
            target.rename(aside)
        partial.rename(target)
    except OSError as error:
        if replaced and not os.path.isdir(target) and os.path.isdir(aside):
            aside.rename(target)
        raise DownloadError(
            f"The model is loaded, but {partial} cannot become {target}: {error.strerror or error}. Close what uses it "
            "and run it again."
        ) from error
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _alone(place: Path, name: str, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock of one model; it ends with its process."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is not None:
                waiting()
            lock.acquire()
    except OSError as error:
        raise DownloadError(
            f"{place} cannot be written: {error.strerror or error}. Set PICFIND_MODELS to a folder of your own."
        ) from error
    try:
        yield
    finally:
        lock.release()
