"""Recipes: what is right is read, and what is wrong is named with the nearest right thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.errors import RecipeError, TrainingError
from picfind.training.recipe import (
    KINDS,
    AdaptRecipe,
    BuiltinRecipe,
    ClipRecipe,
    JointRecipe,
    content,
    differences,
    load_recipe,
    shipped,
)
from tests.training_data import write_recipe


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_shipped_recipe_can_be_read() -> None:
    kinds = {name: type(load_recipe(name)[1]) for name in shipped()}
    assert kinds == {
        "adapt": AdaptRecipe,
        "builtin": BuiltinRecipe,
        "clip-small": ClipRecipe,
        "joint": JointRecipe,
        "resnet-bert": JointRecipe,
    }


def test_a_file_is_read_with_its_sections_and_what_it_leaves_out(tmp_path: Path) -> None:
    text = 'kind = "clip"\ndim = 32\n[schedule]\nrate = 1\n[data]\ntrain = ["a", "b"]\n'
    name, recipe = load_recipe(written(tmp_path, text))
    assert name == "mine"
    assert isinstance(recipe, ClipRecipe)
    assert (recipe.dim, recipe.schedule.rate, recipe.data.train) == (32, 1.0, ("a", "b"))
    assert isinstance(recipe.schedule.rate, float)
    assert recipe.words == ClipRecipe().words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[schedule]\nepohcs = 3", "there is no key schedule.epohcs. Did you mean schedule.epochs?"),
        ("dimm = 3", "there is no key dimm. Did you mean dim?"),
        ("[shedule]\nepochs = 3", "there is no key shedule. Did you mean schedule?"),
        ("[schedule]\nepochs = '3'", "schedule.epochs is '3'; a whole number is wanted"),
        ("[schedule]\nepochs = 3.5", "schedule.epochs is 3.5; a whole number is wanted"),
        ("[schedule]\nepochs = true", "schedule.epochs is True; a whole number is wanted"),
        ("[schedule]\nrate = false", "schedule.rate is False; a number is wanted"),
        ("[schedule]\nrate = nan", "schedule.rate is nan; at least 0"),
        ("[schedule]\nepochs = 0", "schedule.epochs is 0; at least 1 is wanted"),
        ("[data]\nheld_out = 1", "data.held_out is 1.0; at most 0.9 is wanted"),
        ("[data]\nskip_broken = 1", "data.skip_broken is 1; true or false is wanted"),
        ("[data]\ntrain = 'here'", "data.train is 'here'; a list of texts is wanted"),
        ("[data]\ntrain = [1]", "data.train is [1]; a list of texts is wanted"),
        ("[objective]\nkind = 'sigmiod'", "objective.kind is 'sigmiod'. Known are: infonce, sigmoid"),
        ("schedule = 3", "schedule is 3; it is a section: write [schedule]"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, f"kind = 'clip'\n{text}\n"))
    assert told in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert isinstance(caught.value, TrainingError | ValueError)


@pytest.mark.parametrize("kind", ["'clap'", "3", "['clip']"])
def test_a_kind_that_is_not_known(tmp_path: Path, kind: str) -> None:
    with pytest.raises(RecipeError, match=r"Known are: clip, joint, adapt"):
        load_recipe(written(tmp_path, f"kind = {kind}"))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"Did you mean clip-small\?"):
        load_recipe("clip-smal")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(written(tmp_path, "kind = "))
    with pytest.raises(RecipeError, match="There is no recipe"):
        load_recipe(str(tmp_path))


def test_changes_go_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "kind = 'joint'\n[image]\nmodel = 'a'\n")
    changes = ["schedule.epochs=7", "image.model=resnet50", "text.model = 'b c'", "data.train=['x']"]
    _, recipe = load_recipe(path, changes)
    assert isinstance(recipe, JointRecipe)
    assert (recipe.schedule.epochs, recipe.image.model, recipe.text.model) == (7, "resnet50", "b c")
    assert recipe.data.train == ("x",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("schedule.epochs", "Write KEY=VALUE"),
        ("=3", "Write KEY=VALUE"),
        ("kind.x=3", "kind is no section"),
        ("schedule.epoch=3", "Did you mean schedule.epochs"),
        ("schedule.epochs=many", "schedule.epochs is 'many'; a whole number"),
    ],
)
def test_changes_that_are_none(change: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        load_recipe("clip-small", [change])


def test_two_recipes_differ_in_keys() -> None:
    before, now = (content(load_recipe("clip-small", some)[1]) for some in ((), ["schedule.seed=5", "dim=8"]))
    assert differences(before, now) == ["dim was 256 and is 8", "schedule.seed was 0 and is 5"]
    assert differences(before, before) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_checkpoint_says_of_a_recipe_is_the_recipe(tmp_path: Path, kind: str) -> None:
    recipe = KINDS[kind]()
    path = write_recipe(tmp_path / "again.toml", json.loads(content(recipe)))
    assert load_recipe(str(path))[1] == recipe


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.booleans() | st.text(), min_size=1))
def test_whatever_a_file_says_it_is_a_recipe_or_a_recipe_error(table: dict[str, Any]) -> None:
    changes = [f"{key}={json.dumps(value)}" for key, value in table.items()]
    try:
        load_recipe("clip-small", changes)
    except RecipeError as error:
        assert str(error)
