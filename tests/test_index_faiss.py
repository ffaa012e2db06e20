"""FAISS behind the contract: the same answers as the exact index, and no trace left in the process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import faiss as library
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind.errors import DamagedGalleryError
from picfind.index import faiss, flat
from picfind.testing import IndexSuite
from picfind.testing.index import unit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.index.base import VectorIndex


class TestFaiss(IndexSuite):
    def create(self, dim: int) -> VectorIndex:
        return faiss.create(dim)

    def load(self, path: Path) -> VectorIndex:
        return faiss.load(path)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 400),
    dim=st.sampled_from([1, 3, 16, 130]),
    distinct=st.sampled_from([1, 5, 400]),
    k=st.integers(1, 60),
    queries=st.sampled_from([1, 2, 30]),
    half=st.booleans(),
    share=st.sampled_from([None, 0.02, 0.5, 1.0]),
)
def test_answers_are_those_of_flat(
    seed: int, count: int, dim: int, distinct: int, k: int, queries: int, half: bool, share: float | None
) -> None:
    chance = np.random.default_rng(seed)
    vectors: Any = unit_rows(distinct, dim, seed=seed)[chance.integers(0, distinct, count)]
    vectors = vectors.astype(np.float16) if half else vectors
    ids = chance.permutation(5 * count)[:count]
    asked = unit_rows(queries, dim, seed=seed + 1)
    allowed = None if share is None else ids[chance.random(count) < share]
    exact, index = flat.create(dim), faiss.create(dim)
    for one in (exact, index):
        one.add(ids[: count // 2], vectors[: count // 2])
        one.add(ids[count // 2 :], vectors[count // 2 :])
    wanted, found = (one.search(asked, k=k, allowed=allowed) for one in (exact, index))
    assert np.array_equal(found.ids, wanted.ids)
    assert np.array_equal(found.scores, wanted.scores)


def test_more_twins_at_the_cut_than_were_asked_for() -> None:
    vectors = np.repeat(unit_rows(2, 8, seed=1), 300, axis=0)
    ids = np.arange(600)[::-1].copy()
    index = faiss.create(8)
    index.add(ids, vectors)
    assert index.search(vectors[:1], k=3).ids[0].tolist() == [300, 301, 302]
    only = np.arange(301, 600, 2)
    assert index.search(vectors[:1], k=3, allowed=only).ids[0].tolist() == [301, 303, 305]


def test_groups_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    index, queries = faiss.create(8), unit_rows(11, 8, seed=3)
    index.add(np.arange(200), unit_rows(200, 8, seed=2))
    wanted = index.search(queries, k=4)
    monkeypatch.setattr(faiss, "_HELD_CANDIDATES", 50)
    assert np.array_equal(index.search(queries, k=4).ids, wanted.ids)


def test_the_number_of_threads_is_put_back() -> None:
    index = faiss.create(8)
    index.add(np.arange(100), unit_rows(100, 8, seed=4))
    before = library.omp_get_max_threads()
    library.omp_set_num_threads(3)
    try:
        index.search(unit_rows(1, 8, seed=5), k=2)
        index.search(unit_rows(30, 8, seed=5), k=2)
        assert library.omp_get_max_threads() == 3
    finally:
        library.omp_set_num_threads(before)


def test_one_kind_does_not_read_the_other(tmp_path: Path) -> None:
    one = flat.create(4)
    one.add(np.arange(3), unit_rows(3, 4, seed=6))
    one.save(tmp_path / "flat")
    with pytest.raises(DamagedGalleryError, match="no faiss index"):
        faiss.load(tmp_path / "flat")


def test_importing_it_does_not_import_the_library() -> None:
    code = "import sys, picfind.index.faiss; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
