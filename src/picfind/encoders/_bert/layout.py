"""What the files of a BERT-type model say: which graph, how it is pooled, how long a text may be, what is put before it.

The layout is that of sentence-transformers on the hub. All that is needed are `config.json`, `tokenizer.json` and
`model.onnx` or `onnx/model.onnx`; `modules.json`, `1_Pooling/config.json`, `sentence_bert_config.json`,
`tokenizer_config.json` and `config_sentence_transformers.json` are heeded where they are there.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from picfind.encoders import _folders
from picfind.errors import ModelFilesError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from picfind.encoders.base import Role

Pooling = Literal["mean", "cls"]
FAMILY = "bert"
GRAPHS = ("onnx/model.onnx", "model.onnx")
TOKENIZER, CONFIG = "tokenizer.json", "config.json"
WEIGHTS = "model.safetensors"
TYPES = frozenset({
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "modernbert", "mpnet",
    "nomic_bert", "roberta", "xlm-roberta",
})  # fmt: skip
"""What `model_type` in `config.json` may be: encoders that see a text whole, which a mean over tokens makes sense of."""
HINT = "Pull or export the model again."
_POSITIONS_FROM_PADDING = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})
"""Types whose first position is the number of the padding token plus one, so that many positions are never used."""
_E5 = re.compile(r"(^|[-_/])e5([-_]|$)", re.IGNORECASE)
_E5_PREFIXES: Mapping[str, str] = {"query": "query: ", "document": "passage: "}
"""Wang et al., "Multilingual E5 Text Embeddings" (arXiv 2402.05672); the same for the English models before."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a text becomes a vector."""

    graph: str
    """The ONNX file, within the folder."""
    dim: int
    pooling: Pooling = "mean"
    limit: int = 512
    """Tokens of a text that count, the special ones among them."""
    padding: int = 0
    """The token that fills up shorter texts of a batch."""
    lower: bool = False
    prefixes: Mapping[str, str] = field(default_factory=dict)
    """What is put before a text, by role."""

    def prefix(self, role: Role) -> str:
        """What is put before a text of this role."""
        return self.prefixes.get(role, "")

    def describe(self) -> str:
        """Every choice that the vectors of documents depend on, in words, for the revision."""
        case = "lower case; " if self.lower else ""
        before = f"after {self.prefix('document')!r}; " if self.prefix("document") else ""
        return f"{case}{before}{self.limit} tokens; {self.pooling} of the tokens; unit length"


def is_bert(folder: Path) -> bool:
    """Whether a folder is of this family: it says so, or it has the layout and a known `model_type`.

    A folder whose files cannot be read says nothing.
    """
    with suppress(ModelFilesError):
        manifest = _folders.read_manifest(folder)
        if manifest is not None:
            return manifest.family == FAMILY
        if not os.path.isdir(folder / "visual"):
            return _kind(_optional(folder / CONFIG)) in TYPES
    return False


def read_recipe(folder: Path) -> Recipe:
    """What the folder's files say. Raises ModelFilesError for what is missing, damaged or not supported."""
    graph = _graph(folder)
    _folders.require(folder, [graph, TOKENIZER, CONFIG])
    config = _folders.read_json(folder / CONFIG)
    if _kind(config) not in TYPES:
        raise ModelFilesError(
            f"The model {folder} is of the type {_kind(config)!r}. Known as text models are: {', '.join(sorted(TYPES))}."
        )
    sentence = _optional(folder / "sentence_bert_config.json")
    pooling, counts_prefix = _pooling(folder)
    prefixes = _prefixes(folder, config)
    if not counts_prefix and any(prefixes.values()):
        raise ModelFilesError(
            f"The model {folder} leaves its prefix out of the pooling, which is not supported."
        )
    return Recipe(
        graph=graph,
        dim=_dim(folder, config),
        pooling=pooling,
        limit=_limit(folder, config, sentence),
        padding=_padding(config),
        lower=sentence.get("do_lower_case") is True,
        prefixes=prefixes,
    )


def files(folder: Path, recipe: Recipe) -> list[str]:
    """What the vectors depend on: the graph, its weights beside it, and the tokenizer."""
    with _folders.reading(folder):
        inside = [path.relative_to(folder).as_posix() for path in (folder / recipe.graph).parent.iterdir()]
    return [recipe.graph, TOKENIZER, *sorted(beside(recipe.graph, inside))]


