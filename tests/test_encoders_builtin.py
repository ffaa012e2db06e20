from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from picfind import encoders, plugins
from picfind.encoders import _folders, builtin
from picfind.errors import ModelFilesError
from picfind.models.check import check
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from tests.builtin_inputs import PHOTOS, SENTENCES, photo, photo_path, pictures, tiles, waves

if TYPE_CHECKING:
    from picfind.encoders.base import Encoder, EncoderCard, Prepared, Tower
    from picfind.types import Floats

SETTINGS = Settings()
REFERENCE = Path(__file__).parent / "data" / "builtin_reference.json"


@pytest.fixture(scope="module")
def card() -> EncoderCard:
    found = builtin.find("builtin", SETTINGS)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def encoder(card: EncoderCard) -> Encoder:
    return builtin.load(card, SETTINGS)


@pytest.fixture(scope="module")
def reference() -> dict[str, Floats]:
    vectors: dict[str, list[float]] = json.loads(REFERENCE.read_text(encoding="utf-8"))
    return {name: np.array(vector, np.float32) for name, vector in vectors.items()}


def needs_photos() -> None:
    try:
        missing = [name for name in PHOTOS if not photo_path(name).is_file()]
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    assert not missing


def image_of(encoder: Encoder) -> Tower[Image.Image]:
    assert encoder.image is not None
    return encoder.image


def text_of(encoder: Encoder) -> Tower[str]:
    assert encoder.text is not None
    return encoder.text


def encode_images(encoder: Encoder, images: list[Image.Image]) -> Floats:
    tower = image_of(encoder)
    return tower.encode([tower.prepare(image) for image in images])


def encode_texts(encoder: Encoder, texts: list[str]) -> Floats:
    tower = text_of(encoder)
    return tower.encode([tower.prepare(text) for text in texts])


def parts() -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = json.loads((builtin.FOLDER / "card.json").read_text(encoding="utf-8"))[
        "parts"
    ]
    return table


# The card


def test_it_is_found_by_its_file_name() -> None:
    assert plugins.load("encoders", "builtin") is builtin


def test_three_models_come_out_of_the_files(card: EncoderCard) -> None:
    names = ["builtin", "builtin-open", "builtin-image"]
    assert [known.name for known in builtin.cards(Settings(models=()))] == names
    assert builtin.find("builtin", SETTINGS) == card
    assert len({builtin.find(name, SETTINGS).space for name in names}) == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("spec", ["", "built", "Builtin", "./builtin", "builtin-closed"])
def test_other_names_are_not_its_own(spec: str) -> None:
    assert builtin.find(spec, SETTINGS) is None


def test_revision_is_that_of_the_files(card: EncoderCard) -> None:
    assert card.revision == builtin.revision_of(builtin.FOLDER)


@pytest.mark.parametrize("name", builtin.MODEL_FILES)
def test_revision_changes_with_every_file(tmp_path: Path, name: str) -> None:
    for each in builtin.MODEL_FILES:
        (tmp_path / each).write_bytes(each.encode())
    before = builtin.revision_of(tmp_path)
    (tmp_path / name).write_bytes(b"another")
    assert builtin.revision_of(tmp_path) != before


def test_files_are_small_enough_and_the_card_says_how_large(card: EncoderCard) -> None:
    total = sum(path.stat().st_size for path in builtin.FOLDER.iterdir())
    assert total < 48e6
    assert card.size_mb == pytest.approx(
        sum((builtin.FOLDER / name).stat().st_size for name in builtin.MODEL_FILES) / 1e6, abs=0.05
    )


def test_a_thousand_classes_are_named_and_defined() -> None:
    lines = (builtin.FOLDER / "classes.txt").read_text(encoding="utf-8").splitlines()
    labels = [tuple(line.split("\t")) for line in lines]
    assert len(labels) == 1000
    assert all(len(label) == 2 and all(text and text == text.strip() for text in label) for label in labels)
    assert labels[285][0] == "Egyptian cat"  # class 285 of ImageNet's 1,000, whichever source counts them


