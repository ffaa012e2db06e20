from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind.errors import PicfindError, QueryError, UsageError
from picfind.search.crop import Crop
from picfind.search.language import parse
from picfind.search.query import HTTP, PYTHON, TERMINAL, Kind, Term, Token
from picfind.search.writing import written
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
        (["not a dog"], [("a dog", -1)]),
        (['"not" a dog'], [("not a dog", 1)]),
        (["1:10:30 train"], [("1:10:30 train", 1)]),
        (["a train at 10:30"], [("a train at 10:30", 1)]),
        (["16:9", "- 2:3d"], [("16:9", 1), ("2:3d", -1)]),
        (['2:"3d" print'], [("3d print", 2)]),
        (["photos 1990 - 1999 of a street"], [("photos 1990-1999 of a street", 1)]),
        (["1990", "-", "1999", "-", "cats"], [("1990-1999", 1), ("cats", -1)]),
        (["1990 - dogs"], [("1990", 1), ("dogs", -1)]),
        (["-5 degrees, +/- 2 --"], [("-5 degrees, +/- 2 --", 1)]),
        (["C++ + C#"], [("C++", 1), ("C#", 1)]),
        (["a dog 2:a cat + 3:an owl"], [("a dog", 1), ("a cat", 2), ("an owl", 3)]),
        (['a 15" laptop'], [('a 15" laptop', 1)]),
        (['say "\\"hi\\\\\\""'], [('say "hi\\"', 1)]),
        (["a knot - NOTICE"], [("a knot", 1), ("NOTICE", -1)]),
        (["犬　－　猫"], [("犬", 1), ("猫", -1)]),
        (["a dog \N{EN DASH} a cat \N{MINUS SIGN} people"], [("a dog", 1), ("a cat", -1), ("people", -1)]),
        (['a "" dog - "" cat'], [("a dog", 1), ("cat", -1)]),
        (["a@b.c @5pm 3@2"], [("a@b.c @5pm 3@2", 1)]),
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


@pytest.mark.parametrize("name", ["~\0/x.jpg", "~\ud800/x.jpg", "~nobody-here/x.jpg", "~/\0.jpg"])
def test_a_home_that_is_nobodys_holds_no_file(name: str) -> None:
    with pytest.raises(QueryError, match="There is no picture"):
        parse([name], allow=TERMINAL)
    with pytest.raises(QueryError, match="There is no picture"):
        parse(name, allow=TERMINAL)


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
        (["dog", "+"], r"it ends with \+"),
        (["dog", "-", "-", "cat"], "- follows - at once"),
        (["dog + not cat"], r"not follows \+ at once"),
        (["0:dog"], "must be above 0"),
        (["0,5:dog"], r"write 0\.5: and the term"),
        (["2:- dog"], "write - first, then 2:term"),
        (["a street -people"], 'write "- people" with a blank .* or put "-people" in double quotes'),
        (["-2:dog"], 'write "- 2:dog" with a blank'),
        (["-./dog.jpg"], "with a blank to mean the sign"),
        (['a "black cat'], "this quote is never closed"),
        (["./none.jpg"], r"no picture \./none\.jpg\. Check the path"),
        (["./my none.jpg"], r"no picture \./my none\.jpg"),
        (["none.jpg"], "no picture none.jpg"),
        (["folder.jpg"], "folder.jpg is a folder"),
        (["https://example.org/a.jpg"], "a URL cannot be read here"),
        (["@-"], "@- cannot be read here"),
        (["sha256:abc"], "8 to 64 digits"),
        (["sha256:" + "a" * 65], "8 to 64 digits"),
        (["@a/b"], "needs quotes"),
        (['@""'], "needs a name"),
        (["@pets@0,0,1,1"], "has no piece"),
        (["a" * 10_001], "at most 10,000"),
        (["a + " * 1001 + "a"], "more than 1,000 terms"),
    ],
)
def test_mistakes_are_explained(here: Path, tokens: list[str], message: str) -> None:
    (here / "folder.jpg").mkdir()
    with pytest.raises(QueryError, match=message):
        parse(tokens, allow=TERMINAL)


def test_kinds_that_are_not_allowed_are_refused(here: Path) -> None:
    with pytest.raises(UsageError, match="may not have a path here"):
        parse(["./dog.jpg"], allow=frozenset({Kind.WORDS}))
    with pytest.raises(UsageError, match="may not have @- here"):
        parse(["@-"], allow=PYTHON)


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


