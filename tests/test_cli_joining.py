"""`fit-joint`, as the command line calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from picfind import encoders
from picfind.cli.joining import fit_joint
from picfind.errors import MissingSourceError, UsageError
from picfind.settings import Settings
from tests.photos import write_photo

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models go."""
    monkeypatch.setenv("PICFIND_MODELS", str(tmp_path / "models"))
    for seed in range(8):
        write_photo(tmp_path / "photos" / f"{seed}.png", colour=COLOURS[seed % 4], seed=seed)
    return tmp_path / "models"


def run(photos: Path, *more: str, pca: int = 5) -> Result:
    app = typer.Typer()
    app.command()(fit_joint)
    arguments = ["--image", "builtin-image", "--text", "minilm", "--name", "mine"]
    return CliRunner().invoke(app, [*arguments, "--pca", str(pca), "--pictures", str(photos), *more])


def test_it_fits_and_says_what_and_where(place: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    result = run(tmp_path / "photos", "--share", "0.6")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"mine  389-d  {place / 'mine'}\n"
    assert "Fitted on 8 pictures, 1 picture could not be used" in result.stderr
    card = encoders.find("mine", Settings(models=(place,)))
    assert (card.dim, card.family) == (5 + 384, "joint")
    assert "60% builtin-image" in card.note


def test_too_few_pictures_is_an_error(place: Path, tmp_path: Path) -> None:
    result = run(tmp_path / "photos", pca=9)
    assert isinstance(result.exception, UsageError)
    assert "there are 8" in str(result.exception)
    assert not place.exists()


def test_a_folder_that_is_not_there_is_an_error(place: Path, tmp_path: Path) -> None:
    assert isinstance(run(tmp_path / "nowhere").exception, MissingSourceError)
    assert not place.exists()
