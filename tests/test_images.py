"""Bytes of pictures in every format, mode and orientation; facts; limits; damage."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from picfind import images
from picfind.errors import (
    MissingSourceError,
    NotAPictureError,
    PictureError,
    PictureTooLargeError,
    TruncatedPictureError,
)
from picfind.images import (
    Inspected,
    Limits,
    decode,
    inspect,
    open_picture,
    read_limited,
    reading,
    thumbnail_jpeg,
)
from picfind.images.facts import orientation_of, read_facts

HEIC = Path(__file__).parent / "data" / "heic"
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255)


def pattern(width: int = 48, height: int = 32) -> Image.Image:
    """Red and green above, blue and white below: no turn or flip of it looks the same."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def corners(image: Image.Image) -> tuple[tuple[int, int], list[Any]]:
    right, low = image.width * 3 // 4, image.height * 3 // 4
    left, top = image.width // 4, image.height // 4
    return image.size, [
        image.getpixel(place) for place in ((left, top), (right, top), (left, low), (right, low))
    ]


def assert_looks_like(image: Image.Image, expected: Image.Image, *, within: int = 12) -> None:
    assert image.mode == "RGB"
    size, colours = corners(image)
    expected_size, expected_colours = corners(expected)
    assert size == expected_size
    assert np.abs(np.array(colours, int) - np.array(expected_colours, int)).max() <= within


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    target = BytesIO()
    image.save(target, file_format, **options)
    return target.getvalue()


# Formats and modes


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_every_format_is_read(file_format: str) -> None:
    picture = decode(saved(pattern(), file_format))
    assert_looks_like(picture.image, pattern())
    assert (picture.facts.format, picture.facts.width, picture.facts.height) == (file_format, 48, 32)
    assert picture.facts.orientation is None


def test_heic_is_read() -> None:
    picture = decode((HEIC / "upright.heic").read_bytes())
    assert_looks_like(picture.image, pattern())
    assert (picture.facts.format, picture.facts.width, picture.facts.height) == ("HEIF", 48, 32)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_compressed_tiffs_are_read(compression: str) -> None:
    assert_looks_like(decode(saved(pattern(), "TIFF", compression=compression)).image, pattern())


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        *(("1", file_format) for file_format in ("PNG", "TIFF", "BMP", "GIF")),
        *(("L", file_format) for file_format in ("PNG", "TIFF", "BMP", "JPEG", "WEBP", "GIF", "AVIF")),
        *(("P", file_format) for file_format in ("PNG", "TIFF", "BMP", "GIF")),
        *(("CMYK", file_format) for file_format in ("TIFF", "JPEG")),
        ("LAB", "TIFF"),
    ],
)
def test_every_mode_becomes_rgb(mode: str, file_format: str) -> None:
    if mode == "LAB":
        from PIL import ImageCms

        turn = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        image = ImageCms.applyTransform(pattern(), turn)
        assert image is not None
    else:
        image = pattern().convert(mode, dither=Image.Dither.NONE)
    expected = pattern() if mode == "LAB" else image.convert("RGB")
    options = {"quality": 95} if file_format in ("JPEG", "AVIF") else {}
    assert_looks_like(decode(saved(image, file_format, **options)).image, expected)


def test_a_tiff_in_ycbcr_is_read() -> None:
    data = saved(pattern().convert("YCbCr"), "TIFF", compression="tiff_lzw")
    assert_looks_like(decode(data).image, pattern())


def translucent(mode: str) -> Image.Image:
    image = pattern().convert("L" if mode == "LA" else "RGB").convert(mode)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 24, 16))
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("RGBA", "AVIF"), ("RGBA", "GIF"), ("LA", "PNG")],
)
def test_transparency_becomes_white(mode: str, file_format: str) -> None:
    picture = decode(
        saved(translucent(mode), file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    )
    expected = translucent(mode).convert("RGB")
    expected.paste(WHITE, (0, 0, 24, 16))
    assert_looks_like(picture.image, expected)


def test_half_transparency_is_half_white() -> None:
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert decode(saved(half, "PNG")).image.getpixel((4, 4)) == (127, 127, 127)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255, 255, 255])])
def test_transparent_palettes_become_white(transparency: int | bytes) -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([9, 9, 9, *GREEN, *BLUE, *RED])
    image.paste(0, (0, 0, 8, 16))
    found = decode(saved(image, "PNG", transparency=transparency)).image
    assert (found.getpixel((2, 2)), found.getpixel((12, 2))) == (WHITE, GREEN)


