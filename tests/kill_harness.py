"""Kills a process at every durable step of a gallery's life, and looks at what is left.

    python -m tests.kill_harness FOLDER

Each life runs in a forked child that kills itself with SIGKILL just before or just after its n-th durable step: a
flush, a rename, a removal, a commit. The gallery that is left must open, hold what had been committed, have no fault
but litter, and be complete after the same life is lived again to its end. Prints how many steps there were.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from picfind.api import Gallery
from picfind.captions import recognising
from picfind.images import tiles
from picfind.ingest import passes
from picfind.settings import Settings
from picfind.storage import durable, health, names, parts, roots, spaces
from picfind.storage import writer as writer_module
from picfind.storage.catalog import Catalog
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_pair, toy_words
from picfind.types import RecognisedLine
from tests.photos import write_photo

ENCODERS = [toy_encoder(), toy_words(), toy_pair()]
LARGE = (200, 192)
"""Of some pictures: large enough to have regions."""
ROWS = 2
"""Lives that are lived at a time."""
STEPS = ("_flush", "_replace", "_flush_folder", "_unlink")


class Reader:
    """Reads the size of a picture, in place of the text inside it."""

    name, version = "size", "1"

    def read(self, image: Image.Image) -> list[RecognisedLine]:
        return [RecognisedLine(f"{image.width} wide", (0.0, 0.0, 1.0, 1.0), 1.0)]


def main(folder: Path) -> None:
    """Live, kill, look; one step later each time, until a life ends by itself. Two rows of lives side by side."""
    prepare(folder)
    rows = [forked(lambda first=first: chain(folder, first)) for first in range(1, ROWS + 1)]  # type: ignore[misc]
    statuses = [os.waitpid(row, 0)[1] for row in rows]
    if any(statuses):
        sys.exit(1)
    print(min(int(path.read_text()) for path in folder.glob("ended-*")) - 1)


def chain(folder: Path, first: int) -> None:
    """The lives that are killed at every second step, say. Writes down at which step the first one ended by itself."""
    copy = folder / f"life-{first}"
    for step in itertools.count(first, ROWS):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder / "start", copy, symlinks=True)
        status = in_child(lambda: live(copy, kill_at=step))  # noqa: B023
        if status == 0:
            (folder / f"ended-{first}").write_text(str(step))
            return
        if not os.WIFSIGNALED(status):
            raise RuntimeError(f"a life with a kill at step {step} failed by itself")
        if in_child(lambda: look(copy)):
            raise RuntimeError(f"the gallery is not sound after a kill at step {step}")


def in_child(work: Callable[[], None]) -> int:
    """Do something in a forked process; gives its wait status, 0 when all went well."""
    return os.waitpid(forked(work), 0)[1]


def forked(work: Callable[[], None]) -> int:
    """Do something in a forked process; gives its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def prepare(folder: Path) -> None:
    """What every life begins with: two folders of pictures, and another gallery to adopt."""
    start = folder / "start"
    for number in range(7):
        write_photo(start / "photos" / f"{number}.png", seed=number, size=LARGE if number < 3 else (32, 24))
    (start / "photos" / "bad.png").write_bytes(b"no picture")
    (start / "photos" / "3.txt").write_text("a red wall.")
    for number in range(3):
        write_photo(start / "more" / f"{number}.png", colour="blue", seed=number)
    with open_gallery(start, "other.gallery") as other:
        other.index(start / "more")


def open_gallery(folder: Path, name: str = "test.gallery") -> Gallery:
    """A gallery that commits every two pictures."""
    passes.COMMIT_STEPS = 2
    writer_module._FANOUT = 2
    recognising.load = lambda **_: Reader()  # type: ignore[assignment]
    return Gallery(Store.open(folder / name, create=True), Settings(workers=1), encoder=ENCODERS)


def live(folder: Path, *, kill_at: int = 0) -> None:
    """Index, change the folder and index again, compact, switch, adopt, forget, purge, drop; all can be done again."""
    if kill_at:
        arm(kill_at)
    photos = folder / "photos"
    log = folder / "committed"
    with open_gallery(folder) as gallery:
        for report in gallery.indexing(photos):
            note(log, gallery, report.done)
        change(photos)
        for report in gallery.indexing(photos, regions=True, ocr=True):
            note(log, gallery, report.done)
        gallery.compact()
        gallery.use("toy-pair")
        gallery.use("toy")
        gallery.adopt(folder / "other.gallery")
        (folder / "purging").touch()
        for root in roots.roots(gallery.store.catalog):
            if root.path.name == "more":
                gallery.forget(root.path, purge=True)
        gallery.purge()
        gallery.drop("toy-pair")


