"""The vectors as they should be: computed with the towers in torch and transformers and with plain NumPy around them.

Nothing here touches the ONNX graphs or the code that runs them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import lite2
import minilm
import numpy as np
import torch
from joining import CONSE_SHARE, FEATURE_DIM, TEMPERATURE, Floats, Joining
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.builtin_inputs import SENTENCES, pictures


@dataclass(frozen=True)
class Expected:
    """Reference vectors: of the fixed pictures by name, and of the fixed sentences in their order."""

    images: dict[str, Floats]
    texts: Floats


def compute(joining: Joining) -> Expected:
    """The vectors of the pictures and sentences in tests/builtin_inputs.py."""
    named = pictures()
    rows = image_vectors(list(named.values()), joining)
    return Expected(dict(zip(named, rows, strict=True)), text_vectors(list(SENTENCES)))


def image_vectors(images: list[Image.Image], joining: Joining) -> Floats:
    """(n, 640) unit rows."""
    squashed = [
        np.asarray(image.resize((lite2.SIDE, lite2.SIDE), Image.Resampling.BICUBIC)) for image in images
    ]
    with torch.inference_mode():
        features, logits = lite2.load()(lite2.normalise(torch.from_numpy(np.stack(squashed))))
        shares = (logits / TEMPERATURE).softmax(dim=1).numpy()
    conse = sqrt(CONSE_SHARE) * _unit(shares @ joining.vectors)
    return np.concatenate([conse, sqrt(1 - CONSE_SHARE) * _unit(features.numpy() @ joining.axes)], axis=1)


def text_vectors(texts: list[str]) -> Floats:
    """(n, 640) unit rows."""
    rows = np.concatenate([minilm.reference([text]) for text in texts])
    return np.concatenate([rows, np.zeros((len(rows), FEATURE_DIM), np.float32)], axis=1)


def write(path: Path, expected: Expected) -> None:
    """As JSON with five decimals, one vector a line."""
    rows = {**expected.images, **{f"text {at}": row for at, row in enumerate(expected.texts)}}
    lines = [f"{json.dumps(name)}: {_decimals(row)}" for name, row in rows.items()]
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _decimals(row: Floats) -> str:
    return json.dumps([round(float(value), 5) or 0 for value in row], separators=(",", ":"))


def _unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
