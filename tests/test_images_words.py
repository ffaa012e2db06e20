"""What the inside of a picture's file says in words: each format, each kind of metadata, boilerplate, damage."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from picfind.images import Inspected, Picture, decode, inspect, open_picture, xmp_words
from picfind.images.iptc import iptc_of, iptc_words
from picfind.images.texts import LONGEST_TEXT, MOST_TEXTS, is_boilerplate, plain
from picfind.images.words import words_of
from picfind.types import CAPTION, TAG, TITLE, Words

HEIC = Path(__file__).parent / "data" / "heic"
NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
}
DOG = "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>A dog</rdf:li></rdf:Alt></dc:description>"


def xmp(body: str = "", attributes: str = "") -> bytes:
    names = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {names} {attributes}>{body}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta>\n   \n<?xpacket end="w"?>'
    ).encode()


def bag(name: str, *texts: str) -> str:
    return f"<{name}><rdf:Bag>{''.join(f'<rdf:li>{text}</rdf:li>' for text in texts)}</rdf:Bag></{name}>"


def exif(**tags: Any) -> Image.Exif:
    block = Image.Exif()
    for name, value in tags.items():
        if name == "UserComment":
            block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = value
        else:
            block[ExifTags.Base[name]] = value
    return block


def wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def iptc(*fields: tuple[int, int, bytes]) -> bytes:
    return b"".join(struct.pack(">BBBH", 0x1C, *place, len(raw)) + raw for *place, raw in fields)


def saved(file_format: str, **options: Any) -> bytes:
    target = BytesIO()
    Image.new("RGB", (32, 24), (200, 40, 40)).save(target, file_format, **options)
    return target.getvalue()


def with_app13(jpeg: bytes, block: bytes) -> bytes:
    """A JPEG with IPTC data in the segment of its own that Photoshop began."""
    resource = b"8BIM" + struct.pack(">HHL", 0x0404, 0, len(block)) + block + b"\0" * (len(block) % 2)
    body = b"Photoshop 3.0\0" + resource
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def told(data: bytes) -> list[tuple[str, str, str]]:
    """What a file says, which must be the same with and without its pixels."""
    picture, header = decode(data), inspect(data)
    assert (picture.facts, picture.words) == (header.facts, header.words)
    return flat(picture.words)


def flat(words: tuple[Words, ...]) -> list[tuple[str, str, str]]:
    return [(word.text, word.origin, word.kind) for word in words]


# Formats


def test_a_jpeg_with_everything_is_read_in_order_and_each_text_once() -> None:
    data = saved(
        "JPEG",
        exif=exif(ImageDescription="A dog", XPTitle=wide("Holiday"), XPKeywords=wide("dog; beach;;sea")),
        xmp=xmp(DOG + bag("dc:subject", "beach", "sand")),
    )
    data = with_app13(data, iptc((2, 120, b"A DOG"), (2, 105, b"News"), (2, 25, b"sand"), (2, 25, b"sun")))
    assert told(data) == [
        ("A dog", "EXIF", CAPTION),
        ("Holiday", "EXIF", TITLE),
        ("News", "IPTC", TITLE),
        ("dog", "EXIF", TAG),
        ("beach", "EXIF", TAG),
        ("sea", "EXIF", TAG),
        ("sand", "IPTC", TAG),
        ("sun", "IPTC", TAG),
    ]


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_and_xmp_are_read_in_every_format_that_pillow_writes(file_format: str) -> None:
    packet = xmp(bag("dc:subject", "Hund"))
    options: dict[str, Any] = {"xmp": packet}
    if file_format == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"pnginfo": text}
    elif file_format == "TIFF":
        tags = ImageFileDirectory_v2()
        tags[700] = packet
        tags[ExifTags.Base.ImageDescription] = "Ein Hund am Strand"
        options = {"tiffinfo": tags}
    if file_format != "TIFF":
        options["exif"] = exif(ImageDescription="Ein Hund am Strand").tobytes()
    data = saved(file_format, **options)
    assert told(data) == [("Ein Hund am Strand", "EXIF", CAPTION), ("Hund", "XMP", TAG)]


def test_exif_of_a_heic_is_read() -> None:
    data = (HEIC / "turned.heic").read_bytes()
    make = struct.pack(">HH", ExifTags.Base.Make, 2)
    assert data.count(make) == 1
    (found,) = told(data.replace(make, struct.pack(">HH", ExifTags.Base.ImageDescription, 2)))
    assert found[1:] == ("EXIF", CAPTION)


def heic_with_xmp(packet: bytes) -> bytes:
    """A HEIC whose EXIF item has become an item of XMP, its bytes at the end of the file."""
    data = (HEIC / "turned.heic").read_bytes()
    at = next(place for place in offsets(data, b"infe") if data[place + 12 : place + 16] == b"Exif")
    start, size = at - 4, int.from_bytes(data[at - 4 : at], "big")
    (number,) = struct.unpack_from(">H", data, at + 8)
    entry = data[at : at + 12] + b"mime\0application/rdf+xml\0"
    grown = len(entry) + 4 - size
    iloc = data.index(b"iloc")
    data = relocated(data, iloc, grown, number=number, place=len(data) + grown, size=len(packet))
    for box in (data.index(b"meta"), data.index(b"iinf")):
        length = int.from_bytes(data[box - 4 : box], "big") + grown
        data = data[: box - 4] + struct.pack(">L", length) + data[box:]
    return data[:start] + struct.pack(">L", len(entry) + 4) + entry + data[start + size :] + packet


def offsets(data: bytes, name: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(name, at)]


def relocated(data: bytes, iloc: int, by: int, *, number: int, place: int, size: int) -> bytes:
    """The places of all items moved, and the one of an item set. Numbers of 4 bytes, as libheif writes them."""
    version, sizes = data[iloc + 4], data[iloc + 8 : iloc + 10]
    assert (version, sizes) == (0, b"\x44\x40")
    raw, at = bytearray(data), iloc + 12
    for _ in range(int.from_bytes(data[iloc + 10 : iloc + 12], "big")):
        item, _, base, extents, offset, length = struct.unpack_from(">HHLHLL", data, at)
        assert extents == 1
        moved = (place - base, size) if item == number else (offset + by, length)
        struct.pack_into(">LL", raw, at + 10, *moved)
        at += 18
    return bytes(raw)


def test_xmp_of_a_heic_is_read() -> None:
    assert told(heic_with_xmp(xmp(DOG))) == [("A dog", "XMP", CAPTION)]


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
@pytest.mark.parametrize("behind", [False, True])
def test_text_of_a_png_is_read_before_and_behind_the_pixels(kind: str, behind: bool) -> None:
    bodies = {
        "tEXt": b"Description\0" + "Ein Bär".encode("latin-1"),
        "zTXt": b"Description\0\0" + zlib.compress("Ein Bär".encode("latin-1")),
        "iTXt": b"Description\0\0\0de\0\0" + "Ein Bär".encode(),
    }
    body = kind.encode() + bodies[kind]
    chunk = struct.pack(">L", len(body) - 4) + body + struct.pack(">L", zlib.crc32(body))
    data = saved("PNG")
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    assert told(data[:at] + chunk + data[at:]) == [("Ein Bär", "PNG text", CAPTION)]


def test_a_png_says_its_title_description_and_comment_and_not_its_software() -> None:
    text = PngInfo()
    for name in ("Software", "Title", "Comment", "Description", "Author"):
        text.add_text(name, f"some {name.lower()}")
    found = told(saved("PNG", pnginfo=text))
    assert [(text, kind) for text, _, kind in found] == [
        ("some description", CAPTION),
        ("some comment", CAPTION),
        ("some title", TITLE),
    ]


def test_an_animated_png_is_inspected_like_it_is_decoded() -> None:
    other = Image.new("RGB", (32, 24), (0, 0, 250))
    block = exif(ImageDescription="Two frames").tobytes()
    data = saved("PNG", save_all=True, append_images=[other, other], exif=block)
    assert told(data) == [("Two frames", "EXIF", CAPTION)]


@pytest.mark.parametrize("as_numbers", [False, True])
def test_iptc_of_a_tiff_is_read(as_numbers: bool) -> None:
    block = iptc((2, 120, b"Over the sea"), (2, 25, b"dawn"))
    block += bytes(-len(block) % 4)
    tags = ImageFileDirectory_v2()
    tags.tagtype[33723] = 7
    tags[33723] = block
    data = saved("TIFF", tiffinfo=tags)
    if as_numbers:  # as Photoshop says it
        entry = struct.pack("<HHL", 33723, 7, len(block))
        assert data.count(entry) == 1
        data = data.replace(entry, struct.pack("<HHL", 33723, 4, len(block) // 4))
    assert told(data) == [("Over the sea", "IPTC", CAPTION), ("dawn", "IPTC", TAG)]


def test_iptc_of_a_tiff_without_its_raw_tags() -> None:
    class Tags(dict[int, bytes]):
        """Those of a Pillow that keeps no raw tags."""

    image = Image.new("RGB", (1, 1))
    image.tag_v2 = Tags({33723: b"block"})  # type: ignore[attr-defined]
    assert iptc_of(image) == b"block"


def test_comments_and_formats_without_metadata_say_nothing() -> None:
    assert told(saved("JPEG", comment=b"CREATOR: gd-jpeg v1.0")) == []
    assert told(saved("GIF", comment=b"made by somebody")) == []
    assert told(saved("BMP")) == []


def test_an_opened_picture_says_what_its_file_does() -> None:
    data = saved("JPEG", exif=exif(ImageDescription="Here"), xmp=xmp(DOG))
    with Image.open(BytesIO(data)) as image:
        picture = open_picture(image)
    assert picture.words == decode(data).words != ()
    assert Picture(picture.image, picture.facts).words == ()


# EXIF


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"ASCII\0\0\0a dog\0\0\0", "a dog"),
        (b"UNICODE\0" + "ein Bär".encode("utf-16-le"), "ein Bär"),
        (b"UNICODE\0" + "ein Bär".encode("utf-16-be"), "ein Bär"),
        (b"UNICODE\0" + "海边的小狗和孩子们在玩球".encode("utf-16-le"), "海边的小狗和孩子们在玩球"),
        (b"UNICODE\0" + "海边的小狗和孩子们在玩球".encode("utf-16-be"), "海边的小狗和孩子们在玩球"),
        (b"UNICODE\0" + "\ufeffdog".encode("utf-16-be"), "dog"),
        (b"\0" * 8 + "ein Bär".encode(), "ein Bär"),
        (b"no charset at all", "no charset at all"),
        (b"JIS\0\0\0\0\0" + b"$3$s", None),
        (b"\0" * 8 + b"\x01\x02\x03abc", None),
        (b"\0" * 8 + b"\xff\xfe\xfd", None),
        (b"ASCII\0\0\0" + b" " * 64, None),
        (b"ASCII", None),
        (b"", None),
        ("ASCII\0\0\0a dog", "a dog"),
        (7, None),
    ],
)
def test_user_comments(value: Any, expected: str | None) -> None:
    block = Image.Exif()
    block._ifds[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: value}
    block[ExifTags.Base.Orientation] = 1
    assert [word.text for word in words_of(block, {})] == ([] if expected is None else [expected])


def test_tags_of_windows_and_their_kinds() -> None:
    block = exif(
        XPTitle=wide("Titel"),
        XPComment=wide("Kommentar"),
        XPSubject=wide("Thema"),
        XPKeywords=wide("eins;zwei"),
    )
    assert [(text, kind) for text, _, kind in flat(words_of(block, {}))] == [
        ("Kommentar", CAPTION),
        ("Titel", TITLE),
        ("Thema", TITLE),
        ("eins", TAG),
        ("zwei", TAG),
    ]
    block[ExifTags.Base.XPComment] = tuple(wide("numbers"))
    assert words_of(block, {})[0].text == "numbers"


@pytest.mark.parametrize("raw", ["Bär".encode(), "Bär".encode("latin-1")])
def test_a_description_may_be_utf_8_or_latin_1(raw: bytes) -> None:
    assert words_of(exif(ImageDescription=raw.decode("latin-1")), {})[0].text == "Bär"


# IPTC


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([(1, 90, b"\x1b%G"), (2, 120, "Bär".encode())], "Bär"),
        ([(2, 120, "Bär".encode())], "Bär"),
        ([(2, 120, "Bär".encode("latin-1"))], "Bär"),
        ([(2, 5, b"Object name")], "Object name"),
    ],
)
def test_charsets_of_iptc(fields: list[tuple[int, int, bytes]], expected: str) -> None:
    assert [word.text for word in iptc_words(iptc(*fields))] == [expected]


def test_long_and_damaged_fields_of_iptc() -> None:
    long = b"\x1c\x02\x78\x80\x04" + struct.pack(">L", 40_000) + b"a" * 40_000
    assert [len(word.text) for word in iptc_words(long)] == [40_000]
    whole = iptc((2, 25, b"one"), (2, 25, b"two"))
    assert [word.text for word in iptc_words(whole[:-1])] == ["one", "tw"]
    assert [word.text for word in iptc_words(whole + b"\0junk")] == ["one", "two"]


# XMP


def test_every_property_of_xmp_has_its_kind_and_its_levels() -> None:
    packet = xmp(
        bag("dc:subject", "dog", "Strand &amp; Meer")
        + bag("lr:hierarchicalSubject", "Animals|Dog", "darktable|exported", "Places|Italy|Rome")
        + bag("digiKam:TagsList", "People/Anna")
        + bag("Iptc4xmpExt:PersonInImage", "Ben")
        + "<photoshop:Headline>Head</photoshop:Headline>"
        + "<dc:title><rdf:Alt><rdf:li xml:lang='de'>Titel</rdf:li>"
        "<rdf:li xml:lang='x-default'>Title</rdf:li></rdf:Alt></dc:title>"
        + "<Iptc4xmpCore:AltTextAccessibility>For the blind</Iptc4xmpCore:AltTextAccessibility>"
        + DOG
    )
    assert [(word.text, word.kind) for word in xmp_words(packet)] == [
        ("For the blind", CAPTION),
        ("A dog", CAPTION),
        ("Head", TITLE),
        ("Title", TITLE),
        ("Titel", TITLE),
        *((tag, TAG) for tag in ("dog", "Strand & Meer", "Animals", "Places", "Italy", "Rome")),
        *((tag, TAG) for tag in ("People", "Anna", "Ben")),
    ]
    assert {word.origin for word in xmp_words(packet, origin="elsewhere")} == {"elsewhere"}


def test_properties_of_xmp_may_be_attributes() -> None:
    packet = xmp(attributes="photoshop:Headline='Head' dc:description='A dog' dc:format='image/jpeg'")
    assert [(word.text, word.kind) for word in xmp_words(packet)] == [("A dog", CAPTION), ("Head", TITLE)]


def test_names_of_faces_are_tags() -> None:
    packet = xmp(
        "<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:RegionList><rdf:Bag>"
        "<rdf:li><rdf:Description mwg-rs:Name='Anna' mwg-rs:Type='Face'/></rdf:li>"
        "<rdf:li rdf:parseType='Resource'><mwg-rs:Name>Ben</mwg-rs:Name></rdf:li>"
        "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
        "<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag>"
        "<rdf:li><rdf:Description MPReg:PersonDisplayName='Cleo'/></rdf:li>"
        "</rdf:Bag></MPRI:Regions></rdf:Description></MP:RegionInfo>"
    )
    assert [(word.text, word.kind) for word in xmp_words(packet)] == [
        (name, TAG) for name in ("Anna", "Ben", "Cleo")
    ]


def test_what_a_picture_was_made_from_says_nothing_of_it() -> None:
    inner = f"<photoshop:Ingredients><rdf:Bag><rdf:li><rdf:Description>{DOG}</rdf:Description></rdf:li></rdf:Bag></photoshop:Ingredients>"
    assert xmp_words(xmp(inner)) == ()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_xmp_in_other_encodings(encoding: str) -> None:
    text = xmp(DOG).decode().replace("\ufeff", "")
    start = text.index("<x:")
    data = text[start:].encode(encoding)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    assert [word.text for word in xmp_words(data)] == ["A dog"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<x",
        b"description",
        xmp(DOG)[:-60],
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + xmp(DOG)[60:],
        b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r xmlns:dc="x"><dc:title>&b;</dc:title></r>',
        b"<?xml version='1.0' encoding='no-such'?><a b='c:title'/>",
        b"<a:b>:title</a:b>",
        xmp(DOG) + b" " * (1 << 20) + b"x",
        xmp("<dc:description>" + "x" * (1 << 20) + "</dc:description>"),
        b"<a>" * 50_000 + b":title",
    ],
)
def test_damaged_dangerous_and_long_xmp_says_nothing(data: bytes) -> None:
    assert xmp_words(data) == ()


# What is no caption


@pytest.mark.parametrize(
    "text",
    [
        *("OLYMPUS DIGITAL CAMERA", "SAMSUNG DIGITAL CAMERA", "DIGITAL CAMERA", "KODAK Digital Still Camera"),
        *(
            "SONY DSC",
            "MINOLTA DIGITAL CAMERA",
            "Exif_JPEG_PICTURE",
            "SAMSUNG CAMERA PICTURES",
            "dav",
            "oznorCO",
        ),
        *(
            "DCIM",
            r"DCIM\100MEDIA\DJI_0001.JPG",
            "DCIM/100MEDIA/DJI_0001.JPG",
            "Screenshot",
            "IMG_1234.JPG",
            "DSC_0001",
        ),
        *(
            "my holiday 12.jpeg",
            "Untitled",
            "default",
            "Created with GIMP",
            "Processed with VSCO with a6 preset",
        ),
        *(
            "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90",
            "ImageJ=1.53t",
            '{"a": 1}',
            "<x><y/></x>",
        ),
        *(
            "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9w0A==",
            "1234",
            "***",
            "",
            "<Digimax i5, Samsung #1>",
        ),
    ],
)
def test_boilerplate_is_no_caption(text: str) -> None:
    assert is_boilerplate(plain(text))
    assert words_of(exif(ImageDescription=text), {}) == ()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "A dog",
            "My new digital camera",
            "犬",
            "[Anna] and [Ben]",
            "Default settings of a Canon",
            "Dave",
            "x",
        ),
        *("A screenshot of the game", "a-dog-on-the-beach-with-a-red-ball-at-sunset-in-june", "IMG of a dog"),
        *("Made with love by grandma", "Nor any drop to drink", "DCIM folder explained", "P1"),
    ],
)
def test_what_people_write_is_a_caption(text: str) -> None:
    assert not is_boilerplate(plain(text))


def test_a_tag_may_be_a_word_that_is_no_caption() -> None:
    assert not is_boilerplate("HDR", TAG)
    assert is_boilerplate("geo:lat=52.5", TAG)
    assert is_boilerplate("darktable|format|jpg", TAG)


def test_texts_are_cleaned_and_limited() -> None:
    assert plain(" a\tdog\r\n\0on\u2028the \x1b[1m beach\u202e\ud800\ufffe ") == "a dog on the [1m beach"
    assert plain("a\ufffdb") == "ab"
    assert plain("e\u0301te\u0301") == "\u00e9t\u00e9"
    assert plain("👩\u200d👧") == "👩\u200d👧"
    assert len(plain("a" * 10_000)) == LONGEST_TEXT
    many = xmp(bag("dc:subject", *(f"tag {number}" for number in range(300))))
    assert len(xmp_words(many)) == MOST_TEXTS


# Garbage


def is_clean(words: tuple[Words, ...]) -> bool:
    for word in words:
        word.text.encode("utf-8")
    return all(word.text and word.text == plain(word.text) for word in words)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x1c\x02\x78", b"\x1c\x02\x19\x80\x04", b"\x1c\x01\x5a\0\x03\x1b%G"]),
)
def test_any_bytes_are_iptc_of_some_kind(block: bytes, start: bytes) -> None:
    assert is_clean(words_of(Image.Exif(), {}, iptc=start + block))


@given(st.binary(max_size=60), st.integers(0, 900), st.integers(0, 900))
def test_damaged_xmp_never_raises(noise: bytes, start: int, end: int) -> None:
    whole = xmp(DOG + bag("lr:hierarchicalSubject", "a|b"))
    assert is_clean(xmp_words(whole[:start] + noise + whole[max(start, end) :]))
    assert is_clean(xmp_words(noise))


values = (
    st.binary(max_size=40)
    | st.text(max_size=40)
    | st.integers()
    | st.none()
    | st.tuples(st.integers(), st.text())
)


@given(values, values, values, values)
def test_any_values_of_exif_and_of_info_are_survived(
    description: Any, comment: Any, words: Any, packet: Any
) -> None:
    block = Image.Exif()
    block._data = {ExifTags.Base.ImageDescription: description, ExifTags.Base.XPKeywords: words}
    block._ifds[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: comment}
    assert is_clean(words_of(block, {"xmp": packet, "Title": words, "Comment": comment}))


FULL = with_app13(
    saved("JPEG", exif=exif(ImageDescription="A dog", UserComment=b"UNICODE\0d\0o\0g\0"), xmp=xmp(DOG)),
    iptc((2, 120, b"A caption"), (2, 25, b"tag")),
)


METADATA = range(20, FULL.index(b"\xff\xdb"))
SEGMENTS = {place + step for place in METADATA if FULL[place] == 0xFF for step in range(4)}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(METADATA), st.integers(0, 254)), max_size=12))
def test_a_jpeg_of_damaged_metadata_is_still_a_picture(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(FULL)
    for place, value in changes:
        if place not in SEGMENTS:
            raw[place] = value
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = decode(bytes(raw))
    assert 32 in (found.facts.width, found.facts.height)
    assert is_clean(found.words)
    assert inspect(bytes(raw)) == Inspected(found.facts, found.words)
    assert not caught