def test_decode_size_is_what_the_revision_speaks_of(encoder: Encoder) -> None:
    assert encoder.decode_size == builtin.DECODE_SIZE == 512
    assert str(encoder.decode_size) in builtin.PREPROCESSING


# Vectors


@pytest.mark.parametrize("name", [*PHOTOS, "waves", "tiles"])
def test_pictures_agree_with_the_reference(encoder: Encoder, reference: dict[str, Floats], name: str) -> None:
    """The tower in torch, fp32. The shipped weights give .9988 at the least; decoders of JPEG may differ a little."""
    needs_photos()
    row = encode_images(encoder, [pictures()[name]])[0]
    assert row @ reference[name] > 0.998


@pytest.mark.parametrize("at", range(len(SENTENCES)))
def test_sentences_agree_with_the_reference(encoder: Encoder, reference: dict[str, Floats], at: int) -> None:
    """The tower in transformers, fp32. The shipped int8 weights give .996 at the least, .9995 on captions."""
    row = encode_texts(encoder, [SENTENCES[at]])[0]
    assert row @ reference[f"text {at}"] > 0.995


def test_every_reference_is_used(reference: dict[str, Floats]) -> None:
    texts = {f"text {at}" for at in range(len(SENTENCES))}
    assert set(reference) == {*PHOTOS, "waves", "tiles"} | texts


def test_rows_are_unit_rows_of_float32(encoder: Encoder, card: EncoderCard) -> None:
    flat = [Image.new("RGB", (40, 40), colour) for colour in ("black", "white", "red")]
    for rows in (encode_images(encoder, [waves(), tiles(), *flat]), encode_texts(encoder, list(SENTENCES))):
        assert rows.dtype == np.float32
        assert rows.shape[1] == card.dim
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


def test_parts_lie_side_by_side_with_constant_lengths(encoder: Encoder, card: EncoderCard) -> None:
    image, text = encode_images(encoder, [waves()])[0], encode_texts(encoder, ["a wave"])[0]
    offset = 0
    for part in parts():
        assert part["offset"] == offset
        offset += part["dim"]
        columns = slice(part["offset"], offset)
        assert np.linalg.norm(image[columns]) == pytest.approx(part["weight"], abs=1e-5)
        assert np.linalg.norm(text[columns]) == pytest.approx(part["text_weight"], abs=1e-5)
    assert offset == card.dim


def test_no_pictures_and_no_texts_are_no_rows(encoder: Encoder, card: EncoderCard) -> None:
    assert image_of(encoder).encode([]).shape == (0, card.dim)
    assert text_of(encoder).encode([]).shape == (0, card.dim)


def test_a_batch_gives_what_each_gives_alone(encoder: Encoder) -> None:
    images, texts = [waves(), tiles()], list(SENTENCES)
    alone = np.concatenate([encode_images(encoder, [image]) for image in images])
    np.testing.assert_array_equal(encode_images(encoder, images), alone)
    alone = np.concatenate([encode_texts(encoder, [text]) for text in texts])
    np.testing.assert_array_equal(encode_texts(encoder, texts), alone)


def test_two_loads_give_the_same(encoder: Encoder, card: EncoderCard) -> None:
    again = builtin.load(card, SETTINGS, role="query", language="de")
    np.testing.assert_array_equal(encode_images(again, [waves()]), encode_images(encoder, [waves()]))
    np.testing.assert_array_equal(encode_texts(again, ["a wave"]), encode_texts(encoder, ["a wave"]))


def test_four_threads_get_what_one_gets(card: EncoderCard, encoder: Encoder) -> None:
    fresh = builtin.load(card, SETTINGS)  # so that the threads also race for opening it
    texts = [f"{count} dogs in a garden" for count in range(24)]
    images = [waves().rotate(15 * turn) for turn in range(8)]
    with ThreadPoolExecutor(4) as workers:
        text_rows = list(workers.map(lambda text: encode_texts(fresh, [text]), texts))
        image_rows = list(workers.map(lambda image: encode_images(fresh, [image]), images))
    np.testing.assert_array_equal(np.concatenate(text_rows), encode_texts(encoder, texts))
    np.testing.assert_array_equal(np.concatenate(image_rows), encode_images(encoder, images))


