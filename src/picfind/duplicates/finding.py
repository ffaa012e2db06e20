"""Finding duplicates in a gallery, from the catalog to groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picfind.duplicates import candidates, pairing
from picfind.duplicates.alignment import Match
from picfind.duplicates.groups import (
    EXACT,
    KINDS,
    PERCEPTUAL,
    SEMANTIC,
    VARIANTS,
    Group,
    copies_of,
    group_of,
    keep_shots_together,
    similar_group,
    wholeness,
)
from picfind.duplicates.keeping import Candidate, Taste, order
from picfind.duplicates.looking import looks_of
from picfind.duplicates.pairing import ALIKE, Progress
from picfind.duplicates.pictures import Rows, list_pictures, picture_space, raw_beside, vectors_of
from picfind.duplicates.stars import Star, stars
from picfind.duplicates.verdicts import Verdicts
from picfind.errors import UsageError
from picfind.images import Limits
from picfind.storage.store import Store
from picfind.types import Floats, Ids

SIMILAR = 0.85
"""The cosine from which on pictures count as much the same, in the space of the built-in model."""
_DEFAULT_TASTE = Taste()
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Duplicates(Sequence[Group]):
    """The groups that were found, those that free most bytes first; how many pictures were looked through; notes."""

    groups: tuple[Group, ...]
    pictures: int
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, at: Any) -> Any:
        return self.groups[at]

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)


def find_duplicates(
    store: Store,
    *,
    kinds: Sequence[str] = (EXACT, PERCEPTUAL),
    taste: Taste = _DEFAULT_TASTE,
    variants: bool = False,
    threshold: float = ALIKE,
    similar: float = SIMILAR,
    limits: Limits = _DEFAULT_LIMITS,
    workers: int = 1,
    progress: Progress = lambda step, done, total: None,
) -> Duplicates:
    """The groups of duplicates among the pictures of a gallery whose files are there now. No file is touched.

    `kinds`: of `exact`, `perceptual` and `semantic`. `taste` says which file of a group is kept. With `variants`, the
    files of one shot are suggested for removal like any others. `threshold` (0 to 1) is for perceptual ones, `similar`
    (a cosine in the gallery's space) for semantic ones. Raises UsageError, DamagedGalleryError.
    """
    _check(kinds, threshold, similar)
    hunt = _Hunt(store, taste, limits=limits, workers=workers, progress=progress)
    groups: list[Group] = []
    if {EXACT, PERCEPTUAL} & set(kinds):
        matches = hunt.matches(threshold) if PERCEPTUAL in kinds else {}
        groups = hunt.copies(matches, threshold)
        if not variants:
            groups = keep_shots_together(groups, hunt.pictures)
        wanted = {*kinds, VARIANTS}
        groups = [group for group in groups if group.kind in wanted]
    if SEMANTIC in kinds:
        groups += hunt.similar(similar)
    groups.sort(key=lambda group: (group.kind == SEMANTIC, -_freed(group), group.keeper.path))
    return Duplicates(tuple(groups), len(hunt.pictures), tuple(hunt.warnings))


def _check(kinds: Sequence[str], threshold: float, similar: float) -> None:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise UsageError(
            f"There is no kind {unknown[0] if unknown else ''!r}. Known are: {', '.join(KINDS)}."
        )
    if not (0 < threshold <= 1 and 0 < similar <= 1):
        raise UsageError("Thresholds are above 0 and at most 1.")


def _freed(group: Group) -> int:
    return sum(one.bytes for one in group.surplus)


class _Hunt:
    """What the kinds of duplicates share: the pictures, their files as candidates, their vectors, what to say."""

    def __init__(
        self, store: Store, taste: Taste, *, limits: Limits, workers: int, progress: Progress
    ) -> None:
        self._store = store
        self._limits = limits
        self._workers = workers
        self._progress = progress
        self._rank = order(taste)
        listed = list_pictures(store)
        self.pictures = listed.pictures
        self.warnings: list[str] = []
        self._stars: list[Star[Match]] = []
        self._vectors: tuple[Ids, Rows] | None = None
        self._neighbours: tuple[Ids, Floats] | None = None
        self._verdicts = Verdicts(store)
        if listed.missing:
            self.warnings.append(f"{len(listed.missing):,} files are not there now and are left out.")
        if listed.apart:
            self.warnings.append(
                f"{len(listed.apart):,} pictures of datasets have no file of their own there (they lie in archives, behind "
                "URLs, or are missing) and are left out."
            )

    def matches(self, threshold: float) -> pairing.Matches:
        """The pairs of pictures that are copies of each other."""
        self._looks, unseen = looks_of(
            self._store, self.pictures, limits=self._limits, workers=self._workers, progress=self._progress
        )
        places, _ = self._placed()
        if unseen:
            self.warnings.append(
                f"{len(unseen):,} pictures could not be looked at: their files have changed or cannot be read. Run "
                "`picfind index` on their folders."
            )
        if len(places) < len(self.pictures):
            self.warnings.append(
                f"{len(self.pictures) - len(places):,} pictures have no vector of their own, so crops of them may be "
                "missed. Run `picfind index` on their folders with a model for pictures."
            )
        nearest, _ = self._nearest()
        near = places[candidates.neighbour_pairs(nearest)]
        both = candidates.unique_pairs(np.concatenate([near, candidates.pattern_pairs(self._looks)]))
        return pairing.copies(
            self._looks,
            both,
            threshold=threshold,
            workers=self._workers,
            progress=self._progress,
            verdicts=self._verdicts,
        )

    def copies(self, matches: pairing.Matches, threshold: float) -> list[Group]:
        """Groups of the files of matching pictures, and of those pictures that have several files."""
        files = self._candidates(wholeness(matches))
        ranks = {at: min(self._rank(one) for one in some) for at, some in files.items()}

        def check(first: int, second: int) -> Match | None:
            match = pairing.compare(self._looks, first, second, verdicts=self._verdicts)
            return match if match is not None and match.score >= threshold else None

        self._stars = list(stars(matches, ranks.__getitem__, check))
        self._verdicts.keep()
        taken = {at for star in self._stars for at in (star.middle, *star.around)}
        alone: list[Star[Match]] = [
            Star(at, {}) for at, some in files.items() if at not in taken and len(some) > 1
        ]
        groups = []
        for star in (*self._stars, *alone):
            keeper = min(files[star.middle], key=self._rank)
            groups.append(group_of(keeper, copies_of(star, keeper, files)))
        return groups

    def similar(self, threshold: float) -> list[Group]:
        """Groups of pictures whose vectors are near each other, and which are no copies as far as was looked for."""
        places, vectors = self._placed()
        nearest, scores = self._nearest()
        own = {at: number for number, star in enumerate(self._stars) for at in (star.middle, *star.around)}
        pairs = {
            (min(first, second), max(first, second)): float(score)
            for first, row, cosines in zip(range(len(places)), nearest.tolist(), scores.tolist(), strict=True)
            for second, score in zip(row, cosines, strict=True)
            if score >= threshold and not _same_star(own, int(places[first]), int(places[second]))
        }

        def check(first: int, second: int) -> float | None:
            cosine = float(vectors[first].astype(np.float32) @ vectors[second].astype(np.float32))
            alike = cosine >= threshold and not _same_star(own, int(places[first]), int(places[second]))
            return cosine if alike else None

        files = self._candidates({})
        best = {row: min(files[int(at)], key=self._rank) for row, at in enumerate(places)}
        groups = []
        for star in stars(pairs, lambda row: self._rank(best[row]), check):
            around = sorted(star.around.items(), key=lambda pair: -pair[1])
            groups.append(similar_group(best[star.middle], [(best[row], cosine) for row, cosine in around]))
        return groups

    def _candidates(self, whole: Mapping[int, float]) -> dict[int, list[Candidate]]:
        listed: dict[Path, frozenset[str]] = {}
        return {
            at: [
                Candidate(picture, file, whole.get(at, 1.0), raw_beside(file, listed))
                for file in picture.files
            ]
            for at, picture in enumerate(self.pictures)
        }

    def _placed(self) -> tuple[Ids, Rows]:
        """The numbers of the pictures that have a vector, and their vectors."""
        if self._vectors is None:
            space = picture_space(self._store)
            nothing = np.empty(0, np.int64), np.empty((0, 1), np.float16)
            self._vectors = vectors_of(self._store, space, self.pictures) if space else nothing
        return self._vectors

    def _nearest(self) -> tuple[Ids, Floats]:
        """The nearest of those that have a vector, as `candidates.nearest` gives them; looked for once."""
        if self._neighbours is None:
            self._neighbours = candidates.nearest(self._placed()[1], k=candidates.NEIGHBOURS)
        return self._neighbours


def _same_star(own: Mapping[int, int], first: int, second: int) -> bool:
    return first in own and own[first] == own.get(second)
