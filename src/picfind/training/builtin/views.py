"""What the frozen picture tower makes of each picture, as it is and altered: computed once, kept in files, mapped to memory.

    <run>/views-<digest>/train-00000.rows.npy    float32 (n, views, 2696): means and maxima, pooled features, logits
    .../train-00000.maps.npy                     float16 (n, views, 81, channels): what goes into the first block that learns
    .../train-00000.json                         which of the piece's pictures these are, and what is wrong with the others

A piece counts when all three are there, so work that was cut short goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from picfind.encoders._builtin.towers import IMAGE_SIZE, squash
from picfind.encoders._onnx import open_session
from picfind.encoders.builtin import DECODE_SIZE
from picfind.errors import CheckpointError
from picfind.settings import Settings
from picfind.storage import durable
from picfind.training.builtin import lite2
from picfind.training.builtin.image_graph import write_view_graph
from picfind.training.builtin.members import MIDDLE, POOLED
from picfind.training.builtin.trunk import PLACES
from picfind.training.captioned import Example, each_picture, usable
from picfind.training.features import Told
from picfind.types import Floats, Ids

Halves = NDArray[np.float16]
Pixels = NDArray[np.uint8]
Run = Callable[[Pixels], Floats]
"""Pixels (260, 260, 3) to what is kept of them, in one row: rows, then maps."""

ROWS = MIDDLE + POOLED + lite2.CLASSES
WIDE = slice(0, MIDDLE + POOLED)
LOGITS = slice(MIDDLE + POOLED, ROWS)
_PIECE = 128
"""Pictures in a piece: what is lost at most."""
_LEAST_AREA, _WIDEST, _LIGHT = 0.45, 4 / 3, 0.25
"""Of an altered view: the least share of the area, the greatest stretch, the greatest change of light and colour."""


@dataclass(frozen=True, slots=True)
class How:
    """Which views are made."""

    start: int
    views: int
    """With the plain one, which is the first."""
    seed: int


class Views:
    """The kept views of some pictures, by the picture's place and the number of the view."""

    def __init__(self, pieces: Sequence[tuple[Path, int]]) -> None:
        self._pieces = [path for path, _ in pieces]
        self._starts = np.cumsum([0, *(count for _, count in pieces)])

    @property
    def count(self) -> int:
        """Pictures."""
        return int(self._starts[-1])

    def rows(self, at: Ids, views: Ids) -> Floats:
        """(n, 2696)."""
        found: Floats = self._gathered(".rows.npy", at, views)
        return found

    def maps(self, at: Ids, views: Ids) -> Halves:
        """(n, 81, channels)."""
        found: Halves = self._gathered(".maps.npy", at, views)
        return found

    def plain(self) -> Floats:
        """The rows of all pictures as they are, (count, 2696)."""
        every = np.arange(self.count)
        return self.rows(every, np.zeros_like(every))

    def _gathered(self, suffix: str, at: Ids, views: Ids) -> Any:
        places = np.searchsorted(self._starts, at, side="right") - 1
        found: NDArray[Any] | None = None
        for place in np.unique(places):
            chosen = places == place
            piece = np.load(_file(self._pieces[place], suffix), mmap_mode="r", allow_pickle=False)
            part = piece[at[chosen] - self._starts[place], views[chosen]]
            if found is None:
                found = np.empty((len(at), *part.shape[1:]), part.dtype)
            found[chosen] = part
        return found if found is not None else np.empty((0,), np.float32)


def viewed(
    name: str,
    examples: Sequence[Example],
    folder: Path,
    how: How,
    *,
    settings: Settings,
    skip_broken: bool,
    told: Told,
) -> tuple[list[Example], Views, list[str]]:
    """The usable examples, their views, and what to say of the others.

    Makes what is not there yet. Raises TrainingError for a picture that cannot be used unless `skip_broken`, and
    CheckpointError when the disk does not let a piece be kept.
    """
    left, pieces, faults = list[Example](), list[tuple[Path, int]](), list[str]()
    run: Run | None = None
    for at in range(0, len(examples), _PIECE):
        part, piece = examples[at : at + _PIECE], folder / f"{name}-{at // _PIECE:05}"
        found = _read(piece, how)
        if found is None:
            run = run or _tower(how.start)
            found = _make(piece, part, how, run, settings=settings, skip_broken=skip_broken)
        left += [part[place] for place in found["kept"]]
        pieces.append((piece, len(found["kept"])))
        faults += found["faults"]
        told(f"views of pictures ({name})", min(at + _PIECE, len(examples)), len(examples))
    return left, Views(pieces), faults