def test_of_a_long_text_256_tokens_count(encoder: Encoder) -> None:
    tower = text_of(encoder)
    assert len(tower.prepare("dog " * 1000)) == 256
    np.testing.assert_array_equal(tower.prepare("dog " * 254), tower.prepare("dog " * 1000))


def test_blank_text_is_empty_text(encoder: Encoder) -> None:
    rows = encode_texts(encoder, ["", "  \n\t "])
    np.testing.assert_array_equal(rows[0], rows[1])


@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(exclude_categories=[]), max_size=60))
def test_any_text_has_a_unit_row(encoder: Encoder, text: str) -> None:
    rows = encode_texts(encoder, [text])
    assert np.linalg.norm(rows[0]) == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 700), height=st.integers(1, 700), mode=st.sampled_from(["RGB", "L", "RGBA", "P"]))
def test_any_shape_is_squashed(encoder: Encoder, width: int, height: int, mode: str) -> None:
    pixels: Prepared = image_of(encoder).prepare(Image.new(mode, (width, height)))
    assert pixels.shape == (260, 260, 3)
    assert pixels.dtype == np.uint8


def test_the_whole_picture_counts(encoder: Encoder) -> None:
    """Nothing is cropped: what changes at the very edge changes the pixels."""
    image = Image.new("RGB", (900, 300), "white")
    image.paste((0, 0, 0), (0, 0, 40, 300))
    pixels: Prepared = image_of(encoder).prepare(image)
    assert pixels[:, 0].max() < 60
    assert pixels[:, -1].min() == 255


# What it finds


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("a cat", "chelsea"),
        ("a kitten's face", "chelsea"),
        ("a rocket launch", "rocket"),
        ("a cup of coffee", "coffee"),
        ("hot drink", "coffee"),
        ("an astronaut", "astronaut"),
        ("a temple in Asia", "china"),
        ("a blossom in a garden", "flower"),
    ],
)
def test_words_find_the_right_photo(encoder: Encoder, query: str, name: str) -> None:
    needs_photos()
    rows = encode_images(encoder, [photo(each) for each in PHOTOS])
    scores = rows @ encode_texts(encoder, [query])[0]
    assert list(PHOTOS)[int(scores.argmax())] == name


