"""Contents by the SHA-256 of their bytes: which one some digits mean, and where its bytes lie."""

from __future__ import annotations

from picfind.errors import UsageError
from picfind.storage.catalog import Catalog
from picfind.storage.roots import Root

_DIGITS = 64
_SHOWN = 12


def find_content(catalog: Catalog, digits: str) -> tuple[int, bytes] | None:
    """The content, as (id, SHA-256), whose SHA-256 begins with these hex digits; None where the gallery has none.

    Raises UsageError where several do.
    """
    first, last = (bytes.fromhex(digits.lower().ljust(_DIGITS, end)) for end in "0f")
    rows = catalog.all(
        "SELECT id, sha256 FROM contents WHERE sha256 BETWEEN ? AND ? ORDER BY sha256 LIMIT 3", (first, last)
    )
    if len(rows) > 1:
        few = ", ".join(sha256.hex()[: max(_SHOWN, len(digits) + 4)] for _, sha256 in rows)
        raise UsageError(f"Several pictures begin with sha256:{digits}: {few}. Give more digits.")
    return (int(rows[0][0]), bytes(rows[0][1])) if rows else None


def places(catalog: Catalog, content_id: int) -> list[str]:
    """Where a content lies, as `Hit.keys` has it; whether it is there now was not looked at."""
    rows = catalog.all(
        "SELECT r.id, r.kind, r.location, r.volume, r.added, n.key FROM names n JOIN roots r ON r.id = n.root_id "
        "WHERE n.content_id = ? ORDER BY n.key, r.id",
        (content_id,),
    )
    return list(dict.fromkeys(Root(*row[:5]).place(row[5]) for row in rows))


def place(catalog: Catalog, sha256: bytes) -> str | None:
    """The first place of a content; None where it has no name."""
    row = catalog.first("SELECT id FROM contents WHERE sha256 = ?", (sha256,))
    return next(iter(places(catalog, row[0])), None) if row else None
