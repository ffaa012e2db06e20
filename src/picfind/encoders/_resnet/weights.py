"""ResNet weights out of a safetensors file: what shape of network they are, under torchvision's names.

He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385). torchvision and timm name the tensors
alike (`conv1.weight`, `layer1.0.bn2.bias`); transformers has names of its own, which are translated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from picfind.errors import MissingExtraError, ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

_STEM = 64
_WIDTHS = (64, 128, 256, 512)
_NORM = ("weight", "bias", "running_mean", "running_var")
_PREFIXES = ("module.", "model.", "backbone.", "resnet.")
_IGNORED = re.compile(r"(fc|classifier(\.1)?)\.(weight|bias)|.*\.num_batches_tracked")
"""What a checkpoint may hold beside the network up to its last pooling."""
NO_CONVERT = (
    'Converting ResNet weights needs the packages onnx and safetensors: pip install "picfind[convert]"'
)
"""What to say where they are missing."""
_HINT = "Give the safetensors file of a ResNet as timm, torchvision or transformers save it."


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution and the batch normalisation after it, by the names of their tensors."""

    name: str
    norm: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The tensors that it needs, with their shapes."""
        yield f"{self.name}.weight", (self.outputs, self.inputs, self.kernel, self.kernel)
        for kind in _NORM:
            yield f"{self.norm}.{kind}", (self.outputs,)


@dataclass(frozen=True, slots=True)
class Block:
    """A residual block: its convolutions in order, and the one on its shortcut where the shape changes."""

    convs: tuple[Conv, ...]
    shortcut: Conv | None


@dataclass(frozen=True, slots=True)
class Architecture:
    """A shape of ResNet: its name, whether its blocks have three convolutions, and how many a stage has."""

    name: str
    bottleneck: bool
    depths: tuple[int, int, int, int]

    @property
    def dim(self) -> int:
        """Numbers after the last pooling."""
        return _WIDTHS[-1] * self._grows

    @property
    def _grows(self) -> int:
        return 4 if self.bottleneck else 1

    @property
    def stem(self) -> Conv:
        """The first convolution."""
        return Conv("conv1", "bn1", 3, _STEM, kernel=7, stride=2)

    def blocks(self) -> Iterator[Block]:
        """All blocks, in order."""
        inputs = _STEM
        for stage, (width, depth) in enumerate(zip(_WIDTHS, self.depths, strict=True), start=1):
            for at in range(depth):
                stride = 2 if stage > 1 and at == 0 else 1
                yield self._block(f"layer{stage}.{at}.", inputs, width, stride)
                inputs = width * self._grows

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every tensor that the network needs, with its shape."""
        yield from self.stem.shapes()
        for block in self.blocks():
            for conv in (*block.convs, *([block.shortcut] if block.shortcut else [])):
                yield from conv.shapes()

    def _block(self, prefix: str, inputs: int, width: int, stride: int) -> Block:
        """The stride of a bottleneck sits in its 3 x 3 convolution, as torchvision's does ("v1.5")."""
        outputs = width * self._grows
        plan = (
            [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
            if self.bottleneck
            else [(inputs, width, 3, stride), (width, width, 3, 1)]
        )
        convs = tuple(
            Conv(f"{prefix}conv{at}", f"{prefix}bn{at}", *numbers) for at, numbers in enumerate(plan, start=1)
        )
        changes = stride > 1 or inputs != outputs
        down = f"{prefix}downsample."
        return Block(convs, Conv(f"{down}0", f"{down}1", inputs, outputs, 1, stride) if changes else None)


ARCHITECTURES = {
    shape.name: shape
    for shape in (
        Architecture("resnet18", False, (2, 2, 2, 2)),
        Architecture("resnet34", False, (3, 4, 6, 3)),
        Architecture("resnet50", True, (3, 4, 6, 3)),
        Architecture("resnet101", True, (3, 4, 23, 3)),
        Architecture("resnet152", True, (3, 8, 36, 3)),
    )
}


def read_weights(path: Path) -> tuple[Architecture, Weights]:
    """The network in a safetensors file, and its tensors in fp32 under torchvision's names.

    Raises ModelFilesError, which names the tensor that is missing or odd; MissingExtraError without safetensors.
    """
    found = {_canonical(name): tensor for name, tensor in _tensors(path).items()}
    found = {name: tensor for name, tensor in found.items() if not _IGNORED.fullmatch(name)}
    shape = _architecture(found, path)
    wanted = dict(shape.shapes())
    for name, size in wanted.items():
        if name not in found:
            raise ModelFilesError(f"{path} is no {shape.name}: its tensor {name} is missing. {_HINT}")
        if found[name].shape != size:
            odd = f"its tensor {name} is {found[name].shape}, not {size}"
            raise ModelFilesError(f"{path} is no {shape.name}: {odd}. {_HINT}")
    extra = sorted(set(found) - set(wanted))
    if extra:
        raise ModelFilesError(f"{path} is no plain {shape.name}: it has a tensor {extra[0]} as well. {_HINT}")
    return shape, {name: tensor.astype(np.float32) for name, tensor in found.items()}


def _tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise MissingExtraError(NO_CONVERT) from error
    try:
        return dict(load_file(path))
    except (
        Exception
    ) as error:  # its own error has no base but this, and a type of number without NumPy's is a KeyError
        raise ModelFilesError(
            f"{path} cannot be read as safetensors: {error}. Is it whole? {_HINT}"
        ) from error


def _architecture(names: Iterable[str], path: Path) -> Architecture:
    """By how many blocks each stage has, and whether blocks have a third convolution."""
    depths = [0, 0, 0, 0]
    bottleneck = False
    for name in names:
        if match := re.match(r"layer([1-4])\.(\d+)\.(conv3)?", name):
            stage = int(match[1]) - 1
            depths[stage] = max(depths[stage], int(match[2]) + 1)
            bottleneck = bottleneck or match[3] is not None
    if not any(depths):
        raise ModelFilesError(f"{path} is no ResNet: its tensor layer1.0.conv1.weight is missing. {_HINT}")
    for shape in ARCHITECTURES.values():
        if (shape.bottleneck, shape.depths) == (bottleneck, tuple(depths)):
            return shape
    kind = "bottleneck" if bottleneck else "basic"
    raise ModelFilesError(
        f"{path} is a ResNet of {depths} {kind} blocks. Known are: {', '.join(ARCHITECTURES)}. {_HINT}"
    )


def _canonical(name: str) -> str:
    """A tensor's name in torchvision."""
    while prefix := next((each for each in _PREFIXES if name.startswith(each)), None):
        name = name.removeprefix(prefix)
    name = re.sub(r"^embedder\.embedder\.", "", name)
    if match := re.fullmatch(r"encoder\.stages\.(\d+)\.layers\.(\d+)\.(.+)", name):
        return f"layer{int(match[1]) + 1}.{match[2]}.{_inner(match[3])}"
    return re.sub(r"^convolution\.", "conv1.", re.sub(r"^normalization\.", "bn1.", name))


def _inner(name: str) -> str:
    """A name within one of transformers' blocks: `layer.1.convolution.weight` is `conv2.weight`."""
    name = re.sub(r"^shortcut\.convolution\.", "downsample.0.", name)
    name = re.sub(r"^shortcut\.normalization\.", "downsample.1.", name)
    name = re.sub(r"^layer\.(\d+)\.convolution\.", lambda match: f"conv{int(match[1]) + 1}.", name)
    return re.sub(r"^layer\.(\d+)\.normalization\.", lambda match: f"bn{int(match[1]) + 1}.", name)
