"""The one safe way to the bytes of a picture by its URL, whoever wrote the URL.

What a URL can do to the one who follows it, and what stands against it here:

- It can point into one's own network, by a name too, and by a name whose address changes between a check and the
  connection. So a name is looked up once, every address that it has is checked, and the connection goes to one of
  these addresses, while TLS and the Host header keep the name. Each redirect goes the same way, and never from
  https to http.
- It can send without end, or a byte a minute. So bytes are counted as they arrive, whatever Content-Length says; content
  that is compressed is refused; every read has a time limit and the whole has one, the lookup of names included.
- It can be no picture. So the type must be one of pictures, or unknown; what it really is, its first bytes say later.

A proxy of the environment (HTTPS_PROXY and the like) is never used: it would look names up by itself, and nobody could
say where the connection goes.

This is `http.client` over a socket of our own. The HTTP libraries that the hub's client brings, httpx or requests by its
version, look names up themselves; what would have to be replaced in either is longer than this.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from picfind import keys
from picfind.errors import (
    BarredAddressError,
    DownloadError,
    PicfindError,
    PictureTooLargeError,
    UsageError,
)
from picfind.fetch.addresses import is_public
from picfind.fetch.wire import Clock, Resolve, Wire, addresses, in_time

MOST_BYTES = 64 * 1024 * 1024
"""Bytes that a picture of a URL may have, unless the caller says otherwise."""
_MOST_REDIRECTS = 5
_LONGEST = 8192
_CHUNK = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNKNOWN_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_PORTS = {"http": 80, "https": 443}
_KEPT = "!$&'()*+,;=:@/?%~[]"
_PROXIES = ("https_proxy", "http_proxy", "all_proxy")


def fetch_picture(
    url: str,
    *,
    max_bytes: int = MOST_BYTES,
    allow_private: bool = False,
    timeout: float = 10.0,
    total: float = 60.0,
    resolve: Resolve | None = None,
    context: ssl.SSLContext | None = None,
    on_redirect: Callable[[str], None] | None = None,
) -> bytes:
    """The bytes at a URL of http or https.

    `timeout` is for one read, `total` for everything, both in seconds. `allow_private` lets it go to addresses that
    are not public. `resolve` looks names up in place of the system, `context` says which certificates are trusted.
    `on_redirect` is told where each redirect leads, and may raise. Raises UsageError for what is no such URL,
    BarredAddressError, PictureTooLargeError, and DownloadError for what goes wrong on the way, with the status where a
    server answered.
    """
    way = _Way(max_bytes, allow_private, Clock(timeout, total), resolve or addresses, context)
    first = url
    for _ in range(_MOST_REDIRECTS + 1):
        target = _Target.of(url) if url == first else _followed(first, url)
        with _explained(target, way.clock):
            answer = way.ask(target)
        if isinstance(answer, bytes):
            return answer
        url = _redirected(target, answer)
        if on_redirect is not None:
            on_redirect(url)
    raise DownloadError(
        f"{keys.shown(first)} redirects more than {_MOST_REDIRECTS} times. Open it in a browser, and give the address of the "
        "picture itself."
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL that can be asked for."""

    url: str
    parts: SplitResult
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> _Target:
        """Read a URL. Raises UsageError for what is none, BarredAddressError for one that holds a password."""
        shown = keys.shown(url[:200])
        if len(url) > _LONGEST:
            raise UsageError(f"The URL {shown}… has {len(url):,} characters; at most {_LONGEST:,} are taken.")
        if shown != url[:200] or any(sign.isspace() or not sign.isprintable() for sign in url):
            raise UsageError(
                f"The URL {shown} holds blanks or control characters. Write them as %20 and so on."
            )
        try:
            parts = urlsplit(url)
            port = parts.port
            host = (parts.hostname or "").encode("idna" if "://[" not in url else "ascii").decode("ascii")
        except ValueError as error:
            raise UsageError(f"{shown} is no URL that can be read: {error}.") from error
        if parts.scheme not in _PORTS or not host:
            raise UsageError(f"{shown} is no URL of http:// or https:// and a host.")
        if "@" in parts.netloc:
            raise BarredAddressError(
                f"The URL of {host} holds a user name. Load the picture yourself, and give its path."
            )
        return cls(url, parts, host, _PORTS[parts.scheme] if port is None else port)

    def __str__(self) -> str:
        return keys.shown(self.url if len(self.url) <= 200 else f"{self.url[:200]}…")

    @property
    def path(self) -> str:
        """What is asked for: path and query, in ASCII."""
        query = f"?{self.parts.query}" if self.parts.query else ""
        return quote(f"{self.parts.path or '/'}{query}", safe=_KEPT)

    @property
    def host_header(self) -> str:
        """The host as the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.parts.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Way:
    """How one picture is loaded: its limits, its clock, and whom it trusts."""

    max_bytes: int
    allow_private: bool
    clock: Clock
    resolve: Resolve
    context: ssl.SSLContext | None

    def ask(self, target: _Target) -> bytes | str:
        """The bytes, or where the server says that they are."""
        with closing(self._connected(target)) as sock:
            connection = http.client.HTTPConnection(target.host)
            connection.sock = Wire(sock, self.clock)
            connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
            for name, value in _headers(target):
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            if response.status in _REDIRECTS and (location := response.getheader("Location")):
                return location
            try:
                _check(target, response)
            except DownloadError as error:
                error.status, error.retry_after = response.status, response.getheader("Retry-After")
                raise
            return self._body(target, response)

    def _connected(self, target: _Target) -> socket.socket:
        """A socket to the first of the host's addresses that answers, with TLS to its name for https."""
        failed = OSError("it has no address")
        for address in self._checked(target):
            try:
                sock = socket.create_connection((address, target.port), self.clock.left())
            except OSError as error:
                failed = error
                continue
            return sock if target.parts.scheme == "http" else self._secured(sock, target.host)
        raise failed

    def _secured(self, sock: socket.socket, host: str) -> socket.socket:
        try:
            sock.settimeout(self.clock.left())
            return (self.context or ssl.create_default_context()).wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise

    def _checked(self, target: _Target) -> Sequence[str]:
        """The addresses of a host, looked up once; one that is not public bars them all."""
        found = in_time(lambda: self.resolve(target.host, target.port), self.clock)
        barred = [] if self.allow_private else [address for address in found if not is_public(address)]
        if barred:
            raise BarredAddressError(
                f"{target} leads to {keys.shown(barred[0])}, which is not a public address, and is not loaded. If it is "
                "yours and you mean it, set PICFIND_PRIVATE_ADDRESSES=1; or load it yourself and give its path."
            )
        return found

    def _body(self, target: _Target, response: http.client.HTTPResponse) -> bytes:
        promised = response.length
        if promised is not None and promised > self.max_bytes:
            raise self._too_large(target)
        body = (
            bytearray()
        )  # and no list: a server may send two bytes at a time, each an object of twenty times that
        while piece := response.read1(_CHUNK):
            body += piece
            if len(body) > self.max_bytes:
                raise self._too_large(target)
        if promised is not None and len(body) != promised:
            raise ConnectionError(f"it broke off at {len(body):,} of {promised:,} bytes")
        return bytes(body)

    def _too_large(self, target: _Target) -> PictureTooLargeError:
        return PictureTooLargeError(
            f"{target} has more than the {self.max_bytes:,} bytes that are loaded from a URL. Load it yourself, and give "
            "its path."
        )


