"""Bytes to an upright RGB picture within limits, with its facts; thumbnails.

reading.py   the way in: decode, open_picture, thumbnail_jpeg
formats.py   which formats there are, and their first bytes
heif.py      HEIC and HEIF, with care
pixels.py    any kind of pixels to upright RGB
facts.py     what EXIF says of a picture
"""

from picfind.images.facts import FACTS_VERSION, Facts
from picfind.images.formats import SIDECAR_SUFFIXES, SUFFIXES
from picfind.images.reading import Limits, Picture, decode, open_picture, read_limited, thumbnail_jpeg

__all__ = [
    "FACTS_VERSION",
    "SIDECAR_SUFFIXES",
    "SUFFIXES",
    "Facts",
    "Limits",
    "Picture",
    "decode",
    "open_picture",
    "read_limited",
    "thumbnail_jpeg",
]
