"""Thumbnails on a terminal: what is written is decoded back to pixels; terminals are played at the end of a pty."""

from __future__ import annotations

import base64
import io
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.cells import cell_len

from picfind import keys
from picfind.cli import answers, escapes, previews, terminals, thumbnails
from picfind.errors import UsageError
from picfind.types import Hit, Results
from tests.photos import SHARED, photo
from tests.scenes import scene

Pixels = NDArray[np.uint8]
GRAPHICS = re.compile(r"\x1b_G.*?\x1b\\|\x1bP.*?\x1b\\|\x1b\]1337;.*?\x07", re.DOTALL)


def from_kitty(told: str) -> Pixels:
    """The picture that a terminal with kitty's graphics takes from what is written to it."""
    pieces = [piece.partition(";") for piece in re.findall(r"\x1b_G(.*?)\x1b\\", told, re.DOTALL)]
    assert all(len(data) <= 4096 for _, _, data in pieces)
    assert [keys_.endswith("m=1") for keys_, _, _ in pieces] == [True] * (len(pieces) - 1) + [False]
    first = dict(pair.split("=") for pair in pieces[0][0].split(","))
    assert (first["a"], first["f"], first["q"]) == ("T", "100", "2")
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, _, data in pieces)))) as image:
        return np.asarray(image.convert("RGB"))


def from_iterm2(told: str) -> Pixels:
    """The same for iTerm2's."""
    (found,) = re.findall(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", told)
    given = dict(pair.split("=") for pair in found[0].split(";"))
    data = base64.b64decode(found[1], validate=True)
    assert (given["inline"], int(given["size"])) == ("1", len(data))
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def from_sixel(told: str) -> Pixels:
    """The same for sixels: a slow machine that draws bit by bit."""
    (body,) = re.findall(r"\x1bP[\d;]*q(.*?)\x1b\\", told, re.DOTALL)
    width, height = map(int, re.findall(r'^"1;1;(\d+);(\d+)', body)[0])
    sheet = np.zeros((height, width, 3), np.uint8)
    colours: dict[int, list[int]] = {}
    x = top = colour = 0
    for token in re.findall(r'"[\d;]+|#\d+(?:;\d+){4}|#\d+|!\d+[?-~]|[?-~]|\$|-', body):
        if token[0] == "#":
            colour, *share = map(int, token[1:].split(";"))
            if share:
                colours[colour] = [round(one * 255 / 100) for one in share[1:]]
        elif token == "$":
            x = 0
        elif token == "-":
            x, top = 0, top + 6
        elif token[0] != '"':
            times = int(token[1:-1]) if token[0] == "!" else 1
            for bit in range(6):
                if (ord(token[-1]) - 63) >> bit & 1:
                    sheet[top + bit, x : x + times] = colours[colour]
            x += times
            assert x <= width
    assert re.sub(r'"[\d;]+|#\d+(?:;\d+){4}|#\d+|!\d+[?-~]|[?-~]|\$|-', "", body) == ""
    return sheet


def from_blocks(told: str) -> Pixels:
    """The same for lines of half blocks in 24 bit colours."""
    rows = []
    for line in told.splitlines():
        cells = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+)(?:;48;2;(\d+);(\d+);(\d+))?m(▀+)", line)
        if not cells:
            continue
        rows += [
            [list(map(int, cell[half])) for cell in cells if cell[3] for _ in cell[6]]
            for half in (slice(0, 3), slice(3, 6))
        ]
        if not rows[-1]:  # the last row has no partner below
            rows[-2:] = [[list(map(int, cell[:3])) for cell in cells for _ in cell[6]]]
    return np.array(rows, np.uint8)


DECODE: dict[str, Callable[[str], Pixels]] = {
    "kitty": from_kitty,
    "iterm2": from_iterm2,
    "sixel": from_sixel,
    "blocks": from_blocks,
}


