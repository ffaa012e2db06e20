"""Pictures as terminals take them: kitty's, iTerm2's and DEC's ways, and half blocks of two colours.

Each gives one string that draws a picture from the cursor on. Pillow and rich do the work on pixels and colours; what
is left are the few lines that wrap it. Sources: kitty's "Terminal graphics protocol", iTerm2's "Inline Images
Protocol", DEC's VT330/VT340 Programmer Reference, volume 2, chapter 14.
"""

from __future__ import annotations

import base64
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.text import Text

from picfind.cli.thumbnails import png

_CHUNK = 4096
"""The most of base64 that kitty takes at once."""
_BAND = 6
"""Rows of pixels that one line of sixels has."""
_COLOURS = 256
_RUN = re.compile(r"(.)\1{3,}")


def kitty(image: Image.Image, *, columns: int, rows: int) -> str:
    """A PNG in pieces, shown over so many cells, without an answer (q=2) and with the cursor left alone (C=1)."""
    data = base64.b64encode(png(image)).decode("ascii")
    pieces = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    told = [f"a=T,f=100,q=2,C=1,c={columns},r={rows},", *[""] * (len(pieces) - 1)]
    return "".join(
        f"\x1b_G{what}m={int(at < len(pieces) - 1)};{piece}\x1b\\"
        for at, (what, piece) in enumerate(zip(told, pieces, strict=True))
    )


def iterm2(image: Image.Image, *, columns: int, rows: int) -> str:
    """A PNG as a file that is shown over so many cells."""
    data = png(image)
    told = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={told}:{base64.b64encode(data).decode('ascii')}\x07"


def sixel(image: Image.Image) -> str:
    """Pixels of up to 256 colours, six rows a line, each colour of a line for itself; what is not drawn stays (P2 = 1)."""
    few = image.convert("RGB").quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    numbers = np.asarray(few)
    palette = np.array(few.getpalette(), np.int64).reshape(-1, 3)
    shares = (palette * 100 + 127) // 255
    parts = [f'\x1bP0;1;0q"1;1;{image.width};{image.height}']
    parts += [f"#{at};2;{shares[at, 0]};{shares[at, 1]};{shares[at, 2]}" for at in np.unique(numbers)]
    parts += [_band(numbers[top : top + _BAND]) for top in range(0, image.height, _BAND)]
    return "".join([*parts, "\x1b\\"])


def _band(numbers: NDArray[np.uint8]) -> str:
    """Up to six rows: a line for each colour, over one another ($), and on to the next (-)."""
    bits = (1 << np.arange(len(numbers)))[:, None]
    lines = []
    for colour in np.unique(numbers):
        signs = bytes((((numbers == colour) * bits).sum(axis=0) + 63).astype(np.uint8)).decode("ascii")
        runs = _RUN.sub(lambda run: f"!{len(run[0])}{run[1]}", signs.rstrip("?"))
        lines.append(f"#{colour}{runs}")
    return "$".join(lines) + "-"


def blocks(image: Image.Image) -> list[Text]:
    """Lines of half blocks, two pixels each; a last row without a partner has none below."""
    pixels = np.asarray(image.convert("RGB"))
    return [_block_line(pixels[top : top + 2]) for top in range(0, len(pixels), 2)]


def _block_line(rows: NDArray[np.uint8]) -> Text:
    line = Text(end="")
    for column in range(rows.shape[1]):
        over, *under = [Color.from_rgb(*map(int, row[column])) for row in rows]
        line.append("▀", Style(color=over, bgcolor=under[0] if under else None))
    return line
