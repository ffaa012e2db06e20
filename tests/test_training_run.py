"""Whole runs: each kind of recipe becomes a model that is used like any other, and a run survives being killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

import picfind
from picfind import encoders
from picfind.cli.main import app
from picfind.encoders.base import Encoder
from picfind.errors import (
    CheckpointError,
    EncoderError,
    ModelFilesError,
    RecipeError,
    TrainingError,
    UsageError,
)
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from tests.photos import write_photo
from tests.training_data import TINY, write_captions, write_recipe

for _module in ("torch", "onnx", "onnxscript"):
    pytest.importorskip(_module, reason="training needs the extra `train`")

from picfind.training.publishing import Published  # noqa: E402
from picfind.training.recipe import load_recipe  # noqa: E402
from picfind.training.run import train, with_data  # noqa: E402

SMALL_HEADS = {"dim": 16, "hidden": 16, "dropout": 0.1}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "models",), device="cpu", workers=1)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, str]:
    return write_captions(tmp_path), write_captions(tmp_path, split="dev", count=8, seed=99)


def trained(
    tmp_path: Path,
    content: Mapping[str, Any],
    sources: tuple[str, str],
    settings: Settings,
    name: str = "mine",
) -> Published:
    _, recipe = load_recipe(str(write_recipe(tmp_path / "mine.toml", content)))
    recipe = with_data(recipe, sources[:1], sources[1:])
    *_, last = train(recipe, name=name, out=tmp_path / f"{name}.run", settings=settings)
    assert isinstance(last, Published)
    return last


@pytest.fixture(scope="class")
def clip_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("clip")
    sources = write_captions(folder), write_captions(folder, split="dev", count=8)
    settings = Settings(models=(folder / "models",), device="cpu", workers=1)
    request.cls.made = encoders.load(str(trained(folder, TINY, sources, settings).folder), settings)


@pytest.mark.usefixtures("clip_folder")
class TestTrainedClip(EncoderSuite):
    """A CLIP from nothing passes what every encoder must."""

    made: ClassVar[Encoder]

    def encoder(self) -> Encoder:
        return self.made


def test_a_clip_is_used_like_any_other(tmp_path: Path, sources: tuple[str, str], settings: Settings) -> None:
    made = trained(tmp_path, {**TINY, "schedule": {"epochs": 1, "batch": 8}}, sources, settings)
    card = encoders.find("mine", settings)
    assert (card.family, card.dim, card.image_size) == ("clip", 8, 16)
    assert "trained by picfind" in card.source
    text = (made.folder / "README.md").read_text(encoding="utf-8")
    for part in (
        "# mine",
        "24 pictures with 48 captions",
        "## Terms",
        "text_to_image hit_at(10)",
        '"patch": 8',
    ):
        assert part in text
    with picfind.open(tmp_path / "gallery", settings=settings, model="mine") as gallery:
        gallery.index(tmp_path)
        assert len(gallery.search("a red picture", k=3)) == 3


def test_losses_figures_and_curves_are_written(
    tmp_path: Path, sources: tuple[str, str], settings: Settings
) -> None:
    trained(tmp_path, {**TINY, "kind": "clip"}, sources, settings)
    run = tmp_path / "mine.run"
    steps = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps] == list(range(1, 10))
    judged = [json.loads(line) for line in (run / "figures.jsonl").read_text().splitlines()]
    assert [row["step"] for row in judged] == [0, 3, 6, 9]
    assert (run / "curves.svg").read_text().startswith("<svg")


def test_a_run_that_is_killed_goes_on_with_the_same_losses(tmp_path: Path, sources: tuple[str, str]) -> None:
    short = {**TINY, "schedule": {"epochs": 2, "batch": 8, "rate": 3e-3, "checkpoint": 2}}
    recipe = write_recipe(tmp_path / "mine.toml", short)
    done = subprocess.run(
        [sys.executable, "-m", "tests.training_kill", str(tmp_path / "kills"), *sources, str(recipe)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps, verdict = done.stdout.split()
    assert int(steps) > 50
    assert verdict == "same"


def test_resuming_with_another_recipe(tmp_path: Path, sources: tuple[str, str], settings: Settings) -> None:
    trained(tmp_path, joint(), sources, settings)
    _, recipe = load_recipe(str(tmp_path / "mine.toml"), ["schedule.rate=0.5"])
    again = with_data(recipe, sources[:1], sources[1:])
    with pytest.raises(CheckpointError, match=r"schedule\.rate was 0\.01 and is 0\.5"):
        next(train(again, name="other", out=tmp_path / "mine.run", settings=settings, resume=True))
    with pytest.raises(UsageError, match="There is a model"):
        next(train(again, name="mine", out=tmp_path / "next.run", settings=settings))
    assert not (tmp_path / "next.run").exists()


def test_what_is_wrong_with_the_data_is_told_before_a_folder_is_made(
    tmp_path: Path, sources: tuple[str, str], settings: Settings
) -> None:
    (tmp_path / "train004.png").unlink()
    with pytest.raises(TrainingError, match=r"train004\.png"):
        trained(tmp_path, TINY, sources, settings)
    assert not (tmp_path / "mine.run").exists()
    (tmp_path / "train004.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"train004\.png"):
        trained(tmp_path, TINY, sources, settings)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("picture", [{"size": 20, "patch": 8}, {"size": 18, "patch": 6}, {"width": 9}])
def test_shapes_that_do_not_go_together(
    tmp_path: Path, sources: tuple[str, str], settings: Settings, picture: Mapping[str, int]
) -> None:
    with pytest.raises(RecipeError, match=r"picture\."):
        trained(tmp_path, {**TINY, "picture": picture}, sources, settings)


def joint(**more: Any) -> dict[str, Any]:
    return {
        "kind": "joint",
        "image": {"model": "builtin-image"},
        "text": {"model": "minilm"},
        "heads": SMALL_HEADS,
        "schedule": {"epochs": 30, "batch": 8, "rate": 1e-2},
        **more,
    }


@pytest.mark.parametrize("kind", ["both", "linear", "mlp"])
def test_two_models_in_one_space(
    tmp_path: Path, sources: tuple[str, str], settings: Settings, kind: str
) -> None:
    made = trained(tmp_path, joint(heads={**SMALL_HEADS, "kind": kind}), sources, settings)
    assert made.figures["text_to_image hit_at(1)"] > 0.3  # chance: .125
    encoder = encoders.load("mine", settings)
    assert (encoder.card.family, encoder.card.dim) == ("joint", 16)
    rows = encoder.encode_images([tmp_path / "dev000.png", tmp_path / "dev002.png"])
    said = encoder.encode_texts(["a red picture", "a blue picture"])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    scores = said @ rows.T
    assert scores[0, 0] > scores[0, 1]
    assert scores[1, 1] > scores[1, 0]


def test_vectors_of_frozen_towers_are_encoded_once(
    tmp_path: Path, sources: tuple[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, joint(), sources, settings)
    monkeypatch.setattr(Encoder, "encode_texts", lambda *_: pytest.fail("encoded again"))
    assert trained(tmp_path, joint(), sources, settings, name="again").figures


def test_a_model_is_adapted_and_never_for_the_worse(
    tmp_path: Path, sources: tuple[str, str], settings: Settings
) -> None:
    content = {"kind": "adapt", "nudge": {"rank": 4}, "schedule": {"epochs": 12, "batch": 8, "rate": 3e-3}}
    made = trained(tmp_path, content, sources, settings)
    encoder, plain = (encoders.load(name, settings) for name in ("mine", "builtin"))
    assert (encoder.card.family, encoder.card.dim) == ("joint", plain.card.dim)
    text = "a red picture"
    alike = float((encoder.encode_texts([text]) @ plain.encode_texts([text]).T).item())
    assert 0.3 < alike <= 1.0001
    assert any("builtin" in note for note in made.notes)


def test_what_cannot_be_made_better_is_left_as_it_is(
    tmp_path: Path, sources: tuple[str, str], settings: Settings
) -> None:
    content = {"kind": "adapt", "nudge": {"rank": 4}, "schedule": {"epochs": 2, "batch": 8, "rate": 0}}
    made = trained(tmp_path, content, sources, settings)
    assert "so it is left as it is" in made.notes[-1]
    assert "so it is left as it is" in (made.folder / "README.md").read_text()
    texts = ["a red picture", "a boat"]
    encoder, plain = (encoders.load(name, settings) for name in ("mine", "builtin"))
    assert np.allclose(encoder.encode_texts(texts), plain.encode_texts(texts), atol=1e-5)


def test_models_that_lack_a_tower(tmp_path: Path, sources: tuple[str, str], settings: Settings) -> None:
    with pytest.raises(EncoderError, match="no text tower"):
        trained(tmp_path, {"kind": "adapt", "model": "builtin-image"}, sources, settings)


@pytest.mark.slow
def test_the_last_layers_of_a_resnet_and_a_bert_learn_too(
    tmp_path: Path, sources: tuple[str, str], settings: Settings
) -> None:
    pytest.importorskip("transformers", reason="a BERT's layers are transformers'")
    from tests.reference_models import bert_model
    from tests.resnet_weights import random_weights, write

    write(tmp_path / "net.safetensors", random_weights("resnet18"))
    bert_model(tmp_path / "bert")
    content = joint(
        image={"model": str(tmp_path / "net.safetensors"), "tune": 1},
        text={"model": str(tmp_path / "bert"), "tune": 1},
        schedule={"epochs": 1, "batch": 8, "rate": 1e-4},
    )
    trained(tmp_path, content, sources, settings)
    encoder = encoders.load("mine", settings)
    assert (encoder.card.family, encoder.card.dim, encoder.card.image_size) == ("clip", 16, 224)
    state = (tmp_path / "mine.run/best.pt").stat().st_size
    assert state < 45e6  # the frozen stages are not in it
    with pytest.raises(ModelFilesError, match="There are no weights resnet18"):
        trained(tmp_path, joint(image={"model": "resnet18", "tune": 1}), sources, settings, name="next")


def test_the_command(tmp_path: Path, sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICFIND_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PICFIND_WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(tmp_path / "mine.toml", joint())
    arguments = [
        "train",
        str(recipe),
        "--data",
        sources[0],
        "--dev",
        sources[1],
        "--set",
        "schedule.epochs=2",
    ]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.stderr
    assert "24 pictures with 48 captions, judged by 8 others." in first.stderr
    assert "epoch 2, step 6: loss" in first.stderr
    assert "mine  " in first.stdout
    assert "text_to_image hit_at(10)" in first.stdout
    assert (tmp_path / "mine.run/curves.svg").is_file()
    again = CliRunner().invoke(app, [*arguments, "--name", "next"])
    assert again.exit_code == 0
    resumed = CliRunner().invoke(app, [*arguments, "--name", "third", "--out", "next.run", "--resume"])
    assert resumed.exit_code == 0, resumed.stderr
    taken = CliRunner().invoke(app, arguments)
    assert taken.exit_code == 2
    assert "There is a model" in taken.stderr
    odd = CliRunner().invoke(app, [*arguments, "--set", "schedule.epohcs=1"])
    assert odd.exit_code == 2
    assert "Did you mean schedule.epochs?" in odd.stderr


def test_a_picture_alone_cannot_be_learned_from(tmp_path: Path, settings: Settings) -> None:
    write_photo(tmp_path / "photos/one.png")
    with pytest.raises(TrainingError, match="two of each"):
        trained(tmp_path, TINY, (str(tmp_path / "photos"), str(tmp_path / "photos")), settings)