def written(results: Results, how: str) -> str:
    stream = io.StringIO()
    assert previews.show(results, how=how, stream=stream) == how
    return stream.getvalue()


def hit(path: Path, **others: object) -> Hit:
    return Hit("ab" * 32, 0.756, (keys.escape(str(path)),), **others)  # type: ignore[arg-type]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    scene(3).save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


@pytest.mark.parametrize("how", ["kitty", "iterm2"])
@pytest.mark.parametrize("box", [None, (0.25, 0.25, 0.5, 0.5)])
def test_the_very_thumbnail_is_sent(
    picture: Path, how: str, box: tuple[float, float, float, float] | None
) -> None:
    told = written(Results((hit(picture, box=box),), 1), how)
    wanted = thumbnails.small(str(picture), width=320, height=160, box=box)
    assert wanted is not None
    assert np.array_equal(DECODE[how](told), np.asarray(wanted))


def test_sixels_show_the_thumbnail_in_256_colours(picture: Path) -> None:
    told = written(Results((hit(picture),), 1), "sixel")
    wanted = thumbnails.small(str(picture), width=320, height=160)
    assert wanted is not None
    few = wanted.quantize(256, Image.Quantize.MEDIANCUT).convert("RGB")
    shown = from_sixel(told).astype(int)
    assert np.abs(shown - np.asarray(few)).max() <= 2, "shares are whole hundredths"
    assert np.abs(shown - np.asarray(wanted)).mean() < 8


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (3, 6), (300, 13), (2, 200)])
def test_sixels_of_any_size(size: tuple[int, int]) -> None:
    image = photo("green", seed=size[0], size=size)
    shown = from_sixel(escapes.sixel(image)).astype(int)
    few = image.quantize(256, Image.Quantize.MEDIANCUT).convert("RGB")
    assert np.abs(shown - np.asarray(few)).max() <= 2


@pytest.mark.parametrize("size", [(60, 40), (40, 70), (30, 1)])
def test_half_blocks_are_two_pixels_each(tmp_path: Path, size: tuple[int, int]) -> None:
    photo("green", size=size).save(tmp_path / "a.png")
    told = written(Results((hit(tmp_path / "a.png"),), 1), "blocks")
    wanted = thumbnails.small(str(tmp_path / "a.png"), width=32, height=16)
    assert wanted is not None
    assert np.array_equal(from_blocks(told), np.asarray(wanted))


class Screen:
    """A screen that follows the cursor and keeps what stands where; pictures are noted by where they begin."""

    def __init__(self, told: str) -> None:
        self.rows: dict[int, dict[int, str]] = {}
        self.pictures: list[tuple[int, int]] = []
        x = y = 0
        kept = (0, 0)
        at = 0
        while at < len(told):
            drawn = GRAPHICS.match(told, at)
            moved = re.compile(r"\x1b\[(\d*)([ACm])|\x1b\[[\d;]*m|\x1b([78])").match(told, at)
            if drawn:
                if told.startswith(("\x1b_Ga=T", "\x1bP", "\x1b]"), at):
                    self.pictures.append((y, x))
                at = drawn.end()
                continue
            if moved:
                count = int(moved[1] or 1) if moved[1] is not None else 0
                y -= count if moved[2] == "A" else 0
                x += count if moved[2] == "C" else 0
                kept = (y, x) if moved[3] == "7" else kept
                y, x = kept if moved[3] == "8" else (y, x)
                at = moved.end()
                continue
            sign = told[at]
            if sign == "\n":
                x, y = 0, y + 1
            elif sign == "\r":
                x = 0
            else:
                assert sign.isprintable(), repr(sign)
                assert x not in self.rows.setdefault(y, {}), "nothing is written over"
                self.rows[y][x] = sign
                x += 1
            at += 1

    def line(self, y: int) -> str:
        row = self.rows.get(y, {})
        return "".join(row.get(x, " ") for x in range(max(row, default=-1) + 1))


