"""How relevant hits are, asked through a gallery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import picfind
from picfind.api import Gallery
from picfind.cli.demo import _samples
from picfind.cli.main import app
from picfind.errors import UsageError
from picfind.settings import Settings
from picfind.storage.store import INDEXES, Store
from picfind.testing import toy_encoder, toy_words
from tests.photos import write_photo

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture
def many(tmp_path: Path) -> Gallery:
    """A hundred pictures of five colours, the red ones with a text beside them."""
    for number in range(100):
        write_photo(tmp_path / "photos" / f"{number:04}.png", colour=COLOURS[number % 5], seed=number)
    for number in range(0, 100, 5):
        (tmp_path / "photos" / f"{number:04}.txt").write_text(f"the red wall of house {number}.")
    gallery = Gallery(
        Store.open(tmp_path / "g", create=True), Settings(), encoder=[toy_encoder(), toy_words()]
    )
    gallery.index(tmp_path / "photos")
    return gallery


def test_relevance_is_told_only_when_it_is_asked_for(many: Gallery) -> None:
    assert all(hit.relevance is None for hit in many.search("red", k=5, judged=False))
    hits = many.search("red", k=40, against="pictures", judged=True)
    told = [hit.relevance for hit in hits if hit.relevance is not None]
    assert len(told) == 40
    assert all(0 <= figure <= 1 for figure in told)
    assert min(told[:20]) > max(told[20:]), "the twenty red ones, then the others"


def test_what_is_not_relevant_enough_is_left_out(many: Gallery) -> None:
    everything = many.search("red", k=100, against="pictures", judged=True)
    limit = 0.3
    wanted = [hit.content for hit in everything if (hit.relevance or 0) >= limit]
    found = many.search("red", k=100, against="pictures", min_score=limit)
    assert [hit.content for hit in found] == wanted
    assert 0 < len(found) < 100
    assert [hit.content for hit in many.search("red", k=3, against="pictures", min_score=limit)] == wanted[:3]
    nothing = many.search("red", against="pictures", min_score=1.0)
    assert (len(nothing), nothing.total) == (0, 100)
    assert nothing.warnings == ("No picture is relevant enough: none has 1 or more.",)
    with pytest.raises(UsageError, match="from 0 to 1"):
        many.search("red", min_score=1.5)


def test_a_fused_hit_is_as_relevant_as_its_best_part(many: Gallery) -> None:
    parts = {
        against: {
            hit.content: hit.relevance or 0 for hit in many.search("red", k=100, against=against, judged=True)
        }
        for against in ("pictures", "words")
    }
    for hit in many.search("red", k=30, judged=True):
        wanted = max(own.get(hit.content, 0) for own in parts.values())
        assert hit.relevance == pytest.approx(wanted, abs=1e-4)


def test_too_few_pictures_cannot_judge_a_picture(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    hits = gallery.search(photos / "red.png", min_score=0.9)
    assert len(hits) == 4, "what cannot be judged stays"
    assert all(hit.relevance is None for hit in hits)


def test_the_background_is_encoded_once_and_made_again_when_it_is_damaged(many: Gallery) -> None:
    first = [hit.relevance for hit in many.search("red", judged=True)]
    saved = sorted((many.folder / INDEXES).glob("*-sentences-*.npy"))
    assert [path.name.partition("-")[0] for path in saved] == ["toy", "toy_words"]
    for damage in (b"", b"nothing of the kind", saved[0].read_bytes()[:-9]):
        saved[0].write_bytes(damage)
        with Gallery(Store.open(many.folder), Settings(), encoder=[toy_encoder(), toy_words()]) as again:
            assert [hit.relevance for hit in again.search("red", judged=True)] == first
        assert np.load(saved[0], allow_pickle=False).ndim == 2


def test_what_is_there_is_told_from_what_is_not(tmp_path: Path) -> None:
    with picfind.open(tmp_path / "real", settings=Settings(exclude=("*.txt",))) as gallery:
        for folder in _samples():
            gallery.index(folder)
        for question in ("a cat", "a cup of coffee"):
            assert len(gallery.search(question, min_score=0.5)) >= 1
        for question in ("a zebra", "a birthday cake", "a bicycle race"):
            assert len(gallery.search(question, min_score=0.5)) == 0
        told = CliRunner().invoke(app, ["search", "a zebra", "--min-score", "0.5", "-g", str(gallery.folder)])
    assert (told.exit_code, told.stdout) == (1, "")
    assert "No picture is relevant enough" in told.stderr
