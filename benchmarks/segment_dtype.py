"""Should segments hold float16 or float32? File size, speed and answers of both, from memory-mapped files.

    python -m benchmarks.segment_dtype [--vectors FILE.npy] [--folder DIR]

`--vectors` takes real embeddings (n, dim), float32 unit rows. Without it they are made up: clusters of uneven size
whose rows have a cosine of about 0.7 with their centre, as long as those of `builtin`. Also compares the kinds of index
with plain numpy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmarks.machine import describe
from picfind.index import faiss, flat
from picfind.types import Floats

if TYPE_CHECKING:
    from collections.abc import Callable

    from picfind.index.base import VectorIndex
    from picfind.types import Neighbors

K = 10
QUERIES = 200
REPEATS = 20
DIM = 896
"""Of the rows that are made up: that of `builtin`."""


def main() -> None:
    """Print both tables."""
    options = _options()
    print(describe("faiss-cpu"))
    for count in options.counts:
        vectors, queries = _load(options.vectors, count) if options.vectors else _made_up(count)
        if len(vectors) < count:
            print(f"(only {len(vectors):,} vectors were given)")
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _compare_dtypes(Path(folder), vectors, queries)
        _compare_kinds(vectors, queries)
        if len(vectors) < count:
            break


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, help="real embeddings, a .npy file of shape (n, dim)")
    parser.add_argument("--folder", type=Path, help="where to put the files; default: the system's for such")
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000], help="numbers of vectors")
    return parser.parse_args()


def _load(path: Path, count: int) -> tuple[Floats, Floats]:
    rows = np.load(path).astype(np.float32)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return rows[QUERIES:][:count], rows[:QUERIES]


def _made_up(count: int) -> tuple[Floats, Floats]:
    chance = np.random.default_rng(0)
    centres = _unit(chance.standard_normal((max(20, count // 100), DIM), np.float32))
    sizes = chance.dirichlet(np.full(len(centres), 0.5))
    which = chance.choice(len(centres), count + QUERIES, p=sizes)
    rows = _unit(chance.standard_normal((count + QUERIES, DIM), np.float32))
    rows = _unit(centres[which] + rows)
    return rows[QUERIES:], rows[:QUERIES]


def _unit(rows: Floats) -> Floats:
    return cast(Floats, rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _compare_dtypes(folder: Path, vectors: Floats, queries: Floats) -> None:
    indexes, paths = {}, {}
    dtypes: tuple[Any, ...] = (np.float32, np.float16)
    for dtype in dtypes:
        path = paths[dtype] = folder / f"{np.dtype(dtype).name}.npy"
        np.save(path, vectors.astype(dtype))
    cold = {dtype: _cold(path, queries) for dtype, path in paths.items()}
    for dtype, path in paths.items():
        indexes[dtype] = flat.create(vectors.shape[1])
        indexes[dtype].add(np.arange(len(vectors)), np.load(path, mmap_mode="r"))
    exact, half = (indexes[dtype].search(queries, k=K) for dtype in dtypes)
    times = _latencies([_one_by_one(index, queries) for index in indexes.values()])
    print(f"\n{len(vectors):,} x {vectors.shape[1]}, memory-mapped, one query, exact")
    for dtype, seconds in zip(indexes, times, strict=True):
        size = paths[dtype].stat().st_size / 1e6
        print(f"  {np.dtype(dtype).name:8} {size:7.1f} MB {seconds * 1e3:7.2f} ms", end="")
        print(f"   x {seconds / times[0]:.2f}   first search from disk {cold[dtype] * 1e3:7.1f} ms")
    print(f"  float16 against float32: overlap_at({K}) {_overlap(half, exact):.4f}, ", end="")
    print(f"first the same {(half.ids[:, 0] == exact.ids[:, 0]).mean():.3f}, ", end="")
    print(f"largest difference of a score {np.abs(half.scores - exact.scores).max():.1e}")


def _cold(path: Path, queries: Floats) -> float:
    """Median seconds to open a segment that the system no longer holds in memory, and to search it; NaN if unknown."""
    if not hasattr(os, "posix_fadvise"):
        return float("nan")
    seconds = []
    for at in range(5):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        index = flat.create(queries.shape[1])
        vectors = np.load(path, mmap_mode="r")
        index.add(np.arange(len(vectors)), vectors)
        index.search(queries[at : at + 1], k=K)
        seconds.append(time.perf_counter() - start)
        del index, vectors
    return statistics.median(seconds)


def _compare_kinds(vectors: Floats, queries: Floats) -> None:
    ids, halves = np.arange(len(vectors)), vectors.astype(np.float16)
    kinds: dict[str, VectorIndex] = {}
    cases: tuple[tuple[str, Any, Any], ...] = (
        ("flat, float32", flat, vectors),
        ("flat, float16", flat, halves),
        ("faiss Flat", faiss, vectors),
    )
    for name, kind, rows in cases:
        kinds[name] = kind.create(vectors.shape[1])
        kinds[name].add(ids, rows)
    calls = [_one_by_one(index, queries) for index in kinds.values()] + [_plain(vectors, queries)]
    print(f"{len(vectors):,} x {vectors.shape[1]}, in memory, one query")
    for name, seconds in zip([*kinds, "numpy X @ q, argpartition"], _latencies(calls), strict=True):
        print(f"  {name:26} {seconds * 1e3:7.2f} ms")


def _one_by_one(index: VectorIndex, queries: Floats) -> Callable[[int], Any]:
    return lambda at: index.search(queries[at : at + 1], k=K)


def _plain(vectors: Floats, queries: Floats) -> Callable[[int], Any]:
    def search(at: int) -> Any:
        scores = vectors @ queries[at]
        best = np.argpartition(scores, -K)[-K:]
        return best[np.argsort(-scores[best])]

    return search


def _latencies(calls: list[Callable[[int], Any]]) -> list[float]:
    """Median seconds of each call. They take turns in rounds, so that a busy machine slows all of them alike."""
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(REPEATS // 5):
        for call, took in zip(calls, seconds, strict=True):
            call(0)
            for at in range(5):
                start = time.perf_counter()
                call(5 * turn + at)
                took.append(time.perf_counter() - start)
    return [statistics.median(took) for took in seconds]


def _overlap(found: Neighbors, exact: Neighbors) -> float:
    pairs = zip(found.ids, exact.ids, strict=True)
    return float(np.mean([len(np.intersect1d(some, right)) / K for some, right in pairs]))


if __name__ == "__main__":
    main()
