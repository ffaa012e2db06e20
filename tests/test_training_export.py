"""`picfind models export`: each kind of checkpoint becomes a folder that its family reads, or nothing at all."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picfind import encoders
from picfind.errors import (
    DownloadError,
    EncoderError,
    MissingExtraError,
    ModelFilesError,
    UnknownModelError,
    UsageError,
)
from picfind.settings import Settings
from picfind.training.export import export
from tests.hub_server import Hub, hub_server, use_hub
from tests.photos import photo

SENTENCES = ["a dog on a beach", "two white cups", "ein Haus am See"]


def needs_torch() -> None:
    for name in ("torch", "transformers", "onnx", "onnxscript", "safetensors"):
        pytest.importorskip(name, reason="the export needs the extra `export`")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "first", tmp_path / "models"), device="cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of transformers' CLIP."""
    needs_torch()
    from tests.reference_models import clip_model

    folder = tmp_path_factory.mktemp("checkpoints") / "clip"
    clip_model(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sentence-transformers."""
    needs_torch()
    from tests.reference_models import bert_model

    folder = tmp_path_factory.mktemp("checkpoints") / "bert"
    bert_model(folder)
    return folder


def left_behind(settings: Settings) -> list[str]:
    models = settings.models[-1]
    return sorted(path.name for path in models.iterdir()) if models.is_dir() else []


def copy_of(folder: Path, target: Path, *, without: str = "") -> Path:
    """The files of a folder, linked."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != without:
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
    return target


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


# What is made


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_precisions_of_a_pair(clip: Path, settings: Settings, precision: str) -> None:
    made = export(str(clip), name="small", settings=settings, precision=precision)
    least = {"fp16": 0.99999, "int8": 0.99}[precision]
    for found in (made.pictures, made.texts):
        assert found is not None
        assert least <= found.least <= found.mean <= 1 + 1e-9
    card = encoders.find("small", settings)
    assert (card.family, card.dim, card.image_size) == ("clip", 24, 32)
    assert left_behind(settings) == ["small"]
    rows = encoders.load(card, settings).encode_images([photo("red"), photo("blue", size=(90, 50))])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


@pytest.mark.slow
def test_a_text_model(bert: Path, settings: Settings, tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer, BertModel

    from picfind.training.graphs import halve, quantise

    folder = copy_of(bert, tmp_path / "stated")
    (folder / "README.md").write_text(
        "---\ntags:\n- x\nlicense: apache-2.0\n---\n# Words\n", encoding="utf-8"
    )
    made = export(str(folder), name="words", settings=settings)
    assert (made.family, made.pictures, made.licence) == ("bert", None, "apache-2.0")
    assert made.texts is not None
    assert made.texts.least > 0.999999
    card = encoders.find("words", settings)
    assert (card.licence, card.source, card.towers) == ("apache-2.0", str(folder), ("text",))
    manifest = json.loads((made.folder / "picfind.json").read_text(encoding="utf-8"))
    assert manifest["about"] == {"exported_from": "BertModel", "precision": "fp32"}
    assert {"model.onnx", "tokenizer.json", "config.json", "1_Pooling/config.json"} <= set(manifest["files"])

    given = AutoTokenizer.from_pretrained(str(bert))(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = BertModel.from_pretrained(str(bert))(**given).last_hidden_state
    mask = given["attention_mask"][..., None]
    means = ((states * mask).sum(1) / mask.sum(1)).numpy()
    rows = encoders.load(card, settings).encode_texts(SENTENCES)
    assert np.abs(rows - means / np.linalg.norm(means, axis=1, keepdims=True)).max() < 1e-3

    graph, sizes = made.folder / "model.onnx", []
    for shrink in (None, halve, quantise):
        shutil.copy(graph, tmp_path / "model.onnx")
        if shrink is not None:
            shrink(tmp_path / "model.onnx")
        sizes.append((tmp_path / "model.onnx").stat().st_size)
    assert sizes == sorted(sizes, reverse=True), "int8 is smaller than fp16, which is smaller than fp32"
    assert b"site-packages" not in graph.read_bytes(), "a graph keeps no path of this machine"


@pytest.mark.slow
def test_a_tokenizer_that_is_a_list_of_words(settings: Settings, tmp_path: Path) -> None:
    needs_torch()
    from tests.reference_models import chinese_model

    chinese_model(tmp_path / "chinese")
    made = export(str(tmp_path / "chinese"), name="chinese", settings=settings)
    assert (made.family, made.kind) == ("clip", "ChineseCLIPModel")
    for found in (made.pictures, made.texts):
        assert found is not None
        assert found.least > 0.999999


@pytest.mark.slow
def test_large_weights_lie_in_a_second_file(
    bert: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from picfind.training import graphs

    monkeypatch.setattr(graphs, "LARGE", 10_000)
    made = export(str(bert), name="large", settings=settings, precision="int8")
    names = {path.name for path in made.folder.iterdir()}
    assert {"model.onnx", "model.onnx.data"} <= names
    assert not [name for name in names if name.startswith("single")]
    graphs.halve(made.folder / "model.onnx")
    assert (made.folder / "model.onnx.data").stat().st_size > 10_000


def test_a_weight_too_large_for_half_precision(tmp_path: Path) -> None:
    needs_torch()
    import onnx

    from picfind.training.graphs import halve

    shape = [64, 64]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "one",
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "x"],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "y"],
        [onnx.numpy_helper.from_array(np.full(shape, 1e5, np.float32), "weight")],
    )
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "model.onnx"))
    with pytest.raises(ModelFilesError, match="'weight' do not fit into fp16"):
        halve(tmp_path / "model.onnx")