def test_a_transparent_colour_becomes_white() -> None:
    found = decode(saved(pattern(), "PNG", transparency=RED)).image
    assert (found.getpixel((2, 2)), found.getpixel((40, 2))) == (WHITE, GREEN)


def test_a_transparent_palette_with_alpha_channel_becomes_white() -> None:
    image = Image.new("PA", (8, 8))
    image.putpalette([*GREEN, *RED])
    assert open_picture(image).image.getpixel((2, 2)) == WHITE


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_counts(file_format: str) -> None:
    other = Image.new("RGB", (48, 32), BLUE)
    data = saved(pattern(), file_format, save_all=True, append_images=[other, other])
    assert_looks_like(decode(data).image, pattern(), within=16)


def test_mpo_is_read_and_scaled_like_a_jpeg() -> None:
    big, other = pattern(1600, 1200), Image.new("RGB", (1600, 1200), BLUE)
    data = saved(big, "MPO", save_all=True, append_images=[other])
    with Image.open(BytesIO(data)) as check:
        assert check.format == "MPO"
    picture = decode(data, at_least=512)
    assert_looks_like(picture.image, pattern(800, 600))
    assert (picture.facts.format, picture.facts.width) == ("JPEG", 1600)


@pytest.mark.parametrize(
    ("dtype", "white"),
    [("<u2", 65535), ("<u2", 4095), ("<u2", 1023), ("<i4", 65535), ("<i4", 2_000_000), ("<f4", 1.0)],
)
def test_deep_grey_is_spread_over_what_the_eye_sees(dtype: str, white: float) -> None:
    ramp = np.linspace(0, white, 64).reshape(1, 64).repeat(8, 0).astype(dtype)
    found = np.asarray(decode(saved(Image.fromarray(ramp), "TIFF")).image).astype(int)
    assert np.abs(found[4, :, 0] - np.linspace(0, 255, 64)).max() <= 2
    assert (found[..., 0] == found[..., 2]).all()


def test_a_16_bit_png_and_big_endian_tiff_are_read() -> None:
    ramp = np.linspace(0, 65535, 64).reshape(1, 64).repeat(8, 0).astype("<u2")
    for data in (saved(Image.fromarray(ramp), "PNG"), big_endian_tiff(ramp)):
        found = np.asarray(decode(data).image).astype(int)
        assert np.abs(found[4, :, 0] - np.linspace(0, 255, 64)).max() <= 1


