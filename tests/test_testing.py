"""The shipped suites pass what is right and catch what is broken; the toy encoder means what it says."""

from __future__ import annotations

import inspect
import io
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from picfind.encoders.base import Encoder, encode_all
from picfind.errors import MissingSourceError
from picfind.index import flat
from picfind.index.flat import FlatIndex
from picfind.testing import DatasetSuite, EncoderSuite, IndexSuite, toy_encoder
from picfind.types import Fingerprint, Floats, Gap, Ids, Item, Neighbors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from picfind.datasets.base import Dataset
    from picfind.index.base import VectorIndex


class TestToy(EncoderSuite):
    def encoder(self) -> Encoder:
        return toy_encoder()


class Shelf:
    """A dataset held in memory."""

    kind, location = "shelf", "memory"

    def __init__(self, scope: str = "") -> None:
        self.scope = scope

    def items(self) -> Iterator[Item | Gap]:
        for key in ("a.png", "b/c.png", "b/d.png"):
            if key.startswith(self.scope):
                yield Item(key, Fingerprint(f"1 {key}"), lambda key=key: io.BytesIO(key.encode()))  # type: ignore[misc]
        yield Gap(f"{self.scope}locked/", "no permission")


class NoShelf(Shelf):
    def items(self) -> Iterator[Item | Gap]:
        if not self.scope:
            raise MissingSourceError("There is no such shelf; name another.")
        yield from super().items()


class TestShelf(DatasetSuite):
    def dataset(self) -> Dataset:
        return Shelf()

    def missing(self) -> Dataset:
        return NoShelf()


class TestPartOfAShelf(DatasetSuite):
    def dataset(self) -> Dataset:
        return Shelf("b/")


def failures(suite: object, folder: Path) -> set[str]:
    """The tests of a suite that fail."""
    failed = set()
    for name, test in inspect.getmembers(suite, inspect.ismethod):
        if name.startswith("test_"):
            own = folder / name
            own.mkdir(parents=True, exist_ok=True)
            try:
                test(*([own] if "tmp_path" in inspect.signature(test).parameters else []))
            except Exception:
                failed.add(name)
    return failed


class OfIndex(IndexSuite):
    def __init__(self, kind: type[FlatIndex], read: Callable[[Path], FlatIndex]) -> None:
        self.kind, self.read = kind, read

    def create(self, dim: int) -> VectorIndex:
        return self.kind(dim)

    def load(self, path: Path) -> VectorIndex:
        return self.read(path)


class WorstFirst(FlatIndex):
    def search(self, queries: Floats, *, k: int, allowed: Ids | None = None) -> Neighbors:
        return super().search(-queries, k=k, allowed=allowed)


class Short(FlatIndex):
    """Returns only as many columns as there are rows."""

    def search(self, queries: Floats, *, k: int, allowed: Ids | None = None) -> Neighbors:
        found = super().search(queries, k=k, allowed=allowed)
        return Neighbors(found.ids[:, : len(self)], found.scores[:, : len(self)])


class FiltersLate(FlatIndex):
    """Searches first and drops what is not allowed: fewer than there are."""

    def search(self, queries: Floats, *, k: int, allowed: Ids | None = None) -> Neighbors:
        found = super().search(queries, k=k)
        if allowed is None:
            return found
        fine = np.isin(found.ids, allowed)
        return Neighbors(np.where(fine, found.ids, -1), np.where(fine, found.scores, np.float32(-np.inf)))


class FastStepOnly(FlatIndex):
    """Takes scores as BLAS gives them, and numpy's arbitrary choice at the cut."""

    def search(self, queries: Floats, *, k: int, allowed: Ids | None = None) -> Neighbors:
        found = super().search(queries, k=k, allowed=allowed)
        if allowed is None and len(self) > k:
            rows = np.concatenate([np.asarray(part, np.float32) for part in self._segments])
            scores = queries @ rows.T
            best = np.argsort(-scores, axis=1)[:, :k]
            found.ids[:] = self._ids[best]
            found.scores[:] = np.take_along_axis(scores, best, axis=1)
        return found


