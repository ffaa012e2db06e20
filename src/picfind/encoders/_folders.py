"""Folders of models: where they lie, what is in them, and the hash that is their revision.

A model is a folder. It is named by its path, or by its own name where it lies in one of the folders of the setting
`models`. `picfind.json` in it, which `models pull`, `models export` and `models fit-joint` write, says where it comes
from and lists its files with their hashes; a folder in a published layout does without.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from picfind import keys
from picfind.encoders.base import EncoderCard
from picfind.errors import ModelFilesError, PicfindError, UsageError
from picfind.settings import Settings

MANIFEST = "picfind.json"
OURS = frozenset({"builtin", "builtin-open", "builtin-image", "minilm"})
"""Names of models that come with picfind. They never mean a folder; one that is called so is named by its path."""
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_HINT = "Pull, export or copy the model again."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `picfind.json` says of a model's folder."""

    family: str
    licence: str = "not stated"
    source: str = "a local folder"
    """Where it comes from: a repository and its commit, a checkpoint's path."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 in hex of each file, by its POSIX path within the folder."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the family keeps for itself: dimensions, preprocessing."""


def named(spec: str, settings: Settings) -> Path | None:
    """The folder that a model's name or path means, None where there is none.

    A name without a separator is looked for in the folders of models first, in their order. A repository's name
    (`owner/name`) that is no path means the folder `owner--name` there.
    """
    if spec in OURS:
        return None
    if spec and spec not in (".", "..") and spec == Path(spec).name:
        for place in settings.models:
            if os.path.isdir(place / spec):
                return place / spec
    path = keys.absolute(Path(spec))
    if spec and os.path.isdir(path):
        return path
    return named(spec.replace("/", "--"), settings) if _REPOSITORY.fullmatch(spec) else None


def name_of(folder: Path, settings: Settings) -> str:
    """What a model's folder is found by from any working folder: its own name if that is enough, else its path."""
    there = named(folder.name, settings)
    lasting = there is not None and there.parent in settings.models and there.samefile(folder)
    return folder.name if lasting else str(keys.absolute(folder))


def folder_of(card: EncoderCard, settings: Settings) -> Path:
    """The folder behind a card. Raises ModelFilesError when it is not here yet, or no longer."""
    if not card.installed:
        raise not_here(card.name)
    folder = named(card.name, settings)
    if folder is None:
        raise ModelFilesError(f"The model {card.name} is no longer here: its folder was moved or removed.")
    return folder


def not_here(name: str, size_mb: float | None = None) -> ModelFilesError:
    """The error for a model that has to be pulled first; `size_mb` is what that loads."""
    size = "" if size_mb is None else f": about {size_mb:,.0f} MB"
    return ModelFilesError(f"The model {name} is not here yet. `picfind models pull {name}` loads it{size}.")


def home(settings: Settings) -> Path:
    """The folder that new models go to, the last one. Raises UsageError without any."""
    if not settings.models:
        raise UsageError("There is no folder to keep models in: set PICFIND_MODELS.")
    return settings.models[-1]


def check_name(name: str) -> None:
    """Raises UsageError for what cannot be the name of a new model: a folder's on every system, and within a joint one."""
    odd = any(sign in name for sign in '/\\:+@"<>|?*') or not name.isprintable()
    if not name or name.startswith((".", "-")) or odd:
        raise UsageError(f"A model cannot be called {name!r}. Take letters, digits, - and _.")


