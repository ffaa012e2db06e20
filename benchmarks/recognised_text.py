"""How well the text inside pictures is read: words drawn on real photos, lines found where there are none, and the time.

    python -m benchmarks.recognised_text PHOTOS [--count 60] [--large 12] [--sheet found.png] [--least-area N] ...

PHOTOS is a folder of photos. Words are drawn on them by the benchmark itself, so they are synthetic: known words in
Pillow's own font and, where matplotlib is installed, in its three, three lines of two words a photo, in four styles, turned by up to
8 degrees. A word counts as read where full-text search would find it: letter for letter, but for capitals. The photos
without drawn words may have real text inside: `--sheet` writes what was read there, to be judged by eye. Seconds are
those of one core.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from benchmarks.machine import describe
from picfind.captions.recognising import Care, Recogniser, load
from picfind.types import RecognisedLine

VOCABULARY = (
    *(
        "exit",
        "open",
        "closed",
        "bakery",
        "station",
        "invoice",
        "total",
        "summer",
        "Monday",
        "garden",
        "library",
    ),
    *(
        "coffee",
        "music",
        "harbour",
        "village",
        "museum",
        "platform",
        "welcome",
        "private",
        "danger",
        "railway",
    ),
    *(
        "chocolate",
        "pharmacy",
        "theatre",
        "Berlin",
        "London",
        "Amsterdam",
        "number",
        "seven",
        "quickly",
        "zoo",
    ),
    *(
        "fax",
        "jump",
        "vexing",
        "kitchen",
        "warning",
        "holiday",
        "bridge",
        "window",
        "2019",
        "1984",
        "42",
        "12.50",
    ),
    *("7:30", "30%", "No.", "Straße", "café", "Zürich"),
)
HEIGHTS = (8, 10, 12, 16, 24, 48, 96)
LARGE_HEIGHTS = (16, 24, 32, 48, 96, 200)
LARGE = 4000
"""Pixels of the long side that photos are enlarged to, to see what is lost where large pictures are shrunk."""
STYLES = ("white, outlined", "black on a plate", "white on a plate", "plain")
CHANCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=60, help="photos for each figure")
    parser.add_argument("--large", type=int, default=12, help="photos that are enlarged, for each figure")
    parser.add_argument("--plain", type=int, default=300, help="photos that nothing is drawn on")
    parser.add_argument("--sheet", type=Path, help="a picture of the lines that were read in plain photos")
    for entry in fields(Care):
        flag = f"--{entry.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(entry.default), default=entry.default)
    chosen = parser.parse_args()
    print(describe("onnxruntime", "rapidocr"))
    recogniser = load(care=Care(**{entry.name: getattr(chosen, entry.name) for entry in fields(Care)}))
    paths = sorted(path for path in chosen.photos.rglob("*") if path.suffix in {".jpg", ".png"})
    random.Random(0).shuffle(paths)
    for height in HEIGHTS if chosen.count else ():
        measure(recogniser, paths[: chosen.count], height=height)
    for height in LARGE_HEIGHTS if chosen.large else ():
        measure(recogniser, paths[: chosen.large], height=height, side=LARGE)
    if chosen.plain:
        measure_plain(chosen, paths[: chosen.plain])


def measure(recogniser: Recogniser, paths: Sequence[Path], *, height: int, side: int | None = None) -> None:
    """Print the share of drawn words that were read, and the time a picture took."""
    rng = random.Random(height)
    by_style: dict[str, list[bool]] = {style: [] for style in STYLES}
    times = []
    for number, path in enumerate(paths):
        style = STYLES[number % len(STYLES)]
        picture, words = written(opened(path, side), rng, height=height, style=style)
        begun = time.process_time()
        lines = [tokens(line.text) for line in recogniser.read(picture)]
        times.append(time.process_time() - begun)
        by_style[style] += [any(tokens(word) in line for line in lines) for word in words]
    every = [hit for hits in by_style.values() for hit in hits]
    told = ", ".join(f"{style} {share(hits)}" for style, hits in by_style.items())
    where = f"long side {side}" if side else "as they are"
    print(f"{where}, height {height:3}: {share(every)} of {len(every)} words read ({told}); {median(times)}")


def tokens(text: str) -> str:
    """The words of a text as full-text search takes them apart, with a blank before and after each."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "


def opened(path: Path, side: int | None) -> Image.Image:
    """A photo in RGB; with `side`, of that long side."""
    picture = Image.open(path).convert("RGB")
    if side:
        scale = side / max(picture.size)
        size = round(picture.width * scale), round(picture.height * scale)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return picture


