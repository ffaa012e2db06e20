"""The text that was read inside pictures: its lines, and their share in the full text of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from picfind.storage.catalog import Catalog, Transaction
from picfind.storage.parts import box_of, box_text
from picfind.types import RecognisedLine


def record(change: Transaction, content_id: int, lines: Iterable[RecognisedLine]) -> None:
    """Write down what was read inside a content, in place of what was there; none: nothing can be read in it.

    The full text of every name of the content has it in the same transaction. Names that come later get it from the
    catalog's own triggers.
    """
    change.run("DELETE FROM recognised WHERE content_id = ?", (content_id,))
    change.run_many(
        "INSERT INTO recognised (content_id, line, text, box, confidence) VALUES (?, ?, ?, ?, ?)",
        [
            (content_id, number, line.text, box_text(line.box), line.confidence)
            for number, line in enumerate(lines)
        ],
    )
    bring_up_to_date(change, content_id)


def bring_up_to_date(change: Transaction, content_id: int) -> None:
    """Let the full text of every name of a content have what was read inside it."""
    change.run(
        "UPDATE said SET recognised = "
        "(SELECT group_concat(text, char(10)) FROM recognised WHERE content_id = ?) "
        "WHERE rowid IN (SELECT id FROM names WHERE content_id = ?)",
        (content_id, content_id),
    )


def lines_of(catalog: Catalog, content_ids: Sequence[int]) -> dict[int, list[RecognisedLine]]:
    """The lines of each of some contents, in reading order; a content without any is left out."""
    found: dict[int, list[RecognisedLine]] = {}
    rows = catalog.all_of(
        "SELECT content_id, text, box, confidence FROM recognised WHERE content_id IN (?) ORDER BY content_id, line",
        content_ids,
    )
    for content_id, text, box, confidence in rows:
        found.setdefault(content_id, []).append(RecognisedLine(text, box_of(box), confidence))
    return found


def count(catalog: Catalog) -> int:
    """How many pictures that have a name have text inside that was read."""
    return int(
        catalog.one(
            "SELECT count(*) FROM (SELECT DISTINCT content_id FROM recognised) r "
            "WHERE EXISTS (SELECT 1 FROM names n WHERE n.content_id = r.content_id)"
        )[0]
    )
