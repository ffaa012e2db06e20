"""What `picfind models` shows: a list with what is damaged, and the bar of a download."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from picfind.cli import exporting
from picfind.cli.downloads import download_bar
from picfind.cli.main import app
from picfind.errors import UsageError
from tests.clip_folders import make_folder


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_damaged_folder_is_listed_by_its_name_and_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (make_folder(tmp_path / "mine") / "config.json").write_text("{", "utf-8")
    monkeypatch.setenv("PICFIND_MODELS", str(tmp_path))
    lines = CliRunner().invoke(app, ["models"]).stdout.splitlines()
    at = lines.index("- mine")
    assert lines[at + 1].startswith("    Damaged: ") and "config.json cannot be read" in lines[at + 1]


@pytest.mark.parametrize("name", ["builtin", "minilm", "mine"])
def test_a_model_that_is_not_the_hubs_is_not_pulled(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "mine")
    monkeypatch.setenv("PICFIND_MODELS", str(tmp_path))
    found = CliRunner().invoke(app, ["models", "pull", name])
    assert found.exit_code == 2 and f"The model {name} is here, and none of the hub's." in found.stderr


def test_a_bar_is_drawn_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with download_bar() as progress:
        assert progress is not None
        progress("model.onnx", 5, 10)
        progress("model.onnx", 10, 10)
    assert "model.onnx" in screen.getvalue() and "10/10" in screen.getvalue()


def test_no_bar_is_drawn_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with download_bar() as progress:
        assert progress is None
    monkeypatch.setattr(sys, "stderr", _Screen())
    with download_bar(quiet=True) as progress:
        assert progress is None


def test_an_export_shows_its_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch is not needed to see that the bar is handed on."""
    screen = _Screen()

    def downloads(checkpoint: str, *, progress: Any, **_: Any) -> None:
        progress("weights", 1, 1)
        raise UsageError(checkpoint)

    monkeypatch.setattr("picfind.training.export.export", downloads)
    monkeypatch.setattr(sys, "stderr", screen)
    with pytest.raises(UsageError, match="owner/name"):
        exporting.export("owner/name", name="mine")
    assert "weights" in screen.getvalue()
