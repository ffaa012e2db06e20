"""Cleaning up: the surplus files of groups go to a folder or to the system's trash, and come back. Nothing is deleted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from picfind import datasets, keys
from picfind.datasets.folder import Folder
from picfind.duplicates import journal
from picfind.duplicates.carrying import carry, remove_claim, sha256_of, sweep
from picfind.duplicates.groups import Group, Member
from picfind.duplicates.journal import BACK, MOVE, TRASH, UNDONE, Entry, Journal
from picfind.errors import MissingExtraError, ReadOnlyGalleryError, UsageError
from picfind.settings import Settings
from picfind.storage import roots
from picfind.storage.store import Store

_MOST_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one file. `to`: where it lies now, None for the trash. `refused`: why it stayed where it was.

    Paths are escaped as in a `Hit`.
    """

    path: str
    to: str | None = None
    refused: str = ""


def check_target(store: Store, folder: Path, *, exclude: Sequence[str] = ()) -> Path:
    """The folder, absolute, where it can take the copies; `exclude` are the patterns that indexing leaves out.

    Raises ReadOnlyGalleryError, and UsageError where the folder belongs to the gallery itself or where the next
    `picfind index` would list what has been moved there.
    """
    folder = keys.absolute(folder)
    _check(store, folder)
    for root in roots.roots(store.catalog):
        lists = _lister(root, exclude)
        parts = None if lists is None else _parts_below(folder, root.path)
        if lists is not None and parts is not None and lists.would_list(parts):
            shown = keys.shown(root.location)
            raise UsageError(
                f"{keys.shown(keys.escape(str(folder)))} lies in {shown}, which is indexed: the next `picfind index` would "
                f"list the moved copies again. Name a folder outside of it, or leave it out: a line for it in {shown}"
                f"{os.sep}.picfindignore, or the setting `exclude`."
            )
    return folder


class _Lister(Protocol):
    """What lists all that lies in its folders."""

    def would_list(self, parts: Sequence[str]) -> bool: ...


def _lister(root: roots.Root, exclude: Sequence[str]) -> _Lister | None:
    """The source of a root, where it lists whatever lies there; None for one that lists what some file names."""
    if root.kind == roots.FOLDER_KIND:
        return Folder(root.path, exclude=exclude)
    try:
        dataset = datasets.open_root(root.kind, root.location, Settings(exclude=tuple(exclude)))
    except UsageError:  # of a plug-in that is not here
        return None
    return cast(_Lister, dataset) if hasattr(dataset, "would_list") else None


def _parts_below(folder: Path, root: Path) -> tuple[str, ...] | None:
    """The path of a folder below another one, under whatever names the two are known; None where it lies elsewhere."""
    for here in (folder, Path(os.path.realpath(folder))):
        for outer in (here, *here.parents):
            if outer == root or _is_same(outer, root):
                return here.relative_to(outer).parts
    return None


def _is_same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:  # one of them is not there
        return False


def move_surplus(
    store: Store, groups: Iterable[Group], folder: Path, *, exclude: Sequence[str] = ()
) -> Iterator[Step]:
    """Move the surplus files of the groups into a folder, each below the name of its root; yields what became of each.

    Each file is moved only when it still has the bytes that the gallery knows and the kept one too, and only after the
    move stands in the journal. Ceasing to iterate stops. Raises GalleryWriteError, and what `check_target` does.
    """
    folder = check_target(store, folder, exclude=exclude)
    known = sorted((root.path for root in roots.roots(store.catalog)), key=lambda path: -len(path.parts))
    log, kept = Journal.begin(store), _Kept()
    for group, member in _surplus(groups):
        reason = _reason_to_stay(group.keeper, member, kept)
        yield (
            Step(member.path, refused=reason)
            if reason
            else _move(log, group, member, _below(known, folder, member))
        )


def trash_surplus(store: Store, groups: Iterable[Group]) -> Iterator[Step]:
    """Like `move_surplus`, into the system's trash. Raises MissingExtraError too."""
    _check(store, None)
    try:
        from send2trash import send2trash
    except ImportError as error:
        raise MissingExtraError(
            'The trash needs the package send2trash: pip install "picfind[trash]". Or move to a folder: --move-to.'
        ) from error
    log, kept = Journal.begin(store), _Kept()
    for group, member in _surplus(groups):
        reason = _reason_to_stay(group.keeper, member, kept)
        if not reason:
            log.note(TRASH, member.path, member.content, keeper=group.keeper.path)
            try:
                send2trash(str(_here(member.path)))
            except OSError as error:
                reason = f"it could not be moved to the trash: {error.strerror or error}"
        yield Step(member.path, refused=reason)


def _check(store: Store, folder: Path | None) -> None:
    if not store.writable:
        raise ReadOnlyGalleryError(
            f"The gallery {store.folder} cannot be written, so no undo journal could be kept. Nothing is moved."
        )
    if folder is not None and (_parts_below(folder, store.folder) is not None or os.path.isfile(folder)):
        raise UsageError(f"{folder} cannot take the files: name a folder outside the gallery's own.")


def _surplus(groups: Iterable[Group]) -> Iterator[tuple[Group, Member]]:
    return ((group, member) for group in groups for member in group.surplus)


