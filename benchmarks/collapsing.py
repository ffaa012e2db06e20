"""From which cosine two pictures are near-identical: `python -m benchmarks.collapsing --photos DIR [--model NAME]`.

Each photo of DIR, changed as people and programs change photos, against the photo itself, and each photo against the most
similar other one: what share of the former, and how many of the latter, would be folded at each limit.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import picfind
from benchmarks.duplicate_copies import write_copies
from benchmarks.machine import describe

KINDS = (
    "quality 20",
    "quality 50",
    "scale .3",
    "crop, 90 % of each side",
    "brightness 1.5",
    "text",
    "crop, 70 % of the area",
)
LIMITS = (0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the limit of near-identical pictures.")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--model", default="builtin")
    given = parser.parse_args()
    print(describe("onnxruntime"))
    photos = sorted(path for path in given.photos.iterdir() if path.is_file())
    encoder = picfind.load_encoder(given.model)
    known = encoder.encode_images([str(path) for path in photos])
    others = known @ known.T
    np.fill_diagonal(others, -1)
    nearest = others.max(axis=1)
    print(f"{len(photos)} photos; limits          " + "".join(f"{limit:8.2f}" for limit in LIMITS))
    with tempfile.TemporaryDirectory() as place:
        write_copies(photos, Path(place), KINDS)
        for kind in KINDS:
            copies = encoder.encode_images([str(Path(place, kind, f"{photo.stem}.jpg")) for photo in photos])
            cosines = (copies * known).sum(axis=1)
            shares = "".join(f"{(cosines >= limit).mean():8.3f}" for limit in LIMITS)
            print(f"{kind:32} {shares}")
    print(f"{'another photo: how many':32} " + "".join(f"{(nearest >= limit).sum():8d}" for limit in LIMITS))


if __name__ == "__main__":
    main()
