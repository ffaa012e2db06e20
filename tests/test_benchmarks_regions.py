"""The measures of the benchmark of regions, on figures that can be checked by hand; and what it pastes and cuts."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks import regions as bench
from picfind.images import tiles

GALLERY = np.array([[[0.5, 0.0], [0.9, 0.0]], [[0.8, 0.0], [0.1, 0.0]], [[0.2, 0.9], [0.2, 0.7]]], np.float32)
"""Three pictures of two parts each, in two dimensions."""


def asked(*right: bool) -> bench.Asked:
    return bench.Asked("test", np.array([[1, 0]], np.float32), np.array([right]), GALLERY)


def test_a_picture_counts_by_its_best_part() -> None:
    assert bench.ranks_best(asked(True, False, False), [0]).tolist() == [1]
    assert bench.ranks_best(asked(True, False, False), [0, 1]).tolist() == [0]
    assert bench.ranks_best(asked(False, True, False), [0, 1]).tolist() == [1]


def test_the_best_of_several_right_pictures_counts() -> None:
    assert bench.ranks_best(asked(False, True, True), [0]).tolist() == [0]
    assert bench.shown(asked(False, False, True), [0]) == "0.000 1.000"


def test_the_tiling_that_is_used_is_among_those_compared() -> None:
    assert tiles.boxes(400, 300) in bench.CUTS.values()
    assert {box for boxes in bench.CUTS.values() for box in boxes} == set(bench.EVERY)


def test_a_thing_is_pasted_whole_at_a_fifth_of_the_width() -> None:
    photo, thing = Image.new("RGB", (200, 100), "black"), Image.new("RGB", (30, 60), "white")
    for seed in range(5):
        scene = np.asarray(bench.paste(photo, thing, np.random.default_rng(seed)))
        rows, columns = np.nonzero(scene.max(axis=2))
        assert [int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1] == [40, 80]
    assert np.asarray(photo).max() == 0


def test_a_piece_is_a_ninth_to_a_quarter_of_the_photo() -> None:
    for seed in range(20):
        piece = bench.piece(Image.new("RGB", (600, 300)), np.random.default_rng(seed))
        assert 1 / 9 - 0.01 <= piece.width * piece.height / (600 * 300) <= 1 / 4 + 0.01
