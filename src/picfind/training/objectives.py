"""What training makes small: pictures and their captions are to be closer than other pairs of the batch.

`InfoNCE` is CLIP's (Radford et al. 2021, arXiv 2103.00020): each picture picks its caption out of the batch, and each
caption its picture. `Sigmoid` is SigLIP's (Zhai et al. 2023, arXiv 2303.15343): each pair is judged by itself. Both take
unit rows (n, dim) of pictures and of captions, and learn their temperature in the logarithm.

`SoftInfoNCE` lets captions that say nearly the same count as partly right, by the likeness of their sentence vectors, and
leaves out what is the same caption word for word.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from picfind.training.recipe import Objective, SoftObjective

_STEEPEST = math.log(100)
"""CLIP's own limit: a temperature below .01 makes training unstable."""
_SIGMOID_BIAS = -10.0
"""SigLIP's beginning: nearly all pairs do not belong together."""
_NEVER = -1e4
"""A score that no softmax sees."""


class InfoNCE(nn.Module):  # type: ignore[misc]
    """The mean of both directions' cross entropy."""

    def __init__(self, *, temperature: float, smoothing: float = 0.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.smoothing = smoothing

    def forward(self, pictures: Any, captions: Any) -> Any:
        scores = _scores(self.log_scale, pictures, captions)
        right = torch.arange(len(scores), device=scores.device)
        picks = (
            functional.cross_entropy(each, right, label_smoothing=self.smoothing)
            for each in (scores, scores.T)
        )
        return sum(picks) / 2


class Sigmoid(nn.Module):  # type: ignore[misc]
    """The sum over all pairs of a picture, the mean over pictures."""

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.bias = nn.Parameter(torch.tensor(_SIGMOID_BIAS))

    def forward(self, pictures: Any, captions: Any) -> Any:
        scores = _scores(self.log_scale, pictures, captions) + self.bias
        signs = 2 * torch.eye(len(scores), device=scores.device) - 1
        return -functional.logsigmoid(signs * scores).sum() / len(scores)


class SoftInfoNCE(nn.Module):  # type: ignore[misc]
    """As InfoNCE; a share of what is right is spread over the batch by how alike the captions are."""

    def __init__(self, how: SoftObjective) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(how.temperature)))
        self._soft, self._temperature = how.soft, how.soft_temperature

    def forward(self, pictures: Any, captions: Any, sentences: Any, marks: Any) -> Any:
        """`sentences` (n, k) are unit rows by which captions are alike; equal `marks` (n,) mean equal captions."""
        own = torch.eye(len(marks), dtype=torch.bool, device=marks.device)
        double = (marks[:, None] == marks[None]) & ~own
        scores = _scores(self.log_scale, pictures, captions).masked_fill(double, _NEVER)
        with torch.autocast(pictures.device.type, enabled=False):
            alike = sentences.float() @ sentences.float().T / self._temperature
        alike = alike.masked_fill(double, _NEVER).softmax(dim=1)
        right = (1 - self._soft) * own + self._soft * alike
        picks = ((right * each.log_softmax(dim=1)).sum(dim=1).mean() for each in (scores, scores.T))
        return -sum(picks) / 2


def _scores(log_scale: Any, pictures: Any, captions: Any) -> Any:
    """Cosines over the temperature, in single precision whatever the towers ran in: half is too coarse for them."""
    with torch.autocast(pictures.device.type, enabled=False):
        return log_scale.clamp(max=_STEEPEST).exp() * pictures.float() @ captions.float().T


def objective(how: Objective) -> Any:
    """The module that a recipe asks for: unit rows of pictures and of captions -> the loss."""
    if how.kind == "sigmoid":
        return Sigmoid(temperature=how.temperature)
    return InfoNCE(temperature=how.temperature, smoothing=how.smoothing)
