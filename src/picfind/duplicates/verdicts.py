"""What comparing two pictures gave, kept between runs: a dry run and the clean-up after it compare once.

A verdict depends on the two looks alone, in their order, so it holds as long as their bytes and the method do. Pairs
that are no copies are kept too: they are most of the work.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from picfind.duplicates import looks as looking
from picfind.duplicates import shelf
from picfind.duplicates.alignment import Match
from picfind.duplicates.looks import Looks
from picfind.storage.store import Store

METHOD = 1
"""Goes up when framing or alignment give other figures than before."""
_STEM = f"pairs-{looking.VERSION}.{METHOD}"
_NAME = 16
"""Bytes of a SHA-256 that tell pictures apart here."""
_NO_MATCH = -1.0
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""An odd number without a pattern (2 ** 64 over the golden ratio; Knuth, volume 3, section 6.4)."""
_KEEP_EVERY = 5.0
"""Seconds of comparing that a run which is stopped may lose."""

VERDICT = np.dtype(
    [
        ("pictures", np.uint8, (2, _NAME)),
        ("score", np.float64),
        ("turn", np.int8),
        ("shares", np.float64, (2,)),
    ]
)
"""One pair: the beginnings of both SHA-256, then a `Match`; a score below 0 where a rough look found nothing."""
_Pairs = NDArray[np.int64]


class Verdicts:
    """The verdicts on the pairs of some looks. Without a gallery they last as long as the object."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        kept = shelf.rows(store, _STEM, VERDICT) if store else np.empty(0, VERDICT)
        self._by_key(kept)
        self._new: list[NDArray[np.void]] = []
        self._kept_at = time.monotonic()

    def _by_key(self, verdicts: NDArray[np.void]) -> None:
        keys = _keys(verdicts["pictures"])
        order = np.argsort(keys, kind="stable")
        self._rows, self._sorted = verdicts[order], keys[order]

    def known(self, looks: Looks, pairs: _Pairs) -> tuple[NDArray[np.bool_], dict[tuple[int, int], Match]]:
        """Which pairs (n, 2) of row numbers have a verdict (n,), and the matches among them."""
        if not len(pairs) or not len(self._rows):
            return np.zeros(len(pairs), np.bool_), {}
        names = looks["sha256"][:, :_NAME][pairs]
        at = np.minimum(np.searchsorted(self._sorted, _keys(names)), len(self._rows) - 1)
        found = self._rows[at]
        sure = (found["pictures"] == names).all(axis=(1, 2))
        matches = {
            (int(first), int(second)): _match(verdict)
            for (first, second), verdict in zip(pairs[sure], found[sure], strict=True)
            if verdict["score"] >= 0
        }
        return sure, matches

    def add(self, looks: Looks, pairs: _Pairs, matches: dict[tuple[int, int], Match]) -> None:
        """Keep the verdicts on pairs that were compared: those of `matches`, and no match for the others."""
        verdicts = np.zeros(len(pairs), VERDICT)
        verdicts["pictures"] = looks["sha256"][:, :_NAME][pairs]
        verdicts["score"] = _NO_MATCH
        for at, (first, second) in enumerate(pairs.tolist()):
            match = matches.get((first, second))
            if match is not None:
                verdicts[at] = (
                    verdicts["pictures"][at],
                    match.score,
                    match.turn,
                    (match.first, match.second),
                )
        self._new.append(verdicts)
        if time.monotonic() - self._kept_at > _KEEP_EVERY:
            self.keep()

    def keep(self) -> None:
        """Write down what is new."""
        self._kept_at = time.monotonic()
        if not self._new:
            return
        some = np.concatenate(self._new)
        self._new = []
        self._by_key(np.concatenate([self._rows, some]))
        if self._store is not None:
            shelf.keep(self._store, _STEM, some)


def _keys(names: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(n,) a number for each pair of names (n, 2, 16), another one for the pair turned round; equal ones are checked."""
    halves = np.ascontiguousarray(names[:, :, :8]).view(np.uint64)[:, :, 0]
    return np.asarray(halves[:, 0] * _SPREAD + halves[:, 1], np.uint64)  # modulo 2 ** 64


def _match(verdict: np.void) -> Match:
    first, second = verdict["shares"].tolist()
    return Match(float(verdict["score"]), int(verdict["turn"]), first, second)
