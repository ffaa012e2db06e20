"""Joint models in folders: fitting them, and folders that are damaged or no longer fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind import encoders
from picfind.encoders._joint.towers import Axes
from picfind.encoders.base import Encoder
from picfind.errors import ModelFilesError, UnknownModelError, UsageError
from picfind.models.fit_joint import Sums, _vectors, fit_joint
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from tests.joints import (
    copied,
    fit,
    items,
    kept,
    loaded,
    models,
    pair,
    photos_in,
    pictures_only,
    rewrite,
    text,
)
from tests.photos import photo


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place that a model called `mine` was fitted in."""
    place = tmp_path_factory.mktemp("fitted")
    fit(place, share=0.6)
    return place


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), dims=st.integers(1, 6), cuts=st.lists(st.integers(1, 39), max_size=3))
def test_axes_are_those_of_a_singular_value_decomposition(seed: int, dims: int, cuts: list[int]) -> None:
    made = np.random.default_rng(seed)
    rows = (made.normal(size=(40, 6)) * [5, 4, 3, 2, 1, 0.5] + made.normal(size=6)).astype(np.float32)
    sums = Sums(6)
    for part in np.split(rows, sorted(cuts)):
        sums.add(part)
    axes, kept = sums.axes(dims)
    exact = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, spread, wanted = np.linalg.svd(exact, full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(axes.axes * wanted[:dims].T, axis=0)), 1, atol=1e-3)
    np.testing.assert_allclose(axes.mean, rows.mean(axis=0), atol=1e-5)
    assert kept == pytest.approx((spread[:dims] ** 2).sum() / (spread**2).sum(), abs=1e-6)
    assert (axes.axes[np.abs(axes.axes).argmax(axis=0), range(dims)] > 0).all(), "signs are fixed"


def test_fitting_writes_a_model_that_is_found_and_listed(fitted: Path) -> None:
    where = models(fitted)
    card = encoders.find("mine", where)
    assert (card.name, card.family, card.dim) == ("mine", "joint", 12 + 384)
    assert card in encoders.cards(where)
    assert encoders.find(str(where.models[0] / "mine"), Settings()).revision == card.revision
    assert sorted(path.name for path in where.models[0].iterdir()) == ["mine"]


def test_fitting_is_the_same_every_time(fitted: Path, tmp_path: Path) -> None:
    again = fit(tmp_path, share=0.6)
    assert (again.pictures, again.refused) == (16, 0)
    assert 0.5 < again.kept <= 1
    assert again.card == encoders.find("mine", models(fitted))


def test_fitted_rows_are_on_the_axes(fitted: Path) -> None:
    whole = encoders.load("mine", models(fitted))
    folder = models(fitted).models[0] / "mine"
    mean, axes = np.load(folder / "image_mean.npy"), np.load(folder / "image_axes.npy")
    assert (mean.dtype, mean.shape, axes.dtype, axes.shape) == (np.float32, (256,), np.float32, (256, 12))
    raw = encoders.load("builtin-image", Settings()).encode_images([photo("red", seed=77)])[0]
    wanted = (raw - mean) @ axes
    found = pair(whole, photo("red", seed=77), "a red house")
    np.testing.assert_allclose(found[:12], np.sqrt(0.6) * wanted / np.linalg.norm(wanted), atol=1e-4)


def test_words_on_pictures_axes_keep_their_order(tmp_path: Path) -> None:
    """With all axes kept, words order pictures as without axes, but for the pictures' length after centring."""
    fit(tmp_path, image="builtin", dims=3, count=8)
    whole = encoders.load("mine", models(tmp_path))
    assert np.linalg.norm(text(whole, "red")) == pytest.approx(1, abs=1e-5)
    rows = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    all_axes = Axes(np.full(5, 9, np.float32), np.eye(5, dtype=np.float32))
    np.testing.assert_allclose(
        all_axes.of_another_kind(rows), rows / np.linalg.norm(rows, axis=1)[:, None], atol=1e-6
    )


def test_the_words_block_can_be_on_axes_too(fitted: Path, tmp_path: Path) -> None:
    folder = copied(fitted, tmp_path)
    np.save(folder / "text_mean.npy", np.zeros(384, np.float32))
    np.save(folder / "text_axes.npy", np.eye(384, 20, dtype=np.float32))
    rewrite(folder, pca={"image": [256, 12], "text": [384, 20]})
    whole = encoders.load("mine", models(tmp_path))
    assert whole.card.dim == 32
    raw = encoders.load("minilm", Settings()).encode_texts(["red"])[0][:20]
    np.testing.assert_allclose(text(whole, "red")[12:], raw / np.linalg.norm(raw), atol=1e-5)


def test_pictures_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture")
    found = fit(tmp_path)
    assert (found.pictures, found.refused) == (16, 1)


def test_an_accelerator_is_given_whole_batches(tmp_path: Path) -> None:
    found = items(photos_in(tmp_path / "photos", 70))
    there = replace(pictures_only(), on_accelerator=True)
    with_batches, one_by_one = (
        np.concatenate([rows for rows, _ in _vectors(found, encoder, Settings())])
        for encoder in (there, pictures_only())
    )
    assert with_batches.shape == (70, 64)
    np.testing.assert_allclose(with_batches, one_by_one, atol=1e-6)


