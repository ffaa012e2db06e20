"""The gallery's folder: opening it, becoming its one writer, and the vectors of a space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picfind.errors import (
    GalleryBusyError,
    GalleryWriteError,
    NoGalleryError,
    ReadOnlyGalleryError,
    UsageError,
)
from picfind.storage import durable, segments
from picfind.storage.catalog import FILE, Catalog
from picfind.storage.segments import Segment
from picfind.storage.vectors import open_segments
from picfind.storage.writer import Writer
from picfind.types import Space

INDEXES = "indexes"
_LOCK = "writer.lock"
_OWN = {FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal", segments.FOLDER, INDEXES, "undo", _LOCK}


class Store:
    """An open gallery. Reading is safe from several threads and beside a writer of another process."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.folder = folder
        self.catalog = catalog

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Store:
        """Open a gallery's folder, for reading only where it cannot be written.

        Raises NoGalleryError when there is none and `create` is False, UsageError when it should be created in a
        folder that holds other things, and what `Catalog` raises.
        """
        folder = folder.expanduser().absolute()
        if not os.path.exists(folder / FILE):
            if not create:
                raise NoGalleryError(
                    f"There is no gallery at {folder}. Make one with `picfind index FOLDER`, or name another with "
                    "--gallery."
                )
            _make(folder)
        writable = os.access(folder, os.W_OK) and (create or os.access(folder / FILE, os.W_OK))
        return cls(folder, Catalog(folder / FILE, writable=writable))

    def close(self) -> None:
        """Close the catalog. Vectors that were handed out stay readable."""
        self.catalog.close()

    @property
    def writable(self) -> bool:
        """Whether the folder can be written."""
        return self.catalog.writable

    @property
    def segments_folder(self) -> Path:
        """Where the segments lie."""
        return self.folder / segments.FOLDER

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Be the one writer. Sweeps what a crash may have left.

        Raises GalleryBusyError while another process writes, and ReadOnlyGalleryError.
        """
        from filelock import FileLock, Timeout

        if not self.writable:
            raise ReadOnlyGalleryError(
                f"The gallery {self.folder} cannot be written: its folder is read-only. Searching it works."
            )
        # not thread_local: a run may be ended by another thread than the one that began it
        lock = FileLock(self.folder / _LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise GalleryBusyError(
                f"Another process is writing to the gallery {self.folder}. Wait until it has finished, then run again."
            ) from error
        except OSError as error:
            raise GalleryWriteError(
                f"{self.folder / _LOCK} cannot be made: {error.strerror or error}."
            ) from error
        try:
            yield Writer(self.catalog, self.segments_folder)
        finally:
            lock.release()

    def vectors(self, space: Space) -> tuple[int, list[Segment]]:
        """The generation, and the segments of a space in it, memory-mapped.

        Raises UnknownSpaceError, and DamagedGalleryError when a file is missing or not what was written.
        """
        return open_segments(self.catalog, self.segments_folder, space)


def _make(folder: Path) -> None:
    try:
        there = folder.exists()
        strangers = (
            sorted(entry.name for entry in folder.iterdir() if entry.name not in _OWN) if there else []
        )
    except NotADirectoryError as error:
        raise UsageError(f"{folder} is a file. Name a folder for the gallery.") from error
    except OSError as error:
        raise ReadOnlyGalleryError(f"The gallery {folder} cannot be opened: {error.strerror}.") from error
    if strangers:
        raise UsageError(
            f"{folder} holds other things ({strangers[0]}, ...), so no gallery is made there. Name a new or empty "
            "folder."
        )
    durable.sweep(folder / INDEXES, ())  # what a catalog that was lost has left there
    try:
        durable.make_folder(folder)
    except OSError as error:
        raise GalleryWriteError(f"The gallery {folder} cannot be made: {error.strerror or error}.") from error