def beside(graph: str, names: Sequence[str]) -> list[str]:
    """The files among `names` that hold weights of a graph: `model.onnx_data` and its like."""
    return [name for name in names if name.startswith((f"{graph}_data", f"{graph}.data"))]


def _graph(folder: Path) -> str:
    for name in GRAPHS:
        if os.path.isfile(folder / name):
            return name
    if os.path.isfile(folder / WEIGHTS):
        raise ModelFilesError(
            f"The model {folder} has weights but no ONNX graph. `picfind models export {folder}` makes one."
        )
    raise ModelFilesError(f"The model {folder} lacks its file {' or '.join(GRAPHS)}. {HINT}")


def _optional(path: Path) -> dict[str, Any]:
    return _folders.read_json(path) if os.path.isfile(path) else {}


def _kind(config: Mapping[str, Any]) -> str:
    return str(config.get("model_type"))


def _whole(value: Any, otherwise: int, *, least: int = 1) -> int:
    """A whole number out of a file, or `otherwise`."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else otherwise


def _dim(folder: Path, config: Mapping[str, Any]) -> int:
    found = _whole(config.get("hidden_size", config.get("dim")), 0)
    if not found:
        raise ModelFilesError(f"The model's file {folder / CONFIG} has no hidden_size. {HINT}")
    return found


def _padding(config: Mapping[str, Any]) -> int:
    return _whole(config.get("pad_token_id"), 0, least=0)


def _limit(folder: Path, config: Mapping[str, Any], sentence: Mapping[str, Any]) -> int:
    """The shorter of what the model was made for and of its positions; two tokens at least, which are special."""
    positions = _whole(config.get("max_position_embeddings"), 512)
    if _kind(config) in _POSITIONS_FROM_PADDING:
        positions -= _padding(config) + 1
    stated = sentence.get("max_seq_length")
    if stated is None:
        stated = _optional(folder / "tokenizer_config.json").get("model_max_length")
    return max(2, min(_whole(stated, positions), positions))


def _pooling(folder: Path) -> tuple[Pooling, bool]:
    """How tokens become a vector, and whether those of a prefix count. Without `modules.json`: their mean."""
    where = "1_Pooling"
    for module in _modules(folder):
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Pooling":
            where = str(module.get("path", where))
        elif kind not in ("Transformer", "Normalize"):
            raise ModelFilesError(
                f"The model {folder} has a module {kind!r} after its pooling, which is not supported. "
                "Known are: Transformer, Pooling, Normalize."
            )
    config = _optional(folder / where / "config.json")
    modes = [_MODES.get(name, name) for name, value in config.items() if name in _FLAGS and value is True]
    if isinstance(config.get("pooling_mode"), str):
        modes = [config["pooling_mode"]]
    for known in ("mean", "cls"):
        if modes == [known] or (not modes and known == "mean"):
            return known, config.get("include_prompt") is not False
    raise ModelFilesError(
        f"The model {folder} pools by {' and '.join(modes)}, which is not supported. Known are: mean, cls."
    )


_MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_FLAGS = frozenset({
    *_MODES, "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens",
    "pooling_mode_lasttoken",
})  # fmt: skip


def _modules(folder: Path) -> list[dict[str, Any]]:
    """The rows of `modules.json`, which is a list."""
    path = folder / "modules.json"
    if not os.path.isfile(path):
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFilesError(f"The model's file {path} cannot be read: {error}. {HINT}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ModelFilesError(f"The model's file {path} holds no list of modules. {HINT}")
    return rows


def _prefixes(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """By role: what `config_sentence_transformers.json` says, else E5's for a model of that name."""
    stated = _optional(folder / "config_sentence_transformers.json")
    prompts = stated.get("prompts")
    prompts = prompts if isinstance(prompts, dict) else {}
    usual = prompts.get(str(stated.get("default_prompt_name")), "")
    found = {
        "query": prompts.get("query") or usual,
        "document": prompts.get("document") or prompts.get("passage") or usual,
    }
    if any(found.values()):
        return {role: str(text) for role, text in found.items()}
    manifest = _folders.read_manifest(folder)
    names = (folder.name, str(config.get("_name_or_path", "")), manifest.source if manifest else "")
    is_e5 = any(_E5.search(name) and "instruct" not in name.lower() for name in names)
    return dict(_E5_PREFIXES) if is_e5 else {}