def altered(image: Image.Image, rng: random.Random) -> Pixels:
    """A part of the picture as (260, 260, 3), half of the time mirrored, its light and colour changed."""
    area, stretch = rng.uniform(_LEAST_AREA, 1), _WIDEST ** rng.uniform(-1, 1)
    width, height = image.size
    across = width * min(1, math.sqrt(area * stretch))
    down = height * min(1, math.sqrt(area / stretch))
    left, top = rng.uniform(0, width - across), rng.uniform(0, height - down)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    box = left, top, min(width, left + across), min(height, top + down)
    part = rgb.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC, box=box)
    if rng.random() < 0.5:
        part = ImageOps.mirror(part)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        part = change(part).enhance(rng.uniform(1 - _LIGHT, 1 + _LIGHT))
    return np.asarray(part, np.uint8)


def _tower(start: int) -> Run:
    """The frozen tower, through onnxruntime: on a CPU twice as fast as torch."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "views.onnx"
        write_view_graph(path, lite2.weights(), start=start)
        session = open_session(path, hint="Begin again.")

    def run(pixels: Pixels) -> Floats:
        found: Floats = session.run(None, {"pixels": pixels[None]})[0][0]
        return found

    return run


def _make(
    piece: Path, part: Sequence[Example], how: How, run: Run, *, settings: Settings, skip_broken: bool
) -> Mapping[str, Any]:
    """Make a piece and keep it; what its JSON says."""
    numbered = {id(example): place for place, example in enumerate(part)}

    def work(data: bytes, opened: Callable[[], Image.Image]) -> tuple[Floats, Halves]:
        image = opened()
        content = hashlib.sha256(
            data
        ).hexdigest()  # so that no view depends on a picture's place among others
        draws = (random.Random(f"{how.seed}/{view}/{content}") for view in range(1, how.views))  # noqa: S311
        pixels = [squash(image), *(altered(image, draw) for draw in draws)]
        found = np.stack([run(one) for one in pixels])
        maps = found[:, ROWS:].reshape(how.views, PLACES, -1)
        return found[:, :ROWS].copy(), maps.astype(np.float16)

    found = each_picture(part, work, at_least=DECODE_SIZE, settings=settings)
    kept, made, faults = usable(part, found, skip_broken=skip_broken)
    told = {"kept": [numbered[id(example)] for example in kept], "faults": faults}
    _write(piece, told, made, how)
    return told


def _write(piece: Path, told: Mapping[str, Any], made: Sequence[tuple[Floats, Halves]], how: How) -> None:
    channels = lite2.blocks()[how.start].inputs
    rows, maps = (
        (np.stack(arrays) for arrays in zip(*made, strict=True))
        if made
        else (
            np.empty((0, how.views, ROWS), np.float32),
            np.empty((0, how.views, PLACES, channels), np.float16),
        )
    )
    try:
        durable.make_folder(piece.parent)
        for suffix, array in ((".rows.npy", rows), (".maps.npy", maps)):
            _save(_file(piece, suffix), array)
        durable.write(_file(piece, ".json"), lambda file: file.write(json.dumps(told).encode()))
    except OSError as error:
        raise CheckpointError(
            f"The views in {piece.parent} cannot be written: {error.strerror or error}. Make room, then go on with "
            "--resume; what was made before is kept."
        ) from error


def _save(path: Path, array: NDArray[Any]) -> None:
    durable.write(path, lambda file: np.save(file, array, allow_pickle=False))


def _read(piece: Path, how: How) -> Mapping[str, Any] | None:
    """What a piece's JSON says; None unless all of the piece is there."""
    try:
        told: dict[str, Any] = json.loads(_file(piece, ".json").read_bytes())
        count = len(told["kept"]), how.views
        for suffix, width in (
            (".rows.npy", (ROWS,)),
            (".maps.npy", (PLACES, lite2.blocks()[how.start].inputs)),
        ):
            array = np.load(_file(piece, suffix), mmap_mode="r", allow_pickle=False)
            if array.shape != (*count, *width):
                return None
    except (OSError, ValueError, KeyError, TypeError, EOFError):  # only a cache: it is made again
        return None
    return told


def _file(piece: Path, suffix: str) -> Path:
    return piece.with_name(piece.name + suffix)
