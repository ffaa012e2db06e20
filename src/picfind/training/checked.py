"""TOML files read into frozen dataclasses, key by key: what is wrong is named, with the nearest right thing."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from picfind.errors import RecipeError

R = TypeVar("R")

_NOUNS = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    tuple: "a list of texts",
}


def within(default: Any, *, least: float | None = None, most: float | None = None) -> Any:
    """A number with limits."""
    return field(default=default, metadata={"least": least, "most": most})


def one_of(*choices: str) -> Any:
    """A text out of some; the first where none is given."""
    return field(default=choices[0], metadata={"choices": choices})


def table_of(path: Path, given: str, shipped: Sequence[str]) -> dict[str, Any]:
    """What a TOML file holds. Raises RecipeError when it is missing or no TOML; `given` is how a person named it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        near = difflib.get_close_matches(given, shipped, 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise RecipeError(
            f"There is no recipe {given!r}. {hint}Recipes that come with picfind: {', '.join(shipped)}; or name a "
            "TOML file."
        ) from error
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {path} is not valid TOML: {error}.") from error


def change(table: dict[str, Any], wanted: str) -> None:
    """Put KEY=VALUE into a table; a value that is no TOML is a text."""
    name, equals, text = wanted.partition("=")
    if not equals or not name.strip():
        raise RecipeError(f"{wanted!r} changes nothing. Write KEY=VALUE, such as schedule.epochs=3.")
    *sections, last = name.strip().split(".")
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{wanted!r}: {section} is no section of the recipe.")
        table = inner
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text


def read(kind: type[R], table: Mapping[str, Any], path: Path, section: str = "") -> R:
    """A table as a dataclass. Raises RecipeError, which names the key, what is wrong with it, and the nearest right one."""
    hints = get_type_hints(kind)
    entries = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{section}{key}"
        if key not in entries:
            raise RecipeError(_unknown(where, key, list(entries), path))
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise RecipeError(f"{path}: {where} is {value!r}; it is a section: write [{where}].")
            values[key] = read(hints[key], value, path, f"{where}.")
        else:
            values[key] = _value(value, hints[key], entries[key].metadata, f"{path}: {where}")
    for name, entry in entries.items():
        if name not in values and entry.default is MISSING and entry.default_factory is MISSING:
            raise RecipeError(f"{path}: {section}{name} is missing.")
    return kind(**values)


def _unknown(where: str, key: str, known: list[str], path: Path) -> str:
    near = difflib.get_close_matches(key, known, 1)
    meant = f" Did you mean {where.removesuffix(key)}{near[0]}?" if near else ""
    return f"{path}: there is no key {where}.{meant} Known there are: {', '.join(known)}."


def _value(value: Any, kind: Any, limits: Mapping[str, Any], where: str) -> Any:
    wanted = kind if kind in _NOUNS else tuple
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if wanted is tuple and isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = tuple(value)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise RecipeError(f"{where} is {value!r}; {_NOUNS[wanted]} is wanted.")
    _check_limits(value, limits, where)
    return value


def _check_limits(value: Any, limits: Mapping[str, Any], where: str) -> None:
    choices = limits.get("choices")
    if choices and value not in choices:
        raise RecipeError(f"{where} is {value!r}. Known are: {', '.join(choices)}.")
    least, most = limits.get("least"), limits.get("most")
    if least is not None and not value >= least:  # so that NaN fails too
        raise RecipeError(f"{where} is {value}; at least {least} is wanted.")
    if most is not None and not value <= most:
        raise RecipeError(f"{where} is {value}; at most {most} is wanted.")
