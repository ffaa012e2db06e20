"""Loading many pictures from other people's servers as a polite guest does.

At most two connections to a host at a time, and a pause between their beginnings. What a server is too busy for is tried
again, later each time and never before the server said (Retry-After). A host that does not answer for some pictures in
a row is left alone for the rest of the run.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from picfind.errors import BarredAddressError, DownloadError

_AT_A_TIME = 2
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_WAITS = (1.0, 4.0, 15.0)
"""Seconds before the second, third and fourth try."""
_LONGEST_WAIT = 120.0
"""What a server asks for beyond this waits for the next run."""
_FAILURES = 5
"""Pictures in a row without any answer, after which a host counts as gone."""


@dataclass(slots=True)
class _Host:
    places: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(_AT_A_TIME))
    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0
    """When the next connection may begin, by the clock."""
    failures: int = 0


class Courtesy:
    """What is known of each host. Safe from several threads, which it makes wait."""

    def __init__(
        self,
        *,
        pause: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`pause`: seconds between the beginnings of two connections to one host."""
        self._pause, self._clock, self._sleep = pause, clock, sleep
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    def load(self, url: str, fetch: Callable[[str], bytes]) -> bytes:
        """The bytes at a URL by `fetch`, tried again where that makes sense. Raises what `fetch` raises the last time."""
        name = urlsplit(url).netloc.rpartition("@")[2].lower()
        with self._lock:
            host = self._hosts.setdefault(name, _Host())
        for wait in (*_WAITS, None):
            try:
                with self._turn(host, name):
                    data = fetch(url)
            except BarredAddressError:
                raise  # it will be barred the next time too
            except DownloadError as error:
                if not self._again(host, error, wait):
                    raise
            else:
                host.failures = 0
                return data
        raise DownloadError(f"{name} did not answer.")  # never: the last try has no wait, and raises

    @contextmanager
    def _turn(self, host: _Host, name: str) -> Iterator[None]:
        """Wait for a place, and for the host's time."""
        with host.places:
            with host.lock:
                if host.failures >= _FAILURES:
                    raise _GoneError(
                        f"{name} has not answered for {_FAILURES} pictures in a row. Run it again later."
                    )
                begin = max(host.free_at, self._clock())
                if begin - self._clock() > _LONGEST_WAIT:
                    raise _GoneError(f"{name} asked to be left alone for a while. Run it again later.")
                host.free_at = begin + self._pause
            self._sleep(max(0.0, begin - self._clock()))
            yield

    def _again(self, host: _Host, error: DownloadError, wait: float | None) -> bool:
        """Whether to try again, after the host has been given the time that it needs."""
        with host.lock:
            if error.status is not None:
                host.failures = 0
            elif wait is None and not isinstance(error, _GoneError):
                host.failures += 1
            is_busy = error.status is None or error.status in _TRY_AGAIN
            if is_busy and not isinstance(error, _GoneError):
                asked = seconds_of(error.retry_after) if error.retry_after else 0.0
                host.free_at = max(host.free_at, self._clock() + max(wait or 0.0, asked))
            return is_busy and wait is not None and not isinstance(error, _GoneError)


class _GoneError(DownloadError):
    """A host that is not asked any more in this run."""


def seconds_of(retry_after: str) -> float:
    """The wait that a Retry-After header asks for: seconds, or a date. 0 for what is neither."""
    if retry_after.strip().isdecimal():
        return float(min(int(retry_after.strip()[:12]), 10**9))
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
