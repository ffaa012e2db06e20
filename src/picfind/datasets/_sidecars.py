"""The files beside a picture that may hold words: for `a/b.jpg` they are `b.txt`, `b.jpg.txt`, `b.xmp` and so on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial

from picfind import keys
from picfind.datasets._entries import fingerprint, is_passed_over, is_usable, open_regular
from picfind.datasets._ignore import Rules
from picfind.images import SIDECAR_SUFFIXES
from picfind.types import Sidecar


class Beside:
    """The sidecars of one folder, by the names that they stand beside."""

    def __init__(self, folder: str, rules: Rules, entries: Iterable[os.DirEntry[str]]) -> None:
        """`folder` is the path below the root with `/` at its end, or ""; `entries` is all that lies in it."""
        self._folder, self._rules = folder, rules
        self._entries: dict[str, list[os.DirEntry[str]]] = {}
        for entry in entries:
            name = entry.name
            if name.lower().endswith(SIDECAR_SUFFIXES) and not is_passed_over(name):
                self._entries.setdefault(_compared(name.rpartition(".")[0]), []).append(entry)

    def of(self, name: str) -> tuple[Sidecar, ...]:
        """Those of the picture with this file name, by key. Costs a stat each and, where there are none, nothing.

        Names are compared without regard to case. What is excluded, hidden, no regular file or gone is left out.
        """
        if not self._entries:
            return ()
        full = _compared(name)
        entries = [
            entry for beside in {full, full.rpartition(".")[0]} for entry in self._entries.get(beside, ())
        ]
        found = [sidecar for sidecar in map(self._sidecar, entries) if sidecar is not None]
        return tuple(sorted(found, key=lambda sidecar: sidecar.key))

    def _sidecar(self, entry: os.DirEntry[str]) -> Sidecar | None:
        path = self._folder + entry.name
        try:
            found = entry.stat()  # kept by the entry: pictures that share a sidecar ask once
        except OSError:
            return None
        if not is_usable(found) or self._rules.ignores(path):
            return None
        return Sidecar(keys.escape(path), fingerprint(found), partial(open_regular, entry.path))


def _compared(name: str) -> str:
    return keys.folded(name).lower()
