"""Pictures by their URLs, with captions: `urls:FILE`, `urls:FILE?keep=FOLDER#train`.

What a list may be:

    .txt, .lst, .tsv             a line a picture: its URL, and a caption before or behind it, after a tab (behind it also
                                 after a blank); `#` begins a remark. Conceptual Captions is published so
    .csv, .tsv, .jsonl, .json    a table with a column url, image_url, coco_url or flickr_url; captions and classes as
                                 in `table.py`
    .json                        COCO's own captions: `coco_url`, and where that fails `flickr_url`

A listing asks nobody: a picture is loaded when it is opened, by `fetch/web.py` and as politely as `_courtesy.py` says. A
link that leads nowhere, or to Flickr's notice that a photo is not there any more, is no picture: it is refused, and not
asked for again. A server that is too busy is asked again in the next run. `?keep=FOLDER` keeps what was loaded, so that
it is loaded once only; `?pause=SECONDS` is the time between two connections to one host (0.1).

A URL stands for one picture for ever: what changes behind it is not seen. Texts are held, about half a kilobyte for each.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from picfind import datasets, keys
from picfind.datasets._coco import captioned
from picfind.datasets._collection import check_options, words_of
from picfind.datasets._columns import added, is_url, read, rows_of, said_of
from picfind.datasets._courtesy import Courtesy
from picfind.datasets._json import Record
from picfind.datasets._judging import Told, judged
from picfind.datasets.base import Judged, JudgedDataset, Place
from picfind.errors import (
    BarredAddressError,
    DownloadError,
    MissingSourceError,
    NotAPictureError,
    PicfindError,
    UsageError,
)
from picfind.settings import Settings
from picfind.types import Fingerprint, Item

_PLAIN = (".txt", ".lst", ".list", ".tsv", "")
_LONGEST_LINE = 1 << 20
_CAPTION_FIRST = re.compile(r"(.*)\t(https?://\S+)\s*", re.IGNORECASE)
_URL_FIRST = re.compile(r"(https?://\S+?)(?:,?\s+(.*)|)", re.IGNORECASE)
_UNAVAILABLE = "photo_unavailable"
"""What the address has that Flickr leads to for a photo that was deleted or made private: a picture that says so."""
_MOST_BYTES = 64 * 1024 * 1024


def open(place: Place) -> JudgedDataset:  # noqa: A001
    """The pictures of a list. Options: `split`, `keep`, `pause`. Raises UsageError for others."""
    check_options(place, "urls", ("split", "keep", "pause"))
    return Urls(place)


class Urls:
    """A list of URLs."""

    def __init__(self, place: Place) -> None:
        self._list, self._split = place.path, place.options.get("split")
        keep = place.options.get("keep")
        self._loader = Loader(
            place.settings,
            Courtesy(pause=_seconds(place.options.get("pause", "0.1"))),
            keep=keys.absolute(Path(keep)) if keep else None,
        )

    @property
    def kind(self) -> str:
        """`urls`."""
        return "urls"

    @property
    def name(self) -> str:
        """`urls`, and the split."""
        return "urls" + (f"#{self._split}" if self._split else "")

    @property
    def location(self) -> str:
        """The list, and the split. Keys are whole URLs."""
        return datasets.location_of(self._list, {"split": self._split} if self._split else {})

    @property
    def scope(self) -> str:
        """All of it."""
        return ""

    def items(self) -> Iterator[Item]:
        """The pictures of the list, in its order, each URL once. Raises MissingSourceError, and UsageError for a bad line."""
        for key, told in self._told():
            mark = Fingerprint(hashlib.sha256(key.encode()).hexdigest()[:16])
            yield Item(key, mark, partial(self._loader.open, told.places), words_of(told))

    def reopen(self, key: str, fingerprint: Fingerprint) -> BinaryIO:
        """Load the picture behind its first URL, in one try. Raises PictureError, DownloadError."""
        return self._loader.reopen(keys.unescape(key))

    def queries(self) -> Iterator[Judged]:
        """What captions and classes ask, of all URLs: nobody knows yet which of them still lead to a picture."""
        yield from judged(self._told())

    def _told(self) -> Iterator[tuple[str, Told]]:
        if not os.path.isfile(self._list):
            raise MissingSourceError(f"There is no list of URLs {_shown(self._list)}. Check the path.")
        found: dict[str, Told] = {}
        for told in _read(self._list, self._split):
            key = keys.escape(told.places[0])
            found[key] = told if key not in found else added(found[key], said_of(told))
        yield from found.items()


class Loader:
    """Opens pictures by their URLs. Safe from several threads."""

    def __init__(self, settings: Settings, courtesy: Courtesy, *, keep: Path | None = None) -> None:
        """`keep`: the folder for what was loaded; it is made when it is first needed."""
        self._settings, self._courtesy, self._keep = settings, courtesy, keep

    def open(self, urls: tuple[str, ...]) -> BinaryIO:
        """The bytes of the first of some URLs that leads to a picture.

        Raises PictureError where none does and none ever will, and DownloadError where one may the next time.
        """
        kept = self._keep / hashlib.sha256(urls[0].encode()).hexdigest() if self._keep else None
        if kept is not None and os.path.isfile(kept):
            return kept.open("rb")
        data = self._load(urls)
        if kept is not None:
            _write(kept, data)
        return io.BytesIO(data)

    def reopen(self, url: str) -> BinaryIO:
        """The bytes at a URL now; somebody waits, so there is one try. Raises PictureError, DownloadError."""
        try:
            return io.BytesIO(self._fetch(url))
        except UsageError as error:
            raise NotAPictureError(str(error)) from error

    def _load(self, urls: tuple[str, ...]) -> bytes:
        failed: list[PicfindError] = []
        for url in urls:
            try:
                return self._courtesy.load(url, self._fetch)
            except (BarredAddressError, UsageError) as error:
                failed.append(NotAPictureError(str(error)))
            except DownloadError as error:
                is_for_good = error.status is not None and (
                    error.status < 500 and error.status not in (408, 425, 429)
                )
                failed.append(NotAPictureError(str(error)) if is_for_good else error)
            except NotAPictureError as error:
                failed.append(error)
        raise next((error for error in failed if isinstance(error, DownloadError)), failed[-1])

    def _fetch(self, url: str) -> bytes:
        from picfind.fetch.web import fetch_picture

        return fetch_picture(
            url,
            max_bytes=min(self._settings.max_bytes, _MOST_BYTES),
            allow_private=self._settings.private_addresses,
            on_redirect=partial(_check_redirect, url),
        )


def _check_redirect(url: str, target: str) -> None:
    if _UNAVAILABLE in urlsplit(target).path.lower():
        raise NotAPictureError(f"{keys.shown(url)} is gone: its server shows a notice instead of the photo.")


def _write(path: Path, data: bytes) -> None:
    """Keep a picture, whole or not at all; one that cannot be kept is loaded again another time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
            part.write(data)
        Path(part.name).replace(path)
    except OSError as error:
        raise DownloadError(
            f"{_shown(path)} cannot be kept: {error.strerror or error}. Choose another ?keep=."
        ) from error


