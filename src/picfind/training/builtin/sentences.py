"""Captions as vectors of the text tower, encoded once and kept as other frozen towers' vectors are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from picfind.training.builtin import minilm
from picfind.training.features import Features, Told, kept_texts
from picfind.types import Floats, Space

_NAME = "all-MiniLM-L6-v2"
_PIECE = 4096
"""Texts from one writing to the next: the tower is loaded anew for each."""


def vectors(texts: Sequence[str], *, told: Told) -> Floats:
    """Unit rows (n, 384), each text encoded once, the short ones first. Raises CheckpointError when they cannot be kept."""
    kept = Features(Space(_NAME, _revision(), minilm.WIDTH), "text")
    return kept_texts(
        kept, texts, minilm.reference, piece=_PIECE, told=partial(told, "captions"), by_length=True
    )


def _revision() -> str:
    """12 hex digits that change with the weights, the tokenizer and the length that counts."""
    digest = hashlib.sha256(str(minilm.LIMIT).encode())
    for name in ("model.safetensors", "tokenizer.json"):
        digest.update((minilm.model_folder() / name).read_bytes())
    return digest.hexdigest()[:12]
