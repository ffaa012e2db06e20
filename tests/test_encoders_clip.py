from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from PIL import Image

from picfind import encoders
from picfind.encoders import clip
from picfind.encoders.base import Encoder
from picfind.errors import ModelFilesError, UnknownModelError
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from tests.clip_folders import DIM, SIDE, Variant, make_folder
from tests.photos import photo

VARIANTS = {
    "bpe": Variant(),
    "unigram": Variant("unigram", config={"tokenizer_kwargs": {"clean": "canonicalize"}}),
    "roberta with a mask": Variant("roberta", mask=True),
    "nllb": Variant("nllb"),
    "one at a time": Variant(batch=1, ids=TensorProto.INT64),
    "four at a time": Variant(batch=4, external=True),
    "half precision": Variant(pixels=TensorProto.FLOAT16, static_out=False),
    "squash": Variant(preprocess={"resize_mode": "squash", "interpolation": "bilinear"}, size=[SIDE]),
    "not square": Variant(size=[SIDE, 2 * SIDE]),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "first", tmp_path / "models"))


@pytest.fixture
def place(settings: Settings) -> Path:
    return settings.models[-1]


@pytest.fixture(params=list(VARIANTS.values()), ids=list(VARIANTS), scope="class")
def _variant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = make_folder(tmp_path_factory.mktemp("models") / "tiny", request.param)
    request.cls.loaded = encoders.load("tiny", Settings(models=(folder.parent,)))
    yield


@pytest.mark.usefixtures("_variant")
class TestEveryVariant(EncoderSuite):
    loaded: Encoder

    def encoder(self) -> Encoder:
        return self.loaded


def load(name: str, settings: Settings, **how: Any) -> Encoder:
    return encoders.load(name, settings, **how)


def rewrite(path: Path, **fields: Any) -> None:
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**found, **fields}), encoding="utf-8")


def test_a_folder_is_found_by_name_repository_and_path(place: Path, settings: Settings) -> None:
    known = make_folder(place / "ViT-B-32__openai")
    other = make_folder(place / "someone--tiny")
    for spec in ("ViT-B-32__openai", "immich-app/ViT-B-32__openai", str(known)):
        card = encoders.find(spec, settings)
        assert (card.name, card.dim, card.licence, card.installed) == ("ViT-B-32__openai", DIM, "MIT", True)
    for spec in ("someone--tiny", "someone/tiny", str(other)):
        assert encoders.find(spec, settings).name == "someone--tiny"
    assert encoders.find("someone/tiny", settings).licence == "not stated"


def test_a_folder_elsewhere_keeps_its_path_as_its_name(tmp_path: Path, settings: Settings) -> None:
    folder = make_folder(tmp_path / "elsewhere" / "tiny")
    card = encoders.find(str(folder), settings)
    assert card.name == str(folder)
    assert load(card.name, settings).encode_texts(["a dog"]).shape == (1, DIM)


def test_the_first_folder_of_models_wins(settings: Settings) -> None:
    near = make_folder(settings.models[0] / "tiny")
    make_folder(settings.models[1] / "tiny", Variant(batch=1))
    assert encoders.find("tiny", settings).revision == encoders.find(str(near), settings).revision


def test_cards_list_what_is_here_and_what_could_be(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny")
    make_folder(place / "ViT-B-32__openai")
    cards = {card.name: card for card in clip.cards(settings)}
    assert cards["tiny"].installed and cards["ViT-B-32__openai"].installed
    siglip = cards["ViT-B-32-SigLIP2-256__webli"]
    assert (siglip.installed, siglip.revision, siglip.recall) == (False, "", {"COCO hit_at(1)": 47.2})
    assert all(card.recall_source for card in cards.values() if card.recall)


def test_published_cards_come_with_terms_that_allow_use_first() -> None:
    cards = list(clip.cards(Settings(models=())))
    assert all(card.licence and card.size_mb > 100 and card.dim for card in cards)
    assert [card.name for card in cards if "NC" in card.licence] == ["nllb-clip-base-siglip__mrl"]
    assert "Not recommended" in cards[-1].note and "NC" in cards[-1].licence


@pytest.mark.parametrize("spec", ["ViT-B-32__openai", "immich-app/ViT-B-32__openai", "immich-app/Unheard-of"])
def test_what_was_not_pulled_says_how_to_get_it(spec: str, settings: Settings) -> None:
    with pytest.raises(ModelFilesError, match=r"picfind models pull .*(ViT-B-32__openai|Unheard-of)"):
        encoders.find(spec, settings)
    with pytest.raises(ModelFilesError, match="610 MB"):
        encoders.find("ViT-B-32__openai", settings)
    with pytest.raises(ModelFilesError, match="models pull"):
        encoders.load(next(iter(clip.cards(settings))), settings)


def test_an_unknown_repository_is_an_unknown_model(settings: Settings) -> None:
    with pytest.raises(UnknownModelError):
        encoders.find("someone/unheard-of", settings)


@pytest.mark.parametrize("name", clip.FILES)
def test_each_missing_file_is_named(name: str, place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny")
    (folder / name).unlink()
    with pytest.raises(ModelFilesError, match=name):
        encoders.find("tiny", settings)
    (folder / name).write_bytes(b"")
    with pytest.raises(ModelFilesError, match=r"is empty"):
        encoders.find("tiny", settings)
    damaged = next(card for card in clip.cards(settings) if card.name == "tiny")
    assert not damaged.installed and damaged.note.startswith("Damaged:")


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("config.json", {"embed_dim": "512"}, "embed_dim is '512'"),
        ("config.json", {"text_cfg": {"context_length": 0}}, "context_length is 0"),
        ("config.json", {"text_cfg": {"tokenizer_kwargs": {"clean": "shout"}}}, "cleaned by 'shout'"),
        ("visual/preprocess_cfg.json", {"interpolation": "guess"}, "interpolation 'guess' is not known"),
        ("visual/preprocess_cfg.json", {"resize_mode": "longest"}, "resize_mode 'longest' is not known"),
        ("visual/preprocess_cfg.json", {"size": None}, "size is None"),
        ("visual/preprocess_cfg.json", {"size": [8, 8, 8]}, "size is"),
        ("visual/preprocess_cfg.json", {"mean": [0.5, "x", 0.5]}, "mean is"),
        ("visual/preprocess_cfg.json", {"std": [0.5, 0, 0.5]}, "std is"),
        ("textual/tokenizer_config.json", {"pad_token": None}, "names no pad_token"),
    ],
)
def test_odd_settings_are_named(
    file: str, fields: dict[str, Any], message: str, place: Path, settings: Settings
) -> None:
    rewrite(make_folder(place / "tiny") / file, **fields)
    with pytest.raises(ModelFilesError, match=message):
        encoders.find("tiny", settings)
    assert any(message in problem for problem in clip.problems(place / "tiny"))


