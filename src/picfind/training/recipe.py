"""A training recipe: a small TOML file, read into frozen dataclasses and checked key by key."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from picfind.errors import RecipeError

R = TypeVar("R")

SHIPPED = Path(__file__).parent / "recipes"
"""The recipes that come with picfind."""
_NOUNS = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    tuple: "a list of texts",
}


def _within(default: Any, *, least: float | None = None, most: float | None = None) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


def _one_of(*choices: str) -> Any:
    """A text out of some; the first where none is given."""
    return field(default=choices[0], metadata={"choices": choices})


@dataclass(frozen=True, slots=True)
class Data:
    """What is learned from, as `picfind.datasets.open_source` reads it: pictures with their captions."""

    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    """What training is judged by. Without any, a share of `train` is held out."""
    held_out: float = _within(0.1, least=0.001, most=0.9)
    """The share of the pictures in `train` that is held out where there is no `dev`."""
    skip_broken: bool = False
    """Go on without pictures that are missing or damaged, and say how many they were; else they are an error."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What is made small. See `objectives.py`."""

    kind: str = _one_of("infonce", "sigmoid")
    temperature: float = _within(0.07, least=0.001, most=10)
    """Where it begins; it is learned."""
    smoothing: float = _within(0.0, least=0, most=0.9)
    """Of InfoNCE: the share of a picture's probability that is spread over all captions of the batch."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, how fast, and how often to look."""

    epochs: int = _within(20, least=1)
    batch: int = _within(256, least=2)
    rate: float = _within(1e-3, least=0)
    """The highest learning rate: it rises over the share `warmup` of the steps, then falls as a cosine to nothing."""
    warmup: float = _within(0.05, least=0, most=1)
    decay: float = _within(0.1, least=0)
    """AdamW's weight decay, of matrices alone."""
    clip: float = _within(1.0, least=0)
    """The greatest length of a gradient; 0 lets it have any."""
    validate: int = _within(1, least=1)
    """Epochs from one validation to the next; the last epoch always has one."""
    patience: int = _within(0, least=0)
    """Validations without a gain after which training stops early; 0: never."""
    checkpoint: int = _within(0, least=0)
    """Steps from one checkpoint to the next; there is one after each validation anyway."""
    seed: int = _within(0, least=0)


@dataclass(frozen=True, slots=True)
class Sight:
    """The shape of a vision transformer that learns from nothing."""

    size: int = _within(64, least=8, most=1024)
    """Side of the square in pixels."""
    patch: int = _within(8, least=2)
    stem: str = _one_of("convolutions", "patches")
    """How pixels become tokens: three or more small convolutions, which learn faster from few photos, or one large one."""
    width: int = _within(192, least=8)
    layers: int = _within(6, least=1)
    heads: int = _within(4, least=1)
    least_crop: float = _within(0.36, least=0.01, most=1)
    """The least share of a picture's area that a crop shows; 1 shows all of it."""


@dataclass(frozen=True, slots=True)
class Language:
    """The shape of a text transformer that learns from nothing, and of its vocabulary."""

    vocabulary: int = _within(4000, least=257)
    """Pieces of words (byte-level BPE), besides three special ones."""
    length: int = _within(24, least=2)
    """Tokens of a text that count."""
    width: int = _within(192, least=8)
    layers: int = _within(3, least=1)
    heads: int = _within(4, least=1)


@dataclass(frozen=True, slots=True)
class ClipRecipe:
    """Two towers from nothing."""

    kind: str = _one_of("clip")
    dim: int = _within(256, least=2)
    data: Data = field(default_factory=Data)
    picture: Sight = field(default_factory=Sight)
    words: Language = field(default_factory=Language)
    objective: Objective = field(default_factory=Objective)
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Component:
    """One of the two encoders of a joint space."""

    model: str = ""
    """A model that picfind finds; where layers are tuned, a checkpoint that torch reads."""
    tune: int = _within(0, least=0)
    """The last layers of the checkpoint that learn: stages of a ResNet (1 to 4), layers of a BERT. 0: frozen."""


