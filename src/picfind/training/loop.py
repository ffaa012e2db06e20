"""The loop: steps, validations, checkpoints. Iterating runs it, ceasing to iterate stops it.

What is random in a step depends on the seed and the step's number alone, never on what came before. So a run that is
resumed from a checkpoint goes on as if nothing had happened: the same losses to the last bit on one machine with as many
threads. On a GPU some kernels add numbers in no fixed order, so the last digits may differ there.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from picfind.errors import CheckpointError, SettingsError, TrainingError
from picfind.training.captioned import shuffled
from picfind.training.recipe import Schedule
from picfind.training.saving import BEST, LAST, History, RunFolder
from picfind.training.validation import JUDGED, Figures

_BETAS = (0.9, 0.98)
"""AdamW's, as in CLIP's own training."""


class Task(Protocol):
    """What a kind of recipe gives to the loop."""

    @property
    def module(self) -> Any:
        """A torch module with everything that is learned; its state is what a checkpoint keeps."""
        ...

    @property
    def count(self) -> int:
        """How many examples there are."""
        ...

    def batch(self, at: list[int], rng: np.random.Generator, /) -> tuple[Any, ...]:
        """These examples as tensors on the CPU. Another thread may call it."""
        ...

    def loss(self, *batch: Any) -> Any:
        """A number to be made small, from what `batch` gave, on the device."""
        ...

    def figures(self) -> Figures:
        """How good the module is on what it is judged by; it has been put into evaluation."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after a step."""

    step: int
    steps: int
    epoch: int
    loss: float
    figures: Mapping[str, float] | None = None
    """Where there was a validation."""
    is_best: bool = False
    stopped: bool = False
    """There was no gain for as long as the recipe's patience: this was the last step."""


