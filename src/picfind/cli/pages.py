"""Hits as one HTML page: thumbnails inside it, nothing loaded from anywhere, the same bytes for the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from picfind.cli import cards
from picfind.errors import UsageError
from picfind.search.asking import read_file
from picfind.types import Read, Results

Section = tuple[str, Results]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Should a sign ever slip through: a browser then runs nothing and fetches nothing."""
_STYLE = """
:root { color-scheme: light dark; --edge: color-mix(in srgb, currentColor 18%, transparent); --tint: color-mix(in srgb, currentColor 7%, transparent); }
* { box-sizing: border-box; }
body { font: 1rem/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; overflow-wrap: anywhere; }
section > p { margin: .2rem 0 .8rem; }
.note { border-inline-start: .25rem solid #c77700; padding-inline-start: .6rem; }
section > ol { align-items: start; display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); list-style: none; margin: 0; padding: 0; }
section > ol > li { border: 1px solid var(--edge); border-radius: .5rem; display: flex; flex-direction: column; gap: .3rem; overflow: hidden; padding: 0 .7rem .7rem; }
h3 { font-size: 1rem; margin: .3rem 0 0; overflow-wrap: anywhere; }
.picture, .lost { background: var(--tint); display: grid; min-height: 8rem; margin: 0 -.7rem; order: -1; place-items: center; }
.frame { display: block; position: relative; }
.frame img { display: block; height: 100%; width: 100%; }
.box { border: 2px solid #fff; box-shadow: 0 0 0 1px #000, inset 0 0 0 1px #000; position: absolute; }
a:focus-visible, summary:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
.picture:focus-visible { outline-offset: -3px; }
li p { margin: 0; overflow-wrap: anywhere; }
.figures { font-variant-numeric: tabular-nums; }
.figures, .facts, .matched, .place, .why { font-size: .85rem; }
mark { background: #ffe08a; color: #000; border-radius: .15rem; padding: 0 .1rem; }
.why { list-style: none; margin: 0; padding: 0; overflow-wrap: anywhere; }
.why b { font-variant-numeric: tabular-nums; font-weight: 600; }
.bar { background: #2f7d5b; border-radius: .1rem; display: block; height: .25rem; margin: .25rem 0 .1rem; }
.bar.less { background: #b3443c; }
.place ul { margin: .2rem 0 0; padding-inline-start: 1.1rem; }
.place { overflow-wrap: anywhere; }
"""


def write(path: Path, sections: Sequence[Section], *, read: Read = read_file) -> None:
    """Write a page with one section for each question; `read` gives pictures by their places.

    Raises UsageError when the file cannot be written.
    """
    save(path, render(sections, read=read))


def save(path: Path, page: str) -> None:
    """Write a page. Raises UsageError when the file cannot be written."""
    try:
        path.expanduser().write_bytes(page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"The page {path} cannot be written: {error.strerror}.") from error


def render(sections: Sequence[Section], *, read: Read = read_file) -> str:
    """The page; everything that comes from outside is escaped."""
    title = sections[0][0] if len(sections) == 1 else ""
    body = "\n".join(_section(question, results, read) for question, results in sections)
    return document(body, title=title)


def document(body: str, *, title: str = "") -> str:
    """A whole page around a body of HTML. `title` is plain text."""
    named = escape(f"{cards.shown(title)} - picfind" if title else "picfind")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{named}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>picfind</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(question: str, results: Results, read: Read) -> str:
    parts = [f"<h2>{escape(cards.shown(question))}</h2>", *map(_note, results.warnings)]
    if results.hits:
        wanted = cards.wanted_words(question)
        parts.append(f"<p>{_summary(results)}</p>")
        every = (cards.card(rank, hit, wanted, read=read) for rank, hit in enumerate(results.hits, start=1))
        parts += ["<ol>", *every, "</ol>"]
    else:
        parts.append("<p>Nothing found.</p>")
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _note(warning: str) -> str:
    return f'<p class="note">{escape(cards.shown(warning))}</p>'


def _summary(results: Results) -> str:
    count = len(results.hits)
    return f"{count:,} {'hit' if count == 1 else 'hits'} among {results.total:,} pictures."
