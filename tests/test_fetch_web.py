from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from picfind.api import fetcher
from picfind.errors import BarredAddressError, DownloadError, PicfindError, PictureTooLargeError, UsageError
from picfind.fetch import web
from picfind.fetch.addresses import is_public
from picfind.fetch.web import fetch_picture
from picfind.settings import load_settings

BODY = b"\x89PNG" + bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    """Answers by its path; `/redirect/N` leads on N times."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers.items())))
        name = self.path.split("/")[1].split("?")[0]
        with suppress(OSError):  # the other side may have had enough
            getattr(self, f"answer_{name}")()

    def send(self, body: bytes = BODY, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for key, value in ({"Content_Type": "image/png", "Content_Length": str(len(body))} | headers).items():
            if value:
                self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_picture(self) -> None:
        self.send()

    def answer_untyped(self) -> None:
        self.send(Content_Type="", Content_Length="")

    def answer_page(self) -> None:
        self.send(b"<html>", Content_Type="text/html; charset=utf-8")

    def answer_squeezed(self) -> None:
        self.send(gzip.compress(bytes(10**6)), Content_Encoding="gzip")

    def answer_gone(self) -> None:
        self.send(status=404)

    def answer_busy(self) -> None:
        self.send(status=503)

    def answer_cut(self) -> None:
        self.send(Content_Length=str(len(BODY) + 1))

    def answer_promising(self) -> None:
        self.send(b"x", Content_Length=str(10**12))

    def answer_chunked(self) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send(b"4\r\n\x89PNG\r\n3\r\nabc\r\n0\r\n\r\n", Content_Length="", Transfer_Encoding="chunked")

    def answer_endless(self) -> None:
        self.send(b"", Content_Length="")
        while True:
            self.wfile.write(bytes(1 << 16))

    def answer_dripping(self) -> None:
        self.send(b"", Content_Length="")
        while not self.server.over.wait(0.02):
            self.wfile.write(b"x")

    def answer_dripping_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.server.over.wait(0.02):
            self.wfile.write(b"x")

    def answer_silent(self) -> None:
        self.server.over.wait(30)

    def answer_nonsense(self) -> None:
        self.wfile.write(b"\0\1\2 no such thing\r\n\r\n")

    def answer_redirect(self) -> None:
        left = int(self.path.rpartition("/")[2])
        self.send(status=302, Location=f"/redirect/{left - 1}" if left > 1 else "../picture")

    def answer_loop(self) -> None:
        self.send(status=301, Location="/loop")

    def answer_raw(self) -> None:
        self.wfile.write(self.server.raw)

    def answer_to(self) -> None:
        self.send(status=307, Location=self.path.partition("?")[2])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        pass


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        self.raw = b""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what is tested."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/{path}"


def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serving(Server())


@pytest.fixture
def half_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts 127.0.0.1, where the servers are, as public, and all else as what it is."""
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.1" or is_public(address))


def names(**known: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: known[host.partition(".")[0]].split()


def test_a_picture_comes_as_it_is(server: Server) -> None:
    url = server.url("picture/a b?c=ä&d=%20#e".replace(" ", "%20"), host="Name.test")
    assert fetch_picture(url, allow_private=True, resolve=names(name="127.0.0.1")) == BODY
    ((path, headers),) = server.asked
    assert path == "/picture/a%20b?c=%C3%A4&d=%20"
    assert headers["Host"] == f"name.test:{server.port}"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"] == "picfind"
    assert "Cookie" not in headers
    assert "Authorization" not in headers


def test_two_bytes_at_a_time_take_no_more_memory(server: Server) -> None:
    pieces = 100_000
    server.raw = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * pieces + b"0\r\n\r\n"
    tracemalloc.start()
    try:
        assert len(fetch_picture(server.url("raw"), allow_private=True, timeout=30)) == 2 * pieces
        assert tracemalloc.get_traced_memory()[1] < 8 * pieces
    finally:
        tracemalloc.stop()


def test_a_picture_needs_no_type_and_no_length(server: Server) -> None:
    assert fetch_picture(server.url("untyped"), allow_private=True) == BODY
    assert fetch_picture(server.url("chunked"), allow_private=True) == b"\x89PNGabc"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("page", DownloadError, "is text/html, not a picture"),
        ("squeezed", DownloadError, "was sent compressed"),
        ("gone", DownloadError, r"status 404\. Check the address"),
        ("busy", DownloadError, r"status 503\. Try again later"),
        ("cut", DownloadError, "broke off at 256,004 of 256,005 bytes"),
        ("nonsense", DownloadError, "cannot be loaded"),
        ("promising", PictureTooLargeError, "more than the 1,000,000 bytes"),
        ("endless", PictureTooLargeError, "more than the 1,000,000 bytes"),
        ("redirect/6", DownloadError, "redirects more than 5 times"),
        ("loop", DownloadError, "redirects more than 5 times"),
        ("to?file:///etc/passwd", BarredAddressError, "not loaded from.*no URL of http"),
        ("to?ftp://127.0.0.1/x.png", BarredAddressError, "not loaded from"),
        ("to?http://me:secret@127.0.0.1/", BarredAddressError, "holds a user name"),
        ("to?http://[", DownloadError, "no URL"),
    ],
)
def test_what_is_no_picture_is_refused(
    server: Server, path: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fetch_picture(server.url(path), allow_private=True, max_bytes=10**6, timeout=5)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"HTTP/1.1",
        b"HTTP/1.1 999999 far\r\n\r\n",
        b"HTTP/1.1 204 none\r\n\r\n",
        b"HTTP/1.1 302 no\r\n\r\n",
        b"HTTP/1.1 302 to\r\nLocation: http://\xff\xfe/\r\n\r\n",
        b"HTTP/1.1 302 to\r\nLocation: http://a..b/\x1b[1m\r\n\r\n",
        OK + b"Content-Length: 9999999999999999999999\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        OK + b"X: y\r\n" * 200 + b"\r\n",
        OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
        OK + b"Content-Type: \xff/\x1b[1m\r\n\r\n",
    ],
)
def test_odd_answers_are_explained(server: Server, answer: bytes) -> None:
    server.raw = answer
    with pytest.raises(PicfindError) as caught:
        fetch_picture(server.url("raw"), allow_private=True, timeout=5)
    assert "\x1b" not in str(caught.value)


