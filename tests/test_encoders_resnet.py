from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from picfind import plugins
from picfind.encoders import _folders, resnet
from picfind.errors import MissingExtraError, ModelFilesError, UsageError
from picfind.models import pull as pulling
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from tests.hub_server import hub_server, use_hub
from tests.photos import photo
from tests.resnet_weights import random_weights, write

if TYPE_CHECKING:
    from picfind.encoders.base import Encoder
    from picfind.types import Floats


@pytest.fixture(scope="module")
def weights() -> dict[str, Floats]:
    return random_weights("resnet18")


@pytest.fixture(scope="module")
def file(weights: dict[str, Floats], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("weights") / "tiny.safetensors", weights)


@pytest.fixture(scope="module")
def place(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with `mine` in it."""
    place = tmp_path_factory.mktemp("models")
    resnet.convert(file, place, name="mine", licence="BSD-3-Clause", source="made up")
    return place


@pytest.fixture(scope="module")
def settings(place: Path) -> Settings:
    return Settings(models=(place,), device="cpu")


@pytest.fixture(scope="module")
def encoder(settings: Settings) -> Encoder:
    card = resnet.find("mine", settings)
    assert card is not None
    return resnet.load(card, settings)


def empty(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "models",), device="cpu")


def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if a package were not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    for name in ("_graph", "_resnet.graph"):
        monkeypatch.delitem(sys.modules, f"picfind.encoders.{name}", raising=False)


def left_in(settings: Settings) -> list[str]:
    place = settings.models[-1]
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


class TestResnet(EncoderSuite):
    @pytest.fixture(autouse=True)
    def _take(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encoder(self) -> Encoder:
        return self._encoder


# Cards and names


def test_it_is_found_by_its_file_name() -> None:
    assert plugins.load("encoders", "resnet") is resnet


def test_known_models_can_be_pulled(tmp_path: Path) -> None:
    cards = {card.name: card for card in resnet.cards(empty(tmp_path))}
    assert {name: card.dim for name, card in cards.items()} == {
        "resnet18": 512,
        "resnet34": 512,
        "resnet50": 2048,
        "resnet101": 2048,
        "resnet152": 2048,
    }
    assert not any(card.installed or card.revision for card in cards.values())
    assert resnet.repository("resnet50") == "timm/resnet50.tv_in1k"
    assert resnet.repository("mine") is None
    with pytest.raises(ModelFilesError, match="models pull resnet50"):
        resnet.find("timm/resnet50.tv_in1k", empty(tmp_path))


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match=r"resnet18 is not here yet\. `picfind models pull resnet18`"):
        resnet.find("resnet18", empty(tmp_path))
    card = next(iter(resnet.cards(empty(tmp_path))))
    with pytest.raises(ModelFilesError, match="models pull resnet18"):
        resnet.load(card, empty(tmp_path))


@pytest.mark.parametrize("spec", ["", "resnet", "ResNet18", "resnet19", "none.safetensors"])
def test_other_names_are_not_its_own(tmp_path: Path, spec: str) -> None:
    assert resnet.find(spec, empty(tmp_path)) is None


def test_a_folder_is_found_by_name_and_by_path(place: Path, settings: Settings, tmp_path: Path) -> None:
    by_name = resnet.find("mine", settings)
    assert by_name is not None
    assert by_name in list(resnet.cards(settings))
    assert (by_name.dim, by_name.licence, by_name.source) == (512, "BSD-3-Clause", "made up")
    elsewhere = resnet.find(str(place / "mine"), empty(tmp_path))
    assert elsewhere is not None
    assert (elsewhere.name, elsewhere.revision) == (str(place / "mine"), by_name.revision)
    assert resnet.load(elsewhere, empty(tmp_path)).image is not None


@pytest.mark.parametrize(
    ("files", "wants"),
    [
        (["README.md", "config.json", "model.safetensors", "pytorch_model.bin"], True),
        (["config.json", "model.safetensors", "tokenizer.json"], False),
        (["config.json", "pytorch_model.bin"], False),
        (["modules.json", "config.json", "model.safetensors"], False),
    ],
)
def test_what_a_pull_takes(files: list[str], wants: bool) -> None:
    assert resnet.wanted(files) == (["model.safetensors", "config.json"] if wants else None)


# Converting


def test_a_fresh_download_is_converted_in_place(
    tmp_path: Path, weights: dict[str, Floats], encoder: Encoder
) -> None:
    write(tmp_path / "new" / "model.safetensors", weights)
    (tmp_path / "new" / "config.json").write_text('{"architecture": "resnet18", "pretrained_cfg": {}}')
    resnet.finish(tmp_path / "new", "timm/resnet18.tv_in1k", empty(tmp_path))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["config.json", "model.onnx"]
    _folders.write_manifest(tmp_path / "new", _folders.Manifest("resnet"))
    card = resnet.find(str(tmp_path / "new"), empty(tmp_path))
    assert card is not None
    assert card.revision == encoder.card.revision, "the same weights, the same vectors"


@pytest.mark.parametrize(("spec", "name"), [("resnet18", "resnet18"), ("mine/cnn", "mine--cnn")])
def test_a_model_is_pulled_and_used(
    spec: str, name: str, file: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"model.safetensors": file.read_bytes(), "config.json": b"{}", "README.md": b"words"}
    with hub_server() as hub:
        repository = resnet.repository(spec) or spec
        hub.repositories, hub.licences = {repository: files}, {repository: "bsd-3-clause"}
        use_hub(monkeypatch, hub.url, tmp_path / "cache")
        card = pulling.pull(spec, empty(tmp_path))
        assert not hub.loads("README.md")
    assert (card.name, card.licence, card.revision) == (name, "bsd-3-clause", encoder.card.revision)
    assert card.source.startswith(f"{repository}@")
    folder = empty(tmp_path).models[-1] / name
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.onnx", "picfind.json"]
    assert resnet.find(spec, empty(tmp_path)) == resnet.find(repository, empty(tmp_path)) == card
    assert resnet.load(card, empty(tmp_path)).encode_images([photo()]).shape == (1, 512)


def test_what_is_no_resnet_is_not_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server() as hub:
        hub.repositories = {"mine/vit": {"model.safetensors": b"8 and more bytes" * 9, "config.json": b"{}"}}
        use_hub(monkeypatch, hub.url, tmp_path / "cache")
        with pytest.raises(ModelFilesError, match="cannot be read as safetensors"):
            pulling.pull("mine/vit", empty(tmp_path))
    assert not [name for name in left_in(empty(tmp_path)) if not name.startswith(".")]


def test_a_file_is_converted_once(file: Path, tmp_path: Path) -> None:
    settings = empty(tmp_path)
    card = resnet.find(str(file), settings)
    assert card is not None
    assert left_in(settings) == [card.name]
    assert card.name.startswith("tiny-")
    graph = settings.models[-1] / card.name / "model.onnx"
    made = graph.stat().st_mtime_ns
    assert resnet.find(str(file), settings) == card == resnet.find(card.name, settings)
    assert graph.stat().st_mtime_ns == made


def test_several_at_once_make_one_folder(file: Path, tmp_path: Path) -> None:
    settings = empty(tmp_path)
    with ThreadPoolExecutor(3) as pool:
        cards = list(pool.map(lambda _: resnet.find(str(file), settings), range(3)))
    assert cards[0] is not None
    assert cards == [cards[0]] * 3
    assert left_in(settings) == [cards[0].name]


def test_names_with_a_prefix_are_known(weights: dict[str, Floats], tmp_path: Path, encoder: Encoder) -> None:
    for prefix in ("model.", "resnet.", "module.backbone."):
        named = {f"{prefix}{name}": tensor for name, tensor in weights.items()}
        path = write(
            tmp_path / f"{prefix}safetensors", {**named, f"{prefix}fc.bias": np.zeros(9, np.float32)}
        )
        card = resnet.find(str(path), empty(tmp_path))
        assert card is not None
        assert card.revision == encoder.card.revision


def without(name: str) -> Any:
    return lambda weights: {key: tensor for key, tensor in weights.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("bn1.running_mean"), "no resnet18: its tensor bn1.running_mean is missing"),
        (without("layer3.1.conv2.weight"), "no resnet18: its tensor layer3.1.conv2.weight is missing"),
        (lambda weights: {"words.weight": weights["bn1.weight"]}, "layer1.0.conv1.weight is missing"),
        (
            lambda weights: {**weights, "conv1.weight": weights["conv1.weight"][:, :1]},
            r"its tensor conv1.weight is \(64, 1, 7, 7\), not \(64, 3, 7, 7\)",
        ),
        (
            lambda weights: {**weights, "layer1.0.se.fc.weight": weights["bn1.bias"]},
            "layer1.0.se.fc.weight as well",
        ),
        (
            lambda weights: {**weights, "layer4.2.bn1.bias": weights["bn1.bias"]},
            r"ResNet of \[2, 2, 2, 3\] basic",
        ),
    ],
)
def test_weights_of_another_shape_are_refused(
    change: Any, message: str, weights: dict[str, Floats], tmp_path: Path
) -> None:
    changed = {key: np.ascontiguousarray(tensor) for key, tensor in change(weights).items()}
    path = write(tmp_path / "odd.safetensors", changed)
    with pytest.raises(ModelFilesError, match=message):
        resnet.find(str(path), empty(tmp_path))
    assert left_in(empty(tmp_path)) == []


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.999])
def test_half_a_file_is_refused(share: float, file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    (tmp_path / "half.safetensors").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        ModelFilesError, match=r"half\.safetensors cannot be read as safetensors.*Is it whole"
    ):
        resnet.find(str(tmp_path / "half.safetensors"), empty(tmp_path))
    assert left_in(empty(tmp_path)) == []


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "resnet18.pth").write_bytes(b"not opened")
    with pytest.raises(ModelFilesError, match=r"pickle.*`picfind models export`"):
        resnet.find(str(tmp_path / "resnet18.pth"), empty(tmp_path))


def test_strides_in_the_first_convolution_are_refused(tmp_path: Path, weights: dict[str, Floats]) -> None:
    path = write(tmp_path / "model.safetensors", weights)
    (tmp_path / "config.json").write_text('{"downsample_in_bottleneck": true}')
    with pytest.raises(ModelFilesError, match="downsample_in_bottleneck"):
        resnet.find(str(path), empty(tmp_path))


@pytest.mark.parametrize("module", ["safetensors", "onnx"])
def test_without_the_extra_it_is_named(
    module: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, module)
    with pytest.raises(MissingExtraError, match=r'pip install "picfind\[convert\]"'):
        resnet.find(str(file), empty(tmp_path))
    assert left_in(empty(tmp_path)) == []


@pytest.mark.parametrize("module", ["safetensors", "onnx"])
def test_without_the_extra_nothing_is_loaded_in_vain(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, module)
    with pytest.raises(MissingExtraError, match=r'pip install "picfind\[convert\]"'):
        resnet.wanted(["config.json", "model.safetensors"])
    assert resnet.wanted(["config.json", "model.safetensors", "tokenizer.json"]) is None


def test_a_folder_of_models_that_cannot_be_made_says_so(file: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file, not a folder")
    with pytest.raises(ModelFilesError, match=r"cannot be written.*PICFIND_MODELS"):
        resnet.find(str(file), empty(tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk")
def test_a_full_disk_says_so(weights: dict[str, Floats], tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", weights)
    (tmp_path / "model.onnx").symlink_to("/dev/full")
    with pytest.raises(ModelFilesError, match=r"No space left on device\. Make room"):
        resnet.finish(tmp_path, "timm/resnet18.tv_in1k", empty(tmp_path))


def test_no_folder_of_models_says_so(file: Path) -> None:
    with pytest.raises(UsageError, match="set PICFIND_MODELS"):
        resnet.find(str(file), Settings(models=(), device="cpu"))


# Damage


def copied(place: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "mine"
    shutil.copytree(place / "mine", folder)
    return folder


def test_a_changed_graph_is_not_what_was_written(place: Path, tmp_path: Path) -> None:
    graph = copied(place, tmp_path) / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-7])
    with pytest.raises(ModelFilesError, match=r"model\.onnx is not what was pulled or exported"):
        resnet.find("mine", empty(tmp_path))
    listed = {card.name: card for card in resnet.cards(empty(tmp_path))}["mine"]
    assert not listed.installed
    assert "is not what was pulled" in listed.note


@pytest.mark.parametrize("name", ["model.onnx", "config.json"])
def test_missing_files_are_named(name: str, place: Path, tmp_path: Path) -> None:
    (copied(place, tmp_path) / name).unlink()
    with pytest.raises(ModelFilesError, match=f"lacks its file {name}"):
        resnet.find("mine", empty(tmp_path))


def test_a_corrupt_graph_says_so_when_first_used(place: Path, tmp_path: Path) -> None:
    folder = copied(place, tmp_path)
    (folder / "model.onnx").write_bytes(b"not a graph")
    (folder / "picfind.json").unlink()
    _folders.write_manifest(folder, _folders.Manifest("resnet"))
    card = resnet.find("mine", empty(tmp_path))
    assert card is not None
    tower = resnet.load(card, empty(tmp_path)).image
    assert tower is not None
    with pytest.raises(ModelFilesError, match=r"model\.onnx cannot be read"):
        tower.encode([tower.prepare(photo())])


def test_another_dimension_than_stated_says_so(place: Path, tmp_path: Path) -> None:
    folder = copied(place, tmp_path)
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet50", "num_features": 2048}))
    card = resnet.find("mine", empty(tmp_path))
    assert card is not None
    tower = resnet.load(card, empty(tmp_path)).image
    assert tower is not None
    with pytest.raises(ModelFilesError, match=r"gives 512 numbers a picture, its config\.json says 2048"):
        tower.encode([tower.prepare(photo())])


@pytest.mark.parametrize(
    "content", ["{}", '{"architecture": "vit"}', '{"architecture": "resnet18"}', "[]", ""]
)
def test_an_odd_configuration_says_so(content: str, place: Path, tmp_path: Path) -> None:
    (copied(place, tmp_path) / "config.json").write_text(content)
    with pytest.raises(ModelFilesError, match=r"config\.json"):
        resnet.find("mine", empty(tmp_path))


def test_in_a_batch_on_an_accelerator_rows_are_the_same(place: Path, encoder: Encoder) -> None:
    """As an accelerator would be fed, on the CPU."""
    together = resnet._Tower(place / "mine" / "model.onnx", 512, device="cpu", batched=True)
    assert encoder.image is not None
    batch = [encoder.image.prepare(photo(seed=seed)) for seed in range(3)]
    np.testing.assert_allclose(together.encode(batch), encoder.image.encode(batch), atol=1e-5)
