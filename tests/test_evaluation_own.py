"""A gallery's own pictures as judged queries: what is asked, what is advised, and that the gallery stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picfind.api import Gallery
from picfind.datasets import open_source, with_queries
from picfind.datasets.base import IMAGE_TO_IMAGE, TEXT_TO_IMAGE, Judged
from picfind.encoders.base import EncoderCard
from picfind.errors import UnknownModelError, UsageError
from picfind.evaluation import own
from picfind.evaluation.advice import advise
from picfind.evaluation.results import Advice, Compared, Entry, Evaluation, Model, Result
from picfind.evaluation.running import Options, evaluate
from picfind.evaluation.scoring import Curve, Scored
from picfind.evaluation.speed import Speed
from picfind.evaluation.statistics import Difference, Figure
from picfind.evaluation.trials import Field, Trial
from picfind.images import decode
from picfind.settings import Settings
from picfind.testing import toy_encoder, toy_pair
from tests.photos import photo_bytes, write_photo

Open = Callable[..., Gallery]
COLOURS = ("red", "green", "blue")


@pytest.fixture
def indexed(gallery: Gallery, tmp_path: Path) -> Gallery:
    """Three folders of three pictures each, of which one in each has a caption, two of these the same."""
    said = []
    for colour in COLOURS:
        for at in range(3):
            write_photo(tmp_path / "photos" / colour / f"{at}.png", colour=colour, seed=at, size=(96, 64))
        said.append({"image": f"{colour}/0.png", "caption": "red" if colour == "red" else f"a {colour} wall"})
    said.append({"image": "red/1.png", "caption": "Red"})
    table = tmp_path / "captions.jsonl"
    table.write_text("\n".join(map(json.dumps, said)), encoding="utf-8")
    gallery.index(tmp_path / "photos", captions=table)
    return gallery


def run(gallery: Gallery, *, options: Options | None = None) -> Evaluation:
    return own.evaluate_own(gallery.store, [toy_encoder()], Settings(), options=options)


def trial_of(found: Evaluation, name: str) -> Trial:
    return next(result.trial for result in found.results if result.trial.name == name)


def test_it_asks_captions_albums_and_copies(indexed: Gallery) -> None:
    found = run(indexed)
    assert [result.trial.name for result in found.results] == [own.CAPTIONS, own.ALBUMS, own.COPIES]
    assert found.pictures == 9
    for result in found.results:
        expected = 8 if result.trial.name == own.ALBUMS else 9
        assert result.trial.candidates == expected, "copies are never ranked"
        assert result.entries[0].figures["hit_at(5)"].value == 1.0


def test_captions_are_those_that_somebody_wrote(indexed: Gallery) -> None:
    """Not the names of files and folders; pictures with the same caption are all right."""
    queries = trial_of(run(indexed), own.CAPTIONS).queries
    assert sorted(query.text or "" for query in queries) == ["Red", "a blue wall", "a green wall", "red"]
    right = {query.text: len(query.right) for query in queries}
    assert right == {"Red": 2, "red": 2, "a blue wall": 1, "a green wall": 1}


def test_albums_are_folders(indexed: Gallery) -> None:
    queries = trial_of(run(indexed), own.ALBUMS).queries
    assert len(queries) == 9
    assert {len(query.right) for query in queries} == {2}
    assert len({query.group for query in queries}) == 3


def test_one_folder_is_no_album(gallery: Gallery, tmp_path: Path) -> None:
    for at in range(3):
        write_photo(tmp_path / "photos" / f"{at}.png", seed=at)
    gallery.index(tmp_path / "photos")
    assert [result.trial.name for result in run(gallery).results] == [own.COPIES]


def test_copies_are_altered_and_alike_each_time(indexed: Gallery) -> None:
    found = run(indexed)
    names = [key for key in found.items if key.partition(":")[0] in own.ALTERED]
    assert len(names) == 3 * 9
    sizes = {}
    for name in names[:3]:
        with found.items[name].open() as one, found.items[name].open() as again:
            data = one.read()
            assert data == again.read()
        sizes[name.partition(":")[0]] = decode(data).image.size
    assert sizes == {"crop": (58, 38), "small": (34, 22), "dark": (96, 64)}


def test_a_dark_copy_is_darker() -> None:
    bright = Image.fromarray(np.full((8, 8, 3), 200, np.uint8))
    altered, _ = own.ALTERED["dark"](bright, (0.5, 0.5))
    assert np.asarray(altered).mean() == pytest.approx(90, abs=1)


def test_copies_of_one_file_are_one_picture(gallery: Gallery, tmp_path: Path) -> None:
    data = photo_bytes("red")
    for name in ("a.png", "b.png"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    write_photo(tmp_path / "photos" / "c.png", colour="blue")
    gallery.index(tmp_path / "photos")
    assert run(gallery).pictures == 2


def test_the_gallery_is_left_as_it_was(indexed: Gallery) -> None:
    before = indexed.store.catalog.generation
    run(indexed)
    own.evaluate_own(indexed.store, [toy_encoder("another")], Settings())
    assert indexed.store.catalog.generation == before
    assert [space.name for space in indexed.spaces] == ["toy"]


def test_vectors_of_the_gallery_are_used_and_others_made_aside(indexed: Gallery) -> None:
    """The figures are the same; what is there already need not be encoded, though its file may be gone by now."""
    one = run(indexed)
    other = own.evaluate_own(indexed.store, [toy_encoder("another")], Settings())
    assert one.results[0].entries[0].figures == other.results[0].entries[0].figures


def test_tasks_and_limit(indexed: Gallery) -> None:
    words = run(indexed, options=Options(tasks=(TEXT_TO_IMAGE,)))
    assert [result.trial.name for result in words.results] == [own.CAPTIONS]
    few = run(indexed, options=Options(limit=4, tasks=(IMAGE_TO_IMAGE,)))
    assert few.pictures == 4
    assert any("4 of 9 pictures were drawn" in warning for warning in few.warnings)


def test_a_root_that_is_gone_is_told(indexed: Gallery, tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="nothing to ask"):
        run(indexed)


def test_a_root_that_cannot_be_read_is_left_out(indexed: Gallery, tmp_path: Path) -> None:
    """Its table was broken meanwhile."""
    write_photo(tmp_path / "more" / "a.png", seed=9)
    table = tmp_path / "more" / "captions.jsonl"
    table.write_text('{"image": "a.png", "caption": "a"}', encoding="utf-8")
    indexed.index(f"table:{table}")
    assert run(indexed).pictures == 10
    table.write_text('{"image": "a.p', encoding="utf-8")
    found = run(indexed)
    assert found.pictures == 9
    assert any("is left out" in told and "captions.jsonl, line 1" in told for told in found.warnings)


def test_a_file_that_has_changed_is_left_out(indexed: Gallery, tmp_path: Path) -> None:
    """The vector that the gallery has is that of another picture."""
    write_photo(tmp_path / "photos" / "red" / "0.png", colour="blue", seed=7, size=(97, 64))
    found = run(indexed)
    assert found.pictures == 8
    assert any("after they were indexed: 1." in told for told in found.warnings)


def test_copies_are_at_hand_in_every_fold(indexed: Gallery) -> None:
    found = run(indexed, options=Options(fold=3))
    trial = trial_of(found, own.COPIES)
    assert (len(trial.fields), len(trial.queries), trial.candidates) == (3, 27, 3)
    with pytest.raises(UsageError, match="There are 9 pictures: fewer than one fold of 10"):
        run(indexed, options=Options(fold=10))


def test_an_empty_gallery(gallery: Gallery) -> None:
    with pytest.raises(UsageError, match="no pictures yet"):
        own.evaluate_own(gallery.store, [], Settings())


def test_pictures_alone_of_a_joining_model_are_no_model(indexed: Gallery, tmp_path: Path) -> None:
    """They are in the gallery where somebody evaluated such a model with it; nothing answers to that name."""
    joined = toy_pair("joined")
    found = evaluate(
        with_queries(open_source(f"labelled:{tmp_path / 'photos'}", Settings())),
        [joined],
        Settings(),
        gallery=indexed.folder,
    )
    assert found.results
    assert "joined#pictures" in [space.name for space in indexed.spaces]
    with pytest.raises(UnknownModelError, match="'toy'"):
        own.evaluate_own(indexed.store, [], Settings())


def test_a_model_that_is_no_longer_here(indexed: Gallery) -> None:
    with pytest.raises(UnknownModelError, match="toy"):
        own.evaluate_own(indexed.store, [], Settings())


def test_too_little_to_judge_by_is_said(indexed: Gallery) -> None:
    found = run(indexed).advice
    assert found is not None
    assert found.model is None
    assert "too little to judge by: 9 independent queries" in found.reason


def card(name: str, licence: str = "MIT") -> EncoderCard:
    return replace(toy_encoder(name).card, licence=licence, size_mb=10)


EMPTY = np.empty(0)
NOTHING = Scored(EMPTY, EMPTY, 0.0, 0.0, EMPTY, EMPTY, Curve((), (), ()), (), ())


def judged(models: dict[str, tuple[float, float, str]], p: float, *, groups: int = 30) -> Evaluation:
    """Models by name with hit_at(10), milliseconds and licence, the first of which is better with this p."""
    queries = tuple(Judged(str(at), TEXT_TO_IMAGE, frozenset({"a"}), text="x") for at in range(groups))
    trial = Trial(own.CAPTIONS, TEXT_TO_IMAGE, (Field(queries, ("a", "b")),), {})
    entries = tuple(
        Entry(name, {"hit_at(10)": Figure(value)}, NOTHING) for name, (value, _, _) in models.items()
    )
    first, *others = models
    compared = tuple(
        Compared(first, other, "hit_at(10)", Difference(models[first][0] - models[other][0], None, None, p))
        for other in others
    )
    told = tuple(
        Model(card(name, licence), Speed(picture_ms=ms)) for name, (_, ms, licence) in models.items()
    )
    return Evaluation("x", 2, told, (Result(trial, entries, compared),))


@pytest.mark.parametrize(
    ("models", "p", "chosen", "why"),
    [
        ({"best": (0.8, 90.0, "MIT"), "fast": (0.5, 10.0, "MIT")}, 0.001, "best", "beyond chance"),
        (
            {"best": (0.8, 90.0, "MIT"), "fast": (0.79, 10.0, "MIT")},
            0.4,
            "fast",
            "its speed (10 ms a picture)",
        ),
        (
            {"best": (0.8, 10.0, "CC-BY-NC-4.0"), "free": (0.79, 90.0, "MIT")},
            0.4,
            "free",
            "its licence (MIT)",
        ),
        ({"best": (0.8, 10.0, "MIT"), "other": (0.79, 11.0, "MIT")}, 0.4, "best", "highest by a little"),
        ({"only": (0.8, 10.0, "MIT")}, 1.0, "only", "Name more with --model"),
    ],
)
def test_advice(models: dict[str, tuple[float, float, str]], p: float, chosen: str, why: str) -> None:
    found = advise(judged(models, p))
    assert found.model == chosen
    assert why in found.reason
    assert f"captions hit_at(10) {models[chosen][0]:.3f}" in found.reason


def without_words(found: Evaluation, name: str) -> Evaluation:
    models = tuple(
        replace(model, card=replace(model.card, towers=("image",))) if model.name == name else model
        for model in found.models
    )
    return replace(found, models=models)


def test_a_model_that_reads_words_is_taken_before_one_that_does_not() -> None:
    """A gallery without captions asks none, and is searched by words all the same."""
    models = {"eyes": (0.8, 10.0, "MIT"), "both": (0.79, 90.0, "MIT")}
    found = advise(without_words(judged(models, 0.4), "eyes"))
    assert found.model == "both"
    assert "for the words that it reads too" in found.reason
    best = advise(without_words(judged(models, 0.001), "eyes"))
    assert best.model == "eyes"
    assert "It encodes no words: to search by words, another one is needed." in best.reason


def test_few_queries_give_no_advice() -> None:
    found = advise(judged({"one": (0.9, 1.0, "MIT"), "other": (0.1, 1.0, "MIT")}, 0.001, groups=5))
    assert found == Advice(None, found.reason)
    assert "too little" in found.reason
