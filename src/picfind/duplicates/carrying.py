"""Carrying a file from one place to another without ever overwriting or losing one, whenever the process ends.

At every moment the file's bytes are whole at its old place or at its new one; between two steps perhaps at both.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from picfind.storage import durable


def carry(source: Path, target: Path) -> None:
    """Move a file, by a second name where the file system can do that, else by a copy that is checked.

    Raises FileExistsError where something is at the target, which stays as it is, and OSError; the file is then where
    it was.
    """
    durable.make_folder(target.parent)
    try:
        _link(source, target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            _copy(source, target)
        elif error.errno in durable.NO_LINKS:
            durable.claim_and_replace(source, target)
            durable.flush_folder(source.parent)
            return
        else:
            raise
    durable.flush_folder(target.parent)
    _unlink(source)
    durable.flush_folder(source.parent)


def sha256_of(path: Path) -> str | None:
    """The SHA-256 of a file in hex; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def remove_claim(path: Path) -> bool:
    """Remove the empty file that a crash may leave at a target where there are no links; False for any other file."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size:
        return False
    path.unlink()
    return True


def sweep(target: Path) -> None:
    """Remove what a copy to this target left half done when its process ended."""
    if target.parent.is_dir():
        for path in target.parent.iterdir():
            if path.name.startswith(_part_name(target)):
                durable.remove(path)


def _part_name(target: Path) -> str:
    return f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.picfind.part"


def _copy(source: Path, target: Path) -> None:
    """Copy to another drive: whole and flushed under a name of its own first, then named."""
    sweep(target)
    aside = target.with_name(_part_name(target))

    def fill(file: BinaryIO) -> None:
        with source.open("rb") as opened:
            shutil.copyfileobj(opened, file, 1 << 20)

    try:
        durable.write(aside, fill)
        shutil.copystat(source, aside)
        if sha256_of(aside) != sha256_of(source):
            raise OSError(errno.EIO, "the copy is not what was read", str(target))
        try:
            _link(aside, target)
        except OSError as error:
            if error.errno not in durable.NO_LINKS:
                raise
            durable.claim_and_replace(aside, target)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    target.hardlink_to(source)


def _unlink(path: Path) -> None:
    path.unlink()
