"""Random ResNet weights in the names that timm and torchvision give them, written to safetensors files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from picfind.encoders._resnet.weights import ARCHITECTURES

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.types import Floats


def random_weights(name: str, *, seed: int = 0) -> dict[str, Floats]:
    """Every tensor of a network, scaled so that numbers keep their size from layer to layer."""
    random = np.random.default_rng(seed)
    return {key: _tensor(key, shape, random) for key, shape in ARCHITECTURES[name].shapes()}


def write(path: Path, weights: dict[str, Floats]) -> Path:
    """A safetensors file; the test is skipped without the packages that convert it."""
    pytest.importorskip("onnx", reason="converting needs onnx")
    safetensors = pytest.importorskip("safetensors.numpy", reason="converting needs safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.save_file(weights, path)
    return path


def _tensor(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    if len(shape) == 4:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        kernel: Floats = (random.standard_normal(shape) * scale).astype(np.float32)
        return kernel
    if name.endswith("running_var"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    middle = 0.7 if name.endswith("weight") else 0.0
    return (middle + 0.2 * random.standard_normal(shape)).astype(np.float32)
