"""`picfind concepts`, with the built-in model and a few real photos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import picfind
from picfind.cli.demo import _samples
from picfind.cli.main import app
from picfind.search.concepts import write_terms
from picfind.search.language import parse
from picfind.search.query import TERMINAL
from picfind.storage import concepts as rows

PHOTOS = (
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "coins.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
)

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, and a gallery of them."""
    home = tmp_path_factory.mktemp("ann")
    (home / "photos").mkdir()
    for source in (path for folder in _samples() for path in folder.iterdir() if path.name in PHOTOS):
        shutil.copyfile(source, home / "photos" / source.name)
    done = CliRunner().invoke(app, ["index", str(home / "photos"), "-g", str(home / "first"), "--quiet"])
    assert done.exit_code == 0, done.output
    return home


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `picfind` in that folder, each test with a copy of the gallery."""
    shutil.copytree(home / "first", tmp_path / "g")
    monkeypatch.setenv("PICFIND_GALLERY", str(tmp_path / "g"))
    monkeypatch.chdir(home)

    def invoke(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return invoke


def test_from_saving_to_dropping(run: Run) -> None:
    assert "Saved bikes: 2 pictures" in run("concepts", "save", "bikes", "a", "motorcycle").output
    shown = run("concepts", "show", "bikes", "--paths").stdout.splitlines()
    assert sorted(Path(path).name for path in shown) == ["motorcycle_left.png", "motorcycle_right.png"]
    assert run("concepts", "list").stdout == "bikes: a motorcycle, relevance from 0.5\n"
    assert run("search", "@bikes", "-k", "2", "--paths").stdout.splitlines() == shown
    run("concepts", "rename", "bikes", "two wheels")
    run("concepts", "drop", "two wheels")
    assert run("concepts", "list").stdout == ""
    assert "no concept 'bikes'" in run("search", "@bikes", code=2).output


def test_ticking_crossing_and_refreshing(run: Run) -> None:
    run("concepts", "save", "mine", "a", "motorcycle")
    run("concepts", "refresh")
    told = run("concepts", "cross", "mine", "photos/motorcycle_left.png", "./photos/coins.png").output
    assert told == "mine: 0 liked, 2 disliked.\n"
    run("concepts", "tick", "mine", "photos/chelsea.png")
    lines = run("concepts", "refresh", "mine").stdout.splitlines()
    assert any(line.startswith("  new ") and line.endswith("chelsea.png") for line in lines)
    assert any(line.startswith("  left ") and line.endswith("motorcycle_left.png") for line in lines)
    assert "a cat" in run("concepts", "tick", "mine", "a cat", code=2).output
    assert "0 new, 0 left" in run("concepts", "refresh").stdout


def test_lists_for_programs(run: Run) -> None:
    run("concepts", "save", "cat", "a", "cat", "--like", "photos/chelsea.png", "--best", "-w", "name~e")
    (record,) = json.loads(run("concepts", "list", "--json").stdout)
    assert record["query"] == "a cat"
    assert (record["where"], record["min_score"], len(record["liked"])) == ("name~e", None, 1)
    hits = json.loads(run("concepts", "show", "cat", "--json").stdout)["hits"]
    assert Path(hits[0]["path"]).name == "chelsea.png"
    rows = run("concepts", "show", "cat", "--csv").stdout.splitlines()
    assert rows[0].startswith("rank,")
    assert "chelsea.png" in rows[1]
    assert len(rows) == len(hits) + 1
    raw = run("concepts", "show", "cat", "-0").stdout_bytes.split(b"\0")
    assert raw[:-1] == [hit["path"].encode() for hit in hits]
    assert "cannot go together" in run("concepts", "show", "cat", "--csv", "-0", code=2).output


def test_exporting(run: Run, tmp_path: Path) -> None:
    run("concepts", "save", "bikes", "a", "motorcycle")
    assert "2 pictures written" in run("concepts", "export", "bikes", str(tmp_path / "out")).output
    assert "0 pictures written" in run("concepts", "export", "bikes", str(tmp_path / "out")).output
    run("concepts", "export", "bikes", str(tmp_path / "links"), "--link")
    assert all(path.is_symlink() for path in (tmp_path / "links").iterdir())
    assert (
        "Choose --link"
        in run("concepts", "export", "bikes", str(tmp_path / "x"), "--link", "--hard-link", code=2).output
    )


def test_mistakes_are_told(run: Run, tmp_path: Path) -> None:
    run("concepts", "save", "a", "a", "cat")
    assert "already" in run("concepts", "save", "A", "a", "dog", code=2).output
    run("concepts", "save", "A", "a", "dog", "--replace")
    assert run("concepts", "list").stdout == "A: a dog, relevance from 0.5\n"
    assert "The query is empty" in run("concepts", "save", "b", code=2).output
    assert (
        "both liked and disliked"
        in run(
            "concepts", "save", "b", "--like", "photos/coins.png", "--unlike", "photos/coins.png", code=2
        ).output
    )
    assert "cancel out" in run("concepts", "save", "c", "a", "cat", "-", "a", "cat", code=2).output
    assert "c:" not in run("concepts", "list").stdout, "what makes no sense is not kept"
    assert run("concepts", "export", "A", "~nobody-here/x", code=0).exception is None
    run("concepts", "save", "B", "a", "dog")
    run("concepts", "save", "A", "a", "cat", "-", "a", "cat", "--replace", code=2)
    assert "A: a dog" in run("concepts", "list").stdout, "nor does it take the place of what made sense"
    with picfind.open(
        tmp_path / "g"
    ) as gallery:  # as another model might leave it: what cancels out depends on that
        catalog = gallery.store.catalog
        query = write_terms(catalog, parse("a cat - a cat", allow=TERMINAL))
        rows.save(catalog, rows.Saved("A", query), replace=True)
    refreshed = run("concepts", "refresh", code=2)
    assert "A: The terms of this query cancel out" in refreshed.stderr
    assert refreshed.stdout.startswith("B: "), "the others are refreshed all the same"
    run("concepts", "save", "nothing", "a", "motorcycle", "-w", "width>100000")
    assert run("concepts", "show", "nothing", code=1).stdout == ""