def big_endian_tiff(values: Any) -> bytes:
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 200), (277, 1), (278, height)]
    tags.append((279, values.size * 2))
    entries = b"".join(struct.pack(">HHLL", tag, 4, 1, value) for tag, value in tags)
    head = b"MM\0*" + struct.pack(">LH", 8, len(tags)) + entries + bytes(4)
    pixels: bytes = values.astype(">u2").tobytes()
    return head.ljust(200, b"\0") + pixels


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 127.5, 255.0], [0, 128, 255]),
        ([-1.0, 0.0, 3.0], [0, 64, 255]),
        ([np.nan, np.inf, 1.0], [0, 255, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
        ([5000.0, 5000.0, 5000.0], [0, 0, 0]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
    ],
)
def test_floats(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert [value[0] for value in np.asarray(open_picture(image).image)[0].tolist()] == expected


# Orientation

TURNS: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda image: image,
    2: ImageOps.mirror,
    3: lambda image: image.rotate(180),
    4: ImageOps.flip,
    5: lambda image: ImageOps.mirror(image.rotate(-90, expand=True)),
    6: lambda image: image.rotate(90, expand=True),
    7: lambda image: ImageOps.mirror(image.rotate(90, expand=True)),
    8: lambda image: image.rotate(-90, expand=True),
}
"""How the stored pixels lie for each orientation of EXIF."""


def exif(orientation: int | None = None) -> Image.Exif:
    block = Image.Exif()
    if orientation:
        block[ExifTags.Base.Orientation] = orientation
    return block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_turned_upright_once(file_format: str, orientation: int) -> None:
    data = saved(TURNS[orientation](pattern()), file_format, exif=exif(orientation), quality=95)
    picture = decode(data)
    assert_looks_like(picture.image, pattern())
    assert (picture.facts.width, picture.facts.height) == (48, 32)
    if orientation > 1:
        assert picture.facts.orientation == orientation


def test_nothing_is_left_that_could_turn_a_picture_again() -> None:
    for file_format in ("JPEG", "PNG", "TIFF", "AVIF"):
        image = decode(saved(TURNS[6](pattern()), file_format, exif=exif(6))).image
        assert image.info == {}
        assert_looks_like(ImageOps.exif_transpose(image), pattern())


@pytest.mark.parametrize("value", [0, 9, 250])
def test_an_impossible_orientation_is_none(value: int) -> None:
    picture = decode(saved(pattern(), "JPEG", exif=exif(value) if value else exif(), quality=95))
    assert_looks_like(picture.image, pattern())
    assert picture.facts.orientation is None


def test_a_png_with_its_exif_behind_the_pixels_is_turned() -> None:
    data = saved(TURNS[6](pattern()), "PNG")
    block = exif(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">L", len(block)) + b"eXIf" + block + struct.pack(">L", zlib.crc32(b"eXIf" + block))
    end = data.index(b"IEND") - 4
    assert_looks_like(decode(data[:end] + chunk + data[end:]).image, pattern())


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_that_lies_on_its_side_is_turned_once(compression: str) -> None:
    picture = decode(saved(TURNS[8](pattern()), "TIFF", exif=exif(8), compression=compression))
    assert_looks_like(picture.image, pattern())
    assert (picture.facts.width, picture.facts.height, picture.facts.orientation) == (48, 32, 8)


@pytest.mark.parametrize(
    ("name", "orientation"),
    [("turned", 6), ("turned_without_exif_orientation", 1), ("turned_and_mirrored", 5)],
)
def test_heic_is_turned_by_its_boxes_once(name: str, orientation: int) -> None:
    picture = decode((HEIC / f"{name}.heic").read_bytes())
    assert_looks_like(picture.image, pattern())
    assert (picture.facts.width, picture.facts.height) == (48, 32)
    assert (picture.facts.orientation, picture.facts.taken) == (orientation, "2021-02-03T04:05:06")


def test_the_orientation_in_exif_alone_does_not_turn_a_heic() -> None:
    picture = decode((HEIC / "exif_orientation_only.heic").read_bytes())
    assert_looks_like(picture.image, TURNS[6](pattern()))


# Scaled decoding


@pytest.mark.parametrize(
    ("size", "at_least", "expected"),
    [
        ((4000, 3000), 512, (1000, 750)),
        ((3000, 4000), 512, (750, 1000)),
        ((4100, 4096), 512, (513, 512)),
        ((4100, 4095), 512, (1025, 1024)),
        ((1000, 600), 512, (1000, 600)),
        ((300, 200), 512, (300, 200)),
        ((2000, 1500), None, (2000, 1500)),
        ((2000, 1500), 100, (250, 188)),
    ],
)
def test_a_jpeg_is_decoded_no_smaller_than_asked(
    size: tuple[int, int], at_least: int | None, expected: tuple[int, int]
) -> None:
    picture = decode(saved(Image.new("RGB", size), "JPEG"), at_least=at_least)
    assert picture.image.size == expected
    assert (picture.facts.width, picture.facts.height) == size


def test_a_scaled_jpeg_is_turned_and_has_the_size_of_the_full_picture() -> None:
    picture = decode(saved(TURNS[6](pattern(1600, 1200)), "JPEG", exif=exif(6)), at_least=300)
    assert_looks_like(picture.image, pattern(400, 300))
    assert (picture.facts.width, picture.facts.height) == (1600, 1200)


# Facts


def described() -> Image.Exif:
    block = exif()
    block[ExifTags.Base.Make], block[ExifTags.Base.Model] = "  Maker\0junk", "Modèle\n3".encode()
    block[ExifTags.Base.DateTime] = "2024:12:31 00:00:00"
    detail = block.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.DateTimeOriginal] = "2023:05:14 10:15:30"
    detail[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    detail[ExifTags.Base.LensModel] = "50mm f/1.8"
    place = block.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "S", (33.0, 51.0, 25.2)
    place[ExifTags.GPS.GPSLongitudeRef], place[ExifTags.GPS.GPSLongitude] = "W", (70.0, 30.0, 0.0)
    place[ExifTags.GPS.GPSAltitudeRef], place[ExifTags.GPS.GPSAltitude] = b"\x01", 12.5
    return block


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_facts_are_read(file_format: str) -> None:
    facts = decode(saved(pattern(), file_format, exif=described().tobytes())).facts
    assert facts.taken == "2023-05-14T10:15:30+02:00"
    assert facts.camera_make == "Maker"
    assert facts.camera_model == (
        "Mod??le 3" if file_format == "TIFF" else "Modèle 3"
    )  # Pillow writes TIFFs in ASCII
    assert facts.lens == "50mm f/1.8"
    assert facts.latitude == pytest.approx(-33.857)
    assert facts.longitude == pytest.approx(-70.5)
    assert facts.altitude == pytest.approx(-12.5)


def facts_of(change: Callable[[Image.Exif], None]) -> images.Facts:
    block = described()
    change(block)
    return decode(saved(pattern(), "JPEG", exif=block)).facts


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("0000:00:00 00:00:00", None),
        ("2023:02:30 10:15:30", None),
        ("    :  :     :  :  ", None),
        ("1703:01:01 00:00:00", None),
        ("nonsense", None),
        ("", None),
        ("2023-05-14 10:15:30", "2023-05-14T10:15:30+02:00"),
        ("2023:05:14 10:15:30.25", "2023-05-14T10:15:30+02:00"),
    ],
)
def test_dates_that_are_nonsense_are_none(text: str, taken: str | None) -> None:
    def change(block: Image.Exif) -> None:
        block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = text

    assert facts_of(change).taken == taken