def written(
    picture: Image.Image, rng: random.Random, *, height: int, style: str
) -> tuple[Image.Image, list[str]]:
    """A photo with three lines of two words drawn on it, or one large word; and the words.

    `height` is that of an "H", in pixels.
    """
    font = a_font(rng, height)
    if 3 * 4 * height > picture.height:
        return picture, pasted(picture, rng.sample(VOCABULARY, 1), rng, (0, picture.height), font, style)
    words = []
    for third in range(3):
        low, high = (picture.height * (third + at) // 3 for at in (0, 1))
        words += pasted(picture, rng.sample(VOCABULARY, 2), rng, (low, high), font, style)
    return picture, words


def pasted(
    picture: Image.Image, words: list[str], rng: random.Random, band: tuple[int, int], font: Any, style: str
) -> list[str]:
    """Draw words as a line somewhere in a band of a photo. Gives those that were drawn: all, or none where they do not fit."""
    layer = drawn(" ".join(words), font, style=style)
    layer = layer.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True)
    low, high = band[0], band[1] - layer.height
    if layer.width > picture.width or low > high:
        return []
    at = rng.randint(0, picture.width - layer.width), rng.randint(low, high)
    picture.paste(layer, at, layer)
    return words


def a_font(rng: random.Random, height: int) -> Any:
    """One of the fonts at hand, at the size that makes an "H" as high as wanted."""
    names = list(fonts())
    name = names[rng.randrange(len(names))]

    def at(size: float) -> Any:
        return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)

    box = at(100).getbbox("H")
    return at(height * 100 / (box[3] - box[1]))


def fonts() -> Iterator[str]:
    """Paths of fonts; the empty one is Pillow's own."""
    yield ""
    try:
        from matplotlib import get_data_path
    except ImportError:
        return
    for name in ("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono-Bold.ttf"):
        yield str(Path(get_data_path(), "fonts", "ttf", name))


def drawn(text: str, font: Any, *, style: str) -> Image.Image:
    """A line of text on a transparent ground."""
    height = font.getbbox("H")[3] - font.getbbox("H")[1]
    pad = max(2, round(height / 3))
    left, top, right, bottom = font.getbbox(text)
    size = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    plate = {"black on a plate": (250, 250, 245, 255), "white on a plate": (20, 30, 90, 255)}
    layer = Image.new("RGBA", size, plate.get(style, (255, 255, 255, 0)))
    outline = max(1, round(height / 10)) if style == "white, outlined" else 0
    colour = {"black on a plate": (10, 10, 10, 255), "plain": (230, 40, 40, 255)}.get(style, (255,) * 4)
    ImageDraw.Draw(layer).text(
        (pad - left, pad - top), text, colour, font, stroke_width=outline, stroke_fill=(0, 0, 0, 255)
    )
    return layer


def measure_plain(chosen: argparse.Namespace, paths: Sequence[Path]) -> None:
    """Print how many lines are read in photos as they are, by confidence, and the time; write the sheet."""
    recogniser = load(care=Care(chosen.least_area, chosen.most_area, least_confidence=0.0, least_lone=0.0))
    found: list[tuple[Path, RecognisedLine]] = []
    times = []
    for path in paths:
        picture = opened(path, None)
        begun = time.process_time()
        found += [(path, line) for line in recogniser.read(picture)]
        times.append(time.process_time() - begun)
    print(f"{len(paths)} photos as they are: {len(found)} lines; {median(times)}")
    for chance in CHANCES:
        sure = [(path, line) for path, line in found if line.confidence >= chance]
        lone = sum(len(line.text) == 1 for _, line in sure)
        with_text = len({path for path, _ in sure})
        print(f"  confidence {chance}: {len(sure)} lines in {with_text} photos, {lone} of them of one sign")
    if chosen.sheet:
        sheet(found).save(chosen.sheet)


def sheet(found: Sequence[tuple[Path, RecognisedLine]]) -> Image.Image:
    """What was read, each line with the piece of its photo, the surest first; five beside each other."""
    across, wide, high = 5, 300, 70
    font = ImageFont.load_default(14)
    sheet = Image.new("RGB", (across * wide, -(-len(found) // across) * high), "white")
    ordered = sorted(found, key=lambda entry: -entry[1].confidence)
    for number, (path, line) in enumerate(ordered):
        at = number % across * wide, number // across * high
        sheet.paste(piece(path, line, (wide - 6, 46)), at)
        text = f"{line.confidence:.3f} {line.text[:32]}"
        ImageDraw.Draw(sheet).text((at[0], at[1] + 48), text, "black", font)
    return sheet


def piece(path: Path, line: RecognisedLine, size: tuple[int, int]) -> Image.Image:
    """The piece of a photo where a line was read, within a size."""
    picture = opened(path, None)
    left, top, width, height = line.box
    box = (left * picture.width, top * picture.height)
    end = (box[0] + width * picture.width + 1, box[1] + height * picture.height + 1)
    cut = picture.crop((*map(round, box), *map(round, end)))
    scale = min(size[0] / cut.width, size[1] / cut.height)
    return cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))))


def share(hits: Sequence[bool]) -> str:
    """A share as it is written in tables."""
    return f"{sum(hits) / len(hits):.2f}" if hits else "-"


def median(times: Sequence[float]) -> str:
    """The median and the longest of some times."""
    return f"{statistics.median(times):.2f} s of a core a picture, at most {max(times):.2f}"


if __name__ == "__main__":
    main()