def _headers(target: _Target) -> Iterator[tuple[str, str]]:
    yield "Host", target.host_header
    yield "User-Agent", "picfind"
    yield "Accept", "image/*"
    yield "Accept-Encoding", "identity"
    yield "Connection", "close"


def _check(target: _Target, response: http.client.HTTPResponse) -> None:
    """Raises DownloadError for an answer that is no picture as it is."""
    status = response.status
    if status != 200:
        wanted = (
            "Try again later" if status in (429, 500, 502, 503, 504) else "Check the address in a browser"
        )
        raise DownloadError(f"{target} answered with status {status}. {wanted}.")
    kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in _UNKNOWN_TYPES):
        raise DownloadError(
            f"{target} is {keys.shown(kind)}, not a picture. If it is a page that shows one, give the picture's own address."
        )
    if response.getheader("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
        raise DownloadError(
            f"{target} was sent compressed, which was not asked for. Load it yourself, and give its path."
        )


def _redirected(target: _Target, location: str) -> str:
    """Where a redirect leads. Raises BarredAddressError where that is not secured and the way there was."""
    try:
        url = urljoin(target.url, location.encode("latin-1").decode("utf-8", "replace"))
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise DownloadError(f"{target} leads to {keys.shown(location[:200])}, which is no URL.") from error
    if target.parts.scheme == "https" and scheme == "http":
        raise BarredAddressError(
            f"{target} leads to {keys.shown(url)}, where nothing is secured. Give that address, if you trust it."
        )
    return url


def _followed(first: str, url: str) -> _Target:
    try:
        return _Target.of(url)
    except (UsageError, BarredAddressError) as error:
        raise BarredAddressError(
            f"{keys.shown(first)} leads to an address that is not loaded from. {error}"
        ) from error


@contextmanager
def _explained(target: _Target, clock: Clock) -> Iterator[None]:
    """Turn what goes wrong on the way into DownloadError."""
    try:
        yield
    except PicfindError:
        raise
    except TimeoutError as error:
        raise DownloadError(f"{target} cannot be loaded: {clock.explain()}. Try again later.") from error
    except ssl.SSLCertVerificationError as error:
        reason = f"its certificate is not trusted ({error.verify_message or error.reason})"
        raise DownloadError(f"{target} cannot be loaded: {reason}. Is the address right?") from error
    except (
        OSError,
        http.client.HTTPException,
        ValueError,
    ) as error:  # ValueError: an odd number in an answer
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DownloadError(
            f"{target} cannot be loaded: {keys.shown(str(reason))}. Check the address and the network.{_about_proxies()}"
        ) from error


def _about_proxies() -> str:
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return ""
    return " The proxy of the environment is not used for it: behind one, load the picture yourself and give its path."
