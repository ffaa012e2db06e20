"""Looking after a gallery: compact, purge, adopt another one, check and repair."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from picfind.errors import DamagedGalleryError, GalleryWriteError, UsageError
from picfind.storage import durable, names, parts, roots, segments
from picfind.storage.catalog import Transaction
from picfind.storage.store import INDEXES, Store, Writer
from picfind.types import Space

_CONTENT_COLUMNS = (
    "sha256, bytes, format, width, height, orientation, taken, camera_make, camera_model, lens, latitude, longitude, "
    "altitude, added"
)


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


def adopt(store: Store, other: Store) -> None:
    """Take over all that another gallery knows: its segments as they are, its roots, names and refusals.

    What both know stays as it is here. Running it again, after a crash too, adds nothing twice. Raises UsageError for
    the gallery itself and GalleryWriteError.
    """
    if other.folder.resolve() == store.folder.resolve():
        raise UsageError(f"The gallery {store.folder} cannot adopt itself.")
    with store.writing() as writer, store.catalog.attached(other.catalog):
        with writer.transaction() as change:
            # one that was adopted before and merged since may still wait for its removal: it is wanted again
            change.run("DELETE FROM retired WHERE file IN (SELECT file FROM other.segments)")
        incoming = store.catalog.all(
            "SELECT g.file FROM other.segments g WHERE g.file NOT IN (SELECT file FROM segments)"
        )
        for (file,) in incoming:
            _copy(other.segments_folder / file, store.segments_folder / file)
        with writer.transaction() as change:
            _adopt_names(change)
            _adopt_vectors(change)


def _copy(source: Path, target: Path) -> None:
    try:
        durable.make_folder(target.parent)
        with source.open("rb") as reader:
            durable.write(target, lambda file: shutil.copyfileobj(reader, file))
    except FileNotFoundError as error:
        raise DamagedGalleryError(
            f"The segment {source} of the other gallery is missing. Repair it first."
        ) from error
    except OSError as error:
        raise GalleryWriteError(
            f"{source} could not be copied to {target.parent}: {error.strerror}."
        ) from error


def _adopt_names(change: Transaction) -> None:
    change.run(
        f"INSERT OR IGNORE INTO contents ({_CONTENT_COLUMNS}) SELECT {_CONTENT_COLUMNS} FROM other.contents ORDER BY id"
    )
    change.run("INSERT OR IGNORE INTO texts (sha256, text) SELECT sha256, text FROM other.texts ORDER BY id")
    change.run(
        "INSERT OR IGNORE INTO done SELECT c.id, d.task, d.version FROM other.done d "
        "JOIN other.contents o ON o.id = d.content_id JOIN contents c ON c.sha256 = o.sha256"
    )
    theirs = change.run("SELECT id, kind, location FROM other.roots ORDER BY id").fetchall()
    for their_id, kind, location in theirs:
        root_id, prefix = _root_for(change, kind, location)
        _adopt_root(change, their_id, root_id, prefix)


def _root_for(change: Transaction, kind: str, location: str) -> tuple[int, str]:
    for row in change.run("SELECT id, kind, location, volume, added, scanned FROM roots").fetchall():
        root = roots.Root(*row)
        prefix = roots.prefix_of(root, kind, location)
        if prefix is not None:
            return root.id, prefix
    return roots.add_root(change, kind, location), ""


def _adopt_root(change: Transaction, theirs: int, ours: int, prefix: str) -> None:
    before = change.one("SELECT ifnull(max(id), 0) FROM names")[0]
    change.run(
        "INSERT OR IGNORE INTO names (root_id, key, fingerprint, content_id, dated, dated_from, words_hash, added) "
        "SELECT ?, ? || n.key, n.fingerprint, c.id, n.dated, n.dated_from, n.words_hash, n.added FROM other.names n "
        "JOIN other.contents o ON o.id = n.content_id JOIN contents c ON c.sha256 = o.sha256 WHERE n.root_id = ?",
        (ours, prefix, theirs),
    )
    change.run(
        "INSERT INTO words (text_id, name_id, origin, kind) SELECT t.id, n.id, w.origin, w.kind FROM other.words w "
        "JOIN other.texts o ON o.id = w.text_id JOIN texts t ON t.sha256 = o.sha256 "
        "JOIN other.names m ON m.id = w.name_id JOIN names n ON n.root_id = ? AND n.key = ? || m.key "
        "WHERE m.root_id = ? AND n.id > ?",
        (ours, prefix, theirs, before),
    )
    change.run(
        "INSERT OR IGNORE INTO refusals SELECT ?, ? || r.key, r.fingerprint, r.reason, r.lasting, r.at "
        "FROM other.refusals r WHERE r.root_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM names n WHERE n.root_id = ? AND n.key = ? || r.key)",
        (ours, prefix, theirs, ours, prefix),
    )


def _adopt_vectors(change: Transaction) -> None:
    change.run(
        "INSERT OR IGNORE INTO parts (kind, content_id, text_id, box) SELECT p.kind, c.id, t.id, p.box "
        "FROM other.parts p LEFT JOIN other.contents oc ON oc.id = p.content_id "
        "LEFT JOIN contents c ON c.sha256 = oc.sha256 LEFT JOIN other.texts ot ON ot.id = p.text_id "
        "LEFT JOIN texts t ON t.sha256 = ot.sha256"
    )
    incoming = change.run(
        "SELECT g.id, s.name, s.revision, s.dim, g.file, g.length, g.crc32 FROM other.segments g "
        "JOIN other.spaces s ON s.id = g.space_id WHERE g.file NOT IN (SELECT file FROM segments) ORDER BY g.id"
    ).fetchall()
    for their_id, name, revision, dim, *file in incoming:
        space_id = parts.add_space(change, Space(name, revision, dim))
        segment_id = parts.add_segment(change, space_id, segments.SegmentFile(*file))
        parts.add_rows(change, space_id, segment_id, _their_rows(change, their_id))
    change.run("DELETE FROM segments WHERE id NOT IN (SELECT segment_id FROM rows)")


def _their_rows(change: Transaction, segment_id: int) -> list[tuple[int, int]]:
    return change.run(
        "SELECT r.row, p.id FROM other.rows r JOIN other.parts o ON o.id = r.part_id "
        "LEFT JOIN other.contents oc ON oc.id = o.content_id LEFT JOIN contents c ON c.sha256 = oc.sha256 "
        "LEFT JOIN other.texts ot ON ot.id = o.text_id LEFT JOIN texts t ON t.sha256 = ot.sha256 "
        "JOIN parts p ON p.kind = o.kind AND ifnull(p.content_id, 0) = ifnull(c.id, 0) "
        "AND ifnull(p.text_id, 0) = ifnull(t.id, 0) AND ifnull(p.box, '') = ifnull(o.box, '') "
        "WHERE r.segment_id = ? ORDER BY r.row",
        (segment_id,),
    ).fetchall()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a gallery, and whether `repair` mends it."""

    what: str
    mendable: bool