class _Kept:
    """The hash of the kept file of a group: read once for all its copies, and again as soon as the file was touched."""

    def __init__(self) -> None:
        self._seen: tuple[object, ...] = ()
        self._sha256: str | None = None

    def sha256_of(self, path: Path) -> str | None:
        try:
            found = path.stat()
        except OSError:
            return None
        seen = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if self._sha256 is None or seen != self._seen:
            self._seen, self._sha256 = seen, sha256_of(path)
        return self._sha256


def _reason_to_stay(keeper: Member, member: Member, known: _Kept) -> str:
    """Looked at right before the file is touched, empty where it may go."""
    kept, own = _here(keeper.path), _here(member.path)
    if known.sha256_of(kept) != keeper.content:
        return "the file to keep is gone or has changed"
    if sha256_of(own) != member.content:
        return "it is gone or has changed"
    if kept.samefile(own):
        return "it is the kept file under another name (a link)"
    return "it is a link" if own.is_symlink() else ""


def _move(log: Journal, group: Group, member: Member, target: Path) -> Step:
    for place in _free_names(target):
        to = keys.escape(str(place))
        log.note(MOVE, member.path, member.content, to=to, keeper=group.keeper.path)
        try:
            carry(_here(member.path), place)
        except FileExistsError:
            continue
        except OSError as error:
            return Step(member.path, refused=f"it could not be moved: {error.strerror or error}")
        return Step(member.path, to)
    return Step(member.path, refused="no free name was found")


def _below(known: Sequence[Path], folder: Path, member: Member) -> Path:
    """Where a file goes: below the name of its root as it lay below the root."""
    own = _here(member.path)
    for root in known:
        if own.is_relative_to(root):
            return folder / (root.name or "files") / own.relative_to(root)
    return folder / own.name


def _free_names(target: Path) -> Iterator[Path]:
    """The target, or with a number in its name, where nothing lies now."""
    numbered = (
        target.with_name(f"{target.stem} ({number}){target.suffix}") for number in range(2, _MOST_NAMES)
    )
    return (place for place in (target, *numbered) if not os.path.lexists(place))


def undo(store: Store) -> Iterator[Step]:
    """Move back what the last clean-up moved into a folder and has not come back yet, the last file first.

    Nothing is overwritten: what cannot go back is refused with its reason and stays where it lies. Another call goes on
    with the clean-up before. Raises ReadOnlyGalleryError, GalleryWriteError.
    """
    _check(store, None)
    for clean_up in journal.entries(store):
        due = [entry for entry in clean_up if entry.step == MOVE and not entry.undone]
        came_back = False
        for entry in reversed(due):
            for step in _put_back(entry):
                came_back = came_back or not step.refused
                yield step
        if came_back:
            return


def in_trash(store: Store) -> list[str]:
    """The paths of files that clean-ups moved to the trash and that are not back at their places, escaped."""
    every = [entry for clean_up in journal.entries(store) for entry in clean_up if entry.step == TRASH]
    return sorted({entry.path for entry in every if not os.path.lexists(_here(entry.path))})


def _put_back(entry: Entry) -> Iterator[Step]:
    """What becomes of a file that was moved; nothing where it never left its place."""
    old, now = _here(entry.path), _here(entry.to or "")
    log = Journal(entry.journal)
    sweep(old)
    sweep(now)
    if sha256_of(now) != entry.sha256:
        yield from _not_there(log, entry, old, now)
        return
    if _is_there_too(old, now, entry.sha256):
        now.unlink()  # a crash came before the last step of carrying it: the same bytes lie at both places
    elif os.path.lexists(old) and not (entry.returning and remove_claim(old)):
        yield Step(
            entry.path, refused=f"another file lies there now; it stays at {keys.shown(entry.to or '')}"
        )
        return
    else:
        log.note(BACK, entry.path, entry.sha256, to=entry.to)
        try:
            carry(now, old)
        except OSError as error:
            yield Step(entry.path, refused=f"it could not be moved back: {error.strerror or error}")
            return
    log.note(UNDONE, entry.path, entry.sha256, to=entry.to)
    yield Step(entry.path, entry.path)


def _is_there_too(old: Path, now: Path, sha256: str) -> bool:
    """Whether the old place holds the bytes in its own right, so that they stay when the new one goes."""
    if old.is_symlink() or os.path.realpath(old) == os.path.realpath(now):
        return False
    return sha256_of(old) == sha256


def _not_there(log: Journal, entry: Entry, old: Path, now: Path) -> Iterator[Step]:
    """A file that is not, or not as it was, where the journal says."""
    if sha256_of(old) == entry.sha256:  # a crash came before it left, or somebody else's hand brought it back
        remove_claim(now)
        log.note(UNDONE, entry.path, entry.sha256, to=entry.to)
    elif os.path.lexists(now):
        yield Step(
            entry.path, refused=f"what lies at {keys.shown(entry.to or '')} has changed and stays there"
        )
    else:
        yield Step(entry.path, refused=f"it is no longer at {keys.shown(entry.to or '')}")


def _here(path: str) -> Path:
    return Path(keys.unescape(path))
