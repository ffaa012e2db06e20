"""The words that belong to a picture's name: what its source says, files beside it, the file's and the folders' names."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator

from picfind.captions.naming import name_words
from picfind.images import MOST_XMP_BYTES, distinct, xmp_words
from picfind.types import CAPTION, TAG, Item, Sidecar, Words

_VERSION = 1
"""Goes up when words are read differently, here or from XMP: then those of every name are read again."""
_MOST_TEXT_BYTES = 64 * 1024
_TAG_LIST = 3
"""The least number of parts that make a line a list of tags, and the most words that each of them has."""


def words_of(item: Item) -> tuple[Words, ...]:
    """The words of an item's name, each text once: its source's own, its sidecars', then those of its path.

    A sidecar that cannot be read gives nothing. Origins: "text file", "XMP sidecar", "file name" and "folder".
    """
    found = list(item.words)
    for sidecar in item.sidecars:
        found += _read(sidecar)
    return distinct([*found, *name_words(item.key)])


def words_mark(item: Item) -> str:
    """A short hash that changes whenever what `words_of` would give may have changed; nothing is read for it."""
    told = [[words.text, words.origin, words.kind] for words in item.words]
    beside = [[sidecar.key, sidecar.fingerprint] for sidecar in item.sidecars]
    known = json.dumps([_VERSION, item.key, told, beside])
    return hashlib.sha256(known.encode("ascii")).hexdigest()[:16]


def _read(sidecar: Sidecar) -> tuple[Words, ...]:
    is_xmp = sidecar.key.lower().endswith(".xmp")
    most = MOST_XMP_BYTES if is_xmp else _MOST_TEXT_BYTES
    try:
        with sidecar.open() as file:
            data = file.read(most + 1)
    except OSError:
        return ()
    return xmp_words(data, origin="XMP sidecar") if is_xmp else text_words(data)


def text_words(data: bytes) -> tuple[Words, ...]:
    """The words of a text file beside a picture: each line is a caption, or a list of tags.

    A line is a list of tags when it has three parts or more between commas, of at most three words each, and does not
    end like a sentence: so write those who train image generators. Lines without letters (the boxes of
    detectors) say nothing. The text is UTF-8, or UTF-16 with a byte order mark, or else Latin-1; of a longer file the
    first 64 kB are read.
    """
    found = (words for line in _decoded(data).splitlines() for words in _line(line.strip()))
    return distinct(found)


def _line(line: str) -> Iterator[Words]:
    parts = [part.strip() for part in line.split(",")]
    is_list = (
        len(parts) >= _TAG_LIST
        and not line.endswith((".", "!", "?"))
        and all(len(part.split()) <= _TAG_LIST for part in parts)
    )
    for text in parts if is_list else [line]:
        yield Words(text, "text file", TAG if is_list else CAPTION)


def _decoded(data: bytes) -> str:
    """Text; "" for bytes that are none."""
    data, is_whole = data[:_MOST_TEXT_BYTES], len(data) <= _MOST_TEXT_BYTES
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "ignore")
    if b"\0" in data:
        return ""
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, is_whole)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
