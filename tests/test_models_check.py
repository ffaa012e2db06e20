from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from picfind.encoders import _folders
from picfind.errors import UnknownModelError
from picfind.models import check as checking
from picfind.settings import Settings
from tests.clip_folders import DIM, Variant, make_folder
from tests.models_cli import environment, picfind

NAME = "ViT-B-32__openai"
LARGE = "textual/model.onnx"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "models",))


@pytest.fixture
def place(settings: Settings) -> Path:
    return settings.models[-1]


def test_a_whole_model_is_checked(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny")
    found = checking.check("tiny", settings)
    assert found.problems == ()
    shown = "\n".join(found.measured)
    assert "tiny@" in shown and "16 numbers" in shown and "'a blue picture'" in shown
    assert checking.check(str(place / "tiny"), settings).problems == ()


def test_a_check_of_the_model_that_comes_with_picfind() -> None:
    assert checking.check("builtin", Settings()).problems == ()


def test_a_check_names_everything_that_is_wrong(place: Path, settings: Settings) -> None:
    folder = make_folder(place / NAME)
    _folders.write_manifest(folder, _folders.Manifest("clip"))
    (folder / LARGE).unlink()
    (folder / "config.json").write_text("{", "utf-8")
    (folder / "visual" / "preprocess_cfg.json").write_text('{"size": 8, "interpolation": "guess"}', "utf-8")
    shown = "\n".join(checking.check(NAME, settings).problems)
    assert f"{LARGE} is missing" in shown
    assert "config.json is not what was pulled" in shown
    assert "preprocess_cfg.json is not what was pulled" in shown
    (folder / _folders.MANIFEST).unlink()
    shutil.copy(folder / "visual" / "model.onnx", folder / LARGE)
    shown = "\n".join(checking.check(NAME, settings).problems)
    assert "config.json cannot be read" in shown and "interpolation 'guess'" in shown


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (Variant(out=DIM + 1), "embed_dim"),
        (Variant(tokens={"pad_token": "<nothing>"}), "does not know the token '<nothing>'"),
    ],
)
def test_a_check_runs_the_model(variant: Variant, message: str, place: Path, settings: Settings) -> None:
    make_folder(place / "tiny", variant)
    (problem,) = checking.check("tiny", settings).problems
    assert message in problem


def test_a_check_of_nothing(settings: Settings) -> None:
    with pytest.raises(UnknownModelError):
        checking.check("nothing", settings)


def test_the_check_command(tmp_path: Path) -> None:
    env = environment("http://127.0.0.1:9", tmp_path)
    folder = make_folder(tmp_path / "models" / "tiny")
    whole = picfind("models", "check", str(folder), env=env)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "cosine" in whole.stdout and whole.stdout.endswith("all is well.\n")
    (folder / "config.json").unlink()
    broken = picfind("models", "check", "tiny", env=env)
    assert (broken.returncode, broken.stderr) == (2, "")
    assert "config.json is missing" in broken.stdout
    assert json.loads(picfind("models", "check", "tiny", "--json", env=env).stdout)["problems"]
    assert picfind("models", "check", "nothing", env=env).returncode == 2
