"""What every encoder must do."""

# ruff: noqa: S101  (this is a test suite: asserting is what it is for)

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picfind.encoders.base import Encoder, Tower
    from picfind.types import Floats

_THREADS = 4


class EncoderSuite:
    """Subclass it, call the subclass `Test...`, and give `encoder`, which is called often: keep what it loads."""

    tolerance = 1e-3
    """How far a vector may lie from itself: in another batch, in another thread, from length 1."""
    texts: Sequence[str] = (
        "a dog on a beach",
        "red",
        "",
        "Ein Haus, 2 Bäume; 家和树 🌳",
        "two white cups on a green table " * 40,
        "many people in the rain",
    )
    """Texts to encode, all different: short, empty, long, of several scripts."""

    def encoder(self) -> Encoder:
        """The encoder to test, loaded."""
        raise NotImplementedError

    @cached_property
    def _towers(self) -> list[tuple[Tower[Any], Sequence[Any]]]:
        encoder = self.encoder()
        towers: list[tuple[Tower[Any] | None, Sequence[Any]]] = [
            (encoder.image, pictures()),
            (encoder.text, self.texts),
            (
                encoder.pair,
                [*zip(pictures(), ((text,) for text in self.texts), strict=False), *self._halves()],
            ),
        ]
        return [(tower, things) for tower, things in towers if tower is not None]

    def _halves(self) -> list[tuple[Image.Image | None, tuple[str, ...]]]:
        """Pairs that lack a part."""
        return [(pictures()[1], ()), (None, (self.texts[0],))]

    def test_it_has_a_tower_and_a_card(self) -> None:
        card = self.encoder().card
        assert self._towers, "an encoder without towers"
        assert card.name and card.family and card.licence and card.source
        assert re.fullmatch("[0-9a-f]{12}", card.revision), f"revision {card.revision!r} is not 12 hex digits"
        assert card.dim > 0 and card.batch_size > 0 and card.size_mb >= 0
        assert (card.image_size is None) == (self.encoder().image is None)
        assert (self.encoder().space.name, self.encoder().space.dim) == (card.name, card.dim)

    def test_rows_have_the_shape_and_type_of_the_card(self) -> None:
        for tower, things in self._towers:
            rows = _encode(tower, things)
            assert rows.dtype == np.float32
            assert rows.shape == (len(things), self.encoder().card.dim), "all towers share one space"
            assert np.isfinite(rows).all()

    def test_rows_are_unit(self) -> None:
        for tower, things in self._towers:
            lengths = np.linalg.norm(_encode(tower, things), axis=1)
            assert (lengths <= 1 + self.tolerance).all()
            if tower is not self.encoder().pair:
                assert (lengths >= 1 - self.tolerance).all()

    def test_an_empty_batch(self) -> None:
        for tower, _ in self._towers:
            rows = tower.encode([])
            assert rows.shape == (0, self.encoder().card.dim)
            assert rows.dtype == np.float32

    def test_a_batch_is_its_singles_in_order(self) -> None:
        for tower, things in self._towers:
            alone = np.concatenate([_encode(tower, [thing]) for thing in things])
            self._close(_encode(tower, things), alone)
            self._close(_encode(tower, things[::-1]), alone[::-1])

    def test_the_same_again(self) -> None:
        for tower, things in self._towers:
            self._close(_encode(tower, things), _encode(tower, things))

    def test_different_things_differ(self) -> None:
        for tower, things in self._towers:
            rows = _encode(tower, things).astype(np.float64)
            apart = np.linalg.norm(rows[:, None] - rows[None], axis=2) + 9 * np.eye(len(rows))
            assert apart.min() > 1e-6, "two different inputs have the same vector"

    def test_a_picture_is_left_as_it_was(self) -> None:
        tower = self.encoder().image
        if tower is not None:
            for picture, again in zip(pictures(), pictures(), strict=True):
                tower.prepare(picture)
                assert (picture.size, picture.tobytes()) == (again.size, again.tobytes())

    def test_several_threads_may_prepare_and_encode(self) -> None:
        for tower, things in self._towers:
            wanted = [_encode(tower, [thing]) for thing in things]
            for found, want in zip(_at_once(_one_by(tower), [*things] * 2), wanted * 2, strict=True):
                self._close(found, want)

    def _close(self, rows: Floats, wanted: Floats) -> None:
        assert rows.shape == wanted.shape
        assert np.linalg.norm(rows - wanted, axis=1).max(initial=0) <= self.tolerance


def pictures() -> list[Image.Image]:
    """Six different RGB pictures, among them one of a single pixel and a long thin one."""
    noise = np.random.default_rng(0)
    across, down = np.meshgrid(np.linspace(0, 255, 300), np.linspace(0, 255, 200))
    return [
        Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8)),
        Image.fromarray(noise.integers(0, 256, (64, 96, 3), np.uint8)),
        Image.fromarray(np.stack([255 - down, across, down], axis=2).astype(np.uint8)),
        Image.new("RGB", (512, 512), (200, 30, 30)),
        Image.new("RGB", (1, 1), (0, 90, 0)),
        Image.fromarray(noise.integers(0, 256, (5, 700, 3), np.uint8)),
    ]


def _encode(tower: Tower[Any], things: Sequence[Any]) -> Floats:
    return tower.encode([tower.prepare(thing) for thing in things])


def _one_by(tower: Tower[Any]) -> Callable[[Any], Floats]:
    return lambda thing: _encode(tower, [thing])


def _at_once(work: Callable[[Any], Floats], things: Sequence[Any]) -> list[Floats]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, things))
