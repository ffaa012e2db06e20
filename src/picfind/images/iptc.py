"""The words in IPTC data: what picture desks and archives write (IPTC-IIM 4.2, record 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image

from picfind.images.texts import read_bytes
from picfind.types import CAPTION, TAG, TITLE, Words

_PHOTOSHOP_IPTC = 0x0404
_TIFF_IPTC = 33723
_KINDS = {(2, 120): CAPTION, (2, 105): TITLE, (2, 5): TITLE, (2, 25): TAG}
"""Caption/Abstract, Headline, Object name and Keywords, each by its record and its number."""
_CHARSET = (1, 90)
_UTF8 = b"\x1b%G"
_MOST_BYTES = 1 << 20


def iptc_words(block: bytes) -> Iterator[Words]:
    """The words of a block of IPTC data. Without a charset it is UTF-8 if it can be, and Latin-1 else."""
    is_utf8 = False
    for place, raw in _fields(block[:_MOST_BYTES]):
        if place == _CHARSET:
            is_utf8 = raw == _UTF8
        kind = _KINDS.get(place)
        if kind is not None:
            text = raw.decode("utf-8", "replace") if is_utf8 else read_bytes(raw)
            yield Words(text, "IPTC", kind)


def iptc_of(image: Image.Image) -> bytes:
    """The block of IPTC data that a JPEG has in Photoshop's segment, or a TIFF in a tag of its own; else b""."""
    resources = image.info.get("photoshop")
    if isinstance(resources, dict):
        block = resources.get(_PHOTOSHOP_IPTC)
        return block if isinstance(block, bytes) else b""
    tags = getattr(image, "tag_v2", None)
    return b"" if tags is None else _of_tiff(tags)


def _of_tiff(tags: Any) -> bytes:
    """The bytes as they stand in the file: Photoshop says that they are whole numbers, of which Pillow keeps one."""
    try:
        block = tags._tagdata.get(_TIFF_IPTC)
    except AttributeError:  # Pillow's own affair, which another release may call otherwise
        block = tags.get(_TIFF_IPTC)
    return block if isinstance(block, bytes) else b""


def _fields(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """(record, number) and the bytes of each field, up to where the block ends or is damaged."""
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", block, at + 1)
        at += 5
        if size & 0x8000:  # a long field: the size of its size
            width = min(size & 0x7FFF, 8)
            size = int.from_bytes(block[at : at + width], "big")
            at += width
        yield (record, number), block[at : at + size]
        at += size
