"""README and docs/ say what is so: their blocks are run, their output is compared, their tables and links are checked.

A ```console block holds commands after `$ ` and what they print; a ```python block may be followed by a ```text block
with what it prints; a ```toml block is a config file. The blocks of a page are run in order, in a folder with real
photos. `...` on a line of its own stands for any lines. What cannot be run has the line `<!-- not run: REASON -->` right
before it, what trains `<!-- run where torch is -->`; nothing else is left out.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import typer
from typer.testing import CliRunner

import picfind
from picfind.cli.demo import _samples
from picfind.cli.main import app
from picfind.settings import Settings, load_settings

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
PHOTOS = {
    "chelsea.png": "cat.png",
    "coffee.png": "coffee.png",
    "rocket.jpg": "rocket.jpg",
    "astronaut.png": "astronaut.png",
    "coins.png": "coins.png",
    "clock_motion.png": "clock.png",
    "hubble_deep_field.jpg": "galaxies.jpg",
    "motorcycle_left.png": "garage/left.png",
    "motorcycle_right.png": "garage/right.png",
    "flower.jpg": "trip/flower.jpg",
    "china.jpg": "trip/temple.jpg",
}
"""Photos that scikit-image and scikit-learn ship, and what they are called on the pages."""
HOME = "/home/ann"
HAS_TORCH = importlib.util.find_spec("torch") is not None
UNSTEADY = (
    (r"\b[0-9a-f]{12,64}\b", "HEX"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "DATE"),
    (r"(?<![\w-])-?\d+\.\d+", "DECIMAL"),
    (r"\d+ a second", "RATE a second"),
)
NEEDS_A_SHELL = set("|;<>&$=")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int
    kind: str
    text: str
    skipped: bool
    follows: str
    """The kind of the block right before it, with nothing but empty lines between; else empty."""


@pytest.fixture(autouse=True)
def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with photos in it, which is also the current folder."""
    home = tmp_path / "ann"
    for source in (path for folder in _samples() for path in folder.iterdir() if path.name in PHOTOS):
        target = home / "photos" / PHOTOS[source.name]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    places = {"HOME": "", "XDG_DATA_HOME": ".local/share", "XDG_CACHE_HOME": ".cache"}
    for name, place in {**places, "XDG_CONFIG_HOME": ".config"}.items():
        monkeypatch.setenv(name, str(home / place))
    monkeypatch.chdir(home)
    return home


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    end, last = 0, ""
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        between = text[end : found.start()]
        skipped = re.search(r"<!-- not run: \S[^\n]* -->\n\Z", between) is not None
        skipped |= between.endswith("<!-- run where torch is -->\n") and not HAS_TORCH
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, found[1].strip(), found[2], skipped, "" if between.strip() else last)
        end, last = found.end(), found[1].strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        runs = block.kind in {"console", "python", "toml"} or (block.kind, block.follows) == (
            "text",
            "python",
        )
        assert runs or block.skipped, f"{page.name}:{block.line}: a block {block.kind!r} that nothing runs"


