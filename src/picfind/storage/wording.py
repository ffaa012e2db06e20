"""The words of pictures: whose they are, and the one text that all words of a name make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from picfind.storage.catalog import Catalog, Transaction
from picfind.types import CAPTION, FILE_NAME, FOLDER, HINTS, TABLE, TAG, TITLE, Words


def words_hash(words: Sequence[Words]) -> str:
    """Tells whether words have changed; empty for none."""
    if not words:
        return ""
    text = json.dumps([[entry.text, entry.origin, entry.kind] for entry in words])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def together(words: Iterable[Words]) -> str | None:
    """All words as one text, which `texts_of` takes apart again: captions and titles a line each, tags in one line.

    What the names of files and folders hint at counts only where nobody has written anything. None without words.
    """
    every = list(words)
    told = [entry for entry in every if entry.origin not in HINTS] or every
    lines = [_line(entry.text) for kind in (CAPTION, TITLE) for entry in told if entry.kind == kind]
    tags = [_line(entry.text) for entry in told if entry.kind == TAG]
    lines.append(", ".join(dict.fromkeys(tags)))
    return "\n".join(dict.fromkeys(line for line in lines if line)) or None


def texts_of(text: str | None) -> tuple[str, ...]:
    """The texts that `together` made one of."""
    return tuple(text.split("\n")) if text else ()


def _line(text: str) -> str:
    return " ".join(text.split())


def text_id(change: Transaction, text: str) -> int:
    """The id of a text, which is added where it is new."""
    digest = hashlib.sha256(text.encode()).digest()
    change.run("INSERT OR IGNORE INTO texts (sha256, text) VALUES (?, ?)", (digest, text))
    return int(change.one("SELECT id FROM texts WHERE sha256 = ?", (digest,))[0])


def record_name_words(
    change: Transaction, name_id: int, words: Iterable[Words], table: Iterable[Words] | None
) -> None:
    """Write down what is said of a name; what a table said of it stays unless one is given now."""
    change.run(
        "DELETE FROM words WHERE name_id = ? AND (? OR origin <> ?)", (name_id, table is not None, TABLE)
    )
    for entry in (*words, *(table or ())):
        change.run(
            "INSERT INTO words (text_id, name_id, origin, kind) VALUES (?, ?, ?, ?)",
            (text_id(change, entry.text), name_id, entry.origin, entry.kind),
        )


def record_content_words(change: Transaction, content_id: int, words: Iterable[Words]) -> None:
    """Write down what the inside of a file says; every name of these bytes then says it too."""
    change.run("DELETE FROM words WHERE content_id = ?", (content_id,))
    for entry in words:
        change.run(
            "INSERT INTO words (text_id, content_id, origin, kind) VALUES (?, ?, ?, ?)",
            (text_id(change, entry.text), content_id, entry.origin, entry.kind),
        )
    for (name_id,) in change.run("SELECT id FROM names WHERE content_id = ?", (content_id,)).fetchall():
        record_together(change, name_id)


def record_together(change: Transaction, name_id: int) -> None:
    """Bring the one text of a name up to date with its words and those of its content."""
    rows = change.run(
        "SELECT t.text, w.origin, w.kind FROM words w JOIN texts t ON t.id = w.text_id WHERE w.name_id = ? "
        "OR w.content_id = (SELECT content_id FROM names WHERE id = ?) ORDER BY w.name_id IS NULL, w.id",
        (name_id, name_id),
    ).fetchall()
    text = together(Words(*row) for row in rows)
    number = None if text is None else text_id(change, text)
    change.run("UPDATE names SET text_id = ? WHERE id = ? AND text_id IS NOT ?", (number, name_id, number))


def words_of(catalog: Catalog, content_id: int) -> list[Words]:
    """What is said of a content by its names and by its inside, each text once; what is written comes first."""
    rows = catalog.all(
        "SELECT t.text, w.origin, w.kind FROM words w JOIN texts t ON t.id = w.text_id "
        "WHERE w.content_id = ? OR w.name_id IN (SELECT id FROM names WHERE content_id = ?) "
        "ORDER BY w.origin IN (?, ?), w.name_id IS NULL, w.id",
        (content_id, content_id, FILE_NAME, FOLDER),
    )
    first: dict[tuple[str, str], Words] = {}
    for row in rows:
        first.setdefault((row[0], row[2]), Words(*row))
    return list(first.values())
