"""What the inside of a picture's file says about it: when, where and with what it was taken (EXIF)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from picfind.images.texts import as_utf8

FACTS_VERSION = 2
"""Goes up when more is read, or read differently: galleries then read the facts of their pictures again.

2: the words of the inside are read with the facts.
"""

_EARLIEST, _LATEST = 1826, 2100
_LONGEST = 100
_DATES = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
)
"""The tag `DateTime` is left out: it says when the file was last edited."""
_MOMENT = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a picture without looking at it. None: the file does not say, or says nonsense."""

    format: str
    """JPEG, PNG, WEBP, GIF, TIFF, BMP, HEIF or AVIF; empty for a picture that comes from memory."""
    width: int
    """Pixels of the full picture, upright, though it may have been decoded smaller."""
    height: int
    orientation: int | None = None
    """As in EXIF, 1 to 8: how the stored pixels lie, for which `width` and `height` already allow."""
    taken: str | None = None
    """ISO 8601 in the camera's local time; ends in the offset from UTC where the camera knew it."""
    camera_make: str | None = None
    camera_model: str | None = None
    lens: str | None = None
    latitude: float | None = None
    """Degrees, north positive."""
    longitude: float | None = None
    """Degrees, east positive."""
    altitude: float | None = None
    """Metres above the sea."""


def orientation_of(exif: Image.Exif) -> int | None:
    """The orientation that EXIF gives, 1 to 8."""
    value = value_of(exif, ExifTags.Base.Orientation)
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else None


def read_facts(
    exif: Image.Exif, *, picture_format: str, size: tuple[int, int], orientation: int | None
) -> Facts:
    """Gather the facts; `size` is (width, height) of the upright picture. Never raises for what EXIF holds."""
    detail, place = folder_of(exif, ExifTags.IFD.Exif), folder_of(exif, ExifTags.IFD.GPSInfo)
    latitude, longitude = _coordinates(place)
    return Facts(
        format=picture_format,
        width=size[0],
        height=size[1],
        orientation=orientation,
        taken=_taken(detail),
        camera_make=_text(exif, ExifTags.Base.Make),
        camera_model=_text(exif, ExifTags.Base.Model),
        lens=_text(detail, ExifTags.Base.LensModel),
        latitude=latitude,
        longitude=longitude,
        altitude=_altitude(place),
    )


def folder_of(exif: Image.Exif, which: ExifTags.IFD) -> Mapping[int, Any]:
    """The tags of a folder within EXIF; none where it is damaged."""
    try:
        return exif.get_ifd(which)
    except Exception:  # Pillow promises nothing about what damaged EXIF makes it raise
        return {}


def value_of(folder: Mapping[int, Any], tag: int) -> Any:
    """The value of a tag; None where there is none, or it is damaged."""
    try:
        return folder.get(tag)  # Pillow decodes a value when it is asked for
    except Exception:
        return None


def _text(folder: Mapping[int, Any], tag: int) -> str | None:
    value = value_of(folder, tag)
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    plain = "".join(letter if letter.isprintable() else " " for letter in as_utf8(value).partition("\0")[0])
    return " ".join(plain.split())[:_LONGEST] or None


def _taken(detail: Mapping[int, Any]) -> str | None:
    for date_tag, offset_tag in _DATES:
        moment = _moment(_text(detail, date_tag))
        if moment is not None:
            offset = _text(detail, offset_tag) or ""
            return moment + (offset if _OFFSET.fullmatch(offset) else "+00:00" if offset == "Z" else "")
    return None


def _moment(text: str | None) -> str | None:
    match = _MOMENT.match(text or "")
    if match is None:
        return None
    try:
        moment = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    return moment.isoformat() if _EARLIEST <= moment.year <= _LATEST else None


def _coordinates(place: Mapping[int, Any]) -> tuple[float | None, float | None]:
    latitude = _degrees(place, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "NS", 90)
    longitude = _degrees(place, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "EW", 180)
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):
        return None, None  # 0, 0 is what cameras write that found no satellite
    return latitude, longitude


def _degrees(place: Mapping[int, Any], tag: int, side_tag: int, sides: str, most: float) -> float | None:
    parts, side = value_of(place, tag), (_text(place, side_tag) or "?").upper()
    if not isinstance(parts, tuple) or not 1 <= len(parts) <= 3 or side not in tuple(sides):
        return None
    numbers = [_number(part) for part in parts]
    degrees = math.fsum(number / 60**power for power, number in enumerate(numbers))
    if not math.isfinite(degrees) or min(numbers) < 0 or degrees > most:
        return None
    return round(-degrees if side == sides[1] else degrees, 7)


def _altitude(place: Mapping[int, Any]) -> float | None:
    metres = _number(value_of(place, ExifTags.GPS.GPSAltitude))
    if not math.isfinite(metres):
        return None
    below = value_of(place, ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01")
    return round(-metres if below else metres, 3)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, ArithmeticError):
        return math.nan
