"""Reading the text inside pictures, with RapidOCR and its models: words drawn on real photos, and a photo of a page."""

from __future__ import annotations

import importlib.util
import logging
import random
import re
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from picfind.captions.reading_order import Rectangle, reading_order
from picfind.captions.recognising import Care, Recogniser, load
from picfind.errors import MissingExtraError, PictureError
from picfind.types import RecognisedLine

needs_ocr = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None, reason="needs the extra ocr: pip install picfind[ocr]"
)
needs_photos = pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="needs the photos of scikit-image: the extra demo"
)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    """The reader, opened once."""
    pytest.importorskip("rapidocr", reason="needs the extra ocr: pip install picfind[ocr]")
    return load()


def sample(name: str) -> Image.Image:
    """A photo that scikit-image ships."""
    skimage = pytest.importorskip("skimage", reason="needs the photos of scikit-image: the extra demo")
    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


def draw(
    picture: Image.Image, text: str, *, at: tuple[int, int], size: int = 24, colour: str = "white"
) -> Image.Image:
    """Draw a text with its top left corner at a place; white letters get a dark outline."""
    outline = 2 if colour == "white" else 0
    ImageDraw.Draw(picture).text(
        at, text, colour, ImageFont.load_default(size), stroke_width=outline, stroke_fill="black"
    )
    return picture


def texts(lines: Sequence[RecognisedLine]) -> list[str]:
    """What the lines say, in small letters."""
    return [line.text.casefold() for line in lines]


@needs_photos
@pytest.mark.parametrize("size", [18, 24, 36, 80])
@pytest.mark.parametrize("name", ["chelsea.png", "rocket.jpg"])
def test_reads_words_on_a_photo(recogniser: Recogniser, name: str, size: int) -> None:
    picture = draw(sample(name), "Bakery open", at=(10, 60), size=size)
    assert [text.replace(" ", "") for text in texts(recogniser.read(picture))] == ["bakeryopen"]


@needs_photos
def test_the_box_surrounds_the_words(recogniser: Recogniser) -> None:
    picture = draw(sample("coffee.png"), "private garden", at=(300, 200), size=30)
    (line,) = recogniser.read(picture)
    left, top, width, height = line.box
    assert 290 <= left * 600 <= 305 and 480 <= (left + width) * 600 <= 530
    assert 190 <= top * 400 <= 212 and 220 <= (top + height) * 400 <= 250
    assert 0.9 <= line.confidence <= 1


@needs_photos
def test_reads_a_photo_of_a_page_in_order(recogniser: Recogniser) -> None:
    said = " ".join(texts(recogniser.read(sample("page.png"))))
    first, second = said.index("let us first determine markers"), said.index("unambiguously as either object")
    assert said.startswith("region-based segmentation") and first < second


@needs_photos
@pytest.mark.parametrize(
    "name",
    ["astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "rocket.jpg"],
)
def test_reads_nothing_where_nothing_is_written(recogniser: Recogniser, name: str) -> None:
    assert recogniser.read(sample(name)) == []


def test_reads_white_on_black(recogniser: Recogniser) -> None:
    picture = draw(Image.new("RGB", (400, 120)), "Platform 42 closed", at=(20, 30), size=28)
    assert texts(recogniser.read(picture)) == ["platform 42 closed"]


def test_reads_one_column_after_the_other(recogniser: Recogniser) -> None:
    picture = Image.new("RGB", (800, 400), "white")
    draw(picture, "The village paper of Sunday, everything that happened here", at=(40, 20), colour="black")
    left, right = ["first line here", "second line here"], ["third line here", "fourth line here"]
    for row, (one, other) in enumerate(zip(left, right, strict=True)):
        draw(picture, one, at=(40, 150 + 50 * row), colour="black")
        draw(picture, other, at=(450, 150 + 50 * row), colour="black")
    assert texts(recogniser.read(picture))[1:] == left + right


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180])
def test_reads_turned_text(recogniser: Recogniser, turn: Image.Transpose) -> None:
    picture = draw(
        Image.new("RGB", (500, 200), "white"), "London museum", at=(40, 60), colour="black", size=40
    )
    assert texts(recogniser.read(picture.transpose(turn))) == ["london museum"]


@needs_photos
def test_large_pictures_are_read_at_full_size(recogniser: Recogniser) -> None:
    picture = sample("rocket.jpg").resize((4000, 2669))
    (line,) = recogniser.read(draw(picture, "seven chocolate", at=(2500, 2000), size=40))
    assert line.text == "seven chocolate"
    assert line.box[0] == pytest.approx(2500 / 4000, abs=0.01)


