"""The signs of the query language: what one word of a query, or one argument, looks like."""

from __future__ import annotations

import os
import re

from picfind.images import SUFFIXES
from picfind.search.query import SHORTEST_CONTENT

LONGEST = 10_000
"""Characters of a query, at most."""

SIGNS = {
    **dict.fromkeys(("+", "\N{FULLWIDTH PLUS SIGN}"), 1.0),
    **dict.fromkeys(("-", "\N{EN DASH}", "\N{MINUS SIGN}", "\N{FULLWIDTH HYPHEN-MINUS}", "not", "NOT"), -1.0),
}
QUOTES = {'"': '"', "“": "”", "”": "”", "„": "“”"}
"""What opens a phrase, and what may close it."""
_AMOUNT = r"(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
TERM_AHEAD = r"(?=[^\s0-9.]|\.[^\s0-9])"
"""What follows the colon of a weight, so that `10:30` and `16:9` are words."""
WEIGHT = re.compile(rf"({_AMOUNT}):{TERM_AHEAD}")
COMMA_WEIGHT = re.compile(rf"[0-9]{{0,9}},[0-9]{{1,9}}:{TERM_AHEAD}")
ATTACHED = re.compile(
    rf"([-+\N{{MINUS SIGN}}])(?:{_AMOUNT}:{TERM_AHEAD}|[^\W\d]|[\"“”„@]|~/|\.{{0,2}}[/\\]\w)"
)
"""A sign that what looks like a term follows without a blank."""
NUMBER = r"[0-9][0-9.,:/]*"
RANGE = re.compile(rf"{NUMBER}(?:\s+[-\N{{EN DASH}}\N{{MINUS SIGN}}]\s+{NUMBER}(?!\S))+")
URL = re.compile(r"https?://", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_EXPLICIT = ("./", "../", "/", "~/", ".\\", "..\\", "~\\")
CONTENT_MARK = "sha256:"
CONTENT = re.compile(rf"[0-9a-f]{{{SHORTEST_CONTENT},64}}")
CONCEPT_BEGINS = re.compile(r"@[^\W\d]")
CONCEPT = re.compile(r"@([^\W\d](?:[\w.-]*\w)?)")


def weight_ends(text: str) -> int:
    """Where the weight that a text begins with ends; 0 without one."""
    found = WEIGHT.match(text)
    return found.end() if found else 0


def is_explicit(text: str) -> bool:
    """Whether a text begins like a path."""
    return text.startswith(_EXPLICIT) or _DRIVE.match(text) is not None


def ends_like_a_picture(text: str) -> bool:
    """Whether a text ends like the name of a picture."""
    return text.lower().endswith(SUFFIXES)


def at_home(text: str) -> str:
    """A path with `~` as one's home; as it is where that is nobody's."""
    try:
        return os.path.expanduser(text)  # noqa: PTH111 - Path's own raises for a user who is not there
    except ValueError:  # a name that no user can have, with a zero or a lone surrogate in it
        return text


def is_file(text: str) -> bool:
    """Whether there is a file of this name; `~` is one's home."""
    return os.path.isfile(at_home(text))  # this never raises, whatever the text
