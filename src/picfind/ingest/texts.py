"""The pass over words: every text that a space of words lacks, from whatever root; no file is read for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from picfind.encoders.base import Encoder
from picfind.ingest import passes
from picfind.ingest.passes import Passage, next_commit
from picfind.ingest.report import Report
from picfind.ingest.stages import mapped
from picfind.storage import names, owed, parts, spaces
from picfind.storage.writer import Vectored
from picfind.types import WORDS, Floats, Space

_CHUNK = 64
"""Texts that a thread encodes at a time."""


def texts(passage: Passage, encoders: Sequence[Encoder]) -> Iterator[Report]:
    """Encode every text that a space of words lacks."""
    for encoder in encoders:
        if encoder.kind == WORDS:
            _name_space(passage, encoder.space)
            lacking = owed.texts(passage.store.catalog, encoder.space)
            passage.progress.add(due=len(lacking))
            if lacking:
                yield from _encode(passage, encoder, lacking)


def _name_space(passage: Passage, space: Space) -> None:
    """Make a space of words known, though there may be no words yet: it can be searched, and finds nothing."""
    catalog = passage.store.catalog
    if space not in spaces.spaces(catalog) and names.count_contents(catalog):
        with passage.writer.transaction() as change:
            spaces.add_space(change, space, WORDS)


def _encode(passage: Passage, encoder: Encoder, lacking: Sequence[str]) -> Iterator[Report]:
    chunks = [lacking[at : at + _CHUNK] for at in range(0, len(lacking), _CHUNK)]
    held: list[tuple[Sequence[str], Floats]] = []
    due = next_commit(passage.progress.began)
    workers = 1 if encoder.on_accelerator else passage.workers
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="picfind")
    try:
        encoded = mapped(pool, encoder.encode_texts, chunks, ahead=workers * 2)
        for some, rows in zip(chunks, encoded, strict=True):
            held.append((some, rows))
            if len(held) * _CHUNK >= passes.COMMIT_STEPS or time.monotonic() >= due:
                ready, held, due = held, [], next_commit(passage.progress.began)
                yield _commit(passage, encoder.space, ready)
    finally:
        # as in `through`: what is encoded is kept
        pool.shutdown(wait=True, cancel_futures=True)
        last = _commit(passage, encoder.space, held)
    yield last


def _commit(passage: Passage, space: Space, held: Sequence[tuple[Sequence[str], Floats]]) -> Report:
    if held:
        named = [parts.words(text) for some, _ in held for text in some]
        rows = np.concatenate([rows for _, rows in held])
        passage.writer.commit(vectors={space: Vectored(named, rows, WORDS)})
        passage.progress.add(done=len(named), texts=len(named))
    return passage.progress.tell()