def test_a_long_line_is_cut_again_until_it_is_read(recogniser: Recogniser) -> None:
    said = "The village paper of Sunday, everything that happened here"
    picture = draw(Image.new("RGB", (800, 400), "white"), said, at=(40, 20), colour="black")
    assert texts(recogniser.read(picture)) == [said.casefold()]


def test_a_long_screenshot_is_read(recogniser: Recogniser) -> None:
    picture = Image.new("RGB", (720, 4000), "white")
    wanted = [f"message number {number}" for number in range(1, 7)]
    for number, text in enumerate(wanted):
        draw(picture, text, at=(60, 600 * number), colour="black", size=32)
    assert texts(recogniser.read(picture)) == wanted


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("RGB", (1, 1)),
        ("L", (30_000, 2)),
        ("RGBA", (2000, 10)),
        ("P", (40, 40)),
        ("1", (16, 9)),
        ("I;16", (50, 50)),
    ],
)
def test_takes_pictures_of_any_mode_and_size(
    recogniser: Recogniser, mode: str, size: tuple[int, int]
) -> None:
    assert recogniser.read(Image.new(mode, size)) == []


@pytest.mark.parametrize(
    ("text", "confidence", "share", "kept"),
    [
        ("A", 0.9, 0.01, False),
        ("A", 0.99, 0.01, True),
        ("A", 0.99, 0.5, False),
        ("AB", 0.9, 0.5, True),
        ("AB", 0.7, 0.01, False),
        ("--!", 1.0, 0.01, False),
        ("出口", 0.9, 0.01, True),
    ],
)
def test_single_signs_must_be_surer_and_small(
    recogniser: Recogniser, text: str, confidence: float, share: float, kept: bool
) -> None:
    assert recogniser._is_text(text, confidence, share=share) is kept


def test_an_engine_that_gives_up_is_told_of_the_picture() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory\n\x1b[31m" + "x" * 1000)

    with pytest.raises(
        PictureError, match=r"text inside it cannot be read: no memory \\x1b\[31mx{100,200}\.$"
    ):
        Recogniser(fail, fail, version="1").read(Image.new("RGB", (64, 64)))


def test_care_is_a_choice() -> None:
    pytest.importorskip("rapidocr", reason="needs the extra ocr: pip install picfind[ocr]")
    careless = load(care=Care(least_confidence=1.1, least_lone=1.1))
    assert careless.read(draw(Image.new("RGB", (300, 100)), "hello", at=(20, 20), size=40)) == []


def test_the_version_is_fit_for_a_task(recogniser: Recogniser) -> None:
    assert re.fullmatch(r"\d+-[0-9a-f]{12}", recogniser.version)
    assert load().version == recogniser.version


def test_several_threads_read_the_same(recogniser: Recogniser) -> None:
    words = ["kitchen", "holiday", "railway", "theatre", "warning", "station"]
    pictures = [
        draw(Image.new("RGB", (240 + 40 * at, 120)), word, at=(20, 30), size=36)
        for at, word in enumerate(words)
    ]
    with ThreadPoolExecutor(4) as pool:
        assert [texts(lines) for lines in pool.map(recogniser.read, pictures * 2)] == [
            [word] for word in words
        ] * 2


@needs_ocr
def test_nothing_is_downloaded_and_nothing_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    root = logging.getLogger()
    before = list(root.handlers), root.level
    opened = load()
    opened.read(Image.new("RGB", (100, 100), "white"))
    assert opened.read(draw(Image.new("RGB", (300, 100)), "hello you", at=(20, 20), size=40))
    assert (list(root.handlers), root.level) == before
    assert capfd.readouterr() == ("", "")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtraError, match=r'pip install "picfind\[ocr\]"'):
        load()


boxes = st.lists(
    st.tuples(*[st.floats(0, 1000) for _ in range(2)], *[st.floats(1, 300) for _ in range(2)]).map(
        lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
    ),
    max_size=25,
)


@given(boxes)
def test_every_line_is_read_once(boxes: list[Rectangle]) -> None:
    assert sorted(reading_order(boxes)) == list(range(len(boxes)))


@given(st.integers(1, 5), st.integers(2, 6), st.randoms(use_true_random=False))
def test_columns_are_read_one_by_one(columns: int, rows: int, shuffler: random.Random) -> None:
    page = [
        (200.0 * x, 20.0 * y, 200.0 * x + 150, 20.0 * y + 12) for x in range(columns) for y in range(rows)
    ]
    mixed = list(page)
    shuffler.shuffle(mixed)
    assert [mixed[at] for at in reading_order(mixed)] == page