def resnet_file(folder: Path) -> Path:
    """A ResNet-18 as torchvision's `.pth` files hold it."""
    needs_torch()
    import torch

    from picfind.encoders._resnet.weights import ARCHITECTURES

    torch.manual_seed(0)
    state = {
        key: torch.rand(shape) + 0.5 if len(shape) == 1 else torch.randn(shape) * 0.05
        for key, shape in ARCHITECTURES["resnet18"].shapes()
    }
    state["bn1.num_batches_tracked"] = torch.tensor(5)
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


def test_a_resnet_out_of_a_pth_file(settings: Settings, tmp_path: Path) -> None:
    made = export(str(resnet_file(tmp_path)), name="net", settings=settings)
    assert (made.family, made.pictures, made.texts) == ("resnet", None, None)
    assert left_behind(settings) == ["net"]
    rows = encoders.load("net", settings).encode_images([photo("red"), photo("blue")])
    assert rows.shape == (2, 512)


def test_8_bits_are_not_for_a_cnn(settings: Settings, tmp_path: Path) -> None:
    needs_torch()
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(UsageError, match="ruin convolutional"):
        export(str(tmp_path / "weights.pth"), name="net", settings=settings, precision="int8")
    assert left_behind(settings) == []


# open_clip


def openai_state(model: Any) -> dict[str, Any]:
    """The weights of transformers' CLIP under the names that OpenAI and open_clip give them."""
    import torch

    source = model.state_dict()
    state = {
        "visual.class_embedding": source["vision_model.embeddings.class_embedding"],
        "visual.conv1.weight": source["vision_model.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": source["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": source["visual_projection.weight"].T.contiguous(),
        "token_embedding.weight": source["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": source["text_model.embeddings.position_embedding.weight"],
        "text_projection": source["text_projection.weight"].T.contiguous(),
        "logit_scale": source["logit_scale"],
    }
    names = {"vision_model.pre_layrnorm": "visual.ln_pre", "vision_model.post_layernorm": "visual.ln_post"}
    names["text_model.final_layer_norm"] = "ln_final"
    inner = {
        "self_attn.out_proj": "attn.out_proj",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    for tower, prefix in (("vision_model", "visual."), ("text_model", "")):
        for at in range(2):
            layer, block = f"{tower}.encoder.layers.{at}", f"{prefix}transformer.resblocks.{at}"
            names.update({f"{layer}.{theirs}": f"{block}.{ours}" for theirs, ours in inner.items()})
            for part in ("weight", "bias"):
                rows = [source[f"{layer}.self_attn.{which}_proj.{part}"] for which in "qkv"]
                state[f"{block}.attn.in_proj_{part}"] = torch.cat(rows)
    for theirs, ours in names.items():
        for part in ("weight", "bias"):
            state[f"{ours}.{part}"] = source[f"{theirs}.{part}"]
    return state


def open_clip_folder(
    clip: Path, folder: Path, *, gelu: bool = True, save: str = "open_clip_model.safetensors"
) -> Path:
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPModel

    from tests.reference_models import DIM, SIDE, WIDTH, vocabulary_size

    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        os.link(clip / name, folder / name)
    config = {
        "embed_dim": DIM,
        "quick_gelu": gelu,
        "vision_cfg": {
            "image_size": SIDE,
            "layers": 2,
            "width": WIDTH,
            "patch_size": 8,
            "head_width": WIDTH // 2,
            "mlp_ratio": 2.0,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": vocabulary_size(clip),
            "width": WIDTH,
            "heads": 2,
            "layers": 2,
            "mlp_ratio": 2.0,
        },
    }
    preprocess = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], "interpolation": "bicubic"}
    write(folder / "open_clip_config.json", {"model_cfg": config, "preprocess_cfg": preprocess})
    state = openai_state(CLIPModel.from_pretrained(str(clip)))
    if save.endswith(".safetensors"):
        save_file(state, str(folder / save))
    else:
        wrapped = {f"module.{name}": value for name, value in state.items()}
        torch.save({"epoch": 3, "state_dict": wrapped}, folder / save)
    return folder


def change_config(folder: Path, part: str, **values: Any) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    (config["model_cfg"] if part == "model_cfg" else config["model_cfg"][part]).update(values)
    write(path, config)


@pytest.mark.parametrize("save", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_open_clip_towers_are_those_of_transformers(clip: Path, tmp_path: Path, save: str) -> None:
    import torch
    from transformers import CLIPModel

    from picfind.training import openclip

    original = openclip.read(open_clip_folder(clip, tmp_path / "open", save=save))
    model = CLIPModel.from_pretrained(str(clip)).eval()
    torch.manual_seed(1)
    pixels = torch.randn(6, 3, 32, 32)
    text = torch.from_numpy(original.tokens([*SENTENCES, "", "long " * 90])[0])
    with torch.no_grad():
        wanted = (model.get_image_features(pixel_values=pixels), model.get_text_features(input_ids=text))
        found = (original.image(pixels), original.text(text))
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - getattr(theirs, "pooler_output", theirs)).abs().max() < 1e-4


@pytest.mark.slow
def test_open_clip(clip: Path, settings: Settings, tmp_path: Path) -> None:
    folder = open_clip_folder(clip, tmp_path / "open")
    made = export(str(folder), name="open", settings=settings)
    assert (made.family, made.kind) == ("clip", "open_clip")
    for found in (made.pictures, made.texts):
        assert found is not None
        assert found.least > 0.999999


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        (
            "vision_cfg",
            {"timm_model_name": "vit_base_patch16_siglip_256"},
            "timm's vit_base_patch16_siglip_256",
        ),
        ("vision_cfg", {"layers": [3, 4, 6, 3]}, "a ResNet"),
        ("vision_cfg", {"attentional_pool": True}, "vision_cfg.attentional_pool"),
        ("vision_cfg", {"pool_type": "map"}, "pool_type is 'map'"),
        ("text_cfg", {"hf_model_name": "xlm-roberta-base"}, "xlm-roberta-base of transformers"),
        ("text_cfg", {"embed_cls": True}, "text_cfg.embed_cls"),
        ("model_cfg", {"multimodal_cfg": {"width": 8}}, "model_cfg.multimodal_cfg"),
    ],
)
def test_open_clip_towers_of_another_kind_are_refused(
    clip: Path, settings: Settings, tmp_path: Path, part: str, values: dict[str, Any], message: str
) -> None:
    folder = open_clip_folder(clip, tmp_path / "open")
    change_config(folder, part, **values)
    with pytest.raises(ModelFilesError, match=message):
        export(str(folder), name="open", settings=settings)
    assert left_behind(settings) == []


