"""Two encoders as one: what rows are, and how such models are named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from picfind import encoders
from picfind.encoders import joint
from picfind.encoders._joint.recipe import combine, parse
from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, UnknownModelError, UsageError
from picfind.settings import Settings
from picfind.testing import EncoderSuite, toy_encoder
from picfind.types import Floats
from tests.joints import COLOURS, image, kept, pair, pictures_only, text, words_only
from tests.photos import SHARED, photo

REAL = "joint:builtin-image+minilm"
SHARE = st.floats(0.02, 0.98)
TEXTS = st.lists(st.sampled_from([*COLOURS, "a red house", "sky and sea", "?"]), max_size=4)
PICTURES = st.tuples(st.sampled_from(COLOURS), st.integers(0, 99))


def mean_of(rows: Floats) -> Floats:
    mean = rows.mean(axis=0)
    unit: Floats = mean / np.linalg.norm(mean)
    return unit


# What rows are


@settings(max_examples=60, deadline=None)
@given(one=PICTURES, two=PICTURES, first=TEXTS, second=TEXTS, share=SHARE)
def test_the_score_is_the_weighted_sum_of_both_cosines(
    one: tuple[str, int], two: tuple[str, int], first: list[str], second: list[str], share: float
) -> None:
    a, b = pictures_only(), words_only()
    whole = joint.joined(a, b, share=share)
    left, right = photo(one[0], seed=one[1]), photo(two[0], seed=two[1])
    wanted = share * float(image(a, left) @ image(a, right))
    if first and second:
        wanted += (1 - share) * float(
            mean_of(b.encode_texts(sorted(set(first)))) @ mean_of(b.encode_texts(sorted(set(second))))
        )
    found = pair(whole, left, *first) @ pair(whole, right, *second)
    assert found == pytest.approx(wanted, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(share=SHARE, texts=TEXTS.filter(bool))
def test_a_missing_part_is_zeros_and_is_not_made_up_for(share: float, texts: list[str]) -> None:
    whole = joint.joined(pictures_only(), words_only(), share=share)
    full, wordless, blind = (
        pair(whole, photo(), *texts),
        pair(whole, photo()),
        pair(whole, None, *texts),
    )
    assert np.linalg.norm(full) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(wordless) == pytest.approx(np.sqrt(share), abs=1e-5)
    assert np.linalg.norm(blind) == pytest.approx(np.sqrt(1 - share), abs=1e-5)
    np.testing.assert_allclose(wordless + blind, full, atol=1e-6)
    assert not wordless[64:].any() and not blind[:64].any()


@settings(max_examples=40, deadline=None)
@given(texts=TEXTS.filter(bool), order=st.randoms())
def test_words_count_once_and_in_any_order(texts: list[str], order: Any) -> None:
    whole = joint.joined(pictures_only(), words_only())
    again = [*texts, texts[0], "", " \n"]
    order.shuffle(again)
    np.testing.assert_array_equal(pair(whole, photo(), *again), pair(whole, photo(), *texts))


@pytest.mark.parametrize("texts", [(), ("",), (" ", "\n")])
def test_a_pair_of_nothing_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="neither a picture nor words"):
        pair(joint.joined(pictures_only(), words_only()), None, *texts)


def test_queries_are_unit_over_the_parts_they_have() -> None:
    a, b = pictures_only(), words_only()
    whole = joint.joined(a, b, share=0.7)
    np.testing.assert_allclose(image(whole, photo()), np.hstack([image(a, photo()), np.zeros(64)]), atol=1e-6)
    np.testing.assert_allclose(text(whole, "red"), np.hstack([np.zeros(64), text(b, "red")]), atol=1e-6)
    assert image(whole, photo()) @ pair(whole, photo(), "red") == pytest.approx(np.sqrt(0.7), abs=1e-5)


def test_words_stand_in_both_blocks_where_the_picture_has_words_of_its_own() -> None:
    whole = joint.joined(toy_encoder(), words_only(), share=0.7)
    red = toy_encoder().encode_texts(["red"])[0]
    np.testing.assert_allclose(
        text(whole, "red"), np.hstack([np.sqrt(0.7) * red, np.sqrt(0.3) * red]), atol=1e-6
    )
    scores = [float(text(whole, "red") @ pair(whole, photo(colour))) for colour in ("red", "green", "blue")]
    assert scores[0] == max(scores), "pictures without words are found by words"


def test_a_batch_of_halves_keeps_its_order() -> None:
    whole = joint.joined(pictures_only(), words_only())
    assert whole.pair is not None
    things: list[tuple[Image.Image | None, tuple[str, ...]]] = [
        (None, ("red",)),
        (photo("blue"), ()),
        *((photo(colour), (colour, "x", "y")) for colour in COLOURS),
    ]
    rows = whole.pair.encode([whole.pair.prepare(thing) for thing in things])
    for row, (picture, texts) in zip(rows, things, strict=True):
        np.testing.assert_allclose(row, pair(whole, picture, *texts), atol=1e-6)


def test_words_that_cancel_out_leave_zeros() -> None:
    class Opposite:
        def prepare(self, words: str, /) -> float:
            return 1.0 if words == "yes" else -1.0

        def encode(self, batch: Any, /) -> Floats:
            return np.array([[sign, 0.0] for sign in batch], np.float32).reshape(-1, 2)

    words = Encoder(replace(words_only().card, dim=2), text=Opposite())
    assert np.linalg.norm(pair(joint.joined(pictures_only(), words), photo(), "yes", "no")) == pytest.approx(
        np.sqrt(0.5)
    )


def test_what_the_components_are_goes_through() -> None:
    a = replace(
        pictures_only(),
        decode_size=448,
        on_accelerator=True,
        card=replace(pictures_only().card, batch_size=7),
    )
    whole = joint.joined(a, words_only())
    assert (whole.decode_size, whole.on_accelerator, whole.card.batch_size) == (448, True, 7)
    assert (whole.card.dim, whole.card.towers) == (128, ("image", "text", "pair"))


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (words_only(), words_only(), "toy-words has no image tower"),
        (pictures_only(), pictures_only(), "toy-pictures has no text tower"),
    ],
)
def test_a_component_without_the_tower_is_named(a: Encoder, b: Encoder, said: str) -> None:
    with pytest.raises(EncoderError, match=said):
        joint.joined(a, b)


# Names


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("joint:a+b", ("a", "b", 0.5)),
        ("joint:resnet18+spacy:en_core_web_md@0.70", ("resnet18", "spacy:en_core_web_md", 0.7)),
        ("joint:/some/place+./b@home", ("/some/place", "./b@home", 0.5)),
        ("joint:a+b@c@.25", ("a", "b@c", 0.25)),
    ],
)
def test_specs(spec: str, parts: tuple[str, str, float]) -> None:
    assert parse(spec) == parts


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("joint:", "names no two models"),
        ("joint:a", "names no two models"),
        ("joint:+b", "names no two models"),
        ("joint:a+", "names no two models"),
        ("joint:a+@0.5", "names no two models"),
        ("joint:/a+b/model+c", r"more than one \+.*PICFIND_MODELS"),
        ("joint:a+b@0", "must lie between 0 and 1"),
        ("joint:a+b@1", "must lie between 0 and 1"),
        ("joint:a+b@nan", "must lie between 0 and 1"),
        ("joint:a+b@-3", "must lie between 0 and 1"),
    ],
)
def test_specs_that_cannot_be_read(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        encoders.find(spec, Settings())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("joint:minilm+minilm", "minilm has no image tower"),
        ("joint:builtin+builtin-image", "builtin-image has no text tower"),
    ],
)
def test_specs_whose_parts_lack_a_tower(spec: str, said: str) -> None:
    with pytest.raises(EncoderError, match=said):
        encoders.find(spec, Settings())


@pytest.mark.parametrize(
    "spec", ["joint:nothing-such+minilm", "joint:builtin+nothing-such", "joint:builtin+joint:x"]
)
def test_specs_of_models_that_there_are_not(spec: str) -> None:
    with pytest.raises(UnknownModelError, match=r"There is no model '(nothing-such|joint:x)'"):
        encoders.find(spec, Settings())


def test_the_card_is_normalised_and_finds_itself() -> None:
    card = encoders.find("joint:builtin-open+minilm@0.60", Settings())
    assert card.name == "joint:builtin-open+minilm@0.6"
    assert encoders.find(card.name, Settings()) == card
    assert encoders.find("joint:builtin+minilm@.5", Settings()).name == "joint:builtin+minilm"
    assert (card.dim, card.image_size, card.licence) == (640 + 384, 260, "Apache-2.0")


def test_the_revision_is_of_the_parts_and_the_share() -> None:
    a, b = pictures_only(), words_only()
    changed = replace(a, card=replace(a.card, revision="000000000002"))
    named = replace(b, card=replace(b.card, name="another"))
    found = [
        joint.joined(a, b).card.revision,
        joint.joined(a, b, share=0.6).card.revision,
        joint.joined(changed, b).card.revision,
        joint.joined(a, named).card.revision,
    ]
    assert len(set(found)) == 4
    assert joint.joined(a, b).card.revision == found[0]


def test_a_part_that_is_not_pulled_is_said() -> None:
    with pytest.raises(EncoderError, match="models pull resnet18"):
        encoders.load("joint:resnet18+minilm", Settings(models=()))


def test_a_part_known_by_name_only_leaves_the_whole_without_a_revision() -> None:
    card = replace(pictures_only().card, installed=False, revision="")
    whole = combine(card, words_only().card).card()
    assert (whole.installed, whole.revision) == (False, "")


# The suite


TOYS = joint.joined(toy_encoder(), words_only(), share=0.3)


class TestToys(EncoderSuite):
    def encoder(self) -> Encoder:
        return TOYS


class TestReal(EncoderSuite):
    def encoder(self) -> Encoder:
        return kept(REAL, Settings())


# Real photos


@pytest.mark.slow
def test_a_picture_and_words_find_what_has_both() -> None:
    folder = SHARED / "demo_open"
    if not folder.is_dir():
        pytest.skip("needs the photos of demo_open")
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    told = [entry for entry in map(json.loads, lines) if entry.get("captions")]
    whole = kept(REAL, Settings())
    pictures = [Image.open(folder / "images" / entry["file"]).convert("RGB") for entry in told]
    rows = np.array(
        [pair(whole, picture, *entry["captions"][1:]) for picture, entry in zip(pictures, told, strict=True)]
    )
    held_out = whole.encode_texts(entry["captions"][0] for entry in told)
    best = (rows @ held_out.T).argmax(axis=0) == np.arange(len(told))
    assert best.mean() > 0.8, "a caption that was held out finds its picture"
    files = [entry["file"] for entry in told]
    stove, desk = files.index("coco_000000408805.jpg"), files.index("coco_000000516008.jpg")
    for picture, words, wanted in (
        (stove, "a white stove in a kitchen", "coco_000000177977.jpg"),
        (desk, "a lamp on a desk", "coco_000000084284.jpg"),
    ):
        both = image(whole, pictures[picture]) + text(whole, words)
        assert [files[at] for at in np.argsort(-rows @ both)[:2]] == [files[picture], wanted]
