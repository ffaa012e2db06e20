"""Finds plug-ins: a file of the right folder, under its own name, and entry points of other packages.

`base.py` holds the contract; what begins with an underscore is what plug-ins share, or one of them keeps to itself.

Nothing registers itself by being imported, and listing names imports nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from picfind.errors import PicfindError

_GROUPS = {
    "encoders": "picfind.encoders",
    "index": "picfind.indexes",
    "datasets": "picfind.datasets",
}


def names(folder: str) -> list[str]:
    """The plug-ins of a folder (`encoders`, `index` or `datasets`), sorted. Raises PicfindError on a name clash."""
    return sorted(_sources(folder))


def load(folder: str, name: str) -> ModuleType | None:
    """Import one plug-in; None when there is none of that name."""
    source = _sources(folder).get(name)
    if source is None:
        return None
    if isinstance(source, str):
        return importlib.import_module(source)
    try:
        module = source.load()
    except Exception as error:  # other people's code, which may fail at anything while it is imported
        raise PicfindError(
            f"The plug-in {name!r} ({source.value}) cannot be loaded: {error}. Update or uninstall its package."
        ) from error
    if not isinstance(module, ModuleType):
        raise PicfindError(f"The entry point {source.name!r} of {source.group} must name a module.")
    return module


def load_all(folder: str) -> Iterator[tuple[str, ModuleType]]:
    """Import all plug-ins of a folder, by name."""
    for name in names(folder):
        module = load(folder, name)
        if module is not None:
            yield name, module


def _sources(folder: str) -> dict[str, str | EntryPoint]:
    package = importlib.import_module(f"picfind.{folder}")
    sources: dict[str, str | EntryPoint] = {
        module.name: f"{package.__name__}.{module.name}"
        for module in pkgutil.iter_modules(package.__path__)
        if module.name != "base" and not module.name.startswith("_")
    }
    for point in entry_points(group=_GROUPS[folder]):
        if point.name in sources:
            raise PicfindError(
                f"Two plug-ins of {folder} are called {point.name!r}: {sources[point.name]} and {point.value}. "
                "Uninstall one of them or rename it."
            )
        sources[point.name] = point
    return sources
