"""Patterns of `.gitignore`'s kind: which paths below a folder are passed over."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from picfind.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".picfindignore"


@dataclass(frozen=True, slots=True)
class Rules:
    """Which paths are passed over: `exclude` decides first, then the file of the innermost folder, and so on outwards.

    Paths are relative to the outermost folder, with `/` between their parts and at the end of a folder's.
    """

    exclude: GitIgnoreSpec | None = None
    files: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    """The folder that each applies below, and its patterns; innermost first."""

    @classmethod
    def of(cls, exclude: Sequence[str]) -> Rules:
        """Rules that a person gave for the whole source. Raises UsageError for what is no pattern."""
        return cls(_compiled(exclude) if exclude else None)

    def under(self, folder: str, lines: Iterable[str]) -> Rules:
        """These rules and those of a file that lies in `folder` ("" or a path with `/` at its end).

        Raises UsageError for a line that is no pattern.
        """
        return replace(self, files=((_plain(folder), _compiled(lines)), *self.files))

    def ignores(self, path: str) -> bool:
        """Whether a path is passed over; what lies in a folder that is passed over is never to be asked for."""
        if self.exclude is None and not self.files:
            return False
        plain = _plain(path)
        verdicts = (
            patterns.check_file(plain.removeprefix(folder)).include for folder, patterns in self._chain()
        )
        return bool(next((verdict for verdict in verdicts if verdict is not None), False))

    def _chain(self) -> tuple[tuple[str, GitIgnoreSpec], ...]:
        return self.files if self.exclude is None else (("", self.exclude), *self.files)


def _compiled(lines: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    texts = [_plain(line) for line in lines]
    for text in texts:
        try:
            GitIgnoreSpec.from_lines([text])
        except ValueError as error:
            raise UsageError(
                f"{text!r} is no pattern of .gitignore's kind. Correct it or leave it out."
            ) from error
    return GitIgnoreSpec.from_lines(texts)


def _plain(path: str) -> str:
    """NFC, so that a pattern typed on one system finds the names that another wrote."""
    return unicodedata.normalize("NFC", path)
