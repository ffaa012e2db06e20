"""A check that an error comes, without needing pytest."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def refuses(error: type[Exception], what: str) -> Iterator[None]:
    """AssertionError unless the block raises `error` with a message."""
    try:
        yield
    except error as raised:
        if not str(raised):
            raise AssertionError(f"{what}: {error.__name__} has no message") from raised
    else:
        raise AssertionError(f"{what} must raise {error.__name__}")