@pytest.mark.parametrize("how", ["kitty", "iterm2", "sixel"])
def test_each_picture_stands_below_its_line_and_beside_its_reasons(picture: Path, how: str) -> None:
    one = hit(
        picture,
        caption="Two dogs\x1b]0;x\x07\non a beach",
        why={"pictures: a dog": 0.5},
        relevance=0.8,
        alike=2,
    )
    hits = (one, hit(picture), hit(picture.with_name("gone.png")))
    screen = Screen(written(Results(hits, 3), how))
    assert screen.pictures == [(1, 5), (1 + 8 + 1, 5)]
    assert [screen.line(y) for y in (0, 9, 18)] == [answers.head(rank, hits[rank - 1]) for rank in (1, 2, 3)]
    assert screen.line(19).strip() == "(not there now)"
    beside = [screen.line(y).strip() for y in range(1, 9)]
    assert beside[0] == r"Two dogs\x1b]0;x\x07 on a beach"
    assert beside[1] == "+0.500 pictures: a dog"
    assert not any(beside[2:])
    width = 24  # a scene is 240 x 160; a usual letter is 10 x 20, and 8 lines are 160
    assert all(min(screen.rows[y]) >= 5 + width + 2 for y in range(1, 3))


def test_words_beside_half_blocks_fit_into_the_line(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    told = written(
        Results((hit(picture, caption="犬がビーチを走る" * 20, why={"words: " + "x" * 200: 0.1}),), 1),
        "blocks",
    )
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in told.splitlines()[1:]]
    assert max(map(cell_len, lines)) <= 60
    assert any("犬" in line and line.endswith("…") for line in lines)


def test_what_is_no_terminal_gets_lines_and_says_so(picture: Path) -> None:
    stream, said = io.StringIO(), list[str]()
    way = previews.show(Results((hit(picture),), 1), stream=stream, tell=said.append)
    assert (way, stream.getvalue()) == ("nothing", answers.head(1, hit(picture)) + "\n")
    assert len(said) == 1
    assert "can show no pictures" in said[0]


def test_no_hits_say_nothing() -> None:
    stream, said = io.StringIO(), list[str]()
    previews.show(Results((), 1), stream=stream, tell=said.append)
    assert (stream.getvalue(), said) == ("", [])


def test_an_unknown_way_is_told() -> None:
    with pytest.raises(UsageError, match="no preview 'magic'"):
        previews.show(Results((), 1), how="magic", stream=io.StringIO())


def test_a_stream_of_few_letters_is_no_reason_to_fail(tmp_path: Path) -> None:
    photo().save(tmp_path / "é犬.png")
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    previews.show(Results((hit(tmp_path / "é犬.png", caption="日本"),), 1), how="kitty", stream=stream)
    assert rb"\xe9\u72ac.png" in raw.getvalue()


def test_blocks_need_their_letter(picture: Path) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.raises(UsageError, match=r"ascii, which has no half blocks.*kitty, iterm2, sixel"):
        previews.show(Results((hit(picture),), 1), how="blocks", stream=stream)


def test_words_beside_half_blocks_are_written_in_any_encoding(picture: Path) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp437")  # has half blocks, and no ellipsis
    previews.show(Results((hit(picture, caption="犬" * 99),), 1), how="blocks", stream=stream)
    assert "▀".encode("cp437") in raw.getvalue()
    assert rb"\u72ac" in raw.getvalue()


@pytest.mark.parametrize("columns", [1, 5, 9, 12, 40])
def test_a_narrow_terminal_has_no_words_beside(
    picture: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    told = written(Results((hit(picture, caption="Two dogs on a beach"),), 1), "blocks")
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in told.splitlines()[1:]]
    assert max(map(cell_len, lines)) <= max(columns, 6)  # a picture is never less than a letter wide


