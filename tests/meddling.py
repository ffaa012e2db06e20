"""Doing something at the worst moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def once_before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, action: Callable[[], object]) -> None:
    """Do `action` right before the first call of a function, as another process might."""
    real = getattr(owner, name)
    done: list[bool] = []

    def meddled(*arguments: Any) -> Any:
        if not done:
            done.append(True)
            action()
        return real(*arguments)

    monkeypatch.setattr(owner, name, meddled)
