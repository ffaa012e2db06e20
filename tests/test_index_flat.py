"""The exact index: the contract, and that nothing but rows and query decides an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind.errors import DamagedGalleryError, UsageError
from picfind.index import _exact, flat
from picfind.testing import IndexSuite
from picfind.testing.index import unit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.index.base import VectorIndex
    from picfind.types import Neighbors


class TestFlat(IndexSuite):
    def create(self, dim: int) -> VectorIndex:
        return flat.create(dim)

    def load(self, path: Path) -> VectorIndex:
        return flat.load(path)


def _same(found: Neighbors, wanted: Neighbors) -> None:
    assert np.array_equal(found.ids, wanted.ids)
    assert np.array_equal(found.scores, wanted.scores)


def _half(rows: Any) -> Any:
    return rows.astype(np.float16)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 300),
    dim=st.sampled_from([1, 2, 7, 33, 256]),
    cuts=st.lists(st.integers(0, 300), max_size=6),
    k=st.integers(1, 40),
    half=st.booleans(),
    share=st.sampled_from([None, 0.1, 0.9]),
)
def test_splits_order_and_batches_change_nothing(
    seed: int, count: int, dim: int, cuts: list[int], k: int, half: bool, share: float | None
) -> None:
    chance = np.random.default_rng(seed)
    vectors: Any = unit_rows(count, dim, seed=seed)[chance.integers(0, count, count)]
    vectors = _half(vectors) if half else vectors
    ids = chance.permutation(2 * count)[:count]
    queries = np.concatenate([unit_rows(3, dim, seed=seed + 1), vectors[:3].astype(np.float32)])
    allowed = None if share is None else ids[chance.random(count) < share]
    whole, pieces = flat.create(dim), flat.create(dim)
    whole.add(ids, vectors)
    for part in np.split(chance.permutation(count), sorted(min(cut, count) for cut in cuts)):
        pieces.add(ids[part], vectors[part])
    wanted = whole.search(queries, k=k, allowed=allowed)
    _same(pieces.search(queries, k=k, allowed=allowed), wanted)
    for at in range(len(queries)):
        one = pieces.search(queries[at : at + 1], k=k, allowed=allowed)
        assert np.array_equal(one.ids[0], wanted.ids[at])


def test_rows_that_differ_in_the_last_bit_are_told_apart() -> None:
    """Scores closer together than float32 products can tell: the exact step must order them."""
    base = unit_rows(1, 640, seed=0)
    vectors = np.repeat(base, 200, axis=0)
    vectors[np.arange(200), np.arange(200)] *= np.float32(1 + 2.0**-20)
    exact = (vectors.astype(np.float64) @ base[0].astype(np.float64)).astype(np.float32)
    wanted = np.lexsort((np.arange(200), -exact))
    index = flat.create(640)
    index.add(np.arange(200), vectors)
    assert index.search(base, k=200).ids[0].tolist() == wanted.tolist()
    assert index.search(base, k=50).ids[0].tolist() == wanted[:50].tolist()


def test_every_finite_half_is_read_exactly() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    out = np.empty((len(halves), 1), np.float32)
    shrunk = flat._shrunk(halves[:, None], out)
    assert np.array_equal(shrunk[:, 0] * 2.0**112, halves.astype(np.float64))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("count", [2, 9])
def test_many_blocks_and_groups_of_queries(dtype: Any, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries are spread over threads, nine are not."""
    vectors: Any = unit_rows(500, 16, seed=1).astype(dtype)
    queries = unit_rows(count, 16, seed=2)
    index = flat.create(16)
    index.add(np.arange(300), vectors[:300])
    index.add(np.arange(300, 500), vectors[300:])
    allowed = [None, np.arange(0, 500, 7), np.arange(100, 480)]
    wanted = [index.search(queries, k=12, allowed=some) for some in allowed]
    monkeypatch.setattr(flat, "_BLOCK_VALUES", 16 * 13)
    monkeypatch.setattr(flat, "cores", lambda: 3)
    monkeypatch.setattr(flat, "_HELD_SCORES", 1100)
    monkeypatch.setattr(_exact, "_CHUNK", 5)
    for some, want in zip(allowed, wanted, strict=True):
        _same(index.search(queries, k=12, allowed=some), want)


def test_mapped_segments_are_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "segment.npy", _half(unit_rows(50, 8, seed=3)))
    mapped = np.load(tmp_path / "segment.npy", mmap_mode="r")
    index = flat.create(8)
    index.add(np.arange(50), mapped)
    assert np.shares_memory(index._segments[0], mapped)
    assert index.search(mapped.astype(np.float32), k=1).ids[:, 0].tolist() == list(range(50))


def test_segments_of_both_types_mix() -> None:
    vectors: Any = unit_rows(40, 8, seed=4)
    vectors = _half(vectors).astype(np.float32)
    mixed, plain = flat.create(8), flat.create(8)
    mixed.add(np.arange(20), vectors[:20])
    mixed.add(np.arange(20, 40), _half(vectors[20:]))
    plain.add(np.arange(40), vectors)
    _same(mixed.search(vectors, k=9), plain.search(vectors, k=9))


def test_rows_may_be_a_view_with_gaps() -> None:
    wide: Any = _half(unit_rows(60, 8, seed=5))
    strided, dense = flat.create(4), flat.create(4)
    strided.add(np.arange(30), wide[::2, ::2])
    dense.add(np.arange(30), np.ascontiguousarray(wide[::2, ::2]))
    queries = unit_rows(5, 4, seed=6)
    _same(strided.search(queries, k=6), dense.search(queries, k=6))


@pytest.mark.parametrize("dtype", [np.float64, np.int8, ">f4"])
def test_vectors_of_another_type_are_refused(dtype: Any) -> None:
    vectors: Any = np.ones((1, 4), dtype)
    with pytest.raises(UsageError, match=r"float16 or float32 of shape \(n, 4\)"):
        flat.create(4).add(np.array([0]), vectors)


def test_ids_that_are_no_integers_are_refused() -> None:
    ids: Any = np.array([0.5])
    with pytest.raises(UsageError, match="integers of shape"):
        flat.create(4).add(ids, unit_rows(1, 4, seed=0))


def test_the_damage_message_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "some.index"
    path.write_bytes(b"nonsense")
    with pytest.raises(DamagedGalleryError, match=r"some\.index"):
        flat.load(path)
