from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from picfind import plugins
from picfind.encoders import _folders, bert, builtin
from picfind.encoders._bert.layout import HINT, read_recipe
from picfind.encoders._bert.tower import TextTower
from picfind.errors import ModelFilesError
from picfind.models import pull as pulling
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from tests.bert_folders import DIM, Shape, hidden_states, tokenizer, write_folder, write_json
from tests.hub_server import hub_server, use_hub

if TYPE_CHECKING:
    from picfind.encoders.base import Encoder, Role
    from picfind.types import Floats

TEXTS = ["a dog", "a dog on a beach, with a red ball", "red", "", "cats; 2 of them"]
SMALL = (
    "sentence_bert_config.json", "tokenizer_config.json", "config_sentence_transformers.json", "1_Pooling/config.json",
)  # fmt: skip
KEYS = (
    "model_type", "hidden_size", "dim", "pad_token_id", "max_position_embeddings", "max_seq_length", "do_lower_case",
    "model_max_length", "prompts", "query", "document", "default_prompt_name", "pooling_mode", "include_prompt",
    "pooling_mode_cls_token", "pooling_mode_max_tokens", "_name_or_path",
)  # fmt: skip
REFERENCE = Path(__file__).parent / "data" / "minilm_reference.json"


def settings(place: Path) -> Settings:
    return Settings(models=(place,), device="cpu")


def load(folder: Path, *, role: Role = "document") -> Encoder:
    here = settings(folder.parent)
    card = bert.find(folder.name, here)
    assert card is not None
    return bert.load(card, here, role=role)


def encode(folder: Path, texts: list[str], *, role: Role = "document") -> Floats:
    return load(folder, role=role).encode_texts(texts)


def expected(texts: list[str], *, limit: int = 64, prefix: str = "", pooling: str = "mean") -> Floats:
    """(n, DIM) unit rows, computed without a graph, a batch or a mask."""
    plain = tokenizer()
    plain.no_padding()
    plain.enable_truncation(limit)
    states = [hidden_states(plain.encode(prefix + text).ids) for text in texts]
    rows = np.stack([state[0] if pooling == "cls" else state.mean(axis=0) for state in states])
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "models" / "small")


class TestSmall(EncoderSuite):
    @pytest.fixture(autouse=True)
    def _load(self, folder: Path) -> None:
        self._encoder = load(folder)

    def encoder(self) -> Encoder:
        return self._encoder


class TestMinilm(EncoderSuite):
    def encoder(self) -> Encoder:
        return minilm()


def minilm() -> Encoder:
    card = bert.find("minilm", Settings(device="cpu"))
    assert card is not None
    return bert.load(card, Settings(device="cpu"))


# Cards and names


def test_it_is_found_by_its_file_name() -> None:
    assert plugins.load("encoders", "bert") is bert


