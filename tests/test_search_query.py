from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.errors import UsageError
from picfind.search.crop import Crop, split
from picfind.search.query import PYTHON, TERMINAL, Kind, Query, Term, Token, parse
from tests.photos import photo, write_photo


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two pictures and a file that is none."""
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "dog.jpg")
    write_photo(tmp_path / "my dog.jpg")
    (tmp_path / "cat").write_text("no picture")
    return tmp_path


def terms(*tokens: Token) -> list[tuple[str, object, float]]:
    return [(term.kind.name, term.value, term.weight) for term in parse(tokens, allow=TERMINAL | PYTHON)]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["a dog"], [("a dog", 1)]),
        (["a", "dog", "on", "a", "beach"], [("a dog on a beach", 1)]),
        (["2:a dog"], [("a dog", 2)]),
        (["2:a", "dog"], [("a dog", 2)]),
        ([".5:dog", "1.5:cat"], [("dog", 0.5), ("cat", 1.5)]),
        (["dog", "+", "cat"], [("dog", 1), ("cat", 1)]),
        (["dog", "-", "cat"], [("dog", 1), ("cat", -1)]),
        (["dog", "not", "two", "cats"], [("dog", 1), ("two cats", -1)]),
        (["dog", "-", "2:cat"], [("dog", 1), ("cat", -2)]),
        (["-", "people", "+", "beach"], [("people", -1), ("beach", 1)]),
        (["knots"], [("knots", 1)]),
        (["black-and-white"], [("black-and-white", 1)]),
        (["  dog  "], [("dog", 1)]),
        (["not a dog"], [("not a dog", 1)]),
        (["1:10:30 train"], [("10:30 train", 1)]),
        (["cat"], [("cat", 1)]),
        (["犬と猫"], [("犬と猫", 1)]),
    ],
)
def test_words(here: Path, tokens: list[str], expected: list[tuple[str, float]]) -> None:
    assert terms(*tokens) == [("WORDS", value, weight) for value, weight in expected]


@pytest.mark.parametrize(
    "token", ["./dog.jpg", "dog.jpg", "../{}/dog.jpg", "{here}/dog.jpg", "./my dog.jpg", "my dog.jpg"]
)
def test_paths(here: Path, token: str) -> None:
    (term,) = parse([token.format(here.name, here=here)], allow=TERMINAL)
    assert term.kind is Kind.PATH
    assert isinstance(term.value, Path)
    assert term.value.name == token.rpartition("/")[2]


def test_words_and_pictures_mix(here: Path) -> None:
    assert terms("2:a dog", "+", "./dog.jpg", "-", "people", "here") == [
        ("WORDS", "a dog", 2),
        ("PATH", Path("dog.jpg"), 1),
        ("WORDS", "people here", -1),
    ]
    assert terms("red", "dog.jpg", "blue") == [
        ("WORDS", "red", 1),
        ("PATH", Path("dog.jpg"), 1),
        ("WORDS", "blue", 1),
    ]
    assert terms("-", "./dog.jpg", "blue") == [("PATH", Path("dog.jpg"), -1), ("WORDS", "blue", 1)]


def test_pictures_in_memory_and_on_standard_input() -> None:
    image = photo()
    assert [term.value for term in parse([image, b"bytes"], allow=PYTHON)] == [image, b"bytes"]
    (term,) = parse(["@-"], allow=TERMINAL, stdin=lambda: b"from stdin")
    assert (term.kind, term.value) == (Kind.PICTURE, b"from stdin")


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["dog", "+"], r"ends with '\+'"),
        (["dog", "-", "-", "cat"], "follows '-' at once"),
        (["0:dog"], "must be above 0"),
        (["./none.jpg"], r"no picture ./none.jpg"),
        (["none.jpg"], "no picture none.jpg"),
        (["https://example.org/a.jpg"], "is a URL"),
        (["@-"], "standard input, which cannot be read here"),
    ],
)
def test_mistakes_are_explained(here: Path, tokens: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(tokens, allow=TERMINAL)


def test_kinds_that_are_not_allowed_are_refused(here: Path) -> None:
    with pytest.raises(UsageError, match="may not have a path here"):
        parse(["./dog.jpg"], allow=frozenset({Kind.WORDS}))
    with pytest.raises(UsageError, match="may not have @- here"):
        parse(["@-"], allow=PYTHON)


@pytest.mark.parametrize("tokens", [[], [""], ["   "]])
def test_an_empty_query_is_an_error(tokens: list[str]) -> None:
    with pytest.raises(UsageError, match="The query is empty"):
        Query(parse(tokens, allow=TERMINAL))


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(k: int) -> None:
    with pytest.raises(UsageError, match=f"k is {k}: at least one"):
        Query((Term(Kind.WORDS, "dog"),), k=k)


@pytest.mark.parametrize(
    ("term", "label"),
    [
        (Term(Kind.WORDS, "dog"), "dog"),
        (Term(Kind.WORDS, "dog", -2), "- 2:dog"),
        (Term(Kind.PATH, Path("a.jpg"), 0.5), "0.5:a.jpg"),
        (Term(Kind.PICTURE, b""), "a picture"),
    ],
)
def test_labels(term: Term, label: str) -> None:
    assert term.label == label


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.sampled_from(["+", "-", "not", "2:", "2:a", "@-", "./x", "a.jpg"]))
    )
)
def test_any_tokens_give_terms_or_a_usage_error(tokens: list[str]) -> None:
    try:
        found = parse(tokens, allow=TERMINAL, stdin=lambda: b"")
    except UsageError:
        return
    assert all(term.weight != 0 for term in found)


@pytest.mark.parametrize(
    ("text", "path", "shown"),
    [
        ("photo.jpg@120,80,400,300", "photo.jpg", "@120,80,400,300"),
        ("./a b@c.png@0,0,.5,0.25", "./a b@c.png", "@0,0,0.5,0.25"),
        ("photo.jpg@0,0,1,1", "photo.jpg", "@0,0,1,1"),
    ],
)
def test_a_piece_of_a_picture(text: str, path: str, shown: str) -> None:
    before, crop = split(text)
    assert (before, str(crop)) == (path, shown)
    assert crop is not None
    assert crop.fractions == ("." in shown)
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


def test_a_file_whose_name_looks_like_a_piece_is_itself(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    odd = write_photo(tmp_path / "a.png@1,2,3,4.png")
    (whole,) = parse([str(odd)], allow=PYTHON)
    assert (whole.value, whole.crop) == (odd, None)
    (piece,) = parse([f"2:{tmp_path / 'a.png'}@1,2,3,4"], allow=PYTHON)
    assert (piece.value, piece.crop, piece.weight) == (tmp_path / "a.png", Crop(1, 2, 3, 4), 2.0)
    assert piece.label.endswith("a.png@1,2,3,4")
    (words,) = parse(["meet me @1,2,3,4"], allow=PYTHON)
    assert words.kind is Kind.WORDS


@given(st.text(max_size=40))
def test_any_text_can_be_looked_at_for_a_piece(text: str) -> None:
    before, crop = split(text)
    assert (crop is None) == (before == text)
