"""What a terminal can show pictures with, found without ever waiting for a person or disturbing a pipe."""

from __future__ import annotations

import os
import re
import select
import shutil
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple, TextIO

KITTY, ITERM2, SIXEL, BLOCKS, NOTHING = "kitty", "iterm2", "sixel", "blocks", "nothing"
"""Kitty's graphics, iTerm2's inline images, DEC's sixels; coloured half blocks; no way at all."""
_KITTY_TERMS = frozenset(("xterm-kitty", "xterm-ghostty"))
_ITERM2_PROGRAMS = frozenset(("iTerm.app", "WezTerm", "mintty"))
_MULTIPLEXERS = ("screen", "tmux")
_DEVICE = re.compile(rb"\x1b\[\?([0-9;]+)c")
_SIXEL_ATTRIBUTE = b"4"
"""The number among the primary device attributes that stands for sixels (DEC VT340, XTerm control sequences)."""
_PATIENCE = 1.0
"""Seconds to wait for the attributes: nearly every terminal answers at once, one at the end of a slow line may not."""
_USUAL_CELL = (10, 20)


class Cell(NamedTuple):
    """The size of a letter in pixels."""

    width: int
    height: int


def detect(stream: TextIO, environ: Mapping[str, str] | None = None) -> str:
    """The best way to show pictures on a stream; NOTHING where it is no terminal.

    The environment is believed first. Only where it tells nothing is the terminal asked, and only where the answer can
    be read: stdin is a terminal too, and this process is in its foreground.
    """
    environ = os.environ if environ is None else environ
    if not _is_terminal(stream):
        return NOTHING
    found = _told_by(environ)
    if found is None and environ.get("TERM") != "dumb" and _takes_sixels(stream):
        found = SIXEL
    return found or (BLOCKS if _has_colours(environ) and _has_blocks(stream) else NOTHING)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def _told_by(environ: Mapping[str, str]) -> str | None:
    """What the terminal's own variables tell. A multiplexer keeps those of the terminal outside, but not its pictures."""
    term = environ.get("TERM", "")
    if environ.get("TMUX") or term.startswith(_MULTIPLEXERS):
        return None
    program = environ.get("TERM_PROGRAM", "")
    if environ.get("KITTY_WINDOW_ID") or term in _KITTY_TERMS or program == "ghostty":
        return KITTY
    if program in _ITERM2_PROGRAMS or environ.get("LC_TERMINAL") == "iTerm2":
        return ITERM2
    return None


def _has_colours(environ: Mapping[str, str]) -> bool:
    dumb = environ.get("TERM", "") in ("", "dumb") and sys.platform != "win32"
    return not environ.get("NO_COLOR") and not dumb


def _has_blocks(stream: TextIO) -> bool:
    try:
        "▀".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def cell(stream: TextIO) -> Cell:
    """The size of a letter as the system knows it, else a usual one."""
    if sys.platform != "win32" and _is_terminal(stream):
        import fcntl
        import struct
        import termios

        try:
            answer = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
        except OSError:
            return Cell(*_USUAL_CELL)
        rows, columns, width, height = struct.unpack("HHHH", answer)
        if rows and columns and width >= columns and height >= rows:
            return Cell(width // columns, height // rows)
    return Cell(*_USUAL_CELL)


def columns(stream: TextIO) -> int:
    """How many letters fit into a line."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # no terminal, or no file at all
        return shutil.get_terminal_size().columns


def _takes_sixels(stream: TextIO) -> bool:
    if sys.platform == "win32" or not _is_terminal(sys.stdin):
        return False
    return _SIXEL_ATTRIBUTE in _attributes(sys.stdin.fileno(), stream)


def _attributes(stdin: int, stream: TextIO) -> list[bytes]:
    """The terminal's answer to "what are you?"; nothing where it cannot be asked or does not answer."""
    if sys.platform == "win32":
        return []
    import termios
    import tty

    try:
        # whoever touches the terminal from the background is stopped
        if os.tcgetpgrp(stdin) != os.getpgrp():
            return []
        before = termios.tcgetattr(stdin)
    except (OSError, termios.error):
        return []
    try:
        tty.setcbreak(stdin, termios.TCSANOW)
        stream.write("\x1b[c")
        stream.flush()
        return _read_attributes(stdin)
    except (OSError, termios.error):
        return []
    finally:
        termios.tcsetattr(stdin, termios.TCSANOW, before)


def _read_attributes(stdin: int) -> list[bytes]:
    end = time.monotonic() + _PATIENCE
    got = b""
    while (left := end - time.monotonic()) > 0 and select.select([stdin], [], [], left)[0]:
        read = os.read(stdin, 64)
        got += read
        found = _DEVICE.search(got)
        if found:
            return found[1].split(b";")
        if not read:
            break
    return []
