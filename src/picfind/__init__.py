"""Find pictures by words, by a picture, or by both.

    import picfind

    gallery = picfind.open("photos.gallery")
    gallery.index("~/Photos")
    for hit in gallery.search("a dog on a beach", k=5):
        ...  # hit.score, hit.path

Importing this loads nothing heavy: the names below are fetched when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picfind.api import Gallery, load_encoder, open  # noqa: A004
    from picfind.encoders.base import Encoder, EncoderCard
    from picfind.errors import PicfindError
    from picfind.ingest.report import Report
    from picfind.settings import Settings, load_settings
    from picfind.types import Hit, Results, Space

__version__ = "0.1.0"

_HOMES = {
    "Encoder": "picfind.encoders.base",
    "EncoderCard": "picfind.encoders.base",
    "Gallery": "picfind.api",
    "Hit": "picfind.types",
    "PicfindError": "picfind.errors",
    "Report": "picfind.ingest.report",
    "Results": "picfind.types",
    "Settings": "picfind.settings",
    "Space": "picfind.types",
    "load_encoder": "picfind.api",
    "load_settings": "picfind.settings",
    "open": "picfind.api",
}

__all__ = [
    "Encoder",
    "EncoderCard",
    "Gallery",
    "Hit",
    "PicfindError",
    "Report",
    "Results",
    "Settings",
    "Space",
    "__version__",
    "load_encoder",
    "load_settings",
    "open",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'picfind' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
