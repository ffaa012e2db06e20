"""benchmarks/picture_to_picture.py: its measure by hand, and a run on made-up pictures in the layout of the real set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks import picture_to_picture
from picfind.testing import toy_encoder
from tests.photos import write_photo

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = ("red", "green", "blue")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three colours, of each one query and three more pictures."""
    folder = tmp_path / picture_to_picture.SET
    rows = []
    for colour in COLOURS:
        for at in range(4):
            name = f"{colour}/{at}.png"
            write_photo(folder / "images" / name, colour=colour, seed=at)
            rows.append({"image": name, "label": colour, "role": "gallery" if at else "query"})
    (folder / "labels.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("k", "share"), [(1, (1 / 2 + 0) / 2), (2, (1 / 2 + 1) / 2), (3, 1.0)])
def test_recall_at_by_hand(k: int, share: float) -> None:
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]], np.float32)
    relevant = np.array([[True, False, True], [False, True, False]])
    assert picture_to_picture.recall_at(scores, relevant, k) == pytest.approx(share)


def test_pictures_of_one_colour_are_told_from_others(data: Path) -> None:
    precision, recall = picture_to_picture.measure(toy_encoder("toy"), data / picture_to_picture.SET)
    assert precision == pytest.approx(1.0)
    assert recall == pytest.approx(1.0), "of nine pictures all are among the first ten"


def test_it_prints_a_line_a_model(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture_to_picture.main(["--data", str(data), "--model", "builtin"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "caltech101_retrieval: 3 queries, 9 pictures, 3 classes"
    assert lines[2].startswith("builtin@")
    assert "recall_at(10) 1.0000" in lines[2]
