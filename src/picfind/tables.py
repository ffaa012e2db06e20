"""Tables to rows: CSV and its kin, JSON Lines, JSON arrays, and the JSON of COCO's captions.

A row maps the names of columns to text, or to a list of texts. Cells that are empty are left out. What is read:

    .csv .tsv .tab .txt .token   a first line of names; the delimiter (comma, tab, semicolon, bar) is found in it
                                 Flickr8k's token files: `name.jpg#0`, a tab, a caption; no first line of names
    .jsonl .ndjson               an object a line
    .json                        a list of objects; COCO (`images` and `annotations`); Karpathy's splits (`images`
                                 with `sentences`); an object of pictures (`{"a.jpg": "a dog", "b.jpg": ["one", "two"]}`)
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeAlias

from picfind import keys
from picfind.errors import MissingSourceError, UsageError

Row: TypeAlias = Mapping[str, str | list[str]]

PICTURE_COLUMNS = (
    *("image", "imagefile", "imagefilename", "imagename", "imagepath", "imagefilepath", "img", "imgname"),
    *("imgpath", "file", "filename", "filepath", "path", "picture", "photo", "src"),
)
"""What columns are called that name a picture, the likeliest first, as `plain_name` writes them."""
_LONGEST_LINE = 1 << 24
_MOST_JSON = 1 << 29
"""Bytes of a `.json` file, which has to be read as a whole: some five times COCO's largest."""
_DELIMITERS = ",\t;|"
_LOOSE_BARS = re.compile(r"\| ")
"""Flickr30k's results.csv was never written by a CSV program: a quotation mark in it is part of a caption."""
_TOKEN_LINE = re.compile(r"([^\t]+)#\d+\t(.+)")
_NO_UTF8 = re.compile("[\ud800-\udfff]")


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, one after the other; only a `.json` file is read as a whole.

    Raises MissingSourceError where there is no such file, and UsageError, with the file's name and where possible the
    line, for what cannot be read as such a table.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise UsageError(
            f"{_name(path)} has no ending of a table ({known}). Convert it to CSV or JSON Lines."
        )
    try:
        yield from reader(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingSourceError(f"There is no table {_name(path)}. Check the path.") from error
    except OSError as error:
        raise UsageError(f"{_name(path)} cannot be read: {error.strerror or error}.") from error


@lru_cache(1024)
def plain_name(name: str) -> str:
    """The name of a column in lower case, without what stands between its words: `File_Name` is `filename`."""
    return "".join(filter(str.isalnum, name.casefold()))


def texts_of(cell: str | list[str], *, tags: bool = False) -> Iterator[str]:
    """The texts of a cell, without blanks around them: one, those of a list, also of a JSON list as some CSV tables have
    in their cells; of tags those between semicolons or else commas.
    """
    texts = cell if isinstance(cell, list) else _json_texts(cell)
    if len(texts) == 1 and tags:
        texts = texts[0].split(";" if ";" in texts[0] else ",")
    return (text.strip() for text in texts if text.strip())


def _json_texts(cell: str) -> list[str]:
    if cell.startswith('["') and cell.endswith('"]'):
        try:
            return [text for text in json.loads(cell) if isinstance(text, str)]
        except (ValueError, RecursionError):
            pass
    return [cell]


def _delimited(path: Path) -> Iterator[Row]:
    with _opened(path) as file:
        lines = _Lines(file, path)
        first = next(lines, "")
        if _TOKEN_LINE.fullmatch(first.rstrip("\r\n")):
            yield from _tokens(first, lines)
        else:
            yield from _cells(first, lines)


def _tokens(first: str, lines: _Lines) -> Iterator[Row]:
    for line in _with(first, lines):
        match = _TOKEN_LINE.fullmatch(line.rstrip("\r\n"))
        if match is not None:
            yield {"image": match[1], "caption": match[2]}
        elif line.strip():
            raise lines.error("has no `name.jpg#0`, a tab and a caption, as the lines before it have")


def _cells(first: str, lines: _Lines) -> Iterator[Row]:
    delimiter = max(_DELIMITERS, key=first.count)
    dialect = _Loose if delimiter == "|" and _LOOSE_BARS.search(first) else csv.excel
    reader = csv.reader(_with(first, lines), dialect, delimiter=delimiter, skipinitialspace=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        for cells in reader:
            yield {
                name: cell
                for name, cell in zip(names, _fitted(cells, len(names), delimiter), strict=False)
                if cell
            }
    except csv.Error as error:
        raise lines.error(
            f"cannot be read ({error}); look for a quotation mark that is not closed"
        ) from error


def _fitted(cells: list[str], count: int, delimiter: str) -> Iterator[str]:
    """As many cells as there are names: a caption with commas that nobody quoted, in the last column, is one."""
    if 0 < count < len(cells):
        cells = [*cells[: count - 1], f"{delimiter} ".join(cells[count - 1 :])]
    return (cell.strip() for cell in cells)


def _json_lines(path: Path) -> Iterator[Row]:
    with _opened(path) as file:
        yield from _objects(_Lines(file, path))


def _objects(lines: _Lines) -> Iterator[Row]:
    for line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise lines.error(f"is no JSON ({error})") from error
        if not isinstance(value, dict):
            raise lines.error("is no JSON object, {...}, with names of columns")
        yield _row(value)


def _json(path: Path) -> Iterator[Row]:
    if path.stat().st_size > _MOST_JSON:
        raise UsageError(f"{_name(path)} is larger than {_MOST_JSON:,} bytes. Convert it to JSON Lines.")
    with _opened(path) as file:
        try:
            value = json.load(file)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise UsageError(f"{_name(path)}, line {error.lineno} is no JSON ({error.msg}).") from error
            value = None  # JSON Lines under another name
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{_name(path)} is no JSON in UTF-8 ({error}).") from error
    yield from _json_lines(path) if value is None else _rows_of(value, path)


def _rows_of(value: Any, path: Path) -> Iterator[Row]:
    if isinstance(value, list):
        yield from _listed(value, path)
    elif isinstance(value, dict) and isinstance(value.get("images"), list):
        annotations = value.get("annotations")
        yield from (
            _coco(value["images"], annotations)
            if isinstance(annotations, list)
            else _karpathy(value["images"])
        )
    elif isinstance(value, dict):
        for name, said in value.items():
            yield _row({"image": name, **(said if isinstance(said, dict) else {"caption": said})})
    else:
        raise UsageError(
            f"{_name(path)} holds neither a list nor an object. See the documentation for what can be read."
        )


def _listed(values: list[Any], path: Path) -> Iterator[Row]:
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise UsageError(f"{_name(path)}: entry {number} is no object, {{...}}, with names of columns.")
        yield _row(value)


def _coco(images: list[Any], annotations: list[Any]) -> Iterator[Row]:
    """A row an image, with all of its captions."""
    captions: dict[Any, list[Any]] = {}
    for annotation in _dicts(annotations):
        captions.setdefault(_text(annotation.get("image_id")), []).append(annotation.get("caption"))
    for image in _dicts(images):
        yield _row(
            {"file_name": image.get("file_name"), "captions": captions.get(_text(image.get("id")), [])}
        )


def _karpathy(images: list[Any]) -> Iterator[Row]:
    for image in _dicts(images):
        place = "/".join(filter(None, (_text(image.get("filepath")), _text(image.get("filename")))))
        sentences = image.get("sentences")
        said = [sentence.get("raw") for sentence in _dicts(sentences if isinstance(sentences, list) else [])]
        yield _row({**image, "file_name": place or image.get("file_name"), "sentences": said})


def _dicts(values: Iterable[Any]) -> Iterator[dict[Any, Any]]:
    return (value for value in values if isinstance(value, dict))


def _row(values: Mapping[Any, Any]) -> Row:
    cells = ((str(name).strip(), _cell(value)) for name, value in values.items())
    return {name: cell for name, cell in cells if cell}


def _cell(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return list(filter(None, map(_text, value)))
    return _text(value)


def _text(value: Any) -> str:
    """Text, numbers and truth as text; "" for what has no text: null, objects."""
    if isinstance(value, str):
        return _NO_UTF8.sub("\ufffd", value).strip()
    return str(value) if isinstance(value, int | float) else ""


class _Loose(csv.excel):
    """Without quotation marks of its own."""

    quoting = csv.QUOTE_NONE


class _Lines(Iterator[str]):
    """The lines of a file, with the number of the last one; raises UsageError for what is no text or too long."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file, self._path, self._number = file, path, 0

    def __next__(self) -> str:
        self._number += 1
        try:
            line = self._file.readline(_LONGEST_LINE)
        except UnicodeError as error:
            raise self.error("is no text in UTF-16. Save the table as UTF-8") from error
        if not line:
            raise StopIteration
        if len(line) == _LONGEST_LINE:
            raise self.error(f"is longer than {_LONGEST_LINE:,} characters")
        if not line.isascii() and _NO_UTF8.search(line):
            raise self.error("is no text in UTF-8. Save the table as UTF-8")
        return line

    def error(self, what: str) -> UsageError:
        return UsageError(f"{_name(self._path)}, line {self._number} {what}.")


def _opened(path: Path) -> IO[str]:
    """A table is UTF-8, with or without a mark, or UTF-16 with one, as spreadsheets save "Unicode text"."""
    with path.open("rb") as file:
        wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    encoding, errors = ("utf-16", "strict") if wide else ("utf-8-sig", "surrogateescape")
    return path.open(encoding=encoding, errors=errors, newline="")


def _with(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _name(path: Path) -> str:
    return keys.shown(keys.escape(str(path)))


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt", ".token"), _delimited),
    **dict.fromkeys((".jsonl", ".ndjson"), _json_lines),
    ".json": _json,
}
