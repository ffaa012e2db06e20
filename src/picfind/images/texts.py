"""Texts that are found in and beside pictures: cleaned, told from boilerplate, each once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from picfind.types import CAPTION, TAG, TITLE, Words

LONGEST_TEXT = 2_000
"""Characters of one text that are kept: far more than any text encoder reads."""
MOST_TEXTS = 100
"""Texts of one picture that are kept from one place."""

_KINDS = {CAPTION: 0, TITLE: 1, TAG: 2}
_STEERING = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""Control characters but those that are white space."""
_UNSEEN = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd-\uffff\ud800-\udfff]")
"""What turns the direction of writing, byte order marks, what is no character, lone surrogates."""

_BOILERPLATE = re.compile(
    r"""
    # what cameras write into every picture, as their makers set them up
      <?\s*(?:olympus|samsung|(?:konica\ )?minolta|kodak|sony|casio|fuji(?:film)?|nikon|canon|pentax|ricoh|sanyo)?
        \s*(?:digital\ (?:still\ ?)?camera|camera\ pictures|dsc)
    | <(?:digimax|samsung|kenox).*
    | exif[\ _-]jpe?g(?:[\ _-]picture)? | jpeg_420 | dcf\ 1\.0 | applemark | binary\ comment | user\ ?comments?
    # words of the camera programs of Huawei, Honor and Xiaomi phones, which name the mode and not the picture
    | (?:dav|cof|mde|bty|edf|rbt|ptr|cav|fbt|btf|oznor\w*|hdr(?:pl)?|rhdr|sdr|dig|nor|tpl|hrscene|qrf|mnr|vtd)(?:_[a-z0-9_]*)?
    # names of folders and files: where the picture once lay, not what it shows
    | dcim(?:[\\/].*)? | .{1,200}\.(?:jpe?g|jpe|png|tiff?|hei[cf]|avif|webp|gif|bmp|psd|xcf|raw|dng|cr2|nef|arw)
    | (?:dsc[nf]?|img|pict|p)[_-]?\d[\d_-]{2,}
    # how the file came to be
    | screen\ ?shot | bildschirmfoto | capture\ d.?[ée]cran
    | creator:\ gd-jpeg.* | (?:created|made|edited|processed)\ (?:with|by|using)\ (?:the\ )?
        (?:gimp|vsco|snapseed|picasa|adobe|photoshop|lightroom|canva|imagemagick|inkscape|instagram|polarr|meitu).*
    | file\ (?:written|source).* | lead\ technologies.* | (?:optimi[sz]ed|compressed|generated)\ by\ .* | imagej=.*
    # placeholders
    | default | untitled(?:[\ _-]?\d+)? | null | none | n/?a | unknown | no\ title | (?:image\ )?description
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Whole captions and titles that were put in by a camera or a program."""
_DATA = re.compile(r"""\{["'}].*\}|\[["\[{].*\]|<[?!\w].*>|(?=.*\d)[A-Za-z0-9+/]{40,}={0,2}""")
"""JSON, XML and Base64: what programs leave for themselves."""
_MACHINE_TAG = re.compile(r"darktable\|.*|[a-z][a-z0-9_]*:[a-z][a-z0-9_]*=.*", re.IGNORECASE)
"""Tags that programs keep their own state in: darktable's, and triples of Flickr's kind (`geo:lat=52.5`)."""


def plain(text: str) -> str:
    """A text on one line: in NFC, white space collapsed, nothing that steers or cannot be seen, limited in length."""
    text = text[: 4 * LONGEST_TEXT]
    if not text.isprintable() or "\ufffd" in text:  # white space but the blank is not, either
        text = _UNSEEN.sub("", _STEERING.sub(" ", text))
    return unicodedata.normalize("NFC", " ".join(text.split()))[:LONGEST_TEXT].rstrip()


def as_utf8(text: str) -> str:
    """Pillow reads EXIF and PNG text as Latin-1; cameras and programs write UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def read_bytes(raw: bytes) -> str:
    """UTF-8 where it is that, or else what Windows takes for Latin-1 (cp1252)."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def says_something(text: str) -> bool:
    """Whether a text has a letter. Numbers alone are counters, boxes of training data, or sizes."""
    return any(sign.isalpha() for sign in text)


def is_boilerplate(text: str, kind: str = CAPTION) -> bool:
    """Whether a plain text was put in by a camera or a program, and says nothing of what the picture shows.

    A tag may be any word, `HDR` and `default` too: somebody chose it.
    """
    usual = _MACHINE_TAG if kind == TAG else _BOILERPLATE
    return not says_something(text) or bool(usual.fullmatch(text) or _DATA.fullmatch(text))


def people_wrote(words: Iterable[Words]) -> tuple[Words, ...]:
    """`distinct` without boilerplate: captions before titles before tags, else in the order given."""
    kept = [word for word in _cleaned(words) if not is_boilerplate(word.text, word.kind)]
    return _once(sorted(kept, key=lambda word: _KINDS.get(word.kind, len(_KINDS))))


def distinct(words: Iterable[Words]) -> tuple[Words, ...]:
    """Words cleaned by `plain`, each text once (the first stays, whatever its case), without those that have no letter."""
    return _once(word for word in _cleaned(words) if says_something(word.text))


def _once(words: Iterable[Words]) -> tuple[Words, ...]:
    first: dict[str, Words] = {}
    for word in words:
        first.setdefault(word.text.casefold(), word)
        if len(first) == MOST_TEXTS:
            break
    return tuple(first.values())


def _cleaned(words: Iterable[Words]) -> Iterator[Words]:
    return (Words(plain(word.text), word.origin, word.kind) for word in words if word.text)
