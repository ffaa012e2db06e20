"""Tables: the layouts in which captions are published, odd ones, broken ones."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picfind.errors import MissingSourceError, UsageError
from picfind.tables import read_rows

Rows = list[Mapping[str, str | list[str]]]


def rows(folder: Path, name: str, text: str | bytes) -> Rows:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(path))


def test_flickr8k_captions(tmp_path: Path) -> None:
    text = (
        "image,caption\n"
        "1000268201_693b08cb0e.jpg,A child in a pink dress is climbing up a set of stairs in an entry way .\n"
        '1007129816_e794419615.jpg,"A man , in an orange hat , says ""hello"" ."\n'
        "1007129816_e794419615.jpg,A man , with commas that nobody quoted .\n"
    )
    assert rows(tmp_path, "captions.txt", text) == [
        {
            "image": "1000268201_693b08cb0e.jpg",
            "caption": "A child in a pink dress is climbing up a set of stairs in an entry way .",
        },
        {"image": "1007129816_e794419615.jpg", "caption": 'A man , in an orange hat , says "hello" .'},
        {"image": "1007129816_e794419615.jpg", "caption": "A man , with commas that nobody quoted ."},
    ]


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "results_20130124.token"])
def test_token_files(tmp_path: Path, name: str) -> None:
    text = (
        '1000268201_693b08cb0e.jpg#0\tA child in a "pink" dress , outside .\r\n\r\na b.jpg#11\tTwo\tdogs\r\n'
    )
    assert rows(tmp_path, name, text) == [
        {"image": "1000268201_693b08cb0e.jpg", "caption": 'A child in a "pink" dress , outside .'},
        {"image": "a b.jpg", "caption": "Two\tdogs"},
    ]
    with pytest.raises(UsageError, match=r"token.*line 4 has no"):
        rows(tmp_path, name, text + "no caption here\n")


def test_flickr30k_with_bars_and_its_broken_line(tmp_path: Path) -> None:
    text = (
        "image_name| comment_number| comment\n"
        "1000092795.jpg| 0| Two young guys with shaggy hair .\n"
        "2199200615.jpg| 4   A dog runs across the grass .\n"
    )
    assert rows(tmp_path, "results.csv", text) == [
        {
            "image_name": "1000092795.jpg",
            "comment_number": "0",
            "comment": "Two young guys with shaggy hair .",
        },
        {"image_name": "2199200615.jpg", "comment_number": "4   A dog runs across the grass ."},
    ]


def test_quotation_marks_of_flickr30k_are_part_of_captions(tmp_path: Path) -> None:
    text = 'image_name| comment_number| comment\n1.jpg| 0| "A man walks .\n1.jpg| 1| A "big" dog | a cat .\n'
    found = rows(tmp_path, "results.csv", text)
    assert [row["comment"] for row in found] == ['"A man walks .', 'A "big" dog | a cat .']


COCO = {
    "info": {"description": "COCO 2017 Dataset", "year": 2017},
    "licenses": [{"id": 4, "name": "Attribution License"}],
    "images": [
        {"license": 4, "file_name": "000000397133.jpg", "height": 427, "width": 640, "id": 397133},
        {"license": 4, "file_name": "000000037777.jpg", "height": 230, "width": 352, "id": 37777},
    ],
    "annotations": [
        {
            "image_id": 37777,
            "id": 89,
            "caption": "The dining table near the kitchen has a bowl of fruit on it.",
        },
        {"image_id": 397133, "id": 37, "caption": "A man is in a kitchen making pizzas."},
        {"image_id": 37777, "id": 90, "caption": "A small kitchen has various appliances and a table."},
    ],
}


def test_coco_captions(tmp_path: Path) -> None:
    assert rows(tmp_path, "captions_val2017.json", json.dumps(COCO)) == [
        {"file_name": "000000397133.jpg", "captions": ["A man is in a kitchen making pizzas."]},
        {
            "file_name": "000000037777.jpg",
            "captions": [
                "The dining table near the kitchen has a bowl of fruit on it.",
                "A small kitchen has various appliances and a table.",
            ],
        },
    ]


def test_karpathy_splits(tmp_path: Path) -> None:
    image = {
        "filepath": "val2014",
        "sentids": [770337],
        "filename": "COCO_val2014_000000391895.jpg",
        "imgid": 0,
        "split": "test",
        "sentences": [
            {"tokens": ["a", "man"], "raw": "A man with a red helmet.", "imgid": 0, "sentid": 770337}
        ],
    }
    (row,) = rows(tmp_path, "dataset_coco.json", json.dumps({"images": [image], "dataset": "coco"}))
    assert row["file_name"] == "val2014/COCO_val2014_000000391895.jpg"
    assert row["sentences"] == ["A man with a red helmet."]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines_under_any_name(tmp_path: Path, name: str) -> None:
    text = '\ufeff{"file": "a.jpg", "captions": ["one", "two", null, 3], "width": 5, "box": {"x": 1}}\n\n{"file": "b"}\n'
    assert rows(tmp_path, name, text) == [
        {"file": "a.jpg", "captions": ["one", "two", "3"], "width": "5"},
        {"file": "b"},
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"image": "a.jpg", "caption": " x "}], [{"image": "a.jpg", "caption": "x"}]),
        (
            {"a.jpg": "x", "b.jpg": ["y", "z"]},
            [{"image": "a.jpg", "caption": "x"}, {"image": "b.jpg", "caption": ["y", "z"]}],
        ),
        ({"a.jpg": {"tags": "1girl, solo"}}, [{"image": "a.jpg", "tags": "1girl, solo"}]),
        ([], []),
        ([{"image": "\ud800.jpg"}], [{"image": "\ufffd.jpg"}]),
    ],
)
def test_lists_and_objects(tmp_path: Path, value: Any, expected: Rows) -> None:
    assert rows(tmp_path, "a.json", json.dumps(value)) == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.TXT"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_encodings_are_found(tmp_path: Path, name: str, delimiter: str, encoding: str) -> None:
    target = io.StringIO()
    table = [["image", "caption", "tags"], ["ä.jpg", 'a "dog", a cat; more\nand | more', "x"]]
    csv.writer(target, delimiter=delimiter).writerows(table)
    assert rows(tmp_path, name, target.getvalue().encode(encoding)) == [dict(zip(*table, strict=True))]


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_what_csv_and_json_write_comes_back(tmp_path: Path, table: list[tuple[str, str]]) -> None:
    target = io.StringIO()
    csv.writer(target).writerows([("image", "caption"), *table])
    wanted = [{k: v for k, v in zip(("image", "caption"), row, strict=True) if v} for row in table]
    assert rows(tmp_path, "a.csv", target.getvalue()) == wanted
    assert rows(tmp_path, "a.jsonl", "\n".join(map(json.dumps, wanted))) == wanted
    assert rows(tmp_path, "a.json", json.dumps(wanted)) == wanted


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", b"image,caption\na.jpg,x\nb.jpg,caf\xe9\n", r"a\.csv, line 3 is no text in UTF-8"),
        (
            "a.csv",
            b'image,caption\na.jpg,"x\n' + b"y\n" * 80_000,
            r"a\.csv, line \d+ cannot be read.*quotation mark",
        ),
        ("a.csv", b"\xff\xfei\0m\0\0\xd8", r"a\.csv, line 1 is no text in UTF-16"),
        ("a.jsonl", b'{"a": "b"}\n{"a": \n', r"a\.jsonl, line 2 is no JSON"),
        ("a.jsonl", b'{"a": "b"}\n\n[1]\n', r"a\.jsonl, line 3 is no JSON object"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl, line 1 is no JSON"),
        ("a.jsonl", b"x" * (1 << 24), r"a\.jsonl, line 1 is longer"),
        ("a.json", b'{\n"a": }', r"a\.json, line 2 is no JSON"),
        ("a.json", b"[" * 100_000, r"a\.json is no JSON"),
        ("a.json", b"[1]", r"a\.json: entry 1 is no object"),
        ("a.json", b"3", r"a\.json holds neither"),
        ("a.json", b'{"a": "b"} x', r"a\.json, line 1 is no JSON"),
        ("a.json", b"\xff\xfe\0\xd8", r"a\.json is no JSON in UTF-8"),
        ("a.json", b"1" * 5000, r"a\.json is no JSON"),
        ("a.parquet", b"PAR1", r"a\.parquet has no ending of a table"),
    ],
)
def test_what_is_no_table_is_said_with_its_place(
    tmp_path: Path, name: str, text: bytes, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        rows(tmp_path, name, text)


def test_a_table_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError, match=r"gone\.csv"):
        list(read_rows(tmp_path / "gone.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=r"folder\.csv cannot be read"):
        list(read_rows(tmp_path / "folder.csv"))


def test_a_table_is_read_as_it_comes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"image,caption\na.jpg,x\n\xff\n")
    reading = read_rows(tmp_path / "a.csv")
    assert next(reading) == {"image": "a.jpg", "caption": "x"}
    with pytest.raises(UsageError, match="line 3"):
        next(reading)


def test_a_huge_json_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate((1 << 29) + 1)
    if sys.platform == "win32" or path.stat().st_blocks > 8:
        pytest.skip("this disk keeps no sparse files")
    with pytest.raises(UsageError, match="Convert it to JSON Lines"):
        list(read_rows(path))


pieces = st.sampled_from(
    ['"', ",", "\n", "\t", "{", "}", "[", "]", ":", "a#0\t", "image", "é", "\0", "1", "\\", " "]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.sampled_from([".csv", ".token", ".jsonl", ".json"]),
    st.lists(pieces).map("".join).map(str.encode) | st.binary(),
)
def test_any_bytes_are_rows_or_an_error_that_names_the_file(tmp_path: Path, ending: str, data: bytes) -> None:
    try:
        found = rows(tmp_path, f"table{ending}", data)
    except UsageError as error:
        assert f"table{ending}" in str(error)
    else:
        for row in found:
            for cell in row.values():
                assert cell
                "".join(cell).encode("utf-8")
