"""The figure of an answer: any text, any number of hits."""

from __future__ import annotations

import re
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")

from picfind.cli import plots
from picfind.errors import UsageError
from picfind.types import Hit, Results
from tests.photos import write_photo


def hits(path: Path, count: int = 1, **others: object) -> Results:
    hit = Hit("ab" * 32, 0.5, (str(path),), **others)  # type: ignore[arg-type]
    return Results((hit,) * count, count)


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_any_number_of_hits(tmp_path: Path, count: int) -> None:
    path = write_photo(tmp_path / "red.png")
    plots.write(tmp_path / "a.png", hits(path, count), "a red wall")
    with Image.open(tmp_path / "a.png") as figure:
        pixels = np.asarray(figure.convert("RGB")).astype(int)
        assert figure.width == 300 * max(2, min(count, 5))
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 60)
    assert bool(red.any()) == bool(count)


def test_too_many_hits_are_told_before_they_are_drawn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes 500 pictures, and there are 100,000"):
        plots.write(tmp_path / "a.png", hits(tmp_path / "none.png", 100_000), "red")
    assert not (tmp_path / "a.png").exists()


@pytest.mark.slow
def test_a_hundred_hits(tmp_path: Path) -> None:
    plots.write(tmp_path / "a.png", hits(write_photo(tmp_path / "red.png"), 100), "red")
    with Image.open(tmp_path / "a.png") as figure:
        assert figure.height > 20 * 300


@pytest.mark.parametrize(
    "text",
    [
        *("$", "$x_1^$", r"\frac{1} $\frac$", "a_b^c & %d", "été", "犬がビーチを走る", "كلب على الشاطئ", "🐕 कुत्ता"),
        *("word " * 300, "x" * 3000, "a\nb\x1b[31m", "\udce9"),
    ],
)  # fmt: skip
def test_any_text_is_a_title(tmp_path: Path, text: str) -> None:
    path = write_photo(tmp_path / "red.png")
    results = Results((Hit("ab", 0.5, (str(path),), caption=text), Hit("cd", 0.4, (f"/none/{text}.jpg",))), 2)
    plots.write(tmp_path / "a.png", results, text)
    with Image.open(tmp_path / "a.png") as figure:
        assert (figure.width, figure.height) == (600, 420), "it is as large as ever"


def test_titles_are_written_as_they_are(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a_$1_b$.png")
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plots.write(
            tmp_path / "a.svg", hits(path, caption="cost_$5$ & <b>", relevance=0.82), "2:dog_$x$ + cat"
        )
    told = "\n".join(
        re.findall(r"<text[^>]*>(.*?)</text>", (tmp_path / "a.svg").read_text(encoding="utf-8"), re.DOTALL)
    )
    for title in ("1. 0.500 (82%)", "a_$1_b$.png", "cost_$5$ &amp; &lt;b&gt;", "2:dog_$x$ + cat"):
        assert title in told


def test_a_frame_is_drawn_where_it_matched(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "blue").save(tmp_path / "blue.png")
    plots.write(tmp_path / "a.png", hits(tmp_path / "blue.png", box=(0.5, 0.5, 0.5, 0.5)), "blue")
    with Image.open(tmp_path / "a.png") as figure:
        pixels = np.asarray(figure.convert("RGB")).astype(int)
    blue = (pixels[..., 2] > 200) & (pixels[..., 0] < 60)
    top, left = np.argwhere(blue).min(axis=0)
    bottom, right = np.argwhere(blue).max(axis=0)
    middle = slice(left + 10, (left + right) // 2 - 10), slice((left + right) // 2 + 10, right - 10)
    line = pixels[(top + bottom) // 2 - 3 : (top + bottom) // 2 + 4].min(axis=(0, 2))
    row = pixels[(top + bottom) // 2 - 3 : (top + bottom) // 2 + 4, :, 2]
    assert (row[:, middle[0]] > 200).all(), "nothing is drawn left of the box"
    assert (row[:, middle[1]].min(axis=0) < 60).all(), "its upper edge has a black line"
    assert line.shape == (pixels.shape[1],)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_answer_is_the_same_file(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = hits(write_photo(tmp_path / "red.png"), box=(0.1, 0.1, 0.5, 0.5))
    plots.write(tmp_path / f"one.{ending}", results, "red")
    later = time.time() + 100_000
    monkeypatch.setattr(time, "time", lambda: later)
    plots.write(tmp_path / f"two.{ending}", results, "red")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


@pytest.mark.parametrize("name", ["plain", "dot.", ".png", "$x$.png", "a b.PNG"])
def test_the_figure_is_in_just_the_file_that_was_named(tmp_path: Path, name: str) -> None:
    plots.write(tmp_path / name, Results((), 0), "red")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Image.open(tmp_path / name) as figure:
        assert figure.format == "PNG"


def test_an_svg_can_be_read_whatever_the_texts_are(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "red.png")
    plots.write(tmp_path / "a.svg", hits(path, caption="\ufffe\uffff\x0b<&"), "\uffff\x00")
    ElementTree.parse(tmp_path / "a.svg")


def test_a_format_that_needs_what_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no TeX
    with pytest.raises(UsageError, match="cannot be written"):
        plots.write(tmp_path / "a.pgf", Results((), 0), "red")


@pytest.mark.parametrize("name", ["none/a.png", "a.magic"])
def test_a_figure_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        plots.write(tmp_path / name, Results((), 0), "red")
