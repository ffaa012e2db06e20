"""What a filter selects, against an oracle that evaluates the same tree in Python on plain records."""

from __future__ import annotations

import hashlib
import math
import operator
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from picfind.filters import (
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
)
from picfind.images import Facts
from picfind.search.filters import parse_filter
from picfind.storage import functions, names, roots
from picfind.storage.catalog import Catalog
from picfind.storage.descriptions import describe
from picfind.storage.names import Name
from picfind.storage.selection import select, statement
from picfind.storage.store import Store
from picfind.types import Fingerprint, Words

ROOT = "/home/ann/Été 100%"


@dataclass(frozen=True)
class Called:
    """A name of a picture, and what is said of it."""

    key: str
    dated: tuple[str, str] | tuple[None, None] = (None, None)
    words: tuple[Words, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A content with its names."""

    facts: Facts
    size: int
    names: tuple[Called, ...]
    words: tuple[Words, ...] = ()
    added: str = "2024-01-01"


def plain(text: str) -> str:
    """Without case and accents, the slow way."""
    letters = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFC", "".join(sign for sign in letters if not 0x300 <= ord(sign) < 0x370))


def is_like(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern of * and ?, one sign after the other."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(is_like(text[at:], pattern[1:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and is_like(text[1:], pattern[1:])


def metres(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Along the Earth, by the angle between two directions."""
    (x1, y1, z1), (x2, y2, z2) = (
        (math.cos(a) * math.cos(b), math.cos(a) * math.sin(b), math.sin(a))
        for a, b in (map(math.radians, place) for place in (first, second))
    )
    cross = math.hypot(y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2)
    return 6_371_008.8 * math.atan2(cross, x1 * x2 + y1 * y2 + z1 * z2)


def texts_of(picture: Picture, name: Called) -> dict[str, list[str]]:
    """The texts of each field."""
    facts, place = picture.facts, f"{ROOT}/{name.key}"
    camera = [text for text in (facts.camera_make, facts.camera_model) if text]
    said = [entry for entry in (*picture.words, *name.words) if entry.origin not in ("file name", "folder")]
    base = name.key.split("/")[-1]
    return {
        "camera": [*camera, *([" ".join(camera)] if len(camera) == 2 else [])],
        "lens": [facts.lens] if facts.lens else [],
        "format": [facts.format],
        "path": [name.key, place],
        "folder": ["/".join(name.key.split("/")[:-1]), "/".join(place.split("/")[:-1])],
        "name": [base],
        "extension": [base.split(".")[-1]] if "." in base else [],
        **{
            kind: [entry.text for entry in said if entry.kind == kind] for kind in ("tag", "title", "caption")
        },
    }


def best_date(picture: Picture) -> str | None:
    if picture.facts.taken:
        return picture.facts.taken
    known = [(name.dated[1] != "file name", name.dated[0]) for name in picture.names if name.dated[0]]
    return min(known)[1] if known else None


def amount_of(picture: Picture, field: str) -> float | None:
    facts = picture.facts
    known = {"size": picture.size, "width": facts.width, "height": facts.height, "altitude": facts.altitude}
    return facts.width * facts.height / 1e6 if field == "megapixels" else known[field]


COMPARED = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def fits(wanted: Filter, picture: Picture, name: Called) -> bool:
    """The oracle."""
    match wanted:
        case And():
            return all(fits(part, picture, name) for part in wanted.parts)
        case Or():
            return any(fits(part, picture, name) for part in wanted.parts)
        case Not():
            return not fits(wanted.part, picture, name)
        case Amount():
            return compared(amount_of(picture, wanted.field), wanted)
        case Moment():
            return dated(picture.added if wanted.field == "added" else best_date(picture), wanted)
        case Text():
            return any(said(text, wanted) for text in texts_of(picture, name)[wanted.field])
        case _:
            return is_so(wanted, picture, name)


def compared(value: float | None, wanted: Amount) -> bool:
    if value is None:
        return False
    if wanted.operator == "..":
        return wanted.value <= value <= wanted.high
    return bool(COMPARED[wanted.operator](value, wanted.value))


def dated(text: str | None, wanted: Moment) -> bool:
    if text is None:
        return False
    moment = datetime.fromisoformat(text).replace(tzinfo=None)
    after = wanted.low is None or moment >= datetime.fromisoformat(wanted.low)
    return after and (wanted.high is None or moment < datetime.fromisoformat(wanted.high))


def said(text: str, wanted: Text) -> bool:
    text, value = plain(text), plain(wanted.value)
    return {"=": text == value, "~": value in text, ":": is_like(text, value)}[wanted.operator]


def is_so(wanted: Filter, picture: Picture, name: Called) -> bool:
    facts = picture.facts
    match wanted:
        case Shape():
            width, height = facts.width, facts.height
            return {
                "portrait": height > width,
                "landscape": width > height,
                "square": width == height,
                "panorama": width >= 2 * height,
            }[wanted.name]
        case Has() if wanted.thing == "place":
            return facts.latitude is not None
        case Has() if wanted.thing == "altitude":
            return facts.altitude is not None
        case Has():
            return bool(texts_of(picture, name)[wanted.thing])
        case Near():
            here = (facts.latitude, facts.longitude)
            return (
                here[0] is not None
                and here[1] is not None
                and metres((here[0], here[1]), (wanted.latitude, wanted.longitude)) <= wanted.metres
            )
        case Content():
            return sha256(picture).hex().startswith(wanted.prefix)
    raise AssertionError(wanted)


def sha256(picture: Picture) -> bytes:
    return hashlib.sha256(repr(picture).encode()).digest()


@contextmanager
def gallery(folder: Path, pictures: Sequence[Picture]) -> Iterator[Store]:
    """A gallery that holds pictures, the first one as content 1."""
    store = Store.open(folder, create=True)
    with store.writing() as writer:
        with writer.transaction() as change:
            root_id, _ = roots.add_root(change, "folder", ROOT)
        for number, picture in enumerate(pictures):
            digest = sha256(picture)
            called = [
                Name(
                    f"{number}/{name.key}", Fingerprint("1"), digest, name.dated[0], name.dated[1], name.words
                )
                for name in picture.names
            ]
            content = names.Content(digest, picture.size, picture.facts, picture.words)
            writer.commit(root_id, contents=[content], names=called)
        with writer.transaction() as change:
            for picture in pictures:
                seconds = datetime.fromisoformat(picture.added).timestamp()
                change.run("UPDATE contents SET added = ? WHERE sha256 = ?", (seconds, sha256(picture)))
    try:
        yield store
    finally:
        store.close()


def expected(wanted: Filter, pictures: Sequence[Picture]) -> list[int]:
    return [
        number + 1
        for number, picture in enumerate(pictures)
        if any(
            fits(wanted, picture, Called(f"{number}/{name.key}", name.dated, name.words))
            for name in picture.names
        )
    ]


SCRAPS = st.sampled_from(
    ["a", "B", "é", "E", "e\u0301", "ß", "ss", "%", "_", "\\", ".", " ", "1", "01", "日", "か", "\u3099", "K", "ſ", "İ",
     "*", "?", "'", "raw", "≠", "=", "한", "하"]
)  # fmt: skip
LETTERS = st.lists(SCRAPS, min_size=1, max_size=4).map("".join)
KEYS = st.lists(LETTERS, min_size=1, max_size=3).map("/".join)
DAYS = st.sampled_from(
    [
        *("2023-05-14", "2023-05-14T00:00:00", "2023-05-14T10:15:30", "2023-05-14T10:15:30+02:00"),
        *("2023-12-31T23:59:59", "2024-01-01", "2024-01-01T00:00:00-05:00", "1999-01-01T00:00:01"),
    ]
)
PLACES = st.sampled_from(
    [(None, None), (52.52, 13.405), (52.5, 13.3), (89.9, 10.0), (-89.9, -170.0), (0.5, 179.9), (0.5, -179.9)]
)
SAID = st.lists(
    st.builds(
        Words,
        LETTERS,
        st.sampled_from(["sidecar", "file name"]),
        st.sampled_from(["tag", "title", "caption"]),
    ),
    max_size=2,
).map(tuple)
FACTS = st.builds(
    lambda place, **others: Facts(latitude=place[0], longitude=place[1], **others),
    PLACES,
    format=st.sampled_from(["JPEG", "HEIF"]),
    width=st.integers(1, 4),
    height=st.integers(1, 4),
    taken=st.none() | DAYS,
    camera_make=st.none() | LETTERS,
    camera_model=st.none() | LETTERS,
    lens=st.none() | LETTERS,
    altitude=st.none() | st.sampled_from([-1.0, 0.0, 5.5]),
)
NAMES = st.builds(
    Called, KEYS, st.just((None, None)) | st.tuples(DAYS, st.sampled_from(["file name", "file time"])), SAID
)
PICTURES = st.lists(
    st.builds(
        Picture,
        FACTS,
        st.integers(0, 3),
        st.lists(NAMES, max_size=3, unique_by=lambda name: name.key).map(tuple),
        SAID,
        st.sampled_from(["2023-06-01", "2024-01-01", "2024-03-05T10:00:00"]),
    ),
    max_size=5,
    unique_by=repr,
)
BOUNDS = st.sampled_from(
    ["2023-01-01", "2023-05-14", "2023-05-14T10:15:30", "2023-05-14T10:15:31", "2024-01-01"]
)
CONDITIONS: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Amount, st.sampled_from(AMOUNTS), st.sampled_from(["=", "<", "<=", ">", ">=", ".."]),
              st.sampled_from([-1.0, 0.0, 1.0, 2.0, 4e-6]), st.just(3.0)),
    st.builds(Moment, st.sampled_from(DATES), BOUNDS, st.none() | st.just("2025-01-01")),
    st.builds(Moment, st.sampled_from(DATES), st.none(), BOUNDS),
    st.builds(Text, st.sampled_from(TEXTS), st.sampled_from("=~:"), LETTERS | KEYS | st.just("/home/ann/Ete 100%/0/*")),
    st.builds(Text, st.sampled_from(TEXTS), st.just(":"), LETTERS.map("*{}*".format)),
    st.builds(Shape, st.sampled_from(SHAPES)),
    st.builds(Has, st.sampled_from(THINGS)),
    st.builds(Near, st.sampled_from([52.52, 90.0, -89.0, 0.0]), st.sampled_from([13.4, 180.0, -180.0, -10.0]),
              st.sampled_from([0.0, 5e3, 1e5, 1e7, 3e7])),
    st.builds(Content, st.sampled_from(["0", "7", "ff", "f", "a1"])),
)  # fmt: skip
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    CONDITIONS,
    lambda part: st.one_of(
        st.builds(Not, part),
        st.builds(And, st.lists(part, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(part, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@settings(max_examples=30, deadline=None)
@given(pictures=PICTURES, wanted=st.lists(FILTERS, min_size=15, max_size=15))
def test_what_is_selected_is_what_fits(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[Picture], wanted: list[Filter]
) -> None:
    with gallery(tmp_path_factory.mktemp("gallery") / "g", pictures) as store:
        for one in wanted:
            assert select(store.catalog, one).tolist() == expected(one, pictures), str(one)


def jpeg(**others: Any) -> Facts:
    return Facts(**{"format": "JPEG", "width": 4000, "height": 3000, **others})


TRIP = (
    Picture(
        jpeg(taken="2023-05-14T10:15:30+02:00", camera_make="Canon", camera_model="Canon EOS R6",
             latitude=52.5163, longitude=13.3777),
        3_000_000,
        (Called("2023/berlin/raw/IMG_1.CR2.jpg"), Called("best/gate.jpg", words=(Words("sights", "sidecar", "tag"),))),
        (Words("The Brandenburg Gate", "EXIF"),),
    ),
    Picture(
        jpeg(width=1080, height=1080, camera_make="Apple"),
        500_000,
        (Called("2021/Café/IMG_2.heic", ("2021-12-31T23:59:59", "file name")),),
    ),
    Picture(
        jpeg(width=9000), 9_000_000, (Called("scan.png", ("1999-07-01", "file time"), (Words("scan", "file name", "tag"),)),)
    ),
    Picture(jpeg(), 1, ()),
)  # fmt: skip
EXAMPLES: list[tuple[str, list[int]]] = [
    ('date>=2023 and camera~"canon" and not path:"*/raw/*"', [1]),
    ("path:*/raw/*", [1]),
    ("path:*/raw/* and tag=sights", []),  # one name must fit the whole
    ("not path:*/raw/*", [1, 2, 3]),
    ("date=2023-05-14", [1]),
    ("date in 2019..2021", [2]),
    ("date<2000", [3]),
    ("camera='Canon EOS R6' or camera=apple", [1, 2]),
    ("camera=canon", [1]),
    ("not has camera", [3]),
    ("folder~cafe", [2]),
    ("folder:*/cafe", [2]),
    ("folder='/home/ann/ete 100%/1/2021/Cafe'", [2]),
    ("name=scan.png", [3]),
    ("name~img_", [1, 2]),
    ("extension in (jpg, HEIC)", [1, 2]),
    ("size>2MB and megapixels>=12", [1, 3]),
    ("shape=square", [2]),
    ("shape=panorama", [3]),
    ("shape=landscape", [1, 3]),
    ("near(52.52, 13.40, 5km)", [1]),
    ("near(52.52, 13.40, 1km)", []),
    ("has caption", [1]),
    ("caption~gate", [1]),
    ("has tag", [1]),  # what a file's name hints at is no tag
    ("added>=2023", [1, 2, 3]),
    ("added<2023", []),
    (f"content={sha256(TRIP[1]).hex()[:9]}", [2]),
]


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with gallery(tmp_path_factory.mktemp("trip") / "g", TRIP) as store:
        yield store


@pytest.mark.parametrize(("text", "found"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_a_trip(trip: Store, text: str, found: list[int]) -> None:
    wanted = parse_filter(text)
    assert expected(wanted, TRIP) == found
    assert select(trip.catalog, wanted).tolist() == found


def test_the_date_is_the_one_that_an_answer_shows(tmp_path: Path) -> None:
    many = Called("a.jpg", ("2001-01-01", "file time")), Called("b.jpg", ("2002-02-02", "file name"))
    pictures = [Picture(jpeg(), 1, (*many, Called("c.jpg", ("2003-03-03", "file name"))))]
    with gallery(tmp_path / "g", pictures) as store:
        shown = describe(store.catalog, [1])[1].metadata["taken"]
        assert shown == "2002-02-02"
        assert select(store.catalog, parse_filter(f"date={shown}")).tolist() == [1]
        assert select(store.catalog, parse_filter("date=2001 or date=2003")).tolist() == []


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("near(52.52, 13.40, 5km)", "contents_place"),
        ("camera~canon", "contents_unusual"),
        ("date>=2023", "names_dated"),
        ("date>=2023", "COVERING INDEX names_content"),
        ("has caption", "words_kind"),
    ],
)
def test_indexes_are_made_use_of(trip: Store, text: str, index: str) -> None:
    sql, values = statement(parse_filter(text))
    plan = [row[3] for row in trip.catalog.all(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any(index in step for step in plan), plan


@pytest.mark.parametrize("text", ["camera~canon and shape=portrait", "shape=portrait and camera~canon"])
def test_what_is_cheap_is_asked_first(text: str) -> None:
    sql, _ = statement(parse_filter(text))
    assert sql.index("c.height > c.width") < sql.index("camera_model")


def test_the_widest_and_deepest_filters_are_answered(trip: Store) -> None:
    wide = " or ".join(f'path:"*{number}"' for number in range(200))
    deep = "tag in (a, b)"
    for _ in range(3):
        deep = f"not (camera~é and (folder~a or {deep}))"
    for wanted in (parse_filter(wide), parse_filter(deep)):
        assert select(trip.catalog, wanted).tolist() == expected(wanted, TRIP)
    for text in ("tag~" + "x" * 9_000, "path:" + "*a" * 2_000):  # too many stars for the oracle
        assert select(trip.catalog, parse_filter(text)).tolist() == []


def test_a_catalog_that_cannot_be_written_may_be_filtered(tmp_path: Path) -> None:
    with gallery(tmp_path / "g", TRIP) as store:
        reader = Catalog(store.catalog.path, writable=False)
        assert select(reader, parse_filter("folder~café")).tolist() == [2]
        reader.close()


def test_names_that_are_forgotten_no_longer_fit(tmp_path: Path) -> None:
    with gallery(tmp_path / "g", TRIP) as store:
        with store.catalog.transaction() as change:
            names.forget(change, 1, ["0/best/gate.jpg"])
        assert select(store.catalog, parse_filter("not path:*/raw/*")).tolist() == [2, 3]
        assert select(store.catalog, parse_filter("size>0")).tolist() == [1, 2, 3]


@given(LETTERS)
@example("ᾳ\u0301")
def test_texts_fold_alike_however_their_accents_are_composed(text: str) -> None:
    forms = {functions.folded(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {plain(text)}


@given(LETTERS, LETTERS.map(lambda text: f"{text}*") | LETTERS)
def test_patterns_fit_as_sign_after_sign_would(text: str, pattern: str) -> None:
    for tried in (pattern, f"*{pattern}", f"?{pattern}*{text}"):
        assert functions._test(":", tried)(plain(text)) == is_like(plain(text), plain(tried))
        assert functions._test(":", tried)(plain(tried)), "a pattern fits itself"


@pytest.mark.parametrize(
    ("place", "other", "kilometres"),
    [((52.5200, 13.4050), (48.8566, 2.3522), 877.5), ((0, 179.5), (0, -179.5), 111.2), ((90, 0), (-90, 0), 20015.1)],
)  # fmt: skip
def test_distances(place: tuple[float, float], other: tuple[float, float], kilometres: float) -> None:
    assert functions.distance(*place, *other) / 1000 == pytest.approx(kilometres, abs=0.1)
    assert metres(place, other) / 1000 == pytest.approx(kilometres, abs=0.1)


def test_a_radius_crosses_the_180th_meridian_and_holds_a_pole(tmp_path: Path) -> None:
    places = [(0.5, 179.9), (0.5, -179.9), (0.5, 0.0), (89.9, 10.0), (89.9, -170.0), (-89.9, 10.0)]
    pictures = [
        Picture(jpeg(latitude=north, longitude=east), number, (Called("a.jpg"),))
        for number, (north, east) in enumerate(places)
    ]
    with gallery(tmp_path / "g", pictures) as store:
        for text in (
            *(
                "near(0, 180, 100km)",
                "near(0, -180, 100km)",
                "near(0.5, 179.95, 40km)",
                "near(89.9, 10, 30km)",
            ),
            *("near(-90, 0, 20km)", "near(0, 0, 20100km)", "near(0, 90, 10100km)"),
        ):
            wanted = parse_filter(text)
            assert select(store.catalog, wanted).tolist() == expected(wanted, pictures) != [], text
