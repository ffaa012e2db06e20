from __future__ import annotations

import importlib
import types
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from picfind import encoders, plugins
from picfind.errors import PicfindError, UnknownModelError
from picfind.settings import Settings
from picfind.testing import toy, toy_encoder


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What other packages offer: the test fills it."""
    found: list[EntryPoint] = []
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [point for point in found if point.group == group]
    )
    return found


def test_a_files_name_is_its_plug_ins_name() -> None:
    assert plugins.names("encoders") == ["bert", "builtin", "clip", "joint", "resnet", "spacy"]
    assert plugins.names("index") == ["faiss", "flat"]
    assert plugins.names("datasets") == [
        *("coco", "flickr", "folder", "labelled", "table", "urls", "visual_genome", "voc", "webdataset"),
    ]
    assert {name for name, _ in plugins.load_all("index")} == {"faiss", "flat"}
    assert plugins.load("index", "base") is None
    assert plugins.load("index", "_exact") is None


def test_another_package_adds_a_family(entry: list[EntryPoint], monkeypatch: pytest.MonkeyPatch) -> None:
    card = toy_encoder().card
    monkeypatch.setattr(toy, "cards", lambda settings: [card], raising=False)
    monkeypatch.setattr(toy, "find", lambda spec, settings: card if spec == "toy" else None, raising=False)
    monkeypatch.setattr(toy, "load", lambda card, settings, **_: toy_encoder(), raising=False)
    entry.append(EntryPoint("toy", "picfind.testing.toy", "picfind.encoders"))
    found = [card.name for card in encoders.cards(Settings())]
    assert found[0] == "builtin"
    assert "toy" in found
    assert encoders.load("toy", Settings()).space == card.space


def test_a_name_clash_is_an_error_that_names_both(entry: list[EntryPoint]) -> None:
    entry.append(EntryPoint("flat", "elsewhere.flat", "picfind.indexes"))
    with pytest.raises(PicfindError, match=r"called 'flat': picfind\.index\.flat and elsewhere\.flat"):
        plugins.names("index")


def test_an_entry_point_must_name_a_module(entry: list[EntryPoint]) -> None:
    entry.append(EntryPoint("odd", "picfind.errors:PicfindError", "picfind.indexes"))
    with pytest.raises(PicfindError, match="must name a module"):
        plugins.load("index", "odd")


def test_a_plug_in_that_fails_is_named(entry: list[EntryPoint]) -> None:
    entry.append(EntryPoint("odd", "nowhere.at_all", "picfind.indexes"))
    with pytest.raises(
        PicfindError, match=r"The plug-in 'odd' \(nowhere\.at_all\) cannot be loaded: No module"
    ):
        plugins.load("index", "odd")


def test_a_card_of_a_family_that_is_not_installed() -> None:
    card = replace(toy_encoder().card, family="gone")
    with pytest.raises(UnknownModelError, match="of the family 'gone', which is not installed"):
        encoders.load(card, Settings())


def test_listing_names_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []

    def watch(name: str) -> types.ModuleType:
        imported.append(name)
        return real(name)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", watch)
    plugins.names("index")
    assert imported == ["picfind.index"]
