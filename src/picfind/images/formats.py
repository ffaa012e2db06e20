"""The formats of pictures that are read: the endings of their names, their first bytes, and what loads them.

Pillow's own search for a loader is not used: it would try loaders that run other programs or parse whole documents.
"""

from __future__ import annotations

import importlib
from typing import cast

from PIL import ImageFile

from picfind.errors import NotAPictureError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp"),
    *(".heic", ".heif", ".hif", ".avif"),
)
"""Endings of names, in lower case, that may be pictures. What a file really is, its first bytes say."""
SIDECAR_SUFFIXES = (".txt", ".caption", ".xmp")
"""Endings, in lower case, of files beside a picture that may say something of it: `photo.txt`, `photo.jpg.xmp`."""

_FIRST_BYTES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_LONGEST_BRANDS = 256
_LOADERS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),  # also MPO: its first frame is a complete JPEG
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
}


def kind_of(data: bytes) -> str:
    """JPEG, PNG, WEBP, GIF, TIFF, BMP, AVIF or HEIF, by the first bytes. Raises NotAPictureError for anything else."""
    if not data:
        raise NotAPictureError("It is empty: 0 bytes.")
    for first, kind in _FIRST_BYTES:
        if data.startswith(first):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    raise NotAPictureError(
        "It is no picture of a known format (JPEG, PNG, WebP, GIF, TIFF, BMP, HEIC, AVIF)."
    )


def _brands(data: bytes) -> set[bytes]:
    """What an ISO media file says that it is: the first brand, and those that it is compatible with."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), _LONGEST_BRANDS)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def loader_of(kind: str) -> type[ImageFile.ImageFile]:
    """The class of Pillow that loads a kind (any but HEIF), imported when it is first wanted."""
    module, name = _LOADERS[kind]
    return cast(type[ImageFile.ImageFile], getattr(importlib.import_module(f"PIL.{module}"), name))
