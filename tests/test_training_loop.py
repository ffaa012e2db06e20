"""The loop and its folder: the same curve after a stop, NaN, early stopping, checkpoints that cannot be written."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from picfind.errors import CheckpointError, SettingsError, TrainingError, UsageError
from picfind.training.recipe import Schedule, content, load_recipe
from picfind.training.saving import BEST, LAST, LOSSES, History, RunFolder
from tests.photos import write_photo

if TYPE_CHECKING:
    from picfind.training.validation import Figures

torch = pytest.importorskip("torch", reason="training needs torch")

from picfind.training.loop import device_of, fit, rate_at  # noqa: E402

RECIPE = content(load_recipe("clip-small")[1])
HOW = Schedule(epochs=4, batch=4, rate=0.05, checkpoint=3, seed=1)


class Line:
    """Learns a line from noisy points, with dropout, so that all that is random counts."""

    def __init__(self, *, spoil: int = -1, gains: int = 0) -> None:
        torch.manual_seed(0)
        self.module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        self._given = np.random.default_rng(0).normal(size=(18, 3)).astype(np.float32)
        self._spoil, self._gains = spoil, gains
        self._judged = 0

    @property
    def count(self) -> int:
        return len(self._given)

    def batch(self, at: list[int], rng: np.random.Generator, /) -> tuple[Any, ...]:
        rows = self._given[at] + rng.normal(scale=0.01, size=(len(at), 3)).astype(np.float32)
        if self._spoil == 0:
            rows[0, 0] = np.nan
        self._spoil -= 1
        return (torch.from_numpy(rows),)

    def loss(self, *batch: Any) -> Any:
        (rows,) = batch
        return (self.module(rows)[:, 0] - rows.sum(dim=1)).square().mean()

    def figures(self) -> Figures:
        self._judged += 1
        if self._gains:
            return {"mrr": min(self._judged, self._gains) / 10}
        return {"mrr": float(1 / (1 + self.loss(torch.from_numpy(self._given))))}


def begun(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.begin(RECIPE)
    return run


def losses(run: RunFolder) -> list[float]:
    return [json.loads(line)["loss"] for line in (run.folder / LOSSES).read_text().splitlines()]


@pytest.mark.parametrize("stop", [1, 3, 5, 8, 12, 15])
def test_a_run_that_stops_goes_on_with_the_same_curve(tmp_path: Path, stop: int) -> None:
    whole, parts = begun(tmp_path / "whole"), begun(tmp_path / "parts")
    task = Line()
    reports = list(fit(task, HOW, whole, data="d", title="t"))
    assert [report.step for report in reports] == list(range(1, 17))
    broken = fit(Line(), HOW, parts, data="d", title="t")
    for report in broken:
        if report.step == stop:
            break
    broken.close()
    parts.resume(RECIPE)
    resumed = Line()
    rest = list(fit(resumed, HOW, parts, data="d", title="t"))
    assert rest[-1].step == 16
    assert rest[0].step <= stop + 1
    assert losses(parts) == losses(whole)
    assert all(
        torch.equal(*pair) for pair in zip(task.module.parameters(), resumed.module.parameters(), strict=True)
    )
    assert losses(whole)[-1] < losses(whole)[0]


def test_a_run_that_has_ended_ends_again_at_once(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    list(fit(Line(), HOW, run, data="d", title="t"))
    told = losses(run)
    (run.folder / LOSSES).unlink()  # killed after its last checkpoint, before its lines
    assert list(fit(Line(), HOW, run, data="d", title="t")) == []
    assert losses(run) == told
    assert len(told) == 16


def test_the_seed_decides(tmp_path: Path) -> None:
    one, two = begun(tmp_path / "one"), begun(tmp_path / "two")
    list(fit(Line(), HOW, one, data="d", title="t"))
    list(fit(Line(), replace(HOW, seed=2), two, data="d", title="t"))
    assert losses(one) != losses(two)


def test_a_loss_that_is_no_number_stops_it_and_the_last_checkpoint_is_kept(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"loss of step 8 is nan.*lower schedule\.rate than 0\.05"):
        list(fit(Line(spoil=7), HOW, run, data="d", title="t"))
    found = run.load(LAST, data="d")
    assert found is not None
    state, history = found
    assert history.step == 6
    assert all(math.isfinite(loss) for loss in history.losses)
    assert all(bool(value.isfinite().all()) for value in state["module"].values())
    assert list(fit(Line(), HOW, run, data="d", title="t"))[-1].step == 16


def test_a_rate_that_is_far_too_high(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    with pytest.raises(TrainingError, match="training has come apart"):
        list(fit(Line(), replace(HOW, rate=1e30, clip=0, warmup=0), run, data="d", title="t"))


def test_no_gain_for_some_time_stops_it_and_the_best_is_what_remains(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    task = Line(gains=3)
    reports = list(fit(task, replace(HOW, epochs=20, patience=2), run, data="d", title="t"))
    assert [report.figures["mrr"] for report in reports if report.figures] == [0.2, 0.3, 0.3, 0.3]
    assert [report.is_best for report in reports if report.figures] == [True, True, False, False]
    assert [report.stopped for report in reports if report.figures] == [False, False, False, True]
    found = run.load(BEST, data="d")
    assert found is not None
    assert found[1].step == 8
    best = dict(task.module.named_parameters())
    assert all(torch.equal(best[name], value) for name, value in found[0]["module"].items())


def test_the_rate_rises_and_falls() -> None:
    how = Schedule(rate=2.0, warmup=0.2)
    rates = [rate_at(step, 50, how) for step in range(50)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates[10] == 2.0
    assert all(before > after for before, after in pairwise(rates[10:]))
    assert 0 < rates[-1] < 0.01


def test_devices() -> None:
    assert device_of("auto") in ("cpu", "cuda")
    with pytest.raises(SettingsError, match="cpu or cuda"):
        device_of("coreml")
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="cuda is not there"):
            device_of("cuda")


# The folder of a run


def test_a_folder_has_one_run(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    with pytest.raises(UsageError, match="--resume"):
        run.begin(RECIPE)
    write_photo(tmp_path / "photos/one.png")
    with pytest.raises(UsageError, match="holds other things"):
        RunFolder(tmp_path / "photos").begin(RECIPE)
    with pytest.raises(UsageError, match="holds other things"):
        RunFolder(tmp_path / "photos/one.png").begin(RECIPE)
    with pytest.raises(CheckpointError, match="no run"):
        RunFolder(tmp_path / "photos").resume(RECIPE)


def test_a_beginning_that_was_cut_short_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/recipe.json.0123.tmp").write_bytes(b"{")
    run = begun(tmp_path / "run")
    run.resume(RECIPE)
    assert [path.name for path in run.folder.iterdir()] == ["recipe.json"]


def test_another_recipe_is_refused_and_told(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    other = content(load_recipe("clip-small", ["schedule.rate=3e-3", "dim=64"])[1])
    with pytest.raises(
        CheckpointError, match=r"another recipe: dim was 256 and is 64; schedule\.rate was 0\.001"
    ):
        run.resume(other)


def test_other_data_are_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    list(fit(Line(), HOW, run, data="d", title="t"))
    with pytest.raises(CheckpointError, match="pictures or captions have changed"):
        list(fit(Line(), HOW, run, data="e", title="t"))


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_checkpoint_that_is_damaged(tmp_path: Path, damage: bytes | None) -> None:
    run = begun(tmp_path / "run")
    run.save(LAST, {"module": {"a": torch.zeros(400)}}, data="d", history=History([1.0]))
    whole = (run.folder / LAST).read_bytes()
    (run.folder / LAST).write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(CheckpointError, match=r"last\.pt cannot be read"):
        run.load(LAST, data="d")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    torch.save({"format": 1, "data": "d", "history": {}, "module": os.system}, run.folder / LAST)
    with pytest.raises(CheckpointError, match="cannot be read"):
        run.load(LAST, data="d")


def test_a_checkpoint_of_another_model(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    list(fit(Line(), HOW, run, data="d", title="t"))
    other = Line()
    other.module = torch.nn.Sequential(torch.nn.Linear(3, 9), torch.nn.Linear(9, 1))
    with pytest.raises(CheckpointError, match="another model"):
        list(fit(other, HOW, run, data="d", title="t"))


FULL = """
import resource, sys
from pathlib import Path
from picfind.errors import CheckpointError
from picfind.training.loop import fit
from tests.test_training_loop import HOW, Line, begun
run = begun(Path(sys.argv[1]))
try:
    for report in fit(Line(), HOW, run, data="d", title="t"):
        if report.step == 6:  # from now on no file may grow
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
except CheckpointError as error:
    print(error)
    raise SystemExit(7) from error
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX's")
def test_no_room_for_a_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "run")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "cannot be written" in done.stdout
    assert "The last good checkpoint is kept; make room, then go on with --resume" in done.stdout
    run = RunFolder(tmp_path / "run")
    run.resume(RECIPE)
    assert sorted(path.suffix for path in run.folder.iterdir() if "tmp" in path.name) == []
    found = run.load(LAST, data="d")
    assert found is not None
    assert found[1].step == 6
    assert list(fit(Line(), HOW, run, data="d", title="t"))[-1].step == 16
