"""Hits on a terminal: the line that every answer has, and below it a thumbnail with what there is to say beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TextIO

from PIL import Image
from rich.console import Console, OverflowMethod
from rich.text import Text

from picfind.cli import answers, escapes, terminals, thumbnails
from picfind.cli.cards import shown
from picfind.cli.options import say
from picfind.cli.terminals import BLOCKS, ITERM2, KITTY, NOTHING, SIXEL, Cell
from picfind.errors import UsageError
from picfind.search.asking import read_file
from picfind.types import Hit, Read, Results

AUTO = "auto"
WAYS = (AUTO, KITTY, ITERM2, SIXEL, BLOCKS)
"""What can be asked for. What is asked for by name is written even where it goes into a file."""
ROWS = 8
"""Lines of text that a thumbnail is high."""
_MOST_COLUMNS, _BESIDE = 32, 24
"""The widest that a thumbnail gets, and what is left for words beside it where there is the room."""
_INDENT = 5


def show(
    results: Results,
    *,
    how: str = AUTO,
    stream: TextIO,
    tell: Callable[[str], object] = say,
    first: int = 1,
    read: Read = read_file,
) -> str:
    """Write hits with their thumbnails; gives the way it was done.

    `auto` takes the best that the terminal has; where it has none, the lines are written without pictures, and `tell`
    gets one line that says so. `first` is the rank of the first hit, `read` gives pictures by their places. Raises
    UsageError for an unknown way, and for blocks where the stream cannot write them.
    """
    if how not in WAYS:
        raise UsageError(f"There is no preview {how!r}. Known are: {', '.join(WAYS)}.")
    way = terminals.detect(stream) if how == AUTO else how
    if way == BLOCKS and _writable("▀", stream) != "▀":
        raise UsageError(
            f"This output is written as {stream.encoding}, which has no half blocks. Name another kind "
            f"({', '.join(WAYS[1:-1])}), or write it as UTF-8."
        )
    if way == NOTHING and results.hits:
        tell(
            "picfind: this output can show no pictures, so there are no previews. To write them all the same, name "
            f"the kind: {', '.join(WAYS[1:])}; or write a page: --html FILE."
        )
    sheet = _Sheet(stream, way, forced=how != AUTO, read=read)
    for rank, hit in enumerate(results.hits, start=first):
        sheet.write(answers.head(rank, hit) + "\n")
        if way != NOTHING:
            sheet.add(hit)
    stream.flush()
    return way


def _beside(hit: Hit) -> Iterator[str]:
    """What stands beside a picture, the most telling first."""
    if hit.caption:
        yield shown(hit.caption)
    for label, share in hit.why.items():
        yield f"{share:+.3f} {shown(label)}"
    if len(hit.keys) > 1:
        yield f"{len(hit.keys)} places"


class _Sheet:
    """A stream that pictures are written to in one way."""

    def __init__(self, stream: TextIO, way: str, *, forced: bool, read: Read) -> None:
        self._stream = stream
        self._read = read
        self._way = way
        self._cell = Cell(1, 2) if way == BLOCKS else terminals.cell(stream)
        self._columns = terminals.columns(stream)
        self._dots: OverflowMethod = "ellipsis" if _writable("…", stream) == "…" else "crop"
        self._colours = "truecolor" if forced and not stream.isatty() else "auto"

    def write(self, text: str) -> None:
        """Write a text; what the stream cannot write is escaped."""
        self._stream.write(_writable(text, self._stream))

    def add(self, hit: Hit) -> None:
        """Write a hit's thumbnail and what stands beside it."""
        most = max(1, min(_MOST_COLUMNS, self._columns - _INDENT - _BESIDE))
        wide, high = most * self._cell.width, ROWS * self._cell.height
        image = thumbnails.small(hit.path, width=wide, height=high, box=hit.box, read=self._read)
        if image is None:
            self.write(f"{'':{_INDENT}}({thumbnails.GONE})\n")
            return
        across, down = (math.ceil(pixels / one) for pixels, one in zip(image.size, self._cell, strict=True))
        left = max(0, self._columns - _INDENT - across - 3)
        words = [_cut(_writable(line, self._stream), left, self._dots) for line in [*_beside(hit)][:down]]
        words += [""] * (down - len(words))
        if self._way == BLOCKS:
            self._add_blocks(image, words)
        else:
            self._add_graphics(image, across, words)

    def _add_blocks(self, image: Image.Image, words: list[str]) -> None:
        console = Console(
            file=self._stream,
            force_terminal=True,
            color_system=self._colours,  # type: ignore[arg-type]
            no_color=False if self._colours == "truecolor" else None,
        )
        for line, said in zip(escapes.blocks(image), words, strict=True):
            row = Text(" " * _INDENT, end="").append_text(line).append(f"  {said}" if said else "")
            console.print(row, soft_wrap=True, highlight=False)

    def _add_graphics(self, image: Image.Image, across: int, words: list[str]) -> None:
        """Room is made first, so that nothing scrolls while the picture is drawn, wherever the cursor then ends."""
        down = len(words)
        drawn = {
            KITTY: lambda: escapes.kitty(image, columns=across, rows=down),
            ITERM2: lambda: escapes.iterm2(image, columns=across, rows=down),
            SIXEL: lambda: escapes.sixel(image),
        }[self._way]()
        self.write("\n" * down + f"\x1b[{down}A\x1b7\x1b[{_INDENT}C")
        self._stream.write(drawn)
        self.write("\x1b8")
        for said in words:
            self.write(f"\r\x1b[{_INDENT + across + 2}C{said}\n" if said else "\n")


def _writable(text: str, stream: TextIO) -> str:
    """A text as a stream can write it."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _cut(line: str, width: int, overflow: OverflowMethod) -> str:
    """A line in at most so many columns: wide letters count twice."""
    if width < 1:
        return ""
    text = Text(line)
    text.truncate(width, overflow=overflow)
    return text.plain