def test_known_models_can_be_pulled(tmp_path: Path) -> None:
    cards = {card.name: card for card in bert.cards(settings(tmp_path))}
    assert {name: (card.dim, card.licence) for name, card in cards.items()} == {
        "minilm": (384, "Apache-2.0"),
        "all-MiniLM-L6-v2": (384, "Apache-2.0"),
        "bert-base-uncased": (768, "Apache-2.0"),
        "multilingual-e5-base": (768, "MIT"),
        "multilingual-e5-small": (384, "MIT"),
    }
    assert [name for name, card in cards.items() if card.installed] == ["minilm"]
    assert bert.repository("all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    assert bert.repository("minilm") is None


@pytest.mark.parametrize("spec", ["multilingual-e5-small", "intfloat/multilingual-e5-small"])
def test_a_model_that_is_not_here_says_how_to_get_it(spec: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="`picfind models pull multilingual-e5-small`"):
        bert.find(spec, settings(tmp_path))
    card = {card.name: card for card in bert.cards(settings(tmp_path))}["multilingual-e5-small"]
    with pytest.raises(ModelFilesError, match="models pull multilingual-e5-small"):
        bert.load(card, settings(tmp_path))


@pytest.mark.parametrize("spec", ["", "bert", "MiniLM", "builtin", "owner/none"])
def test_other_names_are_not_its_own(tmp_path: Path, spec: str) -> None:
    assert bert.find(spec, settings(tmp_path)) is None


def test_folders_of_other_families_are_not_its_own(tmp_path: Path) -> None:
    write_json(tmp_path / "clip" / "config.json", {"model_type": "bert"})
    (tmp_path / "clip" / "visual").mkdir()
    write_json(tmp_path / "other" / "config.json", {"model_type": "llama"})
    write_json(tmp_path / "resnet" / "picfind.json", {"family": "resnet"})
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_bytes(b"\xff")
    for name in ("clip", "other", "resnet", "damaged"):
        assert bert.find(name, settings(tmp_path)) is None
    assert not {"clip", "other", "resnet", "damaged"} & {card.name for card in bert.cards(settings(tmp_path))}


def test_a_folder_is_found_by_name_path_and_repository(folder: Path, tmp_path: Path) -> None:
    by_name, by_path = bert.find("small", settings(folder.parent)), bert.find(str(folder), settings(tmp_path))
    assert by_name is not None
    assert by_path is not None
    assert (by_name.name, by_path.name) == ("small", str(folder))
    assert by_name.revision == by_path.revision
    assert by_name in list(bert.cards(settings(folder.parent)))
    pulled = write_folder(folder.parent / "multilingual-e5-small")
    card = bert.find("intfloat/multilingual-e5-small", settings(pulled.parent))
    assert card is not None
    assert (card.name, card.languages) == ("multilingual-e5-small", ("multilingual",))


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json"])
def test_the_revision_is_that_of_the_files(name: str, folder: Path) -> None:
    before = load(folder).card.revision
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert load(folder).card.revision != before


def test_an_export_says_its_terms(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").rename(folder / "model.onnx")
    _folders.write_manifest(folder, _folders.Manifest("bert", licence="MIT", source="somebody/small"))
    card = load(folder).card
    assert (card.licence, card.source) == ("MIT", "somebody/small")
    np.testing.assert_allclose(encode(folder, TEXTS), expected(TEXTS), atol=1e-6)


# What a text becomes


@pytest.mark.parametrize("integers", ["int64", "int32"])
@pytest.mark.parametrize("segments", [True, False])
def test_graphs_get_what_they_ask_for(integers: str, segments: bool, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "small", shape=Shape(integers=integers, segments=segments))
    np.testing.assert_allclose(encode(folder, TEXTS), expected(TEXTS), atol=1e-6)


@pytest.mark.parametrize(("batch", "length"), [(1, "t"), (3, "t"), ("n", 64), (2, 64)])
def test_graphs_of_fixed_size(batch: int | str, length: int | str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "small", shape=Shape(batch=batch, length=length))
    np.testing.assert_allclose(encode(folder, TEXTS), expected(TEXTS), atol=1e-6)


@given(texts=st.lists(st.text(alphabet="abc ,.é", max_size=30), min_size=1, max_size=6))
@hypothesis_settings(max_examples=30, deadline=None)
def test_padding_never_counts(shared_folder: Path, texts: list[str]) -> None:
    """As an accelerator is fed, in one padded batch."""
    tower = TextTower(shared_folder, read_recipe(shared_folder), batched=True, hint=HINT)
    rows = tower.encode([tower.prepare(text) for text in texts])
    np.testing.assert_allclose(rows, expected(texts), atol=1e-5)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "small")


def test_a_long_batch_keeps_its_order(folder: Path) -> None:
    texts = [f"{'dog ' * (at % 5)}{at}" for at in range(100)]
    np.testing.assert_allclose(load(folder).encode_texts(texts, batch_size=100), expected(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("sentence", "tokens", "limit"),
    [({"max_seq_length": 10}, {"model_max_length": 12}, 10), ({}, {"model_max_length": 12}, 12), ({}, {}, 64),
     ({"max_seq_length": 900}, {}, 64), ({}, {"model_max_length": 1e30}, 64), ({"max_seq_length": None}, {}, 64)],
)  # fmt: skip
def test_long_texts_are_cut(sentence: Any, tokens: Any, limit: int, folder: Path) -> None:
    write_json(folder / "sentence_bert_config.json", sentence)
    write_json(folder / "tokenizer_config.json", tokens)
    text = "many words in a row, " * 20
    np.testing.assert_allclose(encode(folder, [text]), expected([text], limit=limit), atol=1e-6)


def test_positions_that_begin_after_the_padding_are_fewer(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "model_type": "xlm-roberta", "pad_token_id": 1})
    assert read_recipe(folder).limit == 62
    assert read_recipe(folder).padding == 1


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode": "cls"}, "cls"),
        ({}, "mean"),
    ],
)
def test_pooling_is_what_the_folder_says(config: Any, pooling: str, folder: Path) -> None:
    write_json(folder / "1_Pooling" / "config.json", config)
    write_json(
        folder / "modules.json", [{"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]
    )
    np.testing.assert_allclose(encode(folder, TEXTS), expected(TEXTS, pooling=pooling), atol=1e-6)


def test_the_pooling_may_lie_elsewhere(folder: Path) -> None:
    write_json(folder / "2_P" / "config.json", {"pooling_mode_cls_token": True})
    write_json(folder / "modules.json", [{"type": "sentence_transformers.models.Pooling", "path": "2_P"}])
    np.testing.assert_allclose(encode(folder, TEXTS), expected(TEXTS, pooling="cls"), atol=1e-6)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools by pooling_mode_max_tokens"),
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "pools by lasttoken"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            "pools by mean and cls",
        ),
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}],
            "a module 'Dense'",
        ),
        ("modules.json", {"type": "a"}, "holds no list of modules"),
        ("config.json", {"model_type": "bert"}, "has no hidden_size"),
    ],
)
def test_what_is_not_supported_is_refused(file: str, content: Any, message: str, folder: Path) -> None:
    write_json(folder / file, content)
    with pytest.raises(ModelFilesError, match=message):
        load(folder)
    listed = {card.name: card for card in bert.cards(settings(folder.parent))}["small"]
    assert not listed.installed
    assert message in listed.note


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=4,
)


