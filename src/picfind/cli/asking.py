"""What the options of a search say: examples, weights, what to match against, the form of the answer."""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from picfind.api import fetcher
from picfind.cli.answers import Form
from picfind.search.language import parse
from picfind.search.query import EVERYTHING, TERMINAL, Kind, Term
from picfind.search.signs import at_home, is_file
from picfind.settings import Settings

_EXAMPLES = TERMINAL - {Kind.WORDS, Kind.CONCEPT, Kind.STDIN}


class Against(enum.Enum):
    """What a query is matched against."""

    PICTURES = "pictures"
    WORDS = "words"
    TEXT = "text"


class Sort(enum.Enum):
    """What hits are sorted by."""

    SCORE = "score"
    DATE = "date"
    PATH = "path"


def terms(query: Sequence[str], settings: Settings) -> tuple[Term, ...]:
    """The terms that the arguments of a command are."""
    stdin = sys.stdin.buffer.read
    return parse(query, allow=TERMINAL, stdin=stdin, fetch=fetcher(settings)) if query else ()


def examples(given: Sequence[str], settings: Settings) -> tuple[Term, ...]:
    """Pictures that are liked or disliked: paths, URLs, and content ids."""
    fetch = fetcher(settings)
    return tuple(term for entry in given for term in parse([_as_path(entry)], allow=_EXAMPLES, fetch=fetch))


def _as_path(entry: str) -> str | Path:
    """A name of a picture needs no sign of a path where only pictures make sense."""
    return Path(at_home(entry)) if is_file(entry) else entry


def against(given: Sequence[Against]) -> tuple[str, ...]:
    """What to match against: everything where nothing is said."""
    return tuple(entry.value for entry in given) or EVERYTHING


def weights(given: Sequence[str]) -> Mapping[str, float]:
    """`words=2` and the like."""
    found = {}
    for entry in given:
        part, _, number = entry.partition("=")
        try:
            found[part.strip()] = float(number)
        except ValueError as error:
            raise typer.BadParameter(f"--weight {entry}: write it as words=2.") from error
    return found


def form(*, as_json: bool, paths: bool, print0: bool, as_jsonl: bool = False, as_csv: bool = False) -> Form:
    """The one form that was asked for."""
    wanted = {
        Form.JSON: as_json,
        Form.JSONL: as_jsonl,
        Form.CSV: as_csv,
        Form.PATHS: paths,
        Form.PRINT0: print0,
    }
    chosen = [entry for entry, flag in wanted.items() if flag]
    if len(chosen) > 1:
        raise typer.BadParameter(
            f"--{chosen[0].value} and --{chosen[1].value} cannot go together: choose one form of output."
        )
    return chosen[0] if chosen else Form.TEXT
