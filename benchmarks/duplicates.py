"""How well duplicates are found: `python -m benchmarks.duplicates --data DIR [--work DIR] [--photos 1000]`.

DIR holds `demo_open/images` and `flickr8k/images`. Of each photo of the first a synthetic copy is made for every kind
of change of `duplicate_copies`; photos of the second lie beside them as pictures that are nobody's copies. For each
kind by itself a collection is looked through that holds all photos and the copies of this kind.

Recall: the share of copies that are matched with their original. Precision: the share of matched pairs that are copies
of one original, with the pairs among different photos counted in. The threshold is chosen on the copies of one half of
the originals, and what is printed for the other half was not looked at for that. Beside it, in the same run, a
perceptual hash alone: 64 signs of a DCT, pairs at a distance of at most 10 (imagededup's usual limit).
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import picfind
from benchmarks.duplicate_copies import CHANGES, COUNTED, HARDER, write_copies
from benchmarks.machine import describe
from picfind.duplicates import candidates, pairing
from picfind.duplicates.looking import looks_of
from picfind.duplicates.looks import LOOK
from picfind.duplicates.pictures import Rows, list_pictures, picture_space, vectors_of
from picfind.images import Limits
from picfind.settings import cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from picfind.duplicates.looks import Looks
    from picfind.types import Floats

PRECISION = 0.99
MOST_BITS = 10
GRID = np.round(np.arange(0.5, 1.0, 0.01), 2)


@dataclass(frozen=True)
class Found:
    """The pairs that were looked at in one collection: which are copies of one original, scores, halves (0 or 1)."""

    true: NDArray[np.bool_]
    scores: Floats
    half: NDArray[np.int64]


@dataclass(frozen=True)
class Collection:
    """All pictures that were encoded: what each shows (its original's name), its kind of change ('' for photos)."""

    shows: list[str]
    kinds: list[str]
    looks: Looks
    vectors: Rows

    def rows(self, kind: str) -> NDArray[np.int64]:
        """The photos, and the copies of one kind."""
        return np.array([at for at, own in enumerate(self.kinds) if own in ("", kind)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how well duplicates are found.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds demo_open/ and flickr8k/")
    parser.add_argument("--work", type=Path, help="keep copies and vectors here, to go on from")
    parser.add_argument("--photos", type=int, default=1000, help="how many photos of flickr8k to lay beside")
    parser.add_argument(
        "--made-up", type=int, default=20_000, help="how many made-up pictures to time candidates with"
    )
    given = parser.parse_args(arguments)
    print(describe("Pillow", "onnxruntime"))
    with tempfile.TemporaryDirectory() as scratch:
        collection = collect(given.data, given.work or Path(scratch), given.photos)
    measure(collection)
    for count in (given.made_up // 2, given.made_up):
        time_candidates(count, collection.vectors.shape[1])


def collect(data: Path, work: Path, count: int) -> Collection:
    """Make the copies, index everything with the built-in model, and gather looks and vectors."""
    originals = sorted((data / "demo_open" / "images").glob("*.jpg"))
    others = sorted((data / "flickr8k" / "images").glob("*.jpg"))
    write_copies(originals, work / "copies", tuple(CHANGES))
    for photo in (*originals, *others[:: max(1, len(others) // max(1, count))][:count]):
        link = work / "photos" / photo.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(photo)
    with picfind.open(work / "gallery", model="builtin") as gallery:
        for folder in ("photos", "copies"):
            gallery.index(work / folder)
        pictures = list_pictures(gallery.store).pictures
        space = picture_space(gallery.store)
        assert space is not None
        start = time.perf_counter()
        looks, _ = looks_of(gallery.store, pictures, limits=Limits(), workers=cores())
        print(
            f"looks: {len(pictures) / (time.perf_counter() - start):.0f} pictures a second, or from the cache"
        )
        places, vectors = vectors_of(gallery.store, space, pictures)
    chosen = [pictures[at] for at in places]
    files = [picture.files[0].here for picture in chosen]
    kinds = [file.parent.name if file.parent.parent == work / "copies" else "" for file in files]
    return Collection([file.stem for file in files], kinds, looks[places], vectors)


def measure(collection: Collection) -> None:
    """Choose the threshold on one half, print what it finds on the other, kind by kind, and what a hash finds."""
    among = compared(collection, "")
    hashed_among = hashed(collection, "")
    found = {kind: compared(collection, kind) for kind in CHANGES}
    hashes = {kind: hashed(collection, kind) for kind in CHANGES}
    counted = together([among, *(found[kind] for kind in COUNTED)])
    threshold = choose(counted)
    print(f"threshold chosen on one half: {threshold:.2f} (the library's own: {pairing.ALIKE})")
    totals = {half: originals(collection, half) for half in (0, 1)}
    print(
        f"{'recall on the other half':32}{'':>8}{'hash':>8}{'false':>8}{'hash':>8}  (false: pairs, both halves)"
    )
    for kind in CHANGES:
        name = f"  {kind}" if kind in HARDER else kind
        line = [
            recall(pairs, 1, limit, totals[1])
            for pairs, limit in ((found[kind], pairing.ALIKE), (hashes[kind], -MOST_BITS))
        ]
        wrong = [
            false(pairs, limit) for pairs, limit in ((found[kind], pairing.ALIKE), (hashes[kind], -MOST_BITS))
        ]
        print(f"{name:32}{line[0]:8.3f}{line[1]:8.3f}{wrong[0]:8d}{wrong[1]:8d}")
    summary("all kinds but the indented", counted, pairing.ALIKE, totals, len(COUNTED))
    summary(
        "a hash alone",
        together([hashed_among, *(hashes[kind] for kind in COUNTED)]),
        -MOST_BITS,
        totals,
        len(COUNTED),
    )
    print(
        f"false pairs among the photos: {false(among, pairing.ALIKE)}, by a hash {false(hashed_among, -MOST_BITS)}"
    )
    growth(collection)


def summary(name: str, pairs: Found, limit: float, totals: dict[int, int], kinds: int) -> None:
    """One line of recall and precision for either half."""
    told = [
        f"half {half}: recall {recall(pairs, half, limit, kinds * totals[half]):.4f}, "
        f"precision {precision(pairs, half, limit):.4f}"
        for half in (0, 1)
    ]
    print(f"{name}: {'; '.join(told)}")


def compared(collection: Collection, kind: str) -> Found:
    """The pairs that the library compares: with at least one copy of the kind or, without a kind, among photos."""
    rows = collection.rows(kind)
    nearest, _ = candidates.nearest(collection.vectors[rows], k=candidates.NEIGHBOURS)
    pairs = candidates.unique_pairs(
        np.concatenate(
            [candidates.neighbour_pairs(nearest), candidates.pattern_pairs(collection.looks[rows])]
        )
    )
    is_copy = np.array([bool(collection.kinds[row]) for row in rows])
    pairs = pairs[is_copy[pairs].any(axis=1)] if kind else pairs
    matches = pairing.copies(collection.looks[rows], pairs, threshold=float(GRID[0]), workers=cores())
    return judged(collection, ((rows[a], rows[b], match.score) for (a, b), match in matches.items()))


def judged(collection: Collection, pairs: Iterable[tuple[int, int, float]]) -> Found:
    """Which pairs show one original, and to which half they count: that of the first one's name."""
    listed = list(pairs)
    true = [collection.shows[a] == collection.shows[b] for a, b, _ in listed]
    half = [half_of(collection.shows[a]) for a, _, _ in listed]
    return Found(
        np.array(true, bool),
        np.array([score for _, _, score in listed], np.float32),
        np.array(half, np.int64),
    )


def hashed(collection: Collection, kind: str) -> Found:
    """All pairs that a perceptual hash alone takes for copies; the score is the distance with a minus."""
    rows = collection.rows(kind)
    bits = hashes_of(collection.looks[rows])
    is_copy = np.array([bool(collection.kinds[row]) for row in rows])
    signs = np.where(bits, 1, -1).astype(np.float32)
    apart = (bits.shape[1] - signs @ signs.T) / 2  # Hamming distances
    near = np.argwhere(np.triu(apart <= MOST_BITS, 1))
    near = near[is_copy[near].any(axis=1)] if kind else near
    return judged(collection, ((rows[a], rows[b], -float(apart[a, b])) for a, b in near))


def hashes_of(looks: Looks) -> NDArray[np.bool_]:
    """(n, 64): whether each of the lowest 8 x 8 frequencies of 32 x 32 grey values is above their median."""
    grey = looks["grey"].astype(np.float32).reshape(len(looks), 32, 2, 32, 2).mean(axis=(2, 4))
    waves = np.cos(np.pi * (np.arange(32) + 0.5) * np.arange(8)[:, None] / 32)
    low = np.matmul(np.matmul(waves, grey), waves.T).reshape(len(looks), 64)
    return np.asarray(low > np.median(low[:, 1:], axis=1, keepdims=True))


def together(parts: Sequence[Found]) -> Found:
    """Several sets of pairs as one."""
    return Found(
        np.concatenate([part.true for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.half for part in parts]),
    )


def choose(pairs: Found) -> float:
    """The lowest threshold whose precision on half 0 is at least half-way from PRECISION to 1."""
    good = [limit for limit in GRID if precision(pairs, 0, float(limit)) >= (1 + PRECISION) / 2]
    return float(good[0])


def recall(pairs: Found, half: int, limit: float, total: int) -> float:
    """The share of copies of this half that are matched with their original."""
    return float((pairs.true & (pairs.half == half) & (pairs.scores >= limit)).sum()) / total


def precision(pairs: Found, half: int, limit: float) -> float:
    """The share of matched pairs that show one original."""
    matched = (pairs.half == half) & (pairs.scores >= limit)
    return float(pairs.true[matched].mean()) if matched.any() else 1.0


def false(pairs: Found, limit: float) -> int:
    """How many pairs are matched that show different photos, in both halves."""
    return int((~pairs.true & (pairs.scores >= limit)).sum())


def half_of(name: str) -> int:
    """0 or 1, by the name of an original."""
    return zlib.crc32(name.encode()) & 1


def originals(collection: Collection, half: int) -> int:
    """How many originals of a half have copies."""
    copied = {shows for shows, kind in zip(collection.shows, collection.kinds, strict=True) if kind}
    return sum(half_of(name) == half for name in copied)


def growth(collection: Collection) -> None:
    """The time that each step takes, photos alone, for as many as there are and for a half and a quarter of them."""
    photos = collection.rows("")
    for share in (4, 2, 1):
        rows = photos[: len(photos) // share]
        start = time.perf_counter()
        nearest, _ = candidates.nearest(collection.vectors[rows], k=candidates.NEIGHBOURS)
        near = candidates.neighbour_pairs(nearest)
        vectors_took = time.perf_counter() - start
        start = time.perf_counter()
        alike = candidates.pattern_pairs(collection.looks[rows])
        patterns_took = time.perf_counter() - start
        pairs = candidates.unique_pairs(np.concatenate([near, alike]))
        start = time.perf_counter()
        pairing.copies(collection.looks[rows], pairs, workers=cores())
        took = time.perf_counter() - start
        print(
            f"{len(rows)} photos: neighbours {vectors_took:.2f} s, patterns {patterns_took:.2f} s, "
            f"{len(pairs)} pairs compared in {took:.2f} s, {len(rows) / took:.0f} photos a second"
        )


def time_candidates(count: int, dim: int) -> None:
    """The time that candidates take among made-up pictures: it grows with the square of their number."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(count, dim)).astype(np.float16)
    looks = np.zeros(count, LOOK)
    looks["grey"] = random.integers(0, 256, looks["grey"].shape, np.uint8)
    start = time.perf_counter()
    candidates.nearest(vectors, k=candidates.NEIGHBOURS)
    middle = time.perf_counter()
    candidates.pattern_pairs(looks)
    end = time.perf_counter()
    print(f"{count} made-up pictures: neighbours {middle - start:.1f} s, patterns {end - middle:.1f} s")


if __name__ == "__main__":
    main()
