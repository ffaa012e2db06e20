"""What every vector index must do."""

# ruff: noqa: S101  (this is a test suite: asserting is what it is for)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from picfind.errors import DamagedGalleryError, UsageError
from picfind.testing.refusal import refuses
from picfind.types import Floats, Ids, Neighbors

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.index.base import VectorIndex


class IndexSuite:
    """Subclass it, call the subclass `Test...`, and give `create` and `load`."""

    tolerance = 1e-6
    """How far a score may lie from the float64 inner product of unit vectors."""

    def create(self, dim: int) -> VectorIndex:
        """An empty index; the module's own `create`."""
        raise NotImplementedError

    def load(self, path: Path) -> VectorIndex:
        """The module's own `load`."""
        raise NotImplementedError

    def filled(self, ids: Ids, vectors: Floats) -> VectorIndex:
        """An index that was given everything in one go."""
        index = self.create(vectors.shape[1])
        index.add(ids, vectors)
        return index

    def test_an_empty_index_finds_nothing(self) -> None:
        index = self.create(4)
        assert (index.dim, len(index)) == (4, 0)
        _is_empty(index.search(unit_rows(3, 4, seed=0), k=2), shape=(3, 2))

    def test_no_queries_no_rows(self) -> None:
        index = self.filled(np.arange(5), unit_rows(5, 4, seed=0))
        _is_empty(index.search(np.empty((0, 4), np.float32), k=3), shape=(0, 3))

    def test_what_is_missing_is_padded(self) -> None:
        vectors = unit_rows(3, 4, seed=1)
        found = self.filled(np.array([7, 0, 9]), vectors).search(vectors[:2], k=5)
        assert found.ids.shape == found.scores.shape == (2, 5)
        assert sorted(found.ids[0, :3].tolist()) == [0, 7, 9]
        assert (found.ids[:, 3:] == -1).all()
        assert np.isneginf(found.scores[:, 3:]).all()

    def test_answers_have_the_types_of_the_contract(self) -> None:
        vectors = unit_rows(6, 4, seed=2)
        found = self.filled(np.arange(6), vectors).search(vectors, k=2)
        assert found.ids.dtype == np.int64
        assert found.scores.dtype == np.float32

    def test_agrees_with_brute_force(self) -> None:
        for seed, (count, dim, k) in enumerate([(1, 1, 1), (40, 3, 7), (700, 16, 10), (1500, 64, 100)]):
            vectors, queries = unit_rows(count, dim, seed=seed), unit_rows(5, dim, seed=seed + 100)
            ids = _shuffled_ids(count, seed)
            self._agrees(self.filled(ids, vectors).search(queries, k=k), ids, vectors, queries, k)

    def test_takes_float16(self) -> None:
        vectors: Any = unit_rows(300, 24, seed=3).astype(np.float16)
        queries = unit_rows(4, 24, seed=4)
        ids = _shuffled_ids(300, 3)
        self._agrees(self.filled(ids, vectors).search(queries, k=9), ids, vectors, queries, 9)

    def test_queries_need_not_be_unit(self) -> None:
        vectors, queries = unit_rows(50, 8, seed=5), 3 * unit_rows(2, 8, seed=6)
        found = self.filled(np.arange(50), vectors).search(queries, k=5)
        self._agrees(found, np.arange(50), vectors, queries, 5)

    def test_a_zero_query_ties_everything(self) -> None:
        found = self.filled(_shuffled_ids(40, 1), unit_rows(40, 8, seed=1)).search(
            np.zeros((1, 8), np.float32), k=5
        )
        assert found.ids[0].tolist() == sorted(_shuffled_ids(40, 1).tolist())[:5]
        assert (found.scores == 0).all()

    def test_equal_scores_are_ordered_by_id_also_at_the_cut(self) -> None:
        vectors = np.repeat(unit_rows(3, 16, seed=7), 50, axis=0)
        ids = _shuffled_ids(150, 7)
        found = self.filled(ids, vectors).search(vectors[[0, 60, 149]], k=20)
        for at, twins in enumerate((ids[:50], ids[50:100], ids[100:])):
            assert found.ids[at].tolist() == sorted(twins.tolist())[:20]
            assert len(set(found.scores[at].tolist())) == 1

    def test_how_rows_were_added_does_not_matter(self) -> None:
        vectors, ids = unit_rows(400, 20, seed=8), _shuffled_ids(400, 8)
        vectors[200:220] = vectors[:20]
        queries = np.concatenate([unit_rows(4, 20, seed=9), vectors[:4]])
        whole = self.filled(ids, vectors).search(queries, k=30)
        for seed in range(3):
            _same(_in_pieces(self.create(20), ids, vectors, seed=seed).search(queries, k=30), whole)

    def test_one_query_or_many(self) -> None:
        vectors, queries = unit_rows(300, 12, seed=10), unit_rows(40, 12, seed=11)
        index = self.filled(np.arange(300), vectors)
        together = index.search(queries, k=6)
        alone = [index.search(queries[at : at + 1], k=6) for at in range(40)]
        joined = Neighbors(np.concatenate([a.ids for a in alone]), np.concatenate([a.scores for a in alone]))
        _same(joined, together)

    def test_only_the_allowed_are_found(self) -> None:
        vectors, ids, queries = unit_rows(500, 10, seed=12), _shuffled_ids(500, 12), unit_rows(3, 10, seed=13)
        index = _in_pieces(self.create(10), ids, vectors, seed=1)
        for share in (1, 5, 30, 100, 300, 499, 500):
            allowed = np.random.default_rng(share).permutation(ids)[:share]
            mine = np.isin(ids, allowed)
            found = index.search(queries, k=20, allowed=allowed)
            self._agrees(found, ids[mine], vectors[mine], queries, 20)

    def test_allowed_may_be_empty_repeated_or_unknown(self) -> None:
        vectors = unit_rows(30, 6, seed=14)
        index = self.filled(np.arange(30), vectors)
        _is_empty(index.search(vectors[:2], k=3, allowed=np.empty(0, np.int64)), shape=(2, 3))
        _is_empty(index.search(vectors[:2], k=3, allowed=np.array([30, 10**12])), shape=(2, 3))
        found = index.search(vectors[:1], k=3, allowed=np.array([4, 99, 4, 2, 2, -1]))
        assert sorted(found.ids[0].tolist()) == [-1, 2, 4]

    def test_adding_after_a_search(self) -> None:
        vectors = unit_rows(20, 5, seed=15)
        index = self.filled(np.arange(10), vectors[:10])
        index.search(vectors[:1], k=1)
        index.add(np.arange(10, 20), vectors[10:])
        index.add(np.empty(0, np.int64), np.empty((0, 5), np.float32))
        assert len(index) == 20
        assert index.search(vectors, k=1).ids[:, 0].tolist() == list(range(20))

    def test_saved_and_loaded_it_answers_the_same(self, tmp_path: Path) -> None:
        vectors, ids, queries = unit_rows(120, 9, seed=16), _shuffled_ids(120, 16), unit_rows(5, 9, seed=17)
        index = _in_pieces(self.create(9), ids, vectors, seed=2)
        index.save(tmp_path / "saved é.index")
        loaded = self.load(tmp_path / "saved é.index")
        assert (loaded.dim, len(loaded)) == (9, 120)
        _same(loaded.search(queries, k=15), index.search(queries, k=15))
        loaded.add(np.array([10**9]), unit_rows(1, 9, seed=18))
        assert len(loaded) == 121

    def test_an_empty_index_can_be_saved(self, tmp_path: Path) -> None:
        self.create(7).save(tmp_path / "empty")
        loaded = self.load(tmp_path / "empty")
        assert (loaded.dim, len(loaded)) == (7, 0)

    def test_a_damaged_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "index"
        self.filled(np.arange(60), unit_rows(60, 8, seed=19)).save(path)
        good = path.read_bytes()
        for at in np.linspace(0, len(good) - 1, 25).astype(int).tolist():
            path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
            with refuses(DamagedGalleryError, f"a flipped bit in byte {at} of {len(good)}"):
                self.load(path)
        for bad in (b"", good[: len(good) // 2], good[:-1], good + b"\0", b"something else"):
            path.write_bytes(bad)
            with refuses(DamagedGalleryError, f"a file of {len(bad)} instead of {len(good)} bytes"):
                self.load(path)
        path.unlink()
        with refuses(DamagedGalleryError, "a missing file"):
            self.load(path)

    def test_senseless_searches_are_refused(self) -> None:
        index = self.filled(np.arange(3), unit_rows(3, 4, seed=20))
        for k in (0, -1):
            with refuses(UsageError, f"k = {k}"):
                index.search(unit_rows(1, 4, seed=0), k=k)
        for shape in ((1, 3), (1, 5), (4,), (0,), (), (1, 1, 4)):
            with refuses(UsageError, f"queries of shape {shape}"):
                index.search(np.ones(shape, np.float32), k=1)
        with refuses(UsageError, "a query of NaN"):
            index.search(np.full((1, 4), np.nan, np.float32), k=1)

    def test_senseless_additions_are_refused_and_change_nothing(self) -> None:
        index, one = self.filled(np.arange(3), unit_rows(3, 4, seed=21)), unit_rows(1, 4, seed=22)
        cases = {
            "an id that is held": (np.array([2]), one),
            "an id twice": (np.array([5, 5]), np.repeat(one, 2, axis=0)),
            "a negative id": (np.array([-1]), one),
            "too few ids": (np.empty(0, np.int64), one),
            "ids in two dimensions": (np.array([[5]]), one),
            "another dim": (np.array([5]), one[:, :3]),
            "a bare vector": (np.array([5]), one[0]),
        }
        for what, (ids, vectors) in cases.items():
            with refuses(UsageError, what):
                index.add(ids, vectors)
        assert len(index) == 3
        assert index.search(one, k=5).ids[0, 3:].tolist() == [-1, -1]

    def test_a_dim_below_one_is_refused(self) -> None:
        with refuses(UsageError, "dim = 0"):
            self.create(0)

    def test_several_threads_may_search(self) -> None:
        vectors, queries = unit_rows(2000, 32, seed=23), unit_rows(24, 32, seed=24)
        index, allowed = self.filled(np.arange(2000), vectors), np.arange(0, 2000, 3)
        wanted = [index.search(queries[at : at + 3], k=8, allowed=allowed) for at in range(0, 24, 3)]
        with ThreadPoolExecutor(4) as pool:
            jobs = [
                pool.submit(index.search, queries[at : at + 3], k=8, allowed=allowed)
                for at in range(0, 24, 3)
            ]
            for job, want in zip(jobs, wanted, strict=True):
                _same(job.result(), want)

    def _agrees(self, found: Neighbors, ids: Ids, vectors: Floats, queries: Floats, k: int) -> None:
        """Compare with float64 brute force: the right scores at each rank, and ids that have them."""
        exact = queries.astype(np.float64) @ vectors.astype(np.float64).T
        there = min(k, len(ids))
        best = -np.sort(-exact, axis=1)[:, :there]
        slack = self.tolerance * max(1.0, float(np.linalg.norm(queries, axis=1).max()))
        assert found.ids.shape == found.scores.shape == (len(queries), k)
        assert (np.abs(found.scores[:, :there] - best) <= slack).all(), "scores differ from brute force"
        assert (found.ids[:, there:] == -1).all(), "more found than there is"
        row_of = {number: row for row, number in enumerate(ids.tolist())}
        for at, numbers in enumerate(found.ids[:, :there].tolist()):
            assert len(set(numbers)) == there, "an id twice in one answer"
            assert set(numbers) <= set(row_of), "an id that is not there or not allowed"
            own = exact[at, [row_of[number] for number in numbers]]
            assert (np.abs(own - best[at]) <= slack).all(), "an id at a rank that its score does not earn"


def unit_rows(count: int, dim: int, *, seed: int) -> Floats:
    """Random unit rows (count, dim), float32, the same for the same seed."""
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    return cast(Floats, (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


def _shuffled_ids(count: int, seed: int) -> Ids:
    return np.random.default_rng(seed).permutation(3 * count)[:count].astype(np.int64)


def _in_pieces(index: VectorIndex, ids: Ids, vectors: Floats, *, seed: int) -> VectorIndex:
    """Add everything in five pieces and in another order."""
    for piece in np.array_split(np.random.default_rng(seed).permutation(len(ids)), 5):
        index.add(ids[piece], vectors[piece])
    return index


def _same(found: Neighbors, wanted: Neighbors) -> None:
    assert np.array_equal(found.ids, wanted.ids)
    assert np.array_equal(found.scores, wanted.scores)


def _is_empty(found: Neighbors, *, shape: tuple[int, int]) -> None:
    assert found.ids.shape == found.scores.shape == shape
    assert (found.ids == -1).all()
    assert np.isneginf(found.scores).all()
