"""A connection with a clock: no lookup of a name, no read and no whole takes longer than it may."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the IP addresses of a host, as text; raises OSError where there are none."""


class Clock:
    """How much time is left for everything, and for one read."""

    def __init__(self, timeout: float, total: float) -> None:
        self.timeout = timeout
        self.total = total
        self._end = time.monotonic() + total

    def left(self) -> float:
        """Seconds for the next step. Raises TimeoutError when all are gone."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(self.timeout, left)

    def explain(self) -> str:
        """Which of the two limits has been passed."""
        if time.monotonic() >= self._end:
            return f"it took longer than {self.total:g} s in all"
        return f"nothing came for {self.timeout:g} s"


class Wire:
    """A socket as `http.client` wants it, with the clock on every read. Whoever opened the socket closes it."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock

    def sendall(self, data: bytes) -> None:
        """Send, within the time of one read."""
        self._sock.settimeout(self._clock.left())
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What arrives, as a file."""
        return io.BufferedReader(_Arriving(self._sock, self._clock))

    def close(self) -> None:
        """Nothing: the body may still be read."""


class _Arriving(io.RawIOBase):
    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        super().__init__()
        self._sock = sock
        self._clock = clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._sock.settimeout(self._clock.left())
        return self._sock.recv_into(buffer)


def addresses(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def in_time(look_up: Callable[[], Sequence[str]], clock: Clock) -> Sequence[str]:
    """What a lookup gives; the system's own has no time limit, so it has a thread that is left behind in time."""
    found: list[Sequence[str] | OSError] = []

    def run() -> None:
        try:
            found.append(look_up())
        except OSError as error:
            found.append(error)
        except ValueError as error:  # a name that is too long for DNS
            found.append(OSError(str(error)))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(clock.left())
    if not found:
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]
