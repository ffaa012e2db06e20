"""Hits for a person and for programs: text, JSON, lines of JSON, paths."""

from __future__ import annotations

import json
from typing import Any

from picfind import keys
from picfind.types import Hit, Results


def text(results: Results, question: str) -> str:
    """Rank, score and path, a line for each hit; control characters in a path are shown escaped."""
    return "\n".join(
        f"{rank:>3}  {hit.score:.3f}  {keys.shown(hit.path)}"
        for rank, hit in enumerate(results.hits, start=1)
    )


def document(results: Results, question: str) -> str:
    """One JSON document: the query, how many pictures were searched, the hits, the warnings."""
    told = {
        "query": question,
        "total": results.total,
        "hits": [record(rank, hit) for rank, hit in enumerate(results.hits, start=1)],
        "warnings": list(results.warnings),
    }
    return json.dumps(told, ensure_ascii=False, indent=2)


def lines(results: Results, question: str) -> str:
    """One JSON object a line, one for each hit."""
    return "\n".join(
        json.dumps(record(rank, hit), ensure_ascii=False) for rank, hit in enumerate(results.hits, start=1)
    )


def paths(results: Results, question: str) -> str:
    """Paths only, one a line, control characters escaped."""
    return "\n".join(keys.shown(hit.path) for hit in results.hits)


def print0(results: Results) -> bytes:
    """Paths only, as the file system has them, each ended by a NUL."""
    return b"".join(keys.raw(hit.path) + b"\0" for hit in results.hits)


def record(rank: int, hit: Hit) -> dict[str, Any]:
    """A hit as JSON has it. Bytes of a path that are not UTF-8 are percent-escaped."""
    return {
        "rank": rank,
        "score": round(hit.score, 6),
        "relevance": None if hit.relevance is None else round(hit.relevance, 3),
        "path": hit.path,
        "paths": list(hit.keys),
        "content": hit.content,
        "why": dict(hit.why),
        "caption": hit.caption,
        "metadata": {name: value for name, value in hit.metadata.items() if value is not None},
    }
