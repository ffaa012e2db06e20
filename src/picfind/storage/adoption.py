"""Taking over another gallery: its segments as they are, its rows by content, its names by root."""

from __future__ import annotations

import shutil
from pathlib import Path

from picfind.errors import DamagedGalleryError, GalleryWriteError, UsageError
from picfind.storage import durable, parts, recognised, roots, segments
from picfind.storage.catalog import Transaction
from picfind.storage.segments import SegmentFile
from picfind.storage.spaces import add_space, spaces
from picfind.storage.store import Store
from picfind.storage.wording import record_together
from picfind.storage.writer import Writer
from picfind.types import Space

_TRIES = 10
_CONTENT_COLUMNS = (
    "sha256, bytes, format, width, height, orientation, taken, camera_make, camera_model, lens, latitude, longitude, "
    "altitude, added"
)


def adopt(store: Store, other: Store) -> None:
    """Take over all that another gallery knows: its segments as they are, its roots, names and refusals.

    What both know stays as it is here. Running it again, after a crash too, adds nothing twice. Raises UsageError for
    the gallery itself, DamagedGalleryError where the other one is damaged, and GalleryWriteError.
    """
    if other.folder.resolve() == store.folder.resolve():
        raise UsageError(f"The gallery {store.folder} cannot adopt itself.")
    with store.writing() as writer, store.catalog.attached(other.catalog):
        for attempt in range(1, _TRIES + 1):
            try:
                _adopt(writer, other.segments_folder, store.segments_folder)
                break
            except FileNotFoundError as error:
                # a writer of the other gallery may have merged it away meanwhile
                if attempt == _TRIES:
                    raise DamagedGalleryError(
                        f"The segment {error.filename} of the other gallery is missing. Repair it first: picfind "
                        f"doctor --repair -g {other.folder}."
                    ) from error
        for space in spaces(store.catalog):
            writer.merge_small(space)


def _adopt(writer: Writer, theirs: Path, ours: Path) -> None:
    """All in one transaction, which sees the other gallery at one generation however long the copying takes."""
    with writer.transaction() as change:
        _adopt_contents(change)
        _adopt_recognised(change)
        for their_id, kind, location in change.run(
            "SELECT id, kind, location FROM other.roots ORDER BY id"
        ).fetchall():
            _adopt_root(change, their_id, *roots.add_root(change, kind, location))
        _adopt_parts(change)
        for segment in _incoming(change):
            _adopt_segment(change, segment, theirs, ours)


def _adopt_contents(change: Transaction) -> None:
    before = change.one("SELECT ifnull(max(id), 0) FROM contents")[0]
    change.run(
        f"INSERT OR IGNORE INTO contents ({_CONTENT_COLUMNS}) SELECT {_CONTENT_COLUMNS} FROM other.contents ORDER BY id"
    )
    change.run("INSERT OR IGNORE INTO texts (sha256, text) SELECT sha256, text FROM other.texts ORDER BY id")
    new = "JOIN other.contents o ON o.id = x.content_id JOIN contents c ON c.sha256 = o.sha256 AND c.id > ?"
    change.run(
        f"INSERT INTO done SELECT c.id, x.task, x.version FROM other.done x {new} AND x.task <> 'recognised'",
        (before,),
    )
    change.run(
        "INSERT INTO words (text_id, content_id, origin, kind) SELECT t.id, c.id, x.origin, x.kind FROM other.words x "
        f"{new} JOIN other.texts u ON u.id = x.text_id JOIN texts t ON t.sha256 = u.sha256",
        (before,),
    )


def _adopt_recognised(change: Transaction) -> None:
    """What was read there inside pictures that nobody has read here."""
    read = (
        "SELECT c.id, d.version, o.id FROM other.done d JOIN other.contents o ON o.id = d.content_id "
        "JOIN contents c ON c.sha256 = o.sha256 WHERE d.task = 'recognised' AND NOT EXISTS "
        "(SELECT 1 FROM done here WHERE here.content_id = c.id AND here.task = 'recognised')"
    )
    for content_id, version, their_id in change.run(read).fetchall():
        change.run(
            "INSERT INTO recognised SELECT ?, line, text, box, confidence FROM other.recognised WHERE content_id = ?",
            (content_id, their_id),
        )
        change.run("INSERT INTO done VALUES (?, 'recognised', ?)", (content_id, version))
        recognised.bring_up_to_date(change, content_id)


