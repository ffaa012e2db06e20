"""benchmarks/calibration.py and judged.py: their measures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import picfind
from benchmarks import calibration as bench
from benchmarks import judged
from picfind.search import calibration


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("high", "low", "area"),
    [((2, 3), (1, 2), 0.875), ((1,), (1,), 0.5), ((3, 4), (1, 2), 1.0), ((1, 2), (3,), 0.0)],
)
def test_auc_by_hand(high: tuple[float, ...], low: tuple[float, ...], area: float) -> None:
    assert bench.auc(floats(*high), floats(*low)) == pytest.approx(area)


def test_the_interval_holds_the_area() -> None:
    rng = np.random.default_rng(1)
    high, low = rng.normal(1, 1, 200).astype(np.float32), rng.normal(0, 1, 200).astype(np.float32)
    below, above = bench.interval(high, low)
    assert 0.6 < below < bench.auc(high, low) < above < 0.9


def test_a_fit_finds_the_curve_that_made_the_judgements() -> None:
    rng = np.random.default_rng(1)
    strengths = rng.uniform(-2, 8, 20_000).astype(np.float32)
    right = rng.random(20_000) < 1 / (1 + np.exp(-1.5 * (strengths - 4)))
    curve = bench.fit(strengths, right)
    assert (curve.middle, curve.slope) == pytest.approx((4, 1.5), abs=0.1)


def test_subjects_are_shown_by_two_captions_and_unclear_with_one() -> None:
    rows = [{"captions": ["A dog.", "Two dogs run", "grass"]}] * 3 + [
        {"captions": ["a hot dog", "food"]},
        {"captions": ["a dogma"]},
    ]
    names, fits = judged.subjects(rows)
    assert names == ["a dog"]
    assert fits.tolist() == [[1, 1, 1, -1, 0]]


def test_without_what_fits_the_best_of_the_others_is_the_top() -> None:
    rng = np.random.default_rng(1)
    scores, background = floats(0.9, 0.5, 0.4, 0.1)[None], rng.normal(0, 0.1, (9, 4)).astype(np.float32)
    case = judged.Case("words, builtin", scores, background, np.array([[1, -1, 0, 0]], np.int8))
    there, gone = bench.tops(case)["cosine"]
    assert (there.tolist(), gone.tolist()) == (pytest.approx([0.9]), pytest.approx([0.4]))


def test_every_second_class_goes_by_what_fits() -> None:
    fits = np.array([[1, 0], [0, 1], [1, 0]], np.int8)
    case = judged.Case(
        "pictures", np.arange(6, dtype=np.float32).reshape(3, 2), np.zeros((1, 2), np.float32), fits
    )
    one, two = (judged.every_second_class(case, odd=odd).scores.tolist() for odd in (False, True))
    assert sorted((one, two)) == [[[0, 1], [4, 5]], [[2, 3]]]


def test_half_of_a_set_keeps_each_photo_with_its_captions() -> None:
    rows = np.arange(10, dtype=np.float32)[:, None]
    owner = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 4])
    whole = judged.Set("five", rows[:5], rows, rows + 10, owner, [{"image": at} for at in range(5)])
    odd, even = (judged.half(whole, odd=odd) for odd in (True, False))
    assert [row["image"] for row in odd.rows] == odd.pictures[:, 0].tolist() == [1, 3]
    assert (odd.captions[:, 0].tolist(), odd.owner.tolist()) == ([2, 3, 4, 6, 7], [0, 0, 0, 1, 1])
    assert odd.sentences[:, 0].tolist() == [12, 13, 14, 16, 17]
    assert [row["image"] for row in even.rows] == [0, 2, 4]
    assert even.owner.tolist() == [0, 0, 1, 2, 2]


def test_stretches_are_the_rows_that_the_models_give() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8))
    whole = picfind.load_encoder("builtin")
    rows, asked = whole.encode_images([picture]), whole.encode_texts(["a dog"])
    assert judged.stretch("builtin", rows) is rows
    for model in ("builtin-open", "builtin-image"):
        encoder = picfind.load_encoder(model)
        assert judged.stretch(model, rows) == pytest.approx(encoder.encode_images([picture]), abs=1e-5)
    encoder = picfind.load_encoder("builtin-open")
    assert judged.stretch("builtin-open", asked) == pytest.approx(encoder.encode_texts(["a dog"]), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "model", "words"),
    [
        ("words, builtin, COCO", "builtin", True),
        ("classes by name, builtin-open", "builtin-open", True),
        ("pictures, builtin-image", "builtin-image", False),
        ("captions, minilm, Flickr8k", "minilm", True),
    ],
)
def test_a_case_has_the_curve_of_its_model(name: str, model: str, words: bool) -> None:
    assert bench.model_of(name) == model
    assert bench.curve_of(name) == calibration.curve_for(model, words=words)