@pytest.mark.skipif(not (SHARED / "demo_open").is_dir(), reason="the photos of demo_open are not here")
@pytest.mark.parametrize("how", sorted(DECODE))
def test_real_photos_come_through(how: str) -> None:
    paths = sorted((SHARED / "demo_open" / "images").iterdir())[::61][:3]
    for path in paths:
        shown = DECODE[how](written(Results((hit(path),), 1), how))
        with Image.open(path) as image:
            assert shown.shape[1] / shown.shape[0] == pytest.approx(image.width / image.height, rel=0.1)
        assert shown.std() > 10


CHILD = """
import fcntl, os, sys, termios
try:
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
except OSError:
    pass
from picfind.cli import terminals
before = termios.tcgetattr(1)
way = terminals.detect(sys.stdout)
same = termios.tcgetattr(1) == before
print("<", way, same, *terminals.cell(sys.stdout), ">")
"""


def played(
    answer: bytes | None, environ: Mapping[str, str] | None = None, *, stdin: int | None = None
) -> tuple[str, bytes, float]:
    """What a process at the end of a pty finds out, what it wrote, and how long it took after it had asked.

    The terminal is played here: it gives `answer` when it is asked for its attributes.
    """
    import fcntl
    import pty
    import struct
    import termios

    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 80 * 9, 24 * 18))
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=there if stdin is None else stdin,
        stdout=there,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**{name: os.environ[name] for name in ("PATH", "HOME")}, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(environ or {})},
    )  # fmt: skip
    os.close(there)
    got, asked, end = b"", 0.0, time.monotonic() + 60
    with process:
        while b">" not in got and time.monotonic() < end:
            if not select.select([here], [], [], 0.1)[0]:
                assert process.poll() in (None, 0), process.stderr and process.stderr.read()
                continue
            try:
                got += os.read(here, 1024)
            except OSError:  # Linux: the other end is closed
                break
            if b"\x1b[c" in got and not asked:
                asked = time.monotonic()
                if answer is not None:
                    os.write(here, answer)
        taken = time.monotonic() - asked if asked else 0.0
    os.close(here)
    found = re.search(rb"< (.*?) >", got)
    assert found, got
    return found[1].decode(), got, taken


needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="there are no ptys")


@needs_pty
@pytest.mark.parametrize(
    ("answer", "environ", "way", "asked"),
    [
        (b"\x1b[?62;4;22c", {}, "sixel", True),
        (b"typed ahead\x1b[?4;6c", {}, "sixel", True),
        (b"\x1b[?64;14;22c", {}, "blocks", True),
        (b"\x1b[?64;14;22c", {"NO_COLOR": "1"}, "nothing", True),
        (b"\x1b[?4c", {"TERM": "dumb"}, "nothing", False),
        (None, {"TERM": "xterm-kitty"}, "kitty", False),
        (None, {"TERM_PROGRAM": "WezTerm"}, "iterm2", False),
        (b"\x1b[?1;2;4c", {"TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, "sixel", True),
        (b"\x1b[?1;2c", {"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, "blocks", True),
        (b"\x1b[?6c", {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, "nothing", True),
    ],
)
def test_terminals(answer: bytes | None, environ: dict[str, str], way: str, asked: bool) -> None:
    found, got, _ = played(answer, environ)
    assert found == f"{way} True 9 18", "the terminal is left as it was"
    assert (b"\x1b[c" in got) == asked


@needs_pty
def test_a_terminal_that_does_not_answer_is_not_waited_for_long() -> None:
    found, _, taken = played(None)
    assert found.startswith("blocks True")
    assert taken < 30


@needs_pty
def test_nothing_is_asked_where_stdin_is_no_terminal() -> None:
    found, got, _ = played(b"\x1b[?4c", stdin=subprocess.DEVNULL)
    assert found.startswith("blocks True")
    assert b"\x1b[c" not in got


def test_a_pipe_is_no_terminal_whatever_the_environment_says() -> None:
    assert terminals.detect(io.StringIO(), {"TERM": "xterm-kitty"}) == "nothing"
    closed = io.StringIO()
    closed.close()
    assert terminals.detect(closed, {}) == "nothing"
