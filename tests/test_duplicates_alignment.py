"""Looks, rough framings, close alignment, and the pairs that are worth a look."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance

from picfind.duplicates import candidates, pairing
from picfind.duplicates.alignment import Match, is_flat
from picfind.duplicates.framing import TURNS, turned
from picfind.duplicates.looks import Looks, look_at
from picfind.duplicates.pairing import ALIKE, compare
from tests.scenes import scene

TRANSPOSES = [None, *Image.Transpose]


def looks(*pictures: Image.Image) -> Looks:
    return np.concatenate([look_at(picture, bytes([at]) * 32) for at, picture in enumerate(pictures)])


def match(first: Image.Image, second: Image.Image) -> Match | None:
    return compare(looks(first, second), 0, 1)


def score(first: Image.Image, second: Image.Image) -> float:
    found = match(first, second)
    return found.score if found else 0.0


@given(
    seed=st.integers(0, 50),
    side=st.floats(0.7, 1),
    left=st.floats(0, 1),
    top=st.floats(0, 1),
    turn=st.sampled_from(TRANSPOSES),
    scale=st.floats(0.4, 1.5),
)
@settings(max_examples=40, deadline=None)
def test_a_crop_is_found_turned_and_scaled(
    seed: int, side: float, left: float, top: float, turn: Image.Transpose | None, scale: float
) -> None:
    whole = scene(seed)
    wide, high = round(whole.width * side), round(whole.height * side)
    x, y = round(left * (whole.width - wide)), round(top * (whole.height - high))
    copy = whole.crop((x, y, x + wide, y + high)).resize((round(wide * scale), round(high * scale)))
    copy = copy.transpose(turn) if turn is not None else copy
    for found, of_whole, of_copy in (
        (match(whole, copy), "first", "second"),
        (match(copy, whole), "second", "first"),
    ):
        assert found is not None
        assert found.score >= ALIKE
        assert getattr(found, of_whole) == pytest.approx(side * side, abs=0.06)
        assert getattr(found, of_copy) >= 0.94


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.3])
def test_brightness_and_contrast_do_not_matter(factor: float) -> None:
    picture = scene(1)
    assert score(picture, ImageEnhance.Brightness(picture).enhance(factor)) >= ALIKE
    assert score(picture, ImageEnhance.Contrast(picture).enhance(factor)) >= ALIKE


def test_a_little_text_does_not_matter() -> None:
    picture = scene(2)
    written = picture.copy()
    ImageDraw.Draw(written).text((20, 130), "holiday 2019", fill="white", font_size=14)
    assert score(picture, written) >= ALIKE


def test_a_grey_copy_counts_and_one_in_other_colours_does_not() -> None:
    picture = scene(3)
    grey = picture.convert("L")
    assert score(picture, grey.convert("RGB")) >= ALIKE
    warm = Image.merge(
        "RGB", (grey, grey.point(lambda value: value * 0.6), grey.point(lambda value: value * 0.3))
    )
    cold = Image.merge("RGB", (*reversed(warm.split()),))
    assert (
        np.corrcoef(np.asarray(warm.convert("L")).ravel(), np.asarray(cold.convert("L")).ravel())[0, 1] > 0.99
    )
    assert score(warm, warm.resize((120, 80))) >= ALIKE
    assert score(warm, cold) < ALIKE


@given(first=st.integers(0, 300), second=st.integers(0, 300))
@settings(max_examples=40, deadline=None)
def test_other_pictures_are_not_alike(first: int, second: int) -> None:
    assert (score(scene(first), scene(second)) >= ALIKE) == (first == second)


def test_pictures_that_show_nothing_are_like_no_other() -> None:
    white, dark = Image.new("RGB", (60, 40), "white"), Image.new("RGB", (60, 40), "#111111")
    assert is_flat(looks(white, dark, scene(1))).tolist() == [True, True, False]
    assert match(white, white) is None
    assert match(white, scene(1)) is None


def test_the_eight_turns_are_those_of_pillow() -> None:
    square = np.arange(9).reshape(3, 3)
    image = Image.fromarray(square.astype(np.uint8))
    known = {np.asarray(image if way is None else image.transpose(way)).tobytes() for way in TRANSPOSES}
    assert {way.astype(np.uint8).tobytes() for way in turned(square)} == known
    assert len(known) == TURNS


@given(count=st.integers(1, 60), k=st.integers(1, 12), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_nearest_is_exact_however_it_is_cut(count: int, k: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_ROWS", 7)
        patch.setattr(candidates, "_COLUMNS", 11)
        ids, scores = candidates.nearest(rows, k=k)
    every = rows @ rows.T
    np.fill_diagonal(every, -np.inf)
    wanted = np.sort(every, axis=1)[:, ::-1][:, : min(k, count - 1)]
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, ids, axis=1), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("turn", TRANSPOSES)
def test_patterns_pair_turned_pictures(turn: Image.Transpose | None) -> None:
    pictures = [scene(seed) for seed in range(12)]
    copy = pictures[5].resize((90, 60)) if turn is None else pictures[5].transpose(turn)
    pairs = candidates.pattern_pairs(looks(*pictures, copy)).tolist()
    assert [5, 12] in pairs
    assert len(pairs) <= 3


def test_patterns_meet_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_ROWS", 4)
    monkeypatch.setattr(candidates, "_COLUMNS", 5)
    pictures = looks(*(scene(seed % 10) for seed in range(20)))
    pairs = {tuple(pair) for pair in candidates.pattern_pairs(pictures).tolist()}
    assert {(seed, seed + 10) for seed in range(10)} <= pairs


def test_pairs_are_compared_once_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = looks(*(scene(seed // 2) for seed in range(12)))
    every = np.array([(first, second) for first in range(12) for second in range(12)])
    told: list[tuple[str, int, int]] = []
    monkeypatch.setattr(pairing, "_BLOCK", 3)
    alone = pairing.copies(pictures, every, progress=lambda *step: told.append(step))
    assert sorted(alone) == [(seed, seed + 1) for seed in range(0, 12, 2)]
    assert alone == pairing.copies(pictures, every, workers=3)
    assert told[-1] == ("comparing", 66, 66)
