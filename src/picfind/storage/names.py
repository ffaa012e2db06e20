"""Names, contents, words and refusals: what is recorded of pictures, and what is known of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from picfind.images import FACTS_VERSION, Facts
from picfind.storage.catalog import Catalog, Transaction
from picfind.storage.wording import record_content_words, record_name_words, record_together
from picfind.types import Fingerprint, Space, Words

DATED_BY_NAME, DATED_BY_FILE = "file name", "file time"
"""What a name's date can be from."""
FACTS_TASK = f"facts@{FACTS_VERSION}"
FACTS = tuple(entry.name for entry in fields(Facts))
"""The columns of a content that hold its facts."""


@dataclass(frozen=True, slots=True)
class Content:
    """Some bytes: their SHA-256, how many they are, and the facts and words of their inside where they were read now."""

    sha256: bytes
    size: int
    facts: Facts | None = None
    words: tuple[Words, ...] = ()
    """Counts only together with `facts`."""


@dataclass(frozen=True, slots=True)
class Name:
    """A key that points at content. `dated` is ISO 8601, `dated_from` says what knew it."""

    key: str
    fingerprint: Fingerprint
    sha256: bytes
    dated: str | None = None
    dated_from: str | None = None
    words: tuple[Words, ...] = ()
    words_mark: str = ""
    """Tells whether `words` may have changed, without their being read."""
    table: tuple[Words, ...] | None = None
    """What a table says of it; None: no table was given, and what one said before stays."""
    table_mark: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A key whose picture cannot be used, and why.

    A lasting one is not tried again until its fingerprint changes or, where it was too large, the `limits` do.
    """

    key: str
    fingerprint: Fingerprint
    reason: str
    lasting: bool = True
    limits: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a key: how it looked, how its words did, and which tasks are done on its content.

    `refused`: it could not be used when it was tried last. `named`: it has a name, which a picture that merely could
    not be read the last time keeps.
    """

    fingerprint: Fingerprint
    words_mark: str
    done: frozenset[str]
    refused: bool = False
    named: bool = True
    table_mark: str = ""


def vector_task(space: Space) -> str:
    """The task of encoding whole pictures in a space."""
    return f"vector:{space}"


def text_task(reader: str, version: str) -> str:
    """The task of reading the text inside pictures: another reader, or another version of it, reads again."""
    return f"recognised@{reader}-{version}"


def record(
    change: Transaction,
    root_id: int,
    *,
    contents: Sequence[Content] = (),
    names: Sequence[Name] = (),
    refusals: Sequence[Refusal] = (),
) -> None:
    """Write down contents first, then the names that point at them, then what was refused."""
    for content in contents:
        _record_content(change, content)
    for name in names:
        _record_name(change, root_id, name)
    for refusal in refusals:
        _record_refusal(change, root_id, refusal)


def _record_content(change: Transaction, content: Content) -> None:
    change.run(
        "INSERT OR IGNORE INTO contents (sha256, bytes, added) VALUES (?, ?, ?)",
        (content.sha256, content.size, time.time()),
    )
    if content.facts is None:
        return
    settings = ", ".join(f"{column} = ?" for column in FACTS)
    content_id = change.one(
        f"UPDATE contents SET {settings} WHERE sha256 = ? RETURNING id",
        (*(getattr(content.facts, column) for column in FACTS), content.sha256),
    )[0]
    record_content_words(change, content_id, content.words)
    record_done(change, content_id, FACTS_TASK)


def record_done(change: Transaction, content_id: int, task: str) -> None:
    """Write down that a task (`name@version`) is done on a content; another version of it counts no longer."""
    name, version = task.split("@")
    change.run(
        "INSERT OR REPLACE INTO done (content_id, task, version) VALUES (?, ?, ?)",
        (content_id, name, version),
    )


def content_id(change: Transaction, sha256: bytes) -> int:
    """The id of a content that has been recorded."""
    return int(change.one("SELECT id FROM contents WHERE sha256 = ?", (sha256,))[0])


