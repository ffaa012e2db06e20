"""Looking after a gallery: compact, purge, and saying what is in it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from picfind.storage import durable, names, parts, roots, segments
from picfind.storage.store import INDEXES, Store
from picfind.storage.writer import Writer
from picfind.types import Space


def compact(store: Store) -> None:
    """Merge each space's segments into one, without its dead rows, and give free pages of the catalog back."""
    with store.writing() as writer:
        _compact(store, writer)
    store.catalog.vacuum()


def _compact(store: Store, writer: Writer) -> None:
    for space in parts.spaces(store.catalog):
        found = store.vectors(space)[1]
        dead = any((segment.parts == parts.DEAD).any() for segment in found)
        if len(found) > 1 or dead:
            writer.merge(space, [segment.id for segment in found])


def purge(store: Store) -> int:
    """Remove what no longer has a name, with its vectors. Gives how many contents that were."""
    with store.writing() as writer:
        with writer.transaction() as change:
            # parts and rows go with their content; a text goes once nobody says it
            removed = change.run(
                "DELETE FROM contents WHERE id NOT IN (SELECT content_id FROM names)"
            ).rowcount
            unsaid = "SELECT id FROM texts WHERE id NOT IN (SELECT text_id FROM words)"
            change.run(f"DELETE FROM parts WHERE text_id IN ({unsaid})")
            change.run(f"DELETE FROM texts WHERE id IN ({unsaid})")
        _compact(store, writer)
        writer.remove_retired()
        remove_indexes(store)
    store.catalog.vacuum()
    return removed


def remove_indexes(store: Store) -> None:
    """Drop the saved indexes: they are a cache, and may hold vectors that have been purged."""
    durable.sweep(store.folder / INDEXES, ())


def is_present(root: roots.Root) -> bool:
    """Whether a root can be reached now; other kinds than folders are not asked."""
    return root.kind != roots.FOLDER_KIND or os.path.isdir(root.path)


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
                "location": root.location,
                "kind": root.kind,
                "names": counts.get(root.id, 0),
                "present": is_present(root),
            }
            for root in every.values()
        ],
        "spaces": [_space_status(store, space) for space in parts.spaces(store.catalog)],
        "refusals": [
            {"path": every[root_id].place(refusal.key), "reason": refusal.reason, "lasting": refusal.lasting}
            for root_id, refusal in names.refusals(store.catalog)
        ],
    }


def _space_status(store: Store, space: Space) -> dict[str, Any]:
    files, rows = store.catalog.one(
        "SELECT count(*), ifnull(sum(length), 0) FROM segments WHERE space_id = ?",
        (parts.space_id(store.catalog, space),),
    )
    size = rows * space.dim * segments.DTYPE.itemsize
    return {**asdict(space), "vectors": rows, "segments": files, "bytes": size}
