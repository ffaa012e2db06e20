"""What is learned from: pictures with what is said of them, out of any source that picfind reads."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import Image

from picfind import keys
from picfind.captions.sidecar import words_of
from picfind.datasets import open_source
from picfind.errors import PictureError, TrainingError
from picfind.images import Limits, decode, read_limited
from picfind.settings import Settings, cores
from picfind.training.recipe import Data, digest
from picfind.types import CAPTION, HINTS, TITLE, Gap, Item, Words

T = TypeVar("T")

_LIKED = (CAPTION, TITLE)
"""Kinds of words that captions are taken from; tags only where there are none of these."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Example:
    """A picture and its captions, of which there is one at least."""

    item: Item
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """What is learned from, what it is judged by, and what was left out."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    sources: tuple[str, ...]
    """Where they come from, as given."""
    notes: tuple[str, ...] = ()
    """What a person should know of what was left out."""

    @property
    def digest(self) -> str:
        """What changes with a key, a fingerprint or a caption: 12 hex digits."""
        parts = [
            [[example.item.key, example.item.fingerprint, example.captions] for example in part]
            for part in (self.train, self.dev)
        ]
        return digest(json.dumps(parts, ensure_ascii=False))


def read_examples(data: Data, settings: Settings, *, seed: int) -> Examples:
    """List the sources of a recipe. No picture is read.

    Raises TrainingError where there is nothing to learn from, and for pictures that are named and not there, unless the
    recipe says `skip_broken`; what a broken file of captions raises, which names the line.
    """
    if not data.train:
        raise TrainingError(
            "There is nothing to learn from: name pictures with captions by --data, such as "
            "flickr:/data/flickr8k#train, or in the recipe by data.train."
        )
    notes: list[str] = []
    train = _listed(data.train, settings, data, notes)
    dev = _listed(data.dev, settings, data, notes)
    if not dev:
        train, dev = _held_out(train, data.held_out, seed)
    if len(train) < 2 or len(dev) < 2:
        raise TrainingError(
            f"There are {len(train)} pictures to learn from and {len(dev)} to judge by; two of each are the least, and "
            "each needs a caption."
        )
    shared = {example.item.key for example in train} & {example.item.key for example in dev}
    if shared and set(data.train) & set(data.dev):
        raise TrainingError(
            f"{len(shared)} pictures are in both data.train and data.dev, such as {keys.shown(min(shared))}: a model "
            "cannot be judged by what it has learned. Name another split, or leave data.dev out."
        )
    return Examples(tuple(train), tuple(dev), (*data.train, *data.dev), tuple(notes))


def _listed(sources: Sequence[str], settings: Settings, data: Data, notes: list[str]) -> list[Example]:
    found: list[Example] = []
    for source in sources:
        bare = 0
        for entry in open_source(source, settings).items():
            if isinstance(entry, Gap):
                _left_out(f"{source}: {entry.reason}", data, notes)
                continue
            captions = _captions(words_of(entry))
            bare += not captions
            if captions:
                found.append(Example(replace(entry, words=(), sidecars=()), captions))
        if bare:
            notes.append(f"{source}: {bare:,} pictures without captions were left out")
    return found


def _left_out(what: str, data: Data, notes: list[str]) -> None:
    if not data.skip_broken:
        raise TrainingError(
            f"{what}. Put it there, or go on without what is missing or damaged by data.skip_broken = true "
            "(--set data.skip_broken=true)."
        )
    notes.append(what)


def _captions(words: Iterable[Words]) -> tuple[str, ...]:
    said = [entry for entry in words if entry.origin not in HINTS and entry.text.strip()]
    liked = tuple(entry.text for entry in said if entry.kind in _LIKED)
    return liked or tuple(entry.text for entry in said)


def _held_out(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """By a hash of each key, so that a picture that is added moves no other."""

    def draw(example: Example) -> float:
        named = hashlib.sha256(f"{seed}\0{example.item.key}".encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(named[:8], "big") / 2**64

    apart = [draw(example) < share for example in examples]
    return (
        [example for example, out in zip(examples, apart, strict=True) if not out],
        [example for example, out in zip(examples, apart, strict=True) if out],
    )


def each_picture(
    examples: Sequence[Example],
    work: Callable[[bytes, Callable[[], Image.Image]], T],
    *,
    at_least: int,
    settings: Settings,
    told: Callable[[int, int], None] | None = None,
) -> list[T | str]:
    """Read every picture, in threads and in order: what `work` makes of its bytes and its decoder, or what is wrong.

    `told` is given how many are done, and of how many.
    """
    limits = Limits(max_pixels=settings.max_pixels, max_bytes=settings.max_bytes)

    def one(example: Example) -> T | str:
        try:
            with example.item.open() as file:
                data = read_limited(file, limits)
            return work(data, lambda: decode(data, at_least=at_least, limits=limits).image)
        except (OSError, PictureError) as error:
            return f"{keys.shown(example.item.key)}: {getattr(error, 'strerror', None) or error}"

    done: list[T | str] = []
    with ThreadPoolExecutor(settings.workers or cores()) as pool:
        for at in range(0, len(examples), _AT_ONCE):
            done += pool.map(one, examples[at : at + _AT_ONCE])
            if told is not None:
                told(len(done), len(examples))
    return done


def usable(
    examples: Sequence[Example], found: Sequence[T | str], *, skip_broken: bool
) -> tuple[list[Example], list[T], list[str]]:
    """The examples whose pictures could be used, what was made of them, and what to say of the others.

    Raises TrainingError for the first of these unless `skip_broken`.
    """
    faults = [entry for entry in found if isinstance(entry, str)]
    if faults and not skip_broken:
        more = f", and {len(faults) - 1} others" if len(faults) > 1 else ""
        raise TrainingError(
            f"A picture cannot be used: {faults[0].rstrip('.')}{more}. Mend or remove it, or go on without such pictures "
            "by data.skip_broken = true (--set data.skip_broken=true)."
        )
    kept = [
        (example, entry) for example, entry in zip(examples, found, strict=True) if not isinstance(entry, str)
    ]
    return [example for example, _ in kept], [entry for _, entry in kept], faults


def shuffled(count: int, *, seed: int, epoch: int) -> list[int]:
    """The order of an epoch: the same for the same seed, on every machine."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - no secret
    return order
