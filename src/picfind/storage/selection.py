"""Which pictures fit a filter: one statement over the catalog, with every value of the filter as a parameter.

A filter is about a name and its content; a picture fits when one of its names does. What must hold of the content alone
is asked first, once for each content. NULL stands for what is not known: it does not fit, and `not` of it does.
"""

from __future__ import annotations

import numpy as np

from picfind.filters import And, Filter, Not, Or
from picfind.storage.catalog import Catalog
from picfind.storage.conditions import CONTENT, ROOTS, Clause, clause_of
from picfind.types import Ids


def select(catalog: Catalog, wanted: Filter) -> Ids:
    """The content ids (n,), ascending, of the pictures that have a name and fit the filter."""
    sql, values = statement(wanted)
    rows = catalog.all(sql, values)
    found = np.sort(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
    return found[np.diff(found, prepend=-1) > 0]


def statement(wanted: Filter) -> tuple[str, tuple[object, ...]]:
    """The statement that gives the content ids, some perhaps several times, and its values."""
    parts = wanted.parts if isinstance(wanted, And) else (wanted,)
    clauses = sorted((_clause(part) for part in parts), key=lambda clause: clause.dear)
    of_content = [clause for clause in clauses if clause.sees <= CONTENT]
    of_name = [clause for clause in clauses if not clause.sees <= CONTENT]
    values = tuple(value for clause in (*of_content, *of_name) for value in clause.values)
    by_content = of_content and not any(clause.listed for clause in of_name)
    seen = frozenset[str]().union(*(clause.sees for clause in (of_name if by_content else clauses)))
    names = "names n" + (f" JOIN {ROOTS} r ON r.id = +n.root_id" if "r" in seen else "")
    if by_content:
        named = _all([Clause("n.content_id = c.id"), *of_name])
        return (
            f"SELECT c.id FROM contents c WHERE {_all(of_content)} AND EXISTS (SELECT 1 FROM {names} WHERE {named})",
            values,
        )
    contents = " JOIN contents c ON c.id = n.content_id" if "c" in seen else ""
    return f"SELECT n.content_id FROM {names}{contents} WHERE {_all([*of_content, *of_name])}", values


def _all(clauses: list[Clause]) -> str:
    return " AND ".join(clause.sql for clause in clauses)


def _clause(wanted: Filter) -> Clause:
    if isinstance(wanted, Not):
        part = _clause(wanted.part)
        return Clause(f"({part.sql}) IS NOT TRUE", part.values, part.sees, dear=part.dear)
    if isinstance(wanted, And | Or):
        parts = sorted((_clause(part) for part in wanted.parts), key=lambda part: part.dear)
        sql = (" AND " if isinstance(wanted, And) else " OR ").join(f"({part.sql})" for part in parts)
        values = tuple(value for part in parts for value in part.values)
        sees = frozenset[str]().union(*(part.sees for part in parts))
        return Clause(f"({sql})", values, sees, dear=any(part.dear for part in parts))
    return clause_of(wanted)
