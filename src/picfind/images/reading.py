"""Bytes of a picture's file -> an upright RGB picture within limits, with its facts; and thumbnails.

Everything here may be called from many threads at once; decoding itself runs without the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from picfind import keys
from picfind.errors import (
    MissingSourceError,
    NotAPictureError,
    PictureError,
    PictureTooLargeError,
    TruncatedPictureError,
)
from picfind.images.facts import Facts, orientation_of, read_facts
from picfind.images.formats import kind_of
from picfind.images.heif import open_heif
from picfind.images.iptc import iptc_of
from picfind.images.opening import exif_of, load, open_header, open_whole_png, quiet
from picfind.images.pixels import rgb, upright
from picfind.images.words import words_of
from picfind.types import Words

_CHUNK = 1 << 20
_LONGEST_DETAIL = 160


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused: checked before anything is decoded."""

    max_pixels: int = 256_000_000
    max_bytes: int = 512 * 1024 * 1024

    def __str__(self) -> str:
        return f"{self.max_pixels} pixels, {self.max_bytes} bytes"


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: upright, RGB, perhaps smaller than in its file; `facts` are of the full picture."""

    image: Image.Image
    facts: Facts
    words: tuple[Words, ...] = ()
    """What the file itself says in words: captions, titles, tags."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a picture's file says of itself, without its pixels: the same as in `Picture`."""

    facts: Facts
    words: tuple[Words, ...]


_DEFAULT_LIMITS = Limits()


def decode(data: bytes, *, at_least: int | None = 512, limits: Limits = _DEFAULT_LIMITS) -> Picture:
    """Decode the bytes of a file: the first frame, upright, on white where it is transparent.

    A JPEG is decoded at a half, a quarter or an eighth of its size where its shorter side then still has `at_least`
    pixels (None: always in full); all others in full. Raises PictureTooLargeError, NotAPictureError and
    TruncatedPictureError, whatever the bytes are.
    """
    _check_bytes(len(data), limits)
    kind = kind_of(data)
    with _picture_errors(kind):
        if kind == "HEIF":
            return _decode_heif(data, limits)
        return _decode_with_pillow(data, kind, at_least, limits)


def inspect(data: bytes, *, limits: Limits = _DEFAULT_LIMITS) -> Inspected:
    """The facts and words of the bytes of a file, from its header: no pixels are decoded, nor looked at for damage.

    What `decode` takes is taken here too; of a PNG that is damaged behind its pixels less may be read. Raises what
    `decode` raises for what is too large, no picture, or damaged in its header.
    """
    _check_bytes(len(data), limits)
    kind = kind_of(data)
    with _picture_errors(kind):
        if kind == "HEIF":
            return _inside_heif(open_heif(data), limits)
        opened = open_whole_png(data) if kind == "PNG" else open_header(data, kind)
        _check_pixels(opened.size, limits)
        return _inside(opened, kind, opened.size)


def open_picture(
    source: Path | bytes | BinaryIO | Image.Image,
    *,
    at_least: int | None = 512,
    limits: Limits = _DEFAULT_LIMITS,
) -> Picture:
    """`decode` for what people have: a path, bytes, an open binary file, or a Pillow image (which stays as it is).

    Raises what `decode` raises, with the path in the message, and MissingSourceError when nothing is there.
    """
    if isinstance(source, Image.Image):
        return _from_image(source, limits)
    if isinstance(source, bytes):
        return decode(source, at_least=at_least, limits=limits)
    if not isinstance(source, Path):
        return decode(read_limited(source, limits), at_least=at_least, limits=limits)
    try:
        return decode(_read_path(source, limits), at_least=at_least, limits=limits)
    except PictureError as error:
        raise type(error)(f"{_name(source)}: {error}") from error


def read_limited(file: BinaryIO, limits: Limits = _DEFAULT_LIMITS) -> bytes:
    """All bytes of an open file. Raises PictureTooLargeError without reading more than one byte past `max_bytes`."""
    chunks: list[bytes] = []
    left = limits.max_bytes + 1
    while left and (chunk := file.read(min(left, _CHUNK))):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise PictureTooLargeError(_too_many_bytes(f"more than {limits.max_bytes:,}", limits))
    return b"".join(chunks)


