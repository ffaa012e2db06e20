"""The `clip` family against transformers: small random models in the published layout, in every variant of it."""

from __future__ import annotations

import json
import shutil
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picfind import encoders
from picfind.encoders.base import Encoder
from picfind.errors import UsageError
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from picfind.types import Floats
from tests.reference_models import (
    LANGUAGES,
    SIDE,
    TEXTS,
    clip_model,
    multilingual_model,
    siglip_model,
    write_json,
)

torch = pytest.importorskip("torch", reason="compares with transformers, which needs torch")
transformers = pytest.importorskip("transformers", reason="compares with transformers")
onnx = pytest.importorskip("onnx", reason="writes variants of graphs with onnx")
pytest.importorskip("onnxscript", reason="torch writes graphs with onnxscript")

from picfind.training.export import export  # noqa: E402

pytestmark = pytest.mark.slow

MAKERS: dict[str, Callable[[Path], Any]] = {
    "clip": clip_model,
    "siglip": siglip_model,
    "siglip2": lambda folder: siglip_model(folder, gemma=True),
    "xlm": multilingual_model,
    "nllb": lambda folder: multilingual_model(folder, nllb=True),
}
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Case:
    """A checkpoint, its model in torch, and the folder that was made of it."""

    name: str
    checkpoint: Path
    model: Any
    folder: Path

    @property
    def encoder(self) -> Encoder:
        return open_folder(self.folder)


class Cases:
    """Makes each case once, when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, Case] = {}

    def __getitem__(self, name: str) -> Case:
        if name not in self._made:
            checkpoint = self._root / "checkpoints" / name
            model = MAKERS[name](checkpoint)
            settings = Settings(models=(self._root / "models",))
            made = export(str(checkpoint), name=name, settings=settings)
            self._made[name] = Case(name, checkpoint, model, made.folder)
        return self._made[name]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return Cases(tmp_path_factory.mktemp("clip"))


@pytest.fixture(params=list(MAKERS))
def case(request: pytest.FixtureRequest, cases: Cases) -> Case:
    return cases[request.param]


@pytest.fixture
def copied(cases: Cases, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of an exported folder in which a published layout may be varied."""

    def copy(name: str) -> Path:
        folder = tmp_path / "models" / f"{name}-copy"
        shutil.copytree(cases[name].folder, folder)
        (folder / "picfind.json").unlink()  # a published folder has none
        return folder

    return copy


def open_folder(folder: Path, *, language: str | None = None) -> Encoder:
    settings = Settings(device="cpu")
    return encoders.load(str(folder), settings, language=language)


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    """Waves of colour under noise."""
    made = []
    for seed, (width, height) in enumerate(sizes or [(96, 64), (64, 96), (320, 240), (32, 32), (20, 24)]):
        noise = np.random.default_rng(seed)
        across, down = np.meshgrid(np.linspace(0, 5 + seed, width), np.linspace(0, 3, height))
        waves = np.stack([np.sin(across), np.cos(down * across), np.sin(down + seed)], axis=2)
        pixels = 128 + 90 * waves + noise.normal(0, 15, (height, width, 3))
        made.append(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))
    return made


def unit(found: Any) -> Floats:
    rows = getattr(found, "pooler_output", found).detach().numpy().astype(np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def agree(found: Floats, wanted: Floats, *, differ: bool = True) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE
    assert (found * wanted).sum(1).min() >= 1 - 1e-5
    if differ:  # a tower that gives everything one row would agree by chance
        apart = np.linalg.norm(wanted[:, None] - wanted[None], axis=2) + 9 * np.eye(len(wanted))
        assert apart.min() > 5 * TOLERANCE


def tokenizer_of(case: Case, **options: Any) -> Any:
    classes = {"clip": "CLIPTokenizerFast", "xlm": "XLMRobertaTokenizerFast", "nllb": "NllbTokenizerFast"}
    if case.name in classes:
        return getattr(transformers, classes[case.name]).from_pretrained(str(case.checkpoint), **options)
    special = {"siglip": {"pad_token": "</s>"}, "siglip2": {"pad_token": "<pad>"}}[case.name]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(case.checkpoint / "tokenizer.json"), padding_side="right", **special
    )


def tokens(case: Case, texts: Sequence[str], **options: Any) -> Any:
    """What transformers makes of the texts: ids and mask."""
    length = {"clip": 77, "siglip": 64, "siglip2": 64, "xlm": 40, "nllb": 40}[case.name]
    if case.name == "siglip":
        texts = [bare(text) for text in texts]
    if case.name == "siglip2":
        texts = [" ".join(text.lower().split()) for text in texts]
    if (
        case.name == "nllb"
    ):  # open_clip makes every white space one before any tokenizer; others do that themselves
        texts = [" ".join(text.split()) for text in texts]
    return tokenizer_of(case, **options)(
        list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )


def bare(text: str) -> str:
    """big_vision's canonical text, written once more: lower-case words without punctuation."""
    words = "".join(" " if sign == "_" else "" if sign in string.punctuation else sign for sign in text)
    return " ".join(words.lower().split())