def test_redirects_are_followed(server: Server) -> None:
    assert fetch_picture(server.url("redirect/5"), allow_private=True) == BODY
    assert [path for path, _ in server.asked][-1] == "/picture"
    with pytest.raises(DownloadError, match="redirects more than 5 times"):
        fetch_picture(server.url(f"to?{server.url('redirect/5')}"), allow_private=True)


def test_a_picture_may_have_just_as_many_bytes_as_allowed(server: Server) -> None:
    for path in ("picture", "untyped"):
        assert fetch_picture(server.url(path), allow_private=True, max_bytes=len(BODY)) == BODY
        with pytest.raises(PictureTooLargeError):
            fetch_picture(server.url(path), allow_private=True, max_bytes=len(BODY) - 1)


@pytest.mark.parametrize("path", ["dripping", "dripping_headers"])
def test_a_byte_now_and_then_is_not_enough(server: Server, path: str) -> None:
    with pytest.raises(DownloadError, match=r"took longer than 0\.4 s in all"):
        fetch_picture(server.url(path), allow_private=True, timeout=5, total=0.4)


def test_silence_ends_too(server: Server) -> None:
    with pytest.raises(DownloadError, match=r"nothing came for 0\.2 s"):
        fetch_picture(server.url("silent"), allow_private=True, timeout=0.2)


def test_looking_up_a_name_has_its_time() -> None:
    over = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        over.wait(30)
        return []

    with pytest.raises(DownloadError, match=r"took longer than 0\.2 s in all"):
        fetch_picture("http://slow.test/", resolve=resolve, total=0.2)
    over.set()


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("no such name")])
def test_a_name_that_is_not_known(error: Exception) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise error

    with pytest.raises(DownloadError, match="cannot be loaded: no such name"):
        fetch_picture("http://none.test/", resolve=resolve)


def test_private_addresses_are_barred_unless_allowed(server: Server) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]", "１２７.０.０.１"):
        with pytest.raises(BarredAddressError, match=r"not a public address.*PICFIND_PRIVATE_ADDRESSES=1"):
            fetch_picture(server.url("picture", host=host))
    assert not server.asked


def test_one_private_address_of_several_bars_them_all(server: Server, half_open: None) -> None:
    url = server.url("picture", host="both.test")
    with pytest.raises(BarredAddressError, match=r"leads to 10\.0\.0\.1"):
        fetch_picture(url, resolve=names(both="127.0.0.1 10.0.0.1"))
    assert not server.asked
    assert fetch_picture(url, resolve=names(both="127.0.0.1")) == BODY


def test_a_redirect_is_checked_like_the_first_address(server: Server, half_open: None) -> None:
    known = names(good="127.0.0.1", evil="127.0.0.2")
    for inner in (server.url("picture", host="evil.test"), "http://169.254.169.254/latest", "//evil.test/x"):
        with pytest.raises(BarredAddressError, match="not a public address"):
            fetch_picture(
                server.url(f"to?{inner}", host="good.test"),
                resolve=lambda host, port: known(host, port) if host.endswith("test") else [host],
            )
    assert [path.split("?")[0] for path, _ in server.asked] == ["/to"] * 3


def test_a_name_is_looked_up_once_and_that_address_is_asked(server: Server, half_open: None) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    found = fetch_picture(server.url("picture", host="turn.test"), resolve=lambda host, port: answers.pop(0))
    assert found == BODY
    assert answers == [["10.0.0.1"]]


def test_the_next_address_is_tried(server: Server) -> None:
    # nothing listens at the port of ::1, or the machine has no IPv6: both are an error at once
    url = server.url("picture", host="two.test")
    assert fetch_picture(url, resolve=names(two="::1 127.0.0.1"), allow_private=True) == BODY


