"""Hits as a figure: a grid of pictures, each with its rank, score, name and caption, and a frame where it matched."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path
from typing import Any

from picfind import keys
from picfind.cli import thumbnails
from picfind.cli.cards import shown
from picfind.errors import MissingExtraError, UsageError
from picfind.search.asking import read_file
from picfind.types import Box, Hit, Read, Results

_COLUMNS = 5
_MOST = 500
"""Pictures in one figure: arranging more takes minutes, and from 905 on no PNG of matplotlib's is high enough."""
_WIDTH, _HEIGHT = 3.0, 3.6
"""Inches for each picture."""
_LETTERS, _HEADING_LETTERS = 38, 34
"""How many fit into a line: of a picture's title, and, for each column, of the heading."""
_CAPTION_LINES, _NAME_LINES, _HEADING_LINES = 3, 2, 3
_FONTS = (
    *("DejaVu Sans", "Noto Sans", "Arial Unicode MS", "Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC"),
    *("Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Arabic", "Segoe UI"),
)
"""Taken in this order for each letter, as far as they are installed; the first one comes with matplotlib."""
_NOT_IN_XML = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
"""No SVG may hold these; other signs that it may not are escaped where texts are shown."""
_METADATA: dict[str, dict[str, None]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""No date, so that the same answer is the same file."""


def write(path: Path, results: Results, question: str, *, read: Read = read_file) -> None:
    """Write a figure in the format of the file's ending (png, svg, pdf; png without one), into just this file.

    `read` gives pictures by their places.

    Letters that no font has appear as boxes. Raises MissingExtraError without matplotlib, UsageError for too many
    hits and when the file cannot be written.
    """
    if len(results.hits) > _MOST:
        raise UsageError(
            f"A figure takes {_MOST:,} pictures, and there are {len(results.hits):,}. Ask for fewer with -k, or write a "
            "page: --html FILE."
        )
    try:
        import matplotlib
        from matplotlib import font_manager
    except ImportError as error:
        raise MissingExtraError("--plot needs matplotlib: pip install 'picfind[plot]'.") from error
    there = {font.name for font in font_manager.fontManager.ttflist}
    settings: Any = {
        "font.family": [name for name in _FONTS if name in there] or ["sans-serif"],
        "svg.hashsalt": "picfind",
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")  # some scripts
        figure = _drawn(results, question, read)
        try:
            # the format is named, or matplotlib puts an ending of its own behind a name without one
            ending = path.suffix.lower()
            figure.savefig(path.expanduser(), format=ending[1:] or "png", metadata=_METADATA.get(ending))
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: pgf without a TeX
            raise UsageError(f"The figure {path} cannot be written: {error}.") from error


def _drawn(results: Results, question: str, read: Read) -> Any:
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, max(2, len(results.hits)))
    rows = max(1, -(-len(results.hits) // columns))
    figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows + 0.6), layout="constrained")
    heading = _wrapped(shown(question), width=_HEADING_LETTERS * columns, lines=_HEADING_LINES)
    figure.suptitle(heading if results.hits else f"{heading}\nNothing found.", parse_math=False)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place in axes:
        place.set_axis_off()
    for rank, (place, hit) in enumerate(zip(axes, results.hits, strict=False), start=1):
        _draw(place, rank, hit, read)
    return figure


def _draw(place: Any, rank: int, hit: Hit, read: Read) -> None:
    place.set_title(_title(rank, hit), fontsize=8, parse_math=False)
    image = thumbnails.opened(hit.path, read=read)
    if image is None:
        place.text(0.5, 0.5, thumbnails.GONE, ha="center", transform=place.transAxes)
        return
    place.imshow(image)
    if hit.box is not None:
        _frame(place, hit.box, *image.size)


def _frame(place: Any, box: Box, width: int, height: int) -> None:
    from matplotlib.patches import Rectangle

    left, top, wide, high = box
    corner = (left * width - 0.5, top * height - 0.5)  # the first pixel's middle is at 0
    for colour, line in (("black", 3.5), ("white", 1.5)):
        place.add_patch(
            Rectangle(corner, wide * width, high * height, fill=False, edgecolor=colour, linewidth=line)
        )


def _title(rank: int, hit: Hit) -> str:
    relevance = "" if hit.relevance is None else f" ({hit.relevance:.0%})"
    lines = [
        f"{rank}. {hit.score:.3f}{relevance}",
        _wrapped(keys.shown(Path(hit.path).name), width=_LETTERS, lines=_NAME_LINES),
    ]
    if hit.caption:
        lines.append(_wrapped(shown(hit.caption), width=_LETTERS, lines=_CAPTION_LINES))
    return "\n".join(lines)


def _wrapped(text: str, *, width: int, lines: int) -> str:
    """Cut after so many lines; a long word is broken."""
    rows = textwrap.wrap(text.translate(_NOT_IN_XML), width) or [""]
    if len(rows) > lines:
        rows[lines - 1] = rows[lines - 1][: width - 1] + "…"
    return "\n".join(rows[:lines])
