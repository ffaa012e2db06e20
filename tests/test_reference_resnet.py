"""ResNet against transformers, from a picture's pixels to the unit vector, with random weights of the real shapes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from picfind.encoders import resnet
from picfind.settings import Settings
from tests.builtin_inputs import tiles, waves
from tests.photos import photo

torch = pytest.importorskip("torch", reason="the reference is torch's")
transformers = pytest.importorskip("transformers", reason="the reference is transformers'")
safetensors = pytest.importorskip("safetensors.torch", reason="weights are given as safetensors")
pytest.importorskip("onnx", reason="converting needs onnx")

if TYPE_CHECKING:
    from pathlib import Path

    from picfind.types import Floats

SHAPES: dict[str, dict[str, Any]] = {
    "resnet18": {"depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"},
    "resnet50": {"depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048], "layer_type": "bottleneck"},
}


@pytest.fixture(scope="module", params=list(SHAPES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> Any:
    """Random weights, and statistics of batch normalisation from the pictures, so that these stay apart."""
    torch.manual_seed(3)
    model = transformers.ResNetModel(transformers.ResNetConfig(**SHAPES[name]))
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.2)
            layer.momentum = 1.0
    with torch.inference_mode():
        model.train()(pixels())
    return model.eval()


@pytest.fixture(scope="module")
def expected(model: Any) -> Floats:
    return features(model)


def features(model: Any) -> Floats:
    """(n, dim) unit rows of the pictures."""
    with torch.inference_mode():
        pooled = model(pixels()).pooler_output.flatten(1)
        rows: Floats = torch.nn.functional.normalize(pooled, dim=1).numpy()
    return rows


def pictures() -> list[Image.Image]:
    """Wide, high, odd, small and very long ones."""
    long = Image.fromarray(np.tile(np.asarray(waves())[:60], (1, 3, 1)))
    return [
        waves(),
        tiles(),
        tiles().transpose(Image.Transpose.ROTATE_90).resize((333, 257)),
        photo("teal"),
        photo("red", size=(224, 225)),
        long,
    ]


def pixels() -> Any:
    """(n, 3, 224, 224), by torchvision's rules: Resize(256), CenterCrop(224), ToTensor, Normalize."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    crops = torch.stack([torch.from_numpy(crop(image)) for image in pictures()])
    return ((crops.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def crop(image: Image.Image) -> Any:
    scale = 256 / min(image.size)
    width, height = (256 if side == min(image.size) else int(side * scale) for side in image.size)
    resized = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
    top, left = round((height - 224) / 2), round((width - 224) / 2)
    return resized[top : top + 224, left : left + 224]


def encoded(path: Path, tmp_path: Path) -> Floats:
    settings = Settings(models=(tmp_path / "models",), device="cpu")
    card = resnet.find(str(path), settings)
    assert card is not None
    return resnet.load(card, settings).encode_images(pictures())


def torchvision_name(name: str) -> str:
    """transformers' name of a tensor as torchvision writes it."""
    parts = name.split(".")
    if parts[0] == "embedder":
        return f"{'conv1' if parts[2] == 'convolution' else 'bn1'}.{parts[-1]}"
    stage, block, inner = int(parts[2]) + 1, parts[4], parts[5:]
    if inner[0] == "shortcut":
        return f"layer{stage}.{block}.downsample.{'0' if inner[1] == 'convolution' else '1'}.{inner[-1]}"
    kind = "conv" if inner[2] == "convolution" else "bn"
    return f"layer{stage}.{block}.{kind}{int(inner[1]) + 1}.{inner[-1]}"


def test_weights_as_transformers_saves_them(model: Any, expected: Floats, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "saved")
    rows = encoded(tmp_path / "saved" / "model.safetensors", tmp_path)
    np.testing.assert_allclose(rows, expected, atol=1e-4)


def test_weights_as_its_classifiers_are_published(model: Any, expected: Floats, tmp_path: Path) -> None:
    """`microsoft/resnet-50`: everything below `resnet.`, and a classifier."""
    named = {f"resnet.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    named["classifier.1.weight"] = torch.ones(9, expected.shape[1])
    safetensors.save_file(named, tmp_path / "model.safetensors")
    np.testing.assert_allclose(encoded(tmp_path / "model.safetensors", tmp_path), expected, atol=1e-4)


def test_weights_as_timm_and_torchvision_name_them(
    model: Any, expected: Floats, name: str, tmp_path: Path
) -> None:
    named = {torchvision_name(key): tensor for key, tensor in model.state_dict().items()}
    assert {"conv1.weight", "layer2.0.downsample.1.running_var", "layer4.1.bn2.bias"} <= set(named)
    named["fc.weight"] = torch.ones(1000, expected.shape[1])
    safetensors.save_file(named, tmp_path / f"{name}.safetensors")
    np.testing.assert_allclose(encoded(tmp_path / f"{name}.safetensors", tmp_path), expected, atol=1e-4)


def test_weights_in_half_precision(model: Any, tmp_path: Path) -> None:
    rounded = copy.deepcopy(model).half()
    rounded.save_pretrained(tmp_path / "half")
    rows = encoded(tmp_path / "half" / "model.safetensors", tmp_path)
    np.testing.assert_allclose(rows, features(rounded.float()), atol=1e-4)


def test_the_reference_tells_pictures_apart(expected: Floats) -> None:
    """Or agreeing with it would mean little."""
    apart = np.linalg.norm(expected[:, None] - expected[None], axis=2)
    assert apart[np.triu_indices(len(expected), 1)].min() > 0.2