def _record_name(change: Transaction, root_id: int, name: Name) -> None:
    name_id = change.one(
        "INSERT INTO names (root_id, key, fingerprint, content_id, dated, dated_from, words_hash, table_hash, added) "
        "SELECT ?, ?, ?, id, ?, ?, ?, ifnull(?, ''), ? FROM contents WHERE sha256 = ? "
        "ON CONFLICT (root_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, "
        "content_id = excluded.content_id, dated = excluded.dated, dated_from = excluded.dated_from, "
        "words_hash = excluded.words_hash, table_hash = ifnull(?, table_hash) RETURNING id",
        (
            root_id,
            name.key,
            name.fingerprint,
            name.dated,
            name.dated_from,
            name.words_mark,
            name.table_mark,
            time.time(),
            name.sha256,
            name.table_mark,
        ),
    )[0]
    record_name_words(change, name_id, name.words, name.table)
    record_together(change, name_id)
    change.run("DELETE FROM refusals WHERE root_id = ? AND key = ?", (root_id, name.key))


def _record_refusal(change: Transaction, root_id: int, refusal: Refusal) -> None:
    if refusal.lasting:
        # its bytes are no longer the content that the name pointed at
        change.run("DELETE FROM names WHERE root_id = ? AND key = ?", (root_id, refusal.key))
    change.run(
        "INSERT OR REPLACE INTO refusals (root_id, key, fingerprint, reason, lasting, limits, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (root_id, *astuple(refusal), time.time()),
    )


def states(
    catalog: Catalog,
    root_id: int,
    *,
    spaces: Sequence[Space] = (),
    scope: str = "",
    limits: str | None = None,
) -> dict[str, State]:
    """What is known of every key of a root within `scope`, as far as vectors go in `spaces` only.

    What was refused is a state as well; one that may go better now (`limits` are others, or it was a passing
    failure) has a fingerprint that nothing is equal to, so that it is due and, where it is gone, forgotten.
    """
    where, values = within(root_id, scope)
    done = _done_by_content(catalog, spaces, where, values)
    nothing: frozenset[str] = frozenset()
    known = {
        key: State(fingerprint, mark, done.get(content_id, nothing), table_mark=table_mark)
        for key, fingerprint, mark, table_mark, content_id in catalog.all(
            f"SELECT key, fingerprint, words_hash, table_hash, content_id FROM names WHERE {where}", values
        )
    }
    refused = catalog.all(f"SELECT key, fingerprint, lasting, limits FROM refusals WHERE {where}", values)
    for key, seen, lasting, under in refused:
        final = lasting and under in (None, limits)
        known[key] = State(seen if final else _NEVER, "", nothing, refused=True, named=key in known)
    return known


_NEVER = Fingerprint("")


def within(root_id: int, scope: str, *, table: str = "") -> tuple[str, tuple[Any, ...]]:
    """The condition for keys within the scope of a dataset: all, those below a folder (`sub/`), or just the one."""
    dot = f"{table}." if table else ""
    if not scope:
        return f"{dot}root_id = ?", (root_id,)
    if not scope.endswith("/"):
        return f"{dot}root_id = ? AND {dot}key = ?", (root_id, scope)
    # 0 comes right after /
    return f"{dot}root_id = ? AND {dot}key >= ? AND {dot}key < ?", (root_id, scope, f"{scope[:-1]}0")


def _done_by_content(
    catalog: Catalog, spaces: Sequence[Space], where: str, values: tuple[Any, ...]
) -> dict[int, frozenset[str]]:
    tasks: dict[int, frozenset[str]] = {}
    shared: dict[frozenset[str], frozenset[str]] = {}  # a million contents have a handful of different sets
    for content_id, task in _done_rows(
        catalog, spaces, f"SELECT content_id FROM names WHERE {where}", values
    ):
        both = tasks.get(content_id, frozenset()) | {task}
        tasks[content_id] = shared.setdefault(both, both)
    return tasks


