"""One hit as HTML: its picture, how good it is, and why it was found. Everything from outside is escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from picfind import keys
from picfind.cli import thumbnails
from picfind.search.asking import read_file
from picfind.search.fulltext import SAYS_NOTHING
from picfind.search.query import EVERYTHING
from picfind.storage.functions import folded
from picfind.types import Hit, Read

_WORD = re.compile(r"([^\W_]+)")
_ENDINGS = frozenset(("", "s", "es", "d", "ed", "ing", "er", "ers", "ly"))
_SIGNS = frozenset(("+", "-", "not"))
_MATCHED = {"text": "What is said", "recognised": "Text in the picture"}
"""What the texts that matched are called here; that of `words` is the caption, and the path is there anyway."""


def wanted_words(question: str) -> frozenset[str]:
    """The words of a question that are worth a mark: not those of paths, and not those that come after a minus."""
    wanted: set[str] = set()
    minus = False
    for piece in question.split():
        if piece in _SIGNS:
            minus = piece != "+"
        elif not minus and "/" not in piece and not piece.startswith(("@", "sha256:")):
            wanted.update(folded(word) for word in _WORD.findall(piece))
    return frozenset(word for word in wanted - SAYS_NOTHING - _SIGNS if not word.isdigit() or len(word) > 1)


def card(rank: int, hit: Hit, wanted: frozenset[str], *, read: Read = read_file) -> str:
    """A hit as an element of a list. `wanted` are the words to mark in its texts."""
    name = shown(Path(hit.path).name)
    alt = shown(hit.caption) if hit.caption else name
    parts = (
        f"<h3>{rank}. {escape(name)}</h3>",
        thumbnails.html(hit.path, alt, box=hit.box, read=read),
        _figures(hit),
        _texts(hit, wanted),
        _facts(hit.metadata),
        _why(hit),
        _places(hit, wanted),
    )
    return "<li>" + "\n".join(part for part in parts if part) + "</li>"


def shown(text: str) -> str:
    """A text on one line, without signs that steer."""
    return keys.shown(" ".join(text.split()))


def marked(text: str, wanted: frozenset[str]) -> str:
    """A text as HTML, on one line, the wanted words in it marked, with their common English endings."""
    return _marked(shown(text), wanted)


def _marked(text: str, wanted: frozenset[str]) -> str:
    pieces = _WORD.split(text)
    return "".join(
        f"<mark>{escape(piece)}</mark>" if at % 2 and _is_wanted(folded(piece), wanted) else escape(piece)
        for at, piece in enumerate(pieces)
    )


def _is_wanted(word: str, wanted: frozenset[str]) -> bool:
    return word in wanted or any(_differ_by_ending(word, other) for other in wanted)


def _differ_by_ending(first: str, second: str) -> bool:
    short, long = sorted((first, second), key=len)
    return len(short) > 2 and long.startswith(short) and long[len(short) :] in _ENDINGS


def _figures(hit: Hit) -> str:
    told = [f"score {hit.score:.3f}"]
    if hit.relevance is not None:
        told.append(f"relevance {hit.relevance:.0%}")
    if hit.alike:
        told.append(f"+{hit.alike} alike")
    return f'<p class="figures">{" · ".join(told)}</p>'


def _texts(hit: Hit, wanted: frozenset[str]) -> str:
    """The caption, and what else matched by its words."""
    told = [f'<p class="caption">{marked(hit.caption, wanted)}</p>'] if hit.caption else []
    for what, label in _MATCHED.items():
        text = hit.matched.get(what)
        if text and text != hit.caption:
            told.append(f'<p class="matched">{label}: {marked(text, wanted)}</p>')
    return "\n".join(told)


def _facts(metadata: Mapping[str, object]) -> str:
    camera = [str(metadata[name]) for name in ("camera_make", "camera_model") if metadata.get(name)]
    if len(camera) == 2 and camera[1].lower().startswith(camera[0].lower()):
        camera = camera[1:]
    taken = str(metadata.get("taken") or "").replace("T", " ")
    told = [escape(shown(text)) for text in (taken, " ".join(camera)) if text]
    return f'<p class="facts">{" · ".join(told)}</p>' if told else ""


def _why(hit: Hit) -> str:
    """What each thing asked for gave, as bars with their figures; what each ranking gave; where in the picture."""
    lengths = _lengths(hit)
    rows = [
        f'<li><span class="bar{" less" if share < 0 else ""}" style="width:{lengths[label]:.1%}"></span>'
        f"{escape(shown(label))} <b>{share:+.3f}</b></li>"
        for label, share in hit.why.items()
    ]
    whole = sum(hit.shares.values())
    if len(hit.shares) > 1 and whole > 0:
        shares = ", ".join(f"{escape(shown(part))} {share / whole:.0%}" for part, share in hit.shares.items())
        rows.append(f"<li>of the rank: {shares}</li>")
    if hit.box is not None:
        left, top, wide, high = (f"{share:.0%}" for share in hit.box)
        rows.append(f"<li>in the box {left} from the left, {top} from the top, {wide} by {high}</li>")
    return f'<ul class="why" aria-label="Why it was found">{"".join(rows)}</ul>' if rows else ""


def _lengths(hit: Hit) -> dict[str, float]:
    """How long the bars are, the longest 1: by what a ranking gave, and by the part of each thing asked for in it.

    Figures of several rankings cannot be compared as they are: some are cosines, some are BM25.
    """
    sums: dict[str, float] = {}
    for label, share in hit.why.items():
        sums[_ranking(label)] = sums.get(_ranking(label), 0.0) + abs(share)
    lengths = {}
    for label, share in hit.why.items():
        ranking = _ranking(label)
        given = hit.shares.get(ranking, 0.0) if hit.shares and ranking else 1.0
        lengths[label] = given * abs(share) / (sums[ranking] or 1.0)
    most = max(lengths.values(), default=0.0) or 1.0
    return {label: length / most for label, length in lengths.items()}


def _ranking(label: str) -> str:
    """What a reason is of, as its label says: `pictures: a dog`; empty where it does not."""
    ranking = label.partition(":")[0]
    return ranking if ranking in EVERYTHING else ""


def _places(hit: Hit, wanted: frozenset[str]) -> str:
    links = [
        f'<a href="{escape(thumbnails.address(key), quote=True)}">{_marked(keys.shown(key), wanted)}</a>'
        for key in hit.keys
    ]
    if len(links) == 1:
        return f'<p class="place">{links[0]}</p>'
    rows = "".join(f"<li>{link}</li>" for link in links)
    return f'<details class="place"><summary>{len(links)} places</summary><ul>{rows}</ul></details>'