def listed(settings: Settings) -> Iterator[Path]:
    """Every folder in the folders of models, by name; of two with one name the one that `named` gives."""
    seen: set[str] = set()
    for place in settings.models:
        with suppress(OSError):
            for folder in sorted(place.iterdir()):
                if folder.is_dir() and not folder.name.startswith(".") and folder.name not in seen:
                    seen.add(folder.name)
                    yield folder


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model's folder. Raises ModelFilesError when it is missing or is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unread(path, error) from error
    if not isinstance(found, dict):
        raise ModelFilesError(f"The model's file {path} holds no JSON object. {_HINT}")
    return found


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turns the system's refusal to read a model's file into ModelFilesError."""
    try:
        yield
    except OSError as error:
        raise _unread(Path(error.filename or folder), error) from error


def _unread(path: Path, error: Exception) -> ModelFilesError:
    reason = getattr(error, "strerror", None) or error
    return ModelFilesError(f"The model's file {path} cannot be read: {reason}. {_HINT}")


def read_manifest(folder: Path) -> Manifest | None:
    """What the folder says of itself; None without `picfind.json`. Raises ModelFilesError for one that is damaged."""
    if not os.path.isfile(folder / MANIFEST):
        return None
    try:
        found = Manifest(**read_json(folder / MANIFEST))
    except TypeError as error:
        raise ModelFilesError(f"The model's file {folder / MANIFEST} is odd: {error}. {_HINT}") from error
    texts = [found.family, found.licence, found.source]
    tables = [found.files, found.about]
    if all(isinstance(table, dict) for table in tables):
        texts += [*found.files, *found.files.values()]
        if all(isinstance(text, str) for text in texts):
            return found
    raise ModelFilesError(f"The model's file {folder / MANIFEST} is odd: a value has another type. {_HINT}")


def says(folder: Path, family: str) -> bool:
    """Whether a folder's `picfind.json` says that it is of a family; one that cannot be read says nothing."""
    with suppress(ModelFilesError):
        manifest = read_manifest(folder)
        return manifest is not None and manifest.family == family
    return False


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `picfind.json` with the hashes of all files that lie in the folder now."""
    inside = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    names = sorted(
        path.as_posix()
        for path in inside
        if path != Path(MANIFEST) and not any(part.startswith(".") for part in path.parts)
    )
    files = {name: digest(folder / name) for name in names}
    text = json.dumps({**asdict(manifest), "files": files}, ensure_ascii=False, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def require(folder: Path, files: Sequence[str]) -> None:
    """Raises ModelFilesError, which names the first of the files that is missing or empty."""
    for name in files:
        path = folder / name
        if not os.path.isfile(path):
            raise ModelFilesError(f"The model {folder} lacks its file {name}. {_HINT}")
        if not path.stat().st_size:
            raise ModelFilesError(f"The model's file {path} is empty. {_HINT}")


def revision(folder: Path, files: Sequence[str], how: str) -> str:
    """12 hex digits of a SHA-256 over the model's files and `how` its input is prepared, in words.

    `files` are those that the vectors depend on, as POSIX paths within the folder. Raises ModelFilesError for a file
    that is missing or cannot be read, and for one that is no longer what `picfind.json` says.
    """
    require(folder, files)
    manifest = read_manifest(folder)
    stated = manifest.files if manifest else {}
    whole = hashlib.sha256(how.encode())
    for name in sorted(files):
        with reading(folder):
            found = digest(folder / name)
        if stated.get(name, found) != found:
            raise ModelFilesError(
                f"The model's file {folder / name} is not what was pulled or exported: its SHA-256 is {found}, "
                f"{stated[name]} is stated. {_HINT}"
            )
        whole.update(f"\0{name}\0{found}".encode())
    return whole.hexdigest()[:12]


def size_mb(folder: Path, files: Sequence[str]) -> float:
    """The size of some files in millions of bytes."""
    return round(sum((folder / name).stat().st_size for name in files) / 1e6, 1)


def cards(
    settings: Settings,
    *,
    family: str,
    is_ours: Callable[[Path], bool],
    read: Callable[[Path, Settings], EncoderCard],
    towers: tuple[str, ...],
    published: Iterable[EncoderCard] = (),
) -> list[EncoderCard]:
    """A family's cards: the published models, pulled or not, then its other folders in the folders of models.

    A folder that is damaged is listed as not installed, with what is wrong with it as its note.
    """
    here = {
        folder.name: _card_or_fault(folder, settings, read, family=family, towers=towers)
        for folder in listed(settings)
        if is_ours(folder)
    }
    return [*[here.pop(card.name, card) for card in published], *here.values()]


def _card_or_fault(
    folder: Path,
    settings: Settings,
    read: Callable[[Path, Settings], EncoderCard],
    *,
    family: str,
    towers: tuple[str, ...],
) -> EncoderCard:
    try:
        return read(folder, settings)
    except (PicfindError, OSError) as error:
        return EncoderCard(
            name=folder.name,
            family=family,
            revision="",
            dim=0,
            licence="not stated",
            source=str(folder),
            size_mb=0.0,
            image_size=None,
            note=f"Damaged: {error}",
            towers=towers,
            installed=False,
        )


def digest(path: Path, *, anew: bool = False) -> str:
    """The SHA-256 of a file in hex, remembered for as long as its path, size and time stay the same.

    `anew` reads the file whatever is remembered: a failing disk changes neither size nor time.
    """
    found = path.stat()
    key = f"{os.path.realpath(path)}|{found.st_size}|{found.st_mtime_ns}"
    known = _remembered()
    if anew or key not in known:
        known = {**known, key: _sha256(path)}
        _remember(known)
    return known[key]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _memory() -> Path:
    return Path(platformdirs.user_cache_dir("picfind", appauthor=False)) / "digests.json"


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(known: Mapping[str, str]) -> None:
    path = _memory()
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):  # only a cache: without it the next start reads the files again
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(known), encoding="utf-8")
        aside.replace(path)