def change(photos: Path) -> None:
    """Rename, delete, change and add, once."""
    if (photos / "new.png").exists():
        return
    (photos / "0.png").rename(photos / "renamed.png")
    (photos / "1.png").unlink()
    write_photo(photos / "2.png", colour="green", seed=99, size=LARGE)
    (photos / "3.txt").write_text("a red door.")
    write_photo(photos / "new.png", colour="yellow", seed=100)


def note(log: Path, gallery: Gallery, done: int) -> None:
    """Write down the contents whose vectors are committed now."""
    if done:
        log.write_text("\n".join(sorted(key.hex() for key in encoded(gallery.store))))


def encoded(store: Store) -> set[bytes]:
    """The contents that have a vector."""
    rows = store.catalog.all(
        "SELECT c.sha256 FROM rows r JOIN parts p ON p.id = r.part_id JOIN contents c ON c.id = p.content_id"
    )
    return {sha256 for (sha256,) in rows}


def arm(kill_at: int) -> None:
    """Make the process kill itself at its n-th moment before or after a durable step."""
    kill_around([*((durable, name) for name in STEPS), (Catalog, "_commit")], kill_at)


def kill_around(steps: Iterable[tuple[Any, str]], kill_at: int) -> None:
    """Make the process kill itself at its n-th moment before or after a call of one of these functions."""
    moments = 0

    def moment() -> None:
        nonlocal moments
        moments += 1
        if moments == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            moment()
            result = real(*arguments)
            moment()
            return result

        setattr(owner, name, watched)

    for owner, name in steps:
        around(owner, name)


def look(folder: Path) -> None:
    """What must hold after any kill, and after living on."""
    store = Store.open(folder / "test.gallery", create=True)
    faults = [finding for finding in health.check(store) if not finding.what.startswith("stray file")]
    assert not faults, faults
    bare = store.catalog.all(
        "SELECT key FROM names n JOIN contents c ON c.id = n.content_id WHERE c.sha256 NOT IN "
        "(SELECT c.sha256 FROM rows r JOIN parts p ON p.id = r.part_id JOIN contents c ON c.id = p.content_id)"
    )
    assert not bare, f"names without their vectors: {bare}"
    log = folder / "committed"
    if log.exists() and not (folder / "purging").exists():
        lost = {bytes.fromhex(line) for line in log.read_text().splitlines()} - encoded(store)
        assert not lost, f"{len(lost)} committed vectors are lost"
    store.close()
    live(folder)
    store = Store.open(folder / "test.gallery")
    assert health.check(store) == [], health.check(store)
    on_disk = {
        path.name: hashlib.sha256(path.read_bytes()).digest() for path in (folder / "photos").glob("*.png")
    }
    del on_disk["bad.png"]
    named: dict[str, bytes] = dict(
        store.catalog.all("SELECT n.key, c.sha256 FROM names n JOIN contents c ON c.id = n.content_id")
    )
    assert named == on_disk, (sorted(named), sorted(on_disk))
    assert encoded(store) == set(on_disk.values())
    assert [refusal.key for _, refusal in names.refusals(store.catalog)] == ["bad.png"]
    cut = sum(len(tiles.boxes(*Image.open(path).size)) for path in (folder / "photos").glob("[!b]*.png"))
    assert cut > 0
    assert len(parts.live_parts(store.catalog, ENCODERS[0].space)[0]) == len(on_disk) + cut
    read = store.catalog.all("SELECT path, recognised FROM said")
    assert {path for path, text in read if text and text.endswith(" wide")} == set(on_disk)
    texts = store.catalog.all("SELECT DISTINCT t.text FROM words w JOIN texts t ON t.id = w.text_id")
    assert ("a red door.",) in texts
    assert ("a red wall.",) not in texts
    assert len(parts.live_parts(store.catalog, ENCODERS[1].space)[0]) >= len(texts)
    assert spaces.spaces(store.catalog) == [ENCODERS[0].space, ENCODERS[1].space]
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
