"""The full text of names: what is said of them, what was read inside them, and the words of their paths.

The table follows `names` by triggers (schema.py); what is recognised later is brought in by `recognised.py`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picfind.storage.catalog import Catalog, Transaction
from picfind.types import Floats, Ids

_PATH_WEIGHT = 0.5
"""A word in a path counts half as much as one that somebody said."""
COLUMNS = ("text", "recognised", "path")
"""What the columns are called in an answer."""
_MARK = "\x02"
_SHOWN_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Ranked:
    """Names that have some of the words, in no order: name ids, content ids and BM25 (higher is better), all (n,)."""

    names: Ids
    contents: Ids
    scores: Floats


def count(catalog: Catalog) -> int:
    """How many names there are."""
    return int(catalog.one("SELECT count(*) FROM names")[0])


def having(catalog: Catalog, token: str, *, written: bool = False) -> Ids:
    """The names (n,) that have a word anywhere, ascending; with `written` not in their paths alone."""
    columns = "{words recognised} : " if written else ""
    rows = catalog.all("SELECT rowid FROM said WHERE said MATCH ?", (columns + quoted(token),))
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def ranked(
    catalog: Catalog, tokens: Sequence[str], *, must: Sequence[str] = (), without: Sequence[str] = ()
) -> Ranked:
    """The names that have any of the tokens, all phrases of `must` and no phrase of `without`."""
    rows = catalog.all(
        f"SELECT n.id, n.content_id, -bm25(said, 1.0, 1.0, {_PATH_WEIGHT}) FROM said "
        "JOIN names n ON n.id = said.rowid WHERE said MATCH ?",
        (_expression(tokens, must, without),),
    )
    table = np.array(rows, np.float64).reshape(len(rows), 3)
    return Ranked(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].astype(np.float32))


def matched(catalog: Catalog, name_id: int, tokens: Sequence[str]) -> dict[str, str]:
    """The stretch of each column that has one of the tokens, by the column's name."""
    snippets = ", ".join(
        f"snippet(said, {at}, char(2), char(2), '…', {_SHOWN_TOKENS})" for at in range(len(COLUMNS))
    )
    row = catalog.first(
        f"SELECT {snippets} FROM said WHERE said MATCH ? AND rowid = ?",
        (_expression(tokens, (), ()), name_id),
    )
    texts = row or ()
    return {
        column: text.replace(_MARK, "")
        for column, text in zip(COLUMNS, texts, strict=bool(texts))
        if text and _MARK in text
    }


def tidy(change: Transaction) -> None:
    """Write the index anew as one piece: until then, words of names that are gone can still be read in its pages."""
    change.run("INSERT INTO said (said) VALUES ('optimize')")


def quoted(phrase: str) -> str:
    """A phrase as FTS5 takes it: nothing in it is an operator.

    Keys stay as the file system has them, which may be decomposed: both forms are looked up where FTS5, which takes accents
    from Latin letters, does not make one of them.
    """
    text = phrase.encode("utf-8", "replace").decode()  # SQLite takes no lone surrogates
    whole, apart = (unicodedata.normalize(form, text.replace("\0", " ")) for form in ("NFC", "NFD"))
    both = (whole, apart) if any(map(_falls_apart, whole)) else (whole,)
    told = " OR ".join('"' + form.replace('"', '""') + '"' for form in both)
    return f"({told})" if len(both) > 1 else told


def _falls_apart(sign: str) -> bool:
    apart = unicodedata.normalize("NFD", sign)
    return apart != sign and not apart[0].isascii()


def _expression(tokens: Sequence[str], must: Sequence[str], without: Sequence[str]) -> str:
    wanted = " OR ".join(quoted(token) for token in tokens)
    expression = " AND ".join([f"({wanted})", *_phrases(must)])
    unwanted = _phrases(without)
    return f"({expression}) NOT ({' OR '.join(unwanted)})" if unwanted else expression


def _phrases(phrases: Sequence[str]) -> list[str]:
    """Those with a word in them: one of signs alone would fit nothing."""
    return [quoted(phrase) for phrase in phrases if any(sign.isalnum() for sign in phrase)]
