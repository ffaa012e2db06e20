"""Segments: immutable files of unit vectors, memory-mapped for reading.

A segment is an ordinary `.npy` file of float16, (length, dim), under a random name, so that segments of different
galleries never clash and can be adopted unchanged. Half precision was chosen by measurement
(`benchmarks/segment_dtype.py`): half the bytes to store and to read, and the same ten best pictures.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from picfind.errors import DamagedGalleryError, GalleryError
from picfind.storage import durable
from picfind.types import Ids

FOLDER = "segments"
DTYPE = np.dtype("<f2")
BLOCK = 4096
"""Rows that are copied or summed at a time."""

Vectors = NDArray[Any]
"""(n, dim) of float16 or float32."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A segment as the catalog knows it: its file's name, its rows, the CRC-32 of its vectors' bytes."""

    file: str
    length: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Segment:
    """An open segment: `vectors` (length, dim) float16, memory-mapped; `parts` (length,), -1 where a row is dead."""

    id: int
    file: str
    vectors: Vectors
    parts: Ids


def write(folder: Path, blocks: Iterable[Vectors], *, length: int, dim: int) -> SegmentFile:
    """Write `length` rows, given in blocks, to a new file, durably. Raises OSError."""
    name = f"{uuid.uuid4().hex}.npy"
    crc = 0

    def fill(file: BinaryIO) -> None:
        nonlocal crc
        header = {"descr": DTYPE.str, "fortran_order": False, "shape": (length, dim)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            data = np.ascontiguousarray(block, dtype=DTYPE)
            crc = zlib.crc32(data.data, crc)
            file.write(data.data)

    durable.write(folder / name, fill)
    return SegmentFile(name, length, crc)


def open_vectors(path: Path, *, length: int, dim: int) -> Vectors:
    """Map a segment's file.

    Raises FileNotFoundError, DamagedGalleryError when it is not what was written, and GalleryError when it cannot be
    read now (no permission, a failing drive): that says nothing about what is in it.
    """
    try:
        vectors: Vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise GalleryError(f"The segment {path} cannot be read: {error.strerror or error}.") from error
    if vectors.shape != (length, dim) or vectors.dtype != DTYPE:
        raise _damaged(path, f"it holds {vectors.shape} of {vectors.dtype}, not {(length, dim)} of {DTYPE}")
    return vectors


def checksum(vectors: Vectors) -> int:
    """CRC-32 of the rows' bytes, read in blocks."""
    crc = 0
    for start in range(0, len(vectors), BLOCK):
        crc = zlib.crc32(np.ascontiguousarray(vectors[start : start + BLOCK]).data, crc)
    return crc


def _damaged(path: Path, why: str) -> DamagedGalleryError:
    return DamagedGalleryError(
        f"The segment {path} is damaged: {why}. Run `picfind doctor --repair`, then `picfind index` to encode "
        "its pictures again."
    )
