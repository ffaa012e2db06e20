"""Sources as a gallery knows them: a dataset of what a person names, and pictures read again where they lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from picfind import datasets, keys
from picfind.datasets.base import Dataset
from picfind.datasets.folder import Folder
from picfind.errors import MissingSourceError, UsageError
from picfind.images import Limits, read_limited
from picfind.settings import Settings
from picfind.storage import names, roots
from picfind.storage.catalog import Catalog
from picfind.storage.roots import Root
from picfind.storage.store import Store
from picfind.types import Fingerprint, Item


def dataset_of(catalog: Catalog, source: str | os.PathLike[str], settings: Settings) -> Dataset:
    """The dataset of a source that a person names; a folder inside a known root keeps that root's names.

    Raises UsageError.
    """
    if datasets.is_named(source):
        return datasets.open_source(source, settings)
    path = Path(source).expanduser()
    root = roots.find_root(catalog, roots.FOLDER_KIND, roots.location_of(path))
    return Folder(path, exclude=settings.exclude, root=root.path if root else None)


def check_there(source: str, settings: Settings) -> None:
    """Look whether a source is there at all, without reading it. Raises MissingSourceError, UsageError."""
    if not datasets.is_named(source):
        path = keys.absolute(Path(source))
        if not os.path.exists(path):
            raise MissingSourceError(
                f"There is nothing at {keys.shown(keys.escape(str(path)))}. Plug in its drive; if it has moved, run "
                "`picfind roots move OLD NEW`."
            )
        return
    dataset = datasets.open_source(source, settings)
    root = Root(0, dataset.kind, dataset.location, None, 0.0)
    if not roots.is_address(root.folder) and not os.path.exists(root.path):
        next(dataset.items(), None)  # it says best what it lacks, and where to get that


def forget(store: Store, source: str | os.PathLike[str], settings: Settings) -> int:
    """Forget what lies at a source: roots, a folder below them, or a picture. Gives how many names that were.

    Raises UsageError when the gallery knows nothing of it.
    """
    catalog = store.catalog
    found = [(root, key, names.states(catalog, root.id)) for root, key in known_at(catalog, source, settings)]
    if not found:
        raise UsageError(
            f"The gallery knows nothing of {_shown(source)}. `picfind roots` lists what it knows."
        )
    gone = [
        (root, key, {name: state for name, state in known.items() if not key or _is_below(name, key)})
        for root, key, known in found
    ]
    if all(key and not below for _, key, below in gone):
        raise UsageError(f"The gallery knows no picture {_shown(source)}.")
    with store.writing() as writer, writer.transaction() as change:
        for root, key, below in gone:
            names.forget(change, root.id, below)
            if not key:
                change.run("DELETE FROM roots WHERE id = ?", (root.id,))
    return sum(state.named for _, _, below in gone for state in below.values())


def _is_below(key: str, prefix: str) -> bool:
    key, prefix = keys.folded(key), keys.folded(prefix)
    return key == prefix or key.startswith(prefix + "/")


def _shown(source: str | os.PathLike[str]) -> str:
    is_path = not datasets.is_named(source) and not roots.is_address(str(source))
    return keys.shown(roots.location_of(Path(source)) if is_path else str(source))


def known_at(
    catalog: Catalog, source: str | os.PathLike[str], settings: Settings
) -> Iterator[tuple[Root, str]]:
    """The roots that lie at a source or hold it, each with the key that the source has there; "" for a whole root.

    A path and a URL may belong to several, a dataset by its name is one. Nothing needs to be there now.
    """
    every = roots.roots(catalog)
    told = str(source)
    named = [root for root in every if root.kind != roots.FOLDER_KIND and root.source == told]
    if not named and datasets.is_named(source) and not roots.is_address(told):
        dataset = datasets.open_source(source, settings)
        named = [root for root in every if (root.kind, root.location) == (dataset.kind, dataset.location)]
        if not named:
            return
    if named:
        yield named[0], ""
        return
    place = told if roots.is_address(told) else roots.location_of(Path(source))
    for root in every:
        key = _key_at(root, place)
        if key is not None:
            yield root, key


def _key_at(root: Root, place: str) -> str | None:
    if root.kind != roots.FOLDER_KIND:
        return root.key_of(place)
    prefix = None if roots.is_address(place) else roots.prefix_of(root, root.kind, place)
    return None if prefix is None else prefix.rstrip("/")


def read(catalog: Catalog, place: str, settings: Settings, *, limits: Limits | None = None) -> bytes:
    """The bytes of a picture that the gallery knows, by its place as `Hit.keys` has it: a path, also into an archive,
    or a URL, which is loaded.

    What lies there now is given: for a file that has changed, the new one. Raises MissingSourceError,
    PictureTooLargeError and other errors of pictures, DownloadError, OSError.
    """
    limits = limits or Limits(max_pixels=settings.max_pixels, max_bytes=settings.max_bytes)
    if not roots.is_address(place):
        path = Path(keys.unescape(place))
        if path.is_file():
            with path.open("rb") as file:
                return read_limited(file, limits)
    for root, key, mark in _names_at(catalog, place):
        data = _read(root, key, mark, settings, limits)
        if data is not None:
            return data
    raise MissingSourceError(f"{keys.shown(place)} is not there now, or the gallery does not know it.")


def _names_at(catalog: Catalog, place: str) -> Iterator[tuple[Root, str, Fingerprint]]:
    for root in roots.roots(catalog):
        key = root.key_of(place) if root.kind != roots.FOLDER_KIND else None
        mark = names.fingerprint_of(catalog, root.id, key) if key else None
        if key and mark is not None:
            yield root, key, mark


def _read(root: Root, key: str, mark: Fingerprint, settings: Settings, limits: Limits) -> bytes | None:
    """A picture through the dataset of its root, which may have no quicker way to it than a listing; None: not there."""
    try:
        dataset = datasets.open_root(root.kind, root.location, settings)
    except UsageError:  # of a plug-in that is not here, or of a program's own
        return None
    try:
        if hasattr(dataset, "reopen"):
            with dataset.reopen(key, mark) as file:
                return read_limited(file, limits)
        found = (item for item in dataset.items() if isinstance(item, Item) and item.key == key)
        item = next(found, None)
        if item is None:
            return None
        with item.open() as file:
            return read_limited(file, limits)
    except (FileNotFoundError, MissingSourceError, NotADirectoryError):
        return None
