"""The pictures of a gallery as the search for duplicates needs them: what they are, and the files where they lie now."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from picfind import keys
from picfind.storage import parts, roots, spaces
from picfind.storage.store import Store
from picfind.types import PICTURE, Ids, Space

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw"}
    | {".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
"""Endings, in lower case, of the files that cameras write beside a JPEG or HEIC. They are not indexed, only known of."""

Rows = NDArray[np.float16]
"""(n, dim): vectors as segments hold them."""


@dataclass(frozen=True, slots=True)
class File:
    """A place where a picture lies: its path (escaped, as in a `Hit`), its root and key, the name's own date."""

    path: str
    root_id: int
    key: str
    dated: str | None = None

    @property
    def here(self) -> Path:
        """The path as the system takes it."""
        return Path(keys.unescape(self.path))

    @property
    def shot(self) -> tuple[int, str]:
        """What the files of one shot share: the root, and the key without its ending (IMG_1.HEIC and IMG_1.JPG)."""
        return self.root_id, keys.folded(str(PurePosixPath(self.key).with_suffix(""))).lower()


@dataclass(frozen=True, slots=True)
class Known:
    """One content that has at least one file: its bytes, its facts, its files by path."""

    id: int
    sha256: bytes
    size: int
    format: str | None
    width: int
    height: int
    taken: str | None
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """All pictures with a file that is there, by content id; and the paths of the files that are not there now.

    `apart` are those of datasets without a file: they lie in archives or behind URLs, or are not there.
    """

    pictures: tuple[Known, ...]
    missing: tuple[str, ...]
    apart: tuple[str, ...] = ()


def list_pictures(store: Store) -> Listed:
    """What the catalog knows, as far as it can be reached now."""
    with store.catalog.reading():
        every = {root.id: root for root in roots.roots(store.catalog)}
        contents = store.catalog.all(
            "SELECT id, sha256, bytes, format, width, height, taken FROM contents ORDER BY id"
        )
        named = store.catalog.all(
            "SELECT content_id, root_id, key, dated FROM names ORDER BY content_id, root_id, key"
        )
    present = {root.id for root in every.values() if os.path.isdir(root.path)}
    files: dict[int, dict[str, File]] = {}
    missing, apart = list[str](), list[str]()
    for content_id, root_id, key, dated in named:
        file = File(every[root_id].place(key), root_id, key, dated)
        if root_id in present and not roots.is_address(file.path) and os.path.isfile(file.here):
            files.setdefault(content_id, {}).setdefault(
                file.path, file
            )  # a dataset may lie in an indexed folder
        else:
            (missing if every[root_id].kind == roots.FOLDER_KIND else apart).append(file.path)
    pictures = tuple(
        Known(id_, sha256, size, form, width or 0, height or 0, taken, tuple(files[id_].values()))
        for id_, sha256, size, form, width, height, taken in contents
        if id_ in files
    )
    return Listed(pictures, tuple(missing), tuple(apart))


def picture_space(store: Store) -> Space | None:
    """The space that pictures are compared in: of those of pictures alone, the one in use or, else, any other."""
    return next(iter(spaces.spaces(store.catalog, kinds=(PICTURE,))), None)


def vectors_of(store: Store, space: Space, pictures: Iterable[Known]) -> tuple[Ids, Rows]:
    """The places in `pictures` of those that have a vector (n,), and the vectors (n, dim), in half precision."""
    _, segments = store.vectors(space)
    wanted = {picture.id: at for at, picture in enumerate(pictures)}
    content_of: dict[int, int] = dict(
        store.catalog.all(
            "SELECT id, content_id FROM parts WHERE kind = 'picture' AND content_id IS NOT NULL"
        )
    )
    places, rows = [np.empty(0, np.int64)], [np.empty((0, space.dim), np.float16)]
    for segment in segments:
        at = np.array(
            [
                -1 if part == parts.DEAD else wanted.get(content_of.get(part, -1), -1)
                for part in segment.parts.tolist()
            ],
            np.int64,
        )
        places.append(at[at >= 0])
        rows.append(np.asarray(segment.vectors[at >= 0], np.float16))
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.concatenate(places)[order], np.concatenate(rows)[order]


def raw_beside(file: File, listed: dict[Path, frozenset[str]]) -> bool:
    """Whether a camera's RAW file of the same shot lies beside a file; `listed` keeps what folders hold."""
    folder = file.here.parent
    if folder not in listed:
        listed[folder] = frozenset(_raw_stems(folder))
    return keys.folded(file.here.stem).lower() in listed[folder]


def _raw_stems(folder: Path) -> list[str]:
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() in RAW_SUFFIXES]
    except OSError:
        return []
    return [keys.folded(path.stem).lower() for path in names]