@given(
    content=st.dictionaries(
        st.sampled_from(["config.json", *SMALL]), st.dictionaries(st.sampled_from(KEYS), VALUES)
    ),
    modules=st.lists(st.dictionaries(st.sampled_from(["type", "path"]), VALUES), max_size=2) | VALUES,
)
@hypothesis_settings(max_examples=150, deadline=None)
def test_odd_files_give_a_recipe_or_a_clear_error(shared_folder: Path, content: Any, modules: Any) -> None:
    config = json.loads((shared_folder / "config.json").read_text())
    changed = {
        name: {**config, **fields} if name == "config.json" else fields for name, fields in content.items()
    }
    changed["modules.json"] = modules
    try:
        for name, fields in changed.items():
            write_json(shared_folder / name, fields)
        with contextlib.suppress(ModelFilesError):
            recipe = read_recipe(shared_folder)
            assert recipe.dim > 0
            assert recipe.limit >= 2
            assert recipe.describe()
    finally:
        for name in changed:
            (shared_folder / name).unlink()
        write_json(shared_folder / "config.json", config)


def test_a_vector_that_is_pooled_already_is_taken(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "small", shape=Shape(output="sentence_embedding"))
    rows = encode(folder, TEXTS)
    assert rows.shape == (len(TEXTS), DIM)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_lower_case_where_the_folder_says_so(folder: Path) -> None:
    cased = json.loads((folder / "tokenizer.json").read_text())
    cased["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(cased))
    assert np.abs(encode(folder, ["A DOG"]) - expected(["a dog"])).max() > 0.01
    write_json(folder / "sentence_bert_config.json", {"do_lower_case": True})
    np.testing.assert_allclose(encode(folder, ["A DOG"]), expected(["a dog"]), atol=1e-6)


def test_lone_surrogates_are_taken(folder: Path) -> None:
    assert encode(folder, ["a \udcff dog"]).shape == (1, DIM)


# Prefixes


@pytest.mark.parametrize("name", ["multilingual-e5-small", "e5-base-v2"])
def test_e5_has_its_prefixes_by_name(name: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / name)
    documents, queries = encode(folder, TEXTS), encode(folder, TEXTS, role="query")
    np.testing.assert_allclose(documents, expected(TEXTS, prefix="passage: "), atol=1e-6)
    np.testing.assert_allclose(queries, expected(TEXTS, prefix="query: "), atol=1e-6)
    assert load(folder).space == load(folder, role="query").space


@pytest.mark.parametrize(
    ("prompts", "document", "query"),
    [
        ({"query": "find. ", "passage": "this. "}, "this. ", "find. "),
        ({"query": "find. ", "document": ""}, "", "find. "),
        ({"query": "", "document": ""}, "", ""),
    ],
)
def test_prompts_of_the_folder_are_used(prompts: Any, document: str, query: str, folder: Path) -> None:
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    np.testing.assert_allclose(encode(folder, TEXTS), expected(TEXTS, prefix=document), atol=1e-6)
    np.testing.assert_allclose(encode(folder, TEXTS, role="query"), expected(TEXTS, prefix=query), atol=1e-6)


def test_the_prefix_of_documents_is_part_of_the_revision(folder: Path) -> None:
    before = load(folder).card.revision
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "find. "}})
    assert load(folder).card.revision == before
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"document": "this. "}})
    assert load(folder).card.revision != before


