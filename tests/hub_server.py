"""A small model hub on 127.0.0.1: listings with hashes, files with redirects and ranges, and faults when they are wanted."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_SMALL = 64
"""Files of fewer bytes have git's hash, as on the real hub; larger ones are LFS files with a SHA-256."""


@dataclass
class Hub:
    """What the server holds, what it was asked, and how it misbehaves."""

    url: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licences: dict[str, Any] = field(default_factory=dict)
    commit: str = COMMIT
    asked: list[str] = field(default_factory=list)
    """Method and path of every request; files with the range that was asked for."""
    statuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and X-Error-Code to answer with, by repository or file name."""
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """Bytes after which the connection breaks, one for each coming request of a file."""
    stall_after: dict[str, int] = field(default_factory=dict)
    """Bytes after which nothing comes any more until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)
    damaged: set[str] = field(default_factory=set)
    """Files whose bytes are not those of their hash."""
    longer: set[str] = field(default_factory=set)
    """Files that have more bytes than was said."""
    extra_names: list[str] = field(default_factory=list)
    """Names to list besides the files that are there."""
    ranges: bool = True
    hashes: bool = True
    page: bytes | None = None
    """What to answer every question with, instead of listings: the page of a network that wants a login."""

    def loads(self, name: str) -> list[str]:
        """The ranges that were asked for of a file."""
        return [line.split(" ", 2)[2] for line in self.asked if line.startswith(f"CDN {name} ")]


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Run a hub for a while."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def use_hub(monkeypatch: pytest.MonkeyPatch, url: str, cache: Any) -> None:
    """Point the hub's library in this process at a server, with a cache and no token of its own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def git_blob(content: bytes) -> str:
    """The name that git gives some content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing: tests look at stderr."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.state.asked.append(f"GET {path}")
        if path.startswith("/api/models/"):
            self._list(path.removeprefix("/api/models/"))
        elif path.startswith("/cdn/"):
            self._send_file(path.removeprefix("/cdn/"))
        elif "/resolve/" in path:
            self._resolve(path.lstrip("/"))
        else:
            self._fail(404, "")

    def _list(self, repository: str) -> None:
        hub = self.state
        if hub.page is not None:
            return self._answer(200, hub.page, {"Content-Type": "text/html"})
        if repository in hub.statuses:
            return self._fail(*hub.statuses[repository])
        if repository not in hub.repositories:
            return self._fail(401, "RepoNotFound")
        files = [self._entry(name, content) for name, content in hub.repositories[repository].items()]
        files += [{"rfilename": name, "size": 1, "blobId": "0" * 40} for name in hub.extra_names]
        card = {"license": hub.licences[repository]} if repository in hub.licences else {}
        found = {"id": repository, "sha": hub.commit, "siblings": files, "cardData": card, "tags": []}
        return self._answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _entry(self, name: str, content: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
        if not self.state.hashes:
            return entry
        entry["blobId"] = git_blob(content)
        if len(content) >= _SMALL:
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
        return entry

    def _resolve(self, path: str) -> None:
        """`owner/name/resolve/commit/file`: sends on to where the bytes are, as the hub does."""
        owner, name, _, commit, file = path.split("/", 4)
        content = self.state.repositories.get(f"{owner}/{name}", {}).get(file)
        if file in self.state.statuses:
            return self._fail(*self.state.statuses[file])
        if content is None or commit != self.state.commit:
            return self._fail(404, "EntryNotFound")
        return self._answer(302, b"", {"Location": f"{self.state.url}/cdn/{owner}/{name}/{file}"})

    def _send_file(self, path: str) -> None:
        hub = self.state
        owner, name, file = path.split("/", 2)
        asked = self.headers.get("Range", "")
        hub.asked.append(f"CDN {file} {asked}")
        content = hub.repositories[f"{owner}/{name}"][file]
        if file in hub.damaged:
            content = bytes(255 - byte for byte in content)
        if file in hub.longer:
            content += b"more"
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.ranges else 0
        body = content[start:]
        self.send_response(206 if asked and hub.ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send_body(file, body)

    def _send_body(self, file: str, body: bytes) -> None:
        hub = self.state
        cuts = hub.cut_after.get(file)
        if cuts:
            self.wfile.write(body[: cuts.pop(0)])
            self.close_connection = True
            return
        if file in hub.stall_after and not hub.go_on.is_set():
            self.wfile.write(body[: hub.stall_after[file]])
            self.wfile.flush()
            hub.stalled.set()
            hub.go_on.wait(60)
            self.close_connection = True
            return
        self.wfile.write(body)

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, b"{}", {"X-Error-Code": code} if code else {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("X-HF-Warning", "anonymous; Log in to be served faster.")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