def _done_rows(
    catalog: Catalog, spaces: Sequence[Space], contents: str, values: tuple[Any, ...]
) -> Iterable[tuple[int, str]]:
    yield from catalog.all(
        f"SELECT content_id, task || '@' || version FROM done WHERE content_id IN ({contents})", values
    )
    for space in spaces:
        encoded = catalog.all(
            "SELECT p.content_id FROM spaces s JOIN segments g ON g.space_id = s.id "
            "JOIN rows r ON r.segment_id = g.id JOIN parts p ON p.id = r.part_id "
            f"WHERE s.name = ? AND s.revision = ? AND p.kind = 'picture' AND p.content_id IN ({contents})",
            (space.name, space.revision, *values),
        )
        yield from ((content_id, vector_task(space)) for (content_id,) in encoded)


def content_tasks(catalog: Catalog, sha256: bytes) -> frozenset[str]:
    """The tasks that are done on some bytes, wherever they lay before; empty for bytes never seen."""
    rows = catalog.all(
        "SELECT d.task || '@' || d.version FROM contents c JOIN done d ON d.content_id = c.id WHERE c.sha256 = ? "
        "UNION SELECT 'vector:' || s.name || '@' || s.revision FROM contents c "
        "JOIN parts p ON p.content_id = c.id AND p.kind = 'picture' JOIN rows r ON r.part_id = p.id "
        "JOIN segments g ON g.id = r.segment_id JOIN spaces s ON s.id = g.space_id WHERE c.sha256 = ?",
        (sha256, sha256),
    )
    return frozenset(task for (task,) in rows)


def digest_of(catalog: Catalog, root_id: int, key: str) -> bytes | None:
    """The SHA-256 of the content that a name points at, None without such a name."""
    row = catalog.first(
        "SELECT c.sha256 FROM names n JOIN contents c ON c.id = n.content_id WHERE n.root_id = ? AND n.key = ?",
        (root_id, key),
    )
    return None if row is None else row[0]


def fingerprint_of(catalog: Catalog, root_id: int, key: str) -> Fingerprint | None:
    """How a picture looked when its name was recorded, None without such a name."""
    row = catalog.first("SELECT fingerprint FROM names WHERE root_id = ? AND key = ?", (root_id, key))
    return None if row is None else Fingerprint(row[0])


def forget(change: Transaction, root_id: int, gone: Iterable[str]) -> None:
    """Remove names and refusals. Contents and vectors stay: a drive that comes back costs no encoding."""
    pairs = [(root_id, key) for key in gone]
    for table in ("names", "refusals"):
        change.run_many(f"DELETE FROM {table} WHERE root_id = ? AND key = ?", pairs)


def last_names(catalog: Catalog, root_id: int, gone: Iterable[str]) -> int:
    """How many of these names are the last ones of their content: how many pictures would be lost with them."""
    leaving: dict[int, int] = {}
    for key in gone:
        row = catalog.first("SELECT content_id FROM names WHERE root_id = ? AND key = ?", (root_id, key))
        if row is not None:
            leaving[row[0]] = leaving.get(row[0], 0) + 1
    return sum(
        number
        for content_id, number in leaving.items()
        if catalog.one("SELECT count(*) FROM names WHERE content_id = ?", (content_id,))[0] == number
    )


def count_contents(catalog: Catalog) -> int:
    """How many different pictures have a name."""
    return int(catalog.one("SELECT count(DISTINCT content_id) FROM names")[0])


def refusals(catalog: Catalog) -> list[tuple[int, Refusal]]:
    """What could not be used, with the id of its root, by key."""
    rows = catalog.all(
        "SELECT root_id, key, fingerprint, reason, lasting, limits FROM refusals ORDER BY root_id, key"
    )
    return [
        (root_id, Refusal(key, mark, reason, bool(lasting), limits))
        for root_id, key, mark, reason, lasting, limits in rows
    ]
