"""The command line, with the built-in model and the real photos that scikit-image and scikit-learn ship."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from picfind import __version__
from picfind.cli.demo import _samples
from picfind.cli.main import app
from tests.photos import write_photo

SAMPLES = (
    "chelsea.png",
    "rocket.jpg",
    "coffee.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "coins.png",
)


def picfind(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def spawn(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    """Run a command in a process of its own."""
    call = "from picfind.cli.main import main; main()"
    return subprocess.Popen([sys.executable, "-c", call, *map(str, arguments)], **options)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to a few real photos."""
    folder = tmp_path_factory.mktemp("samples")
    (source, *_) = _samples()
    for name in SAMPLES:
        with Image.open(source / name) as image:
            image.convert("RGB").save(folder / f"{Path(name).stem}.jpg")
    return folder


@pytest.fixture(scope="module")
def gallery(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of those photos, indexed once."""
    folder = tmp_path_factory.mktemp("gallery") / "samples.gallery"
    assert picfind("index", samples, "-g", folder).exit_code == 0
    return folder


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(result: Result) -> list[str]:
    return [Path(line.split(")  ", 1)[1]).stem for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("a cat", "chelsea"),
        ("a rocket launch", "rocket"),
        ("a cup of coffee", "coffee"),
        ("a motorcycle", "motorcycle_"),
    ],
)
def test_words_find_the_right_photo(gallery: Path, words: str, answer: str) -> None:
    result = picfind("search", words, "-k", "1", "-g", gallery)
    assert result.exit_code == 0
    assert names(result)[0].startswith(answer)


def test_a_picture_finds_its_like(gallery: Path, samples: Path) -> None:
    result = picfind("search", samples / "motorcycle_left.jpg", "-k", "2", "-g", gallery)
    assert sorted(names(result)) == ["motorcycle_left", "motorcycle_right"]


def test_a_picture_on_standard_input(gallery: Path, samples: Path) -> None:
    result = picfind("search", "@-", "-k", "1", "-g", gallery, stdin=(samples / "coffee.jpg").read_bytes())
    assert names(result) == ["coffee"]


def test_search_is_the_default(gallery: Path) -> None:
    for arguments in (["a", "cat"], ["-k", "1", "a cat"], ["--paths", "a cat"]):
        result = picfind(*arguments, "-g", gallery)
        assert result.exit_code == 0
        assert "chelsea" in result.stdout.splitlines()[0]


def test_text_is_rank_score_and_path(gallery: Path) -> None:
    result = picfind("a cat", "-k", "3", "-g", gallery)
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"  1  0\.\d{3} \((0|1)\.\d\d\)  /.*/chelsea\.jpg", lines[0])


def test_json_is_one_document(gallery: Path, samples: Path) -> None:
    told = json.loads(picfind("a cat", "-k", "2", "--json", "-g", gallery).stdout)
    assert (told["query"], told["total"], len(told["hits"]), told["warnings"]) == ("a cat", 6, 2, [])
    first = told["hits"][0]
    assert (first["rank"], first["path"]) == (1, str(samples / "chelsea.jpg"))
    assert len(first["content"]) == 64
    assert first["metadata"]["format"] == "JPEG"
    assert first["why"] == {"a cat": pytest.approx(first["score"], abs=1e-3)}


def test_json_lines_are_one_object_each(gallery: Path) -> None:
    lines = picfind("a cat", "-k", "3", "--jsonl", "-g", gallery).stdout.splitlines()
    assert [json.loads(line)["rank"] for line in lines] == [1, 2, 3]


def test_paths_and_print0(gallery: Path, samples: Path) -> None:
    assert picfind("a cat", "-k", "1", "--paths", "-g", gallery).stdout == f"{samples / 'chelsea.jpg'}\n"
    assert (
        picfind("a cat", "-k", "1", "-0", "-g", gallery).stdout_bytes
        == f"{samples / 'chelsea.jpg'}\0".encode()
    )


def test_two_forms_cannot_go_together(gallery: Path) -> None:
    result = picfind("a cat", "--json", "--paths", "-g", gallery)
    assert result.exit_code == 2
    assert "cannot go together" in result.stderr


def test_a_page_is_self_contained_and_escaped(gallery: Path, tmp_path: Path) -> None:
    page = tmp_path / "answers.html"
    assert picfind("<script>alert(1)</script> cat", "-k", "3", "--html", page, "-g", gallery).exit_code == 0
    text = page.read_text()
    assert "<script>" not in text
    assert text.count("data:image/jpeg;base64,") == 3
    assert not re.search(r'(src|href)="(?!data:|file:)', text)


def test_a_figure_is_written(gallery: Path, tmp_path: Path) -> None:
    figure = tmp_path / "answers.png"
    assert picfind("a cat", "-k", "6", "--plot", figure, "-g", gallery).exit_code == 0
    with Image.open(figure) as image:
        assert image.width > 500


@pytest.mark.parametrize("flag", ["--html", "--plot"])
def test_a_file_that_cannot_be_written_is_told(gallery: Path, tmp_path: Path, flag: str) -> None:
    result = picfind("a cat", flag, tmp_path / "none" / "answers.png", "-g", gallery)
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_a_picture_that_is_gone_is_shown_as_such(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "photos" / "a.png")
    picfind("index", path.parent, "-g", tmp_path / "g")
    path.unlink()
    assert (
        picfind(
            "red", "--html", tmp_path / "a.html", "--plot", tmp_path / "a.png", "-g", tmp_path / "g"
        ).exit_code
        == 0
    )
    assert "not there now" in (tmp_path / "a.html").read_text()


def test_one_missing_source_does_not_stop_the_others(tmp_path: Path) -> None:
    write_photo(tmp_path / "photos" / "a.png")
    result = picfind("index", tmp_path / "none", tmp_path / "photos", "-g", tmp_path / "g")
    assert result.exit_code == 2
    assert "none cannot be found" in result.stderr
    assert "1 encoded" in result.stderr


def test_a_missing_source_makes_no_gallery(tmp_path: Path) -> None:
    result = picfind("index", tmp_path / "none", "-g", tmp_path / "g")
    assert (result.exit_code, "There is nothing at" in result.stderr) == (2, True)
    assert not (tmp_path / "g").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_answer_that_cannot_be_written_is_a_failure(gallery: Path) -> None:
    for form in ("--json", "-0", "--paths"):
        with Path("/dev/full").open("wb") as full:
            process = spawn("a cat", form, "-g", gallery, stdout=full, stderr=subprocess.PIPE)
            _, told = process.communicate()
        assert process.returncode == 2, told
        assert b"Traceback" not in told


def test_nothing_found_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    picfind("index", tmp_path / "empty", "-g", tmp_path / "g")
    result = picfind("a cat", "-g", tmp_path / "g", "--html", tmp_path / "a.html")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no pictures yet" in result.stderr
    assert "Nothing found" in (tmp_path / "a.html").read_text()


def test_the_other_index_gives_the_same_answers(gallery: Path) -> None:
    flat, faiss = (
        picfind("a cat", "--jsonl", "--index", kind, "-g", gallery).stdout for kind in ("flat", "faiss")
    )
    assert flat == faiss != ""


def test_index_tells_what_it_did(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bad.jpg").write_text("words")
    write_photo(tmp_path / "photos" / "good.png")
    first = picfind("index", tmp_path / "photos", "-g", tmp_path / "g")
    assert (first.exit_code, first.stdout) == (0, "")
    assert "1 encoded, 1 refused in" in first.stderr
    assert "refused: bad.jpg: It is no picture" in first.stderr
    assert (
        "1 unchanged, 1 refused before in"
        in picfind("index", tmp_path / "photos", "-g", tmp_path / "g").stderr
    )
    assert picfind("index", tmp_path / "photos", "-q", "-g", tmp_path / "g").stderr == ""


def test_exclude_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photo(tmp_path / "photos" / "a.png")
    write_photo(tmp_path / "photos" / "raw" / "b.png")
    monkeypatch.setenv("PICFIND_GALLERY", str(tmp_path / "g"))
    assert "1 encoded" in picfind("index", tmp_path / "photos", "--exclude", "raw/").stderr
    assert "pictures  1 under 1 name\n" in picfind("status").stdout


def test_status_counts_and_lists_refusals(gallery: Path, tmp_path: Path) -> None:
    told = json.loads(picfind("status", "--json", "-g", gallery).stdout)
    assert (told["pictures"], told["roots"][0]["names"], told["spaces"][0]["name"]) == (6, 6, "builtin")
    for number in range(12):
        path = tmp_path / "photos" / f"{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_text("words")
    picfind("index", tmp_path / "photos", "-g", tmp_path / "g")
    assert "... and 2 more" in picfind("status", "-g", tmp_path / "g").stdout
    assert "11.jpg" in picfind("status", "--refusals", "-g", tmp_path / "g").stdout


def test_roots_are_listed_and_moved(tmp_path: Path) -> None:
    write_photo(tmp_path / "old" / "a.png")
    picfind("index", tmp_path / "old", "-g", tmp_path / "g")
    (tmp_path / "old").rename(tmp_path / "new")
    missing = picfind("index", tmp_path / "old", "-g", tmp_path / "g")
    assert missing.exit_code == 2
    assert "roots move" in missing.stderr
    assert "is not there now" in picfind("doctor", "-g", tmp_path / "g").stdout
    assert picfind("roots", "move", tmp_path / "old", tmp_path / "none", "-g", tmp_path / "g").exit_code == 2
    assert picfind("roots", "move", tmp_path / "old", tmp_path / "new", "-g", tmp_path / "g").exit_code == 0
    assert picfind("roots", "-g", tmp_path / "g").stdout == f"{tmp_path / 'new'}\n"
    assert "1 unchanged" in picfind("index", tmp_path / "new", "-g", tmp_path / "g").stderr


def test_forget_purge_compact_and_doctor(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_photo(tmp_path / "photos" / f"{name}.png", seed=ord(name))
    picfind("index", tmp_path / "photos", "-g", tmp_path / "g")
    assert "Forgot 1 name." in picfind("forget", tmp_path / "photos" / "a.png", "-g", tmp_path / "g").stderr
    assert "Purged 1 picture." in picfind("forget", "--purge", "-g", tmp_path / "g").stderr
    assert picfind("forget", "-g", tmp_path / "g").exit_code == 2
    assert picfind("compact", "-g", tmp_path / "g").exit_code == 0
    assert picfind("doctor", "-g", tmp_path / "g").stdout == "All is well.\n"
    (segment,) = (tmp_path / "g" / "segments").iterdir()
    segment.unlink()
    sick = picfind("doctor", "-g", tmp_path / "g")
    assert (sick.exit_code, "its file is missing (--repair mends it)" in sick.stdout) == (2, True)
    assert picfind("red", "-g", tmp_path / "g").exit_code == 2
    assert "mended: dropped the segment" in picfind("doctor", "--repair", "-g", tmp_path / "g").stderr
    assert "2 encoded" in picfind("index", tmp_path / "photos", "-g", tmp_path / "g").stderr


def test_models_are_listed_with_their_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    text = picfind("models").stdout
    assert "* builtin  896-d, 260 px" in text
    assert "Apache-2.0" in text
    assert json.loads(picfind("models", "--json").stdout)[0]["name"] == "builtin"


def test_the_demo_answers_visibly_right(tmp_path: Path) -> None:
    result = picfind("demo", "--html", tmp_path / "demo.html", "-g", tmp_path / "g")
    assert result.exit_code == 0, result.stderr
    answers = dict(section.split("\n", 1) for section in result.stdout.strip().split("\n\n"))
    for question, answer in {
        "a cat": "chelsea",
        "a rocket launch": "rocket",
        "a cup of coffee": "coffee",
        "a space suit": "astronaut",
        "a motorcycle": "motorcycle_",
        "a flower": "flower",
        "a Chinese temple": "china",
    }.items():
        assert answer in answers[question].splitlines()[0]
    assert "motorcycle_right" in answers["pictures like motorcycle_left.png"].splitlines()[1]
    assert len(answers) == 8
    assert "refused" not in result.stderr
    assert (tmp_path / "demo.html").read_text().count("<section>") == len(answers)


def test_the_demo_takes_ones_own_photos(samples: Path, tmp_path: Path) -> None:
    result = picfind(
        "demo", "--photos", samples, "--query", "a cat", "--html", tmp_path / "a.html", "-g", tmp_path / "g"
    )
    assert "chelsea" in result.stdout.splitlines()[2]
    assert "pictures like chelsea.jpg" in result.stdout


def test_a_command_without_its_arguments_suggests_the_search() -> None:
    result = picfind("index")
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr
    assert "picfind search index" in result.stderr
    assert "picfind search status of my cats" in picfind("status", "of", "my", "cats").stderr
    assert "picfind search" not in picfind("index", ".", "--workers", "many").stderr


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_the_version(flag: str) -> None:
    assert picfind(flag).stdout == f"picfind {__version__}\n"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "picfind", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"picfind {__version__}\n"


def test_help_names_every_command() -> None:
    text = picfind("--help").stdout
    for command in ("index", "search", "status", "roots", "forget", "doctor", "compact", "models", "demo"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
        assert picfind(command, "--help").exit_code == 0


def test_completion_can_be_installed() -> None:
    assert "--install-completion" in picfind("--help").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_keeps_what_was_committed_and_exits_with_130(tmp_path: Path) -> None:
    for number in range(300):
        write_photo(tmp_path / "photos" / f"{number}.png", seed=number)
    environment = {**os.environ, "PICFIND_WORKERS": "1"}
    # a shell that runs the tests in the background lets them ignore Ctrl-C, and their children with them
    heard = (
        {}
        if sys.platform == "win32"
        else {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    )
    process = spawn(
        "index", tmp_path / "photos", "-g", tmp_path / "g", stderr=subprocess.PIPE, env=environment, **heard
    )
    while not _committed(tmp_path / "g") and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130, told
    assert b"What was committed is kept" in told
    kept = json.loads(picfind("status", "--json", "-g", tmp_path / "g").stdout)["pictures"]
    assert 0 < kept < 300
    again = picfind("index", tmp_path / "photos", "-g", tmp_path / "g").stderr
    assert f"{300 - kept} encoded" in again


def _committed(folder: Path) -> int:
    """How many names a gallery has that another process is writing."""
    if not (folder / "catalog.sqlite").exists():
        return 0
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as catalog:
        try:
            return int(catalog.execute("SELECT count(*) FROM names").fetchone()[0])
        except sqlite3.OperationalError:  # it has no tables yet
            return 0


def test_a_bar_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="no terminals of this kind here")
    write_photo(tmp_path / "photos" / "a.png")
    here, there = pty.openpty()
    process = spawn(
        "index", tmp_path / "photos", "-g", tmp_path / "g", stderr=there, env={**os.environ, "TERM": "xterm"}
    )
    os.close(there)
    read: list[bytes] = []
    with suppress(OSError):  # how a terminal tells that nobody writes any more
        while part := os.read(here, 4096):
            read.append(part)
    process.wait()
    told = b"".join(read).decode()
    assert "1/1" in told
    assert "1 encoded" in told
