"""Groups of duplicates for a person and for programs: text, JSON, a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from picfind import keys
from picfind.cli import pages, thumbnails
from picfind.cli.options import counted, sized
from picfind.duplicates import EXACT, PERCEPTUAL, SEMANTIC, VARIANTS, Duplicates, Group, Member

_HEADINGS = {
    EXACT: "the same bytes",
    PERCEPTUAL: "the same picture",
    VARIANTS: "files of one shot",
    SEMANTIC: "much the same, but other pictures",
}


def text(found: Duplicates) -> str:
    """Each group with a mark before every file: `keep`, `copy` (suggested for removal), or `stay`, and why."""
    blocks = []
    for number, group in enumerate(found, start=1):
        lines = [f"{number}. {_HEADINGS[group.kind]}"]
        lines += [
            f"  {mark}  {keys.shown(one.path)}  {facts(one)}{_words(one)}" for mark, one in marked(group)
        ]
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def marked(group: Group) -> list[tuple[str, Member]]:
    """The members of a group, each with its mark."""
    surplus = {one.path for one in group.surplus}
    others = [("copy" if one.path in surplus else "stay", one) for one in group.members[1:]]
    return [("keep", group.keeper), *others]


def facts(one: Member) -> str:
    """Size in pixels, format, size in bytes."""
    return f"{one.width} x {one.height}, {one.format or 'unknown'}, {sized(one.bytes)}"


def _words(one: Member) -> str:
    if one.how == "kept":
        return ""
    return f": {one.how}, {one.score:.2f}{f'; {one.stays}' if one.stays else ''}"


def summary(found: Duplicates) -> str:
    """One line: how much there is and how much could go."""
    surplus = [one for group in found for one in group.surplus]
    return (
        f"{counted(len(found), 'group')} among {counted(found.pictures, 'picture')}; "
        f"{counted(len(surplus), 'copy').replace('copys', 'copies')} that could go, "
        f"{sized(sum(one.bytes for one in surplus))}."
    )


def document(found: Duplicates) -> str:
    """One JSON document: the groups, how many pictures were looked through, the warnings."""
    told = {
        "pictures": found.pictures,
        "groups": [_record(group) for group in found],
        "warnings": list(found.warnings),
    }
    return json.dumps(told, ensure_ascii=False, indent=2)


def _record(group: Group) -> dict[str, Any]:
    files = [{"mark": mark, **asdict(one), "score": round(one.score, 4)} for mark, one in marked(group)]
    return {"kind": group.kind, "files": files}


def write_page(path: Path, found: Sequence[Group]) -> None:
    """Write the groups as a page with thumbnails. Raises UsageError when the file cannot be written."""
    body = "\n".join(_section(number, group) for number, group in enumerate(found, start=1))
    pages.save(path, pages.document(body or "<p>Nothing found.</p>", title="duplicates"))


def _section(number: int, group: Group) -> str:
    cards = "\n".join(_card(mark, one) for mark, one in marked(group))
    return f"<section>\n<h2>{number}. {_HEADINGS[group.kind]}</h2>\n<ol>\n{cards}\n</ol>\n</section>"


def _card(mark: str, one: Member) -> str:
    name = keys.shown(Path(one.path).name)
    where = escape(keys.shown(one.path))
    return (
        f"<li><h3><strong>{mark}</strong> {escape(name)}</h3>{thumbnails.html(one.path, name)}"
        f'<p class="figures">{escape(f"{facts(one)}{_words(one)}")}</p><p class="place">{where}</p></li>'
    )
