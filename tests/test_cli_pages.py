"""The page of an answer: what it tells, that it stands alone, that nothing from outside becomes markup."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlparse

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from picfind import keys
from picfind.cli import cards, pages, thumbnails
from picfind.errors import UsageError
from picfind.types import Hit, Results
from tests.photos import SHARED, photo, write_photo

HOSTILE = "\"><script>alert('1')</script>\n& a <b>dog</b> \x1b[31m \u202e</title><style>"
_VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """A page as a browser sees it: its tags with their attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.said: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)
            self.said.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "elements are nested"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.said[tag][-1] += data

    def all(self, tag: str, kind: str | None = None) -> list[dict[str, str]]:
        """The attributes of all elements of a name, and of a class."""
        return [its for name, its in self.tags if name == tag and kind in (None, its.get("class"))]


def hit(path: Path | str, score: float = 0.5, **others: object) -> Hit:
    """A hit at a path of this system."""
    return Hit("ab" * 32, score, (keys.escape(str(path)),), **others)  # type: ignore[arg-type]


def page_of(*hits: Hit, question: str = "a dog", warnings: tuple[str, ...] = ()) -> Page:
    return Page(pages.render([(question, Results(hits, 100, warnings))]))


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return write_photo(tmp_path / "red.png")


def test_a_hit_says_what_it_is_and_why(red: Path) -> None:
    page = page_of(
        hit(
            red,
            0.756,
            why={"pictures: a dog": 0.3, "words: a dog": 0.15, "pictures: people": -0.06},
            shares={"pictures": 0.6, "words": 0.156},
            relevance=0.82,
            caption="Two dogs and a cat",
            metadata={
                "taken": "2023-05-14T10:15:30",
                "camera_make": "Canon",
                "camera_model": "Canon EOS R6",
            },
            matched={"recognised": "DOG beach"},
            alike=3,
            box=(0.1, 0.2, 0.5, 0.25),
        ),
        warnings=("2 pictures have no vectors.",),
    )
    (text,) = page.said["main"]
    for told in (
        *("1. red.png", "score 0.756", "relevance 82%", "+3 alike", "Two dogs and a cat"),
        *("2023-05-14 10:15:30 · Canon EOS R6", "Text in the picture: DOG beach"),
        *("pictures: a dog +0.300", "words: a dog +0.150", "pictures: people -0.060"),
        *("of the rank: pictures 79%, words 21%", "1 hit among 100 pictures.", "2 pictures have no vectors."),
        "in the box 10% from the left, 20% from the top, 50% by 25%",
    ):
        assert told in text, told
    assert text.count("Canon") == 1
    assert page.said["mark"] == ["dogs", "DOG"]
    widths = [its["style"] for its in page.all("span") if its.get("class", "").startswith("bar")]
    assert widths == ["width:100.0%", "width:31.2%", "width:20.0%"]


def test_a_hit_without_reasons_promises_none(red: Path) -> None:
    text = pages.render([("a dog", Results((hit(red),), 1))])
    for absent in ("relevance", "alike", "<mark>", 'class="why"', 'class="box"', "places", 'class="facts"'):
        assert absent not in text, absent


def test_the_box_lies_over_the_whole_thumbnail(tmp_path: Path) -> None:
    photo(size=(640, 320)).save(tmp_path / "wide.png")
    page = page_of(hit(tmp_path / "wide.png", box=(0.1, 0.2, 0.5, 0.25)))
    (frame,), (box,), (img,) = page.all("span", "frame"), page.all("span", "box"), page.all("img")
    assert box["style"] == "left:10.00%;top:20.00%;width:50.00%;height:25.00%"
    width, height = map(int, re.findall(r"aspect-ratio:(\d+)/(\d+)", frame["style"])[0])
    with Image.open(io.BytesIO(base64.b64decode(img["src"].partition(",")[2]))) as shown:
        assert width / height == shown.width / shown.height == 2


def test_headings_alternative_texts_and_one_link_for_each_place(red: Path) -> None:
    two = Hit("ab" * 32, 0.5, (str(red), "/elsewhere/it's red.png"), caption="A red\nwall")
    page = page_of(two, hit(red))
    assert [its["alt"] for its in page.all("img")] == ["A red wall", "red.png"]
    assert [len(page.all(tag)) for tag in ("h1", "h2", "h3", "main", "ol")] == [1, 1, 2, 1, 1]
    assert page.said["summary"] == ["2 places"]
    assert page.said["details"][0].endswith("/elsewhere/it's red.png")
    assert ("html", {"lang": "en"}) in page.tags
    assert not [
        its for _, its in page.tags if "tabindex" in its or any(name.startswith("on") for name in its)
    ]


@pytest.mark.parametrize("field", ["caption", "why", "matched", "camera", "question", "warning", "path"])
def test_nothing_from_outside_becomes_markup(red: Path, field: str) -> None:
    named = hit(
        HOSTILE if field == "path" else red,
        caption=HOSTILE if field == "caption" else None,
        why={HOSTILE if field == "why" else "pictures: dog": 0.2},
        matched={"text": HOSTILE} if field == "matched" else {},
        metadata={"camera_model": HOSTILE} if field == "camera" else {},
    )
    asked = HOSTILE if field == "question" else "dog"
    warnings = (HOSTILE,) if field == "warning" else ()
    text = pages.render([(asked, Results((named,), 1, warnings))])
    page = Page(text)
    assert not page.all("script")
    assert len(page.all("b")) == 1, "that of the figure"
    assert (len(page.all("style")), len(page.all("title"))) == (1, 1)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>" in "".join(page.said["main"] + page.said["title"]), "it is shown as it is"