def device_of(wanted: str) -> str:
    """`cuda` or `cpu` for the setting `device`. Raises SettingsError for one that torch cannot use."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise SettingsError(f"Training runs on cpu or cuda, not on {wanted!r}. Set PICFIND_DEVICE=auto.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise SettingsError("The device cuda is not there: install a torch that brings it, or use `auto`.")
    return wanted


def fit(
    task: Task, how: Schedule, folder: RunFolder, *, data: str, title: str, device: str = "cpu"
) -> Generator[Progress, None, None]:
    """Train until the schedule ends, from the folder's last checkpoint where it has one; a report a step.

    At the end the module has the best weights. `data` says what is learned from: a checkpoint of other data is refused.
    Raises TrainingError when the loss or a gradient is no finite number, CheckpointError as `RunFolder` does.
    """
    machine = _Machine(task, how, device)
    found = folder.load(LAST, data=data)
    history = History() if found is None else machine.restore(found)
    if found is not None:
        folder.tell(history, title)  # a run may have ended between its checkpoint and its lines
    if not history.figures:
        _validate(task, history)  # where it starts from is a candidate too
        folder.save(BEST, {"module": learned_state(task.module)}, data=data, history=history)
    with ThreadPoolExecutor(1) as ahead:
        coming = None
        while history.step < machine.steps and not _is_over(history, how):
            batch = coming.result() if coming is not None else machine.batch(history.step)
            following = history.step + 1
            coming = ahead.submit(machine.batch, following) if following < machine.steps else None
            history.losses.append(machine.step(history.step, batch))
            report = _look(task, how, machine, history)
            if report.is_best:
                folder.save(BEST, {"module": learned_state(task.module)}, data=data, history=history)
            if report.figures is not None or (how.checkpoint and history.step % how.checkpoint == 0):
                folder.save(LAST, machine.state(), data=data, history=history)
                folder.tell(history, title)
            yield report
    best = folder.load(BEST, data=data)
    if best is not None:
        take_state(task.module, best[0]["module"])
    task.module.eval()


def _look(task: Task, how: Schedule, machine: _Machine, history: History) -> Progress:
    """Validate where it is time to."""
    epoch, into = divmod(history.step, machine.per_epoch)
    due = (into == 0 and epoch % how.validate == 0) or history.step == machine.steps
    is_best = _validate(task, history) if due else False
    return Progress(
        step=history.step,
        steps=machine.steps,
        epoch=epoch if into == 0 else epoch + 1,
        loss=history.losses[-1],
        figures=history.figures[-1] if due else None,
        is_best=is_best,
        stopped=_is_over(history, how) and history.step < machine.steps,
    )


def _validate(task: Task, history: History) -> bool:
    """Add the figures of now; whether they are the best so far."""
    task.module.eval()
    with torch.no_grad():
        found = task.figures()
    task.module.train()
    history.figures.append({"step": history.step, **found})
    is_best = history.best < 0 or found[JUDGED] > history.figures[history.best][JUDGED]
    if is_best:
        history.best = len(history.figures) - 1
    return is_best


def _is_over(history: History, how: Schedule) -> bool:
    """Whether the last `patience` validations brought no gain."""
    return how.patience > 0 and len(history.figures) - 1 - history.best >= how.patience


class _Machine:
    """The optimiser, its schedule and its precision: single on a CPU, mixed on a GPU."""

    def __init__(self, task: Task, how: Schedule, device: str) -> None:
        self._task, self._how, self._device = task, how, device
        self._batch = min(how.batch, task.count)
        self.per_epoch = task.count // self._batch
        self.steps = how.epochs * self.per_epoch
        task.module.to(device).train()
        learned = [entry for entry in task.module.parameters() if entry.requires_grad]
        groups = [
            {"params": [entry for entry in learned if entry.ndim > 1], "weight_decay": how.decay},
            {"params": [entry for entry in learned if entry.ndim < 2], "weight_decay": 0.0},
        ]
        self._learned = learned
        self._optimiser = torch.optim.AdamW(groups, lr=how.rate, betas=_BETAS)
        half = device == "cuda" and not torch.cuda.is_bf16_supported()
        self._precision = torch.float16 if half else torch.bfloat16
        self._scaler = torch.amp.GradScaler(device, enabled=half)

    def batch(self, step: int) -> tuple[Any, ...]:
        """The examples of a step, on the CPU."""
        epoch, at = divmod(step, self.per_epoch)
        order = shuffled(self._task.count, seed=self._how.seed, epoch=epoch)
        rng = np.random.default_rng([self._how.seed, step])
        return self._task.batch(order[at * self._batch : (at + 1) * self._batch], rng)

    def step(self, step: int, batch: tuple[Any, ...]) -> float:
        """Learn from a batch; its loss before that."""
        torch.manual_seed(self._how.seed * 1_000_003 + step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate_at(step, self.steps, self._how)
        moved = [entry.to(self._device) for entry in batch]
        with self._mixed():
            loss = self._task.loss(*moved)
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        length = torch.nn.utils.clip_grad_norm_(self._learned, self._how.clip or math.inf)
        value = float(loss.detach())
        self._check(step, value, float(length))
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return value

    def _mixed(self) -> AbstractContextManager[Any]:
        return torch.autocast("cuda", self._precision) if self._device == "cuda" else nullcontext()

    def _check(self, step: int, loss: float, length: float) -> None:
        """Before the weights change, so that none is ever kept that is no number."""
        fine = math.isfinite(length) or self._scaler.is_enabled()  # the scaler passes over such a step itself
        if not (math.isfinite(loss) and fine):
            what = "loss" if not math.isfinite(loss) else "gradient"
            raise TrainingError(
                f"The {what} of step {step + 1} is {loss if what == 'loss' else length}: training has come apart. The last "
                f"good checkpoint is kept. Begin anew with a lower schedule.rate than {self._how.rate:g}, or a lower "
                "schedule.clip."
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the machine, besides the history."""
        return {
            "module": learned_state(self._task.module),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def restore(self, found: tuple[dict[str, Any], History]) -> History:
        """Take a checkpoint's state; gives its history."""
        state, history = found
        take_state(self._task.module, state["module"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        return history


def learned_state(module: Any) -> dict[str, Any]:
    """The parameters of a module that learn, by name. What is frozen is not kept: it is where it came from."""
    return {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}


def take_state(module: Any, state: Mapping[str, Any]) -> None:
    """Give a module what `learned_state` gave. Raises CheckpointError when it is another module's."""
    parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
    odd = parameters.keys() ^ state.keys() or {
        name for name, value in parameters.items() if value.shape != state[name].shape
    }
    if odd:
        raise CheckpointError(
            f"The checkpoint is of another model: {min(odd)} differs. Begin anew with another --out."
        )
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(state[name])


def rate_at(step: int, steps: int, how: Schedule) -> float:
    """The learning rate of a step: rising in a line over the warm-up, then falling as half a cosine to nothing."""
    rising = math.ceil(how.warmup * steps)
    if step < rising:
        return how.rate * (step + 1) / rising
    return how.rate * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2