@pytest.mark.parametrize(
    ("offset", "ending"), [("Z", "+00:00"), ("-09:30", "-09:30"), ("+25:00", ""), ("", "")]
)
def test_offsets(offset: str, ending: str) -> None:
    def change(block: Image.Exif) -> None:
        block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.OffsetTimeOriginal] = offset

    assert facts_of(change).taken == f"2023-05-14T10:15:30{ending}"


def test_the_date_of_a_scan_counts_and_that_of_an_edit_does_not() -> None:
    block = exif()
    block[ExifTags.Base.DateTime] = "2024:12:31 00:00:00"
    assert decode(saved(pattern(), "JPEG", exif=block)).facts.taken is None
    block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeDigitized] = "2020:01:02 03:04:05"
    assert decode(saved(pattern(), "JPEG", exif=block)).facts.taken == "2020-01-02T03:04:05"


@pytest.mark.parametrize(
    ("latitude", "side"),
    [
        ((95.0, 0.0, 0.0), "N"),
        ((10.0, 0.0, 0.0), "?"),
        ((IFDRational(0, 0), 0.0, 0.0), "N"),
        ((10.0, 0.0, 0.0), ""),
    ],
)
def test_places_that_are_nonsense_are_none(latitude: tuple[Any, ...], side: str) -> None:
    def change(block: Image.Exif) -> None:
        place = block.get_ifd(ExifTags.IFD.GPSInfo)
        place[ExifTags.GPS.GPSLatitude], place[ExifTags.GPS.GPSLatitudeRef] = latitude, side

    facts = facts_of(change)
    assert (facts.latitude, facts.longitude) == (None, None)


def test_zero_zero_is_no_place() -> None:
    def change(block: Image.Exif) -> None:
        place = block.get_ifd(ExifTags.IFD.GPSInfo)
        place[ExifTags.GPS.GPSLatitude] = place[ExifTags.GPS.GPSLongitude] = (0.0, 0.0, 0.0)

    assert facts_of(change).latitude is None


class Broken(Image.Exif):
    """EXIF that raises when it is asked, as Pillow's may when it is damaged."""

    def get(self, tag: int, default: Any = None) -> Any:
        raise struct.error(f"tag {tag}")

    def get_ifd(self, tag: int) -> dict[int, Any]:
        raise SyntaxError(f"folder {tag}")


def test_exif_that_raises_has_no_facts() -> None:
    found = read_facts(Broken(), picture_format="JPEG", size=(3, 2), orientation=orientation_of(Broken()))
    assert found == images.Facts("JPEG", 3, 2)


