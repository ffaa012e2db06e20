"""Joint models with trained heads into one space, made here of tiny graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from picfind import encoders
from picfind.encoders import _folders
from picfind.encoders.base import Encoder
from picfind.errors import ModelFilesError
from picfind.settings import Settings
from picfind.testing import EncoderSuite
from picfind.types import Floats
from tests.joints import image, kept, loaded, models, rewrite, text
from tests.photos import photo


def head(path: Path, weights: Floats) -> None:
    """A graph of one matrix product, as training exports it."""
    onnx = pytest.importorskip("onnx", reason="needs the extra convert")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["shared"])],
        "head",
        [helper.make_tensor_value_info("rows", floats, ["n", weights.shape[0]])],
        [helper.make_tensor_value_info("shared", floats, ["n", weights.shape[1]])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


def matrix(rows: int, seed: int, dim: int = 24) -> Floats:
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def trained(tmp_path: Path, *, dim: int = 24, image_rows: int = 256) -> Path:
    """A folder of the mode `shared`, called `mine`."""
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    head(folder / "image_head.onnx", matrix(image_rows, 1))
    head(folder / "text_head.onnx", matrix(384, 2))
    parts = {"image": "builtin-image", "text": "minilm"}
    about = {
        block: {"spec": spec, "revision": encoders.find(spec, Settings()).revision}
        for block, spec in parts.items()
    }
    _folders.write_manifest(
        folder,
        _folders.Manifest(
            "joint", licence="CC0", source="made here", about={"mode": "shared", "dim": dim, **about}
        ),
    )
    return folder


def test_heads_bring_both_into_one_space(tmp_path: Path) -> None:
    trained(tmp_path)
    whole = loaded(tmp_path)
    assert (whole.card.dim, whole.card.towers, whole.pair) == (24, ("image", "text"), None)
    assert (whole.card.licence, whole.card.source) == ("CC0", "made here")
    raw = encoders.load("minilm", Settings()).encode_texts(["red"])[0] @ matrix(384, 2)
    np.testing.assert_allclose(text(whole, "red"), raw / np.linalg.norm(raw), atol=1e-5)
    raw = encoders.load("builtin-image", Settings()).encode_images([photo()])[0] @ matrix(256, 1)
    np.testing.assert_allclose(image(whole, photo()), raw / np.linalg.norm(raw), atol=1e-5)


@pytest.mark.parametrize("name", ["image_head.onnx", "text_head.onnx"])
def test_a_missing_or_changed_head_is_named(tmp_path: Path, name: str) -> None:
    path = trained(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelFilesError, match=f"{name} is not what was"):
        loaded(tmp_path)
    path.unlink()
    with pytest.raises(ModelFilesError, match=f"lacks its file {name}"):
        loaded(tmp_path)


def test_a_damaged_head_says_so_when_first_used(tmp_path: Path) -> None:
    folder = trained(tmp_path)
    (folder / "text_head.onnx").write_bytes(b"no graph")
    rewrite(folder)
    whole = loaded(tmp_path)
    with pytest.raises(ModelFilesError, match=r"text_head\.onnx cannot be read.*Fit, train or copy"):
        text(whole, "red")


def test_heads_of_other_dimensions_say_so(tmp_path: Path) -> None:
    trained(tmp_path, dim=25, image_rows=255)
    whole = loaded(tmp_path)
    with pytest.raises(ModelFilesError, match=r"text_head\.onnx gives \(1, 24\) where.*\(1, 25\)"):
        text(whole, "red")
    with pytest.raises(ModelFilesError, match=r"image_head\.onnx cannot be run on rows of \(1, 256\)"):
        image(whole, photo())


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of a model with trained heads."""
    place = tmp_path_factory.mktemp("heads")
    trained(place)
    return place


class TestShared(EncoderSuite):
    @pytest.fixture(autouse=True)
    def _place(self, heads: Path) -> None:
        self.place = heads

    def encoder(self) -> Encoder:
        return kept("mine", models(self.place))
