"""Concepts as terms and examples: how they are written down in the catalog, and what they stand for in a query.

Pictures are kept by the SHA-256 of their bytes, never by a path: a file may be renamed, moved or copied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from picfind import keys
from picfind.errors import DamagedGalleryError, UsageError
from picfind.search.crop import Crop
from picfind.search.query import Kind, Term
from picfind.storage import concepts
from picfind.storage.catalog import Catalog
from picfind.storage.contents import find_content

PICTURES = frozenset({Kind.PATH, Kind.PICTURE, Kind.URL, Kind.CONTENT, Kind.STDIN})
"""What an example can be."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a concept stands for: its terms, and its examples as terms of kind CONTENT."""

    terms: tuple[Term, ...]
    liked: tuple[Term, ...] = ()
    disliked: tuple[Term, ...] = ()


def meaning(saved: concepts.Saved) -> Meaning:
    """What a concept that was read from the catalog stands for. Raises DamagedGalleryError."""
    liked, disliked = (
        tuple(Term(Kind.CONTENT, digest.hex()) for digest in some) for some in (saved.liked, saved.disliked)
    )
    return Meaning(read_terms(saved.query, saved.name), liked, disliked)


def write_terms(catalog: Catalog, terms: Sequence[Term]) -> str:
    """Terms as JSON. Raises UsageError for a picture that the gallery does not know, and for a concept."""
    return json.dumps([_record(catalog, term) for term in terms], ensure_ascii=False)


def read_terms(text: str, name: str) -> tuple[Term, ...]:
    """The terms of a concept of this name, from JSON. Raises DamagedGalleryError."""
    try:
        return tuple(_term(record) for record in json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedGalleryError(
            f"The query of the concept {name!r} cannot be read: {error}. Save it anew with --replace."
        ) from error


def digest_of(catalog: Catalog, term: Term) -> bytes:
    """The SHA-256 of a picture that the gallery knows. Raises UsageError for another one, and for what is no picture."""
    if term.kind not in PICTURES:
        raise UsageError(f"{term.label} is no picture: examples are pictures of the gallery.")
    digits = term.value if term.kind is Kind.CONTENT else _hash(term)
    found = find_content(catalog, str(digits))
    if found is None:
        raise UsageError(
            f"The gallery does not know the picture {term.label}. Index the folder that it lies in first: a concept "
            "keeps pictures by what they are, not by a path."
        )
    return found[1]


def example_digest(catalog: Catalog, term: Term) -> bytes:
    """The SHA-256 of an example. Raises UsageError for a piece of a picture, and like `digest_of`."""
    if term.crop is not None:
        raise UsageError(f"{term.label} is a piece: a concept keeps whole pictures as examples.")
    return digest_of(catalog, term)


def _record(catalog: Catalog, term: Term) -> dict[str, Any]:
    if term.kind is Kind.CONCEPT:
        raise UsageError(
            f"A concept cannot hold another one ({term.label}). Write out what that one asks for."
        )
    record: dict[str, Any] = {"weight": term.weight}
    if term.kind is Kind.WORDS:
        return record | {"words": str(term.value), "phrases": list(term.phrases)}
    record["sha256"] = digest_of(catalog, replace(term, crop=None)).hex()
    if term.crop is not None:
        crop = term.crop
        record["crop"] = [crop.left, crop.top, crop.width, crop.height, crop.fractions]
    return record


def _term(record: dict[str, Any]) -> Term:
    weight = float(record["weight"])
    if "words" in record:
        return Term(
            Kind.WORDS, str(record["words"]), weight, phrases=tuple(map(str, record.get("phrases", ())))
        )
    crop = record.get("crop")
    piece = None
    if crop is not None:
        left, top, width, height, fractions = crop
        piece = Crop(float(left), float(top), float(width), float(height), bool(fractions))
    return Term(Kind.CONTENT, str(record["sha256"]), weight, crop=piece)


def _hash(term: Term) -> str:
    value = term.value
    if isinstance(value, Image.Image):
        raise UsageError(
            "A picture that was given as pixels cannot be kept. Give the path of a picture that is in the gallery, or "
            "its content id."
        )
    try:
        data = value if isinstance(value, bytes) else Path(value).read_bytes()
    except OSError as error:
        raise UsageError(f"{keys.shown(str(value))} cannot be read: {error.strerror or error}.") from error
    return hashlib.sha256(data).hexdigest()