@pytest.mark.parametrize("value", [7, b"\xff\0", "\x01\x02", ("a", "b"), ""])
def test_text_that_is_none_is_none(value: Any) -> None:
    block = exif()
    block[ExifTags.Base.Make] = value
    found = read_facts(block, picture_format="JPEG", size=(3, 2), orientation=None).camera_make
    assert found == ("ÿ" if value == b"\xff\0" else None)


def test_exif_that_is_none_costs_no_picture() -> None:
    data = (HEIC / "turned.heic").read_bytes()
    picture = decode(data.replace(b"Exif\0\0MM\0*", b"Exif\0\0XX\0*"))
    assert_looks_like(picture.image, pattern())
    assert picture.facts.taken is None


# Limits


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))

    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_a_huge_picture_is_refused_from_its_header() -> None:
    with pytest.raises(PictureTooLargeError, match=r"60000 x 60000 .* 256,000,000.*max_pixels"):
        decode(png_header(60_000, 60_000))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_the_limit_of_pixels_is_kept_in_every_format(file_format: str) -> None:
    data = saved(pattern(), file_format)
    assert decode(data, limits=Limits(max_pixels=48 * 32)).image.size == (48, 32)
    with pytest.raises(PictureTooLargeError, match="48 x 32"):
        decode(data, limits=Limits(max_pixels=48 * 32 - 1))


def test_the_limit_of_pixels_is_kept_for_heic_and_images() -> None:
    for source in ((HEIC / "turned.heic").read_bytes(), pattern()):
        with pytest.raises(PictureTooLargeError, match="48 x 32"):
            open_picture(source, limits=Limits(max_pixels=1535))


def test_a_photo_of_200_megapixels_is_no_trouble() -> None:
    data = saved(Image.new("L", (16_000, 12_500), 90), "JPEG")
    before, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = decode(data)
    assert not caught
    assert picture.image.size == (2000, 1563)
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == (before, filters)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP", "TIFF", "AVIF"])
def test_the_limit_of_the_host_application_is_its_own(
    file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(pattern(), file_format)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert_looks_like(decode(data).image, pattern())
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(Image.DecompressionBombError):
        Image.open(BytesIO(data))


def test_what_pillow_itself_finds_too_large_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(pattern(), "GIF", disposal=2)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(PictureTooLargeError, match="Pillow"):
        decode(data)


def test_the_limit_of_bytes_is_kept() -> None:
    data = saved(pattern(), "PNG")
    limits = Limits(max_bytes=len(data) - 1)
    with pytest.raises(PictureTooLargeError, match="max_bytes"):
        decode(data, limits=limits)
    with pytest.raises(PictureTooLargeError, match="max_bytes"):
        read_limited(BytesIO(data), limits)
    assert read_limited(BytesIO(data), Limits(max_bytes=len(data))) == data
    assert read_limited(BytesIO(b"")) == b""


def test_no_more_is_read_than_one_byte_past_the_limit() -> None:
    class Endless:
        given = 0

        def read(self, count: int) -> bytes:
            self.given += count
            return bytes(count)

    endless = Endless()
    with pytest.raises(PictureTooLargeError):
        read_limited(cast(BinaryIO, endless), Limits(max_bytes=3_000_000))
    assert endless.given == 3_000_001


# What is no picture, or no whole one


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"Just some text in a file called photo.jpg\n", "no picture"),
        (b"BM is how this text begins", "no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "no picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "no picture"),
        (b"\0", "no picture"),
        (b"RIFF\0\0\0\0WAVEfmt ", "no picture"),
        (b"8BPS\0\1" + bytes(30), "no picture"),
    ],
)
def test_what_is_no_picture_is_said_so(data: bytes, message: str) -> None:
    with pytest.raises(NotAPictureError, match=message):
        decode(data)


