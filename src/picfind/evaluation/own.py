"""Queries out of a person's own gallery, for which nobody has judged anything.

- *captions*: what is written about a picture (beside it, inside its file, in a table; no names of files or folders)
  should find it, matched against pictures only. Pictures with the same caption are all right.
- *albums*: pictures of one folder are each other's answers. Rough, since a folder may hold anything, but alike for all.
- *copies*: a picture that was cropped, saved small and rough, or darkened should find the original.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageEnhance

from picfind import keys
from picfind.datasets import open_root
from picfind.datasets.base import IMAGE_TO_IMAGE, TEXT_TO_IMAGE, Judged, same_words
from picfind.encoders.base import Encoder
from picfind.errors import SourceError, UsageError
from picfind.evaluation import advice, vectors
from picfind.evaluation.entrants import ALONE, contestants
from picfind.evaluation.listing import Chosen, drawn
from picfind.evaluation.results import Evaluation
from picfind.evaluation.running import Options, Progress, Source, measure, workshop
from picfind.evaluation.trials import Asked
from picfind.images import decode
from picfind.settings import Settings
from picfind.storage import roots, spaces
from picfind.storage.roots import FOLDER_KIND, Root
from picfind.storage.store import Store
from picfind.storage.wording import words_of
from picfind.types import CAPTION, HINTS, TITLE, Fingerprint, Item

LIMIT = 2000
"""Pictures that are taken where no other number is given: a model that the gallery lacks must encode them all."""
COPIED = 100
"""Pictures that altered copies are made of."""
CAPTIONS, ALBUMS, COPIES = "captions", "albums", "copies"
_FIVE = 5
_KIND = "gallery"
_CROP, _DARK, _SMALL, _ROUGH = 0.6, 0.45, 0.35, 30
"""The share of both sides that is kept; of brightness; of both sides, with the quality of a JPEG."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """One content of the gallery, under the first of its names: `key` is its place, `folder` what it shares with others."""

    key: str
    folder: str
    content: int
    item: Item


def evaluate_own(
    gallery: Store,
    models: Sequence[str | Encoder],
    settings: Settings,
    *,
    options: Options | None = None,
    progress: Progress = lambda what, done, due: None,
) -> Evaluation:
    """Measure models on a gallery's own pictures, and say which to take.

    Without `models`, those that the gallery has vectors of. Nothing is written into the gallery; what it lacks is encoded
    aside and gone afterwards. Raises UsageError where there is too little to ask, and what `evaluate` raises.
    """
    options = options or Options()
    held = spaces.spaces(gallery.catalog, kinds=spaces.PICTURES)
    names = models or [space.name for space in held if not space.name.endswith(ALONE)]
    if not names:
        raise UsageError(
            f"The gallery {gallery.folder} has no pictures yet. Index some: picfind index FOLDER."
        )
    told: list[str] = []
    entrants = contestants(names, settings, told)
    progress("listing", 0, 0)
    source = _source(gallery, settings, options, told)
    with workshop(None) as aside:
        found = measure(source, entrants, aside, settings, options=options, progress=progress)
    return replace(found, advice=advice.advise(found))


def _source(gallery: Store, settings: Settings, options: Options, warnings: list[str]) -> Source:
    pictures = _pictures(gallery, settings, options, warnings)
    copies = _copies(pictures, options.seed)
    asked = [
        Asked(CAPTIONS, TEXT_TO_IMAGE, _of_captions(gallery, pictures, frozenset(copies))),
        Asked(ALBUMS, IMAGE_TO_IMAGE, _of_albums(pictures, frozenset(copies))),
        Asked(COPIES, IMAGE_TO_IMAGE, _of_copies(pictures, frozenset(copies))),
    ]
    some = tuple(one for one in asked if one.queries and (not options.tasks or one.task in options.tasks))
    if not some:
        raise UsageError(
            f"The gallery {gallery.folder} gives nothing to ask: it takes two pictures that are there, and for "
            f"{TEXT_TO_IMAGE} captions. Index more pictures, or captions with them (picfind index --captions FILE)."
        )
    items = {**{picture.key: picture.item for picture in pictures}, **copies}
    contents = {picture.key: picture.content for picture in pictures}
    return Source(
        "your gallery",
        Chosen(_KIND, keys.escape(str(gallery.folder)), items),
        tuple(query for one in some for query in one.queries),
        some,
        known=lambda space: vectors.of_contents(gallery, space, contents),
        apart=frozenset(copies),
        warnings=tuple(warnings),
    )


def _pictures(gallery: Store, settings: Settings, options: Options, warnings: list[str]) -> list[_Picture]:
    """The pictures that are taken; warnings say what is left out."""
    there = _there(gallery, settings, warnings)
    chosen = set(drawn([picture.key for picture in there], options.limit or LIMIT, options.seed))
    if len(chosen) < len(there):
        warnings.append(
            f"{len(chosen):,} of {len(there):,} pictures were drawn; --limit takes another number of them."
        )
    return [picture for picture in there if picture.key in chosen]


def _there(gallery: Store, settings: Settings, warnings: list[str]) -> list[_Picture]:
    """Pictures whose files are there as they were indexed, each content once."""
    rows = gallery.catalog.all("SELECT root_id, key, content_id, fingerprint FROM names ORDER BY id")
    known = {(root_id, key): (content, mark) for root_id, key, content, mark in rows}
    first: dict[int, _Picture] = {}
    changed = 0
    for root in roots.roots(gallery.catalog):
        try:
            listed = open_root(root.kind, root.location, settings).items()
            for item in (entry for entry in listed if isinstance(entry, Item)):
                content, mark = known.get((root.id, item.key), (None, ""))
                if content is not None and item.fingerprint == mark:
                    first.setdefault(content, _picture(root, item, content))
                changed += content is not None and item.fingerprint != mark
        except (SourceError, UsageError) as error:  # a table is broken, a plug-in is not here: others are
            warnings.append(f"{keys.shown(root.location)} is left out: {error}")
    if changed:
        warnings.append(
            f"Files left out since they changed after they were indexed: {changed:,}. `picfind index` reads them again."
        )
    return list(first.values())


def _picture(root: Root, item: Item, content: int) -> _Picture:
    key = root.place(item.key) if root.kind == FOLDER_KIND else f"{root.location}/{item.key}"
    folder = f"{root.id}/{item.key.rpartition('/')[0]}"
    return _Picture(key, folder, content, replace(item, key=key, words=(), sidecars=()))


def _of_captions(gallery: Store, pictures: Sequence[_Picture], ignored: frozenset[str]) -> tuple[Judged, ...]:
    found = []
    for picture in pictures:
        said = [
            entry.text
            for entry in words_of(gallery.catalog, picture.content)
            if entry.kind in (CAPTION, TITLE) and entry.origin not in HINTS
        ]
        for number, text in enumerate(said[:_FIVE]):
            found.append(
                Judged(
                    f"{picture.key}#{number}",
                    TEXT_TO_IMAGE,
                    frozenset({picture.key}),
                    text=text,
                    ignored=ignored,
                    group=picture.key,
                )
            )
    return tuple(same_words(found))


def _of_albums(pictures: Sequence[_Picture], copies: frozenset[str]) -> tuple[Judged, ...]:
    """Pictures of folders with two at least; nothing where there is but one such folder."""
    albums: dict[str, set[str]] = {}
    for picture in pictures:
        albums.setdefault(picture.folder, set()).add(picture.key)
    several = {folder: frozenset(members) for folder, members in albums.items() if len(members) > 1}
    if len(several) < 2:
        return ()
    return tuple(
        Judged(
            f"{one.key}#album",
            IMAGE_TO_IMAGE,
            several[one.folder],
            picture=one.key,
            ignored=copies | {one.key},
            group=one.folder,
        )
        for one in pictures
        if one.folder in several
    )


def _of_copies(pictures: Sequence[_Picture], copies: frozenset[str]) -> tuple[Judged, ...]:
    if len(pictures) < 2:
        return ()
    return tuple(
        Judged(
            f"{name}#copy",
            IMAGE_TO_IMAGE,
            frozenset({picture.key}),
            picture=name,
            ignored=copies,
            group=picture.key,
        )
        for picture in pictures
        for name in (f"{how}:{picture.key}" for how in ALTERED)
        if name in copies
    )


def _copies(pictures: Sequence[_Picture], seed: int) -> dict[str, Item]:
    """Altered copies of some pictures, as items that are made when they are opened."""
    own = {picture.key: picture.item for picture in pictures}
    found: dict[str, Item] = {}
    for key in drawn(list(own), COPIED, seed):
        for how in ALTERED:
            name = f"{how}:{key}"
            opens = partial(_altered, own[key].open, how, _place(name, seed))
            found[name] = Item(name, Fingerprint(f"{own[key].fingerprint} {how} {seed}"), opens)
    return found


def _place(name: str, seed: int) -> tuple[float, float]:
    """Two numbers from 0 to 1 that hang on a name and the seed alone."""
    across, down = np.random.default_rng([seed, *name.encode("utf-8", "surrogatepass")]).random(2).tolist()
    return across, down


def _altered(opens: Callable[[], BinaryIO], how: str, place: tuple[float, float]) -> BinaryIO:
    """The file of an altered copy. Raises what opening and decoding the original do."""
    with opens() as file:
        image = decode(file.read(), at_least=_LONG).image
    altered, quality = ALTERED[how](image, place)
    buffer = io.BytesIO()
    altered.save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return buffer


_LONG = 512
_FINE = 92


def _cropped(image: Image.Image, place: tuple[float, float]) -> tuple[Image.Image, int]:
    width, height = max(1, round(_CROP * image.width)), max(1, round(_CROP * image.height))
    left, top = round(place[0] * (image.width - width)), round(place[1] * (image.height - height))
    return image.crop((left, top, left + width, top + height)), _FINE


def _smaller(image: Image.Image, place: tuple[float, float]) -> tuple[Image.Image, int]:
    size = max(1, round(_SMALL * image.width)), max(1, round(_SMALL * image.height))
    return image.resize(size, Image.Resampling.BICUBIC), _ROUGH


def _darker(image: Image.Image, place: tuple[float, float]) -> tuple[Image.Image, int]:
    return ImageEnhance.Brightness(image).enhance(_DARK), _FINE


ALTERED: Mapping[str, Callable[[Image.Image, tuple[float, float]], tuple[Image.Image, int]]] = {
    "crop": _cropped,
    "small": _smaller,
    "dark": _darker,
}
"""How copies are altered: 60 % of both sides; 35 % of both sides as a JPEG of quality 30; 45 % of the brightness."""
