"""What is learned from: sources listed, shares held out, faults told; and pictures as bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picfind.errors import PicfindError, TrainingError
from picfind.settings import Settings
from picfind.training.captioned import each_picture, read_examples, shuffled, usable
from picfind.training.pixels import cropped, normalised, square_maker, squashed
from picfind.training.recipe import Data
from tests.photos import photo, write_photo
from tests.training_data import write_captions

SETTINGS = Settings(workers=2)
SPLIT = 0
"""A seed that parts four pictures into two and two."""


def test_captions_of_a_source_with_a_share_held_out(tmp_path: Path) -> None:
    source = write_captions(tmp_path, count=40)
    found = read_examples(Data(train=(source,), held_out=0.25), SETTINGS, seed=0)
    assert len(found.train) + len(found.dev) == 40
    assert 4 <= len(found.dev) <= 16
    keys = {example.item.key for example in (*found.train, *found.dev)}
    assert keys == {f"train{at:03}.png" for at in range(40)}
    assert found.train[0].captions[1] == "a red picture"
    again = read_examples(Data(train=(source,), held_out=0.25), SETTINGS, seed=0)
    assert again.digest == found.digest
    other = read_examples(Data(train=(source,), held_out=0.25), SETTINGS, seed=1)
    assert {example.item.key for example in other.dev} != {example.item.key for example in found.dev}


def test_a_picture_more_moves_no_other(tmp_path: Path) -> None:
    held: list[set[str]] = []
    for count in (30, 31):
        source = write_captions(tmp_path / str(count), count=count)
        found = read_examples(Data(train=(source,), held_out=0.3), SETTINGS, seed=0)
        held.append({example.item.key for example in found.dev} - {"train030.png"})
    assert held[0] == held[1]


def test_sidecars_are_captions_and_names_are_none(tmp_path: Path) -> None:
    for name in ("one.png", "two.png", "three.png", "four.png", "sunset_pier.png"):
        write_photo(tmp_path / name)
    for name in ("one", "two", "three", "four"):
        (tmp_path / f"{name}.txt").write_text(f"here is {name}\n", encoding="utf-8")
    found = read_examples(Data(train=(str(tmp_path),), held_out=0.5), SETTINGS, seed=SPLIT)
    captions = sorted(example.captions for example in (*found.train, *found.dev))
    assert captions == [("here is four",), ("here is one",), ("here is three",), ("here is two",)]
    assert any("1 pictures without captions" in note for note in found.notes)


def test_the_data_of_a_run_have_a_digest(tmp_path: Path) -> None:
    source, dev = write_captions(tmp_path), write_captions(tmp_path, split="dev", count=4)
    before = read_examples(Data((source,), (dev,)), SETTINGS, seed=0)
    table = tmp_path / "dev.jsonl"
    table.write_text(table.read_text().replace("number 1", "number one"), encoding="utf-8")
    assert read_examples(Data((source,), (dev,)), SETTINGS, seed=0).digest != before.digest


def test_a_picture_that_is_missing(tmp_path: Path) -> None:
    source = write_captions(tmp_path)
    (tmp_path / "train003.png").unlink()
    with pytest.raises(TrainingError, match=r"train003\.png.*skip_broken"):
        read_examples(Data((source,)), SETTINGS, seed=0)
    found = read_examples(Data((source,), skip_broken=True), SETTINGS, seed=0)
    assert len(found.train) + len(found.dev) == 23
    assert any("train003.png" in note for note in found.notes)


def test_a_picture_that_is_damaged(tmp_path: Path) -> None:
    source, dev = write_captions(tmp_path, count=6), write_captions(tmp_path, count=2, split="dev")
    (tmp_path / "train002.png").write_bytes(b"no picture")
    examples = read_examples(Data((source,), (dev,)), SETTINGS, seed=0).train
    told: list[int] = []
    found = each_picture(
        examples, square_maker(8), at_least=16, settings=SETTINGS, told=lambda done, _: told.append(done)
    )
    assert told == [6]
    with pytest.raises(TrainingError, match=r"train002\.png.*skip_broken"):
        usable(examples, found, skip_broken=False)
    kept, squares, faults = usable(examples, found, skip_broken=True)
    assert [example.item.key for example in kept] == [f"train00{at}.png" for at in (0, 1, 3, 4, 5)]
    assert len(squares) == 5
    assert len(faults) == 1
    assert squares[1].shape == (8, 8, 3)


def test_a_line_of_captions_that_is_broken(tmp_path: Path) -> None:
    source = write_captions(tmp_path)
    table = tmp_path / "train.jsonl"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:4], '{"image": "train004.png", "capt', *lines[5:]]), encoding="utf-8")
    with pytest.raises(PicfindError, match=r"train\.jsonl.*line 5"):
        read_examples(Data((source,)), SETTINGS, seed=0)


def test_data_that_nothing_can_be_learned_from(tmp_path: Path) -> None:
    source = write_captions(tmp_path)
    with pytest.raises(TrainingError, match="nothing to learn from"):
        read_examples(Data(), SETTINGS, seed=0)
    with pytest.raises(TrainingError, match="24 pictures are in both"):
        read_examples(Data((source,), (source,)), SETTINGS, seed=0)
    (tmp_path / "train.jsonl").write_text(json.dumps({"image": "train000.png", "caption": "one"}))
    with pytest.raises(TrainingError, match="two of each are the least"):
        read_examples(Data((source,)), SETTINGS, seed=0)


def test_an_epoch_has_each_example_once_in_an_order_of_its_own() -> None:
    first, second = shuffled(20, seed=0, epoch=0), shuffled(20, seed=0, epoch=1)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first == shuffled(20, seed=0, epoch=0)
    assert first != second


def test_crops_are_of_the_picture_and_the_same_for_the_same_seed() -> None:
    square = squashed(Image.effect_noise((40, 30), 60).convert("RGB"), 18)
    made, again = (cropped([square] * 6, 16, least=0.5, rng=np.random.default_rng(3)) for _ in range(2))
    assert made.shape == (6, 16, 16, 3)
    assert np.array_equal(made, again)
    assert len({crop.tobytes() for crop in made}) == 6
    plain = squashed(photo("red"), 16)
    assert np.abs(cropped([plain], 16, least=0.3, rng=np.random.default_rng(0))[0].mean() - plain.mean()) < 3


def test_pixels_are_scaled_as_the_published_folder_scales_them() -> None:
    from picfind.encoders._clip.config import MEAN, STD
    from picfind.encoders._preprocess import Preprocess

    how = Preprocess(size=(16, 16), mode="squash", mean=MEAN, std=STD)
    picture = photo("orange", size=(40, 31))
    assert np.allclose(normalised(squashed(picture, 16)[None])[0], how.prepare(picture), atol=1e-6)
