"""Thumbnails of the pictures of an answer, drawn from their files, and how an HTML page holds one."""

from __future__ import annotations

import base64
import os
from html import escape
from io import BytesIO
from urllib.parse import quote

from PIL import Image, ImageDraw

from picfind import keys
from picfind.errors import PicfindError
from picfind.images import open_picture, thumbnail_jpeg
from picfind.search.asking import read_file
from picfind.types import Box, Read

GONE = "not there now"
"""What stands in the place of a picture whose file cannot be opened."""
_SIDE = 256
_HEIGHT = 13
"""The greatest height of a thumbnail on a page, in rem."""


def opened(path: str, *, side: int = _SIDE, read: Read = read_file) -> Image.Image | None:
    """The picture at a place (escaped as in a `Hit`), RGB and upright, no smaller than `side` where it is that large.

    None where it cannot be opened: it is gone, it is out of reach, it is no picture any more.
    """
    try:
        return open_picture(read(path), at_least=side).image
    except (PicfindError, OSError, ValueError):
        return None


def small(
    path: str, *, width: int, height: int, box: Box | None = None, read: Read = read_file
) -> Image.Image | None:
    """The picture at a place in at most so many pixels, with a frame drawn round `box`; None as in `opened`."""
    image = opened(path, side=max(width, height), read=read)
    if image is None:
        return None
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    if box is not None:
        _frame(image, box)
    return image


def _frame(image: Image.Image, box: Box) -> None:
    left, top, wide, high = box
    edges = (left * image.width, top * image.height, (left + wide) * image.width, (top + high) * image.height)
    x0, y0, x1, y1 = (round(edge) for edge in edges)
    draw = ImageDraw.Draw(image)
    for inset, colour in ((0, "black"), (1, "white"), (2, "white"), (3, "black")):
        if x1 - x0 > 2 * inset + 1 and y1 - y0 > 2 * inset + 1:
            draw.rectangle((x0 + inset, y0 + inset, x1 - 1 - inset, y1 - 1 - inset), outline=colour)


def html(path: str, alt: str, *, box: Box | None = None, read: Read = read_file) -> str:
    """A thumbnail inside a page that links to the picture's file, with `box` drawn over it. `alt` is plain text."""
    image = opened(path, read=read)
    if image is None:
        return f'<p class="lost">{GONE}</p>'
    data = base64.b64encode(thumbnail_jpeg(image, side=_SIDE)).decode("ascii")
    # the shape is given, so that the thumbnail is never cropped and fractions of it are fractions of the picture
    wide = f"{_HEIGHT * image.width / image.height:.3f}"
    shape = f"aspect-ratio:{image.width}/{image.height};width:min(100%,{wide}rem)"
    return (
        f'<a class="picture" href="{escape(address(path), quote=True)}"><span class="frame" style="{shape}">'
        f'<img alt="{escape(alt, quote=True)}" src="data:image/jpeg;base64,{data}">{_overlay(box)}</span></a>'
    )


def _overlay(box: Box | None) -> str:
    if box is None:
        return ""
    place = ";".join(
        f"{side}:{100 * share:.2f}%"
        for side, share in zip(("left", "top", "width", "height"), box, strict=True)
    )
    return f'<span class="box" style="{place}"></span>'


def is_address(path: str) -> bool:
    """Whether a place is on the network."""
    return path.startswith(("http://", "https://"))


def address(path: str) -> str:
    """What a page links to: a place on the network as it is, a file as a `file:` URL of its very bytes."""
    if is_address(path):
        return path
    if os.sep == "\\":
        return "file:///" + quote(keys.unescape(path).replace("\\", "/"), safe="/:")
    return "file://" + quote(keys.raw(path))


def png(image: Image.Image) -> bytes:
    """An image as a PNG."""
    target = BytesIO()
    image.save(target, "PNG")
    return target.getvalue()
