"""Opens and decodes pictures by Pillow, without a trace in the process that it runs in."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, ImageFile

from picfind.images.formats import loader_of

_PROCESS_WIDE = threading.Lock()
_PIXELS_OF_PNG = {b"IDAT", b"acTL", b"fcTL", b"fdAT"}
"""The chunks that hold the frames."""


@contextmanager
def quiet(*, lift_limit: bool = False) -> Iterator[None]:
    """Keep Pillow from warning, for a moment: damaged metadata is nobody's business here.

    The filters of `warnings` and Pillow's `MAX_IMAGE_PIXELS` belong to the whole process, so they are changed under
    a lock (else two threads could restore them in the wrong order), for headers only, and put back. The limit is
    lifted only where Pillow offers no other way: see `load`.
    """
    with _PROCESS_WIDE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        most = Image.MAX_IMAGE_PIXELS
        if lift_limit:
            Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            if lift_limit:
                Image.MAX_IMAGE_PIXELS = most


def open_header(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Read the header.

    The loader's class is called directly, because `Image.open` warns from 89 million pixels on and raises from 179,
    by a limit of the whole process, while a phone's photo can have 200. What such loaders check themselves stays:
    a GIF or WebP of more than 179 million pixels is refused by Pillow, whatever `max_pixels` says.
    """
    loader = loader_of(kind)
    with quiet():
        return loader(BytesIO(data))


def load(opened: ImageFile.ImageFile, kind: str) -> None:
    """Decode the pixels. A huge TIFF, whose size has been checked here, meets Pillow's limit a second time."""
    if kind == "TIFF" and _is_beyond_pillow(opened):
        with quiet(lift_limit=True):
            opened.load()
    else:
        opened.load()


def _is_beyond_pillow(opened: ImageFile.ImageFile) -> bool:
    with _PROCESS_WIDE:  # another thread may have lifted it for the moment
        most = Image.MAX_IMAGE_PIXELS
    return most is not None and opened.width * opened.height > most


def exif_of(source: Image.Image | bytes | None) -> Image.Exif:
    """EXIF of an image or of a block of bytes; empty where it is too damaged to read."""
    try:
        with quiet():
            if isinstance(source, Image.Image):
                return Image.Image.getexif(source)  # PngImageFile's own would decode the pixels
            exif = Image.Exif()
            exif.load(source or b"")
            return exif
    except Exception:  # Pillow promises nothing about what damaged EXIF makes it raise
        return Image.Exif()


def open_whole_png(data: bytes) -> ImageFile.ImageFile:
    """A PNG with all that it says of itself, though its text and its EXIF may come after the pixels; not to be decoded.

    Where that is damaged, what comes before the pixels.
    """
    try:
        return open_header(_without_pixels(data), "PNG")
    except Exception:  # as Pillow does, which ends at the damage when it decodes
        return open_header(data, "PNG")


def _without_pixels(png: bytes) -> bytes:
    kept, at = [png[:8]], 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] not in _PIXELS_OF_PNG:
            kept.append(png[at:end])
        at = end
    return b"".join(kept)
