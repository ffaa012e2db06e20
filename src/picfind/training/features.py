"""Vectors of frozen towers, encoded once and kept: by space, and by the SHA-256 of a picture's bytes or of a text.

    <user cache>/picfind/features/<model>-<revision>-<image or text>/0000.npy     float32 (n, dim)
    .../0000.txt                                                                  n hashes in hex, a line each

A piece counts when both of its files are there. The folder may be removed at any time.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from picfind.encoders.base import Encoder
from picfind.errors import CheckpointError, EncoderError
from picfind.settings import Settings
from picfind.storage import durable
from picfind.training.captioned import Example, each_picture, usable
from picfind.types import Floats, Space

Told = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""
_PIECE = 512
"""Vectors in a file: what is lost at most when a run is cut short."""
_UNSAFE = '/\\:*?"<>|+@ '


def home() -> Path:
    """Where features are kept."""
    return Path(platformdirs.user_cache_dir("picfind", appauthor=False)) / "features"


class Features:
    """The kept vectors of one tower."""

    def __init__(self, space: Space, tower: str) -> None:
        name = "".join("_" if sign in _UNSAFE else sign for sign in space.name)[-80:]
        self._folder = home() / f"{name}-{space.revision}-{tower}"
        self._dim = space.dim
        self._rows: dict[str, Floats] = {}
        for names in sorted(self._folder.glob("*.txt")):
            self._read(names)

    def _read(self, names: Path) -> None:
        try:
            hashes = names.read_text(encoding="ascii").split()
            rows = np.load(names.with_suffix(".npy"), allow_pickle=False)
        except (OSError, ValueError, EOFError):  # only a cache: what cannot be read is encoded again
            return
        if rows.shape == (len(hashes), self._dim) and rows.dtype == np.float32 and np.isfinite(rows).all():
            self._rows.update(zip(hashes, rows, strict=True))

    def __contains__(self, content: str) -> bool:
        return content in self._rows

    def rows(self, contents: Iterable[str]) -> Floats:
        """(n, dim) of these hashes, which must all be there."""
        found = [self._rows[content] for content in contents]
        return np.stack(found) if found else np.empty((0, self._dim), np.float32)

    def add(self, contents: Sequence[str], rows: Floats) -> None:
        """Keep vectors. Raises CheckpointError when the disk does not let it."""
        if not len(contents):
            return
        self._rows.update(zip(contents, rows, strict=True))
        piece = self._folder / uuid.uuid4().hex
        try:
            durable.make_folder(self._folder)
            durable.write(
                piece.with_suffix(".npy"),
                lambda file: np.save(file, rows.astype(np.float32), allow_pickle=False),
            )
            durable.write(piece.with_suffix(".txt"), lambda file: file.write("\n".join(contents).encode()))
        except OSError as error:
            raise CheckpointError(
                f"The vectors in {self._folder} cannot be written: {error.strerror or error}. Make room; what was "
                "encoded before is kept."
            ) from error


def of_pictures(
    encoder: Encoder, examples: Sequence[Example], settings: Settings, *, skip_broken: bool, told: Told
) -> tuple[list[Example], Floats, list[str]]:
    """The usable examples, their rows (n, dim), and what to say of the others. Raises TrainingError as `usable` does."""
    if encoder.image is None:
        raise EncoderError(f"The model {encoder.card.name} encodes no pictures.")
    tower, kept = encoder.image, Features(encoder.space, "image")

    def work(data: bytes, opened: Callable[[], Any]) -> tuple[str, Floats | None]:
        content = hashlib.sha256(data).hexdigest()
        if content in kept:
            return content, None
        prepared = tower.prepare(opened())
        return content, tower.encode([prepared])[0]

    examples_left, hashes, faults = list[Example](), list[str](), list[str]()
    for at in range(0, len(examples), _PIECE):
        part = examples[at : at + _PIECE]
        found = each_picture(part, work, at_least=encoder.decode_size, settings=settings)
        fine, made, wrong = usable(part, found, skip_broken=skip_broken)
        fresh = {content: row for content, row in made if row is not None}
        kept.add(list(fresh), np.stack(list(fresh.values())) if fresh else np.empty((0, 0), np.float32))
        examples_left += fine
        hashes += [content for content, _ in made]
        faults += wrong
        told(f"pictures by {encoder.card.name}", min(at + _PIECE, len(examples)), len(examples))
    return examples_left, kept.rows(hashes), faults


def of_texts(encoder: Encoder, texts: Sequence[str], *, told: Told) -> Floats:
    """Rows (n, dim) of texts, each encoded once."""
    kept = Features(encoder.space, "text")
    what = f"captions by {encoder.card.name}"
    return kept_texts(kept, texts, encoder.encode_texts, piece=_PIECE, told=partial(told, what))


def kept_texts(
    kept: Features,
    texts: Sequence[str],
    encode: Callable[[list[str]], Floats],
    *,
    piece: int,
    told: Callable[[int, int], None],
    by_length: bool = False,
) -> Floats:
    """Rows (n, dim) of texts; those that are not kept yet are encoded, `piece` at a time, the short ones first `by_length`."""
    hashes = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
    fresh = {content: text for content, text in zip(hashes, texts, strict=True) if content not in kept}
    names = sorted(fresh, key=lambda content: (len(fresh[content]), content)) if by_length else list(fresh)
    for at in range(0, len(names), piece):
        part = names[at : at + piece]
        kept.add(part, encode([fresh[name] for name in part]))
        told(min(at + piece, len(names)), len(names))
    return kept.rows(hashes)
