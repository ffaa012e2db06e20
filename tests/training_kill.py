"""Kills a training run at its durable steps, lets it go on, and compares the losses with those of a run that was let be.

    python -m tests.training_kill FOLDER SOURCE DEV RECIPE

Each life runs in a forked child that kills itself with SIGKILL just before its n-th flush, rename or flush of a folder.
Prints how many steps there were, and `same` or what differs.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from picfind.settings import Settings
from picfind.storage import durable
from picfind.training.captioned import read_examples
from picfind.training.loop import fit
from picfind.training.recipe import ClipRecipe, content, load_recipe
from picfind.training.run import with_data
from picfind.training.saving import LOSSES, RunFolder
from picfind.training.scratch import open_task

STEPS = ("_flush", "_replace", "_flush_folder")
STRIDE = 17


def main(folder: Path, source: str, dev: str, recipe: str) -> None:
    """Live once undisturbed; then be killed at every STRIDE-th step, once or twice, and live on."""
    whole = folder / "whole"
    steps = _child(whole, source, dev, recipe, 0)
    wanted = (whole / LOSSES).read_bytes()
    print(steps)
    for at in range(1, steps + 1, STRIDE):
        run = folder / "killed"
        shutil.rmtree(run, ignore_errors=True)
        for kill in (at, at // 2 + 1, 0):
            _child(run, source, dev, recipe, kill)
        if (run / LOSSES).read_bytes() != wanted:
            raise SystemExit(f"killed at step {at}, the losses differ")
    print("same")


def _child(run: Path, source: str, dev: str, recipe: str, kill: int) -> int:
    """One life in a process of its own; how many durable steps it made, kept in a file beside the run."""
    counted = run.with_suffix(".count")
    process = os.fork()
    if process == 0:
        try:
            counted.write_text(str(_live(run, source, dev, recipe, kill)))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if kill == 0 and status != 0:
        raise SystemExit(f"a life that nobody ended failed: {status}")
    return int(counted.read_text()) if kill == 0 else 0


def _live(run: Path, source: str, dev: str, recipe: str, kill: int) -> int:
    """Train to the last step, without making a model of it."""
    steps = _armed(kill)
    torch.set_num_threads(1)
    read = with_data(load_recipe(recipe)[1], [source], [dev])
    assert isinstance(read, ClipRecipe)
    folder, settings = RunFolder(run), Settings(workers=1)
    if folder.is_begun:
        folder.resume(content(read))
    else:
        folder.begin(content(read))
    examples = read_examples(read.data, settings, seed=read.schedule.seed)
    task = open_task(read, examples, folder, settings, lambda *_: None)
    for _ in fit(task, read.schedule, folder, data=examples.digest, title="killed"):
        pass
    return steps[0]


def _armed(kill: int) -> list[int]:
    """Count durable steps, and end the process just before one of them."""
    steps = [0]

    def guarded(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            steps[0] += 1
            if steps[0] == kill:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*given)

        return run

    for name in STEPS:
        setattr(durable, name, guarded(getattr(durable, name)))
    return steps


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