@pytest.mark.parametrize("name", list(PHOTOS))
def test_a_crop_finds_its_photo(encoder: Encoder, name: str) -> None:
    needs_photos()
    image = photo(name)
    crop = image.crop((image.width // 8, image.height // 8, image.width * 7 // 8, image.height * 7 // 8))
    rows = encode_images(encoder, [photo(each) for each in PHOTOS])
    assert list(PHOTOS)[int((rows @ encode_images(encoder, [crop])[0]).argmax())] == name


# Files: when they are read, and when they are wrong


def folder_with(tmp_path: Path, *good: str) -> Path:
    """A model folder in which only the files named are real."""
    for name in builtin.MODEL_FILES:
        if name in good:
            shutil.copyfile(builtin.FOLDER / name, tmp_path / name)
        else:
            (tmp_path / name).write_bytes(b"not a model")
    return tmp_path


def test_loading_and_words_never_read_the_picture_model(
    tmp_path: Path, card: EncoderCard, encoder: Encoder
) -> None:
    words_only = builtin.open_folder(folder_with(tmp_path, "text.onnx", "tokenizer.json"), card)
    np.testing.assert_array_equal(encode_texts(words_only, ["a cat"]), encode_texts(encoder, ["a cat"]))


def test_pictures_never_read_the_words_model(tmp_path: Path, card: EncoderCard, encoder: Encoder) -> None:
    pictures_only = builtin.open_folder(folder_with(tmp_path, "image.onnx"), card)
    np.testing.assert_array_equal(encode_images(pictures_only, [tiles()]), encode_images(encoder, [tiles()]))


def test_damaged_files_say_so_when_first_used(tmp_path: Path, card: EncoderCard) -> None:
    damaged = builtin.open_folder(folder_with(tmp_path), card)
    with pytest.raises(ModelFilesError, match=r"image\.onnx cannot be read.*Reinstall picfind"):
        encode_images(damaged, [tiles()])
    with pytest.raises(ModelFilesError, match=r"tokenizer\.json cannot be read"):
        encode_texts(damaged, ["a cat"])


@pytest.mark.parametrize("name", builtin.MODEL_FILES)
def test_missing_files_say_so_when_loaded(tmp_path: Path, card: EncoderCard, name: str) -> None:
    (folder_with(tmp_path) / name).unlink()
    with pytest.raises(ModelFilesError, match=f"{name} is missing. Reinstall picfind"):
        builtin.open_folder(tmp_path, card)


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff", b"[]", b"{}", b'{"card": 1}', b'{"card": {"languages": []}}']
)
def test_a_damaged_card_says_so(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(ModelFilesError, match=r"card\.json cannot be read.*Reinstall picfind"):
        builtin.read_card(tmp_path)


def test_loading_imports_no_runtime_and_encoding_writes_nothing() -> None:
    program = """
import sys
from picfind.encoders import builtin
from picfind.settings import Settings
from picfind.testing import EncoderSuite
encoder = builtin.load(builtin.find("builtin", Settings()), Settings())
loaded = {"onnxruntime", "tokenizers"} & set(sys.modules)
assert not loaded, loaded
encoder.text.encode([encoder.text.prepare("a cat")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    # Importing some versions of onnxruntime says so when a machine's graphics card is odd; nobody can stop that.
    complaints = [line for line in done.stderr.splitlines() if "device_discovery" not in line]
    assert (done.returncode, done.stdout, complaints) == (0, "", [])


# builtin-open: without what was learned from photos


@pytest.fixture(scope="module")
def open_one() -> Encoder:
    found = builtin.find("builtin-open", SETTINGS)
    assert found is not None
    return builtin.load(found, SETTINGS)


def open_columns() -> slice:
    rows = {part["name"]: part for part in parts()}
    return slice(rows["conse"]["offset"], rows["features"]["offset"] + rows["features"]["dim"])


def test_the_open_one_is_a_model_of_its_own_under_plain_terms(card: EncoderCard, open_one: Encoder) -> None:
    own = open_one.card
    assert own in list(builtin.cards(SETTINGS))
    assert (own.name, own.family, own.dim, own.licence) == ("builtin-open", "builtin", 640, "Apache-2.0")
    assert own.towers == ("image", "text") and own.languages == card.languages
    assert own.space != card.space


def test_the_open_one_is_that_stretch_of_the_whole(encoder: Encoder, open_one: Encoder) -> None:
    images, texts = [tiles(), waves()], ["a cat", "a red ball on a beach"]
    for whole, found in (
        (encode_images(encoder, images), encode_images(open_one, images)),
        (encode_texts(encoder, texts), encode_texts(open_one, texts)),
    ):
        stretch = whole[:, open_columns()]
        np.testing.assert_allclose(found, stretch / np.linalg.norm(stretch, axis=1, keepdims=True), atol=1e-6)


def made(folder: Path, told: list[dict[str, Any]]) -> Path:
    """A folder whose card lists these parts; its graphs are stubs."""
    for name in builtin.MODEL_FILES:
        (folder / name).write_bytes(name.encode())
    whole = json.loads((builtin.FOLDER / "card.json").read_text(encoding="utf-8"))
    whole["card"]["dim"] = sum(part["dim"] for part in told)
    (folder / "card.json").write_text(json.dumps({**whole, "parts": told}), encoding="utf-8")
    return folder


CONSE = {"name": "conse", "offset": 0, "dim": 384}
FEATURES = {"name": "features", "offset": 384, "dim": 256}


def test_without_heads_the_open_one_is_the_whole(tmp_path: Path) -> None:
    own = builtin.read_open_card(made(tmp_path, [CONSE, FEATURES]))
    assert own.dim == builtin.read_card(tmp_path).dim == 640


def test_with_heads_the_open_one_leaves_them_out(tmp_path: Path) -> None:
    told = [
        {"name": "heads", "offset": 0, "dim": 100},
        {**CONSE, "offset": 100},
        {**FEATURES, "offset": 484},
    ]
    own = builtin.read_open_card(made(tmp_path, told))
    assert (own.dim, builtin.read_card(tmp_path).dim) == (640, 740)


@pytest.mark.parametrize("name", builtin.MODEL_FILES)
def test_the_open_one_changes_with_every_file(tmp_path: Path, name: str) -> None:
    before = builtin.read_open_card(made(tmp_path, [CONSE, FEATURES])).revision
    (tmp_path / name).write_bytes(b"another, longer one")
    assert builtin.read_open_card(tmp_path).revision != before
    (tmp_path / name).unlink()
    with pytest.raises(ModelFilesError, match=f"{name} is missing. Reinstall picfind"):
        builtin.read_open_card(tmp_path)


class TestBuiltinOpen(EncoderSuite):
    def encoder(self) -> Encoder:
        return builtin.load(builtin.read_open_card(builtin.FOLDER), Settings())


# Folders that a recipe made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with one called `mine`: the built-in files, under other terms."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    folder.mkdir()
    for name in builtin.FILES:
        shutil.copyfile(builtin.FOLDER / name, folder / name)
    manifest = _folders.Manifest("builtin", "my own photos", "trained by picfind")
    _folders.write_manifest(folder, manifest)
    return folder


def test_a_trained_folder_is_found_and_listed_as_others_are(trained: Path, card: EncoderCard) -> None:
    here = Settings(models=(trained.parent,))
    found = encoders.find("mine", here)
    assert (found.name, found.family, found.dim) == ("mine", "builtin", card.dim)
    assert (found.licence, found.source) == ("my own photos", "trained by picfind")
    assert found.installed and found.towers == ("image", "text")
    assert found in list(builtin.cards(here)) and found in encoders.cards(here)
    assert encoders.find(str(trained), Settings(models=())).name == str(trained)
    assert builtin.find("mine", Settings(models=())) is None


def test_a_trained_folder_encodes_as_its_files_do(trained: Path, encoder: Encoder) -> None:
    mine = encoders.load("mine", Settings(models=(trained.parent,)))
    np.testing.assert_array_equal(encode_texts(mine, ["a cat"]), encode_texts(encoder, ["a cat"]))
    np.testing.assert_array_equal(encode_images(mine, [tiles()]), encode_images(encoder, [tiles()]))
    assert check("mine", Settings(models=(trained.parent,))).problems == ()


def test_a_trained_folder_is_never_meant_by_a_shipped_name(trained: Path, card: EncoderCard) -> None:
    assert builtin.find("builtin", Settings(models=(trained.parent,))) == card


def signed(folder: Path) -> Settings:
    """Make the folder one of this family, with stubs for graphs, and the settings that find it."""
    folder.mkdir()
    made(folder, [CONSE, FEATURES])
    _folders.write_manifest(folder, _folders.Manifest("builtin"))
    return Settings(models=(folder.parent,))


@pytest.mark.parametrize("name", builtin.FILES)
def test_a_trained_folder_that_lacks_a_file_is_listed_as_damaged(tmp_path: Path, name: str) -> None:
    here = signed(tmp_path / "mine")
    assert builtin.problems(tmp_path / "mine") == []
    (tmp_path / "mine" / name).unlink()
    (listed,) = [known for known in builtin.cards(here) if known.name == "mine"]
    assert not listed.installed and name in listed.note
    assert builtin.problems(tmp_path / "mine") == [f"{name} is missing"]
    with pytest.raises(ModelFilesError, match=name):
        encoders.find("mine", here)


def test_a_trained_folder_whose_files_changed_is_refused(tmp_path: Path) -> None:
    here = signed(tmp_path / "mine")
    (tmp_path / "mine" / "text.onnx").write_bytes(b"another, longer one")
    with pytest.raises(ModelFilesError, match=r"text\.onnx is not what was pulled or exported"):
        encoders.find("mine", here)


def test_a_trained_folder_with_a_damaged_card_or_graph_says_to_train_again(tmp_path: Path) -> None:
    here = signed(tmp_path / "mine")
    mine = encoders.load("mine", here)
    with pytest.raises(ModelFilesError, match=r"image\.onnx cannot be read.*Train or copy the model again"):
        encode_images(mine, [tiles()])
    (tmp_path / "mine" / "card.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFilesError, match=r"card\.json cannot be read.*Train or copy the model again"):
        encoders.find("mine", here)
    (problem,) = builtin.problems(tmp_path / "mine")
    assert "card.json" in problem


def test_a_folder_of_another_family_is_not_its_own(tmp_path: Path) -> None:
    here = signed(tmp_path / "mine")
    _folders.write_manifest(tmp_path / "mine", _folders.Manifest("clip"))
    assert builtin.find("mine", here) is None
    assert not builtin.is_ours(tmp_path / "mine")


# builtin-image: the features alone


@pytest.fixture(scope="module")
def image_only() -> Encoder:
    found = builtin.find("builtin-image", SETTINGS)
    assert found is not None
    return builtin.load(found, SETTINGS)


def test_the_features_alone_have_a_card_and_no_words(card: EncoderCard, image_only: Encoder) -> None:
    own = image_only.card
    assert own in list(builtin.cards(SETTINGS))
    assert (own.name, own.family, own.dim, own.towers) == ("builtin-image", "builtin", 256, ("image",))
    assert image_only.text is None and image_only.pair is None
    assert own.space != card.space
    assert own.size_mb < card.size_mb


def test_the_features_alone_are_that_part_of_the_whole(encoder: Encoder, image_only: Encoder) -> None:
    (part,) = [part for part in parts() if part["name"] == "features"]
    whole = encode_images(encoder, [tiles(), waves()])
    wanted = whole[:, part["offset"] : part["offset"] + part["dim"]] / part["weight"]
    np.testing.assert_allclose(encode_images(image_only, [tiles(), waves()]), wanted, atol=1e-5)


def test_the_features_alone_change_with_the_pictures_model_only(tmp_path: Path, image_only: Encoder) -> None:
    for name in (*builtin.MODEL_FILES, "card.json"):
        shutil.copyfile(builtin.FOLDER / name, tmp_path / name)
    assert builtin.read_image_card(tmp_path).revision == image_only.card.revision
    (tmp_path / "text.onnx").write_bytes(b"another")
    assert builtin.read_image_card(tmp_path).revision == image_only.card.revision
    (tmp_path / "image.onnx").write_bytes(b"another")
    assert builtin.read_image_card(tmp_path).revision != image_only.card.revision


def test_the_features_alone_need_the_pictures_model_only(tmp_path: Path, image_only: Encoder) -> None:
    for name in ("image.onnx", "card.json"):
        shutil.copyfile(builtin.FOLDER / name, tmp_path / name)
    opened = builtin.open_images(tmp_path, builtin.read_image_card(tmp_path))
    np.testing.assert_array_equal(encode_images(opened, [tiles()]), encode_images(image_only, [tiles()]))
    (tmp_path / "image.onnx").unlink()
    with pytest.raises(ModelFilesError, match=r"image\.onnx is missing. Reinstall picfind"):
        builtin.read_image_card(tmp_path)


@pytest.mark.parametrize(
    "parts", [None, [], [{"name": "features"}], [{"name": "features", "offset": "x", "dim": 1}]]
)
def test_a_card_without_the_features_says_so(tmp_path: Path, parts: Any) -> None:
    shutil.copyfile(builtin.FOLDER / "image.onnx", tmp_path / "image.onnx")
    told = json.loads((builtin.FOLDER / "card.json").read_text(encoding="utf-8"))
    (tmp_path / "card.json").write_text(json.dumps({**told, "parts": parts}), encoding="utf-8")
    with pytest.raises(ModelFilesError, match=r"card\.json cannot be read.*Reinstall picfind"):
        builtin.read_image_card(tmp_path)


class TestBuiltinImage(EncoderSuite):
    def encoder(self) -> Encoder:
        return builtin.load(builtin.read_image_card(builtin.FOLDER), Settings())


class TestBuiltin(EncoderSuite):
    def encoder(self) -> Encoder:
        return builtin.load(builtin.read_card(builtin.FOLDER), Settings())
