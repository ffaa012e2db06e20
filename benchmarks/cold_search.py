"""How long a search takes from nothing: a new process, a gallery on the disk, a few words.

    python -m benchmarks.cold_search --photos DIR [--count 10000] [--rounds 7] [--gallery DIR]

Beside it, in turn, what a person would write by hand: the same text tower and the same vectors saved with numpy, one
product, the ten best. The ratio says what the gallery costs: its catalog, its segments, the command line.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import picfind
from benchmarks.indexing import _linked
from benchmarks.machine import describe
from picfind.settings import Settings

_BY_HAND = """
import sys
import numpy as np
import picfind
vectors = np.load(sys.argv[1])
query = picfind.load_encoder("builtin").encode_texts([sys.argv[2]])[0]
scores = vectors @ query
for at in np.argsort(-scores)[:10]:
    print(at, scores[at])
"""
_PARTS = ("import picfind.cli.main", "import numpy", "import onnxruntime", "import tokenizers")
WORDS = "a dog on a beach"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--count", type=int, default=10_000, help="how many of them")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gallery", type=Path, help="keep the gallery here, and use it if it is there")
    options = parser.parse_args()
    print(describe("onnxruntime", "tokenizers"))
    with tempfile.TemporaryDirectory() as home:
        where = options.gallery or Path(home) / "test.gallery"
        vectors, count = _prepare(options.photos, Path(home), where, options.count)
        search = [sys.executable, "-m", "picfind", "search", WORDS, "-g", str(where)]
        by_hand = [sys.executable, "-c", _BY_HAND, str(vectors), WORDS]
        pairs = [(_time(search), _time(by_hand)) for _ in range(options.rounds + 1)][1:]
    _print(count, pairs)


def _prepare(photos: Path, home: Path, where: Path, count: int) -> tuple[Path, int]:
    with picfind.open(where, settings=Settings()) as gallery:
        if not gallery.spaces:
            gallery.index(_linked(photos, home / "photos", count)[0].parent)
        found = gallery.store.vectors(gallery.spaces[0])[1]
    rows = np.concatenate([segment.vectors for segment in found]).astype(np.float32)
    np.save(home / "vectors.npy", rows)
    return home / "vectors.npy", len(rows)


def _time(command: Sequence[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def _print(count: int, pairs: Sequence[tuple[float, float]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    ratios = [one / other for one, other in pairs]
    print(f"{count:,} pictures, {len(pairs)} rounds, files in the system's cache")
    print(
        f"  picfind search, whole process   median {statistics.median(ours):.2f} s   least {min(ours):.2f}   most {max(ours):.2f}"
    )
    print(f"  by hand, the same model         median {statistics.median(theirs):.2f} s")
    print(f"  ratio, pair by pair             median {statistics.median(ratios):.2f}")
    for part in _PARTS:
        took = statistics.median(_time([sys.executable, "-c", part]) for _ in range(5))
        print(f"  of that: python -c '{part}'".ljust(52) + f"{took:.2f} s")


if __name__ == "__main__":
    main()
