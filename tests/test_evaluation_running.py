"""Judged datasets through real (tiny) models: figures, protocols, errors, and that a second run encodes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

import picfind
from benchmarks import builtin_quality, picture_to_picture
from picfind.datasets import open_source, with_queries
from picfind.datasets.base import IMAGE_TO_IMAGE, IMAGE_TO_TEXT, TEXT_TO_IMAGE, JudgedDataset
from picfind.encoders.base import Encoder
from picfind.errors import DownloadError, EncoderError, MissingSourceError, UnknownModelError, UsageError
from picfind.evaluation import scoring, speed
from picfind.evaluation.listing import listed
from picfind.evaluation.results import Evaluation, plain
from picfind.evaluation.running import Options, evaluate
from picfind.settings import Settings
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_pair, toy_words
from picfind.types import Fingerprint, Item
from tests.photos import SHARED, write_photo

COLOURS = ("red", "green", "blue", "yellow")
Make = Callable[..., JudgedDataset]


@pytest.fixture
def captioned(tmp_path: Path) -> Make:
    """A table of pictures of colours, each with its captions."""

    def make(rows: Sequence[tuple[str, str]] | None = None, *, split: str = "") -> JudgedDataset:
        said = rows or [(f"{colour}.png", f"a {colour} wall") for colour in COLOURS]
        lines: list[str] = []
        for name, caption in said:
            write_photo(tmp_path / "set" / name, colour=Path(name).stem.rstrip("0123456789"), seed=len(lines))
            lines.append(json.dumps({"image": name, "caption": caption, "split": "dev"}))
        (tmp_path / "set" / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return with_queries(open_source(f"table:{tmp_path / 'set'}{split}", Settings()))

    return make


@pytest.fixture
def classes(tmp_path: Path) -> JudgedDataset:
    """A folder for each colour, with five pictures each."""
    for colour in COLOURS:
        for at in range(5):
            write_photo(tmp_path / "classes" / colour / f"{at}.png", colour=colour, seed=at)
    return with_queries(open_source(f"labelled:{tmp_path / 'classes'}", Settings()))


def run(
    dataset: JudgedDataset, *models: str | Encoder, gallery: Path | None = None, **options: object
) -> Evaluation:
    """With the toy encoder where no model is named."""
    chosen = Options(**options)  # type: ignore[arg-type]
    return evaluate(dataset, models or [toy_encoder()], Settings(), options=chosen, gallery=gallery)


def figure(found: Evaluation, trial: str, name: str, *, at: int = 0) -> float:
    result = next(result for result in found.results if result.trial.name == trial)
    return result.entries[at].figures[name].value


def test_captions_find_their_pictures_and_pictures_their_captions(captioned: Make) -> None:
    found = run(captioned())
    assert [result.trial.name for result in found.results] == [TEXT_TO_IMAGE, IMAGE_TO_TEXT]
    for trial in (TEXT_TO_IMAGE, IMAGE_TO_TEXT):
        assert figure(found, trial, "hit_at(1)") == 1.0
        assert figure(found, trial, scoring.FIRST_RANK) == 1.0


def test_figures_by_hand(captioned: Make) -> None:
    """Two captions are right, two are swapped: their pictures come last or nearly, and never first."""
    swapped = [("red.png", "red"), ("green.png", "green"), ("white.png", "black"), ("black.png", "white")]
    found = run(captioned(swapped), tasks=(TEXT_TO_IMAGE,))
    assert figure(found, TEXT_TO_IMAGE, "hit_at(1)") == 2 / 4
    entry = found.results[0].entries[0]
    assert sorted(entry.scored.first.tolist())[:2] == [1.0, 1.0]
    assert {told.query.text for told in entry.scored.worst[:2]} == {"black", "white"}
    assert entry.scored.worst[0].rank == max(entry.scored.first)
    assert not entry.scored.worst[0].first[0][2], "what came first was wrong"


def test_a_model_that_sees_no_difference_gets_what_chance_gives(captioned: Make) -> None:
    """Captions without a colour have vectors of no use; one caption for all leaves all pictures to be told apart by it."""

    class Blind:
        def prepare(self, item: object, /) -> object:
            return item

        def encode(self, batch: Sequence[object], /) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
            rows = np.zeros((len(batch), 64), np.float32)
            rows[:, 0] = 1
            return rows

    blind = replace(toy_encoder("blind"), image=Blind(), text=Blind())
    rows = [(f"red{at}.png", f"caption {at}") for at in range(20)]
    found = run(captioned(rows), blind, tasks=(TEXT_TO_IMAGE,))
    assert figure(found, TEXT_TO_IMAGE, "hit_at(1)") == pytest.approx(1 / 20)
    assert figure(found, TEXT_TO_IMAGE, "hit_at(10)") == pytest.approx(10 / 20)
    assert figure(found, TEXT_TO_IMAGE, scoring.FIRST_RANK) == pytest.approx(21 / 2)


def test_two_files_of_one_picture_share_a_rank(captioned: Make, tmp_path: Path) -> None:
    dataset = captioned([("red1.png", "red"), ("red2.png", "a red wall"), ("blue.png", "blue")])
    (tmp_path / "set" / "red2.png").write_bytes((tmp_path / "set" / "red1.png").read_bytes())
    found = run(dataset, tasks=(TEXT_TO_IMAGE,))
    assert found.results[0].entries[0].scored.first.tolist() == [1.5, 1.5, 1.0]
    assert figure(found, TEXT_TO_IMAGE, "hit_at(1)") == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)


def test_pictures_find_their_class(classes: JudgedDataset) -> None:
    found = run(classes)
    assert [result.trial.name for result in found.results] == [TEXT_TO_IMAGE, IMAGE_TO_TEXT, IMAGE_TO_IMAGE]
    assert figure(found, IMAGE_TO_IMAGE, "mAP") == 1.0
    assert figure(found, IMAGE_TO_IMAGE, "recall_at(10)") == 1.0
    trial = found.results[-1].trial
    assert trial.measure == "mAP"
    assert trial.candidates == 19, "a query is not its own answer"


def test_folds_are_smaller_galleries(captioned: Make) -> None:
    rows = [(f"{colour}{at}.png", f"{colour} {at}") for at in range(3) for colour in COLOURS]
    whole, cut = run(captioned(rows)), run(captioned(rows), fold=4)
    assert cut.results[0].trial.candidates == 4
    assert len(cut.results[0].trial.fields) == 3
    assert figure(cut, TEXT_TO_IMAGE, "hit_at(1)") == 1.0
    assert figure(whole, TEXT_TO_IMAGE, "hit_at(1)") < 1.0
    texts = cut.results[1].trial.fields[0].candidates
    assert len(texts) == 4, "only the texts of a fold are ranked in it"


def test_a_limit_draws_by_the_seed(captioned: Make) -> None:
    rows = [(f"{colour}{at}.png", f"{colour} {at}") for at in range(5) for colour in COLOURS]
    dataset = captioned(rows)
    one, again, other = (run(dataset, limit=6, seed=seed) for seed in (1, 1, 2))
    assert one.pictures == 6
    assert list(one.items) == list(again.items)
    assert list(one.items) != list(other.items)
    assert one.results[0].entries[0].figures == again.results[0].entries[0].figures


def test_of_a_drawn_part_nothing_else_is_held(captioned: Make) -> None:
    """Visual Genome has fifty phrases for each of 108,077 pictures."""
    rows = [(f"{colour}{at}.png", f"{colour} {at}") for at in range(5) for colour in COLOURS]
    found = run(captioned(rows), limit=6)
    trial = found.results[0].trial
    assert (len(trial.queries), trial.left_out) == (6, 0), "queries about others are not asked, not left out"
    assert not any(item.words for item in found.items.values())


def test_words_stay_in_a_gallery_that_is_kept(captioned: Make, tmp_path: Path) -> None:
    """It may be one that somebody searches."""
    run(captioned(), gallery=tmp_path / "kept")
    with picfind.open(tmp_path / "kept") as kept:
        assert kept.store.catalog.one("SELECT count(*) FROM words WHERE kind = 'caption'")[0] == len(COLOURS)


def test_a_part_that_nothing_asks_for(captioned: Make, tmp_path: Path) -> None:
    dataset = captioned([("red.png", "red"), *((f"blue{at}.png", "") for at in range(30))])
    drawn = [seed for seed in range(9) if "red.png" not in str(listed(dataset, limit=1, seed=seed)[0])]
    with pytest.raises(UsageError, match="any of the pictures that were drawn, 1 in all"):
        run(dataset, limit=1, seed=drawn[0])


def test_models_are_compared(captioned: Make) -> None:
    rows = [(f"{colour}{at}.png", f"{colour} {at}") for at in range(6) for colour in COLOURS]
    worse = toy_encoder("worse")
    assert worse.text is not None
    lame = replace(worse, text=Muddled(worse.text))
    found = run(captioned(rows), lame, toy_encoder("better"), tasks=(TEXT_TO_IMAGE,))
    (compared,) = found.results[0].compared
    assert (compared.better, compared.other) == ("better", "worse")
    assert compared.difference.value > 0
    assert compared.difference.p is not None
    assert compared.difference.p < 0.05
    assert [model.name for model in found.models] == ["worse", "better"]


class Muddled:
    """Reads every text but those with red as something else."""

    def __init__(self, tower: object) -> None:
        self._tower = tower

    def prepare(self, item: str, /) -> object:
        return self._tower.prepare(item if "red" in item else "black")  # type: ignore[attr-defined]

    def encode(self, batch: Sequence[object], /) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        rows: np.ndarray[tuple[int, int], np.dtype[np.float32]] = self._tower.encode(batch)  # type: ignore[attr-defined]
        return rows


def test_a_gallery_keeps_the_vectors(captioned: Make, tmp_path: Path) -> None:
    dataset = captioned()
    first = run(dataset, gallery=tmp_path / "kept")
    second = run(dataset, gallery=tmp_path / "kept")
    assert first.models[0].speed.pictures_per_second is not None
    assert second.models[0].speed.pictures_per_second is None
    assert second.results[0].entries[0].figures == first.results[0].entries[0].figures


def test_taking_a_part_forgets_nothing_in_a_gallery(captioned: Make, tmp_path: Path) -> None:
    dataset = captioned()
    run(dataset, gallery=tmp_path / "kept")
    assert run(dataset, gallery=tmp_path / "kept", limit=1).pictures == 1
    store = Store.open(tmp_path / "kept")
    assert store.catalog.one("SELECT count(*) FROM names")[0] == len(COLOURS)
    store.close()


def test_captions_are_kept_from_a_model_that_joins_them(captioned: Make, tmp_path: Path) -> None:
    """With its words each picture would be found for certain, whatever it shows."""
    rows = [(f"red{at}.png", f"{colour} thing") for at, colour in enumerate(COLOURS)]
    joined, plainly = toy_pair(), toy_encoder()
    image, text = plainly.image, plainly.text
    assert image is not None
    assert text is not None
    found = run(captioned(rows), joined, gallery=tmp_path / "kept", tasks=(TEXT_TO_IMAGE,))
    assert figure(found, TEXT_TO_IMAGE, "hit_at(1)") == pytest.approx(1 / 4), "no half of a row holds both"
    assert any("pictures alone" in warning for warning in found.warnings)


def test_a_broken_picture_is_told_and_left_out(captioned: Make, tmp_path: Path) -> None:
    dataset = captioned()
    (tmp_path / "set" / "blue.png").write_bytes(b"no picture")
    found = run(dataset)
    assert found.pictures == 3
    assert found.results[0].trial.left_out == 1
    assert any("1 picture cannot be used" in told and "blue.png" in told for told in found.warnings)


def test_missing_pictures_are_told(captioned: Make, tmp_path: Path) -> None:
    dataset = captioned()
    (tmp_path / "set" / "blue.png").unlink()
    assert any("blue.png" in warning for warning in run(dataset).warnings)


def test_no_pictures_at_all(captioned: Make, tmp_path: Path) -> None:
    dataset = captioned()
    for colour in COLOURS:
        (tmp_path / "set" / f"{colour}.png").unlink()
    with pytest.raises(MissingSourceError, match="None of the 4 pictures"):
        run(dataset)


def test_an_unknown_split_is_named(captioned: Make) -> None:
    with pytest.raises(UsageError, match="'test'"):
        run(captioned(split="#test"))


def test_a_dataset_without_queries(tmp_path: Path) -> None:
    write_photo(tmp_path / "plain" / "red.png")
    with pytest.raises(UsageError, match="has no queries"):
        run(with_queries(open_source(f"labelled:{tmp_path / 'plain'}", Settings())))


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no pictures"):
        run(with_queries(open_source(f"labelled:{tmp_path / 'empty'}", Settings())))


def test_a_task_that_there_is_not_and_one_that_it_has_no_queries_of(captioned: Make) -> None:
    with pytest.raises(UsageError, match="no task 'words'"):
        run(captioned(), tasks=("words",))
    with pytest.raises(UsageError, match="no queries of the task image_to_image"):
        run(captioned(), tasks=(IMAGE_TO_IMAGE,))


def only_pictures() -> Encoder:
    """A model without a tower for words."""
    whole = toy_encoder("eyes")
    return replace(whole, text=None, card=replace(whole.card, towers=("image",)))


def test_a_model_without_words_cannot_be_asked_words(captioned: Make) -> None:
    with pytest.raises(EncoderError, match="eyes encodes no words"):
        run(captioned(), only_pictures())


def test_a_model_without_words_does_what_it_can(classes: JudgedDataset) -> None:
    found = run(classes, only_pictures(), toy_encoder())
    assert [len(result.entries) for result in found.results] == [1, 1, 2]
    assert any("eyes encodes no words" in warning for warning in found.warnings)
    alone = run(classes, only_pictures())
    assert [result.trial.name for result in alone.results] == [IMAGE_TO_IMAGE]


def test_a_model_of_words_alone_finds_no_pictures(classes: JudgedDataset) -> None:
    with pytest.raises(EncoderError, match="encodes no pictures"):
        run(classes, toy_words())


def test_a_model_of_words_beside_one_of_pictures_is_left_out(classes: JudgedDataset) -> None:
    """As settings name them: one for pictures, one for words."""
    found = run(classes, toy_words("reader"), toy_encoder())
    assert [model.name for model in found.models] == ["toy"]
    assert "The model reader encodes no pictures, so it finds none. It takes no part." in found.warnings


def test_all_with_the_same_words_may_be_right(captioned: Make) -> None:
    rows = [("red1.png", "a wall"), ("blue1.png", "A  wall"), ("green1.png", "green")]
    alone, together = run(captioned(rows)), run(captioned(rows), same_words=True)
    assert [len(query.right) for query in alone.results[0].trial.queries] == [1, 1, 1]
    assert [len(query.right) for query in together.results[0].trial.queries] == [2, 2, 1]
    assert [len(query.right) for query in together.results[1].trial.queries] == [2, 2, 1]
    assert together.same_words and plain(together)["same_words"]


def test_a_network_that_is_away_is_asked_once_for_the_speed() -> None:
    asked = []

    def away() -> BinaryIO:
        asked.append(1)
        raise DownloadError("nobody answers")

    def gone() -> BinaryIO:
        asked.append(0)
        raise FileNotFoundError

    items = [Item(str(at), Fingerprint(""), opens) for at, opens in enumerate([gone, gone, away, away])]
    assert speed.picture_ms(toy_encoder(), items) is None
    assert asked == [0, 0, 1]


def test_an_unknown_model(classes: JudgedDataset) -> None:
    with pytest.raises(UnknownModelError, match="no-such-model"):
        run(classes, "no-such-model")


def test_a_fold_larger_than_the_gallery(captioned: Make) -> None:
    with pytest.raises(UsageError, match="fewer than one fold of 1,000"):
        run(captioned(), fold=1000)


def test_results_are_json(classes: JudgedDataset) -> None:
    found = json.loads(json.dumps(plain(run(classes, worst=1)), allow_nan=False))
    assert found["pictures"] == 20
    assert found["trials"][2]["models"][0]["figures"]["mAP"]["value"] == 1.0
    assert found["trials"][0]["models"][0]["worst"][0]["text"] in COLOURS


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / picture_to_picture.SET).is_dir(), reason="needs the photos of Caltech-101")
def test_classes_of_real_photos_as_the_benchmark_has_them(tmp_path: Path) -> None:
    """A tenth of the classes, by the benchmark's own functions."""
    folder = SHARED / picture_to_picture.SET
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    some = sorted({row["label"] for row in rows})[::10]
    kept = [row for row in rows if row["label"] in some]
    small = tmp_path / "small"
    small.mkdir()
    (small / "images").symlink_to(folder / "images")
    (small / "labels.jsonl").write_text("\n".join(map(json.dumps, kept)), encoding="utf-8")
    found = run(with_queries(open_source(f"table:{small}", Settings())), "builtin", tasks=(IMAGE_TO_IMAGE,))
    precision, recall = picture_to_picture.measure(picfind.load_encoder("builtin"), small)
    assert figure(found, IMAGE_TO_IMAGE, "mAP") == pytest.approx(precision, abs=0.002)
    assert figure(found, IMAGE_TO_IMAGE, "recall_at(10)") == pytest.approx(recall, abs=0.002)


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "flickr8k").is_dir(), reason="needs the photos of Flickr8k")
def test_captions_of_real_photos_as_the_benchmark_has_them() -> None:
    """Of a part of the dev split, by the benchmark's own functions."""
    dataset = with_queries(open_source(f"table:{SHARED / 'flickr8k'}#dev", Settings()))
    found = run(dataset, "builtin", tasks=(TEXT_TO_IMAGE,), limit=60)
    trial, encoder = found.results[0].trial, picfind.load_encoder("builtin")
    places = {key: at for at, key in enumerate(found.items)}
    images = builtin_quality.encode_photos(encoder, [SHARED / "flickr8k" / key for key in places])
    texts = builtin_quality.encode_texts(encoder, [query.text or "" for query in trial.queries])
    owner = np.array([places[next(iter(query.right))] for query in trial.queries])
    ranks = builtin_quality.ranks_of(texts @ images.T, owner)
    for k in (1, 5, 10):
        expected = builtin_quality.hit_at(ranks, k)
        assert figure(found, TEXT_TO_IMAGE, f"hit_at({k})") == pytest.approx(expected, abs=0.004), (
            "half precision"
        )
