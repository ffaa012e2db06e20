"""The members: pairs of projections that learn or are computed, each with its rows and its plain arrays."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from picfind.training.builtin.closed import Correlated
from picfind.training.builtin.heads import Head, folded
from picfind.training.builtin.members import (
    MIDDLE,
    ROOT_EPSILON,
    SENTENCE,
    WIDE,
    Layer,
    Member,
    Projection,
    roots,
    unit,
)
from picfind.training.builtin.trunk import Trunk
from picfind.training.objectives import SoftInfoNCE
from picfind.training.recipe import BuiltinRecipe
from picfind.types import Floats

_AT_ONCE = 256
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """What standardises wide features: (1696,) each, over the pictures that are learned from."""

    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, wide: Floats) -> Scale:
        """That of these rows."""
        return cls(wide.mean(axis=0), wide.std(axis=0) + np.float32(_LEAST_SPREAD))

    def __call__(self, wide: Floats) -> Floats:
        found: Floats = (wide - self.mean) / self.spread
        return found


def wide_features(rows: Floats) -> Floats:
    """(n, 1696) as members take them, from kept rows, which begin with means and maxima and have pooled features next."""
    return np.concatenate([roots(rows[:, MIDDLE:WIDE]), rows[:, :MIDDLE]], axis=1)


class Scored(Protocol):
    """What a member of either kind offers."""

    def pictures(self, rows: Floats, maps: Any) -> Floats:
        """Unit rows (n, dim) from kept rows and maps."""
        ...

    def texts(self, sentences: Floats) -> Floats:
        """Unit rows (n, dim) of sentence vectors."""
        ...

    def member(self, length: float) -> Member:
        """As plain arrays."""
        ...


class Closed:
    """The member that is computed."""

    def __init__(self, found: Correlated, scale: Scale) -> None:
        self._found, self._scale = found, scale

    def pictures(self, rows: Floats, maps: Any) -> Floats:
        return unit(self._scale(wide_features(rows)) @ self._found.image)

    def texts(self, sentences: Floats) -> Floats:
        return unit((sentences - self._found.mean) @ self._found.text)

    def member(self, length: float) -> Member:
        nothing = np.zeros(self._found.image.shape[1], np.float32)
        image = folded(self._found.image, nothing, self._scale.mean, self._scale.spread)
        text = Layer(self._found.text, -(self._found.mean @ self._found.text))
        return Member(Projection(image), Projection(text), length)


class Learner(nn.Module):  # type: ignore[misc]
    """A member that learns: two heads, its own temperature, and where it is `tuned` its copy of the tower's end."""

    def __init__(self, recipe: BuiltinRecipe, scale: Scale, *, tuned: bool) -> None:
        super().__init__()
        self.image, self.text = Head(WIDE, recipe.heads), Head(SENTENCE, recipe.heads)
        self.objective = SoftInfoNCE(recipe.objective)
        self.trunk = Trunk(recipe.start) if tuned else None
        self.register_buffer("mean", torch.from_numpy(scale.mean))
        self.register_buffer("spread", torch.from_numpy(scale.spread))

    def begin(self, found: Correlated, pictures: Floats, captions: Floats) -> None:
        """Start from the closed form; some standardised rows of both kinds say how long its vectors are."""
        image = 1 / float(np.linalg.norm(pictures @ found.image, axis=1).mean())
        text = 1 / float(np.linalg.norm((captions - found.mean) @ found.text, axis=1).mean())
        self.image.begin_with(image * found.image, np.zeros(found.image.shape[1], np.float32))
        self.text.begin_with(text * found.text, -text * (found.mean @ found.text))

    def wide(self, rows: Any, maps: Any) -> Any:
        """Standardised wide features (n, 1696) from kept rows (n, 2696 or less) and maps (n, 81, channels)."""
        pooled = rows[:, MIDDLE:WIDE] if self.trunk is None else self.trunk(_quick(maps))
        wide = torch.cat([(pooled.float() + ROOT_EPSILON).sqrt(), rows[:, :MIDDLE]], dim=1)
        return (wide - self.mean) / self.spread

    def loss(self, wide: Any, sentences: Any, marks: Any) -> Any:
        """The objective for pictures' standardised features and their captions; equal `marks` are equal captions."""
        return self.objective(self.image(wide), self.text(sentences), sentences, marks)

    def pictures(self, rows: Floats, maps: Any) -> Floats:
        parts = []
        for at in range(0, len(rows), _AT_ONCE):
            part = slice(at, at + _AT_ONCE)
            shown = self._there(maps[part]) if self.trunk is not None else None
            parts.append(self.image(self.wide(self._there(rows[part]), shown)).cpu().numpy())
        return np.concatenate(parts)

    def texts(self, sentences: Floats) -> Floats:
        found: Floats = self.text(self._there(sentences)).cpu().numpy()
        return found

    def member(self, length: float) -> Member:
        image = self.image.projection(self.mean.cpu().numpy(), self.spread.cpu().numpy())
        top = None if self.trunk is None else self.trunk.top()
        return Member(image, self.text.projection(), length, top)

    def _there(self, array: Any) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.mean.device)


def mixed(device: Any) -> AbstractContextManager[Any]:
    """Half precision on a CPU that gains by it; on a GPU the loop sees to that."""
    gains = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.autocast("cpu", torch.bfloat16) if device.type == "cpu" and gains() else nullcontext()


def _quick(maps: Any) -> Any:
    """Maps in the precision that layers run in."""
    kind = maps.device.type
    return maps.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32)
