"""Taking over another gallery: its segments as they are, its rows by content, its names by root."""

from __future__ import annotations

import shutil
from pathlib import Path

from picfind.errors import DamagedGalleryError, GalleryWriteError, UsageError
from picfind.storage import durable, parts, roots, segments
from picfind.storage.catalog import Transaction
from picfind.storage.store import Store
from picfind.types import Space

_CONTENT_COLUMNS = (
    "sha256, bytes, format, width, height, orientation, taken, camera_make, camera_model, lens, latitude, longitude, "
    "altitude, added"
)


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