class TakesTwins(FlatIndex):
    def add(self, ids: Ids, vectors: Floats) -> None:
        fresh = ~np.isin(ids, self._ids)
        super().add(ids[fresh], vectors[fresh])


def unsealed(path: Path) -> FlatIndex:
    """Reads a file without looking at its checksum."""
    with path.open("rb") as file:
        file.readline()
        file.read(32)
        dim, segments = np.load(file).tolist()
        ids, index = np.load(file), FlatIndex(dim)
        for _ in range(segments):
            vectors = np.load(file)
            index.add(ids[len(index) : len(index) + len(vectors)], vectors)
    return index


def test_the_index_suite_passes_a_right_one(tmp_path: Path) -> None:
    assert failures(OfIndex(FlatIndex, flat.load), tmp_path) == set()


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (WorstFirst, "test_agrees_with_brute_force"),
        (Short, "test_what_is_missing_is_padded"),
        (FiltersLate, "test_only_the_allowed_are_found"),
        (FastStepOnly, "test_equal_scores_are_ordered_by_id_also_at_the_cut"),
        (TakesTwins, "test_senseless_additions_are_refused_and_change_nothing"),
    ],
)
def test_the_index_suite_catches(kind: type[FlatIndex], caught_by: str, tmp_path: Path) -> None:
    assert caught_by in failures(OfIndex(kind, flat.load), tmp_path)


def test_the_index_suite_catches_a_reader_without_a_checksum(tmp_path: Path) -> None:
    assert failures(OfIndex(FlatIndex, unsealed), tmp_path) == {"test_a_damaged_file_is_refused"}


class OfEncoder(EncoderSuite):
    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encoder(self) -> Encoder:
        return self._encoder


class Bent:
    """The toy's image tower with something done to its rows or its pictures."""

    def __init__(self, *, rows: Callable[[Floats], Floats] = np.copy, harm: bool = False) -> None:
        self._tower: Any = toy_encoder().image
        self._rows, self._harm = rows, harm

    def prepare(self, picture: Image.Image, /) -> Floats:
        prepared: Floats = self._tower.prepare(picture)
        if self._harm:
            picture.putpixel((0, 0), (1, 2, 3))
        return prepared

    def encode(self, batch: Sequence[Floats], /) -> Floats:
        return self._rows(self._tower.encode(batch))


_calls = itertools.count()


def _doubles(rows: Any) -> Any:
    return rows.astype(np.float64)


def _drifting(rows: Floats) -> Floats:
    return np.roll(rows, next(_calls) % 7, axis=1)


@pytest.mark.parametrize(
    ("tower", "caught_by"),
    [
        (Bent(rows=lambda rows: 2 * rows), "test_rows_are_unit"),
        (Bent(rows=lambda rows: rows[::-1]), "test_a_batch_is_its_singles_in_order"),
        (Bent(rows=lambda rows: rows[:, :32]), "test_rows_have_the_shape_and_type_of_the_card"),
        (Bent(rows=_doubles), "test_rows_have_the_shape_and_type_of_the_card"),
        (Bent(rows=lambda rows: rows - rows.mean(axis=0)), "test_a_batch_is_its_singles_in_order"),
        (Bent(rows=lambda rows: np.full_like(rows, 1 / 8)), "test_different_things_differ"),
        (Bent(rows=_drifting), "test_the_same_again"),
        (Bent(rows=lambda rows: rows[0:] if len(rows) else rows.reshape(-1)), "test_an_empty_batch"),
        (Bent(harm=True), "test_a_picture_is_left_as_it_was"),
    ],
)
def test_the_encoder_suite_catches(tower: Bent, caught_by: str, tmp_path: Path) -> None:
    assert caught_by in failures(OfEncoder(replace(toy_encoder(), image=tower)), tmp_path)


def test_the_encoder_suite_catches_a_bad_card(tmp_path: Path) -> None:
    bad = toy_encoder(revision="latest")
    assert failures(OfEncoder(bad), tmp_path) == {"test_it_has_a_tower_and_a_card"}


