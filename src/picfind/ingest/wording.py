"""What is said of an item: beside it, by its name, and in a table that the run was given."""

from __future__ import annotations

from dataclasses import dataclass

from picfind.captions import sidecar
from picfind.captions.table import CaptionTable
from picfind.storage.wording import words_hash
from picfind.types import Item, Words


@dataclass(frozen=True, slots=True)
class Marks:
    """Tell whether what is said of an item may have changed, without anything being read.

    `table` is None where the run was given no table: what one said before then stays.
    """

    words: str = ""
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """The words of an item's name, and what a table says of it, with their marks."""

    marks: Marks
    words: tuple[Words, ...] = ()
    table: tuple[Words, ...] | None = None


class Wording:
    """Reads the words of items. Safe from several threads."""

    def __init__(self, table: CaptionTable | None = None) -> None:
        self._table = table

    def marks(self, item: Item) -> Marks:
        """The marks of an item, from what the listing says of it."""
        return _marks(item, self._in_table(item))

    def read(self, item: Item) -> Said:
        """All that is said of an item; reads the files beside it."""
        table = self._in_table(item)
        return Said(_marks(item, table), sidecar.words_of(item), table)

    def is_in_table(self, item: Item) -> bool:
        """Whether the table says anything of an item."""
        return bool(self._in_table(item))

    def _in_table(self, item: Item) -> tuple[Words, ...] | None:
        return None if self._table is None else self._table.words_for(item.key)


def _marks(item: Item, table: tuple[Words, ...] | None) -> Marks:
    return Marks(sidecar.words_mark(item), None if table is None else words_hash(table))