def test_json_that_is_none(place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny")
    (folder / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelFilesError, match=r"config\.json cannot be read"):
        encoders.find("tiny", settings)
    (folder / "config.json").write_text("[]", "utf-8")
    with pytest.raises(ModelFilesError, match="no JSON object"):
        encoders.find("tiny", settings)


def test_a_damaged_graph_and_tokenizer(place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny")
    for name in clip.GRAPHS:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    (folder / "textual" / "tokenizer.json").write_text("{}", "utf-8")
    encoder = load("tiny", settings)
    with pytest.raises(ModelFilesError, match=r"visual.model\.onnx cannot be read"):
        encoder.encode_images([photo()])
    with pytest.raises(ModelFilesError, match=r"tokenizer\.json cannot be read"):
        encoder.encode_texts(["a dog"])


@pytest.mark.parametrize("static_out", [True, False])
def test_an_output_of_another_dimension(static_out: bool, place: Path, settings: Settings) -> None:
    make_folder(place / "tiny", Variant(out=DIM + 1, static_out=static_out))
    encoder = load("tiny", settings)
    with pytest.raises(ModelFilesError, match=r"config\.json says that its vectors have 16"):
        encoder.encode_texts(["a"])
    with pytest.raises(ModelFilesError, match=r"config\.json says that its vectors have 16"):
        encoder.encode_images([photo()])


def test_a_graph_that_wants_pictures_of_another_size(place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny")
    rewrite(folder / "visual" / "preprocess_cfg.json", size=SIDE + 1)
    with pytest.raises(ModelFilesError, match="makes pictures of"):
        load("tiny", settings).encode_images([photo()])


def test_a_graph_that_wants_texts_of_another_length(place: Path, settings: Settings) -> None:
    rewrite(make_folder(place / "tiny") / "config.json", text_cfg={})
    with pytest.raises(ModelFilesError, match="does not run"):
        load("tiny", settings).encode_texts(["a"])


def test_vectors_that_are_no_numbers(place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny")
    rewrite(folder / "visual" / "preprocess_cfg.json", std=[1e-44, 1e-44, 1e-44])
    with np.errstate(all="ignore"), pytest.raises(ModelFilesError, match="infinities"):
        load("tiny", settings).encode_images([photo()])


def test_the_revision_depends_on_files_and_choices_and_on_nothing_else(
    place: Path, settings: Settings
) -> None:
    plain = make_folder(place / "plain", Variant(external=True))
    revisions = {encoders.find("plain", settings).revision}

    def changed(name: str) -> Path:
        return Path(shutil.copytree(plain, place / name))

    copy = changed("copy")
    (copy / "visual" / "model.armnn").write_bytes(b"another runtime's")
    (copy / "visual" / "notes").write_bytes(b"a person's")
    rewrite(copy / "config.json", vision_cfg={"layers": 12})
    assert encoders.find("copy", settings).revision in revisions

    rewrite(changed("squash") / "visual" / "preprocess_cfg.json", resize_mode="squash")
    rewrite(changed("clean") / "config.json", text_cfg={"tokenizer_kwargs": {"clean": "canonicalize"}})
    rewrite(changed("pad") / "textual" / "tokenizer_config.json", pad_token="a</w>")
    for name in ("visual/model.onnx.data", "textual/model.onnx.data", "textual/tokenizer.json"):
        path = changed(name.replace("/", "-")) / name
        path.write_bytes(path.read_bytes() + b" ")
    names = ["squash", "clean", "pad"]
    names += [f"{part}-model.onnx.data" for part in ("visual", "textual")] + ["textual-tokenizer.json"]
    revisions |= {encoders.find(name, settings).revision for name in names}
    assert len(revisions) == 7


def test_weights_beside_a_graph_count_in_its_size(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny", Variant(external=True))
    assert "visual/model.onnx.data" in clip.model_files(place / "tiny")
    assert "textual/model.onnx.data" in clip.model_files(place / "tiny")
    (place / "tiny" / "visual" / "data").write_bytes(b"a name that is part of another")
    assert "visual/data" not in clip.model_files(place / "tiny")


def test_weights_with_a_long_name_are_found(place: Path, settings: Settings) -> None:
    graph = make_folder(place / "tiny") / "visual" / "model.onnx"
    name = "w" * 150
    onnx.save(onnx.load(graph), str(graph), save_as_external_data=True, location=name, size_threshold=64)
    assert f"visual/{name}" in clip.model_files(place / "tiny")
    assert load("tiny", settings).encode_images([photo()]).shape == (1, DIM)


def test_a_fixed_batch_gives_what_a_free_one_does(place: Path, settings: Settings) -> None:
    pictures = [photo("red", seed=seed) for seed in range(5)]
    texts = ["a dog", "red", "blue", "green", "rain"]
    rows = []
    for name, batch in (("free", "n"), ("one", 1), ("four", 4)):
        make_folder(place / name, Variant(batch=batch))
        encoder = load(name, settings)
        rows.append(
            np.concatenate([encoder.encode_images(pictures, batch_size=5), encoder.encode_texts(texts)])
        )
    assert np.allclose(rows[0], rows[1], atol=1e-6) and np.allclose(rows[0], rows[2], atol=1e-6)


def test_an_accelerator_gets_batches(
    place: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(place / "tiny")
    pictures = [photo("red", seed=seed) for seed in range(40)]
    alone = load("tiny", settings).encode_images(pictures)
    monkeypatch.setattr(clip, "on_accelerator", lambda device: True)
    together = load("tiny", settings)
    assert together.on_accelerator and together.card.batch_size == 32
    assert np.allclose(together.encode_images(pictures, batch_size=40), alone, atol=1e-6)


def test_decoding_keeps_at_least_twice_what_is_needed(place: Path, settings: Settings) -> None:
    make_folder(place / "small")
    make_folder(place / "large", Variant(size=[8, 300]))
    assert load("small", settings).decode_size == 512
    assert load("large", settings).decode_size == 600


def test_which_files_of_a_repository_are_wanted() -> None:
    extra = ["visual/model.onnx.data", "textual/onnx__MatMul_12", "visual/blocks.0.attn.weight"]
    unwanted = [
        "README.md",
        ".gitattributes",
        "visual/model.armnn",
        "visual/fp16/model.onnx",
        "visual/rknpu/rk3588/model.rknn",
        "textual/special_tokens_map.json",
        "textual/merges.txt",
        "textual/sentencepiece.bpe.model",
        "visual/.hidden",
    ]
    assert clip.wanted([*unwanted, *clip.FILES, *extra]) == [*clip.FILES, *extra]
    assert clip.wanted(["model.onnx", "config.json", "tokenizer.json"]) is None


def test_a_picture_that_is_not_rgb(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny")
    image = load("tiny", settings).image
    assert image is not None
    grey = photo("red").convert("L")
    assert np.array_equal(image.prepare(grey), image.prepare(grey.convert("RGB")))
    assert image.prepare(Image.new("RGB", (30, 10))).shape == (3, SIDE, SIDE)


def test_a_damaged_manifest_does_not_hide_a_folder(place: Path, settings: Settings) -> None:
    (make_folder(place / "tiny") / "picfind.json").write_text("{", "utf-8")
    with pytest.raises(ModelFilesError, match=r"picfind\.json cannot be read"):
        encoders.find(str(place / "tiny"), settings)
    assert "Damaged" in next(card.note for card in clip.cards(settings) if card.name == "tiny")


def test_a_picture_input_of_a_type_that_cannot_be_given(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny", Variant(pixels=TensorProto.DOUBLE))
    with pytest.raises(ModelFilesError, match=r"takes tensor\(double\) as its input 'image'"):
        load("tiny", settings).encode_images([photo()])


def test_an_input_for_words_that_is_not_known(place: Path, settings: Settings) -> None:
    path = make_folder(place / "tiny") / "textual" / "model.onnx"
    graph = onnx.load(path)
    graph.graph.input.append(onnx.helper.make_tensor_value_info("weather", TensorProto.INT32, [1]))
    onnx.save(graph, str(path))
    with pytest.raises(ModelFilesError, match="an input 'weather', which is not known"):
        load("tiny", settings).encode_texts(["a"])