SCRAPS = st.sampled_from(["dog", "</p>", "--><", "%FF", "%C3%A9", *"<>&\"'\n\x00\x1b"])
TEXTS = st.lists(SCRAPS | st.characters(codec="utf-8"), max_size=8).map("".join)


@given(caption=TEXTS, question=TEXTS, label=TEXTS, path=TEXTS)
def test_any_text_makes_a_page(caption: str, question: str, label: str, path: str) -> None:
    named = Hit(
        "ab" * 32, 0.5, (f"/no/{path}",), {label: 0.1}, caption, matched={"text": label + caption + "x"}
    )
    page = page_of(named, question=question)
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "section", "h2", "p", "ol", "li"),
        *("h3", "a", "ul", "span", "b", "mark"),
    }


@pytest.mark.skipif(sys.platform == "win32", reason="such names need a POSIX system")
@pytest.mark.parametrize(
    "name", ['it\'s "here".png', "a\nb.png", b"caf\xe9 #1?.png", "100%41.png", "été & <i>.png"]
)
def test_links_lead_to_the_very_file(tmp_path: Path, name: str | bytes) -> None:
    raw = str(tmp_path).encode() + b"/" + (name if isinstance(name, bytes) else name.encode())
    try:
        Path(keys.unescape(keys.escape(raw))).write_bytes(write_photo(tmp_path / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    page = page_of(Hit("ab" * 32, 0.5, (keys.escape(raw),)))
    links = [urlparse(its["href"]) for its in page.all("a")]
    assert len(page.all("img")) == 1
    assert [(link.scheme, unquote_to_bytes(link.path)) for link in links] == [("file", raw)] * 2
    assert all(not (link.query or link.fragment or link.netloc) for link in links)


def test_a_picture_of_the_network_is_linked_and_not_fetched() -> None:
    page = page_of(Hit("ab" * 32, 0.5, ("https://photos.test/a.jpg?x=1&y=2",)))
    assert [its["href"] for its in page.all("a")] == ["https://photos.test/a.jpg?x=1&y=2"]
    assert not page.all("img")


def test_nothing_is_loaded_from_anywhere(red: Path) -> None:
    text = pages.render([("a dog", Results((hit(red),), 1))])
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|(src|srcset)=\"(?!data:)|<link", text)


def test_the_same_answer_is_the_same_bytes(red: Path, tmp_path: Path) -> None:
    sections = [("a dog", Results((hit(red, box=(0, 0, 0.5, 0.5)),), 1)), ("none \udce9", Results((), 0))]
    pages.write(tmp_path / "one.html", sections)
    pages.write(tmp_path / "two.html", sections)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert b"Nothing found." in (tmp_path / "one.html").read_bytes()


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        pages.write(tmp_path / "none" / "a.html", [])


def test_bars_of_one_ranking_are_by_its_own_figures(red: Path) -> None:
    page = page_of(hit(red, why={"a dog": 0.3, "a cat": -0.1}))
    assert [its["style"] for its in page.all("span", "bar")] == ["width:100.0%"]
    assert [its["style"] for its in page.all("span", "bar less")] == ["width:33.3%"]


def test_words_of_a_path_are_marked(tmp_path: Path) -> None:
    page = page_of(hit(write_photo(tmp_path / "my_dog  1.png")))
    assert page.said["mark"] == ["dog"]
    assert page.said["a"][-1].endswith("/my_dog  1.png")


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        ("snow dog", "a snow_dog", ["snow", "dog"]),
        ("a dog", "Dogs, a dogged dogma and hotdog", ["Dogs"]),
        ("2:cat - dog", "a cat and a dog", ["cat"]),
        ("cat - dog + horse", "cat dog horse", ["cat", "horse"]),
        ("./dog.jpg + cat", "a dog.jpg, a cat", ["cat"]),
        ("été", "ETE en Été", ["ETE", "Été"]),
        ("not red", "not red", []),
        ("the man with a hat", "the man with the hat", ["man", "hat"]),
    ],
)
def test_words_of_the_question_are_marked(question: str, text: str, found: list[str]) -> None:
    told = cards.marked(text, cards.wanted_words(question))
    assert re.findall("<mark>(.*?)</mark>", told) == found
    assert re.sub("</?mark>", "", told) == text


def test_a_frame_is_drawn_round_the_box(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "blue").save(tmp_path / "blue.png")
    small = thumbnails.small(str(tmp_path / "blue.png"), width=100, height=100, box=(0.25, 0.2, 0.5, 0.6))
    assert small is not None
    pixels = np.asarray(small)
    assert pixels.shape == (50, 100, 3)
    drawn = np.argwhere((pixels != (0, 0, 255)).any(axis=2))
    assert (drawn.min(axis=0).tolist(), drawn.max(axis=0).tolist()) == ([10, 25], [39, 74])
    assert (pixels[20:30, 35:65] == (0, 0, 255)).all(), "it is hollow"


@pytest.mark.skipif(not (SHARED / "demo_open").is_dir(), reason="the photos of demo_open are not here")
def test_real_photos_make_a_page(tmp_path: Path) -> None:
    paths = sorted((SHARED / "demo_open" / "images").iterdir())[:12]
    pages.write(tmp_path / "a.html", [("things", Results(tuple(map(hit, paths)), 12))])
    page = Page((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert len(page.all("img")) == 12