def _adopt_root(change: Transaction, theirs: int, ours: int, prefix: str) -> None:
    before = change.one("SELECT ifnull(max(id), 0) FROM names")[0]
    change.run(
        "INSERT OR IGNORE INTO names (root_id, key, fingerprint, content_id, dated, dated_from, words_hash, table_hash, "
        "added) SELECT ?, ? || n.key, n.fingerprint, c.id, n.dated, n.dated_from, n.words_hash, n.table_hash, "
        "n.added FROM other.names n "
        "JOIN other.contents o ON o.id = n.content_id JOIN contents c ON c.sha256 = o.sha256 WHERE n.root_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM refusals r WHERE r.root_id = ? AND r.key = ? || n.key AND r.lasting)",
        (ours, prefix, theirs, ours, prefix),
    )
    change.run(
        "INSERT INTO words (text_id, name_id, origin, kind) SELECT t.id, n.id, w.origin, w.kind FROM other.words w "
        "JOIN other.texts o ON o.id = w.text_id JOIN texts t ON t.sha256 = o.sha256 "
        "JOIN other.names m ON m.id = w.name_id JOIN names n ON n.root_id = ? AND n.key = ? || m.key "
        "WHERE m.root_id = ? AND n.id > ?",
        (ours, prefix, theirs, before),
    )
    # what this gallery knows of the inside of a content stays: it may be other words than they know of it
    new = change.run("SELECT id FROM names WHERE id > ? AND root_id = ?", (before, ours)).fetchall()
    for (name_id,) in new:
        record_together(change, name_id)
    change.run(
        "INSERT OR IGNORE INTO refusals SELECT ?, ? || r.key, r.fingerprint, r.reason, r.lasting, r.limits, r.at "
        "FROM other.refusals r WHERE r.root_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM names n WHERE n.root_id = ? AND n.key = ? || r.key)",
        (ours, prefix, theirs, ours, prefix),
    )


def _adopt_parts(change: Transaction) -> None:
    change.run(
        "INSERT OR IGNORE INTO parts (kind, content_id, text_id, box) SELECT p.kind, c.id, t.id, p.box "
        "FROM other.parts p LEFT JOIN other.contents oc ON oc.id = p.content_id "
        "LEFT JOIN contents c ON c.sha256 = oc.sha256 LEFT JOIN other.texts ot ON ot.id = p.text_id "
        "LEFT JOIN texts t ON t.sha256 = ot.sha256 ORDER BY p.id"
    )


def _incoming(change: Transaction) -> list[tuple[int, Space, str, SegmentFile]]:
    rows = change.run(
        "SELECT g.id, s.name, s.revision, s.dim, s.kind, g.file, g.length, g.crc32 FROM other.segments g "
        "JOIN other.spaces s ON s.id = g.space_id WHERE g.file NOT IN (SELECT file FROM segments) ORDER BY g.id"
    ).fetchall()
    return [(row[0], Space(*row[1:4]), row[4], SegmentFile(*row[5:])) for row in rows]


def _adopt_segment(
    change: Transaction, segment: tuple[int, Space, str, SegmentFile], theirs: Path, ours: Path
) -> None:
    """Copy a segment's file, then name it; one that brings nothing new is left where it is."""
    their_id, space, kind, file = segment
    space_id = add_space(change, space, kind)
    segment_id = parts.add_segment(change, space_id, file)
    parts.add_rows(change, space_id, segment_id, _their_rows(change, their_id))
    if change.one("SELECT count(*) FROM rows WHERE segment_id = ?", (segment_id,))[0]:
        # one that was adopted before and merged since may still wait for its removal: it is wanted again
        change.run("DELETE FROM retired WHERE file = ?", (file.file,))
        _copy(theirs / file.file, ours / file.file, file, space.dim)
    else:
        change.run("DELETE FROM segments WHERE id = ?", (segment_id,))


def _copy(source: Path, target: Path, file: SegmentFile, dim: int) -> None:
    vectors = segments.open_vectors(source, length=file.length, dim=dim)
    if segments.checksum(vectors) != file.crc32:
        raise DamagedGalleryError(
            f"The segment {source} of the other gallery is damaged: its checksum is wrong."
        )
    try:
        durable.make_folder(target.parent)
        with source.open("rb") as reader:
            durable.write(target, lambda written: shutil.copyfileobj(reader, written))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise GalleryWriteError(
            f"{source} could not be copied to {target.parent}: {error.strerror}."
        ) from error


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
