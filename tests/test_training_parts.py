"""What training is made of: figures, curves, losses, heads, the vocabulary, kept vectors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind import encoders
from picfind.errors import CheckpointError, MissingExtraError
from picfind.settings import Settings
from picfind.storage import durable
from picfind.testing import toy_encoder
from picfind.training import features, run
from picfind.training.captioned import Example
from picfind.training.curves import svg
from picfind.training.publishing import About, card
from picfind.training.recipe import Heads, Objective, content, load_recipe
from picfind.training.validation import JUDGED, figures
from picfind.training.vocabulary import END, count, fit_vocabulary, tokenizing
from picfind.types import Fingerprint, Item
from tests.photos import write_photo

PLANE = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], np.float32)


def test_figures_of_a_model_that_is_always_right() -> None:
    found = figures(PLANE, np.repeat(PLANE, 2, axis=0), np.repeat(np.arange(3), 2))
    assert found[JUDGED] == 1.0
    assert all(value == 1.0 for value in found.values())


def test_figures_by_hand() -> None:
    turned = np.array([[0.8, 0.6], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]], np.float32)
    owners = np.array([1, 1, 0, 2])  # scores: .8 .6 -.8, .6 .8 -.6, 0 1 0, -1 0 1
    found = figures(PLANE, turned, owners)
    assert found["text_to_image hit_at(1)"] == pytest.approx(2 / 4)
    assert found["text_to_image hit_at(5)"] == 1.0
    # the captions' pictures are at rank 2, 1, 2 or 3 (tied), 1; the pictures' captions at 3, 2, 1
    to_image = (1 / 2 + 1 + (1 / 2 + 1 / 3) / 2 + 1) / 4
    to_text = (1 / 3 + 1 / 2 + 1) / 3
    assert found[JUDGED] == pytest.approx((to_image + to_text) / 2)


def test_one_vector_for_everything_finds_what_chance_finds() -> None:
    rows = np.tile(np.array([[0.6, 0.8]], np.float32), (50, 1))
    found = figures(rows, rows, np.arange(50))
    assert found["text_to_image hit_at(10)"] == pytest.approx(10 / 50)


@given(st.lists(st.floats(0, 10), max_size=1500), st.integers(0, 5))
def test_curves_are_drawings_whatever_is_drawn(losses: list[float], judged: int) -> None:
    rows = [{"step": at, "mrr": at / 7, "a <b>": 0.5} for at in range(judged)]
    drawn = ElementTree.fromstring(svg(losses, rows, title="one & <two>"))
    lines = [entry for entry in drawn if entry.tag.endswith("polyline")]
    assert len(lines) == 1 + (2 if judged else 0)
    assert all(len(entry.get("points", "").split()) <= 600 for entry in lines)
    assert "nan" not in ElementTree.tostring(drawn, encoding="unicode")


def test_a_vocabulary_of_ones_own() -> None:
    captions = ["A dog runs .", "two dogs run on the beach", "a man & a woman"] * 5
    content_of = fit_vocabulary(captions, size=270)
    made = tokenizing(content_of, length=8)
    ids, mask = made(["A dog!", "a dog", "家和树 " * 9, ""])
    assert ids.shape == mask.shape == (4, 8)
    assert ids.tolist()[0] == ids.tolist()[1]
    assert (ids.max(axis=1) == count(content_of) - 1).all()  # the end mark, even of what is cut
    assert json.loads(content_of)["added_tokens"][-1]["content"] == END
    assert fit_vocabulary(captions, size=270) == content_of


def test_a_card_says_where_a_model_comes_from() -> None:
    about = About(
        name="mine", method="How.", sources=("flickr:/x#train",), pictures=6000, captions=30000, judged_by=1000,
        figures={"mrr": 0.25}, recipe=content(load_recipe("adapt")[1]), steps=12, notes=("one was missing",),
    )  # fmt: skip
    text = card(about)
    assert "6,000 pictures with 30,000 captions; judged by 1,000 others" in text
    for part in (
        "- `flickr:/x#train`",
        "| mrr | 0.250 |",
        "- one was missing",
        '"kind": "adapt"',
        "After 12 steps",
    ):
        assert part in text
    assert "## Notes" not in card(replace(about, notes=()))


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "picfind\[train\]"'):
        next(run.train(load_recipe("clip-small")[1], name="a", out=tmp_path / "a", settings=Settings()))
    assert list(tmp_path.iterdir()) == []


# Kept vectors


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(features, "home", lambda: tmp_path / "features")
    return tmp_path / "features"


def examples(tmp_path: Path) -> Iterator[Example]:
    for at, colour in enumerate(("red", "green", "blue", "red")):
        path = write_photo(tmp_path / f"{at}.png", colour=colour)
        yield Example(Item(path.name, Fingerprint("1"), lambda path=path: path.open("rb")), ("a",))  # type: ignore[misc]


def encoded(tmp_path: Path, encoder: encoders.base.Encoder) -> Any:
    return features.of_pictures(
        encoder, list(examples(tmp_path)), Settings(workers=2), skip_broken=False, told=lambda *_: None
    )


def test_vectors_are_kept_by_content(tmp_path: Path, kept: Path) -> None:
    encoder = toy_encoder()
    some, rows, faults = encoded(tmp_path, encoder)
    assert (len(some), faults) == (4, [])
    assert np.array_equal(rows[0], rows[3])
    assert np.allclose(rows, encoder.encode_images([tmp_path / f"{at}.png" for at in range(4)]), atol=1e-6)
    (names,) = kept.glob("*/*.txt")
    assert len(names.read_text().split()) == 3  # two are the same picture
    names.with_suffix(".npy").write_bytes(b"damaged")
    assert np.array_equal(encoded(tmp_path, encoder)[1], rows)
    texts = features.of_texts(encoder, ["red", "blue", "red"], told=lambda *_: None)
    assert np.array_equal(texts[0], texts[2])
    assert len(list(kept.glob("*-text/*.txt"))) == 1


def test_no_room_for_vectors(tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "_flush", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        encoded(tmp_path, toy_encoder())


# Losses and heads


def test_losses_by_hand() -> None:
    torch = pytest.importorskip("torch", reason="training needs torch")
    from picfind.training.objectives import objective

    rows = torch.from_numpy(PLANE)
    nce = objective(Objective(temperature=0.5))(rows, rows).item()
    wanted = -np.mean(
        [
            math.log(math.exp(2) / (math.exp(2) + a + b))
            for a, b in ((1, math.exp(-2)), (1, 1), (1, math.exp(-2)))
        ]
    )
    assert nce == pytest.approx(wanted, rel=1e-5)
    sigmoid = objective(Objective(kind="sigmoid", temperature=0.5))(rows, rows).item()
    scores = 2 * PLANE @ PLANE.T - 10
    signs = 2 * np.eye(3) - 1
    assert sigmoid == pytest.approx(float(np.log1p(np.exp(-signs * scores)).sum() / 3), rel=1e-5)
    assert nce < objective(Objective(temperature=0.5))(rows, rows.flip(0)).item()


@pytest.mark.parametrize("kind", ["both", "linear", "mlp"])
def test_a_head_as_a_graph_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    torch = pytest.importorskip("torch", reason="training needs torch")
    pytest.importorskip("onnx", reason="heads are written as ONNX graphs")
    from picfind.training.heads import Head

    head = Head(6, Heads(kind=kind, hidden=10, dim=4)).eval()
    _compare(torch, head, tmp_path / "head.onnx", inputs=6, dim=4)


def test_a_residual_is_nothing_at_first_and_as_much_as_is_asked(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="training needs torch")
    pytest.importorskip("onnx", reason="heads are written as ONNX graphs")
    from picfind.training.heads import Residual

    head = Residual(6, rank=2, dropout=0.5).eval()
    rows = torch.randn(5, 6)
    assert torch.equal(head(rows), rows)
    torch.nn.init.normal_(head.up.weight)
    whole = head(rows) - rows
    _compare(torch, head, tmp_path / "head.onnx", inputs=6, dim=6)
    head.shrink(0.25)
    assert torch.allclose(head(rows) - rows, whole / 4, atol=1e-5)
    head.shrink(0)
    assert torch.equal(head(rows), rows)


def _compare(torch: Any, head: Any, path: Path, *, inputs: int, dim: int) -> None:
    from onnxruntime import InferenceSession

    head.write(path, inputs, dim)
    rows = np.random.default_rng(0).normal(size=(5, inputs)).astype(np.float32)
    with torch.no_grad():
        wanted = head(torch.from_numpy(rows)).numpy()
    found = InferenceSession(str(path)).run(None, {"rows": rows})[0]
    assert found.shape == (5, dim)
    assert np.allclose(found, wanted, atol=1e-5)