def test_what_cannot_be_reached_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.url("picture")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DownloadError, match=r"has no address\. Check the address and the network\.$"):
        fetch_picture(url, resolve=lambda host, port: [])
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="The proxy of the environment is not used"):
        fetch_picture("http://none.invalid/", resolve=lambda host, port: [])
    assert fetch_picture(url, allow_private=True) == BODY


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no URL of http"),
        ("ftp://example.org/a.png", "no URL of http"),
        ("file:///etc/passwd", "no URL of http"),
        ("https://", "no URL of http"),
        ("https:example.org", "no URL of http"),
        ("http://[::1/", "no URL that can be read"),
        ("http://example.org:port/", "no URL that can be read"),
        ("http://example.org:99999/", "no URL that can be read"),
        ("http://" + "a" * 64 + ".org/", "no URL that can be read"),
        ("http://example.org/a b", "blanks or control"),
        ("http://example.org/\r\nHost: x", "blanks or control"),
        ("http://example.org/\x1b[1m", r"\\x1b"),
        ("http://example.org/" + "a" * 9000, "at most 8,192"),
    ],
)
def test_what_is_no_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fetch_picture(url)


def test_a_password_is_neither_sent_nor_shown() -> None:
    with pytest.raises(BarredAddressError, match="holds a user name") as caught:
        fetch_picture("https://me:secret@example.org/a.png")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((address, True) for address in ("1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1")),
        *((address, True) for address in ("2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808")),
        *((address, False) for address in ("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.127.255.255")),
        *((address, False) for address in ("127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1", "172.31.9.9")),
        *((address, False) for address in ("192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.19.0.1")),
        *((address, False) for address in ("224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255")),
        *((address, False) for address in ("::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd12::1", "fec0::1")),
        *((address, False) for address in ("ff02::1", "::ffff:127.0.0.1", "::ffff:a00:1", "::127.0.0.1", "100::1")),
        *((address, False) for address in ("2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1")),
        *((address, False) for address in ("64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "3fff::1", "5f00::1")),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_the_setting_allows_private_addresses(server: Server, tmp_path: Path) -> None:
    environ = {"PICFIND_PRIVATE_ADDRESSES": "yes", "PICFIND_MAX_BYTES": str(len(BODY))}
    config = tmp_path / "config.toml"
    assert fetcher(load_settings(environ=environ, config=config))(server.url("picture")) == BODY
    with pytest.raises(BarredAddressError):
        fetcher(load_settings(environ={}, config=config))(server.url("picture"))
    config.write_text("private_addresses = true\nmax_bytes = 10\n")
    with pytest.raises(PictureTooLargeError):
        fetcher(load_settings(environ={}, config=config))(server.url("picture"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for pictures.test, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    key, own = folder / "key.pem", folder / "own.pem"
    asked = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=other.test"
    names = ["-addext", "subjectAltName=DNS:pictures.test"]
    command = [openssl, *asked.split(), *names, "-keyout", str(key), "-out", str(own)]
    subprocess.run(command, check=True, capture_output=True)
    own.write_text(own.read_text() + key.read_text())
    return own


@pytest.fixture
def secured(certificate: Path) -> Iterator[tuple[Server, list[str | None]]]:
    """A server with TLS, and the names that clients said they want to talk to."""
    server, told = Server(), list[str | None]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, of: told.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for running in serving(server):
        yield running, told


def test_tls_is_to_the_name_and_not_to_the_address(
    secured: tuple[Server, list[str | None]], certificate: Path, half_open: None
) -> None:
    server, told = secured
    trusting = ssl.create_default_context(cafile=str(certificate))
    everywhere = names(pictures="127.0.0.1", other="127.0.0.1")
    url = server.url("picture", host="pictures.test", scheme="https")
    assert fetch_picture(url, resolve=everywhere, context=trusting) == BODY
    assert told == ["pictures.test"]
    assert server.asked[0][1]["Host"] == f"pictures.test:{server.port}"
    with pytest.raises(DownloadError, match=r"certificate is not trusted.*not valid for 'other\.test'"):
        fetch_picture(url.replace("pictures", "other"), resolve=everywhere, context=trusting)
    with pytest.raises(DownloadError, match="certificate is not trusted"):
        fetch_picture(url, resolve=everywhere)
    with pytest.raises(DownloadError, match="cannot be loaded"):
        fetch_picture(url.replace("https", "http"), resolve=everywhere, timeout=5)
    assert len(server.asked) == 1


def test_what_is_secured_does_not_lead_to_what_is_not(
    secured: tuple[Server, list[str | None]], certificate: Path, half_open: None
) -> None:
    server, _ = secured
    trusting = ssl.create_default_context(cafile=str(certificate))
    url = server.url("to?http://pictures.test/a.png", host="pictures.test", scheme="https")
    with pytest.raises(BarredAddressError, match="where nothing is secured"):
        fetch_picture(url, resolve=names(pictures="127.0.0.1"), context=trusting)
    back = url.replace(
        "http://pictures.test/a.png", server.url("picture", host="pictures.test", scheme="https")
    )
    assert fetch_picture(back, resolve=names(pictures="127.0.0.1"), context=trusting) == BODY
