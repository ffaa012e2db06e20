"""A training recipe: a small TOML file, read into frozen dataclasses and checked key by key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from picfind.errors import RecipeError
from picfind.training.checked import change, one_of, read, table_of, within

SHIPPED = Path(__file__).parent / "recipes"
"""The recipes that come with picfind."""


@dataclass(frozen=True, slots=True)
class Data:
    """What is learned from, as `picfind.datasets.open_source` reads it: pictures with their captions."""

    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    """What training is judged by. Without any, a share of `train` is held out."""
    held_out: float = within(0.1, least=0.001, most=0.9)
    """The share of the pictures in `train` that is held out where there is no `dev`."""
    skip_broken: bool = False
    """Go on without pictures that are missing or damaged, and say how many they were; else they are an error."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What is made small. See `objectives.py`."""

    kind: str = one_of("infonce", "sigmoid")
    temperature: float = within(0.07, least=0.001, most=10)
    """Where it begins; it is learned."""
    smoothing: float = within(0.0, least=0, most=0.9)
    """Of InfoNCE: the share of a picture's probability that is spread over all captions of the batch."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, how fast, and how often to look."""

    epochs: int = within(20, least=1)
    batch: int = within(256, least=2)
    rate: float = within(1e-3, least=0)
    """The highest learning rate: it rises over the share `warmup` of the steps, then falls as a cosine to nothing."""
    warmup: float = within(0.05, least=0, most=1)
    decay: float = within(0.1, least=0)
    """AdamW's weight decay, of matrices alone."""
    clip: float = within(1.0, least=0)
    """The greatest length of a gradient; 0 lets it have any."""
    validate: int = within(1, least=1)
    """Epochs from one validation to the next; the last epoch always has one."""
    patience: int = within(0, least=0)
    """Validations without a gain after which training stops early; 0: never."""
    checkpoint: int = within(0, least=0)
    """Steps from one checkpoint to the next; there is one after each validation anyway."""
    seed: int = within(0, least=0)


@dataclass(frozen=True, slots=True)
class Sight:
    """The shape of a vision transformer that learns from nothing."""

    size: int = within(64, least=8, most=1024)
    """Side of the square in pixels."""
    patch: int = within(8, least=2)
    stem: str = one_of("convolutions", "patches")
    """How pixels become tokens: three or more small convolutions, which learn faster from few photos, or one large one."""
    width: int = within(192, least=8)
    layers: int = within(6, least=1)
    heads: int = within(4, least=1)
    least_crop: float = within(0.36, least=0.01, most=1)
    """The least share of a picture's area that a crop shows; 1 shows all of it."""


@dataclass(frozen=True, slots=True)
class Language:
    """The shape of a text transformer that learns from nothing, and of its vocabulary."""

    vocabulary: int = within(4000, least=257)
    """Pieces of words (byte-level BPE), besides three special ones."""
    length: int = within(24, least=2)
    """Tokens of a text that count."""
    width: int = within(192, least=8)
    layers: int = within(3, least=1)
    heads: int = within(4, least=1)


@dataclass(frozen=True, slots=True)
class ClipRecipe:
    """Two towers from nothing."""

    kind: str = one_of("clip")
    dim: int = within(256, least=2)
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
    tune: int = within(0, least=0)
    """The last layers of the checkpoint that learn: stages of a ResNet (1 to 4), layers of a BERT. 0: frozen."""


@dataclass(frozen=True, slots=True)
class Heads:
    """The projections into one space. See `heads.py`."""

    kind: str = one_of("both", "linear", "mlp")
    hidden: int = within(1024, least=1)
    dim: int = within(512, least=2)
    dropout: float = within(0.5, least=0, most=0.95)


@dataclass(frozen=True, slots=True)
class JointRecipe:
    """Any two encoders in one space."""

    kind: str = one_of("joint")
    data: Data = field(default_factory=Data)
    image: Component = field(default_factory=Component)
    text: Component = field(default_factory=Component)
    heads: Heads = field(default_factory=Heads)
    objective: Objective = field(default_factory=Objective)
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Nudge:
    """How far an adapted model may go from itself."""

    rank: int = within(64, least=1)
    """The rank of what is added to a vector."""
    pull: float = within(0.1, least=0)
    """What it costs to move a vector: this times the mean squared distance between before and after."""
    dropout: float = within(0.3, least=0, most=0.95)


