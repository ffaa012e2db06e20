"""What is searched: the vectors of one space at one generation, mapped to the pictures that they are of.

An index may have been saved at an earlier generation. What it lacks is searched exactly and merged, so a picture
that was just added is found at once; what it holds too much is filtered away before the best k are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np

from picfind import plugins
from picfind.errors import UsageError
from picfind.index.base import VectorIndex
from picfind.search import saved
from picfind.search.calibration import sample
from picfind.storage import names, owed, parts, spaces
from picfind.storage.segments import Segment
from picfind.storage.store import Store
from picfind.types import WORDS, Floats, Ids, Neighbors, Space

EXACT = "flat"
_TRIES = 5
_FEW = 0.1
"""The share of the parts up to which those allowed are scanned exactly, whatever the kind of index."""


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest pictures of one query, best first: content ids, the part that matched best, and scores, all (n,)."""

    contents: Ids
    parts: Ids
    scores: Floats

    def only(self, contents: Sequence[int]) -> Found:
        """Those of some contents, in their order here."""
        kept = np.isin(self.contents, contents)
        return Found(self.contents[kept], self.parts[kept], self.scores[kept])


class Snapshot:
    """The vectors of a space as they were at one generation. Searching is safe from several threads."""

    def __init__(self, store: Store, space: Space, *, index: str = EXACT) -> None:
        """Map the segments and, for an index that is not exact, load or build it.

        Raises UnknownSpaceError, DamagedGalleryError, and UsageError for an unknown kind of index.
        """
        self.space = space
        self.kind = spaces.kind_of(store.catalog, space)
        for _ in range(_TRIES):
            self.generation, self._segments = store.vectors(space)
            with store.catalog.reading():
                self._parts, self._contents = parts.live_parts(store.catalog, space)
                regions = parts.regions(store.catalog, space)
                everything = names.count_contents(store.catalog)
                if store.catalog.generation == self.generation:
                    break  # else somebody has committed between the two: what was read belongs together only roughly
        self._rows = _Rows(self._segments)
        held = np.concatenate([segment.parts for segment in self._segments] or [np.empty(0, np.int64)])
        held = held[held != parts.DEAD]
        self._searchable = np.intersect1d(self._parts, held)
        self._wholes = np.setdiff1d(self._searchable, regions, assume_unique=True)
        self._all_live = len(self._searchable) == len(held)
        self._listed = np.flatnonzero(np.isin(self._parts, self._searchable))
        self.pictures = np.unique(self._contents[self._listed])
        """(n,) the content ids of the pictures that can be found, each once."""
        # all parts of a picture with regions may be among the nearest: so there is mostly no need to ask for more again
        self._parts_each = -(-len(self._searchable) // max(1, len(self.pictures)))
        self.missing = (
            owed.count(store.catalog, space, WORDS) if self.kind == WORDS else everything - len(self.pictures)
        )
        """How many pictures of the gallery, or of its texts in a space of words, have no vector in this space."""
        self._kind_of_index = index
        self._indexes = self._open(store, index, held)

    @cached_property
    def _by_content(self) -> Ids:
        """The rows of what can be found, by content: only a filtered search wants them."""
        return self._listed[np.argsort(self._contents[self._listed], kind="stable")]

    @cached_property
    def _contents_in_order(self) -> Ids:
        """The contents of these rows, ascending."""
        return self._contents[self._by_content]

    @cached_property
    def _exact(self) -> VectorIndex:
        """An exact index over the mapped files, not a copy: only a search of few wants another one than there is."""
        if self._kind_of_index == EXACT:
            return self._indexes[0]
        return self._filled(_module(EXACT), np.empty(0, np.int64))

    def __len__(self) -> int:
        """How many pictures can be found."""
        return len(self.pictures)

    @property
    def searchable(self) -> int:
        """How many vectors can be found: more than pictures, where these have regions."""
        return len(self._searchable)

    def search(self, query: Floats, *, k: int, ties: bool = False, allowed: Ids | None = None) -> Found:
        """The k nearest pictures of a unit vector (dim,), of those in `allowed` (content ids, each once) when it is given.

        A picture counts once, by its best part.

        Equal scores are ordered by part: the one that came into the gallery first. With `ties`, those that score like
        the k-th, as all do that share its words, are there beyond k.
        """
        among = self._among(allowed)
        k = max(1, min(k, len(self.pictures)))  # an index makes room for as many as are asked for
        wanted = max(1, min(k * self._parts_each, len(among.searchable)))
        while True:
            neighbors = self._neighbors(query[None], wanted, among)
            found = self._collapse(neighbors, k, ties=ties, among=among)
            if len(found.contents) >= k or wanted >= len(among.searchable):
                return found
            wanted = min(wanted * 4, len(among.searchable))

    def _among(self, allowed: Ids | None) -> _Among:
        """Looked up in an order by content, so that a few allowed cost next to nothing."""
        if allowed is None:
            return _Among(self._parts, self._contents, self._searchable)
        contents = self._contents_in_order
        starts = np.searchsorted(contents, allowed, side="left")
        counts = np.searchsorted(contents, allowed, side="right") - starts
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.sort(self._by_content[np.repeat(starts, counts) + offsets])
        own = self._parts[rows]
        return _Among(own, self._contents[rows], own[np.diff(own, prepend=-1) > 0])

    def vectors(self, part_ids: Ids) -> Floats:
        """(n, dim) float32: the vectors of some parts."""
        return self._rows.gather(part_ids, self.space.dim)

    def sample(self) -> Floats:
        """(n, dim) float32: the vectors of some of the parts that can be found, always the same ones in a gallery.

        Regions are none of them.
        """
        return self.vectors(self._wholes[sample(len(self._wholes))])

    def of_contents(self, contents: Ids) -> Floats:
        """(n, dim) float32: a vector of each content, that of the whole picture where it has several; zeros without any."""
        rows = np.zeros((len(contents), self.space.dim), np.float32)
        known = self._contents_in_order
        places = np.searchsorted(known, contents)
        places[places == len(known)] = 0
        held = known[places] == contents if len(known) else np.zeros(len(contents), np.bool_)
        # a picture comes into a gallery before its regions: its first part is the whole
        rows[held] = self.vectors(self._parts[self._by_content[places[held]]])
        return rows

    def _neighbors(self, queries: Floats, k: int, among: _Among) -> Neighbors:
        if len(among.searchable) <= _FEW * len(self._searchable):
            return self._exact.search(queries, k=k, allowed=among.searchable)
        everything = len(among.searchable) == len(self._searchable)
        allowed = None if everything and self._all_live else among.searchable
        answers = [index.search(queries, k=k, allowed=allowed) for index in self._indexes]
        return answers[0] if len(answers) == 1 else _merged(answers, k)

    def _collapse(self, neighbors: Neighbors, k: int, *, ties: bool, among: _Among) -> Found:
        """From parts to pictures: each content once, at its best part."""
        best: dict[int, tuple[int, float]] = {}
        for part, score in zip(neighbors.ids[0].tolist(), neighbors.scores[0].tolist(), strict=True):
            if part == -1:
                break
            start, end = np.searchsorted(among.parts, [part, part + 1])
            for content in among.contents[start:end].tolist():
                best.setdefault(content, (part, score))
        chosen = list(best.items())
        end = min(k, len(chosen))
        while ties and 0 < end < len(chosen) and chosen[end][1][1] == chosen[end - 1][1][1]:
            end += 1
        chosen = chosen[:end]
        return Found(
            np.array([content for content, _ in chosen], np.int64),
            np.array([part for _, (part, _) in chosen], np.int64),
            np.array([score for _, (_, score) in chosen], np.float32),
        )

    def _open(self, store: Store, kind: str, held: Ids) -> list[VectorIndex]:
        if kind == EXACT:
            return [self._filled(_module(EXACT), np.empty(0, np.int64))]
        module = _module(kind)
        covering, covered = saved.load(store, self.space, kind, module)
        if covering is None or saved.is_stale(covered, held):
            covering, covered = self._filled(module, np.empty(0, np.int64)), held
            saved.save(store, self.space, kind, self.generation, covering, covered)
        if not np.isin(covered, self._searchable).all():
            self._all_live = False
        return [covering, self._filled(_module(EXACT), covered)]

    def _filled(self, module: ModuleType, without: Ids) -> VectorIndex:
        """A new index over every listed row whose part is not in `without`."""
        index: VectorIndex = module.create(self.space.dim)
        for segment in self._segments:
            listed = segment.parts != parts.DEAD
            if len(without):
                listed &= ~np.isin(segment.parts, without)
            if listed.all():
                index.add(segment.parts, segment.vectors)  # the mapped file itself, not a copy
            elif listed.any():
                index.add(segment.parts[listed], segment.vectors[listed])
        return index


@dataclass(frozen=True, slots=True)
class _Among:
    """What a search may find: live parts and their contents (n,), ordered by part; the parts that have a vector."""

    parts: Ids
    contents: Ids
    searchable: Ids


class _Rows:
    """Where the vector of each part lies."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        lengths = [len(segment.parts) for segment in segments]
        self._starts = np.cumsum([0, *lengths])
        every = np.concatenate([segment.parts for segment in segments] or [np.empty(0, np.int64)])
        self._order = np.argsort(every, kind="stable")
        self._sorted = every[self._order]

    def gather(self, part_ids: Ids, dim: int) -> Floats:
        rows = np.empty((len(part_ids), dim), np.float32)
        places = self._order[np.searchsorted(self._sorted, part_ids)]
        numbers = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(numbers).tolist():
            own = numbers == number
            rows[own] = self._segments[number].vectors[places[own] - self._starts[number]]
        return rows


def _merged(answers: list[Neighbors], k: int) -> Neighbors:
    """The k best of several answers to the same queries."""
    ids = np.concatenate([answer.ids for answer in answers], axis=1)
    scores = np.concatenate([answer.scores for answer in answers], axis=1)
    order = np.stack([np.lexsort((row_ids, -row)) for row_ids, row in zip(ids, scores, strict=True)])[:, :k]
    return Neighbors(np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1))


def _module(kind: str) -> ModuleType:
    module = plugins.load("index", kind)
    if module is None:
        raise UsageError(f"There is no index {kind!r}. Known are: {', '.join(plugins.names('index'))}.")
    return module