def test_one_text_reads_like_separate_arguments(here: Path) -> None:
    for text in (
        "a street - people",
        "2:a dog + dog.jpg@0,0,.5,.5 not 3:two cats",
        '"black cat" on a sofa + "not" - "a - b"',
        "./dog.jpg ./dog.jpg",
        "sha256:abcdef01 @pets - @pets",
    ):
        assert parse(text, allow=TERMINAL) == parse([text], allow=TERMINAL)
        assert parse(text, allow=TERMINAL) == parse(text.split(" "), allow=TERMINAL)


def test_phrases_are_kept(here: Path) -> None:
    (term,) = parse('"black  cat" on “a sofa”', allow=HTTP)
    assert (term.value, term.phrases) == ("black cat on a sofa", ("black cat", "a sofa"))
    first, second = parse('„dog.jpg“ 2:"https://a.b"', allow=TERMINAL)
    assert (first.kind, first.value, second.kind) == (Kind.WORDS, "dog.jpg", Kind.WORDS)


def test_contents_and_concepts() -> None:
    found = parse('2:sha256:ABCDEF01@0,0,.5,.5 - @pets.2 + 3:@"my  pets"', allow=HTTP)
    assert found == (
        Term(Kind.CONTENT, "abcdef01", 2, Crop(0, 0, 0.5, 0.5, fractions=True)),
        Term(Kind.CONCEPT, "pets.2", -1),
        Term(Kind.CONCEPT, "my pets", 3),
    )


def test_urls_are_fetched_once_and_after_all_else_was_read() -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b"bytes of " + url.encode()

    url = "HTTPS://example.org/a,b@2.jpg?c=d"
    first, second = parse(f"2:{url} - {url}@1,2,3,4", allow=TERMINAL, fetch=fetch)
    assert asked == [url]
    assert first == Term(Kind.PICTURE, b"bytes of " + url.encode(), 2, name=url)
    assert (second.crop, second.label) == (Crop(1, 2, 3, 4), f"- {url}@1,2,3,4")
    with pytest.raises(QueryError, match="may not have a URL here"):
        parse(url, allow=HTTP, fetch=fetch)
    with pytest.raises(QueryError, match="ends with"):
        parse(f"{url} -", allow=TERMINAL, fetch=fetch)
    assert asked == [url]


def test_standard_input_is_read_once() -> None:
    left = [b"all of it"]
    first, second = parse("@- - @-@0,0,.5,.5", allow=TERMINAL, stdin=left.pop)
    assert first.value == second.value == b"all of it"


def test_no_file_is_looked_for_where_paths_are_not_allowed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(path: object) -> bool:
        raise AssertionError(f"looked for {path!r}")

    monkeypatch.setattr(os.path, "isfile", looked)
    monkeypatch.setattr(os.path, "isdir", looked)
    (term,) = parse("dog.jpg ~/x IMG_1.HEIC /etc/passwd my dog.jpg", allow=HTTP)
    assert term == Term(Kind.WORDS, "dog.jpg ~/x IMG_1.HEIC /etc/passwd my dog.jpg")
    for text in ("./dog.jpg", "/tmp/my dog.jpg", "~/dog.jpg@1,2,3,4"):
        tokens = [text.replace(" ", "_")]
        with pytest.raises(QueryError, match="may not have a path here"):
            parse(tokens, allow=HTTP)


def test_a_term_is_taken_as_it_is() -> None:
    caption = Term(Kind.WORDS, "a dog - not a cat -", 2)
    assert parse(["-", caption, "owl"], allow=HTTP) == (
        Term(Kind.WORDS, caption.value, -2),
        Term(Kind.WORDS, "owl"),
    )
    assert parse(caption, allow=HTTP) == (caption,)
    with pytest.raises(QueryError, match="may not have a path here"):
        parse(Term(Kind.PATH, Path("a.jpg")), allow=HTTP)
    with pytest.raises(UsageError, match="not of int"):
        parse([3], allow=PYTHON)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("query", "spot"),
    [
        ("a dog + - cat", "        ^"),
        ("犬と猫 + + x", "         ^"),
        ("a\x1b[1m + +", "           ^"),
        ("e\u0301 + +", "    ^"),
        (["a", Path("p q"), "+ +"], "        ^"),
    ],
)
def test_an_error_points_at_its_spot(query: str | list[Token | Term], spot: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(query, allow=PYTHON)
    _, shown, mark = str(caught.value).splitlines()
    assert mark == f"  {spot}"
    assert "\x1b" not in shown
    assert caught.value.query[caught.value.position] in "+-"


def test_a_long_query_is_shown_in_part() -> None:
    with pytest.raises(QueryError) as caught:
        parse("dog " * 500 + "+ +" + " cat" * 500, allow=HTTP)
    assert caught.value.position == 2002
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "@",
        "1",
        "1 ",
        '"',
        "1:",
        "- ",
        " ",
        "1" + " " * 50,
        "./",
        '"\\',
        "-@",
        "a@1,2,3,4",
        "@1,2,3",
        "a.jpg ",
    ],
)
def test_long_texts_of_any_kind_are_read_or_refused(text: str) -> None:
    for size in (9_999, 100_000):
        for allow in (TERMINAL, HTTP):
            try:
                found = parse((text * size)[:size], allow=allow)
            except QueryError:
                continue
            assert size < 10_000
            assert all(term.kind is Kind.WORDS for term in found)


