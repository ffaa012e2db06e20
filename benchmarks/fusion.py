"""What words add to pictures: `python -m benchmarks.fusion --data DIR`.

DIR holds `flickr8k/` and `demo_open/`. One caption of each photo is its text, another one is the query: indexed and
asked through a gallery, as a person would. Printed is the share of queries whose photo is among the first 1 and 10, for
the pictures alone, the words alone, full text alone, and fused; and again where only every second photo has a text.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import picfind
from benchmarks.builtin_quality import read_lines
from benchmarks.machine import describe
from picfind.search.query import Kind, Term

MODELS = ("builtin", "minilm")
PARTS: Mapping[str, tuple[str, ...]] = {
    "pictures": ("pictures",),
    "words": ("words",),
    "text": ("text",),
    "pictures + words": ("pictures", "words"),
    "all": ("pictures", "words", "text"),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure fused rankings.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--count", type=int, default=1000, help="how many photos of Flickr8k dev")
    given = parser.parse_args()
    print(describe("onnxruntime"))
    flickr = [row for row in read_lines(given.data / "flickr8k" / "captions.jsonl") if row["split"] == "dev"]
    sources = {
        "Flickr8k dev": (given.data / "flickr8k" / "images", flickr[: given.count], "image"),
        "demo_open": (
            given.data / "demo_open" / "images",
            read_lines(given.data / "demo_open" / "manifest.jsonl"),
            "file",
        ),
    }
    for name, (folder, rows, key) in sources.items():
        captions = {row[key]: row["captions"] for row in rows if len(row.get("captions") or ()) > 1}
        for every in (1, 2):
            print(f"{name}: {len(rows)} photos, {len(captions)} queries, a text for one photo of {every}")
            for part, hits in measure(folder, [row[key] for row in rows], captions, every=every).items():
                print(f"  {part:16} hit_at(1) {hits[0]:.3f}  hit_at(10) {hits[1]:.3f}")


def measure(
    folder: Path, names: Sequence[str], captions: Mapping[str, Sequence[str]], *, every: int
) -> dict[str, tuple[float, float]]:
    """hit_at(1) and hit_at(10) of each part."""
    with tempfile.TemporaryDirectory() as place:
        photos, table = Path(place, "photos"), Path(place, "captions.csv")
        photos.mkdir()
        for at, name in enumerate(names):  # names that say nothing
            (photos / f"{at:06}{Path(name).suffix}").symlink_to((folder / name).absolute())
        known = {f"{at:06}": captions[name] for at, name in enumerate(names) if name in captions}
        _write(table, {stem: said[0] for at, (stem, said) in enumerate(known.items()) if at % every == 0})
        with picfind.open(Path(place, "gallery"), model=MODELS) as gallery:
            gallery.index(photos, captions=table)
            return {part: _hits(gallery, known, against) for part, against in PARTS.items()}


def _hits(
    gallery: picfind.Gallery, known: Mapping[str, Sequence[str]], against: Sequence[str]
) -> tuple[float, float]:
    first = tenth = 0
    for stem, said in known.items():
        found = [
            Path(hit.path).stem for hit in gallery.search([Term(Kind.WORDS, said[1])], k=10, against=against)
        ]
        first += found[:1] == [stem]
        tenth += stem in found
    return first / len(known), tenth / len(known)


def _write(table: Path, said: Mapping[str, str]) -> None:
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        writer.writerows((f"{stem}.jpg", text) for stem, text in said.items())


if __name__ == "__main__":
    main()
