"""How long filters take: in the catalog alone, and what a filtered search of the vectors takes beside an unfiltered one.

    python -m benchmarks.filtering [--count 100000] [--rounds 9] [--dim 512] [--script N] [--index flat]

The gallery is made up: contents with EXIF of a dozen cameras, one name each and a second one for every tenth, five
tags of 500 and a sentence for half of them. `--script` runs the statements of a file on the catalog first, to see what
an index is worth. Times are medians.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from picfind.search.filters import parse_filter
from picfind.search.snapshot import Snapshot
from picfind.storage import parts, spaces
from picfind.storage.catalog import Catalog, Transaction
from picfind.storage.selection import select
from picfind.storage.store import Store
from picfind.types import PICTURE, Floats, Ids, Space

FILTERS = (
    'date>=2023 and camera~"Canon" and not path:"*/raw/*"',
    "date=2021-05-14",
    "date in 2019..2021",
    "size>9MB and megapixels>=24",
    "camera=x100v",
    "camera~fujifilm and shape=portrait",
    "near(52.52, 13.40, 5km)",
    'path:"*/trip 7/*"',
    "folder~2017",
    "name~img_0012",
    "extension=heic",
    "tag=word17",
    "date>=2022 and tag=word17",
    'caption~"horse on a beach"',
    "caption~été",
    "has caption",
    "not has place",
    "content:00",
    "added>=2026-01-01",
)
NARROW = (20, 1_000, 10_000, 50_000)
_CAMERAS = [
    *(("Canon", "Canon EOS R6"), ("Canon", "Canon EOS 5D Mark IV"), ("NIKON CORPORATION", "NIKON Z 6")),
    *(("Apple", f"iPhone {number}") for number in range(8, 15)),
    *(("FUJIFILM", "X100V"), ("FUJIFILM", "X-T4")),
]
_NOUNS = ("dog", "horse", "child", "boat", "street", "tree", "café", "house")
SPACE = Space("made-up", "000000000000", 0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000, help="how many pictures")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dim", type=int, default=512, help="of the vectors; 0: no vectors")
    parser.add_argument("--script", type=Path, help="statements to run on the catalog first")
    parser.add_argument("--index", default="flat", help="the kind of vector index")
    chosen = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "made-up.gallery", create=True)
        with store.catalog.transaction() as change:
            fill(change, chosen.count)
        if chosen.script is not None:
            run_script(store.catalog, chosen.script.read_text(encoding="utf-8"))
        measure_filters(store.catalog, chosen.rounds)
        if chosen.dim:
            space = Space(SPACE.name, SPACE.revision, chosen.dim)
            add_vectors(store, space, chosen.count)
            measure_vectors(Snapshot(store, space, index=chosen.index), chosen.rounds)
        store.close()


def fill(change: Transaction, count: int) -> None:
    """Write contents, names and words straight into the tables."""
    rng = np.random.default_rng(0)
    change.run("INSERT INTO roots VALUES (1, 'folder', '/home/ann/photos', NULL, 0)")
    change.run_many(
        "INSERT INTO contents (id, sha256, bytes, format, width, height, orientation, taken, camera_make, "
        "camera_model, lens, latitude, longitude, altitude, added) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_content(rng, number) for number in range(1, count + 1)],
    )
    change.run_many(
        "INSERT INTO names (root_id, key, fingerprint, content_id, dated, dated_from, words_hash, added) "
        "VALUES (1, ?, '1', ?, ?, ?, '', 0)",
        [row for number in range(1, count + 1) for row in _names(rng, number)],
    )
    texts = [f"word{number}" for number in range(500)]
    texts += [f"a {_noun(rng)} and a {_noun(rng)} number {number}" for number in range(count // 2)]
    texts[-1] = "a white horse on a beach, été 2019"
    rows = [(at, hashlib.sha256(text.encode()).digest(), text) for at, text in enumerate(texts, 1)]
    change.run_many("INSERT INTO texts (id, sha256, text) VALUES (?, ?, ?)", rows)
    tags = [(int(tag), number) for number in range(1, count + 1) for tag in rng.integers(1, 501, 5)]
    change.run_many(
        "INSERT INTO words (text_id, name_id, origin, kind) VALUES (?, ?, 'sidecar', 'tag')", tags
    )
    captions = [(at, at - 500) for at in range(501, len(texts) + 1)]
    change.run_many(
        "INSERT INTO words (text_id, content_id, origin, kind) VALUES (?, ?, 'EXIF', 'caption')", captions
    )


def _content(rng: np.random.Generator, number: int) -> tuple[object, ...]:
    make, model = _CAMERAS[int(rng.integers(len(_CAMERAS)))]
    width, height = ((6000, 4000), (4000, 6000), (4032, 3024), (1080, 1080))[int(rng.integers(4))]
    taken = (datetime(2010, 1, 1) + timedelta(minutes=int(rng.integers(15 * 365 * 1440)))).isoformat()
    placed = rng.random() < 0.4
    return (
        number,
        hashlib.sha256(str(number).encode()).digest(),
        int(rng.integers(500_000, 10_000_000)),
        "JPEG",
        width,
        height,
        *((taken, make, model, "24-105mm F4") if rng.random() < 0.7 else (None, None, None, None)),
        *((rng.uniform(45, 60), rng.uniform(5, 20), rng.uniform(0, 2000)) if placed else (None, None, None)),
        1.7e9 + number,
    )


def _names(rng: np.random.Generator, number: int) -> list[tuple[object, ...]]:
    folder = "raw" if rng.random() < 0.2 else "edited"
    ending = "heic" if rng.random() < 0.1 else "jpg"
    trip = "été" if rng.random() < 0.1 else "trip"
    key = f"{2010 + number % 15}/{trip} {number % 40}/{folder}/IMG_{number:06}.{ending}"
    dated = (datetime(2010, 1, 1) + timedelta(minutes=int(rng.integers(15 * 365 * 1440)))).isoformat()
    rows: list[tuple[object, ...]] = [(key, number, dated, "file time")]
    return rows + [(f"copies/{number}.{ending}", number, dated, "file time")] * (number % 10 == 0)


def _noun(rng: np.random.Generator) -> str:
    return _NOUNS[int(rng.integers(len(_NOUNS)))]


def run_script(catalog: Catalog, script: str) -> None:
    """Run statements that end in a semicolon."""
    with catalog.transaction() as change:
        for sql in filter(str.strip, script.split(";")):
            change.run(sql)


def measure_filters(catalog: Catalog, rounds: int) -> None:
    """Print what each filter takes and how many pictures fit."""
    for text in FILTERS:
        wanted = parse_filter(text)
        found = len(select(catalog, wanted))
        work = partial(select, catalog, wanted)
        taken, busy = median(work, rounds), median(work, rounds, clock=time.thread_time)
        print(f"{taken:7.1f} ms  {busy:7.1f} ms of a core  {found:7,} fit  {text}")


def add_vectors(store: Store, space: Space, count: int) -> None:
    """Give each content a random vector."""
    rng = np.random.default_rng(1)
    with store.writing() as writer:
        rows: Floats = rng.normal(size=(count, space.dim)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        file = writer._write(space, [rows], count)
        with writer.transaction() as change:
            number = spaces.add_space(change, space, PICTURE)
            segment = parts.add_segment(change, number, file)
            ids = range(1, count + 1)
            change.run_many(
                "INSERT INTO parts (id, kind, content_id) VALUES (?, 'picture', ?)", [(at, at) for at in ids]
            )
            parts.add_rows(change, number, segment, enumerate(ids))


def measure_vectors(snapshot: Snapshot, rounds: int) -> None:
    """Print what a filtered search takes beside an unfiltered one."""
    rng = np.random.default_rng(2)
    query = rng.normal(size=snapshot.space.dim).astype(np.float32)
    query /= np.linalg.norm(query)
    whole = median(partial(snapshot.search, query, k=10), rounds)
    print(f"{whole:7.1f} ms  unfiltered search of {len(snapshot):,} x {snapshot.space.dim}")
    for left in (left for left in NARROW if left <= len(snapshot)):
        allowed: Ids = np.sort(rng.choice(snapshot.pictures, left, replace=False))
        taken = median(partial(snapshot.search, query, k=10, allowed=allowed), rounds)
        print(f"{taken:7.1f} ms  among {left:,} of them, {taken / whole:.2f} times that")


def median(
    work: Callable[[], object], rounds: int, *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Milliseconds that some work takes, after one time that does not count."""
    work()
    times = []
    for _ in range(rounds):
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main()
