"""Bytes to an upright RGB picture within limits, with its facts and words; thumbnails.

reading.py   the way in: decode, inspect, open_picture, thumbnail_jpeg
formats.py   which formats there are, and their first bytes
opening.py   Pillow, without a trace in the process
heif.py      HEIC and HEIF, with care
pixels.py    any kind of pixels to upright RGB
facts.py     what EXIF says of a picture
words.py     what is written inside a picture's file: EXIF, PNG text, and what iptc.py and xmp.py read
texts.py     texts cleaned, told from boilerplate, each once
"""

from picfind.images.facts import FACTS_VERSION, Facts
from picfind.images.formats import SIDECAR_SUFFIXES, SUFFIXES
from picfind.images.reading import (
    Inspected,
    Limits,
    Picture,
    decode,
    inspect,
    open_picture,
    read_limited,
    thumbnail_jpeg,
)
from picfind.images.texts import distinct, read_bytes
from picfind.images.xmp import MOST_BYTES as MOST_XMP_BYTES
from picfind.images.xmp import xmp_words

__all__ = [
    "FACTS_VERSION",
    "MOST_XMP_BYTES",
    "SIDECAR_SUFFIXES",
    "SUFFIXES",
    "Facts",
    "Inspected",
    "Limits",
    "Picture",
    "decode",
    "distinct",
    "inspect",
    "open_picture",
    "read_bytes",
    "read_limited",
    "thumbnail_jpeg",
    "xmp_words",
]
