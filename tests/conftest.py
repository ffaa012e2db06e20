"""What the tests share: pictures made on the spot, a gallery's folder, settings that leave the person's own alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("picfind.testing")

from picfind.api import Gallery  # noqa: E402
from picfind.settings import Settings  # noqa: E402
from picfind.storage.store import Store  # noqa: E402
from picfind.testing import toy_encoder  # noqa: E402
from tests.photos import write_photo  # noqa: E402


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the person's own gallery, models or configuration."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    for name in [name for name in os.environ if name.startswith("PICFIND_") and name != "PICFIND_TEST_DATA"]:
        monkeypatch.delenv(name)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four pictures, one of them in a folder below."""
    folder = tmp_path / "photos"
    for name in ("red.png", "green.png", "blue.png", "trip/yellow.png"):
        write_photo(folder / name, colour=Path(name).stem)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty gallery's folder."""
    opened = Store.open(tmp_path / "test.gallery", create=True)
    yield opened
    opened.close()


@pytest.fixture
def open_gallery(tmp_path: Path) -> Iterator[Callable[..., Gallery]]:
    """Opens a gallery that indexes with the toy encoder; closes all at the end."""
    opened: list[Gallery] = []

    def make(
        name: str = "test.gallery", *, encoder: str = "toy", settings: Settings | None = None
    ) -> Gallery:
        where = tmp_path / name
        gallery = Gallery(
            Store.open(where, create=True), settings or Settings(), encoder=toy_encoder(encoder)
        )
        opened.append(gallery)
        return gallery

    yield make
    for gallery in opened:
        gallery.close()


@pytest.fixture
def gallery(open_gallery: Callable[..., Gallery]) -> Gallery:
    """An empty gallery that indexes with the toy encoder."""
    return open_gallery()
