"""benchmarks/calibration.py and judged.py: their measures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import calibration as bench
from benchmarks import judged


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