def _read(path: Path, split: str | None) -> Iterator[Told]:
    if path.suffix.lower() in _PLAIN and _is_plain(path):
        if split is not None:
            raise UsageError(f"{_shown(path)} is a list without columns, and has no splits.")
        yield from _lines(path)
    elif path.suffix.lower() == ".json" and _is_coco(path):
        yield from captioned(path, _coco_urls)
    else:
        yield from _rows(path, None if split is None else set(split.split("+")))


def _rows(path: Path, wanted: set[str] | None) -> Iterator[Told]:
    there: dict[str, None] = {}
    for number, cells in rows_of(path):
        row = read(cells)
        if not row.urls:
            raise UsageError(f"{_shown(path)}, row {number} has no URL. Call that column `url`, and fill it.")
        there[row.split] = None
        if wanted is None or row.split in wanted:
            yield added(Told(row.urls), row.said)
    unknown = sorted((wanted or set()) - set(there))
    if unknown:
        raise UsageError(f"{_shown(path)} has no row of the split {unknown[0]!r}.")


def _lines(path: Path) -> Iterator[Told]:
    for number, line in _numbered(path):
        first, last = _URL_FIRST.fullmatch(line), _CAPTION_FIRST.fullmatch(line)
        if first is not None:
            yield Told((first[1],), captions=(first[2].strip(),) if first[2] else ())
        elif last is not None:
            yield Told((last[2],), captions=(last[1].strip(),) if last[1].strip() else ())
        else:
            raise UsageError(
                f"{_shown(path)}, line {number} has no URL at its beginning, nor after a tab at its end."
            )


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise UsageError(
                    f"{_shown(path)}, line {number} is no text in UTF-8. Save the list as UTF-8."
                ) from error
            if line and not line.startswith("#"):
                yield number, line


def _is_plain(path: Path) -> bool:
    """Whether its first line has a URL, rather than names of columns."""
    suffix = path.suffix.lower()
    try:
        _, first = next(_numbered(path), (0, ""))
    except UsageError:  # a table may be UTF-16, a list may not
        return suffix != ".tsv"
    has_url = _URL_FIRST.fullmatch(first) or _CAPTION_FIRST.fullmatch(first)
    return has_url is not None or suffix not in (".tsv", ".txt")


def _is_coco(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _coco_urls(record: Record) -> tuple[str, ...]:
    urls = (record.values.get(name) for name in ("coco_url", "flickr_url"))
    found = tuple(url for url in urls if isinstance(url, str) and is_url(url))
    if not found:
        raise record.error("has neither `coco_url` nor `flickr_url`")
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise UsageError(f"urls: ?pause={text} is no number of seconds from 0 to 3600.")
    return seconds


def _shown(path: Path) -> str:
    return keys.shown(keys.escape(str(path)))
