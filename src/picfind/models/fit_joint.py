"""Fitting a joint model's axes once, and the folder that holds them."""

from __future__ import annotations

import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from picfind import encoders, plugins
from picfind.encoders import _folders
from picfind.encoders._joint.recipe import (
    CONCAT,
    DEFAULT_SHARE,
    FAMILY,
    arrays,
    both,
    checked_share,
    component,
)
from picfind.encoders._joint.towers import Axes
from picfind.errors import ModelFilesError, PictureError, UsageError
from picfind.images import Limits, open_picture
from picfind.settings import Settings, cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from picfind.encoders.base import Encoder, EncoderCard
    from picfind.types import Floats, Item

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of fitting: the model's card and folder, and what it was fitted on."""

    card: EncoderCard
    folder: Path
    pictures: int
    refused: int
    """Pictures that could not be used."""
    kept: float
    """The share of the vectors' variance that lies on the axes, 0 to 1."""


def fit_joint(
    items: Iterable[Item],
    *,
    image: str,
    text: str,
    dims: int,
    name: str,
    settings: Settings,
    share: float = DEFAULT_SHARE,
) -> Fitted:
    """Fit the main axes of the pictures' vectors by `image`, and write the model `name`, which joins it with `text`.

    It goes into the last folder of the setting `models`, whole or not at all. The same pictures in the same order
    give the same files. Raises UsageError for a name, share or number of dimensions that cannot be and for too few
    pictures, ModelFilesError when the folder cannot be written, and what finding and loading the two models raise.
    """
    checked_share(share)
    cards = {"image": component(image, "image", settings), "text": component(text, "text", settings)}
    _check_dims(dims, cards["image"])
    target = _free(name, settings)
    encoder = encoders.load(cards["image"], settings)
    sums = Sums(cards["image"].dim)
    refused = 0
    for rows, lost in _vectors(items, encoder, settings):
        sums.add(rows)
        refused += lost
    axes, kept = sums.axes(dims)
    about = {
        "mode": CONCAT,
        "share": share,
        "pca": {"image": [cards["image"].dim, dims]},
        "pictures": sums.count,
        **{block: {"spec": card.name, "revision": card.revision} for block, card in cards.items()},
    }
    licence = both(cards["image"].licence, cards["text"].licence)
    source = f"{cards['image'].name} on {dims} axes of {sums.count} pictures, and {cards['text'].name}"
    with _placed(target) as aside:
        for file, array in zip(arrays("image"), (axes.mean, axes.axes), strict=True):
            np.save(aside / file, array, allow_pickle=False)
        _folders.write_manifest(aside, _folders.Manifest(FAMILY, licence=licence, source=source, about=about))
    return Fitted(encoders.find(name, settings), target, sums.count, refused, kept)


class Sums:
    """The count, sum and products of rows of `dim`, in double precision: what their main axes are made of."""

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._sum = np.zeros(dim)
        self._products = np.zeros((dim, dim))

    def add(self, rows: Floats) -> None:
        """Count rows (n, dim) in."""
        exact = np.asarray(rows, np.float64)
        self.count += len(exact)
        self._sum += exact.sum(axis=0)
        self._products += exact.T @ exact

    def axes(self, dims: int) -> tuple[Axes, float]:
        """The `dims` main axes, and the share of the variance on them: eigenvectors of the covariance.

        An axis has no sign of its own: its largest number is made positive. Raises UsageError for fewer rows than
        axes.
        """
        if self.count < dims:
            raise UsageError(
                f"{dims} axes need at least {dims} pictures; there are {self.count} that can be used. Give more "
                "pictures, or ask for fewer dimensions."
            )
        mean = self._sum / self.count
        values, vectors = np.linalg.eigh(self._products / self.count - np.outer(mean, mean))
        main = vectors[:, ::-1][:, :dims]
        largest = main[np.abs(main).argmax(axis=0), np.arange(dims)]
        spread = np.maximum(values[::-1], 0)
        kept = float(spread[:dims].sum() / spread.sum()) if spread.sum() > 0 else 1.0
        return Axes(mean.astype(np.float32), (main * np.sign(largest)).astype(np.float32)), kept


def _vectors(items: Iterable[Item], encoder: Encoder, settings: Settings) -> Iterator[tuple[Floats, int]]:
    """The rows of each batch of pictures in their order, and how many of the batch could not be used."""
    tower = encoder.image
    if tower is None:
        return
    limits = Limits(max_pixels=settings.max_pixels, max_bytes=settings.max_bytes)

    def work(item: Item) -> Any:
        try:
            with item.open() as file:
                picture = open_picture(file, at_least=encoder.decode_size, limits=limits).image
        except (OSError, PictureError):
            return None
        prepared = tower.prepare(picture)
        return prepared if encoder.on_accelerator else tower.encode([prepared])

    left = iter(items)
    with ThreadPoolExecutor(settings.workers or cores()) as pool:
        while batch := list(islice(left, _BATCH)):
            done = [entry for entry in pool.map(work, batch) if entry is not None]
            rows = tower.encode(done) if encoder.on_accelerator or not done else np.concatenate(done)
            yield rows, len(batch) - len(done)


def _check_dims(dims: int, card: EncoderCard) -> None:
    if not 0 < dims <= card.dim:
        raise UsageError(f"{card.name} has vectors of {card.dim}: ask for 1 to {card.dim} axes, not {dims}.")


def _free(name: str, settings: Settings) -> Path:
    """Where the model will lie. Raises UsageError for a name that cannot be a folder's or that another model has."""
    _folders.check_name(name)
    target = _folders.home(settings) / name
    taken = any(os.path.lexists(place / name) for place in settings.models)
    if taken or any(family.find(name, settings) is not None for _, family in plugins.load_all("encoders")):
        raise UsageError(f"There is a model {name} already. Take another name, or remove its folder first.")
    return target


@contextmanager
def _placed(target: Path) -> Iterator[Path]:
    """A folder aside, which becomes the target when the block ends well and is gone when it does not.

    Raises ModelFilesError when the disk does not let it.
    """
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        aside.mkdir(parents=True)
        yield aside
        if os.path.lexists(target):
            raise UsageError(f"There is a model {target.name} already. Take another name.")
        aside.rename(target)
    except OSError as error:
        raise ModelFilesError(
            f"The model {target} cannot be written: {error.strerror or error}. Nothing was left behind; make room or "
            "set PICFIND_MODELS."
        ) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(aside)
