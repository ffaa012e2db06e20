"""`picfind search`: how an answer is asked for, shaped and printed, with the built-in model and real photos."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner, Result

from picfind.cli.demo import _samples
from picfind.cli.main import app

SAID = {
    "chelsea": "a tabby cat called Chelsea",
    "coffee": "my first cup of the day",
    "rocket": "",
    "coins": "",
}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photos, two of them with words, and a smaller copy of one."""
    folder = tmp_path_factory.mktemp("photos")
    (source, *_) = _samples()
    for number, (name, text) in enumerate(SAID.items()):
        (path,) = source.glob(f"{name}.*")
        with Image.open(path) as image:
            image.convert("RGB").save(folder / f"2021-0{number + 1}-01 {name}.jpg")
            if name == "rocket":
                image.convert("RGB").resize((320, 214)).save(folder / "2020-01-01 small.jpg", quality=60)
        if text:
            (folder / f"2021-0{number + 1}-01 {name}.txt").write_text(text)
    place = tmp_path_factory.mktemp("g") / "g"
    assert picfind("index", folder, gallery=place).exit_code == 0
    return place


def picfind(*arguments: object, gallery: Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [*map(str, arguments), "-g", str(gallery)])


def answer(*arguments: object, gallery: Path) -> list[dict[str, Any]]:
    """The hits of a search."""
    result = picfind("search", *arguments, "--json", gallery=gallery)
    assert result.exit_code in (0, 1), result.stderr
    hits: list[dict[str, Any]] = json.loads(result.stdout)["hits"]
    return hits


def stems(hits: list[dict[str, Any]]) -> list[str]:
    return [Path(hit["path"]).stem.split()[-1] for hit in hits]


def test_relevance_stands_beside_the_score(gallery: Path) -> None:
    first = picfind("search", "a cat", gallery=gallery).stdout.splitlines()[0]
    rank, score, relevance, *_ = first.split()
    assert (rank, relevance[0], relevance[-1]) == ("1", "(", ")")
    assert 0.5 < float(relevance.strip("()")) <= 1
    assert 0 < float(score) <= 1


def test_reasons_on_demand(gallery: Path) -> None:
    told = picfind("search", "tabby cat", "-k", "1", "--why", gallery=gallery).stdout
    assert "pictures: tabby cat" in told
    assert "text: a tabby cat called Chelsea" in told


def test_what_to_match_against(gallery: Path) -> None:
    assert stems(answer("chelsea", "--against", "text", gallery=gallery)) == ["chelsea"]
    assert set(answer("chelsea", "--against", "pictures", gallery=gallery)[0]["shares"]) == {"pictures"}
    both = answer("chelsea", "--against", "pictures", "--against", "text", gallery=gallery)[0]
    assert set(both["shares"]) == {"pictures", "text"}
    assert picfind("search", "cat", "--against", "smells", gallery=gallery).exit_code == 2


def test_sorted_folded_and_in_pages(gallery: Path) -> None:
    by_date = answer("a rocket", "--sort", "date", "-k", "5", gallery=gallery)
    assert stems(by_date) == ["coins", "rocket", "coffee", "chelsea", "small"]
    folded = answer("a rocket", "--collapse", gallery=gallery)
    assert (len(folded), folded[0]["alike"]) == (4, 1)
    assert "(+1 alike)" in picfind("search", "a rocket", "--collapse", gallery=gallery).stdout
    second = answer("a rocket", "-k", "2", "--offset", "2", gallery=gallery)
    assert [hit["rank"] for hit in second] == [3, 4]
    assert second == answer("a rocket", "-k", "4", gallery=gallery)[2:]
    assert stems(answer("a rocket", "--diversity", "0.5", "-k", "2", gallery=gallery))[0] in (
        "rocket",
        "small",
    )


def test_more_and_less_like_a_picture(gallery: Path) -> None:
    (path,) = (Path(hit["path"]) for hit in answer("coffee", "--against", "text", gallery=gallery))
    assert stems(answer("--like", path, "-k", "1", gallery=gallery)) == ["coffee"]
    plain = {
        hit["content"]: hit["score"] for hit in answer("a photo", "--against", "pictures", gallery=gallery)
    }
    less = answer("a photo", "--unlike", path, "--against", "pictures", gallery=gallery)
    order = sorted(plain, key=lambda content: -plain[content])
    coffee = next(hit["content"] for hit in less if hit["path"] == str(path))
    assert [hit["content"] for hit in less].index(coffee) >= order.index(coffee)
    for nothing in ("no such picture", "~nobody-here/x.jpg", "x" * 5000 + ".jpg"):
        words = picfind("search", "--like", nothing, gallery=gallery)
        assert (words.exit_code, type(words.exception)) == (2, SystemExit), nothing
    told = picfind("search", "a cat", "--like", path, "--against", "words", gallery=gallery).stderr
    assert "pictures" in told


def test_a_table(gallery: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(picfind("search", "a cat", "--csv", gallery=gallery).stdout)))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert all(len(row["content"]) == 64 for row in rows)


def test_an_empty_query_says_so(gallery: Path) -> None:
    result = picfind("search", gallery=gallery)
    assert result.exit_code == 2
    assert "The query is empty" in result.stderr


ANYTHING = st.text(st.characters(codec="utf-8"), max_size=25)
PIECES = st.sampled_from(
    (
        "2:",
        "+",
        "-",
        "not",
        '"',
        "@",
        "@-x",
        "sha256:",
        "./",
        "x.jpg@1,2,3,4",
        "http://",
        "a cat",
        "--where=",
        "'",
    )
)


@given(st.lists(ANYTHING | PIECES, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_shows_a_stack_trace(gallery: Path, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["search", "-g", str(gallery), "--", *words], input=b"")
    assert result.exit_code in (0, 1, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.stderr
    if result.exit_code == 2:
        assert result.stderr.strip()
