"""What was learned, as arrays in a file; and what has a closed form, against slow plain computations."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.errors import ModelFilesError
from picfind.training.builtin import closed
from picfind.training.builtin.closed import correlated, pair
from picfind.training.builtin.joined import beside, joined, rows
from picfind.training.builtin.members import (
    MIDDLE,
    POOLED,
    SENTENCE,
    WIDE,
    Block,
    Layer,
    Learned,
    Member,
    Projection,
    Top,
    load,
    roots,
    save,
)
from picfind.types import Floats

DIM = 5


def drawn(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def layer(inputs: int, outputs: int) -> Layer:
    return Layer(drawn(inputs, outputs), drawn(outputs))


def member(*, wide: bool, top: Top | None = None) -> Member:
    def side(inputs: int) -> Projection:
        return Projection(layer(inputs, DIM), *((layer(inputs, 3), layer(3, DIM)) if wide else ()))

    return Member(side(WIDE), side(SENTENCE), length=1.5, top=top)


def learned() -> Learned:
    block = Block(layer(4, 6), drawn(6, 1, 3, 3), drawn(6), layer(6, 4))
    top = Top(19, (block, block), layer(4, POOLED))
    both = member(wide=False), member(wide=True, top=top)
    return Learned(both, drawn(2 * DIM, 3), drawn(2 * DIM, 3, seed=1), 1.25, {"pictures": "12", "é": "ü"})


def same(one: Any, other: Any) -> bool:
    """Whether two of the dataclasses hold the same values."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__slots__") and not isinstance(one, str | int | float | dict):
        return all(same(getattr(one, name), getattr(other, name)) for name in one.__slots__)
    return bool(one == other)


def test_what_is_saved_is_loaded_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    path, buffer = tmp_path / "learned.npz", io.BytesIO()
    save(path, learned())
    save(buffer, learned())
    assert path.read_bytes() == buffer.getvalue()
    found = load(path)
    assert same(found, learned())
    assert not same(found, replace(learned(), spread=1.0))
    assert found.members[0].top is None
    assert found.members[1].top is not None
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["members/0/image/linear/weight"].shape == (WIDE, DIM)
        assert arrays["members/1/top/blocks/1/depthwise"].shape == (6, 1, 3, 3)


@given(st.data())
def test_a_damaged_file_is_a_clear_error(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    one = replace(learned(), members=(member(wide=False),), image=drawn(DIM, 3), text=drawn(DIM, 3))
    save(buffer, one)
    content = bytearray(buffer.getvalue())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 255
    try:
        found = load(io.BytesIO(content))
    except ModelFilesError as error:
        assert "Train again" in str(error)
    else:
        assert same(found, one)  # some bytes of a ZIP file mean nothing


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (replace(learned(), image=drawn(DIM, 3)), "joining matrices do not fit"),
        (replace(learned(), text=drawn(2 * DIM, 4)), "joining matrices do not fit"),
        (replace(learned(), members=()), "joining matrices do not fit"),
        (replace(learned(), image=np.full((2 * DIM, 3), np.nan, np.float32)), "image is no array"),
        (
            replace(learned(), members=(replace(member(wide=False), text=Projection(layer(SENTENCE, 4))),)),
            "two sides of member 0",
        ),
        (
            replace(
                learned(), members=(replace(member(wide=False), image=Projection(layer(WIDE - 1, DIM))),)
            ),
            "do not fit each other or the towers",
        ),
    ],
)
def test_arrays_that_do_not_fit(odd: Learned, told: str) -> None:
    buffer = io.BytesIO()
    save(buffer, odd)
    buffer.seek(0)
    with pytest.raises(ModelFilesError, match=told):
        load(buffer)


