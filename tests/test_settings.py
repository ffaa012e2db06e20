from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from picfind.errors import SettingsError
from picfind.settings import _READERS, Settings, cores, load_settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_every_field_can_be_read() -> None:
    assert set(_READERS) == {entry.name for entry in fields(Settings)}


def test_defaults(config: Path) -> None:
    settings = load_settings(environ={}, config=config)
    assert settings == Settings()
    assert settings.gallery.parts[-2:] == ("picfind", "default")
    assert settings.models[0].parts[-2:] == ("picfind", "models")


def test_flag_over_environment_over_file_over_default(config: Path) -> None:
    config.write_text('model = "file"\nworkers = 3\nmax_bytes = 7\nexclude = ["*.tmp", "raw/"]\n')
    environ = {"PICFIND_MODEL": "environment", "PICFIND_WORKERS": "4"}
    settings = load_settings({"model": "flag", "workers": None}, environ=environ, config=config)
    assert (settings.model, settings.workers, settings.max_bytes) == (("flag",), 4, 7)
    assert settings.exclude == ("*.tmp", "raw/")
    assert settings.max_pixels == Settings().max_pixels


def test_paths_are_split_as_the_system_splits_them(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"PICFIND_MODELS": os.pathsep.join(["/a", "~/b", ""])}
    assert load_settings(environ=environ, config=config).models == (Path("/a"), Path("~/b").expanduser())
    config.write_text('models = ["/c"]\n')
    assert load_settings(environ={}, config=config).models == (Path("/c"),)


def test_an_empty_variable_counts_as_not_set(config: Path) -> None:
    assert load_settings(environ={"PICFIND_MODEL": ""}, config=config).model == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model =", "is not valid TOML"),
        ("colour = 1", "unknown setting 'colour'. Known are: device, exclude, gallery"),
        ("gallery = 1", "gallery is 1, which cannot be read: a path in quotes is wanted"),
        ('workers = "many"', "workers is 'many', which cannot be read"),
        ("max_pixels = 0", "at least 1 is wanted"),
        ("workers = 2.9", "a whole number is wanted"),
        ("max_bytes = true", "a whole number is wanted"),
        ("model = 5", "a text in quotes is wanted"),
    ],
)
def test_a_config_file_that_cannot_be_read_is_explained(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(environ={}, config=config)


def test_flags_are_checked_too(config: Path) -> None:
    with pytest.raises(SettingsError, match="workers is -3"):
        load_settings({"workers": -3}, environ={}, config=config)


def test_a_config_file_that_is_a_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(environ={}, config=tmp_path)


def test_a_variable_that_cannot_be_read_is_named(config: Path) -> None:
    with pytest.raises(SettingsError, match="PICFIND_WORKERS is '-1', which cannot be read"):
        load_settings(environ={"PICFIND_WORKERS": "-1"}, config=config)


def test_there_is_at_least_one_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
