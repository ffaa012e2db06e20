"""What the inside of a picture's file says in words: captions, titles and tags of EXIF, IPTC, XMP and PNG text.

Comments of JPEG and GIF files are left out: programs sign there ("CREATOR: gd-jpeg"), and those in which people write
a comment write it into EXIF or XMP as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from PIL import ExifTags, Image

from picfind.images.facts import folder_of, value_of
from picfind.images.iptc import iptc_words
from picfind.images.opening import quiet
from picfind.images.texts import as_utf8, people_wrote
from picfind.images.xmp import found_in_xmp
from picfind.types import CAPTION, TAG, TITLE, Words

_MOST_BYTES = 1 << 20
_WINDOWS = (
    (ExifTags.Base.XPComment, CAPTION),
    (ExifTags.Base.XPTitle, TITLE),
    (ExifTags.Base.XPSubject, TITLE),
)
"""Tags that Windows writes, in UTF-16."""
_PNG = (("Description", CAPTION), ("Comment", CAPTION), ("Title", TITLE))


def words_of(exif: Image.Exif, info: Mapping[Any, Any], *, iptc: bytes = b"") -> tuple[Words, ...]:
    """The words of a picture's header: captions, titles, tags, each text once, the first origin named.

    `info` is what Pillow or pi_heif keep beside the pixels. Never raises for what a file holds; of each block of
    metadata at most 1 MB is read.
    """
    found: list[Words] = []
    if len(exif):
        with quiet():
            found += _of_exif(exif)
    return people_wrote([*found, *iptc_words(iptc), *_of_xmp(info), *_of_png(info)])


def _of_exif(exif: Image.Exif) -> Iterator[Words]:
    detail = folder_of(exif, ExifTags.IFD.Exif)
    yield Words(_text(value_of(exif, ExifTags.Base.ImageDescription)), "EXIF", CAPTION)
    yield Words(_comment(value_of(detail, ExifTags.Base.UserComment), exif.endian), "EXIF", CAPTION)
    for tag, kind in _WINDOWS:
        yield Words(_wide(value_of(exif, tag)), "EXIF", kind)
    for keyword in _wide(value_of(exif, ExifTags.Base.XPKeywords)).split(";"):
        yield Words(keyword, "EXIF", TAG)


def _of_xmp(info: Mapping[Any, Any]) -> list[Words]:
    packet = info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    return found_in_xmp(packet) if isinstance(packet, bytes) else []


def _of_png(info: Mapping[Any, Any]) -> Iterator[Words]:
    """Text chunks lie in `info` under their own names, which no other format uses."""
    for name, kind in _PNG:
        text = info.get(name)
        if isinstance(text, str):
            yield Words(as_utf8(text[:_MOST_BYTES]), "PNG text", kind)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value[:_MOST_BYTES].decode("latin-1")
    return as_utf8(value[:_MOST_BYTES].partition("\0")[0]) if isinstance(value, str) else ""


def _bytes(value: Any) -> bytes:
    if isinstance(value, tuple) and all(isinstance(part, int) and 0 <= part < 256 for part in value):
        return bytes(value)[:_MOST_BYTES]
    return value[:_MOST_BYTES] if isinstance(value, bytes) else b""


def _wide(value: Any) -> str:
    return _bytes(value).decode("utf-16-le", "ignore").partition("\0")[0]


def _comment(value: Any, endian: str | None) -> str:
    """UserComment: 8 bytes say how the rest is written (Exif 2.32, 4.6.5). JIS is passed over: nobody writes it."""
    if isinstance(value, str):  # some programs leave the 8 bytes and the type out
        return _text(value.removeprefix("ASCII\0\0\0"))
    raw = _bytes(value)
    charset, rest = raw[:8].rstrip(b"\0 ").upper(), raw[8:]
    if charset == b"UNICODE":
        return _utf16(rest, endian).partition("\0")[0]
    if charset == b"ASCII":
        return _text(rest)
    return _if_utf8(rest if not charset else raw if charset != b"JIS" else b"")


def _if_utf8(raw: bytes) -> str:
    """Text of no stated charset: what is no UTF-8, or holds control characters, is a program's data."""
    try:
        text = raw.rstrip(b"\0 ").decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if all(sign.isprintable() or sign.isspace() for sign in text) else ""


def _utf16(raw: bytes, endian: str | None) -> str:
    """UTF-16 of either byte order. The file's own should hold, and often does not: zeros and variety tell.

    The upper bytes of a text are mostly zeros, or at least fewer different ones than the lower bytes.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "ignore")
    even, odd = raw[::2], raw[1::2]
    upper_first = (
        even.count(0) - odd.count(0) or len(set(odd)) - len(set(even)) or (1 if endian == ">" else -1)
    )
    return raw.decode("utf-16-be" if upper_first > 0 else "utf-16-le", "ignore")
