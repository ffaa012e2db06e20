"""Kills a process at every step of moving copies aside and back, and looks at what is left.

    python -m tests.duplicates_kill FOLDER [no-links | other-drive]

After a kill at any step every picture's bytes must lie whole at the old place or at the new one, and undoing must bring
all of them back, with no file beside them that was not there. Prints how many steps there were.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from pathlib import Path

from picfind.api import Gallery
from picfind.duplicates import carrying, find_duplicates, move_surplus, undo
from picfind.settings import Settings
from picfind.storage import durable
from picfind.storage.store import Store
from picfind.testing import toy_encoder
from tests.kill_harness import in_child, kill_around
from tests.scenes import save, scene

STEPS = ((durable, "_flush"), (durable, "_flush_folder"), (durable, "_replace"))
CARRYING = ("_link", "_unlink")


def main(folder: Path, way: str = "") -> None:
    """Live, kill, look; one step later each time, until a life ends by itself."""
    start, life = folder / "start", folder / "life"
    for seed in (1, 2):
        save(scene(seed), life / "photos" / f"{seed}.png")
        save(scene(seed).resize((120, 80)), life / "photos" / "small" / f"{seed}.jpg")
    index(life)
    life.rename(start)
    step = 0
    while True:
        step += 1
        shutil.rmtree(life, ignore_errors=True)
        shutil.copytree(start, life)
        status = in_child(lambda: live(life, way, kill_at=step))  # noqa: B023
        if status and not os.WIFSIGNALED(status):
            sys.exit(f"a life with a kill at step {step} failed by itself")
        if in_child(lambda: look(life, start)):
            sys.exit(f"something is lost after a kill at step {step}")
        if status == 0:
            break
    print(step - 1)


def index(folder: Path) -> None:
    """Index the photos."""
    with Gallery(
        Store.open(folder / "test.gallery", create=True), Settings(workers=1), encoder=toy_encoder()
    ) as made:
        made.index(folder / "photos")


def live(folder: Path, way: str, *, kill_at: int) -> None:
    """Move the copies aside and back."""
    arm(kill_at, way)
    store = Store.open(folder / "test.gallery")
    found = find_duplicates(store)
    assert len(found) == 2
    for _ in move_surplus(store, found, folder / "aside"):
        pass
    for _ in undo(store):
        pass


def arm(kill_at: int, way: str) -> None:
    """Make the process kill itself at its n-th moment before or after a step."""
    real = carrying._link

    def hindered(source: Path, target: Path) -> None:
        if way == "no-links":
            raise OSError(errno.EPERM, "no links here")
        if way == "other-drive" and source.suffix != ".part":
            raise OSError(errno.EXDEV, "another drive")
        real(source, target)

    carrying._link = hindered
    kill_around([*STEPS, *((carrying, name) for name in CARRYING)], kill_at)


def look(folder: Path, start: Path) -> None:
    """What must hold after any kill, and after undoing."""
    wanted = hashes(start / "photos")
    there = {
        **{f"aside/{key}": its for key, its in hashes(folder / "aside").items()},
        **hashes(folder / "photos"),
    }
    assert set(wanted.values()) <= set(there.values()), "bytes are lost"
    store = Store.open(folder / "test.gallery")
    for _ in undo(store):
        pass
    assert hashes(folder / "photos") == wanted, "not all came back"
    left = {key: its for key, its in hashes(folder / "aside").items() if its in wanted.values()}
    assert not left or all(wanted_is_there(folder, its) for its in left.values())
    assert find_duplicates(store).pictures == len(wanted)


def wanted_is_there(folder: Path, its: str) -> bool:
    """Whether a copy that a crash left aside is also at its old place."""
    return its in hashes(folder / "photos").values()


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, with the hash of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