@pytest.mark.parametrize("name", ["multilingual-e5-large-instruct", "gte5-small", "line5"])
def test_other_names_have_no_prefix(name: str, tmp_path: Path) -> None:
    assert not read_recipe(write_folder(tmp_path / name)).prefixes


def test_a_prefix_that_must_not_be_pooled_is_refused(folder: Path) -> None:
    write_json(
        folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True, "include_prompt": False}
    )
    assert load(folder).card.dim == DIM
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "find. "}})
    with pytest.raises(ModelFilesError, match="leaves its prefix out"):
        load(folder)


# What a pull takes

SENTENCE = [
    "README.md", "config.json", "modules.json", "sentence_bert_config.json", "tokenizer.json", "vocab.txt",
    "tokenizer_config.json", "1_Pooling/config.json", "onnx/config.json", "onnx/model.onnx", "onnx/model_O4.onnx",
    "onnx/model_qint8_avx512_vnni.onnx", "onnx/tokenizer.json", "model.safetensors", "pytorch_model.bin",
]  # fmt: skip


def test_a_pull_takes_one_graph_and_the_small_files() -> None:
    taken = bert.wanted(SENTENCE)
    assert taken is not None
    assert sorted(taken) == [
        "1_Pooling/config.json",
        "config.json",
        "modules.json",
        "onnx/model.onnx",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    large = bert.wanted([*SENTENCE, "onnx/model.onnx_data", "onnx/model_O4.onnx_data"])
    assert large is not None
    assert set(large) - set(taken) == {"onnx/model.onnx_data"}
    at_the_root = bert.wanted(["model.onnx", "config.json", "tokenizer.json", "model.onnx.data"])
    assert at_the_root == ["model.onnx", "model.onnx.data", "tokenizer.json", "config.json"]


@pytest.mark.parametrize("lacking", ["onnx/model.onnx", "tokenizer.json", "config.json"])
def test_a_repository_without_what_is_needed_is_not_for_it(lacking: str) -> None:
    assert bert.wanted([name for name in SENTENCE if name != lacking]) is None


@pytest.mark.parametrize(
    ("spec", "name", "prefix"),
    [
        ("multilingual-e5-small", "multilingual-e5-small", "passage: "),
        ("mine/e5", "mine--e5", "passage: "),
        ("mine/words", "mine--words", ""),
    ],
)
def test_a_model_is_pulled_and_used(
    spec: str, name: str, prefix: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    here = settings(tmp_path / "pulled")
    with hub_server() as hub:
        repository = bert.repository(spec) or spec
        hub.repositories = {repository: {**files, "onnx/model_O4.onnx": b"another", "vocab.txt": b"words"}}
        hub.licences = {repository: "mit"}
        use_hub(monkeypatch, hub.url, tmp_path / "cache")
        card = pulling.pull(spec, here)
        assert not hub.loads("onnx/model_O4.onnx")
    assert (card.name, card.licence, card.dim) == (name, "mit", DIM)
    assert bert.find(spec, here) == bert.find(repository, here) == card
    np.testing.assert_allclose(
        bert.load(card, here).encode_texts(TEXTS), expected(TEXTS, prefix=prefix), atol=1e-6
    )


def test_a_fresh_download_is_checked(folder: Path) -> None:
    bert.finish(folder, "somebody/small", settings(folder.parent))
    (folder / "onnx" / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelFilesError, match=r"model\.onnx cannot be read"):
        bert.finish(folder, "somebody/small", settings(folder.parent))


def test_a_fresh_download_with_another_head_is_refused(tmp_path: Path) -> None:
    for output in ("logits", "pooler_output"):
        folder = write_folder(tmp_path / output, shape=Shape(output=output))
        with pytest.raises(ModelFilesError, match=r"with a head for another task.*models export"):
            bert.finish(folder, "somebody/small", settings(tmp_path))


# Damage


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json"])
def test_missing_files_are_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelFilesError, match=f"lacks its file {name}"):
        load(folder)


def test_weights_without_a_graph_point_to_the_export(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").rename(folder / "model.safetensors")
    with pytest.raises(ModelFilesError, match=r"has weights but no ONNX graph\. `picfind models export"):
        load(folder)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json"])
def test_corrupt_files_say_so_when_first_used(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    encoder = load(folder)
    with pytest.raises(ModelFilesError, match=f"{name} cannot be read"):
        encoder.encode_texts(["a dog"])


def test_a_changed_file_is_not_what_was_pulled(folder: Path) -> None:
    _folders.write_manifest(folder, _folders.Manifest("bert"))
    with (folder / "onnx" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelFilesError, match="is not what was pulled or exported"):
        load(folder)


def test_another_dimension_than_stated_says_so(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "hidden_size": 768})
    with pytest.raises(ModelFilesError, match=f"gives {DIM} numbers a text, its configuration says 768"):
        encode(folder, ["a dog"])


def test_tokens_that_the_graph_does_not_know_say_so(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["d"] = 4000
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelFilesError, match="cannot be read"):
        encode(folder, ["d"])


def test_a_graph_that_asks_for_more_than_words_says_so(folder: Path) -> None:
    path = folder / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"token_type_ids", b"something_more"))
    with pytest.raises(ModelFilesError, match="something_more"):
        encode(folder, ["a dog"])