class OfDataset(DatasetSuite):
    def __init__(self, make: Callable[[], Dataset], missing: Dataset | None = None) -> None:
        self.make, self.gone = make, missing

    def dataset(self) -> Dataset:
        return self.make()

    def missing(self) -> Dataset | None:
        return self.gone


class Listed(Shelf):
    """A shelf with the items given."""

    def __init__(self, *items: Item, scope: str = "") -> None:
        super().__init__(scope)
        self._listed = items

    def items(self) -> Iterator[Item | Gap]:
        yield from self._listed


_numbers = itertools.count()


def _item(key: str, *, fingerprint: str = "1") -> Item:
    return Item(key, Fingerprint(fingerprint), lambda: io.BytesIO(b"bytes"))


@pytest.mark.parametrize(
    ("make", "caught_by"),
    [
        (lambda: Listed(), "test_it_has_items"),
        (lambda: Listed(_item("a"), _item("a")), "test_keys_are_unique"),
        (lambda: Listed(_item(f"{next(_numbers)}")), "test_a_second_listing_is_the_same"),
        (lambda: Listed(_item("a", fingerprint=f"{next(_numbers)}")), "test_a_second_listing_is_the_same"),
        (lambda: Listed(_item("bad\udcff")), "test_keys_and_words_are_valid_text"),
        (lambda: Listed(_item("/a")), "test_keys_and_words_are_valid_text"),
        (lambda: Listed(_item("a"), scope="b/"), "test_keys_start_with_the_scope"),
        (
            lambda: Listed(replace(_item("a"), open=lambda: io.BytesIO(b"%d" % next(_numbers)))),
            "test_an_item_opens_twice_to_the_same_bytes",
        ),
    ],
)
def test_the_dataset_suite_catches(make: Callable[[], Dataset], caught_by: str, tmp_path: Path) -> None:
    assert caught_by in failures(OfDataset(make), tmp_path)


def test_the_dataset_suite_catches_a_silent_missing_source(tmp_path: Path) -> None:
    assert failures(OfDataset(Shelf, missing=Listed()), tmp_path) == {"test_a_missing_source_is_an_error"}


@pytest.mark.parametrize(
    "colour",
    ["red", "green", "blue", "yellow", "magenta", "cyan", "white", "black", "grey"],
)
def test_the_toy_finds_a_colour_by_its_name(colour: str) -> None:
    encoder = toy_encoder()
    assert encoder.image is not None
    assert encoder.text is not None
    paint = {"green": "lime", "grey": "#808080"}
    names = ["red", "green", "blue", "yellow", "magenta", "cyan", "white", "black", "grey"]
    painted = [Image.new("RGB", (80, 60), paint.get(name, name)) for name in names]
    rows = encode_all(encoder.image, painted, dim=encoder.card.dim, batch_size=4)
    query = encode_all(encoder.text, [f"something {colour.upper()}"], dim=encoder.card.dim, batch_size=1)
    assert names[int((rows @ query[0]).argmax())] == colour


def test_the_toy_tells_pictures_of_equal_colours_apart() -> None:
    encoder = toy_encoder()
    assert encoder.image is not None
    left, right = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8))
    left.putpixel((0, 0), (255, 255, 255))
    right.putpixel((1, 1), (255, 255, 255))
    rows = encode_all(encoder.image, [left, right], dim=64, batch_size=2)
    assert 0.9 < float(rows[0] @ rows[1]) < 0.9999


def test_the_toy_is_the_same_everywhere() -> None:
    """Vectors written down once: another machine or release of Pillow must give them too."""
    encoder = toy_encoder("other", revision="0123456789ab")
    assert encoder.image is not None
    assert encoder.text is not None
    assert str(encoder.space) == "other@0123456789ab"
    red = encode_all(encoder.image, [Image.new("RGB", (9, 7), "red")], dim=64, batch_size=1)[0]
    words = encode_all(encoder.text, ["red"], dim=64, batch_size=1)[0]
    assert red[:3].tolist() == pytest.approx([0.142799, -0.142799, -0.142799], abs=1e-6)
    assert words[:3].tolist() == pytest.approx([1 / 7, -1 / 7, -1 / 7], abs=1e-6)
