from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from picfind.encoders._preprocess import INTERPOLATIONS, Interpolation, Mode, Preprocess


def how(
    size: tuple[int, int] = (8, 8),
    mode: Mode = "shortest",
    *,
    interpolation: Interpolation = "bicubic",
    resize: int | None = None,
) -> Preprocess:
    return Preprocess(size, mode, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), interpolation, resize)


def noise(width: int, height: int, *, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def by_the_reference(image: Image.Image, made: Preprocess) -> Image.Image:
    """The steps of torchvision's Resize(int) and CenterCrop, one after the other as its sources have them."""
    side = made.resize or made.size[0]
    short, long = sorted(image.size)
    new_long = int(side * long / short)
    size = (side, new_long) if image.width <= image.height else (new_long, side)
    image = image.resize(size, INTERPOLATIONS[made.interpolation])
    height, width = made.size
    if width > image.width or height > image.height:
        left, top = max(0, (width - image.width) // 2), max(0, (height - image.height) // 2)
        right, bottom = max(0, (width - image.width + 1) // 2), max(0, (height - image.height + 1) // 2)
        image = ImageOps.expand(image, (left, top, right, bottom), fill=0)
    top, left = round((image.height - height) / 2.0), round((image.width - width) / 2.0)
    return image.crop((left, top, left + width, top + height))


@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    side=st.integers(1, 12),
    resize=st.none() | st.integers(1, 16),
    interpolation=st.sampled_from(get_args(Interpolation)),
)
@settings(max_examples=150, deadline=None)
def test_shortest_is_what_torchvision_does(
    width: int, height: int, side: int, resize: int | None, interpolation: Interpolation
) -> None:
    made = how((side, side), interpolation=interpolation, resize=resize)
    image = noise(width, height)
    found, wanted = made.fitted(image), by_the_reference(image, made)
    assert found.size == (side, side)
    if max(width, height) <= 16 * min(width, height):
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "box"])
@pytest.mark.parametrize("size", [(700, 5), (5, 700), (2000, 30), (40, 999)])
@pytest.mark.parametrize("resize", [None, 6, 12])
def test_a_very_long_picture_is_the_same_to_one_step(
    size: tuple[int, int], interpolation: Interpolation, resize: int | None
) -> None:
    made = how(interpolation=interpolation, resize=resize)
    image = noise(max(2, size[0] // 20), max(2, size[1] // 20)).resize(size, Image.Resampling.BILINEAR)
    found = np.asarray(made.fitted(image), np.int16)
    wanted = np.asarray(by_the_reference(image, made), np.int16)
    assert np.abs(found - wanted).max() <= 1


def test_a_very_long_picture_takes_no_memory_of_its_length() -> None:
    line = Image.new("RGB", (1_000_000, 1), (10, 20, 30))
    assert how((224, 224)).prepare(line).shape == (3, 224, 224)  # as a whole: 150 GB


def test_a_side_that_is_no_whole_number_is_cut_off() -> None:
    image = noise(100, 67)
    by_hand = image.resize((11, 8), Image.Resampling.BICUBIC)  # 8 * 100 / 67 is 11.94
    assert how().fitted(image).tobytes() == by_hand.crop((2, 0, 10, 8)).tobytes()  # 1.5 to the even 2


def test_a_crop_larger_than_the_picture_is_filled_with_black() -> None:
    found = np.asarray(how((5, 5), resize=2).fitted(Image.new("RGB", (10, 10), "white")))
    assert found[1:3, 1:3].min() == 255
    assert found.sum() == 4 * 3 * 255


@given(width=st.integers(1, 60), height=st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_a_crop_that_is_not_square_is_filled_as_by_open_clip(width: int, height: int) -> None:
    image = noise(width, height)
    ratio = min(height / 6, width / 12)
    whole = image.resize((round(width / ratio), round(height / ratio)), Image.Resampling.BICUBIC)
    found = how((6, 12)).fitted(image)
    assert found.size == (12, 6)
    if max(whole.size) <= 16 * min(whole.size):
        left, top = round((whole.width - 12) / 2), round((whole.height - 6) / 2)
        assert found.tobytes() == whole.crop((left, top, left + 12, top + 6)).tobytes()


def test_squash_keeps_all_and_no_proportions() -> None:
    image = noise(40, 10)
    wanted = image.resize((12, 6), Image.Resampling.BILINEAR)
    assert how((6, 12), "squash", interpolation="bilinear").fitted(image).tobytes() == wanted.tobytes()


def test_numbers_are_centred_and_scaled_by_channel() -> None:
    made = Preprocess((4, 4), "squash", (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    found = made.prepare(Image.new("RGB", (9, 9), (255, 51, 0)))
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert np.allclose(found[:, 0, 0], [1.0, (0.2 - 0.25) / 0.25, 0.0], atol=1e-6)
    assert np.array_equal(made(Image.new("RGB", (9, 9), (255, 51, 0))), found)


def test_the_picture_stays_as_it_was_and_may_be_of_another_mode() -> None:
    grey = noise(20, 10).convert("L")
    before = grey.tobytes()
    assert how().prepare(grey).shape == (3, 8, 8)
    assert (grey.mode, grey.tobytes()) == ("L", before)


def test_what_must_be_decoded() -> None:
    assert how((224, 224)).decode_size == 512
    assert how((384, 384)).decode_size == 768
    assert how((100, 300)).decode_size == 600
    assert how((224, 224), resize=300).decode_size == 600


def test_every_choice_is_in_the_words() -> None:
    plain = how((8, 8))
    others = [
        how((8, 9)),
        how((9, 8)),
        how((8, 8), "squash"),
        how((8, 8), resize=10),
        how((8, 8), interpolation="bilinear"),
        how((300, 300)),
        Preprocess((8, 8), "shortest", (0.1, 0.0, 0.0), (1.0, 1.0, 1.0)),
        Preprocess((8, 8), "shortest", (0.0, 0.0, 0.0), (1.0, 1.0, 1.1)),
    ]
    assert len({made.describe() for made in (plain, *others)}) == 9
    assert how((8, 8)).describe() == plain.describe()