# The sentence model that comes with picfind


def test_minilm_is_the_sentence_part_of_the_built_in_model() -> None:
    whole = builtin.load(builtin.read_card(builtin.FOLDER), Settings())
    (part,) = [row for row in builtin.read_table(builtin.FOLDER) if row["name"] == "conse"]
    columns = whole.encode_texts(TEXTS)[:, part["offset"] : part["offset"] + 384]
    np.testing.assert_allclose(minilm().encode_texts(TEXTS), columns / part["text_weight"], atol=1e-6)


def test_minilm_changes_with_its_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("text.onnx", "tokenizer.json", "image.onnx", "card.json")
    for name in names:
        shutil.copyfile(builtin.FOLDER / name, tmp_path / name)
    monkeypatch.setattr(bert, "BUILTIN", tmp_path)
    seen = [minilm().card.revision]
    for name in names:
        with (tmp_path / name).open("ab") as file:
            file.write(b" ")
        seen.append(minilm().card.revision)
    assert len(set(seen)) == 3, "of these files two count"
    assert seen[2:] == [seen[2]] * 3


def test_minilm_gives_the_vectors_of_the_reference() -> None:
    """Of all-MiniLM-L6-v2 in transformers, fp32, which what is shipped approximates in 8 bits."""
    table = json.loads(REFERENCE.read_text(encoding="utf-8"))
    rows = minilm().encode_texts([row["text"] for row in table])
    wanted = np.array([row["vector"] for row in table], np.float32)
    assert wanted.shape == (len(table), 384)
    assert (rows * wanted).sum(axis=1).min() >= 0.99


def test_minilm_knows_what_is_alike() -> None:
    rows = minilm().encode_texts(
        ["a puppy on the shore", "a dog at the beach", "an invoice for office chairs"]
    )
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3


def test_loading_imports_no_runtime() -> None:
    program = """
import sys
from picfind.encoders import bert
from picfind.settings import Settings
here = Settings(device="cpu")
encoder = bert.load(bert.find("minilm", here), here)
loaded = {"onnxruntime", "tokenizers", "onnx", "torch"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
