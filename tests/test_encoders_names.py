"""By which name a folder is found, whatever the working folder and whatever else is called so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from picfind import encoders
from picfind.encoders import _folders, bert
from picfind.encoders.base import EncoderCard
from picfind.errors import ModelFilesError, UnknownModelError, UsageError
from picfind.models import check as checking
from picfind.settings import Settings
from tests import bert_folders, clip_folders


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "models",), device="cpu")


@pytest.fixture
def place(settings: Settings) -> Path:
    return settings.models[-1]


def joint_folder(folder: Path) -> Path:
    parts = {"image": "builtin-image", "text": "minilm"}
    about = {
        block: {"spec": spec, "revision": encoders.find(spec, Settings(models=())).revision}
        for block, spec in parts.items()
    }
    folder.mkdir(parents=True)
    manifest = _folders.Manifest("joint", about={"mode": "concat", **about})
    _folders.write_manifest(folder, manifest)
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "clip": clip_folders.make_folder,
    "bert": bert_folders.write_folder,
    "joint": joint_folder,
}


@pytest.mark.parametrize("family", MAKERS)
def test_a_folder_of_the_working_folder_is_found_again_from_another(
    family: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    MAKERS[family](tmp_path / "here" / "mine")
    monkeypatch.chdir(tmp_path / "here")
    for spec in ("mine", "./mine"):
        card = encoders.find(spec, settings)
        monkeypatch.chdir(tmp_path)
        assert encoders.find(card.name, settings) == card
        monkeypatch.chdir(tmp_path / "here")


@pytest.mark.parametrize("family", MAKERS)
def test_a_folder_behind_another_of_its_name_keeps_its_path(family: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    clip_folders.make_folder(first / "mine")
    hidden = MAKERS[family](second / "mine")
    card = encoders.find(str(hidden), Settings(models=(first, second)))
    assert card.name == str(hidden)


@pytest.mark.parametrize("name", sorted(_folders.OURS))
@pytest.mark.parametrize("family", ["clip", "bert"])
def test_a_folder_does_not_take_the_name_of_a_model_of_ours(
    name: str, family: str, settings: Settings, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = encoders.find(name, Settings(models=()))
    folder = MAKERS[family](place / name)
    monkeypatch.chdir(place)
    assert encoders.find(name, settings) == ours
    assert encoders.find(str(folder), settings).name == str(folder)
    names = [card.name for card in encoders.cards(settings)]
    assert len(names) == len(set(names)) and str(folder) in names


def test_every_model_of_ours_has_its_name_kept() -> None:
    cards = [card for card in encoders.cards(Settings(models=())) if card.installed]
    assert {card.name for card in cards if card.family != "spacy"} <= _folders.OURS


def test_a_folder_in_the_place_of_a_published_model_is_listed_once(settings: Settings, place: Path) -> None:
    bert_folders.write_folder(place / "resnet18")
    (card,) = [card for card in encoders.cards(settings) if card.name == "resnet18"]
    assert (card.family, card.installed) == ("bert", True)


def test_who_asks_for_no_model_waits_for_no_other_family(
    settings: Settings, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(_: Settings) -> list[EncoderCard]:
        raise AssertionError("the folders of another family were read")

    clip_folders.make_folder(place / "mine")
    monkeypatch.setattr(bert, "cards", looked)
    assert encoders.default(settings).name == "mine"


def test_a_folder_that_is_no_model_is_not_said_to_be_missing(settings: Settings, place: Path) -> None:
    (place / "mine").mkdir(parents=True)
    (place / "mine" / "config.json").write_text("[1]", "utf-8")
    with pytest.raises(UnknownModelError, match=r"folder .*mine holds no model that is known.*models export"):
        encoders.find("mine", settings)
    _folders.write_manifest(place / "mine", _folders.Manifest("theirs"))
    with pytest.raises(UnknownModelError, match=r"mine is of the family 'theirs', which is not installed"):
        encoders.find("mine", settings)


def test_an_unknown_name_says_where_was_looked(settings: Settings, place: Path) -> None:
    with pytest.raises(UnknownModelError) as told:
        encoders.find("nonesuch", settings)
    assert str(place) in str(told.value)


@pytest.mark.parametrize("name", ["picfind.json", "config.json"])
def test_json_too_deep_to_read_is_damage(name: str, settings: Settings, place: Path) -> None:
    folder = clip_folders.make_folder(place / "mine")
    (folder / name).write_text('{"a":' * 100_000, "utf-8")
    with pytest.raises(ModelFilesError, match=rf"{name} cannot be read"):
        encoders.find("mine", settings)
    (card,) = [card for card in encoders.cards(settings) if card.name == "mine"]
    assert not card.installed and name in card.note


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_fault_of_the_model(settings: Settings, place: Path) -> None:
    folder = bert_folders.write_folder(place / "mine")
    (folder / "onnx" / "model.onnx").chmod(0)
    with pytest.raises(ModelFilesError, match=r"model\.onnx cannot be read: Permission denied"):
        encoders.find("mine", settings)
    assert "Permission denied" in checking.check("mine", settings).problems[0]


def test_a_check_reads_files_whose_size_and_time_stayed(settings: Settings, place: Path) -> None:
    folder = clip_folders.make_folder(place / "mine")
    _folders.write_manifest(folder, _folders.Manifest("clip"))
    graph = folder / "visual" / "model.onnx"
    before, content = graph.stat(), graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(graph, ns=(before.st_atime_ns, before.st_mtime_ns))
    (problem,) = checking.check("mine", settings).problems
    assert problem.startswith("visual/model.onnx is not what was pulled or exported")


def test_a_check_says_a_thing_once(settings: Settings, place: Path) -> None:
    (clip_folders.make_folder(place / "mine") / "config.json").write_text("{", "utf-8")
    assert len(checking.check("mine", settings).problems) == 1


@pytest.mark.parametrize("name", ["", ".hidden", "-v", "a/b", "a\\b", "a:b", "a+b", "a@b", "a\nb", "a*"])
def test_what_no_model_can_be_called(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        _folders.check_name(name)


def test_no_folder_for_new_models_is_said() -> None:
    with pytest.raises(UsageError, match="set PICFIND_MODELS"):
        _folders.home(Settings(models=()))
