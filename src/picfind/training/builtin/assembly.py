"""Puts together a model of the family `builtin`: both graphs, the tokenizer, and the card that lists the parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from picfind.encoders.builtin import FOLDER
from picfind.training.builtin import classes, lite2, minilm
from picfind.training.builtin.card import write_card
from picfind.training.builtin.image_graph import Weights, write_image_graph
from picfind.training.builtin.joining import Fixed, Sentences, fix, parts
from picfind.training.builtin.text_graph import write_text_graph

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.training.builtin.members import Learned
    from picfind.training.recipe import Joining


@dataclass(frozen=True)
class Towers:
    """The published weights of both towers, and what follows from them without any photo."""

    image: Weights
    text: Weights
    fixed: Fixed


def read_towers(how: Joining, sentences: Sentences = minilm.reference) -> Towers:
    """Read the weight packages and the class names; `sentences` encodes the classes' own, which may take a minute."""
    image, labels = lite2.weights(), classes.read(FOLDER / "classes.txt")
    return Towers(image, minilm.weights(), fix(image, labels, sentences, ridge=how.ridge))


def write_files(folder: Path, towers: Towers, learned: Learned, how: Joining, *, plain: bool = False) -> None:
    """image.onnx, text.onnx, tokenizer.json and card.json in `folder`; `plain` keeps every weight in fp32."""
    joined = parts(towers.fixed, learned, how)
    # What is large in the pictures' graph asks for int8 by itself.
    write_image_graph(folder / "image.onnx", towers.image, joined, storage="fp32" if plain else "fp16")
    write_text_graph(folder / "text.onnx", towers.text, joined, storage="fp32" if plain else "int8")
    minilm.write_tokenizer(folder / "tokenizer.json")
    write_card(folder, joined)