def text_features(case: Case, given: Any) -> Floats:
    more = {"attention_mask": given["attention_mask"]} if case.name in ("xlm", "nllb") else {}
    with torch.no_grad():
        return unit(case.model.get_text_features(input_ids=given["input_ids"], **more))


def image_features(case: Case, pixels: Any) -> Floats:
    with torch.no_grad():
        return unit(case.model.get_image_features(pixel_values=torch.as_tensor(pixels)))


def processor_of(case: Case) -> Any:
    kind = "Siglip" if case.name.startswith("siglip") else "CLIP"
    found = getattr(transformers, f"{kind}ImageProcessorPil", None) or getattr(
        transformers, f"{kind}ImageProcessor"
    )
    return found.from_pretrained(str(case.checkpoint))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


# Each kind of model, from pixels and from words


def test_pictures(case: Case) -> None:
    shown = pictures()
    pixels = processor_of(case)(shown, return_tensors="np")["pixel_values"]
    agree(case.encoder.encode_images(shown), image_features(case, pixels))


def test_words(case: Case) -> None:
    different = [text for text in TEXTS if text != "A Dog, on a BEACH!"]
    agree(case.encoder.encode_texts(different), text_features(case, tokens(case, different)))


@pytest.mark.parametrize("text", TEXTS)
def test_token_ids(case: Case, text: str) -> None:
    given = tokens(case, [text])
    tower = case.encoder.text
    assert tower is not None
    ids, mask = tower.prepare(text)
    assert ids.tolist() == given["input_ids"][0].tolist()
    if case.name in ("xlm", "nllb"):
        assert mask.tolist() == given["attention_mask"][0].tolist()


def test_a_long_text_keeps_its_end_mark(case: Case) -> None:
    tower = case.encoder.text
    assert tower is not None
    ids = tower.prepare(TEXTS[-1])[0]
    end = {"clip": "<|endoftext|>", "siglip2": "<eos>"}.get(case.name, "</s>")
    assert ids[-1] == tokenizer_of(case).convert_tokens_to_ids(end)


def test_capitals_and_punctuation_make_no_difference_to_siglip(cases: Cases) -> None:
    plain, loud = cases["siglip"].encoder.encode_texts(["a dog on a beach", "A Dog, on a BEACH!"])
    assert np.allclose(plain, loud)


@pytest.mark.parametrize("pad", ["<pad>", {"content": "<pad>", "lstrip": False}], ids=["text", "object"])
def test_padding_on_the_left(cases: Cases, copied: Callable[[str], Path], pad: Any) -> None:
    folder, case = copied("siglip2"), cases["siglip2"]
    about = {"pad_token": pad, "padding_side": "left"}
    write_json(folder / "textual/tokenizer_config.json", about)
    tokenizer = tokenizer_of(case)
    tokenizer.padding_side = "left"
    texts = ["a dog on a beach", "red", TEXTS[-1].strip()]
    given = tokenizer(texts, padding="max_length", truncation=True, max_length=64, return_tensors="pt")
    encoder = open_folder(folder)
    assert encoder.text is not None
    assert [encoder.text.prepare(text)[0].tolist() for text in texts] == given["input_ids"].tolist()
    agree(encoder.encode_texts(texts), text_features(case, given))


class TestClip(EncoderSuite):
    @pytest.fixture(autouse=True)
    def _case(self, cases: Cases) -> None:
        self.case = cases["clip"]

    def encoder(self) -> Encoder:
        return self.case.encoder


class TestMasked(EncoderSuite):
    @pytest.fixture(autouse=True)
    def _case(self, cases: Cases) -> None:
        self.case = cases["xlm"]

    def encoder(self) -> Encoder:
        return self.case.encoder


# The language in front


@pytest.mark.parametrize(
    ("language", "code"),
    [(None, "eng_Latn"), ("de", "deu_Latn"), ("fra_Latn", "fra_Latn"), ("zh", "zho_Hans")],
)
def test_nllb_puts_the_language_in_front(cases: Cases, language: str | None, code: str) -> None:
    case, texts = cases["nllb"], ["ein Haus am See", "a dog on a beach", TEXTS[-1]]
    encoder = open_folder(case.folder, language=language)
    given = tokens(case, texts, src_lang=code)
    assert encoder.text is not None
    assert [encoder.text.prepare(text)[0].tolist() for text in texts] == given["input_ids"].tolist()
    agree(encoder.encode_texts(texts), text_features(case, given))


def test_nllb_has_no_other_language(cases: Cases) -> None:
    with pytest.raises(UsageError, match=LANGUAGES[0]):
        open_folder(cases["nllb"].folder, language="xx")


def test_elsewhere_the_language_makes_no_difference(cases: Cases) -> None:
    case = cases["xlm"]
    plain, told = case.encoder, open_folder(case.folder, language="de")
    assert np.array_equal(plain.encode_texts(TEXTS[:2]), told.encode_texts(TEXTS[:2]))