@dataclass(frozen=True, slots=True)
class AdaptRecipe:
    """One model, moved a little towards a person's captions."""

    kind: str = one_of("adapt")
    model: str = "builtin"
    data: Data = field(default_factory=Data)
    nudge: Nudge = field(default_factory=Nudge)
    objective: Objective = field(default_factory=Objective)
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Joining:
    """How the parts of the built-in model's vector are joined. See `builtin/joining.py`."""

    weight: float = within(0.25, least=0)
    """Of the score by class names (ConSE), beside the mean score of the members."""
    temperature: float = within(1.3, least=0.01)
    """Of the class probabilities."""
    ridge: float = within(100.0, least=0)
    """Of the regression from sentences to classes: the higher, the more near-equal names count as one."""
    dim: int = within(256, least=2)
    """What the members' rows are brought down to."""


@dataclass(frozen=True, slots=True)
class Members:
    """What the scores of each member count for beside the others'; 0 leaves it out. See `builtin/task.py`."""

    closed: float = within(1.0, least=0)
    """Canonical correlations, which are computed, not learned."""
    frozen: float = within(0.0, least=0)
    """Heads over the tower as it is."""
    tuned: float = within(2.0, least=0)
    """Heads over a copy of the tower's last blocks that learns with them."""


@dataclass(frozen=True, slots=True)
class WideHeads:
    """The projections of a member that learns: a linear map plus a layer of `hidden`."""

    hidden: int = within(1024, least=1)
    dim: int = within(512, least=2)
    dropout: float = within(0.5, least=0, most=0.95)
    """Of the layer between."""
    input_dropout: float = within(0.3, least=0, most=0.95)


@dataclass(frozen=True, slots=True)
class SoftObjective:
    """InfoNCE with captions that are alike counted as partly right. See `objectives.py`."""

    temperature: float = within(0.05, least=0.001, most=10)
    """Where it begins; it is learned."""
    soft: float = within(0.3, least=0, most=0.9)
    """The share of a picture's probability that goes to captions by how alike they are to its own."""
    soft_temperature: float = within(0.05, least=0.001, most=10)
    """Of that likeness: the lower, the more it falls to the most alike."""


@dataclass(frozen=True, slots=True)
class Names:
    """Class names as further pairs: a class's row of the tower's classifier, mixed with a photo, stands for a photo of it."""

    share: float = within(0.25, least=0, most=0.5)
    """Of a batch; `schedule.batch` counts the photos alone."""
    mixing: float = within(0.7, least=0, most=1)
    """The share of the row in what is mixed."""


@dataclass(frozen=True, slots=True)
class BuiltinRecipe:
    """The learned part of the built-in model."""

    kind: str = one_of("builtin")
    views: int = within(3, least=0, most=16)
    """Altered views of each picture (cut, mirrored, of other light), besides the plain one."""
    start: int = within(18, least=16, most=20)
    """The first block of the picture tower that learns."""
    data: Data = field(default_factory=Data)
    members: Members = field(default_factory=Members)
    heads: WideHeads = field(default_factory=WideHeads)
    joining: Joining = field(default_factory=Joining)
    objective: SoftObjective = field(default_factory=SoftObjective)
    names: Names = field(default_factory=Names)
    schedule: Schedule = field(default_factory=Schedule)


Recipe = ClipRecipe | JointRecipe | AdaptRecipe | BuiltinRecipe
KINDS: Mapping[str, type[ClipRecipe | JointRecipe | AdaptRecipe | BuiltinRecipe]] = {
    "clip": ClipRecipe,
    "joint": JointRecipe,
    "adapt": AdaptRecipe,
    "builtin": BuiltinRecipe,
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
    table = table_of(path, recipe, shipped())
    for wanted in changes:
        change(table, wanted)
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RecipeError(f"{path}: kind is {kind!r}. Known are: {', '.join(KINDS)}.")
    return path.stem, read(KINDS[kind], table, path)


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
