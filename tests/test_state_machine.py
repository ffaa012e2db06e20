"""A folder that changes at random, a gallery that crashes at random: after every finished run the two agree."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from picfind.api import Gallery
from picfind.captions.sidecar import words_of
from picfind.datasets.folder import Folder
from picfind.images import decode
from picfind.ingest import passes
from picfind.settings import Settings
from picfind.storage import durable, health, names, owed, parts
from picfind.storage import writer as writer_module
from picfind.storage.catalog import Catalog
from picfind.storage.store import Store
from picfind.storage.wording import together
from picfind.testing import toy_encoder, toy_pair, toy_words
from picfind.types import Item, Words
from tests.photos import photo_bytes

ENCODERS = {
    "one": [toy_encoder("one")],
    "two": [toy_encoder("two"), toy_words("texts")],
    "pairs": [toy_pair("pairs")],
}
PLACES = st.sampled_from(["a.png", "b.png", "c.png", "sub/a.png", "sub/b.png", "sub/deep/a.png"])
SEEDS = st.integers(0, 5)


class Crash(BaseException):
    """Stands for the end of the process."""


class Life(RuleBasedStateMachine):
    """Six places for six pictures. `garbage` is what is no picture."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="picfind-"))
        self.photos = self.home / "photos"
        self.photos.mkdir()
        self.clock = itertools.count(1_600_000_000)

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    def files(self) -> dict[str, Path]:
        found = sorted(self.photos.rglob("*.png"))
        return {path.relative_to(self.photos).as_posix(): path for path in found}

    def write(self, place: str, data: bytes) -> None:
        path = self.photos / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        moment = next(self.clock)
        os.utime(path, (moment, moment))

    @rule(place=PLACES, seed=SEEDS)
    def put(self, place: str, seed: int) -> None:
        """Add a picture, change one, copy one, or bring one back: a seed is always the same picture."""
        self.write(place, photo_bytes(seed=seed))

    @rule(place=PLACES, text=st.sampled_from(["", "red", "a blue day", "red\ngreen"]))
    def say(self, place: str, text: str) -> None:
        """Write something beside a place for a picture, or take it away."""
        self.write(str(Path(place).with_suffix(".txt")), text.encode())

    @rule(place=PLACES, size=st.integers(0, 3))
    def spoil(self, place: str, size: int) -> None:
        self.write(place, b"x" * size)

    @precondition(lambda self: self.files())
    @rule(data=st.data(), place=PLACES)
    def rename(self, data: st.DataObject, place: str) -> None:
        source = self.files()[data.draw(st.sampled_from(sorted(self.files())))]
        goal = self.photos / place
        goal.parent.mkdir(parents=True, exist_ok=True)
        source.replace(goal)

    @precondition(lambda self: self.files())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.files()[data.draw(st.sampled_from(sorted(self.files())))].unlink()

    @rule(encoder=st.sampled_from(sorted(ENCODERS)), steps=st.integers(0, 40))
    def crash(self, encoder: str, steps: int) -> None:
        """A run that ends in the middle of some durable step."""
        with crashing(after=steps), self.gallery(encoder) as gallery:
            gallery.index(self.photos, forget=True)

    @rule(encoder=st.sampled_from(sorted(ENCODERS)), reports=st.integers(1, 3))
    def cancel(self, encoder: str, reports: int) -> None:
        with self.gallery(encoder) as gallery:
            running = gallery.indexing(self.photos, forget=True)
            list(itertools.islice(running, reports))
            running.close()

    @rule()
    def compact(self) -> None:
        with self.gallery("one") as gallery:
            gallery.compact()

    @rule()
    def purge(self) -> None:
        with self.gallery("one") as gallery:
            gallery.purge()

    @rule(encoder=st.sampled_from(sorted(ENCODERS)))
    def finish(self, encoder: str) -> None:
        """A run to the end; then everything agrees."""
        with self.gallery(encoder) as gallery:
            gallery.index(self.photos, forget=True)
            self.agree(gallery, encoder)
            again = gallery.index(self.photos, forget=True)
            assert (again.due, again.forgotten) == (0, 0)

    def agree(self, gallery: Gallery, encoder: str) -> None:
        store = gallery.store
        on_disk = {key: path.read_bytes() for key, path in self.files().items()}
        good = {key: data for key, data in on_disk.items() if len(data) > 3}
        named: dict[str, bytes] = dict(
            store.catalog.all("SELECT n.key, c.sha256 FROM names n JOIN contents c ON c.id = n.content_id")
        )
        assert named == {key: hashlib.sha256(data).digest() for key, data in good.items()}
        refused = {refusal.key for _, refusal in names.refusals(store.catalog)}
        assert refused == set(on_disk) - set(good)
        assert health.check(store) == []
        said = self.agree_on_words(store, good)
        for entry in ENCODERS[encoder]:
            wanted = {
                "picture": len(set(good.values())),
                "words": len({text for words in said.values() for text in words}),
                "pair": len({(good[key], together(words.values())) for key, words in said.items()}),
            }[entry.kind]
            if wanted:
                assert len(parts.live_parts(store.catalog, entry.space)[0]) >= wanted
                assert owed.count(store.catalog, entry.space, entry.kind) == 0
            if wanted and entry.kind != "words":
                assert len(parts.live_parts(store.catalog, entry.space)[0]) == wanted
        for key, data in good.items() if encoder != "pairs" else ():
            best = gallery.search(data, k=1, against="pictures")[0]
            assert best.content == hashlib.sha256(data).hexdigest()
            assert str(self.photos / key) in best.keys
            assert abs(best.score - 1) < 2e-3
            assert decode(data).image.size == (32, 24)

    def agree_on_words(self, store: Store, good: dict[str, bytes]) -> dict[str, dict[str, Words]]:
        """What is said of each name is what a fresh look at the folder says; gives it by name and text."""
        items = (item for item in Folder(self.photos).items() if isinstance(item, Item))
        said = {
            item.key: {words.text: words for words in words_of(item)} for item in items if item.key in good
        }
        recorded = store.catalog.all(
            "SELECT n.key, t.text FROM names n LEFT JOIN texts t ON t.id = n.text_id"
        )
        assert dict(recorded) == {key: together(words.values()) for key, words in said.items()}
        return said

    @contextmanager
    def gallery(self, encoder: str) -> Iterator[Gallery]:
        with ExitStack() as stack:
            stack.enter_context(patch.object(passes, "COMMIT_STEPS", 2))
            stack.enter_context(patch.object(writer_module, "_FANOUT", 2))
            store = Store.open(self.home / "test.gallery", create=True)
            yield stack.enter_context(Gallery(store, Settings(workers=2), encoder=ENCODERS[encoder]))


@contextmanager
def crashing(*, after: int) -> Iterator[None]:
    """From the n-th durable step on nothing more reaches the disk, as if the process had been killed there."""
    left = after

    def guarded(real: Any) -> Any:
        def step(*arguments: Any) -> Any:
            nonlocal left
            if left <= 0:
                raise Crash
            left -= 1
            return real(*arguments)

        return step

    with ExitStack() as stack:
        for name in ("_flush", "_replace", "_flush_folder", "_unlink"):
            stack.enter_context(patch.object(durable, name, guarded(getattr(durable, name))))
        stack.enter_context(patch.object(Catalog, "_commit", guarded(Catalog._commit)))
        with suppress(Crash):
            yield


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
