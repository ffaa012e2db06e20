"""Single entries of a folder: which are passed over, and how a file is told apart, opened and read."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

from picfind.types import Fingerprint

_KEPT_BY_PROGRAMS = {"@eadir", "node_modules", "system volume information", "$recycle.bin", "__macosx"}
"""In lower case. `.git` and its like are hidden already."""
_JUNCTION = 0xA0000003
"""IO_REPARSE_TAG_MOUNT_POINT, which `stat` has on Windows only."""


def open_regular(path: str) -> BinaryIO:
    """Open a file to read its bytes, and nothing but a file: opening a pipe that took its name would wait for ever.

    Raises FileNotFoundError when it is none any more, and what `os.open` raises.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    )
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "It is no file any more", path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def fingerprint(found: os.stat_result) -> Fingerprint:
    """What changes when a file does: its size and its modification time."""
    return Fingerprint(f"{found.st_size}-{found.st_mtime_ns}")


def is_usable(found: os.stat_result) -> bool:
    """Whether it is a regular file that nothing marks as hidden."""
    return stat.S_ISREG(found.st_mode) and not is_marked_hidden(found)


def identity(found: os.stat_result) -> tuple[int, int]:
    """What tells a file or folder from every other one, whatever its names."""
    return found.st_dev, found.st_ino


def reason(error: Exception) -> str:
    """What the system says, without the path."""
    return getattr(error, "strerror", None) or str(error)


def is_passed_over(name: str) -> bool:
    """Whether a name alone says that its file or folder is not for people."""
    return name.startswith(".") or name.lower() in _KEPT_BY_PROGRAMS


def is_marked_hidden(found: os.stat_result) -> bool:
    """Hidden by an attribute (Windows) or a flag (macOS), which a name does not show."""
    attributes, flags = getattr(found, "st_file_attributes", 0), getattr(found, "st_flags", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN or flags & stat.UF_HIDDEN)


def is_link(found: os.stat_result) -> bool:
    """A symbolic link, or a junction on Windows, where a user's folder comes with some that form loops."""
    return stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", 0) == _JUNCTION
