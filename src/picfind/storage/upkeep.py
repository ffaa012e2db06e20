"""Looking after a gallery: compact, purge, and saying what is in it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from picfind.errors import UsageError
from picfind.storage import durable, names, owed, parts, roots, said, segments, spaces
from picfind.storage.store import INDEXES, Store
from picfind.storage.writer import Writer
from picfind.types import PAIR, PICTURE, WORDS, Space


def compact(store: Store) -> None:
    """Merge each space's segments into one, without its dead rows, and give free pages of the catalog back."""
    with store.writing() as writer:
        _compact(store, writer)
    store.catalog.vacuum()


def _compact(store: Store, writer: Writer) -> None:
    for space in spaces.spaces(store.catalog):
        found = store.vectors(space)[1]
        dead = any((segment.parts == parts.DEAD).any() for segment in found)
        if len(found) > 1 or dead:
            writer.merge(space, [segment.id for segment in found])


def purge(store: Store) -> int:
    """Remove what no longer has a name, with its vectors. Gives how many contents that were."""
    with store.writing() as writer:
        with writer.transaction() as change:
            # parts and rows go with their content; a text and a pair go once nobody says them
            removed = change.run(
                "DELETE FROM contents WHERE id NOT IN (SELECT content_id FROM names)"
            ).rowcount
            change.run(
                "DELETE FROM parts WHERE kind = 'pair' AND NOT EXISTS (SELECT 1 FROM names n "
                "WHERE n.content_id = parts.content_id AND n.text_id = parts.text_id)"
            )
            unsaid = (
                "SELECT id FROM texts WHERE id NOT IN (SELECT text_id FROM words) "
                "AND id NOT IN (SELECT text_id FROM names WHERE text_id IS NOT NULL)"
            )
            change.run(f"DELETE FROM parts WHERE text_id IN ({unsaid})")
            change.run(f"DELETE FROM texts WHERE id IN ({unsaid})")
            said.tidy(change)  # its pages still have the words of what is gone
        _compact(store, writer)
        writer.remove_retired()
        remove_indexes(store)
    store.catalog.vacuum()
    return removed


def use(store: Store, space: Space) -> None:
    """Search this space from now on, of those that stand for what it stands for: one small change, all at once.

    Raises UnknownSpaceError, and UsageError while it lacks vectors that another one has.
    """
    kind = spaces.kind_of(store.catalog, space)
    with store.writing() as writer:
        lacking = owed.count(store.catalog, space, kind)
        if lacking:
            raise UsageError(
                f"{space} has no vector of {lacking:,} of the gallery's {_NOUNS[kind]} yet. Run `picfind index --model "
                f"{space.name}` on its folders first."
            )
        number = spaces.space_id(store.catalog, space)
        with writer.transaction() as change:
            spaces.choose(change, number)


_NOUNS = {PICTURE: "pictures", WORDS: "texts", PAIR: "pictures with their words"}


def drop(store: Store, space: Space) -> None:
    """Remove a space with all its vectors, from the disk too. Raises UnknownSpaceError; UsageError for one in use.

    The one that is searched can be dropped only when no other could take its place.
    """
    of_pictures = spaces.kind_of(store.catalog, space) in spaces.PICTURES
    same = spaces.PICTURES if of_pictures else (WORDS,)
    others = [entry for entry in spaces.spaces(store.catalog, kinds=same) if entry != space]
    if others and space in spaces.searched(store.catalog):
        raise UsageError(f"{space} is in use. Choose another one first: picfind models use {others[0].name}.")
    with store.writing() as writer:
        number = spaces.space_id(store.catalog, space)
        with writer.transaction() as change:
            held = change.run("SELECT id FROM segments WHERE space_id = ?", (number,)).fetchall()
            parts.retire(change, [segment_id for (segment_id,) in held])
            change.run("DELETE FROM spaces WHERE id = ?", (number,))
            change.run("DELETE FROM parts WHERE id NOT IN (SELECT part_id FROM rows)")
        writer.remove_retired()
        remove_indexes(store)
    store.catalog.vacuum()


def remove_indexes(store: Store) -> None:
    """Drop the saved indexes: they are a cache, and may hold vectors that have been purged."""
    durable.sweep(store.folder / INDEXES, ())


def is_present(root: roots.Root) -> bool:
    """Whether a root can be reached now; what lies on the network is not asked."""
    if root.kind == roots.FOLDER_KIND:
        return os.path.isdir(root.path)
    return roots.is_address(root.folder) or os.path.exists(root.path)


def status(store: Store) -> dict[str, Any]:
    """What is in a gallery, as plain values: roots, spaces, counts, refusals."""
    every = {root.id: root for root in roots.roots(store.catalog)}
    counts: dict[int, int] = dict(store.catalog.all("SELECT root_id, count(*) FROM names GROUP BY root_id"))
    return {
        "gallery": str(store.folder),
        "writable": store.writable,
        "generation": store.catalog.generation,
        "pictures": names.count_contents(store.catalog),
        "names": sum(counts.values()),
        "roots": [
            {
                "source": root.source,
                "location": root.location,
                "kind": root.kind,
                "names": counts.get(root.id, 0),
                "present": is_present(root),
            }
            for root in every.values()
        ],
        "spaces": [_space_status(store, space) for space in spaces.spaces(store.catalog)],
        "refusals": [
            {"path": every[root_id].place(refusal.key), "reason": refusal.reason, "lasting": refusal.lasting}
            for root_id, refusal in names.refusals(store.catalog)
        ],
    }


def _space_status(store: Store, space: Space) -> dict[str, Any]:
    files, rows = store.catalog.one(
        "SELECT count(*), ifnull(sum(length), 0) FROM segments WHERE space_id = ?",
        (spaces.space_id(store.catalog, space),),
    )
    size = rows * space.dim * segments.DTYPE.itemsize
    kind = spaces.kind_of(store.catalog, space)
    return {
        **asdict(space),
        "kind": kind,
        "in_use": space in spaces.searched(store.catalog),
        "lacking": owed.count(store.catalog, space, kind),
        "vectors": rows,
        "with_regions": parts.count_with_regions(store.catalog, space),
        "segments": files,
        "bytes": size,
    }