PIECES = st.one_of(
    st.text(max_size=6),
    st.text('ab19 -+:@"\\.,/', max_size=12),
    st.sampled_from(
        [
            *(
                "+",
                "-",
                "not",
                "2:",
                ".5:",
                "@-",
                "./x",
                "a.jpg",
                '"',
                "“",
                "sha256:",
                "abcdef01",
                "@a",
                "@1,2,3,4",
            )
        ]
    ),
    st.sampled_from(
        ["https://a.b/c", " - ", "1990", "–", "\\", "~/", "a@0,0,1,1", "\0", "\ud800", "犬", "NOT"]
    ),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.lists(PIECES, max_size=8).map(" ".join)


@given(st.lists(TEXTS, max_size=5), st.sampled_from([TERMINAL, PYTHON, HTTP]))
def test_any_texts_give_terms_or_an_error_of_ours(tokens: list[str], allow: frozenset[Kind]) -> None:
    for query in (tokens, " ".join(tokens)):
        try:
            found = parse(query, allow=allow, stdin=lambda: b"", fetch=lambda url: b"")
        except PicfindError as error:
            assert isinstance(error, QueryError)
            assert 0 <= error.position <= len(error.query)
            str(error).encode()
            continue
        assert all(term.weight != 0 and term.label for term in found)
        assert {term.kind for term in found} <= allow | {Kind.PICTURE}


@given(TEXTS)
def test_what_was_read_can_be_written_and_read_again(text: str) -> None:
    allow = TERMINAL - {Kind.PATH}  # whether a word is a path depends on the disk
    try:
        found = parse(text, allow=allow, stdin=lambda: b"", fetch=lambda url: b"")
    except QueryError:
        return
    tokens = written(found)
    for query in (tokens, " ".join(tokens)):
        again = parse(query, allow=allow, stdin=lambda: b"", fetch=lambda url: b"")
        assert tuple(replace(term, phrases=()) for term in again) == tuple(
            replace(term, phrases=()) for term in found
        )
        # a word that may look like a path somewhere is written as a phrase
        assert all(set(one.phrases) <= set(other.phrases) for one, other in zip(found, again, strict=True))


WEIGHTS = st.integers(1, 10**6).map(lambda number: number / 1000) | st.integers(-(10**6), -1).map(float)
NUMBERS = st.integers(0, 10**6).map(lambda number: number / 10**6)
CROPS = st.none() | st.builds(Crop, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.just(True))
VALUES = TEXTS.map(lambda text: " ".join(text.split())).filter(bool)
TERMS = st.one_of(
    st.builds(Term, st.just(Kind.WORDS), VALUES, WEIGHTS),
    st.builds(
        Term, st.just(Kind.CONTENT), st.text("0123456789abcdef", min_size=8, max_size=64), WEIGHTS, CROPS
    ),
    st.builds(Term, st.just(Kind.CONCEPT), VALUES, WEIGHTS),
)


@given(st.lists(TERMS, max_size=5))
def test_terms_can_be_written_and_read_again(terms: list[Term]) -> None:
    found = parse(written(terms), allow=HTTP)
    # words that would be read as signs come back as phrases
    assert [(term.kind, term.value, term.weight, term.crop) for term in found] == [
        (term.kind, term.value, term.weight, term.crop) for term in terms
    ]


def test_paths_are_written_so_that_they_are_read_as_paths(here: Path) -> None:
    terms = (Term(Kind.PATH, Path("my dog.jpg"), 2, Crop(1, 2, 3, 4)), Term(Kind.PATH, Path("cat"), -1))
    assert written(terms) == ["2:./my dog.jpg@1,2,3,4", "-", "./cat"]
    assert parse(written(terms), allow=TERMINAL) == terms
    with pytest.raises(UsageError, match="cannot be written down"):
        written([Term(Kind.PICTURE, b"")])
