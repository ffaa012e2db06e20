"""The words in XMP: what photo programs write into pictures and into `.xmp` files beside them (ISO 16684-1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from picfind.images.texts import people_wrote
from picfind.types import CAPTION, TAG, TITLE, Words

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST_BYTES = 1 << 20
"""A longer packet is not read: it holds edits and previews, and reading it would cost more than its words are worth."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_LIGHTROOM = "{http://ns.adobe.com/lightroom/1.0/}"
_IPTC_CORE = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_IPTC_EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_DIGIKAM = "{http://www.digikam.org/ns/1.0/}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

_PROPERTIES = {
    f"{_DC}description": (CAPTION, ""),
    f"{_IPTC_CORE}AltTextAccessibility": (CAPTION, ""),
    f"{_IPTC_CORE}ExtDescrAccessibility": (CAPTION, ""),
    f"{_DC}title": (TITLE, ""),
    f"{_PHOTOSHOP}Headline": (TITLE, ""),
    f"{_DC}subject": (TAG, ""),
    f"{_LIGHTROOM}hierarchicalSubject": (TAG, "|"),
    f"{_DIGIKAM}TagsList": (TAG, "/"),
    f"{_IPTC_EXT}PersonInImage": (TAG, ""),
}
"""Of each property the kind, and what stands between the levels of its tags: `Animals|Dog` is two of them."""
_PEOPLE = {
    "{http://www.metadataworkinggroup.com/schemas/regions/}Name",
    "{http://ns.microsoft.com/photo/1.2/t/Region#}PersonDisplayName",
}
"""The names of faces, deep in a list of regions."""
_MAY_SAY = re.compile(
    rb"[:\s](?:description|title|subject|Headline|hierarchicalSubject|TagsList|PersonInImage"
    rb"|AltTextAccessibility|ExtDescrAccessibility|PersonDisplayName)\b|schemas/regions/|\0"
)
"""What a packet holds that is worth parsing: most hold the settings of a development only. \0: it is in UTF-16."""
_IS_NAMED = re.compile(rb"schemas/regions/|photo/1\.2/t/Region#")


def xmp_words(data: bytes, *, origin: str = "XMP") -> tuple[Words, ...]:
    """The words of an XMP packet or file: captions, then titles, then tags; nothing where it is damaged.

    Properties may be elements or attributes. Extended XMP, the second packet of a JPEG, is not read.
    """
    return people_wrote(found_in_xmp(data, origin=origin))


def found_in_xmp(data: bytes, *, origin: str = "XMP") -> list[Words]:
    """All words of a packet as they stand there."""
    root = _parsed(data)
    if root is None:
        return []
    found = [Words(text, origin, kind) for kind, text in _described(root)]
    if _IS_NAMED.search(data):
        found += [Words(name, origin, TAG) for name in _people(root)]
    return found


def _parsed(data: bytes) -> Element | None:
    if b"\0" not in data[:4]:  # no UTF-16, of which each second byte is zero
        data = data.strip(b"\0 \r\n\t")
    if len(data) > MOST_BYTES or not _MAY_SAY.search(data):
        return None
    try:
        return _parser()(data, forbid_dtd=True)
    except Exception:  # ill-formed, forbidden, in an encoding that there is not: all of it is damage
        return None


def _parser() -> Callable[..., Element]:
    from defusedxml.ElementTree import fromstring  # takes a moment, and most pictures have no XMP

    parser: Callable[..., Element] = fromstring
    return parser


def _described(root: Element) -> Iterator[tuple[str, str]]:
    """Kind and text of each property of the picture itself, and not of what it was made from."""
    for rdf in root.iter(f"{_RDF}RDF"):
        for description in rdf.findall(f"{_RDF}Description"):
            for name, value in description.items():
                yield from _texts(name, [value])
            for element in description:
                if element.tag in _PROPERTIES:
                    yield from _texts(element.tag, _values(element))


def _texts(name: str, values: list[str]) -> Iterator[tuple[str, str]]:
    known = _PROPERTIES.get(name)
    if known is not None:
        kind, separator = known
        for value in values:
            if separator and value.startswith("darktable"):
                continue
            for text in value.split(separator) if separator else [value]:
                yield kind, text


def _values(element: Element) -> list[str]:
    """The texts of a property: its own, or those of its list; of several languages the default one first."""
    entries = sorted(element.iter(f"{_RDF}li"), key=lambda entry: entry.get(_LANGUAGE) != "x-default")
    return [entry.text or "" for entry in entries or [element]]


def _people(root: Element) -> Iterator[str]:
    for element in root.iter():
        if element.tag in _PEOPLE:
            yield element.text or ""
        yield from (value for name, value in element.items() if name in _PEOPLE)
