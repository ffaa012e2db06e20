"""Write the reference of the commands from what their `--help` is made of.

    python scripts/cli_reference.py > docs/cli.md

It reads the commands themselves and not the text of `--help`, whose look changes with the terminal's width and with
the version of typer. A test compares the page with what this prints.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from typing import Any

import typer

from picfind.cli.main import app

_INTRODUCTION = """\
# Commands

<!-- Written by scripts/cli_reference.py: change the commands' help instead, and run it again. -->

What `picfind COMMAND --help` says, for all commands on one page. [Using picfind](using.md) and [How to ask](asking.md)
explain them with examples.

Answers go to stdout, everything else to stderr. Exit codes: 0 when something was found or done, 1 when a search found
nothing, 2 for wrong use or a failure, 130 after Ctrl-C. A first word that is no command begins a search. Every setting
can also be given in the environment or in a file: see [the table of settings](using.md#settings).
"""
_FROM_TYPER = {"help", "install_completion", "show_completion"}


def reference() -> str:
    """The page, as Markdown."""
    group: Any = typer.main.get_command(app)
    return "\n".join((_INTRODUCTION, *_command("picfind", group)))


def _command(name: str, command: Any) -> Iterator[str]:
    """A command's section, and then those of the commands below it."""
    arguments = [entry for entry in command.params if entry.param_type_name == "argument"]
    options = [entry for entry in command.params if entry not in arguments and entry.name not in _FROM_TYPER]
    below: dict[str, Any] = getattr(command, "commands", {})
    yield f"## {name}\n"
    yield f"`{_usage(name, arguments, command)}`\n"
    yield f"{' '.join(command.help.split())}\n"
    if arguments or options:
        yield "| | |\n|---|---|"
        yield from (f"| `{_name(entry)}` | {_cell(entry.help)} |" for entry in arguments)
        yield from (f"| {_flags(entry)} | {_cell(entry.help)}{_default(entry)} |" for entry in options)
        yield ""
    if name == "picfind":
        yield "`--install-completion` and `--show-completion` set up completion in a shell; `-h` or `--help` goes with any command.\n"
    for below_name, child in below.items():
        yield from _command(f"{name} {below_name}", child)


def _usage(name: str, arguments: list[Any], command: Any) -> str:
    words = [f"{_name(entry)}{'...' if entry.nargs == -1 else ''}" for entry in arguments]
    wanted = [word if entry.required else f"[{word}]" for word, entry in zip(words, arguments, strict=True)]
    if hasattr(command, "commands"):
        wanted.append("[COMMAND]" if command.invoke_without_command else "COMMAND")
    return " ".join((name, "[OPTIONS]", *wanted))


def _name(argument: Any) -> str:
    """What an argument is called, without the signs that say whether it must be there and how often it may."""
    name: str = argument.metavar
    return name.strip("[].")


def _flags(entry: Any) -> str:
    value = "" if entry.is_flag else f" {entry.metavar}"
    return ", ".join(f"`{flag}{value}`" for flag in sorted(entry.opts, key=len))


def _default(entry: Any) -> str:
    default = entry.default.value if isinstance(entry.default, enum.Enum) else entry.default
    return "" if entry.is_flag or default in (None, [], ()) else f" Default: {default}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    print(reference(), end="")
