"""The measures of the benchmark of duplicates, on figures that can be checked by hand; and its copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import duplicates as bench
from benchmarks.duplicate_copies import CHANGES, COUNTED, HARDER, write_copies
from picfind.duplicates.looks import look_at
from tests.scenes import save, scene

PAIRS = bench.Found(
    true=np.array([True, True, False, True]),
    scores=np.array([0.9, 0.8, 0.7, 0.6], np.float32),
    half=np.array([0, 0, 0, 1]),
)


def test_recall_and_precision() -> None:
    assert bench.recall(PAIRS, 0, 0.85, 4) == 1 / 4
    assert bench.recall(PAIRS, 0, 0.0, 4) == 2 / 4
    assert bench.precision(PAIRS, 0, 0.65) == pytest.approx(2 / 3)
    assert bench.precision(PAIRS, 0, 0.75) == 1.0
    assert bench.precision(PAIRS, 1, 0.99) == 1.0
    assert bench.false(PAIRS, 0.65) == 1
    assert bench.false(PAIRS, 0.75) == 0


def test_the_threshold_is_chosen_on_one_half() -> None:
    assert bench.choose(PAIRS) == pytest.approx(0.71)
    other = bench.Found(PAIRS.true, PAIRS.scores, 1 - PAIRS.half)
    assert bench.choose(bench.together([PAIRS, other])) == pytest.approx(0.71)


def test_a_hash_sees_re_encoding_and_not_turning(tmp_path: Path) -> None:
    picture = scene(1)
    small, turned = picture.resize((120, 80)), picture.transpose(Image.Transpose.ROTATE_90)
    bits = bench.hashes_of(np.concatenate([look_at(one, b"\0" * 32) for one in (picture, small, turned)]))
    apart = [int((bits[0] != other).sum()) for other in bits]
    assert apart[0] == 0
    assert apart[1] <= bench.MOST_BITS < apart[2]


def test_every_kind_of_copy_is_made_and_the_same_each_time(tmp_path: Path) -> None:
    photo = save(scene(1), tmp_path / "photo.png")
    for folder in ("one", "other"):
        write_copies([photo], tmp_path / folder, tuple(CHANGES))
    one = {path.parent.name: path.read_bytes() for path in (tmp_path / "one").glob("*/*.jpg")}
    other = {path.parent.name: path.read_bytes() for path in (tmp_path / "other").glob("*/*.jpg")}
    assert one == other
    assert set(one) == set(COUNTED) | set(HARDER)
    assert len(set(one.values())) == len(one)
    with Image.open(tmp_path / "one" / "crop, 70 % of each side" / "photo.jpg") as crop:
        assert crop.size == (168, 112)