def wide_pattern(file_format: str) -> bytes:
    noise = np.random.default_rng(5).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return saved(Image.fromarray(noise), file_format)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_half_a_file_is_truncated(file_format: str) -> None:
    data = wide_pattern(file_format)
    with pytest.raises(TruncatedPictureError, match=file_format) as caught:
        decode(data[: len(data) // 2])
    assert "\n" not in str(caught.value)


def test_half_a_heic_is_truncated() -> None:
    with pytest.raises(TruncatedPictureError, match="HEIF") as caught:
        decode((HEIC / "truncated.heic").read_bytes())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [b"\xc5xif", b"E\xffif", b"Exi\xe6"])
def test_a_heic_with_a_damaged_item_type_ends_no_process(value: bytes) -> None:
    data = (HEIC / "turned.heic").read_bytes()
    at = data.index(b"infe", data.index(b"infe") + 4)
    assert data[at + 12 : at + 16] == b"Exif"
    with pytest.raises(TruncatedPictureError, match="type"):
        decode(data[: at + 12] + value + data[at + 16 :])


def samples() -> dict[str, bytes]:
    small = pattern(24, 16)
    found = {
        name: saved(small, name, exif=described().tobytes())
        for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
    }
    found["GIF"], found["BMP"] = saved(small, "GIF"), saved(small, "BMP")
    found["MPO"] = saved(small, "MPO", save_all=True, append_images=[small])
    found["animated PNG"] = saved(small, "PNG", save_all=True, append_images=[pattern(24, 16).rotate(180)])
    found["packed TIFF"] = saved(small, "TIFF", compression="tiff_lzw", exif=exif(6))
    found["HEIC"] = (HEIC / "turned.heic").read_bytes()
    return found


SAMPLES = samples()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_header_says_what_decoding_finds(name: str) -> None:
    picture, header = decode(SAMPLES[name]), inspect(SAMPLES[name])
    assert header == Inspected(picture.facts, picture.words)
    for orientation in (6, 8):
        if name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
            data = saved(TURNS[orientation](pattern()), name, exif=exif(orientation))
            assert inspect(data).facts == decode(data).facts


def test_a_header_is_inspected_without_pixels() -> None:
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    whole = saved(noise, "JPEG")
    assert inspect(whole[: len(whole) // 2]) == inspect(whole)
    png = bytearray(saved(noise, "PNG"))
    before = inspect(bytes(png))
    png[len(png) // 2] ^= 0xFF
    assert inspect(bytes(png)) == before
    with pytest.raises(TruncatedPictureError):
        decode(bytes(png))


def test_a_png_that_ends_behind_its_pixels_is_inspected_as_it_is_decoded() -> None:
    data = SAMPLES["PNG"]
    cut = data[: data.index(b"IEND") - 4]
    assert inspect(cut) == Inspected(decode(cut).facts, decode(cut).words)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_header_is_held_to_the_same_limits(name: str) -> None:
    data = SAMPLES[name]
    facts = inspect(data).facts
    pixels = facts.width * facts.height
    assert inspect(data, limits=Limits(max_pixels=pixels)).facts == facts
    with pytest.raises(PictureTooLargeError, match="max_pixels"):
        inspect(data, limits=Limits(max_pixels=pixels - 1))
    with pytest.raises(PictureTooLargeError, match="max_bytes"):
        inspect(data, limits=Limits(max_bytes=len(data) - 1))
    with pytest.raises(PictureError):
        inspect(data[:20])
    with pytest.raises(NotAPictureError):
        inspect(b"Just some text")


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_hostile_bytes_give_a_picture_or_a_picture_error(name: str, data: st.DataObject) -> None:
    raw = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw)) | st.just(len(raw))) :]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            picture = decode(bytes(raw), limits=Limits(max_pixels=1_000_000))
        except PictureError as error:
            assert str(error)
            with suppress(PictureError):
                inspect(bytes(raw))
        else:
            header = inspect(bytes(raw))
            assert (header.facts.width, header.facts.height) == (picture.facts.width, picture.facts.height)
            assert "PNG" in name or header == Inspected(picture.facts, picture.words)
            assert picture.image.mode == "RGB"
            picture.image.tobytes()
    assert [str(warning.message) for warning in caught] == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08"]))
def test_damaged_exif_costs_no_picture(block: bytes, start: bytes) -> None:
    data = saved(pattern(), "JPEG", exif=b"Exif\0\0")
    at = data.index(b"Exif\0\0")
    body = b"Exif\0\0" + start + block
    data = data[: at - 2] + struct.pack(">H", len(body) + 2) + body + data[at + 6 :]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = decode(data)
    assert set(picture.image.size) == {48, 32}
    assert not caught