def thumbnail_jpeg(image: Image.Image, *, side: int = 256, quality: int = 80) -> bytes:
    """A small baseline JPEG of an upright picture, its longer side at most `side` pixels, with no metadata at all."""
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = rgb(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    small.info = {}
    target = BytesIO()
    small.save(target, "JPEG", quality=quality, progressive=False)
    return target.getvalue()


def _read_path(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as file:
            return read_limited(file, limits)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingSourceError(f"There is no picture {_name(path)}. Check the path.") from error
    except IsADirectoryError as error:
        raise NotAPictureError("It is a folder. Name a picture.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"It cannot be read: {reason}.") from error


def _name(path: Path) -> str:
    return keys.shown(keys.escape(str(path)))


def _check_bytes(count: int, limits: Limits) -> None:
    if count > limits.max_bytes:
        raise PictureTooLargeError(_too_many_bytes(f"{count:,}", limits))


def _too_many_bytes(count: str, limits: Limits) -> str:
    return f"It has {count} bytes; the limit is {limits.max_bytes:,}. Raise the setting max_bytes to use it."


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise PictureTooLargeError(
            f"It has {width} x {height} = {width * height:,} pixels; the limit is {limits.max_pixels:,}. "
            "Raise the setting max_pixels to use it."
        )


@contextmanager
def _picture_errors(kind: str) -> Iterator[None]:
    """Decoders raise nearly anything on hostile bytes; a caller meets PictureError only."""
    try:
        yield
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureTooLargeError(
            "There is not enough memory to decode it. Lower max_pixels or workers."
        ) from error
    except Image.DecompressionBombError as error:
        raise PictureTooLargeError(
            f"It is larger than Pillow agrees to decode ({_detail(error)})."
        ) from error
    except Exception as error:
        if kind == "BMP":  # two letters that any text may start with
            raise NotAPictureError(
                f"It is no picture of a known format (as a BMP: {_detail(error)})."
            ) from error
        raise TruncatedPictureError(f"It is damaged or ends too early ({kind}: {_detail(error)}).") from error


def _detail(error: Exception) -> str:
    """What a decoder says, fit for one line: some end theirs with a line break or quote the bytes."""
    text = keys.shown(" ".join(str(error).split())).rstrip(".")
    return text[:_LONGEST_DETAIL] or type(error).__name__


def _decode_with_pillow(data: bytes, kind: str, at_least: int | None, limits: Limits) -> Picture:
    opened = open_header(data, kind)
    size = opened.size
    _check_pixels(size, limits)
    if kind == "JPEG" and at_least is not None:
        opened.draft(None, (at_least, at_least))
    if kind == "PNG":  # its EXIF may come after the pixels, and asking for it would decode under the lock
        load(opened, kind)
    inside = _inside(opened, kind, size)
    load(opened, kind)
    # A TIFF is turned by Pillow as it loads. An AVIF is not: Pillow writes what the file's irot and imir say into
    # the orientation of its EXIF, in place of what was there, so turning by that is right, and once.
    turn = None if kind == "TIFF" else inside.facts.orientation
    return Picture(upright(opened, turn), inside.facts, inside.words)


def _decode_heif(data: bytes, limits: Limits) -> Picture:
    """libheif turns the picture by its irot and imir. The orientation in EXIF then only tells how the sensor lay.

    So the HEIF standard (ISO/IEC 23008-12) has it: phones write both, and only the boxes count.
    """
    found = open_heif(data)
    inside = _inside_heif(found, limits)
    found.load()
    pixels = Image.frombytes(found.mode, found.size, found.data, "raw", found.mode, found.stride)
    return Picture(upright(pixels, None), inside.facts, inside.words)


def _from_image(image: Image.Image, limits: Limits) -> Picture:
    _check_pixels(image.size, limits)
    with _picture_errors(image.format or "image"):
        image.load()
        inside = _inside(image, image.format or "", image.size)
        mine = image.copy() if image.mode == "RGB" else image  # any other mode becomes a new image anyway
        return Picture(upright(mine, inside.facts.orientation), inside.facts, inside.words)


def _inside(opened: Image.Image, kind: str, size: tuple[int, int]) -> Inspected:
    exif = exif_of(opened)
    with quiet():
        orientation = orientation_of(exif)
        on_its_side = kind != "TIFF" and (orientation or 1) >= 5  # Pillow gives a TIFF's size upright
        upright = (size[1], size[0]) if on_its_side else size
        facts = read_facts(exif, picture_format=kind, size=upright, orientation=orientation)
        iptc = iptc_of(opened)
    return Inspected(facts, words_of(exif, opened.info, iptc=iptc))


def _inside_heif(found: Any, limits: Limits) -> Inspected:
    _check_pixels(found.size, limits)
    exif = exif_of(found.info.get("exif"))
    with quiet():
        facts = read_facts(exif, picture_format="HEIF", size=found.size, orientation=orientation_of(exif))
    return Inspected(facts, words_of(exif, found.info))
