"""The picture tower's last blocks in torch, as a copy that learns: maps before block `start` to pooled features.

1 x 1 convolutions are linear layers over (n, 81, channels), and batch normalisation is folded in. What is learned of a
tensor is the change from its published values, in units of their root mean square, so that one learning rate serves the
tower and what stands on it. The depthwise kernels stay as published: they are few weights, and slow to learn on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from picfind.training.builtin import lite2, members
from picfind.types import Floats

SIDE = 9
"""Places of the maps from block 11 on, across and down."""
PLACES = SIDE * SIDE
LAST = 20
"""The last block."""
_PACE = 2.0
"""How much faster than the heads these layers learn, for a change of the size of their own weights."""
_LEAST = 1e-3
"""Added to a root mean square: a tensor of zeros could not learn otherwise."""
_AT_ONCE = 64
"""Pictures that go through together: what fits a processor's cache."""


class Layer(nn.Module):  # type: ignore[misc]
    """`rows @ weight.T + bias`, both a base that stays and a change that is learned."""

    def __init__(self, weight: Any, bias: Any) -> None:
        super().__init__()
        self.register_buffer("base_weight", weight.detach().clone())
        self.register_buffer("base_bias", bias.detach().clone())
        self.weight = nn.Parameter(torch.zeros_like(weight))
        self.bias = nn.Parameter(torch.zeros_like(bias))
        self._scales = tuple(_PACE * (float(base.square().mean().sqrt()) + _LEAST) for base in (weight, bias))

    def now(self) -> tuple[Any, Any]:
        """Weight (outputs, inputs) and bias as they are by now."""
        of_weight, of_bias = self._scales
        return self.base_weight + of_weight * self.weight, self.base_bias + of_bias * self.bias

    def forward(self, rows: Any) -> Any:
        return functional.linear(rows, *self.now())

    def layer(self) -> members.Layer:
        """As plain arrays."""
        weight, bias = self.now()
        return members.Layer(_array(weight.T), _array(bias))


class Block(nn.Module):  # type: ignore[misc]
    """One inverted residual block over (n, 81, channels)."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self._skips = block.block.skips
        self.expand = _layer(block._expand_conv, block._bn0)
        self.project = _layer(block._project_conv, block._bn2)
        kernel, bias = _folded(block._depthwise_conv, block._bn1)
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", bias)

    def forward(self, maps: Any) -> Any:
        hidden = functional.relu6(self.expand(maps))
        count, _, width = hidden.shape
        planes = hidden.view(count, SIDE, SIDE, width).permute(0, 3, 1, 2)
        padding = self.kernel.shape[-1] // 2
        kernel, bias = self.kernel.to(planes.dtype), self.bias.to(planes.dtype)
        planes = functional.relu6(functional.conv2d(planes, kernel, bias, padding=padding, groups=width))
        found = self.project(planes.permute(0, 2, 3, 1).reshape(count, PLACES, width))
        return found + maps if self._skips else found

    def block(self) -> members.Block:
        """As plain arrays."""
        return members.Block(
            self.expand.layer(), _array(self.kernel), _array(self.bias), self.project.layer()
        )


class Trunk(nn.Module):  # type: ignore[misc]
    """The blocks from `start` on, and the last convolution: maps (n, 81, channels) to pooled features (n, 1280)."""

    def __init__(self, start: int) -> None:
        super().__init__()
        tower = lite2.load()
        self.start = start
        self.blocks = nn.ModuleList(Block(block) for block in tower._blocks[start:])
        self.last = _layer(tower._conv_head, tower._bn1)

    def forward(self, maps: Any) -> Any:
        return torch.cat([self._pooled(part) for part in maps.split(_AT_ONCE)])

    def _pooled(self, maps: Any) -> Any:
        for block in self.blocks:
            maps = block(maps)
        return functional.relu6(self.last(maps)).float().mean(dim=1)

    def top(self) -> members.Top:
        """As plain arrays."""
        return members.Top(self.start, tuple(block.block() for block in self.blocks), self.last.layer())


def _folded(convolution: Any, norm: Any) -> tuple[Any, Any]:
    """Kernel and bias of the convolution that does what this one and the batch normalisation after it do."""
    gain = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    kernel = convolution.weight.detach() * gain[:, None, None, None]
    return kernel, norm.bias.detach() - norm.running_mean * gain


def _layer(convolution: Any, norm: Any) -> Layer:
    kernel, bias = _folded(convolution, norm)
    return Layer(kernel.flatten(1), bias)


def _array(values: Any) -> Floats:
    found: Floats = values.detach().float().cpu().numpy().copy()
    return found
