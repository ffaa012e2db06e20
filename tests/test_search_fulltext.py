"""Full text: what is said of pictures, what was read inside them, and their paths."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picfind.api import Gallery
from picfind.search import fulltext
from picfind.search.query import Kind, Term
from picfind.settings import Settings
from picfind.storage import recognised, said
from picfind.storage.store import Store
from picfind.testing import toy_encoder
from picfind.types import RecognisedLine, Results
from tests.photos import write_photo

SAID = {
    "0001": "A black cat sleeps on a sofa.",
    "0002": "A cat, and a black dog on the beach.",
    "0003": "Two dogs running on the beach; a Café behind them.",
    "0004": "A man with a hat.",
    "trip to Lisbon/IMG_0005": "",
}


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    for number, (name, text) in enumerate(SAID.items()):
        path = write_photo(tmp_path / "photos" / f"{name}.png", seed=number)
        if text:
            path.with_suffix(".txt").write_text(text, encoding="utf-8")
    with Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_encoder()) as opened:
        opened.index(tmp_path / "photos")
        yield opened


def stems(results: Results) -> list[str]:
    return [Path(hit.path).stem for hit in results]


def texts(gallery: Gallery, query: str) -> list[str]:
    return stems(gallery.search(query, against="text"))


def test_words_are_found_by_their_stems_without_case_and_accents(gallery: Gallery) -> None:
    assert texts(gallery, "DOG") == ["0002", "0003"]
    assert texts(gallery, "cafe") == ["0003"]
    assert texts(gallery, "run") == ["0003"]
    assert texts(gallery, "zebra") == []


def test_paths_are_text_too(gallery: Gallery) -> None:
    assert texts(gallery, "lisbon") == ["IMG_0005"]
    assert texts(gallery, "IMG_0005") == ["IMG_0005"]


def test_what_has_more_of_the_query_comes_first(gallery: Gallery) -> None:
    assert texts(gallery, "black cat sofa")[0] == "0001"
    assert texts(gallery, "a hat on a table")[0] == "0004", "words that say nothing do not count"


def test_a_phrase_must_be_there_as_it_is(gallery: Gallery) -> None:
    assert set(texts(gallery, "black cat")) == {"0001", "0002"}
    assert texts(gallery, '"black cat"') == ["0001"]
    assert texts(gallery, '"cat black"') == []


def test_what_comes_after_a_minus_must_not_be_there(gallery: Gallery) -> None:
    assert texts(gallery, "black - sofa") == ["0002"]
    assert texts(gallery, "cat - black dog") == ["0001"]


def test_a_hit_says_what_it_matched(gallery: Gallery) -> None:
    hit = gallery.search("beach", against="text")[0]
    assert "beach" in hit.matched["text"]
    assert hit.why == {"beach": pytest.approx(hit.score, abs=1e-5)}
    assert hit.shares == {"text": pytest.approx(hit.score)}
    lisbon = gallery.search("lisbon", against="text")[0]
    assert set(lisbon.matched) == {"path"}, "what a path hints at is nothing that somebody said"
    assert "Lisbon" in lisbon.matched["path"]
    assert lisbon.relevance == pytest.approx(0.6), "less sure than words that were written"


def test_text_alone_needs_no_vectors_and_a_picture_no_text(gallery: Gallery) -> None:
    assert texts(gallery, "cat") == ["0001", "0002"]
    with pytest.raises(Exception, match="Full text is matched with words alone"):
        gallery.search(write_photo(gallery.folder.parent / "q.png"), against="text")


def test_relevance_goes_by_the_share_of_the_query_that_is_said(gallery: Gallery) -> None:
    whole = gallery.search("black cat", against="text")
    assert [hit.relevance for hit in whole] == [pytest.approx(0.9)] * 2
    part = gallery.search("cat on a unicorn", against="text", min_score=0.0)
    assert all(hit.relevance is not None and hit.relevance < 0.3 for hit in part)
    assert len(gallery.search("cat on a unicorn", against="text", min_score=0.5)) == 0


def test_what_was_read_inside_a_picture_is_found_and_shown_where_it_stands(gallery: Gallery) -> None:
    box = (0.1, 0.2, 0.5, 0.125)
    content = _content(gallery, "0004")
    lines = [RecognisedLine("EXIT 24", box, 0.99), RecognisedLine("Springfield", (0.0, 0.0, 1.0, 0.1), 0.9)]
    with gallery.store.catalog.transaction() as change:
        recognised.record(change, content, lines)
    hit = gallery.search("exit", against="text")[0]
    assert (Path(hit.path).stem, hit.box) == ("0004", pytest.approx(box))
    assert "EXIT 24" in hit.matched["recognised"]
    with gallery.store.catalog.transaction() as change:
        recognised.record(change, content, [])
    assert texts(gallery, "exit") == []


def test_words_that_change_and_names_that_go_are_followed(gallery: Gallery) -> None:
    photos = gallery.folder.parent / "photos"
    (photos / "0001.txt").write_text("A white goose.")
    (photos / "0002.png").unlink()
    gallery.index(photos)
    assert texts(gallery, "goose") == ["0001"]
    assert texts(gallery, "cat") == []
    rows = gallery.store.catalog.all("SELECT rowid FROM said EXCEPT SELECT id FROM names")
    assert rows == []
    gallery.purge()
    gallery.close()
    assert b"sofa" not in (gallery.folder / "catalog.sqlite").read_bytes(), "nor can it be read in the file"


def test_a_renamed_picture_is_found_by_its_new_path(gallery: Gallery) -> None:
    photos = gallery.folder.parent / "photos"
    (photos / "0004.png").rename(photos / "magritte.png")
    gallery.index(photos)
    assert texts(gallery, "magritte") == ["magritte"]


def test_a_filter_comes_first(gallery: Gallery) -> None:
    assert stems(gallery.search("cat", against="text", where="name=0002.png")) == ["0002"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize(
    "name",
    [
        "r\u00e9sum\u00e9",
        "\uc0ac\uc9c4",
        "\u304c\u6771",
        "\u0439\u043e\u0434",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
    ],
)
def test_composed_and_decomposed_letters_are_the_same(
    tmp_path: Path, name: str, stored: Literal["NFC", "NFD"], form: Literal["NFC", "NFD"]
) -> None:
    """Names of files come decomposed from a Mac, and marks are part of a word."""
    photos = tmp_path / "photos"
    write_photo(photos / f"{unicodedata.normalize(stored, name)} 1.png", seed=1)
    (photos / f"{unicodedata.normalize(stored, name)} 1.txt").write_text(
        "what is said hides what the name hints at"
    )
    write_photo(photos / "\u0939 \u0928.png", seed=2)
    with Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_encoder()) as opened:
        opened.index(photos)
        asked = unicodedata.normalize(form, name)
        for query in (asked, f'"{asked}"'):
            found = stems(opened.search(query, against="text"))
            assert found == [f"{unicodedata.normalize(stored, name)} 1"]


def test_nothing_to_look_up(gallery: Gallery) -> None:
    for query in ("!!", "…", "a"):
        gallery.search(Term(Kind.WORDS, query), against="text")


def test_bm25_by_hand(gallery: Gallery) -> None:
    """One column, one word: idf * tf * 2.2 / (tf + 1.2 * (.25 + .75 * length / mean length))."""
    found = said.ranked(gallery.store.catalog, ["cat"])
    words = {
        name_id: len(f"{path} {text or ''}".replace("_", " ").replace("/", " ").replace(".", " ").split())
        for name_id, path, text in gallery.store.catalog.all("SELECT rowid, path, words FROM said")
    }
    mean = sum(words.values()) / len(words)
    idf = math.log((5 - 2 + 0.5) / (2 + 0.5))
    for name_id, score in zip(found.names.tolist(), found.scores.tolist(), strict=True):
        wanted = idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * words[name_id] / mean))
        assert score == pytest.approx(wanted, rel=1e-3)


ANY = st.text(st.characters(codec=None), max_size=30)


@given(st.lists(ANY, min_size=1, max_size=3), st.lists(ANY, max_size=2))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_is_a_mistake(gallery: Gallery, values: list[str], phrases: list[str]) -> None:
    """Quotes, operators of the index, lone surrogates and zeros are all just text."""
    terms = [Term(Kind.WORDS, value, phrases=tuple(phrases)) for value in values]
    found = fulltext.find(gallery.store.catalog, terms)
    assert len(found.contents) == len(found.scores) <= 5
    minus = Term(Kind.WORDS, values[0], weight=-1.0)
    fulltext.find(gallery.store.catalog, [*terms, minus])


def _content(gallery: Gallery, stem: str) -> int:
    rows = gallery.store.catalog.all("SELECT content_id, key FROM names")
    return next(int(content) for content, key in rows if Path(key).stem == stem)