def test_too_little_memory_is_a_picture_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reading, "load", fail)
    with pytest.raises(PictureTooLargeError, match="memory"):
        decode(saved(pattern(), "PNG"))


# Pictures of queries


def test_a_picture_can_be_a_path_bytes_a_file_or_an_image(tmp_path: Path) -> None:
    data = saved(TURNS[6](pattern()), "JPEG", exif=exif(6), quality=95)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with path.open("rb") as file, Image.open(path) as image:
        for source in (path, data, file, image):
            assert_looks_like(open_picture(cast(Any, source)).image, pattern())
        assert image.size == (32, 48)
        assert image.getexif()[ExifTags.Base.Orientation] == 6


def test_an_image_in_memory_stays_as_it_is() -> None:
    mine = pattern()
    mine.info["comment"] = "kept"
    picture = open_picture(mine)
    picture.image.paste((0, 0, 0), (0, 0, 48, 32))
    assert_looks_like(mine, pattern())
    assert mine.info == {"comment": "kept"}
    assert (picture.facts.format, picture.facts.width, picture.facts.height) == ("", 48, 32)


def test_an_opened_tiff_that_lies_on_its_side_is_turned_once() -> None:
    with Image.open(BytesIO(saved(TURNS[6](pattern()), "TIFF", exif=exif(6)))) as image:
        picture = open_picture(image)
    assert_looks_like(picture.image, pattern())
    assert (picture.facts.width, picture.facts.height) == (48, 32)


def test_errors_name_the_path(tmp_path: Path) -> None:
    text = tmp_path / "line\nbreak.jpg"
    if sys.platform != "win32":
        text.write_text("no picture")
        with pytest.raises(NotAPictureError, match=r"line\\nbreak\.jpg: It is no picture"):
            open_picture(text)
    with pytest.raises(MissingSourceError, match=r"gone\.jpg"):
        open_picture(tmp_path / "gone.jpg")
    with pytest.raises(PictureError, match=tmp_path.name):
        open_picture(tmp_path)
    with pytest.raises(PictureError, match="cannot be read"):
        open_picture(tmp_path / "nul\0.jpg")


# Thumbnails


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 500), (256, 128)), ((40, 30), (40, 30)), ((3000, 1), (256, 1))]
)
def test_thumbnails_are_small_baseline_jpegs_without_metadata(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = pattern(*size)
    image.info.update(
        comment=b"secret place", exif=described().tobytes(), icc_profile=b"profile", xmp=b"secret"
    )
    data = thumbnail_jpeg(image)
    assert data == thumbnail_jpeg(image)
    with Image.open(BytesIO(data)) as small:
        assert (small.format, small.size) == ("JPEG", expected)
        assert not set(small.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert "progressive" not in small.info
    assert b"secret" not in data
    assert image.info["comment"] == b"secret place"


def test_thumbnails_take_any_mode() -> None:
    for mode in ("RGBA", "P", "L", "CMYK", "I;16"):
        assert thumbnail_jpeg(Image.new(mode, (20, 10)), side=8).startswith(b"\xff\xd8")


# The process around it


def test_many_threads_at_once() -> None:
    jobs = list(SAMPLES) * 12
    broken = SAMPLES["TIFF"][:60]
    filters, most = list(warnings.filters), Image.MAX_IMAGE_PIXELS

    def work(name: str) -> str:
        with pytest.raises(PictureError):
            decode(broken)
        return decode(SAMPLES[name]).facts.format

    with ThreadPoolExecutor(8) as pool:
        formats = list(pool.map(work, jobs))
    known = {"MPO": "JPEG", "HEIC": "HEIF", "packed TIFF": "TIFF", "animated PNG": "PNG"}
    assert formats == [known.get(name, name) for name in jobs]
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == (filters, most)


def test_importing_it_is_light_and_registers_nothing() -> None:
    code = (
        "import sys, picfind.images\n"
        "heavy = {'onnxruntime', 'pi_heif', 'faiss', 'tokenizers', 'pathspec', 'defusedxml'} & set(sys.modules)\n"
        "from PIL import Image\n"
        "assert not heavy, heavy\n"
        f"picfind.images.decode(open({str(HEIC / 'upright.heic')!r}, 'rb').read())\n"
        "assert 'pi_heif' in sys.modules and 'HEIF' not in Image.OPEN\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
