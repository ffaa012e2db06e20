"""Files that are whole or not there: write aside, flush, rename, flush the folder.

Nothing else in picfind writes into a gallery's folder, SQLite apart. A crash at any point leaves either the old
state or a stray file that `sweep` removes.
"""

from __future__ import annotations

import errno
import os
import sys
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".tmp"
"""How the names of files end that are being written."""


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Make a file that was filled by `fill`, durably: when this returns, it survives a loss of power.

    Raises OSError (a full disk, say) with nothing left behind.
    """

    def create(aside: Path) -> None:
        with aside.open("xb") as file:
            fill(file)

    place(path, create)


def place(path: Path, create: Callable[[Path], object]) -> None:
    """Like `write`, for a file that something else creates: `create` is given the path to do it at."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        create(aside)
        with aside.open("rb+") as file:
            _flush(file.fileno())
        _replace(aside, path)
    except OSError:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


NO_LINKS = frozenset(
    (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EINVAL)
)
"""What a file system that gives no file a second name says, when it is asked to."""


def claim_and_replace(source: Path, target: Path) -> None:
    """Rename where there are no links: onto an empty file of our own making, so that no other is overwritten.

    Raises FileExistsError where something is at the target, and OSError with nothing left there.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try:
        _replace(source, target)
    except OSError:
        with suppress(OSError):
            target.unlink()
        raise
    _flush_folder(target.parent)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, durably; it may exist already."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _flush_folder(folder.parent)


def remove(path: Path) -> bool:
    """Remove a file; False when that cannot be done now (on Windows a mapped file stays until a later sweep)."""
    try:
        _unlink(path)
    except OSError:
        return False
    return True


def sweep(folder: Path, keep: Collection[str]) -> list[str]:
    """Remove every file of a folder whose name is not in `keep`: the litter of a crash. Gives the names removed."""
    if not folder.is_dir():
        return []
    strays = [entry for entry in sorted(folder.iterdir()) if entry.is_file() and entry.name not in keep]
    return [entry.name for entry in strays if remove(entry)]


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, durably; the file is made where there is none. Half a line that a crash left is ended first."""
    new = not path.exists()
    with path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line + b"\n")
        file.flush()
        _flush(file.fileno())
    if new:
        _flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power, after a file was moved into it or out of it."""
    _flush_folder(folder)


def _replace(source: Path, target: Path) -> None:
    source.replace(target)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _flush(descriptor: int) -> None:
    """Push a file through the drive's own cache too: plain fsync does not do that on macOS."""
    if sys.platform == "darwin":
        import fcntl

        with suppress(OSError):  # some file systems do not know F_FULLFSYNC
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open a folder and needs no such step."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
