"""Hits for a person and for programs: text, JSON, lines of JSON, paths."""

from __future__ import annotations

import csv
import enum
import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import typer

from picfind import keys
from picfind.storage.roots import is_address
from picfind.types import Hit, Results

_INDENT = " " * 5


class Form(enum.Enum):
    """The form of an answer on stdout."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PATHS = "paths"
    PRINT0 = "print0"


def show(results: Results, form: Form, question: str, *, first: int = 1, why: bool = False) -> None:
    """Write an answer to stdout."""
    if form is Form.PRINT0:
        sys.stdout.buffer.write(print0(results))
        sys.stdout.buffer.flush()
        return
    if form is Form.TEXT:
        told = text(results, first=first, why=why)
    elif form is Form.PATHS:
        told = paths(results)
    else:
        write = {Form.JSON: document, Form.JSONL: lines, Form.CSV: table}[form]
        told = write(results, question, first=first)
    if told:
        typer.echo(told)


def text(results: Results, *, first: int = 1, why: bool = False) -> str:
    """Rank, score, relevance and path, a line for each hit; control characters in a path are shown escaped.

    `first` is the rank of the first hit; with `why` lines below each hit say what it matched on.
    """
    lines = []
    for rank, hit in enumerate(results.hits, start=first):
        lines.append(head(rank, hit))
        if why:
            lines += [_INDENT + line for line in reasons(hit)]
    return "\n".join(lines)


def head(rank: int, hit: Hit) -> str:
    """The line of a hit: `  1  0.322 (0.87)  photos/cat.png`, with how many alike ones are folded into it."""
    relevance = "  - " if hit.relevance is None else f"{hit.relevance:.2f}"
    alike = f"  (+{hit.alike} alike)" if hit.alike else ""
    return f"{rank:>3}  {hit.score:.3f} ({relevance})  {keys.shown(hit.path)}{alike}"


def reasons(hit: Hit) -> Iterator[str]:
    """What a hit matched on: each figure, each text, and where in the picture."""
    for label, figure in hit.why.items():
        yield f"{figure:7.3f}  {label}"
    for what, said in hit.matched.items():
        if what != "path":
            yield f"{what}: {keys.shown(' '.join(said.split()))}"
    if hit.box is not None:
        yield "at " + ",".join(f"{edge:.2f}" for edge in hit.box)


def document(results: Results, question: str, *, first: int = 1) -> str:
    """One JSON document: the query, how many pictures were searched, the hits, the warnings."""
    told = {
        "query": question,
        "total": results.total,
        "hits": [record(rank, hit) for rank, hit in enumerate(results.hits, start=first)],
        "warnings": list(results.warnings),
    }
    return json.dumps(told, ensure_ascii=False, indent=2)


def lines(results: Results, question: str, *, first: int = 1) -> str:
    """One JSON object a line, one for each hit."""
    return "\n".join(
        json.dumps(record(rank, hit), ensure_ascii=False)
        for rank, hit in enumerate(results.hits, start=first)
    )


def table(results: Results, question: str, *, first: int = 1) -> str:
    """A table as CSV, with a line of names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rank", "score", "relevance", "path", "content"])
    for rank, hit in enumerate(results.hits, start=first):
        told = "" if hit.relevance is None else round(hit.relevance, 3)
        writer.writerow([rank, round(hit.score, 6), told, hit.path, hit.content])
    return out.getvalue().rstrip("\n")


def paths(results: Results) -> str:
    """Paths only, one a line, control characters escaped."""
    return "\n".join(keys.shown(hit.path) for hit in results.hits)


def print0(results: Results) -> bytes:
    """Paths only, as the file system has them, each ended by a NUL."""
    return b"".join(_raw(hit.path) + b"\0" for hit in results.hits)


def _raw(place: str) -> bytes:
    return place.encode("utf-8", "surrogatepass") if is_address(place) else keys.raw(place)


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
        "shares": {against: round(share, 6) for against, share in hit.shares.items()},
        "matched": dict(hit.matched),
        "box": None if hit.box is None else [round(edge, 6) for edge in hit.box],
        "alike": hit.alike,
        "caption": hit.caption,
        "metadata": {name: value for name, value in hit.metadata.items() if value is not None},
    }
