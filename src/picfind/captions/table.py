"""A table of what is said of pictures: which of its rows belongs to which picture, and what they say.

A row's picture and a key are the same when one of the two paths is the end of the other, on the boundaries of folders:
`images/a.jpg` in the table is the picture `a.jpg`, and `a.jpg` in the table is the picture `images/a.jpg`. The longest
agreement wins. Where two pictures of the table end like a key (`x/a.jpg` and `y/a.jpg`, and the key is `a.jpg`) neither
is meant, and where the folders differ (`x/a.jpg` and `y/a.jpg`) it is another picture: cameras begin their numbers
again, and a wrong caption is worse than none. Names are compared in NFC, and without regard to case only where that finds
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from picfind import keys
from picfind.errors import UsageError
from picfind.images import distinct
from picfind.tables import PICTURE_COLUMNS, Row, plain_name, read_rows, texts_of
from picfind.types import CAPTION, TAG, TITLE, Words

_PICTURE = (*PICTURE_COLUMNS, "url", "imageurl", "key", "name")
"""Columns that name the picture; the first of these that a row has does."""
_KINDS = {
    **dict.fromkeys(
        ("caption", "captions", "text", "texts", "description", "descriptions", "sentence"), CAPTION
    ),
    **dict.fromkeys(("sentences", "alt", "alttext", "comment", "comments", "raw"), CAPTION),
    **dict.fromkeys(("title", "titles", "name", "headline"), TITLE),
    **dict.fromkeys(("tag", "tags", "keyword", "keywords", "label", "labels", "category", "categories"), TAG),
}
"""What columns hold; names are compared in lower case, without what stands between their words."""
_MOST_NAMED = 20


class CaptionTable:
    """What a table says of pictures, found by their keys."""

    def __init__(self, said: Mapping[str, Iterable[Words]]) -> None:
        """Words by the path of their picture, as a table has it: with `/` or `\\`, whole or in part."""
        by_path: dict[str, list[Words]] = {}
        for picture, words in said.items():
            by_path.setdefault(_path(picture), []).extend(words)
        self._words = {path: distinct(words) for path, words in by_path.items()}
        self._exactly, self._loosely = _Paths(self._words), _Paths(self._words, fold=True)

    @classmethod
    def read(cls, path: Path) -> CaptionTable:
        """The table in a file of any kind that `picfind.tables` reads.

        Raises MissingSourceError, and UsageError for what is no table, for one without rows, and for one without a
        column that names the pictures or one that says something of them.
        """
        said: dict[str, list[Words]] = {}
        columns: dict[str, None] = {}
        named = told = False
        for row in read_rows(path):
            columns.update(dict.fromkeys(row))
            picture, words = _read(row)
            named, told = named or bool(picture), told or bool(words)
            if picture and words:
                said.setdefault(picture, []).extend(words)
        if not said:
            raise UsageError(_useless(path, list(columns), named=named, told=told))
        return cls(said)

    def __len__(self) -> int:
        """The number of pictures that it says something of."""
        return len(self._words)

    def words_for(self, key: str) -> tuple[Words, ...]:
        """What it says of the picture with this key (the path below its root), in the order of its rows; else ()."""
        found = self._find(key)
        return () if found is None else self._words[found]

    def unmatched(self, found: Iterable[str]) -> list[str]:
        """The table's pictures, in its order, that none of these keys is: all of them when it was made for others."""
        matched = {self._find(key) for key in found}
        return [path for path in self._words if path not in matched]

    def _find(self, key: str) -> str | None:
        path = keys.folded(key)
        exact = self._exactly.find(path)
        return (self._loosely.find(path.casefold()) if exact is None else exact) or None


class _Paths:
    """The paths of a table, found by a whole path or by an end of one."""

    def __init__(self, paths: Iterable[str], *, fold: bool = False) -> None:
        self._paths: dict[str, str] = {}
        for path in paths:
            _claim(self._paths, path.casefold() if fold else path, path)
        self._ends: dict[int, dict[str, str]] = {}
        """By the number of parts: the ends of so many parts that longer paths have. Made when first wanted."""

    def find(self, path: str) -> str | None:
        """The table's own form of the path that this one means; "" where it may mean several; None for none."""
        if path in self._paths:
            return self._paths[path]
        parts = path.split("/")
        longer = self._ends_of(len(parts)).get(path)
        if longer is not None:
            return longer
        shorter = ("/".join(parts[start:]) for start in range(1, len(parts)))
        return next((self._paths[end] for end in shorter if end in self._paths), None)

    def _ends_of(self, count: int) -> dict[str, str]:
        if count not in self._ends:
            ends: dict[str, str] = {}
            for path, own in self._paths.items():
                parts = path.rsplit("/", count)
                if len(parts) > count:
                    _claim(ends, "/".join(parts[1:]), own)
            self._ends[count] = ends
        return self._ends[count]


def _claim(paths: dict[str, str], path: str, own: str) -> None:
    """Enter a path; one that two different pictures claim means neither."""
    paths[path] = own if paths.get(path, own) == own else ""


def _path(picture: str) -> str:
    """The path of a picture as keys have it: `/` between its parts, NFC, nothing that stands for no folder."""
    parts = keys.folded(picture.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _read(row: Row) -> tuple[str, list[Words]]:
    """The picture of a row and what the row says of it."""
    columns = {plain_name(name): cell for name, cell in row.items()}
    picture = next((name for name in _PICTURE if isinstance(columns.get(name), str)), "")
    words = [
        Words(text, "table", kind)
        for name, cell in columns.items()
        if name != picture and (kind := _KINDS.get(name)) is not None
        for text in texts_of(cell, tags=kind == TAG)
    ]
    return _path(str(columns.get(picture, ""))), words


def _useless(path: Path, columns: list[str], *, named: bool, told: bool) -> str:
    name = keys.shown(keys.escape(str(path)))
    if not columns:
        return f"The table {name} holds no row below a line with the names of its columns."
    there = ", ".join(map(keys.shown, columns[:_MOST_NAMED])) + (", ..." if columns[_MOST_NAMED:] else "")
    if not named:
        return (
            f"No column of {name} names the pictures; there are: {there}. Call that column `image` or `file`."
        )
    if not told:
        return f"No column of {name} says something of the pictures; there are: {there}. Call one `caption`, `title` or `tags`."
    return f"No row of {name} has both a picture and something that is said of it."
