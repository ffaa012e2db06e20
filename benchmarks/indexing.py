"""How near `picfind index` comes to what the cores allow, and how much memory it takes.

    python -m benchmarks.indexing --photos DIR [--count 1000] [--rounds 3]

The bound is the number of cores divided by the CPU seconds that reading, decoding and encoding one picture take when
nothing else runs, in one thread. Each round measures the bound, then a whole run into a new gallery, so that both see
the machine in the same mood; quoted are the medians and the ratios of each round. Peak memory is that of the whole
process, as the system accounts for it (Linux and macOS).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import picfind
from benchmarks.machine import describe
from picfind.datasets.folder import Folder
from picfind.settings import cores

_RUN = """
import json, resource, sys, time
began = time.monotonic()
import picfind
from picfind.settings import Settings
with picfind.open(sys.argv[2], settings=Settings()) as gallery:
    report = gallery.index(sys.argv[1])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "encoded": report.encoded, "seconds": report.seconds, "wall": time.monotonic() - began,
    "cpu": used.ru_utime + used.ru_stime,
    "peak_mb": used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1024),
}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--count", type=int, default=1000, help="how many of them")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(describe("onnxruntime", "pillow"))
    with tempfile.TemporaryDirectory() as home:
        photos = _linked(options.photos, Path(home) / "photos", options.count)
        rounds = [_round(photos, Path(home) / "test.gallery") for _ in range(options.rounds)]
    _print(len(photos), rounds)


def _linked(source: Path, target: Path, count: int) -> list[Path]:
    """A folder of links to the first `count` photos."""
    target.mkdir()
    keys = [item.key for item in Folder(source).items() if hasattr(item, "key")][:count]
    for number, key in enumerate(keys):
        (target / f"{number:06}{Path(key).suffix}").symlink_to((source / key).absolute())
    return sorted(target.iterdir())


def _round(photos: Sequence[Path], gallery: Path) -> dict[str, float]:
    alone = _alone(photos[:200])
    shutil.rmtree(gallery, ignore_errors=True)
    command = [sys.executable, "-c", _RUN, str(photos[0].parent), str(gallery)]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    bound = cores() / alone
    return {
        **told,
        "bound": bound,
        "rate": told["encoded"] / told["seconds"],
        "share": told["encoded"] / told["seconds"] / bound,
        "share_of_wall": told["encoded"] / told["wall"] / bound,
    }


def _alone(photos: Sequence[Path]) -> float:
    """CPU seconds for one picture, in one thread."""
    encoder = picfind.load_encoder("builtin")
    encoder.encode_images(photos[:3])
    began = time.thread_time()
    encoder.encode_images(photos)
    return (time.thread_time() - began) / len(photos)


def _print(count: int, rounds: Sequence[dict[str, float]]) -> None:
    def median(name: str) -> float:
        return statistics.median(entry[name] for entry in rounds)

    shares = ", ".join(f"{entry['share']:.2f}" for entry in rounds)
    print(f"{count} photos, {len(rounds)} rounds, {os.cpu_count()} cores in the machine")
    print(f"  bound: cores / CPU seconds of one picture alone  {median('bound'):8.1f} pictures a second")
    print(f"  index, from first to last picture                {median('rate'):8.1f} pictures a second")
    print(
        f"  index / bound                                    {median('share'):8.2f}   (each round: {shares})"
    )
    print(f"  the same with the process's start and end        {median('share_of_wall'):8.2f}")
    print(f"  peak memory of the process                       {median('peak_mb'):8.0f} MB")


if __name__ == "__main__":
    main()
