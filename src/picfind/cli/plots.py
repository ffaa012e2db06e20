"""Hits as a figure: a grid of pictures with their ranks and scores."""

from __future__ import annotations

from pathlib import Path

from picfind import keys
from picfind.errors import MissingExtraError, PicfindError, UsageError
from picfind.images import open_picture
from picfind.types import Results

_COLUMNS = 5


def write(path: Path, results: Results, question: str) -> None:
    """Write a figure in the format of the file's ending (png, svg, pdf).

    Raises MissingExtraError without matplotlib, UsageError when the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("--plot needs matplotlib: pip install 'picfind[plot]'.") from error
    rows = max(1, -(-len(results.hits) // _COLUMNS))
    figure = Figure(figsize=(3 * _COLUMNS, 3.2 * rows), layout="constrained")
    figure.suptitle(question)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for place in axes:
        place.set_axis_off()
    for rank, (place, hit) in enumerate(zip(axes, results.hits, strict=False), start=1):
        place.set_title(f"{rank}. {hit.score:.3f}\n{keys.shown(Path(hit.path).name)}", fontsize=8)
        try:
            place.imshow(open_picture(Path(keys.unescape(hit.path)), at_least=256).image)
        except PicfindError:
            place.text(0.5, 0.5, "not there now", ha="center")
    try:
        figure.savefig(path.expanduser())
    except (OSError, ValueError) as error:
        raise UsageError(f"The figure {path} cannot be written: {error}.") from error
