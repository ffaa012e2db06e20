"""Where pictures come from: one file a kind of source, found by its name.

`open_source("coco:/data/coco#test")` opens what a person names, `open_root` what a gallery has written down.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, unquote

from picfind import keys, plugins
from picfind.errors import PicfindError, UsageError

if TYPE_CHECKING:
    from picfind.datasets.base import Dataset, JudgedDataset
    from picfind.settings import Settings

_NAMED = re.compile(r"([A-Za-z][\w-]+):(.+)", re.DOTALL)
"""Two letters at least: `C:\\photos` is a path."""
_PARTS = re.compile(
    r"(?P<path>.+?)(?:#(?P<split>[\w+.-]+))?(?:\?(?P<options>\w+=[^#?]*))?(?:#(?P<last>[\w+.-]+))?", re.DOTALL
)


def open_source(source: str | os.PathLike[str], settings: Settings | None = None) -> Dataset:
    """The dataset that a person means by a path, or by `NAME:PATH#SPLIT?OPTION=VALUE&OPTION=VALUE`.

    A path that is there is always a path, whatever it looks like, and a `Path` is never anything else. Nothing of the
    source is read yet. Raises UsageError for a name that no plug-in has and for options that it does not know.
    """
    named = _named(source)
    if named is None:
        return _open(_plugin("folder"), Path(source), {}, settings)
    module = _plugin(named[1].lower().replace("-", "_"), str(source))
    path, options = _parts(named[2])
    return _open(module, Path(path), options, settings)


def is_named(source: str | os.PathLike[str]) -> bool:
    """Whether a person names a kind of source, and not a path."""
    return _named(source) is not None


def open_root(kind: str, location: str, settings: Settings | None = None) -> Dataset:
    """The dataset of a root that a gallery knows, by its kind and its location. Raises UsageError."""
    path, _, options = location.partition("?")
    if kind == "folder":
        path, options = location, ""
    return _open(_plugin(kind), Path(keys.unescape(path)), _options(options), settings)


def with_queries(dataset: Dataset) -> JudgedDataset:
    """The dataset as one that knows right answers. Raises UsageError for one that knows none."""
    if not hasattr(dataset, "queries"):
        raise UsageError(
            f"{keys.shown(dataset.location)} ({dataset.kind}) knows no right answers. Name a judged dataset: "
            "labelled:FOLDER, table:FILE, coco:FOLDER, ..."
        )
    return cast("JudgedDataset", dataset)


def location_of(path: Path, options: Mapping[str, str]) -> str:
    """What a root of a plug-in has for its location: the path, escaped like a key, `?`, and the options.

    Up to the `?` it is the folder that its keys lie below.
    """
    plain = keys.escape(str(path)).replace("?", "%3F").replace("#", "%23")
    told = "&".join(
        f"{name}={quote(value, safe='+/,:{}*', errors='surrogateescape')}"
        for name, value in sorted(options.items())
    )
    return f"{plain}?{told}" if told else plain


def _named(source: str | os.PathLike[str]) -> re.Match[str] | None:
    return _NAMED.fullmatch(source) if isinstance(source, str) and not os.path.lexists(source) else None


def _open(module: ModuleType, path: Path, options: Mapping[str, str], settings: Settings | None) -> Dataset:
    from picfind.datasets.base import Place
    from picfind.settings import load_settings

    opened: Dataset = module.open(Place(keys.absolute(path), options, settings or load_settings()))
    return opened


def _plugin(name: str, source: str = "") -> ModuleType:
    module = plugins.load("datasets", name)
    if module is None:
        known = plugins.names("datasets")
        near = difflib.get_close_matches(name, known, 1)
        if name in ("http", "https"):
            hint = "To index pictures by their URLs, name a list of them: urls:LIST."
        else:
            hint = f"Did you mean {near[0]}?" if near else "If a path was meant, there is nothing there."
        raise UsageError(
            f"There is no kind of source called {name!r}{f' ({keys.shown(keys.escape(source))})' if source else ''}. "
            f"{hint} There are: {', '.join(known)}."
        )
    if not callable(getattr(module, "open", None)):
        raise PicfindError(f"The plug-in {name!r} has no function `open`. Update or uninstall its package.")
    return module


def _parts(text: str) -> tuple[str, dict[str, str]]:
    """The path and the options of what stands behind a name."""
    found = _PARTS.fullmatch(text)
    if found is None or os.path.lexists(text):
        return text, {}
    options = _options(found["options"] or "")
    for split in (found["split"], found["last"]):
        if split and options.setdefault("split", split) != split:
            raise UsageError(f"{text!r} names two splits. Several are joined by +: #train+val.")
    return found["path"], options


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        name, equals, value = part.partition("=")
        if not equals or name in options:
            raise UsageError(
                f"{part!r} is no option, or one that is given twice. Write ?NAME=VALUE&NAME=VALUE."
            )
        options[name] = unquote(value, errors="surrogateescape")
    return options
