"""What was moved where: one file of JSON lines for each clean-up, in the gallery's `undo/`.

A line is on the disk before what it says is done, so after a crash the journal knows of everything that was done, and
perhaps of one thing that was not: whoever reads it looks at the files themselves. Paths are escaped as in a `Hit`.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picfind.errors import GalleryWriteError
from picfind.storage import durable
from picfind.storage.store import Store

FOLDER = "undo"
MOVE, TRASH, BACK, UNDONE = "move", "trash", "back", "undone"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a file with these bytes is about to leave its place, for another one or for the trash.

    `returning`: it may have been on its way back. `undone`: it has been seen at its old place again.
    """

    journal: Path
    step: str
    path: str
    sha256: str
    to: str | None
    returning: bool = False
    undone: bool = False


class Journal:
    """The journal of one clean-up; its file is made with its first line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def begin(cls, store: Store) -> Journal:
        """A new journal of a gallery. Raises GalleryWriteError."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}-{uuid.uuid4().hex[:6]}.jsonl"
        try:
            durable.make_folder(store.folder / FOLDER)
        except OSError as error:
            raise _unwritable(store.folder / FOLDER, error) from error
        return cls(store.folder / FOLDER / name)

    def note(
        self, step: str, path: str, sha256: str, *, to: str | None = None, keeper: str | None = None
    ) -> None:
        """Write a line, durably. Raises GalleryWriteError, and then nothing may be done."""
        line = {"version": _VERSION, "step": step, "path": path, "sha256": sha256, "to": to, "keeper": keeper}
        try:
            durable.append(self.path, json.dumps(line).encode("ascii"))
        except OSError as error:
            raise _unwritable(self.path, error) from error


def entries(store: Store) -> list[list[Entry]]:
    """What all clean-ups have moved, the newest first; a line that a crash cut off is none."""
    found = [_read(path) for path in sorted((store.folder / FOLDER).glob("*.jsonl"), reverse=True)]
    return [some for some in found if some]


def _read(path: Path) -> list[Entry]:
    lines = list(filter(None, map(_parsed, path.read_bytes().splitlines())))
    back, undone = (
        {(line["path"], line["to"]) for line in lines if line["step"] == step} for step in (BACK, UNDONE)
    )
    entries = []
    for line in lines:
        if line["step"] in (MOVE, TRASH):
            both = line["path"], line["to"]
            entries.append(
                Entry(
                    path, line["step"], line["path"], line["sha256"], line["to"], both in back, both in undone
                )
            )
    return entries


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        read = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(read, dict) and {"step", "path", "sha256", "to"} <= set(read)
    return read if whole else None


def _unwritable(path: Path, error: OSError) -> GalleryWriteError:
    return GalleryWriteError(
        f"The undo journal {path} cannot be written: {error.strerror or error}. Nothing is moved without it."
    )
