"""A dataset whose pictures are files below one folder, named by files that also say what they show."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from picfind import datasets, keys
from picfind.datasets._entries import fingerprint, open_regular, reason
from picfind.datasets._judging import Told, judged
from picfind.datasets.base import DATASET, Judged, Place
from picfind.errors import MissingSourceError, UsageError
from picfind.images import distinct
from picfind.types import CAPTION, TAG, TITLE, Fingerprint, Gap, Item, Words


class Collection:
    """A dataset made of what a reader tells of its pictures.

    Pictures that are named and not there are left out, counted, and reported as one gap for each folder at the end of
    the listing. Where most of a folder's pictures are missing, the gap hides them: a drive is not plugged in, a part was
    not unpacked. Where most are there, somebody has taken the others away, and they may be forgotten. One that is named
    twice is listed once, with what was told first.
    """

    def __init__(
        self,
        kind: str,
        root: Path,
        *,
        told: Callable[[], Iterator[Told]],
        options: Mapping[str, str],
    ) -> None:
        """`told` is called for each listing; it raises MissingSourceError where its files are not there, and UsageError
        for what it cannot read. `options` are those that make it another dataset."""
        self._kind, self._root, self._told, self._options = kind, root, told, options

    @property
    def kind(self) -> str:
        """The name of the plug-in."""
        return self._kind

    @property
    def name(self) -> str:
        """The plug-in's, and the split."""
        return self._kind + (f"#{self._options['split']}" if "split" in self._options else "")

    @property
    def location(self) -> str:
        """The folder, and the options behind a `?`."""
        return datasets.location_of(self._root, self._options)

    @property
    def scope(self) -> str:
        """All of it."""
        return ""

    def items(self) -> Iterator[Item | Gap]:
        """The pictures that are there, in the order of the files that name them; then what is missing.

        Raises MissingSourceError where the files are missing, or all of the pictures; UsageError for a broken file.
        """
        for listed in self._listed():
            yield listed if isinstance(listed, Gap) else listed[0]

    def reopen(self, key: str, fingerprint: Fingerprint) -> BinaryIO:
        """Open the file as it is now. Raises OSError."""
        return open_regular(str(self._root / keys.unescape(key)))

    def queries(self) -> Iterator[Judged]:
        """What is asked for the pictures that are there. Raises what `items` raises."""
        there = (listed for listed in self._listed() if not isinstance(listed, Gap))
        yield from judged((item.key, told) for item, told in there)

    def _listed(self) -> Iterator[tuple[Item, Told] | Gap]:
        seen: set[str] = set()
        there: Counter[str] = Counter()
        missing: dict[str, _Missing] = {}
        for told in self._told():
            item = self._item(told, missing)
            if item is not None and item.key not in seen:
                seen.add(item.key)
                there[keys.escape(told.places[0]).rpartition("/")[0]] += 1
                yield item, told
        if missing and not seen:
            raise MissingSourceError(self._all_missing(list(missing.values())))
        for folder, lost in missing.items():
            yield from lost.gaps(hides=lost.count > there[folder])

    def _item(self, told: Told, missing: dict[str, _Missing]) -> Item | None:
        why = ""
        for place in told.places:
            path = str(self._root / place)
            try:
                found = os.stat(path)  # noqa: PTH116 - a million of them: no object for each
            except (OSError, ValueError) as error:  # ValueError: no name that the system could have
                why = why or reason(error)
                continue
            if stat.S_ISREG(found.st_mode):
                opens = partial(open_regular, path)
                return Item(
                    keys.escape(place), fingerprint(found), opens, words_of(told), dated=found.st_mtime
                )
            why = why or "no file"
        key = keys.escape(told.places[0])
        lost = missing.setdefault(key.rpartition("/")[0], _Missing(key, why))
        lost.add(key, elsewhere=len(told.places) > 1)
        return None

    def _all_missing(self, folders: list[_Missing]) -> str:
        count = sum(folder.count for folder in folders)
        first = keys.escape(str(self._root / keys.unescape(folders[0].first)))
        return (
            f"None of the {count:,} pictures of {self.name} is there; the first was looked for at {keys.shown(first)} "
            f"({folders[0].reason}). Unpack the pictures there."
        )


@dataclass(slots=True)
class _Missing:
    """Pictures of one folder that are not there."""

    first: str
    reason: str
    prefix: str = ""
    count: int = 0
    elsewhere: bool = False
    """Whether they may have lain in other folders too."""

    def add(self, key: str, *, elsewhere: bool) -> None:
        while self.count and not key.startswith(self.prefix):
            self.prefix = self.prefix[:-1]
        self.prefix = self.prefix if self.count else key
        self.count += 1
        self.elsewhere = self.elsewhere or elsewhere

    def gaps(self, *, hides: bool) -> Iterator[Gap]:
        """One for all, which tells how many there are; and one over everything, where they may be known elsewhere."""
        named = (
            "1 picture is named and is" if self.count == 1 else f"{self.count:,} pictures are named and are"
        )
        yield Gap(self.prefix, f"{named} not there, {self.first} first: {self.reason}", hides)
        if hides and self.elsewhere:
            yield Gap("", "nothing is forgotten while so many are missing")


def words_of(told: Told) -> tuple[Words, ...]:
    """All that is told of a picture, each text once."""
    texts = (*told.captions, *(text for text, _ in told.regions))
    kinds = ((CAPTION, texts), (TITLE, told.titles), (TAG, (*told.labels, *told.tags)))
    return distinct([Words(text, DATASET, kind) for kind, some in kinds for text in some])


def check_options(place: Place, kind: str, known: Sequence[str]) -> None:
    """Raise UsageError for an option that a plug-in does not know."""
    unknown = next((name for name in place.options if name not in known), None)
    if unknown is not None:
        there = ", ".join(known) or "none"
        raise UsageError(f"{kind}: there is no option {unknown!r}. Options are: {there}.")


def splits_of(place: Place, kind: str, known: Sequence[str]) -> tuple[str, ...]:
    """The splits that are asked for: all that are known where none is named. Raises UsageError."""
    text = place.options.get("split")
    wanted = text.split("+") if text is not None else known
    unknown = next((split for split in wanted if split not in known), None)
    if unknown is not None:
        raise UsageError(f"{kind}: there is no split {unknown!r}. Splits are: {', '.join(known)}.")
    return tuple(wanted)


def need(root: Path, wanted: Sequence[str], *, kind: str, owner: str) -> Path:
    """The first of some files that is there: each will do.

    Raises MissingSourceError, which lists them all and says where their owner has them.
    """
    for name in wanted:
        if os.path.isfile(root / name):
            return root / name
    raise missing(root, wanted, kind=kind, owner=owner)


def missing(root: Path, wanted: Sequence[str], *, kind: str, owner: str) -> MissingSourceError:
    """What to raise where none of these files or folders lies in a dataset's folder."""
    shown = keys.shown(keys.escape(str(root)))
    if not os.path.isdir(root):
        return MissingSourceError(
            f"There is no folder {shown}. For {kind} it should hold {', '.join(wanted)}: {owner}"
        )
    return MissingSourceError(f"{kind}: {shown} has none of {', '.join(wanted)}. {owner}")
