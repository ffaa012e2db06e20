"""What a repository of the hub holds."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picfind.errors import DownloadError
from picfind.fetch.hub import CHUNK, hub_errors, offline_message

PARTS = ".parts"
"""The folder of files that are not whole yet, each named by its hash: another version never goes on with them."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository, with the hash that it must have: SHA-256 of a large file, git's own of a small one."""

    name: str
    size: int
    sha256: str | None
    blob: str | None

    @property
    def key(self) -> str:
        """The hash that names it."""
        return self.sha256 or self.blob or ""

    def matches(self, path: Path) -> bool:
        """Whether a file has this size and hash. Reads all of it."""
        if not os.path.isfile(path) or path.stat().st_size != self.size:
            return False
        whole = hashlib.sha256() if self.sha256 else hashlib.sha1(b"blob %d\0" % self.size)  # noqa: S324
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                whole.update(chunk)
        return whole.hexdigest() == self.key


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository holds at one commit."""

    repository: str
    commit: str
    licence: str
    files: tuple[HubFile, ...]

    def file(self, name: str) -> HubFile:
        """A file by its name. Raises DownloadError when there is none."""
        for file in self.files:
            if file.name == name:
                return file
        raise DownloadError(f"The repository {self.repository} has no file {name}. Is it the right one?")


def look_up(repository: str) -> Listing:
    """What a repository of models holds, by one question to the hub; offline, what the hub's cache holds of it.

    Raises DownloadError when it cannot be had, or when it lists names or sizes that cannot be trusted.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return _cached(repository)
    with hub_errors(repository):
        info = HfApi(library_name="picfind").model_info(
            repository, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
    files = tuple(_file(repository, entry) for entry in info.siblings or ())
    return Listing(repository, str(info.sha), _licence(info), files)


def _file(repository: str, entry: Any) -> HubFile:
    """A file as the hub lists it. Raises DownloadError for a name that would leave its folder, and without a hash."""
    name, size = str(entry.rfilename), entry.size
    if not _is_safe(name):
        raise DownloadError(
            f"The repository {repository} lists a file {name!r}, which would leave its folder: refused."
        )
    sha256 = entry.lfs.sha256 if entry.lfs else None
    if not isinstance(size, int) or not re.fullmatch(
        "[0-9a-f]{40}|[0-9a-f]{64}", sha256 or entry.blob_id or ""
    ):
        raise DownloadError(
            f"The hub gives no size and hash of {name} of {repository}; use another mirror (HF_ENDPOINT)."
        )
    return HubFile(name, size, sha256, None if sha256 else entry.blob_id)


def _is_safe(name: str) -> bool:
    """Whether a name stays below its folder on every system."""
    odd = re.search(r'[\\:*?"<>|\x00-\x1f]', name)
    return not odd and all(part not in ("", ".", "..", PARTS) for part in name.split("/"))


def _licence(info: Any) -> str:
    stated = getattr(info.card_data, "license", None) if info.card_data else None
    if isinstance(stated, list):
        stated = ", ".join(map(str, stated))
    tagged = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    return str(stated or next(iter(tagged), "not stated"))


def _cached(repository: str) -> Listing:
    """What the hub's cache holds of a repository; there a file's name in the store is its hash."""
    from huggingface_hub import try_to_load_from_cache

    with hub_errors(repository):
        found = try_to_load_from_cache(repository, "config.json")
    if not isinstance(found, str):
        raise DownloadError(offline_message(repository))
    snapshot = Path(found).parent
    paths = [path for path in sorted(snapshot.rglob("*")) if path.is_file()]
    files = []
    for path in paths:
        key, size = path.resolve().name, path.stat().st_size
        sha256, blob = (key if len(key) == 64 else None), (key if len(key) == 40 else None)
        files += (
            [HubFile(path.relative_to(snapshot).as_posix(), size, sha256, blob)] if sha256 or blob else []
        )
    return Listing(repository, snapshot.name, "not stated", tuple(files))
