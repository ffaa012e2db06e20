"""One frozen Settings for a process: flag over environment over config file over default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from picfind.errors import SettingsError


def _default_gallery() -> Path:
    return Path(platformdirs.user_data_dir("picfind", appauthor=False)) / "default"


def _default_models() -> tuple[Path, ...]:
    return (Path(platformdirs.user_cache_dir("picfind", appauthor=False)) / "models",)


def config_path() -> Path:
    """Where the config file is looked for."""
    return Path(platformdirs.user_config_dir("picfind", appauthor=False)) / "config.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Each field is also `PICFIND_<FIELD>` and a key of the config file."""

    gallery: Path = field(default_factory=_default_gallery)
    """The folder of the gallery."""
    model: tuple[str, ...] = ()
    """The models to index and search with; none: those that the gallery has in use, else the best that is at hand.

    Several are separated by commas: one for pictures and one for words, say.
    """
    models: tuple[Path, ...] = field(default_factory=_default_models)
    """Folders searched for models, first one first; downloads go to the last. Split as the system splits PATH."""
    language: str | None = None
    """The language of queries, for models that want to know it: `de`, or as the model calls it, `deu_Latn`."""
    device: str = "auto"
    """Where models run: `cpu`, `cuda`, `directml`, `coreml`, `openvino`, or `auto`, the first of them that is there."""
    index: str = "flat"
    """The kind of vector index."""
    workers: int = 0
    """Threads that decode and encode; 0: as many as the process may use cores."""
    max_pixels: int = 256_000_000
    """A picture with more pixels is refused before it is decoded."""
    max_bytes: int = 512 * 1024 * 1024
    """A file with more bytes is refused before it is read."""
    exclude: tuple[str, ...] = ()
    """Patterns of .gitignore's kind for what indexing passes over."""
    private_addresses: bool = False
    """Whether a URL may lead to a private, local or otherwise not public address."""


def cores() -> int:
    """Cores that this process may use, which a container may have cut."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """Gather the settings; flags that are None count as not given.

    Raises SettingsError for a value that cannot be read and for a key that is not known.
    """
    values: dict[str, Any] = {}
    values.update(_from_file(config or config_path()))
    values.update(_from_environment(os.environ if environ is None else environ))
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    values.update({name: _read(name, value, name) for name, value in given.items()})
    return Settings(**values)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    known = {entry.name for entry in fields(Settings)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise SettingsError(f"{path}: unknown setting {unknown[0]!r}. Known are: {', '.join(sorted(known))}.")
    return {name: _read(name, value, f"{path}: {name}") for name, value in table.items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for entry in fields(Settings):
        variable = f"PICFIND_{entry.name.upper()}"
        if environ.get(variable):
            found[entry.name] = _read(entry.name, environ[variable], variable)
    return found


def _read(name: str, value: Any, where: str) -> Any:
    try:
        return _READERS[name](value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where} is {value!r}, which cannot be read: {error}.") from error


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise TypeError("a path in quotes is wanted")
    return Path(value).expanduser()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text in quotes is wanted")
    return value


def _paths(value: Any) -> tuple[Path, ...]:
    return tuple(_path(part) for part in _several(value) if part)


def _names(value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, list | tuple) else _text(value).split(",")
    return tuple(_text(part).strip() for part in parts if _text(part).strip())


def _patterns(value: Any) -> tuple[str, ...]:
    return tuple(_text(part) for part in _several(value) if part)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }
    if not isinstance(value, str) or value.strip().lower() not in known:
        raise ValueError("true or false is wanted")
    return known[value.strip().lower()]


def _several(value: Any) -> list[Any]:
    """A list; or one text, split as the system splits PATH."""
    return list(value) if isinstance(value, list | tuple) else _text(value).split(os.pathsep)


def _count(minimum: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool | float):
            raise TypeError("a whole number is wanted")
        number = int(value)
        if number < minimum:
            raise ValueError(f"at least {minimum} is wanted")
        return number

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "gallery": _path,
    "model": _names,
    "models": _paths,
    "language": _text,
    "device": _text,
    "index": _text,
    "workers": _count(0),
    "max_pixels": _count(1),
    "max_bytes": _count(1),
    "exclude": _patterns,
    "private_addresses": _flag,
}
