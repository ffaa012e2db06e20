"""Vectors by name: of the pictures of a root, out of a gallery; of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from picfind.encoders.base import Encoder
from picfind.storage import spaces
from picfind.storage.store import Store
from picfind.types import Floats, Ids, Space

_CHUNK = 32
"""Texts that a thread takes at a time."""


@dataclass(frozen=True)
class Vectors:
    """Rows (n, dim) float32 under names, each once."""

    names: tuple[str, ...]
    rows: Floats

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The row of each name."""
        return {name: at for at, name in enumerate(self.names)}

    def of(self, names: Iterable[str]) -> Floats:
        """(n, dim): the rows of some names. Raises KeyError."""
        return self.rows[np.fromiter((self.places[name] for name in names), np.int64)]

    def joined(self, other: Vectors) -> Vectors:
        """These, and those of `other`, whose names are others."""
        return Vectors((*self.names, *other.names), np.concatenate([self.rows, other.rows]))


def none(dim: int) -> Vectors:
    """No vectors at all."""
    return Vectors((), np.empty((0, dim), np.float32))


def of_root(store: Store, root_id: int, space: Space) -> Vectors:
    """The vectors of the whole pictures of a root, by key, in half precision as a search has them.

    Empty where the gallery has none of the space.
    """
    keys = store.catalog.all("SELECT key, content_id FROM names WHERE root_id = ? ORDER BY id", (root_id,))
    contents, rows = _of_space(store, space)
    places = {content: at for at, content in enumerate(contents.tolist())}
    held = [(key, places[content]) for key, content in keys if content in places]
    return Vectors(tuple(key for key, _ in held), rows[np.fromiter((at for _, at in held), np.int64)])


def of_contents(store: Store, space: Space, names: Mapping[str, int]) -> Vectors:
    """The vectors of pictures that have names of one's own, by content id; those without a vector are left out."""
    contents, rows = _of_space(store, space)
    places = {content: at for at, content in enumerate(contents.tolist())}
    held = [(name, places[content]) for name, content in names.items() if content in places]
    return Vectors(tuple(name for name, _ in held), rows[np.fromiter((at for _, at in held), np.int64)])


def _of_space(store: Store, space: Space) -> tuple[Ids, Floats]:
    """The content ids (n,) of a space's whole pictures, and their rows (n, dim) float32."""
    empty = np.empty(0, np.int64), np.empty((0, space.dim), np.float32)
    if space not in spaces.spaces(store.catalog):
        return empty
    _, segments = store.vectors(space)
    pairs = store.catalog.all("SELECT id, content_id FROM parts WHERE kind = 'picture'")
    content_of: dict[int, int] = dict(pairs)
    contents, rows = [empty[0]], [empty[1]]
    for segment in segments:
        own = np.fromiter((content_of.get(part, -1) for part in segment.parts.tolist()), np.int64)
        contents.append(own[own >= 0])
        rows.append(np.asarray(segment.vectors[own >= 0], np.float32))
    return np.concatenate(contents), np.concatenate(rows)


def of_texts(encoder: Encoder, texts: Mapping[str, str], *, workers: int = 1) -> Vectors:
    """The vectors of texts, by id. A text that several ids have is encoded once. Raises EncoderError."""
    each = list(dict.fromkeys(texts.values()))
    places = {text: at for at, text in enumerate(each)}
    chunks = [each[start : start + _CHUNK] for start in range(0, len(each), _CHUNK)]
    with ThreadPoolExecutor(1 if encoder.on_accelerator else workers) as pool:
        rows = np.concatenate([none(encoder.card.dim).rows, *pool.map(encoder.encode_texts, chunks)])
    return Vectors(tuple(texts), rows[np.fromiter((places[text] for text in texts.values()), np.int64)])
