"""Opens HEIC and HEIF by libheif, carefully: damaged bytes must raise, and not end the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picfind.errors import TruncatedPictureError

_TYPE_AT = {2: 8, 3: 10}
"""Where the four letters of an item's type stand in an `infe` box, by the box's version."""


def open_heif(data: bytes) -> Any:
    """The primary picture of the file, a `pi_heif.HeifImage`, with its header read and its pixels not yet decoded.

    Raises TruncatedPictureError and whatever pi_heif raises.
    """
    import pi_heif  # opened directly: as a plug-in of Pillow it would be there for the whole process

    if not all(map(_is_text, _names(data))):
        raise TruncatedPictureError("It is damaged (HEIF: an item's type is no text).")
    opened = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
    return opened[opened.primary_index]


def _names(data: bytes) -> Iterator[bytes]:
    """The types of all items, and the content types of those that have one.

    pi_heif (seen in 1.4) makes Python strings of them without asking whether that went well, and the process dies
    by a segmentation fault where they are not UTF-8.
    """
    at = data.find(b"infe")
    while at >= 4:
        box = data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at], "big")]
        type_at = _TYPE_AT.get(box[0]) if box else None
        if type_at is not None:
            yield box[type_at : type_at + 4]
            yield from box[type_at + 4 :].split(b"\0")[1:2]
        at = data.find(b"infe", at + 4)


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
