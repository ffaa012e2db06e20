"""Hits as one HTML page: thumbnails inside it, nothing loaded from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from picfind import keys
from picfind.errors import PicfindError, UsageError
from picfind.images import open_picture, thumbnail_jpeg
from picfind.types import Hit, Results

Section = tuple[str, Results]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
ol { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); list-style: none; margin: 0; padding: 0; }
figure { margin: 0; }
figure a, .lost { background: color-mix(in srgb, currentColor 7%, transparent); border-radius: .4rem; display: grid; height: 11rem; overflow: hidden; place-items: center; }
img { max-height: 11rem; max-width: 100%; }
figcaption { font-size: .8rem; margin-top: .3rem; overflow-wrap: anywhere; }
.score { font-variant-numeric: tabular-nums; opacity: .7; }
"""


def write(path: Path, sections: Sequence[Section]) -> None:
    """Write a page with one section for each question. Raises UsageError when the file cannot be written."""
    try:
        path.expanduser().write_text(render(sections), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The page {path} cannot be written: {error.strerror}.") from error


def render(sections: Sequence[Section]) -> str:
    """The page; everything that comes from outside is escaped."""
    return document("\n".join(_section(question, results) for question, results in sections))


def document(body: str) -> str:
    """A whole page around a body of HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>picfind</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>picfind</h1>\n{body}\n</body>\n</html>\n"
    )


def _section(question: str, results: Results) -> str:
    if not results.hits:
        return f"<section>\n<h2>{escape(question)}</h2>\n<p>Nothing found.</p>\n</section>"
    cards = "\n".join(_card(rank, hit) for rank, hit in enumerate(results.hits, start=1))
    return f"<section>\n<h2>{escape(question)}</h2>\n<ol>\n{cards}\n</ol>\n</section>"


def _card(rank: int, hit: Hit) -> str:
    name = escape(keys.shown(Path(hit.path).name))
    why = escape("; ".join(f"{term} {share:+.3f}" for term, share in hit.why.items()), quote=True)
    caption = (
        f'<figcaption title="{why}">{rank}. {name} <span class="score">{hit.score:.3f}</span></figcaption>'
    )
    return f"<li><figure>{picture(hit.path, name)}{caption}</figure></li>"


def picture(path: str, name: str) -> str:
    """A thumbnail inside the page that links to the picture's file; `path` is escaped as in a `Hit`, `name` as in HTML."""
    try:
        opened = open_picture(Path(keys.unescape(path)), at_least=256)
    except PicfindError:
        return '<div class="lost">not there now</div>'
    data = base64.b64encode(thumbnail_jpeg(opened.image)).decode("ascii")
    address = "file://" + quote(keys.raw(path))
    return (
        f'<a href="{escape(address, quote=True)}"><img alt="{name}" src="data:image/jpeg;base64,{data}"></a>'
    )