def check(store: Store) -> list[Finding]:
    """Look at everything: the catalog's structure, every segment's file and checksum, litter. Reads all vectors."""
    return [*_check_catalog(store), *_check_segments(store), *_check_litter(store)]


def repair(store: Store) -> list[str]:
    """Drop what cannot be read, so that the next run encodes its pictures again; sweep litter. Says what it did."""
    with store.writing() as writer:
        damaged = _damaged(store)
        if damaged:
            with writer.transaction() as change:
                parts.retire(change, [id_ for id_, _, _ in damaged])
            writer.remove_retired()
    remove_indexes(store)
    return [
        *(
            f"dropped the segment {file} ({why}); `picfind index` encodes its pictures again"
            for _, file, why in damaged
        ),
        *(f"removed the stray file {name}" for name in writer.swept),
    ]


def _check_catalog(store: Store) -> list[Finding]:
    try:
        found = [str(text) for (text,) in store.catalog.all("PRAGMA integrity_check(20)") if text != "ok"]
        broken = store.catalog.all("PRAGMA foreign_key_check")
    except sqlite3.DatabaseError as error:
        return [Finding(f"the catalog cannot be read: {error}", mendable=False)]
    found += [
        f"a row of {table} refers to a row of {parent} that is not there" for table, _, parent, _ in broken
    ]
    return [Finding(f"the catalog is damaged: {text}", mendable=False) for text in found]


def _check_segments(store: Store) -> list[Finding]:
    return [Finding(f"segment {file}: {why}", mendable=True) for _, file, why in _damaged(store)]


def _damaged(store: Store) -> list[tuple[int, str, str]]:
    rows = store.catalog.all(
        "SELECT g.id, g.file, g.length, g.crc32, s.dim FROM segments g JOIN spaces s ON s.id = g.space_id ORDER BY g.id"
    )
    found = []
    for id_, file, length, crc32, dim in rows:
        why = _fault(store.segments_folder / file, length, dim, crc32)
        if why:
            found.append((id_, file, why))
    return found


def _fault(path: Path, length: int, dim: int, crc32: int) -> str | None:
    try:
        vectors = segments.open_vectors(path, length=length, dim=dim)
    except FileNotFoundError:
        return "its file is missing"
    except DamagedGalleryError:
        return "its file is not what was written"
    return None if segments.checksum(vectors) == crc32 else "its checksum is wrong"


def _check_litter(store: Store) -> list[Finding]:
    known = {
        file for (file,) in store.catalog.all("SELECT file FROM segments UNION SELECT file FROM retired")
    }
    folder = store.segments_folder
    strays: Sequence[str] = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return [Finding(f"stray file {name}", mendable=True) for name in strays if name not in known]


def is_present(root: roots.Root) -> bool:
    """Whether a root can be reached now; other kinds than folders are not asked."""
    return root.kind != roots.FOLDER_KIND or root.path.is_dir()


def status(store: Store) -> dict[str, Any]:
    """What is in a gallery, as plain values: roots, spaces, counts, refusals."""
    every = {root.id: root for root in roots.roots(store.catalog)}
    counts: dict[int, int] = dict(store.catalog.all("SELECT root_id, count(*) FROM names GROUP BY root_id"))
    return {
        "gallery": str(store.folder),
        "writable": store.writable,
        "generation": store.catalog.generation,
        "pictures": store.catalog.one("SELECT count(DISTINCT content_id) FROM names")[0],
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
    megabytes = round(rows * space.dim * segments.DTYPE.itemsize / 1e6, 1)
    return {**asdict(space), "vectors": rows, "segments": files, "mb": megabytes}