def test_open_clip_weights_must_fit(clip: Path, settings: Settings, tmp_path: Path) -> None:
    folder = open_clip_folder(clip, tmp_path / "open")
    change_config(folder, "vision_cfg", layers=3)
    with pytest.raises(ModelFilesError, match=r"resblocks\.2.* is missing"):
        export(str(folder), name="open", settings=settings)
    change_config(folder, "vision_cfg", layers=1)
    with pytest.raises(ModelFilesError, match=r"resblocks\.1.* is left over"):
        export(str(folder), name="open", settings=settings)
    change_config(folder, "vision_cfg", layers=2, patch_size=4)
    with pytest.raises(ModelFilesError, match="do not fit"):
        export(str(folder), name="open", settings=settings)


@pytest.mark.parametrize("name", ["tokenizer.json", "open_clip_model.safetensors"])
def test_open_clip_files_that_are_missing(clip: Path, settings: Settings, tmp_path: Path, name: str) -> None:
    folder = open_clip_folder(clip, tmp_path / "open")
    (folder / name).unlink()
    with pytest.raises(ModelFilesError, match=r"lacks (its weights|tokenizer\.json)"):
        export(str(folder), name="open", settings=settings)


# What is refused


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "C:x", "back\\slash"])
def test_names_that_cannot_be_used(settings: Settings, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        export("anything", name=name, settings=settings)


def test_a_name_that_is_taken(settings: Settings) -> None:
    (settings.models[-1] / "taken").mkdir(parents=True)
    with pytest.raises(UsageError, match="already"):
        export("anything", name="taken", settings=settings)
    with pytest.raises(UsageError, match="known already"):
        export("anything", name="builtin", settings=settings)


def test_an_unknown_precision(settings: Settings) -> None:
    with pytest.raises(UsageError, match="fp32, fp16, int8"):
        export("anything", name="x", settings=settings, precision="int4")


def test_without_torch(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"picfind\[export\]"):
        export("anything", name="x", settings=settings)


def nothing(folder: Path) -> None:
    folder.mkdir()


def photos_only(folder: Path) -> None:
    folder.mkdir()
    photo().save(folder / "red.png")


def a_llama(folder: Path) -> None:
    write(folder / "config.json", {"model_type": "llama"})


def broken_config(folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "it holds nothing"),
        (photos_only, r"red\.png"),
        (a_llama, "'llama'.*clip, siglip"),
        (broken_config, "cannot be read"),
    ],
)
def test_what_is_no_checkpoint(
    settings: Settings, tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    needs_torch()
    make(tmp_path / "odd")
    with pytest.raises(ModelFilesError, match=message):
        export(str(tmp_path / "odd"), name="x", settings=settings)
    assert left_behind(settings) == []


@pytest.mark.parametrize("spec", ["no-such-folder", "./no/such", "/no/such/folder"])
def test_a_checkpoint_that_is_not_there(settings: Settings, spec: str) -> None:
    needs_torch()
    with pytest.raises(UnknownModelError, match="There is no checkpoint"):
        export(spec, name="x", settings=settings)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_server() as running:
        use_hub(monkeypatch, running.url, tmp_path / "hub")
        yield running


@pytest.mark.slow
def test_a_repository_of_the_hub(bert: Path, settings: Settings, hub: Hub) -> None:
    files = {
        path.relative_to(bert).as_posix(): path.read_bytes() for path in bert.rglob("*") if path.is_file()
    }
    unwanted = {"pytorch_model.bin": b"x" * 99, "onnx/model.onnx": b"y" * 99, "training_args.bin": b"z" * 99}
    hub.repositories["someone/bert"] = {**files, **unwanted}
    made = export("someone/bert", name="words", settings=settings)
    assert made.source == f"someone/bert@{hub.commit}"
    assert left_behind(settings) == ["words"]
    assert hub.loads("model.safetensors")
    assert not [name for name in unwanted if hub.loads(name)]


def test_a_repository_that_cannot_be_used_costs_no_weights(settings: Settings, hub: Hub) -> None:
    needs_torch()
    hub.repositories["someone/llama"] = {
        "config.json": b'{"model_type": "llama"}',
        "model.safetensors": b"weights" * 100,
    }
    with pytest.raises(ModelFilesError, match="'llama'"):
        export("someone/llama", name="x", settings=settings)
    assert not hub.loads("model.safetensors")
    assert left_behind(settings) == []


def test_a_repository_that_is_not_there(settings: Settings, hub: Hub) -> None:
    needs_torch()
    with pytest.raises(DownloadError, match="nobody/nothing"):
        export("nobody/nothing", name="x", settings=settings)
    assert left_behind(settings) == []


@pytest.mark.parametrize(
    "missing", ["preprocessor_config.json", "model.safetensors", "tokenizer_config.json"]
)
def test_missing_files_of_a_pair(clip: Path, settings: Settings, tmp_path: Path, missing: str) -> None:
    folder = copy_of(clip, tmp_path / "clip", without=missing)
    if missing == "tokenizer_config.json":
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.json").unlink()
    with pytest.raises(ModelFilesError):
        export(str(folder), name="x", settings=settings)
    assert left_behind(settings) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("preprocessor_config.json", {"size": {"shortest_edge": 16}, "crop_size": 16}),
        ("open_clip_config.json", {"embed_dim": 8, "vision_cfg": {"layers": 2}, "text_cfg": {}}),
        ("open_clip_config.json", {"model_cfg": 7}),
    ],
)
def test_a_configuration_that_lacks_something(
    clip: Path, settings: Settings, tmp_path: Path, name: str, content: dict[str, Any]
) -> None:
    folder = copy_of(clip, tmp_path / "odd", without=name)
    (folder / name).write_text(json.dumps(content), "utf-8")
    if name.startswith("open_clip"):
        (folder / "config.json").unlink()
    with pytest.raises(ModelFilesError, match=r"configuration of the checkpoint .*odd is odd"):
        export(str(folder), name="x", settings=settings)
    assert left_behind(settings) == []