@pytest.mark.skipif(sys.platform != "linux", reason="the pages show a POSIX shell and the folders of Linux")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run_and_print_what_is_shown(page: Path, ann: Path, tmp_path: Path) -> None:
    printed, names = "", {"__name__": f"docs.{page.stem}"}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.skipped:
            continue
        if block.kind == "console":
            for command, shown in commands(block.text):
                compare(shown, run_command(command, ann), f"{where}: {command}", ann)
        elif block.kind == "python":
            printed = run_python(block, page, names)
        elif block.kind == "text":
            compare(block.text, printed, where, ann)
        else:
            (tmp_path / "config.toml").write_text(block.text, encoding="utf-8")
            assert load_settings(config=tmp_path / "config.toml") != Settings(), where
    pass_suites(names, tmp_path)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what is shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def run_command(command: str, folder: Path) -> str:
    """What a command prints: in this process where it is picfind alone, else in a shell."""
    words = shlex.split(command)
    if words[0] == "picfind" and not NEEDS_A_SHELL & set(command):
        result = CliRunner().invoke(app, words[1:])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output
    function = f'picfind() {{ {shlex.quote(sys.executable)} -m picfind "$@"; }}'
    call = ["sh", "-c", f"{function}\n{command}"]
    done = subprocess.run(call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode()


def run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    """What a block of Python prints; tracebacks give the lines of the page."""
    with redirect_stdout(io.StringIO()) as out:
        exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    return out.getvalue()


def compare(shown: str, printed: str, where: str, folder: Path) -> None:
    """Demand that what a page shows is what was printed, but for what differs from run to run."""
    wanted, found = steady(shown, folder), steady(printed, folder)
    if "..." not in wanted.splitlines():
        assert found == wanted, where
        return
    lines = [".*?" if line == "..." else re.escape(line) for line in wanted.splitlines()]
    assert re.fullmatch("\n".join(lines), found, re.DOTALL), f"{where}: printed was\n{printed}"


def steady(text: str, folder: Path) -> str:
    """A text without what differs from run to run."""
    text = text.replace(str(folder), HOME)
    for pattern, stand_in in UNSTEADY:
        text = re.sub(pattern, stand_in, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def pass_suites(names: dict[str, Any], tmp_path: Path) -> None:
    """Run the tests that a page defines, as pytest would."""
    for number, (name, suite) in enumerate(names.items()):
        if name.startswith("Test") and isinstance(suite, type):
            tests = [test for test in dir(suite) if test.startswith("test_")]
            assert tests, f"{name} has no tests"
            for test in tests:
                method, folder = getattr(suite(), test), tmp_path / f"{number}-{test}"
                folder.mkdir()
                method(**({"tmp_path": folder} if inspect.signature(method).parameters else {}))


def test_the_reference_of_commands_is_up_to_date() -> None:
    written = runpy.run_path(str(PROJECT / "scripts" / "cli_reference.py"))["reference"]()
    page = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == written, "run: python scripts/cli_reference.py > docs/cli.md"


def all_commands(command: Any, name: str = "picfind") -> Iterator[tuple[str, Any]]:
    """Each command with its whole name."""
    for below, child in getattr(command, "commands", {}).items():
        yield f"{name} {below}", child
        yield from all_commands(child, f"{name} {below}")


def test_every_command_is_explained() -> None:
    page = "".join(path.read_text(encoding="utf-8") for path in PAGES if path.name != "cli.md")
    group = typer.main.get_command(app)
    missing = [name for name, _ in all_commands(group) if not re.search(rf"\b{name}\b", page)]
    assert not missing


def test_every_public_name_is_explained() -> None:
    page = (PROJECT / "docs" / "python.md").read_text(encoding="utf-8")
    missing = [name for name in picfind.__all__ if not re.search(rf"`picfind\.{name}\b", page)]
    assert not missing


def test_the_table_of_settings_is_right() -> None:
    page = (PROJECT / "docs" / "using.md").read_text(encoding="utf-8")
    section = page.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| `(\w+)` \| ([^|]*) \| [^|]+ \|$", section, re.MULTILINE)
    parameters = [
        parameter for _, command in all_commands(typer.main.get_command(app)) for parameter in command.params
    ]
    flags = {parameter.name: max(parameter.opts, key=len) for parameter in parameters}
    defaults, expected = Settings(), []
    for entry in fields(Settings):
        flag, value = flags.get(entry.name), shown_default(getattr(defaults, entry.name))
        expected.append((entry.name, code(flag), f"PICFIND_{entry.name.upper()}", code(value)))
    assert rows == expected


def shown_default(value: Any) -> str:
    """A default as the table has it: folders by their role, nothing for nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    text = ":".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
    for folder, role in (
        (platformdirs.user_data_dir("picfind", appauthor=False), "DATA"),
        (platformdirs.user_cache_dir("picfind", appauthor=False), "CACHE"),
    ):
        text = text.replace(folder, role)
    return text.replace("\\", "/")


def code(text: str | None) -> str:
    return f"`{text}`" if text else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if re.match(r"[a-z]+:", link) is None:
            assert target.exists(), f"{page.name} links to {link}"
            assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have on the common forges."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
