"""How fast a model is, and how much memory it takes, on this machine."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from picfind.encoders.base import Encoder
from picfind.errors import DownloadError
from picfind.types import Item

T = TypeVar("T")

_WARM = 2
_TIMED = 20


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds are medians of one thing after another in one thread, with decoding but without reading; they are None
    where nothing of the kind was done, or where the system does not tell.

    `memory_mb` is the highest resident memory of the whole process while this model was at work.
    """

    picture_ms: float | None = None
    text_ms: float | None = None
    pictures_per_second: float | None = None
    """While the gallery was indexed, with all threads; None where its vectors were there already."""
    texts_per_second: float | None = None
    memory_mb: float | None = None


def picture_ms(encoder: Encoder, items: Sequence[Item]) -> float | None:
    """Of a few pictures, one by one. None where none of them can be opened."""
    return _median_ms(lambda data: encoder.encode_images([data]), _read(items)) if encoder.image else None


def _read(items: Sequence[Item]) -> list[bytes]:
    """The bytes of a few pictures. A network that is away is asked once, since it answers slowly."""
    read = []
    for item in items[: _WARM + _TIMED]:
        try:
            with item.open() as file:
                read.append(file.read())
        except DownloadError:
            break
        except (OSError, ValueError):  # a picture that is broken was told of when it was indexed
            continue
    return read


def text_ms(encoder: Encoder, texts: Sequence[str]) -> float | None:
    """Of a few texts, one by one."""
    return _median_ms(lambda text: encoder.encode_texts([text]), texts) if encoder.text else None


def timed(work: Callable[[], T], count: int) -> tuple[T, float]:
    """What some work gives, and how many things a second were done, of so many."""
    began = time.perf_counter()
    done = work()
    return done, count / max(1e-9, time.perf_counter() - began)


def _median_ms(work: Callable[[T], object], things: Sequence[T]) -> float | None:
    """The first ones only warm the model up, where there are others."""
    taken = []
    for thing in things[: _WARM + _TIMED]:
        began = time.perf_counter()
        with suppress(OSError, ValueError):  # a picture that is broken was told of when it was indexed
            work(thing)
            taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken[_WARM:] or taken) if taken else None


def forget_peak() -> None:
    """Begin anew with the highest memory, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mb() -> float | None:
    """The highest resident memory of this process since `forget_peak`; since its beginning where that can do nothing."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        return None
    import resource

    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    )
