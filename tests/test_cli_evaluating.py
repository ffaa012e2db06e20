"""`picfind evaluate`: the table, JSON, the page, and errors, on made-up classes with the built-in model."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from picfind.cli import charts, evaluation_page, evaluation_tables, evaluation_text
from picfind.cli.main import app
from picfind.datasets import open_source, with_queries
from picfind.evaluation.results import Evaluation
from picfind.evaluation.running import Options, evaluate
from picfind.settings import Settings
from picfind.testing import toy_encoder
from tests.photos import write_photo

COLOURS = ("red", "green", "blue")


def picfind(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A folder a colour with three pictures each; one colour's name is an attack."""
    for colour in COLOURS:
        for at in range(3):
            name = f"{at}<b>&.png" if colour == "red" else f"{at}.png"
            write_photo(tmp_path / "classes" / colour / name, colour=colour, seed=at)
    return tmp_path / "classes"


@pytest.fixture
def found(classes: Path) -> Evaluation:
    dataset = with_queries(open_source(f"labelled:{classes}", Settings()))
    return evaluate(dataset, [toy_encoder(), toy_encoder("other")], Settings(), options=Options(worst=2))


def test_a_table_of_figures_and_costs(classes: Path) -> None:
    result = picfind(
        "evaluate", f"labelled:{classes}", "--model", "builtin", "--task", "image_to_image", "--worst", 1
    )
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"labelled:{classes}: 9 pictures"
    assert lines[2] == "image_to_image: 9 queries of 8 pictures"
    assert re.fullmatch(r" +builtin", lines[3])
    assert re.fullmatch(r"hit_at\(1\) +\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", lines[4])
    assert any(re.fullmatch(r"a picture alone +[\d.]+ ms", line) for line in lines)
    assert "image_to_image, worst of builtin" in lines


def test_json(classes: Path) -> None:
    result = picfind("evaluate", f"labelled:{classes}", "--model", "builtin", "--json", "--seed", 3)
    told = json.loads(result.stdout)
    assert [trial["name"] for trial in told["trials"]] == ["text_to_image", "image_to_text", "image_to_image"]
    assert told["seed"] == 3
    assert told["dataset"] == f"labelled:{classes}"
    assert told["trials"][0]["models"][0]["worst"]


def test_the_gallery_of_a_person(tmp_path: Path, classes: Path) -> None:
    gallery = tmp_path / "own.gallery"
    assert picfind("index", classes, "--gallery", gallery, "--model", "builtin").exit_code == 0
    result = picfind("evaluate", "--gallery", gallery)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("your gallery: 9 pictures")
    assert "albums: 9 queries of 8 pictures (image_to_image)" in result.stdout
    assert "copies: 27 queries of 9 pictures (image_to_image)" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("There is too little to judge by")


def test_errors_are_one_line_and_exit_2(tmp_path: Path) -> None:
    for arguments, told in (
        (["evaluate", f"labelled:{tmp_path / 'nowhere'}"], "nowhere"),
        (["evaluate", "--gallery", str(tmp_path / "none")], "There is no gallery"),
        (["evaluate", str(tmp_path)], "knows no right answers"),
    ):
        result = picfind(*arguments)
        assert result.exit_code == 2
        assert told in result.stderr
        assert not result.stdout


def test_two_models_stand_side_by_side(found: Evaluation) -> None:
    text = evaluation_text.text(found)
    assert re.search(r"^ +toy +other$", text, re.MULTILINE)
    assert re.search(r"^toy - other: mAP \+0\.000 \[\+0\.000, \+0\.000\], p = 1\.0000$", text, re.MULTILINE)


def test_the_terminal_has_rules_and_every_figure(found: Evaluation) -> None:
    out = io.StringIO()
    evaluation_tables.show(found, worst=1, console=Console(file=out, width=100, force_terminal=True))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert "─" in plain
    for row in evaluation_text.figures(found.results[-1])[1:]:
        assert row[0] in plain
        assert row[1] in plain


class Page(HTMLParser):
    """What stands open, and what a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(found: Evaluation, tmp_path: Path) -> None:
    evaluation_page.write(tmp_path / "page.html", found)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not page.open
    assert "<b>" not in text.partition("</style>")[2].replace("<body>", "")
    assert [tag for tag, _ in page.tags].count("svg") == 3 * 2 + 3 + 2, (
        "histograms; hit_at; recall_at where several are right"
    )
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert images
    assert all((image["src"] or "").startswith("data:image/jpeg") for image in images)
    assert not re.search(r"(src|href)=\"(?!data:)|<script|url\(", text)


def test_the_page_is_the_same_again(found: Evaluation) -> None:
    assert evaluation_page.render(found) == evaluation_page.render(found)


def test_a_picture_that_is_gone_leaves_a_note(found: Evaluation, classes: Path) -> None:
    for path in classes.rglob("*.png"):
        path.unlink()
    assert "not there now" in evaluation_page.render(found)


def test_the_command_writes_the_page(classes: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = picfind(
        "evaluate", f"labelled:{classes}", "--model", "builtin", "--task", "text_to_image", "--html", page
    )
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    assert "The worst queries, builtin" in text
    assert "text_to_image: 3 queries of 9 pictures" in text


def test_a_page_that_cannot_be_written_is_told_before_the_work(classes: Path, tmp_path: Path) -> None:
    for page, told in ((tmp_path / "none" / "report.html", "There is no folder"), (tmp_path, "is a folder")):
        result = picfind("evaluate", f"labelled:{classes}", "--model", "no-such-model", "--html", page)
        assert result.exit_code == 2
        assert told in result.stderr, "and not that there is no such model, which comes later"


def test_the_figures_are_shown_even_where_the_page_cannot_be_written(classes: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.symlink_to(tmp_path / "none" / "report.html")
    result = picfind(
        *("evaluate", f"labelled:{classes}", "--model", "builtin", "--task", "image_to_image"),
        *("--html", page),
    )
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert "mAP" in result.stdout


def test_all_with_the_same_words_may_be_right(classes: Path) -> None:
    rows = [{"image": f"green/{at}.png", "caption": "Green wall" if at else "green  wall"} for at in range(3)]
    table = classes / "captions.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = ("evaluate", f"table:{table}", "--model", "builtin", "--task", "text_to_image")
    result = picfind(*arguments, "--same-words")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].endswith(": 3 pictures, all with the same words are right")
    assert re.search(r"^hit_at\(1\) +1\.000", result.stdout, re.MULTILINE)
    assert re.search(r"^hit_at\(1\) +0\.333", picfind(*arguments).stdout, re.MULTILINE)


def test_lines_stand_where_their_values_say() -> None:
    drawn = charts.lines([charts.Line("a", [1, 10, 100], [0.0, 0.5, 1.0])], x_label="k", y_label="hit_at(k)")
    points = re.search(r'points="([^"]+)"', drawn)
    assert points is not None
    (x0, y0), (x1, y1), (x2, y2) = (map(float, pair.split(",")) for pair in points[1].split())
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2), "the axis is logarithmic"
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


def test_a_histogram_of_one_value() -> None:
    drawn = charts.histograms([("one <of> them", np.full(3, 0.5))], x_label="cosine")
    assert "one &lt;of&gt; them" in drawn
    assert "nan" not in drawn
