"""What a source of pictures is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from picfind.types import Gap, Item


class Dataset(Protocol):
    """A source of pictures: a folder, a list of URLs, a published dataset."""

    @property
    def kind(self) -> str:
        """The kind of root that it makes in a gallery: `folder`, and so on."""
        ...

    @property
    def location(self) -> str:
        """Where the root lies now: for a folder its absolute path, escaped like a key."""
        ...

    @property
    def scope(self) -> str:
        """The part of the root that it lists: "" for all, `sub/` for what lies below a folder, or a single key."""
        ...

    def items(self) -> Iterator[Item | Gap]:
        """Everything in it, without reading any of it: stat only. Each key once, in a stable order.

        An item's sidecars come with it, sorted by key; their changes do not touch the item's own fingerprint.
        Raises MissingSourceError when the source itself is not there.
        """
        ...
