"""The folder of a training run: checkpoints that are whole or not there, the losses so far, and their picture.

    recipe.json         what the run is made by
    last.pt             where it stands, after a step: weights, optimiser, losses, figures
    best.pt             the weights that validation liked best
    losses.jsonl        a line a step
    figures.jsonl       a line a validation
    curves.svg          both as a plot

Checkpoints hold tensors and plain values alone, and are read without unpickling.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picfind import keys
from picfind.errors import CheckpointError, UsageError
from picfind.storage import durable
from picfind.training.curves import svg
from picfind.training.recipe import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
RECIPE, LAST, BEST = "recipe.json", "last.pt", "best.pt"
LOSSES, FIGURES, CURVES = "losses.jsonl", "figures.jsonl", "curves.svg"


@dataclass(slots=True)
class History:
    """What a run has been through."""

    losses: list[float] = field(default_factory=list)
    """Of each step."""
    figures: list[dict[str, float]] = field(default_factory=list)
    """Of each validation, with its `step`."""
    best: int = -1
    """Which of `figures` is the best by what the task is judged by; -1 before the first."""

    @property
    def step(self) -> int:
        """Steps that are done."""
        return len(self.losses)


class RunFolder:
    """A run's own folder. Raises CheckpointError for what cannot be written, read, or is another run's."""

    def __init__(self, folder: Path) -> None:
        self.folder = keys.absolute(folder)

    @property
    def is_begun(self) -> bool:
        """Whether a run lives here."""
        return os.path.lexists(self.folder / RECIPE)

    def begin(self, recipe: str) -> None:
        """Make the folder, for a run by this recipe. Raises UsageError when something else is there."""
        if self.is_begun:
            raise UsageError(
                f"There is a run in {self.folder} already. Go on with it by --resume, or name another folder by --out."
            )
        if os.path.lexists(self.folder) and (not self.folder.is_dir() or self._others()):
            raise UsageError(f"{self.folder} holds other things. Name another folder by --out.")
        with self._writing(RECIPE):
            durable.make_folder(self.folder)
        self.write(RECIPE, recipe.encode("utf-8", "surrogateescape"))

    def resume(self, recipe: str) -> None:
        """Raises CheckpointError when the run here was begun by another recipe, and names what differs."""
        if not self.is_begun:
            raise CheckpointError(f"There is no run in {self.folder} to go on with. Leave --resume out.")
        try:
            before = (self.folder / RECIPE).read_bytes().decode("utf-8", "surrogateescape")
            found = differences(before, recipe)
        except (OSError, ValueError) as error:
            raise self._unread(RECIPE, error) from error
        if found:
            raise CheckpointError(
                f"The run in {self.folder} was begun by another recipe: {'; '.join(found[:3])}. Resume with the same "
                "recipe, data and --set, or begin anew with another --out."
            )
        with self._writing(LAST):
            self._sweep()

    def _others(self) -> bool:
        """Whether something lies here that no beginning of a run can have left."""
        return not all(path.name.endswith(durable.TEMPORARY) for path in self.folder.iterdir())

    def _sweep(self) -> None:
        """Remove what a crash left half-written."""
        for path in self.folder.iterdir():
            if path.name.endswith(durable.TEMPORARY):
                durable.remove(path)

    def read(self, name: str) -> bytes | None:
        """A file of the run, None where there is none."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unread(name, error) from error

    def write(self, name: str, data: bytes) -> None:
        """Put a file of the run in place, durably."""
        with self._writing(name):
            durable.write(self.folder / name, lambda file: file.write(data))

    def save(self, name: str, state: Mapping[str, Any], *, data: str, history: History) -> None:
        """Put a checkpoint in place. `data` says what the run learns from."""
        import torch

        buffer = io.BytesIO()
        whole = {"format": FORMAT, "data": data, "history": asdict(history), **state}
        torch.save(whole, buffer)
        self.write(name, buffer.getvalue())

    def load(self, name: str, *, data: str) -> tuple[dict[str, Any], History] | None:
        """The state and the history of a checkpoint, None where there is none yet."""
        import torch

        content = self.read(name)
        if content is None:
            return None
        try:
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            history = History(**found.pop("history"))
            made, version = found.pop("data"), found.pop("format")
        except Exception as error:  # torch, pickle and zipfile each raise their own
            raise self._unread(name, error) from error
        if version != FORMAT:
            raise CheckpointError(
                f"The checkpoint {self.folder / name} has the format {version}; this picfind reads {FORMAT}."
            )
        if made != data:
            raise CheckpointError(
                f"The pictures or captions have changed since the checkpoint {self.folder / name} was written. Bring "
                "them back, or begin anew with another --out."
            )
        return found, history

    def tell(self, history: History, title: str) -> None:
        """Write the losses and figures so far, as lines and as a plot."""
        losses = [{"step": at, "loss": loss} for at, loss in enumerate(history.losses, start=1)]
        self.write(LOSSES, _lines(losses))
        self.write(FIGURES, _lines(history.figures))
        self.write(CURVES, svg(history.losses, history.figures, title=title).encode())

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = (
                "The last good checkpoint is kept"
                if os.path.exists(self.folder / LAST)
                else "Nothing is kept"
            )
            raise CheckpointError(
                f"{self.folder / name} cannot be written: {error.strerror or error}. {kept}; make room, then go on with "
                "--resume."
            ) from error

    def _unread(self, name: str, error: Exception) -> CheckpointError:
        first = str(getattr(error, "strerror", None) or error).strip().split("\n")[0]
        return CheckpointError(
            f"{self.folder / name} cannot be read: {first.rstrip('.')}. Begin anew with another --out."
        )


def _lines(rows: Sequence[Mapping[str, float]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
