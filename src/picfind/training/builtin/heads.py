"""The projections that learn: a linear map plus a wide layer, to unit rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from picfind.training.builtin.members import Layer, Projection
from picfind.training.recipe import WideHeads
from picfind.types import Floats

_QUIET = 0.1
"""By how much the random beginnings of a head are made smaller where a linear map is put into it."""


class Head(nn.Module):  # type: ignore[misc]
    """Rows (n, inputs) to unit rows (n, dim)."""

    def __init__(self, inputs: int, how: WideHeads) -> None:
        super().__init__()
        self.drop_input, self.drop = nn.Dropout(how.input_dropout), nn.Dropout(how.dropout)
        self.linear = nn.Linear(inputs, how.dim)
        self.inner = nn.Linear(inputs, how.hidden)
        self.outer = nn.Linear(how.hidden, how.dim)

    def forward(self, rows: Any) -> Any:
        rows = self.drop_input(rows)
        wide = self.drop(functional.gelu(self.inner(rows)))
        return functional.normalize((self.linear(rows) + self.outer(wide)).float(), dim=1)

    def begin_with(self, weight: Floats, bias: Floats) -> None:
        """Put a linear map, (inputs, k) and (k,), into the first k dimensions; all else begins near nothing."""
        count = min(weight.shape[1], self.linear.out_features)
        with torch.no_grad():
            for values in (self.linear.weight, self.outer.weight):
                values.mul_(_QUIET)
            for values in (self.linear.bias, self.outer.bias):
                values.zero_()
            self.linear.weight[:count] = torch.from_numpy(weight.T[:count].copy())
            self.linear.bias[:count] = torch.from_numpy(bias[:count].copy())

    def projection(self, mean: Floats | None = None, spread: Floats | None = None) -> Projection:
        """As plain arrays, for rows as they are before `mean` is taken away and `spread` divided by."""

        def layer(of: Any) -> Layer:
            return folded(_array(of.weight).T, _array(of.bias), mean, spread)

        outer = Layer(_array(self.outer.weight).T.copy(), _array(self.outer.bias))
        return Projection(layer(self.linear), layer(self.inner), outer)


def folded(weight: Floats, bias: Floats, mean: Floats | None, spread: Floats | None) -> Layer:
    """The layer that does for rows what this one does for `(rows - mean) / spread`."""
    if mean is None or spread is None:
        return Layer(weight.copy(), bias)
    exact = weight.astype(np.float64) / spread.astype(np.float64)[:, None]
    return Layer(exact.astype(np.float32), (bias - mean.astype(np.float64) @ exact).astype(np.float32))


def _array(values: Any) -> Floats:
    found: Floats = values.detach().float().cpu().numpy()
    return found