def test_files_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="No such file"):
        load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", format=np.array(7))
    with pytest.raises(ModelFilesError, match="format is 7"):
        load(tmp_path / "other.npz")
    np.savez(tmp_path / "bare.npz", a=np.zeros(3))
    with pytest.raises(ModelFilesError, match=r"bare\.npz cannot be read"):
        load(tmp_path / "bare.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ModelFilesError, match=r"one\.npy cannot be read"):
        load(tmp_path / "one.npy")


def test_roots_have_a_slope_at_nothing() -> None:
    assert roots(np.array([0.0, -0.1, 0.999], np.float32)) == pytest.approx([0.001**0.5, 0.001**0.5, 1.0])
    assert WIDE == POOLED + MIDDLE


def slow_moments(
    pictures: Floats, captions: Floats, owners: list[int], also: tuple[Floats, Floats]
) -> tuple[Any, Any, Any, Any]:
    """Spread of both sides, and what they have in common, in loops."""
    groups = [
        [captions[at] for at, owner in enumerate(owners) if owner == one] for one in range(len(pictures))
    ]
    means = [sum(row.astype(float) for row in group) / len(group) for group in groups]
    mean = sum(means) / len(means)
    pairs = [*zip(pictures, means, strict=True), *zip(*also, strict=True)]
    own = np.mean([np.outer(x, x).astype(float) for x, _ in pairs], axis=0)
    across = np.mean([np.outer(x.astype(float), y - mean) for x, y in pairs], axis=0)
    away = [[np.outer(row - mean, row - mean) for row in group] for group in groups]
    spread = np.mean([np.mean(group, axis=0) for group in away], axis=0)
    own = own + closed.PICTURE_RIDGE * np.trace(own) / len(own) * np.eye(len(own))
    spread = spread + closed.TEXT_RIDGE * np.trace(spread) / len(spread) * np.eye(len(spread))
    return own, spread, across, mean


@given(st.integers(0, 10_000), st.integers(2, 9))
def test_correlations_against_a_slow_plain_computation(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    owners = np.sort(np.concatenate([np.arange(count), rng.integers(0, count, 7)]))
    pictures, captions = drawn(count, 6, seed=seed), drawn(len(owners), 4, seed=seed)
    also = drawn(3, 6, seed=seed + 1), drawn(3, 4, seed=seed + 1)
    own, spread, across, mean = slow_moments(pictures, captions, owners.tolist(), also)
    found = correlated(pictures, captions, owners, also=also, dim=4)
    assert np.allclose(found.mean, mean, atol=1e-6)
    # With all directions kept, the two maps one after the other are the least-squares map between the sides.
    assert np.allclose(
        found.image @ found.text.T, np.linalg.inv(own) @ across @ np.linalg.inv(spread), atol=1e-4
    )
    # Each direction is as long as the root of its correlation says, and apart from the others.
    strengths = np.linalg.eigvals(np.linalg.inv(own) @ across @ np.linalg.inv(spread) @ across.T)
    strengths = np.sqrt(np.sort(np.abs(strengths))[::-1][:4])
    assert np.allclose(found.image.T @ own @ found.image, np.diag(strengths), atol=1e-4)
    assert np.allclose(found.text.T @ spread @ found.text, np.diag(strengths), atol=1e-4)
    fewer = correlated(pictures, captions, owners, also=also, dim=2)
    assert np.allclose(np.abs(fewer.image), np.abs(found.image[:, :2]), atol=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_the_matrices_that_join_are_the_best_of_their_rank(seed: int, dim: int) -> None:
    pictures, captions = drawn(20, 6, seed=seed), drawn(30, 6, seed=seed)
    image, text = pair(pictures, captions, dim)
    assert image.shape == text.shape == (6, dim)
    pictures, captions = (
        np.concatenate([rows, np.sqrt(closed.JOINING_RIDGE * np.square(rows).sum() / 6) * np.eye(6)])
        for rows in (pictures, captions)
    )
    left, strengths, right = np.linalg.svd(pictures @ captions.T)
    best = (left[:, :dim] * strengths[:dim]) @ right[:dim]
    assert np.allclose((pictures @ image) @ (captions @ text).T, best, atol=1e-3)


def test_joined_scores_are_the_summed_scores_over_their_spread() -> None:
    sides = [[drawn(40, 6, seed=seed + at) for at in range(2)] for seed in (1, 7)]
    unit = [[part / np.linalg.norm(part, axis=1, keepdims=True) for part in side] for side in sides]
    shown, said = (beside(parts, (1.0, 2.0)) for parts in unit)
    summed = unit[0][0] @ unit[1][0].T + 4 * unit[0][1] @ unit[1][1].T
    assert np.allclose(shown @ said.T, summed, atol=1e-5)
    made = joined([member(wide=False)] * 2, shown, said, dim=64)
    assert made.image.shape == (12, 12)
    pictures, captions = rows(made, shown, said)
    assert np.allclose(np.linalg.norm(pictures, axis=1), 1, atol=1e-5)
    assert made.spread == pytest.approx(float(summed.std() / (pictures @ captions.T).std()), rel=1e-4)
    assert np.corrcoef(summed.ravel(), (pictures @ captions.T).ravel())[0, 1] > 0.9