def test_too_few_pictures_say_how_many_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="20 axes need at least 20 pictures; there are 16"):
        fit(tmp_path, dims=20)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"dims": 0}, "ask for 1 to 256 axes"),
        ({"dims": 257}, "ask for 1 to 256 axes"),
        ({"share": 1.0}, "between 0 and 1"),
        ({"name": "builtin"}, "There is a model builtin already"),
        ({"name": "../mine"}, "cannot be called"),
        ({"name": "a+b"}, "cannot be called"),
        ({"name": ".hidden"}, "cannot be called"),
        ({"name": ""}, "cannot be called"),
    ],
)
def test_what_cannot_be_fitted(tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fit(tmp_path, **asked)
    assert not (tmp_path / "models").exists()


def test_a_model_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="There is a model mine already"):
        fit(tmp_path)
    assert not any((tmp_path / "models" / "mine").iterdir())


def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file", encoding="utf-8")
    with pytest.raises(ModelFilesError, match="cannot be written"):
        fit(tmp_path)
    assert (tmp_path / "models").read_text("utf-8") == "a file"


def test_stopping_while_pictures_are_read_leaves_nothing(tmp_path: Path) -> None:
    def stopping() -> Any:
        yield from items(photos_in(tmp_path / "photos", 3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_joint(
            stopping(), image="builtin-image", text="minilm", dims=2, name="mine", settings=models(tmp_path)
        )
    assert not (tmp_path / "models").exists()


# Folders that are damaged or no longer fit


@pytest.mark.parametrize("name", ["image_mean.npy", "image_axes.npy"])
def test_a_missing_or_changed_file_is_named(fitted: Path, tmp_path: Path, name: str) -> None:
    path = copied(fitted, tmp_path) / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelFilesError, match=f"{name} is not what was"):
        loaded(tmp_path)
    path.unlink()
    with pytest.raises(ModelFilesError, match=f"lacks its file {name}"):
        loaded(tmp_path)


def test_a_changed_share_is_another_revision(fitted: Path, tmp_path: Path) -> None:
    folder = copied(fitted, tmp_path)
    before = encoders.find("mine", models(tmp_path)).revision
    assert before == encoders.find("mine", models(fitted)).revision
    rewrite(folder, share=0.61)
    assert encoders.find("mine", models(tmp_path)).revision != before


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((256, 11), np.float32), "states axes of"),
        (np.zeros((256, 12), np.int32), "no array of finite numbers"),
        (np.full((256, 12), np.nan, np.float32), "no array of finite numbers"),
        (np.array([Bomb()], object), "cannot be read"),
        (b"nothing of the kind", "cannot be read"),
    ],
)
def test_wrong_arrays_are_errors(fitted: Path, tmp_path: Path, array: Any, said: str) -> None:
    folder = copied(fitted, tmp_path)
    if isinstance(array, bytes):
        (folder / "image_axes.npy").write_bytes(array)
    else:
        np.save(folder / "image_axes.npy", array, allow_pickle=True)
    rewrite(folder)
    with pytest.raises(ModelFilesError, match=said):
        loaded(tmp_path)


@pytest.mark.parametrize(
    "about",
    [
        {"mode": None},
        {"mode": "sideways"},
        {"mode": ["concat"]},
        {"image": None},
        {"image": "builtin-image"},
        {"text": {"spec": "minilm"}},
        {"share": "much"},
        {"pca": {"image": [256]}},
        {"pca": {"image": [12, 256]}},
        {"pca": 7},
    ],
)
def test_a_folder_that_does_not_say_what_it_is(fitted: Path, tmp_path: Path, about: dict[str, Any]) -> None:
    rewrite(copied(fitted, tmp_path), **about)
    with pytest.raises(ModelFilesError, match=r"does not say what it is made of.*Fit, train or copy"):
        loaded(tmp_path)
    (card,) = [card for card in encoders.cards(models(tmp_path)) if card.name == "mine"]
    assert not card.installed and "does not say what it is made of" in card.note


def test_a_component_that_has_changed_is_refused(fitted: Path, tmp_path: Path) -> None:
    rewrite(copied(fitted, tmp_path), text={"spec": "minilm", "revision": "0123456789ab"})
    with pytest.raises(ModelFilesError, match=r"made with minilm@0123456789ab, but minilm is now"):
        loaded(tmp_path)


def test_a_component_that_is_gone_is_named(fitted: Path, tmp_path: Path) -> None:
    rewrite(copied(fitted, tmp_path), image={"spec": "gone", "revision": "0123456789ab"})
    with pytest.raises(UnknownModelError, match="no model 'gone' for the image part"):
        loaded(tmp_path)
    with pytest.raises(UnknownModelError, match="'another'"):
        encoders.find("another", models(tmp_path))


def test_a_model_that_names_itself_is_no_endless_loop(fitted: Path, tmp_path: Path) -> None:
    rewrite(copied(fitted, tmp_path), image={"spec": "mine", "revision": "0123456789ab"})
    with pytest.raises(UnknownModelError, match="no model 'mine' for the image part"):
        loaded(tmp_path)


def test_a_component_of_another_dimension_is_refused(fitted: Path, tmp_path: Path) -> None:
    rewrite(copied(fitted, tmp_path), pca={"image": [255, 12]})
    with pytest.raises(ModelFilesError, match=r"fitted on vectors of 255.*have 256"):
        loaded(tmp_path)


class TestFitted(EncoderSuite):
    @pytest.fixture(autouse=True)
    def _place(self, fitted: Path) -> None:
        self.place = fitted

    def encoder(self) -> Encoder:
        return kept("mine", models(self.place))