# Pictures: every way of preparing them


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["shortest", "squash", None])
@pytest.mark.parametrize("size", [SIDE, [SIDE, SIDE]], ids=["number", "list"])
def test_preprocessing(
    cases: Cases, copied: Callable[[str], Path], size: Any, mode: str | None, interpolation: str
) -> None:
    folder, case = copied("clip"), cases["clip"]
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    how = {"size": size, "mean": mean, "std": std, "interpolation": interpolation, "resize_mode": mode}
    write_json(folder / "visual/preprocess_cfg.json", {key: value for key, value in how.items() if value})
    shown = pictures((96, 64), (64, 97), (321, 240), (32, 32), (7, 300), (20, 25))
    rows = np.stack([computed(picture, mode or "shortest", interpolation) for picture in shown])
    pixels = ((rows / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    agree(open_folder(folder).encode_images(shown), image_features(case, pixels))


def computed(picture: Image.Image, mode: str, interpolation: str) -> Any:
    """Pixels by Pillow alone, as open_clip's evaluation transform does it: torchvision's Resize and CenterCrop."""
    resample = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}[interpolation]
    if mode == "squash":
        return np.asarray(picture.resize((SIDE, SIDE), resample), np.float64)
    width, height = picture.size
    if width <= height:
        fitted = picture.resize((SIDE, int(SIDE * height / width)), resample)
    else:
        fitted = picture.resize((int(SIDE * width / height), SIDE), resample)
    left, top = round((fitted.width - SIDE) / 2), round((fitted.height - SIDE) / 2)
    return np.asarray(fitted.crop((left, top, left + SIDE, top + SIDE)), np.float64)


# Graphs: every form that exports have


def rewrite(path: Path, change: Callable[[Any], object], **options: Any) -> None:
    graph = onnx.load(str(path))
    change(graph.graph)
    path.unlink()
    onnx.save(graph, str(path), **options)


def fix_batch(graph: Any) -> None:
    for entry in (*graph.input, *graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]


def take_int64(graph: Any) -> None:
    for entry in graph.input:
        assert entry.type.tensor_type.elem_type == onnx.TensorProto.INT32
        entry.type.tensor_type.elem_type = onnx.TensorProto.INT64


def same_rows(case: Case, folder: Path) -> None:
    shown, found, wanted = pictures(), open_folder(folder), case.encoder
    assert np.allclose(found.encode_images(shown), wanted.encode_images(shown), atol=1e-6)
    assert np.allclose(found.encode_texts(TEXTS), wanted.encode_texts(TEXTS), atol=1e-6)


@pytest.mark.parametrize("name", ["clip", "xlm"])
def test_a_fixed_batch_of_one(cases: Cases, copied: Callable[[str], Path], name: str) -> None:
    folder = copied(name)
    for tower in ("visual", "textual"):
        rewrite(folder / tower / "model.onnx", fix_batch)
    same_rows(cases[name], folder)


@pytest.mark.parametrize("name", ["clip", "xlm"])
def test_int64_inputs(cases: Cases, copied: Callable[[str], Path], name: str) -> None:
    folder = copied(name)
    rewrite(folder / "textual" / "model.onnx", take_int64)
    same_rows(cases[name], folder)


def test_weights_in_a_second_file(cases: Cases, copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    before = encoders.find(str(folder), Settings()).revision
    for tower in ("visual", "textual"):
        path = folder / tower / "model.onnx"
        rewrite(
            path,
            lambda graph: None,
            save_as_external_data=True,
            location="model.onnx.data",
            size_threshold=1024,
        )
        assert (path.parent / "model.onnx.data").stat().st_size > 50_000
    same_rows(cases["clip"], folder)
    assert encoders.find(str(folder), Settings()).revision != before


def test_another_second_file_is_another_revision(cases: Cases, copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    path = folder / "textual" / "model.onnx"
    rewrite(path, lambda graph: None, save_as_external_data=True, location="weights.bin", size_threshold=1024)
    before = encoders.find(str(folder), Settings()).revision
    weights = bytearray((path.parent / "weights.bin").read_bytes())
    weights[0] ^= 1
    (path.parent / "weights.bin").write_bytes(weights)
    assert encoders.find(str(folder), Settings()).revision != before


def test_the_exported_layout_is_the_published_one(cases: Cases) -> None:
    folder = cases["siglip"].folder
    assert read(folder / "config.json")["text_cfg"] == {
        "context_length": 64,
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    assert read(folder / "visual/preprocess_cfg.json") == {
        "size": SIDE,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "squash",
    }
    assert read(folder / "textual/tokenizer_config.json")["pad_token"] == "</s>"
    graphs = {tower: onnx.load(str(folder / tower / "model.onnx")).graph for tower in ("visual", "textual")}
    assert [entry.name for entry in graphs["visual"].input] == ["image"]
    assert [entry.name for entry in graphs["textual"].input] == ["text"]
