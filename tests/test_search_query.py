from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.errors import UsageError
from picfind.search.crop import Crop, split
from picfind.search.language import parse
from picfind.search.query import TERMINAL, Kind, Query, Term
from tests.photos import photo

CONTENT = Term(Kind.CONTENT, "a" * 64)


@pytest.mark.parametrize("edge", [-1.0, float("nan"), float("inf")])
def test_a_piece_has_real_numbers(edge: float) -> None:
    with pytest.raises(UsageError, match="not below 0"):
        Crop(edge, 0, 1, 1)


@pytest.mark.parametrize("tokens", [[], [""], ["   "]])
def test_an_empty_query_is_an_error(tokens: list[str]) -> None:
    with pytest.raises(UsageError, match="The query is empty"):
        Query(parse(tokens, allow=TERMINAL))


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(k: int) -> None:
    with pytest.raises(UsageError, match=f"k is {k}: at least one"):
        Query((Term(Kind.WORDS, "dog"),), k=k)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": "size"}, "cannot be sorted by 'size'. They can by: score, date, path"),
        ({"offset": -1}, "offset is -1"),
        ({"diversity": 1.5}, r"diversity is 1\.5"),
        ({"diversity": math.nan}, "diversity is nan"),
        ({"against": ()}, "matched against"),
        ({"against": ("pixels",)}, "matched against `pictures`, `words`, `text`"),
        ({"weights": {"text": 0.0}}, "above 0"),
        ({"weights": {"pixels": 1.0}}, "Weights are numbers"),
        ({"min_score": 2.0}, "from 0 to 1"),
        ({"liked": (Term(Kind.WORDS, "dog"),)}, "Only pictures can be liked"),
        ({"liked": (CONTENT,), "disliked": (CONTENT,)}, "sha256:aaaaaaaaaaaa is both liked and disliked"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Query((Term(Kind.WORDS, "dog"),), **options)


def test_a_query_may_have_liked_pictures_alone() -> None:
    assert Query((), liked=(CONTENT,)).terms == ()
    with pytest.raises(UsageError, match="The query is empty"):
        Query((), disliked=(CONTENT,))


@pytest.mark.parametrize("weight", [0.0, math.nan, math.inf])
def test_a_weight_is_a_number_and_not_0(weight: float) -> None:
    with pytest.raises(UsageError, match="must be a number, and not 0"):
        Term(Kind.WORDS, "dog", weight)


def test_a_term_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="is no content id"):
        Term(Kind.CONTENT, "abc")
    with pytest.raises(UsageError, match="is no content id"):
        Term(Kind.CONTENT, "A" * 64)
    with pytest.raises(UsageError, match="has no name"):
        Term(Kind.CONCEPT, " ")
    with pytest.raises(UsageError, match="Only a picture has a piece"):
        Term(Kind.WORDS, "dog", crop=Crop(0, 0, 1, 1))


@pytest.mark.parametrize(
    ("term", "label"),
    [
        (Term(Kind.PICTURE, b"", name="https://example.org/a.jpg"), "https://example.org/a.jpg"),
        (CONTENT, "sha256:aaaaaaaaaaaa"),
        (Term(Kind.CONCEPT, "my pets", -1), "- @my pets"),
        (Term(Kind.WORDS, "a\x1b[31m"), "a\\x1b[31m"),
        (Term(Kind.WORDS, "dog"), "dog"),
        (Term(Kind.WORDS, "dog", -2), "- 2:dog"),
        (Term(Kind.PATH, Path("a.jpg"), 0.5), "0.5:a.jpg"),
        (Term(Kind.PICTURE, b""), "a picture"),
    ],
)
def test_labels(term: Term, label: str) -> None:
    assert term.label == label


@pytest.mark.parametrize(
    ("text", "path", "shown"),
    [
        ("photo.jpg@120,80,400,300", "photo.jpg", "@120,80,400,300"),
        ("./a b@c.png@0,0,.5,0.25", "./a b@c.png", "@0,0,0.5,0.25"),
        ("photo.jpg@0,0,1,1", "photo.jpg", "@0,0,1,1"),
        ("photo.jpg@0.,0,1.0,1", "photo.jpg", "@0.0,0,1,1"),
        ("photo.jpg@0.000000,0.25,0.000001,1.000000", "photo.jpg", "@0,0.25,0.000001,1"),
        ("photo.jpg@10.5,0,20,20", "photo.jpg", "@10.5,0,20,20"),
    ],
)
def test_a_piece_of_a_picture(text: str, path: str, shown: str) -> None:
    before, crop = split(text)
    assert (before, str(crop)) == (path, shown)
    assert crop is not None
    assert crop.fractions == (max(crop.left, crop.width) <= 1 and "." in shown)
    assert split(f"{path}{crop}") == (path, crop)
    assert split(before) == (path, None)


def test_a_piece_is_taken_from_the_upright_picture() -> None:
    image = photo("red", size=(40, 20))
    image.paste("blue", (30, 10, 40, 20))
    assert Crop(30, 10, 10, 10).of(image).getcolors() == [(100, (0, 0, 255))]
    assert Crop(0.75, 0.5, 0.25, 0.5, fractions=True).of(image).getcolors() == [(100, (0, 0, 255))]
    with pytest.raises(UsageError, match="does not lie in the picture, which has 40 x 20"):
        Crop(30, 10, 11, 10).of(image)
    with pytest.raises(UsageError, match="is empty"):
        Crop(3, 3, 0, 5).of(image)


@given(st.text(max_size=40))
def test_any_text_can_be_looked_at_for_a_piece(text: str) -> None:
    before, crop = split(text)
    assert (crop is None) == (before == text)
