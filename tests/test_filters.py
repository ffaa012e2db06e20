"""Reading filters: what they mean, what they say of a mistake, and that nothing else than a UsageError comes of any text."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind.errors import UsageError
from picfind.filters import (  # fmt: skip
    AMOUNTS,
    DATES,
    SHAPES,
    TEXTS,
    THINGS,
    Amount,
    And,
    Content,
    Filter,
    Has,
    Moment,
    Near,
    Not,
    Or,
    Shape,
    Text,
    quoted,
)
from picfind.search.filters import parse_filter, parse_filters

TODAY = date(2024, 3, 31)


def read(text: str) -> Filter:
    return parse_filter(text, today=TODAY)


READINGS: list[tuple[str, Filter]] = [
    ("size>2MB", Amount("size", ">", 2e6)),
    ("size >= 1.5 and width<=10px", And((Amount("size", ">=", 1.5), Amount("width", "<=", 10)))),
    ("size=1KiB", Amount("size", "=", 1024)),
    ("megapixels in 12..24", Amount("megapixels", "..", 12, 24)),
    ("altitude = -10..1.5km", Amount("altitude", "..", -10, 1500)),
    ("height!=5", Not(Amount("height", "=", 5))),
    ("width in (5, 6..7)", Or((Amount("width", "=", 5), Amount("width", "..", 6, 7)))),
    ("date=2023", Moment("date", "2023-01-01", "2024-01-01")),
    ("date=2023-12", Moment("date", "2023-12-01", "2024-01-01")),
    ("date=2024-02-29", Moment("date", "2024-02-29", "2024-03-01")),
    ("date=2023-05-14T10:15", Moment("date", "2023-05-14T10:15:00", "2023-05-14T10:16:00")),
    ('date="2023-05-14 23:59:59"', Moment("date", "2023-05-14T23:59:59", "2023-05-15")),
    ("date=2023-05-14T00:00", Moment("date", "2023-05-14", "2023-05-14T00:01:00")),
    ("date>2023", Moment("date", "2024-01-01", None)),
    ("date>=2023", Moment("date", "2023-01-01", None)),
    ("date<2023", Moment("date", None, "2023-01-01")),
    ("date<=2023", Moment("date", None, "2024-01-01")),
    ("date!=2023", Not(Moment("date", "2023-01-01", "2024-01-01"))),
    ("date in 2019..2021", Moment("date", "2019-01-01", "2022-01-01")),
    ("date=2019-05..2019-06", Moment("date", "2019-05-01", "2019-07-01")),
    ("added=today", Moment("added", "2024-03-31", "2024-04-01")),
    ("added=yesterday", Moment("added", "2024-03-30", "2024-03-31")),
    ("added>=today-7d", Moment("added", "2024-03-24", None)),
    ("added>=today-2w", Moment("added", "2024-03-17", None)),
    ("added>=today-1m", Moment("added", "2024-02-29", None)),
    ("added>=TODAY-1Y", Moment("added", "2023-03-31", None)),
    ("date in today-1y..yesterday", Moment("date", "2023-03-31", "2024-03-31")),
    ('camera~"Canon"', Text("camera", "~", "Canon")),
    ("path:*/raw/*", Text("path", ":", "*/raw/*")),
    (r'name="a \"b\" \\ c\n"', Text("name", "=", 'a "b" \\ c\n')),
    ("""title='say "so"'""", Text("title", "=", 'say "so"')),
    ("lens!=x", Not(Text("lens", "=", "x"))),
    ("tag in (sea, 'the beach')", Or((Text("tag", "=", "sea"), Text("tag", "=", "the beach")))),
    ("extension=.JPG", Text("extension", "=", "JPG")),
    ("format in (jpg, heic)", Or((Text("format", "=", "JPEG"), Text("format", "=", "HEIF")))),
    ("orientation=portrait", Shape("portrait")),
    ("shape!=square", Not(Shape("square"))),
    ("has caption", Has("caption")),
    ("near(52.52, 13.40, 5km)", Near(52.52, 13.4, 5000)),
    ("near( -0 ,-180, 1mi )", Near(0.0, -180, 1609.344)),
    ("content=9F86d", Content("9f86d")),
    ("has place or has lens and has camera", Or((Has("place"), And((Has("lens"), Has("camera")))))),
    ("(has place or has lens) and not has tag", And((Or((Has("place"), Has("lens"))), Not(Has("tag"))))),
    ("NOT not Has PLACE", Not(Not(Has("place")))),
]


@pytest.mark.parametrize(("text", "meant"), READINGS, ids=[text for text, _ in READINGS])
def test_a_filter_means(text: str, meant: Filter) -> None:
    assert read(text) == meant
    assert read(str(meant)) == meant


MISTAKES = [
    ("", 0, "expected a condition"),
    ("date>=", 6, "expected a date such as"),
    ("camera<3", 6, "camera cannot be compared with <; it takes"),
    ("date=cat", 5, "expected a date such as"),
    ("date=2023-13", 5, "no calendar has this date"),
    ("date=2023-05-14T10:15Z", 5, "leave off the time zone"),
    ("date=9999", 5, "no calendar has this date"),
    ("added>=today-99999y", 7, "no calendar reaches back"),
    ("date in 2021..2019", 8, "ends before it begins"),
    ("size in 3..2", 8, "ends before it begins"),
    ("size>1..2", 4, "a range cannot be compared with >"),
    ("date in 2021", 8, "expected a list or a range"),
    ("camera in Canon", 10, r"expected \( and a list"),
    ("size>2 parsecs", 7, "expected `and`, `or` or the end"),
    ("size>2parsecs", 5, "expected a number of bytes"),
    ("size>1e300", 5, "too large"),
    ("camra=x", 0, "did you mean camera"),
    ("tags=x", 0, "did you mean tag"),
    ("taken=2023", 0, "did you mean date"),
    ("colour=red", 0, "known are size, "),
    ("has captoin", 4, "did you mean caption"),
    ("shape=round", 6, "expected portrait, landscape, square or panorama"),
    ("format=doc", 7, "known are JPEG"),
    ("content=xyz", 8, "hex digits"),
    ("near(95, 1, 1km)", 5, "between -90 and 90"),
    ("near(5, 181, 1km)", 8, "between -180 and 180"),
    ("near(5, 1, 1)", 11, "a radius with its unit"),
    ("near(5, 1, -1km)", 11, "below 0"),
    ("near(5 1, 1km)", 7, "expected a comma"),
    ("near 5", 0, r"near\(LATITUDE"),
    ("(has tag", 0, "never closed"),
    ("has tag)", 7, r"no \( before it"),
    ('name="x', 5, "quote is never closed"),
    (r'name="C:\photos"', 8, "after a backslash"),
    ('name=""', 5, "an empty text"),
    ('name="a\0b"', 7, "the character 0"),
    ("name=and", 5, "put it in quotes"),
    ("has tag has place", 8, "expected `and`, `or`"),
    ("tag in (a b)", 10, r"expected \)"),
    ("width", 5, "expected an operator after width"),
    ("not", 3, "expected a condition"),
    ("or has tag", 0, "expected a condition"),
    ("(" * 13 + "has tag", 12, "at most 12 levels"),
    (" or ".join(["has tag"] * 201), 200 * 11, "at most 200 conditions"),
]


@pytest.mark.parametrize(("text", "at", "what"), MISTAKES, ids=[text[:30] for text, _, _ in MISTAKES])
def test_a_mistake_is_pointed_at(text: str, at: int, what: str) -> None:
    with pytest.raises(UsageError, match=what) as raised:
        read(text)
    _, shown, mark = str(raised.value).split("\n")
    before = shown[: mark.index("^")].removeprefix("  ")
    assert text.replace("\0", "\\x00")[: len(text)][:at].endswith(before.removeprefix("…")[-20:])
    assert mark.count("^") == 1


def test_the_mark_stands_right_below_wide_letters_too() -> None:
    with pytest.raises(UsageError) as raised:
        read('name="日本" tag=x')
    shown, mark = str(raised.value).split("\n")[1:]
    assert shown == '  name="日本" tag=x'
    assert mark.index("^") == 2 + len('name="日本" ') + 2


def test_a_long_filter_is_refused_or_cut_to_the_spot() -> None:
    with pytest.raises(UsageError, match="10,001 characters"):
        read("x" * 10_001)
    with pytest.raises(UsageError) as raised:
        read(f"name={'x' * 5_000} tag={'y' * 500} has")
    assert all(len(line) < 140 for line in str(raised.value).split("\n")[1:])


def test_several_filters_must_all_fit() -> None:
    assert parse_filters([]) is None
    assert parse_filters(["has tag"]) == Has("tag")
    assert parse_filters(["has tag or has lens", "has place"]) == And(
        (Or((Has("tag"), Has("lens"))), Has("place"))
    )


WORDS = (
    *(
        "and",
        "or",
        "not",
        "in",
        "has",
        "near",
        "(",
        ")",
        ",",
        "..",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "~",
        ":",
    ),
    *(
        "2023",
        "2023-05",
        "today-3d",
        "2MB",
        "5km",
        '"a b"',
        "'",
        '"',
        "\\",
        "x",
        "*",
        *AMOUNTS,
        *DATES,
        *TEXTS,
    ),
    *(*SHAPES, *THINGS, "shape", "content", "near(1,2,3km)", "é", "\0"),
)
SCRAPS = st.lists(st.sampled_from(WORDS), max_size=14).flatmap(
    lambda words: st.sampled_from([" ".join(words), "".join(words)])
)


@settings(max_examples=400)
@given(st.one_of(st.text(max_size=60), SCRAPS))
def test_any_text_is_a_filter_or_a_usage_error(text: str) -> None:
    try:
        found = read(text)
    except UsageError as error:
        assert len(str(error).split("\n")) == 3
    else:
        assert read(str(found)) == found


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
AMOUNT = st.floats(-1e6, 1e9).map(repr) | st.integers(-50, 10**9).map(str)
DAYS = st.dates(date(1, 1, 1), date(9998, 1, 1)).map(date.isoformat)
MOMENTS = st.datetimes(max_value=datetime(9998, 1, 1)).map(
    lambda moment: moment.isoformat(timespec="seconds")
)
COMPARISONS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
CONDITIONS = st.one_of(
    st.tuples(st.sampled_from(AMOUNTS), COMPARISONS, AMOUNT).map(" ".join),
    st.tuples(st.sampled_from(DATES), COMPARISONS, DAYS | MOMENTS).map(" ".join),
    st.tuples(st.sampled_from(DATES), st.tuples(DAYS | MOMENTS, DAYS | MOMENTS).map(sorted)).map(
        lambda made: f"{made[0]} in {made[1][0]}..{made[1][1]}"
    ),
    st.tuples(
        st.sampled_from([field for field in TEXTS if field not in ("format", "extension")]),
        st.sampled_from("=~:"),
        VALUES.map(quoted),
    ).map("".join),
    st.lists(VALUES.map(quoted), min_size=1, max_size=3).map(lambda listed: f"tag in ({', '.join(listed)})"),
    st.sampled_from(THINGS).map("has {}".format),
    st.sampled_from(SHAPES).map("shape != {}".format),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 1e6)).map(
        lambda made: f"near({made[0]!r}, {made[1]!r}, {made[2]!r}m)"
    ),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda part: st.one_of(
        st.lists(part.map("({})".format) | CONDITIONS, min_size=2, max_size=3).map(" and ".join),
        st.lists(part, min_size=2, max_size=3).map(" or ".join),
        part.map("not ({})".format),
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(FILTERS)
def test_a_filter_written_down_reads_as_the_same(text: str) -> None:
    found = read(text)
    assert read(str(found)) == found


@given(st.integers(1, 14), st.sampled_from(["({})", "not {}", "has lens or has tag and ({})"]))
def test_what_is_nested_as_deep_as_can_be_reads_again(depth: int, wrap: str) -> None:
    text = "tag in (a, b)"
    for _ in range(depth):
        text = wrap.format(text)
    try:
        found = read(text)
    except UsageError:
        assert depth >= 10
    else:
        assert read(str(found)) == found
