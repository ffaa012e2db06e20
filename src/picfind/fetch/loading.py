"""Files of a repository into a folder: what was read before an interruption is kept, and every file is checked.

The hub's own library is not asked to do this, since recent versions of it begin a file again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from picfind.errors import DownloadError
from picfind.fetch.hub import Broken, chunks
from picfind.fetch.listing import PARTS, HubFile, Listing

Progress = Callable[[str, int, int], None]
"""Is told the file, the bytes of it that are here, and its size."""

_PAUSES = (0.2, 1.0, 3.0)
"""Seconds to wait before trying again, as long as nothing arrives."""


def download(
    listing: Listing,
    names: Sequence[str],
    folder: Path,
    *,
    progress: Progress | None = None,
    nearby: Path | None = None,
) -> None:
    """Bring files of a repository into a folder, each one checked before it gets its name.

    What an earlier try brought is kept, and what the hub's cache or the folder `nearby` holds is copied. Raises
    DownloadError: no way to the hub, no room, a file that is not what the hub says (it is removed).
    """
    files = [listing.file(name) for name in names]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PARTS).mkdir(exist_ok=True)
    missing = [file for file in files if not file.matches(folder / file.name)]
    needed = sum(file.size - _size(folder / PARTS / file.key) for file in missing)
    _check_room(folder, listing.repository, needed)
    tell = progress or (lambda name, done, size: None)
    for file in files:
        target = folder / file.name
        if file in missing:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = folder / PARTS / file.key
            if not _copy(listing, file, part, nearby):
                _fetch(listing, file, part, tell)
            part.replace(target)
        tell(file.name, file.size, file.size)
    shutil.rmtree(folder / PARTS, ignore_errors=True)


def _copy(listing: Listing, file: HubFile, part: Path, nearby: Path | None) -> bool:
    """Take a file from the hub's cache or from nearby, if it is there and right."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(listing.repository, file.name, revision=listing.commit)
    for source in (Path(cached) if isinstance(cached, str) else None, nearby / file.name if nearby else None):
        if source is not None and file.matches(source):
            with _writing(part, file.size):
                shutil.copyfile(source, part)
            return True
    return False


def _fetch(listing: Listing, file: HubFile, part: Path, tell: Progress) -> None:
    """Load what is missing of a part, again and again while something arrives, and check it."""
    pauses = list(_PAUSES)
    while (before := _size(part)) < file.size:
        try:
            _go_on(listing, file, part, tell)
        except Broken as broken:
            pauses = list(_PAUSES) if _size(part) > before else pauses
            if not pauses:
                raise DownloadError(
                    f"Loading {file.name} of {listing.repository} broke off at {_size(part):,} of {file.size:,} bytes: "
                    f"{broken}. Run it again: it goes on from there."
                ) from broken
            time.sleep(pauses.pop(0))
    if not part.exists():  # a file of no bytes
        part.touch()
    if not file.matches(part):
        part.unlink()
        raise DownloadError(
            f"The file {file.name} of {listing.repository} arrived damaged: its size or hash is not what the hub says. "
            "It was removed; run it again. If that does not help, the mirror or a proxy changes files."
        )


def _go_on(listing: Listing, file: HubFile, part: Path, tell: Progress) -> None:
    done = _size(part)
    with closing(chunks(listing.repository, listing.commit, file.name, start=done)) as pieces:
        for at, piece in pieces:  # from 0 again where the server knows no ranges
            with _writing(part, file.size), part.open("ab" if at else "wb") as target:
                target.write(piece)
            done = at + len(piece)
            tell(file.name, min(done, file.size), file.size)
            if done > file.size:
                return  # more than was promised: the check will say so
    if done < file.size:
        raise Broken("the server closed the connection")


def _size(path: Path) -> int:
    return path.stat().st_size if os.path.isfile(path) else 0


def _check_room(folder: Path, repository: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{repository} needs {needed / 1e6:,.1f} MB more, {folder.parent} has {free / 1e6:,.1f} MB left. Make room, "
            "or set PICFIND_MODELS to another disk."
        )


@contextmanager
def _writing(path: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{path} cannot be written: {error.strerror or error}. The file needs {size / 1e6:,.1f} MB. Make room, or set "
            "PICFIND_MODELS to another disk, and run it again: it goes on from there."
        ) from error