def test_damaged_weights(clip: Path, settings: Settings, tmp_path: Path) -> None:
    folder = copy_of(clip, tmp_path / "clip", without="model.safetensors")
    content = (clip / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFilesError, match="cannot be read"):
        export(str(folder), name="x", settings=settings)
    assert left_behind(settings) == []


def test_weights_that_lack_a_part(clip: Path, settings: Settings, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(clip, tmp_path / "clip", without="model.safetensors")
    state = load_file(str(clip / "model.safetensors"))
    del state["visual_projection.weight"]
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
    with pytest.raises(ModelFilesError, match=r"lack visual_projection\.weight"):
        export(str(folder), name="x", settings=settings)
    assert left_behind(settings) == []


class Trap:
    """What is unpickled into a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize(
    "name", ["weights.pth", "open/open_clip_pytorch_model.bin", "clip/pytorch_model.bin"]
)
def test_nothing_is_unpickled(clip: Path, settings: Settings, tmp_path: Path, name: str) -> None:
    import torch

    target = tmp_path / name
    checkpoint = target if name == "weights.pth" else target.parent
    if name.startswith("open"):
        folder = open_clip_folder(clip, tmp_path / "open")
        (folder / "open_clip_model.safetensors").unlink()
    if name.startswith("clip"):
        copy_of(clip, tmp_path / "clip", without="model.safetensors")
    torch.save({"conv1.weight": Trap(tmp_path / "sprung")}, target, pickle_module=pickle)
    with pytest.raises(ModelFilesError, match="cannot be read"):
        export(str(checkpoint), name="x", settings=settings)
    assert not (tmp_path / "sprung").exists()
    assert left_behind(settings) == []


@pytest.mark.parametrize(
    "steps",
    [
        {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
        {"size": {"height": 32, "width": 48}},
        {"size": {"shortest_edge": 32}},
        {"size": {"height": 32, "width": 32}, "do_normalize": False},
    ],
)
def test_pictures_prepared_in_another_way(
    clip: Path, settings: Settings, tmp_path: Path, steps: dict[str, Any]
) -> None:
    from tests.reference_models import picture_steps

    folder = copy_of(clip, tmp_path / "clip", without="preprocessor_config.json")
    picture_steps(folder, kind="CLIP", **steps)
    with pytest.raises(ModelFilesError, match="layout cannot say"):
        export(str(folder), name="x", settings=settings)


@pytest.mark.slow
def test_an_export_that_does_not_agree_is_refused(bert: Path, settings: Settings, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(bert, tmp_path / "bert", without="model.safetensors")
    state = load_file(str(bert / "model.safetensors"))
    state["embeddings.word_embeddings.weight"] *= float("nan")
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
    with pytest.raises(ModelFilesError, match=r"does not agree|not finite|nan"):
        export(str(folder), name="x", settings=settings)
    assert left_behind(settings) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are Unix")
def test_a_full_disk(bert: Path, settings: Settings) -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(EncoderError, match="cannot be written"):
            export(str(bert), name="x", settings=settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_behind(settings) == []


@pytest.mark.skipif(sys.platform == "win32", reason="folders that cannot be written are Unix")
def test_models_cannot_be_written(settings: Settings, tmp_path: Path) -> None:
    needs_torch()
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    (tmp_path / "weights.pth").write_bytes(b"")
    blocked = dataclasses.replace(settings, models=(tmp_path / "file" / "models",))
    with pytest.raises(EncoderError, match="cannot be written"):
        export(str(tmp_path / "weights.pth"), name="x", settings=blocked)


# The command


@pytest.mark.slow
def test_the_command(
    bert: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from picfind.cli import exporting

    monkeypatch.setenv("PICFIND_MODELS", str(settings.models[-1]))
    exporting.export(str(bert), name="words", precision="int8", licence="MIT")
    out, err = capfd.readouterr()
    assert err == "", "torch, transformers and onnxruntime keep their affairs to themselves"
    lines = out.splitlines()
    assert lines[0].startswith("words: BertModel in int8, ")
    assert lines[0].endswith("licence MIT")
    assert lines[1].strip() == str(settings.models[-1] / "words")
    assert lines[2].startswith("  cosine to the original over 16 sentences: mean 0.99")
    assert lines[3:] == ["Use it with: --model words"]


def test_the_command_in_json(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from picfind.cli import exporting

    monkeypatch.setenv("PICFIND_MODELS", str(settings.models[-1]))
    checkpoint = resnet_file(tmp_path)
    exporting.export(str(checkpoint), name="net", precision="fp16", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(settings.models[-1] / "net")
    assert (found["family"], found["texts"]) == ("resnet", None)
    assert found["pictures"]["least"] > 0.999
