"""`picfind duplicates`: what it prints, what it moves, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from picfind.api import Gallery
from picfind.cli.duplicates import duplicates
from picfind.errors import UsageError
from tests.scenes import save, scene

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(scene(1), tmp_path / "photos" / "one.png")
    save(scene(1).resize((120, 80)), tmp_path / "photos" / "mailed" / "<one>.jpg")
    save(scene(2), tmp_path / "photos" / "two.png")
    return tmp_path / "photos"


@pytest.fixture
def run(folder: Path, gallery: Gallery) -> Run:
    gallery.index(folder)
    app = typer.Typer()
    app.command()(duplicates)

    def call(*flags: str) -> Result:
        return CliRunner().invoke(app, ["--gallery", str(gallery.folder), *flags])

    return call


def test_text_marks_what_is_kept(run: Run, folder: Path) -> None:
    result = run()
    assert result.exit_code == 0
    heading, keep, copy = result.stdout.splitlines()
    assert heading == "1. the same picture"
    assert keep.startswith(f"  keep  {folder / 'one.png'}  240 x 160, PNG, ")
    assert copy.startswith(f"  copy  {folder / 'mailed' / '<one>.jpg'}  120 x 80, JPEG, ")
    assert "the whole picture, 0.9" in copy or "the whole picture, 1.0" in copy
    assert "1 group among 3 pictures; 1 copy that could go" in result.stderr
    assert len(list(folder.rglob("*.*"))) == 3


def test_nothing_found_is_exit_code_one(run: Run) -> None:
    result = run("--kind", "exact")
    assert (result.exit_code, result.stdout) == (1, "")


def test_json_tells_everything(run: Run, folder: Path) -> None:
    told = json.loads(run("--json").stdout)
    assert told["pictures"] == 3
    (group,) = told["groups"]
    assert group["kind"] == "perceptual"
    assert [(entry["mark"], entry["path"]) for entry in group["files"]] == [
        ("keep", str(folder / "one.png")),
        ("copy", str(folder / "mailed" / "<one>.jpg")),
    ]
    assert {"content", "bytes", "format", "width", "height", "date", "score", "how", "stays"} <= set(
        group["files"][1]
    )
    assert json.loads(run("--json", "--kind", "exact").stdout)["groups"] == []


def test_a_page_has_thumbnails_and_no_markup_of_others(run: Run, tmp_path: Path) -> None:
    assert run("--html", str(tmp_path / "page.html")).exit_code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert "&lt;one&gt;.jpg" in page
    assert "<one>" not in page


def test_moved_aside_and_back(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run("--move-to", str(tmp_path / "aside"))
    assert result.exit_code == 0
    assert "Moved 1 file to" in result.stderr
    assert (tmp_path / "aside" / "photos" / "mailed" / "<one>.jpg").is_file()
    result = run("--undo")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Moved 1 file back" in result.stderr
    assert (folder / "mailed" / "<one>.jpg").is_file()


def test_rules_and_patterns_choose_the_kept_one(run: Run) -> None:
    def kept(*flags: str) -> str:
        return Path(json.loads(run("--json", *flags).stdout)["groups"][0]["files"][0]["path"]).name

    assert kept() == "one.png"
    assert kept("--prefer", "*/mailed/*") == "<one>.jpg"
    assert kept("--avoid", "*.png") == "<one>.jpg"
    assert kept("--keep", "resolution", "--avoid", "*.png") == "one.png"


def test_wrong_use(run: Run, tmp_path: Path) -> None:
    assert run("--trash", "--move-to", str(tmp_path / "aside")).exit_code == 2
    assert isinstance(run("--keep", "beauty").exception, UsageError)
    assert isinstance(run("--html", str(tmp_path / "no" / "page.html")).exception, UsageError)


def test_a_folder_that_is_indexed_is_refused_before_any_work(run: Run, folder: Path) -> None:
    result = run("--move-to", str(folder / "aside"))
    assert isinstance(result.exception, UsageError)
    assert "list the moved copies again" in str(result.exception)
    assert result.stdout == "", "nothing was compared"
    assert not (folder / "aside").exists()
    (folder / ".picfindignore").write_text("aside/\n")
    assert run("--move-to", str(folder / "aside")).exit_code == 0
    assert (folder / "aside" / "photos" / "mailed" / "<one>.jpg").is_file()