@dataclass(frozen=True, slots=True)
class Heads:
    """The projections into one space. See `heads.py`."""

    kind: str = _one_of("both", "linear", "mlp")
    hidden: int = _within(1024, least=1)
    dim: int = _within(512, least=2)
    dropout: float = _within(0.5, least=0, most=0.95)


@dataclass(frozen=True, slots=True)
class JointRecipe:
    """Any two encoders in one space."""

    kind: str = _one_of("joint")
    data: Data = field(default_factory=Data)
    image: Component = field(default_factory=Component)
    text: Component = field(default_factory=Component)
    heads: Heads = field(default_factory=Heads)
    objective: Objective = field(default_factory=Objective)
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Nudge:
    """How far an adapted model may go from itself."""

    rank: int = _within(64, least=1)
    """The rank of what is added to a vector."""
    pull: float = _within(0.1, least=0)
    """What it costs to move a vector: this times the mean squared distance between before and after."""
    dropout: float = _within(0.3, least=0, most=0.95)


@dataclass(frozen=True, slots=True)
class AdaptRecipe:
    """One model, moved a little towards a person's captions."""

    kind: str = _one_of("adapt")
    model: str = "builtin"
    data: Data = field(default_factory=Data)
    nudge: Nudge = field(default_factory=Nudge)
    objective: Objective = field(default_factory=Objective)
    schedule: Schedule = field(default_factory=Schedule)


Recipe = ClipRecipe | JointRecipe | AdaptRecipe
KINDS: Mapping[str, type[ClipRecipe | JointRecipe | AdaptRecipe]] = {
    "clip": ClipRecipe,
    "joint": JointRecipe,
    "adapt": AdaptRecipe,
}
"""What the key `kind` may say. `run.py` says which module trains each."""


def shipped() -> list[str]:
    """The names of the recipes that come with picfind."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_recipe(recipe: str, changes: Sequence[str] = ()) -> tuple[str, Recipe]:
    """The name and the content of a shipped recipe, or of a TOML file, with `changes` such as "schedule.epochs=3".

    Raises RecipeError, which names the key, what is wrong with it, and the nearest right one.
    """
    path = SHIPPED / f"{recipe}.toml" if recipe in shipped() else Path(recipe)
    table = _table(path, recipe)
    for change in changes:
        _change(table, change)
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RecipeError(f"{path}: kind is {kind!r}. Known are: {', '.join(KINDS)}.")
    return path.stem, _read(KINDS[kind], table, path, "")


def content(recipe: Recipe) -> str:
    """A recipe as JSON, the same for the same recipe: what a checkpoint says it was made by."""
    return json.dumps(asdict(recipe), ensure_ascii=False, sort_keys=True)


def digest(text: str) -> str:
    """12 hex digits of a SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def differences(before: str, now: str) -> list[str]:
    """The keys in which two recipes differ, both as `content` gives them."""
    old, new = _flat(json.loads(before)), _flat(json.loads(now))
    return [
        f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def _table(path: Path, given: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        near = difflib.get_close_matches(given, shipped(), 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise RecipeError(
            f"There is no recipe {given!r}. {hint}Recipes that come with picfind: {', '.join(shipped())}; or name a "
            "TOML file."
        ) from error
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {path} is not valid TOML: {error}.") from error


def _change(table: dict[str, Any], change: str) -> None:
    """Put KEY=VALUE into a table; a value that is no TOML is a text."""
    name, equals, text = change.partition("=")
    if not equals or not name.strip():
        raise RecipeError(f"{change!r} changes nothing. Write KEY=VALUE, such as schedule.epochs=3.")
    *sections, last = name.strip().split(".")
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{change!r}: {section} is no section of the recipe.")
        table = inner
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text


def _read(kind: type[R], table: Mapping[str, Any], path: Path, section: str) -> R:
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
            values[key] = _read(hints[key], value, path, f"{where}.")
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
