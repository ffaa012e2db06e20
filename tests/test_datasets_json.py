"""Large JSON files are read entry by entry, whatever they hold and wherever the window cuts them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind.datasets import _json
from picfind.errors import MissingSourceError, UsageError

texts = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=4)
layouts = st.sampled_from([{}, {"indent": 1}, {"separators": (" ,\r\n", "\t: ")}, {"ensure_ascii": False}])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "a.json"


@settings(max_examples=50)
@given(st.lists(objects, max_size=6), layouts, st.integers(1, 40))
def test_a_list_is_read_as_json_reads_it(
    file: Path, entries: list[Any], layout: dict[str, Any], window: int
) -> None:
    file.write_text(json.dumps(entries, **layout), encoding="utf-8")
    with patch.object(_json, "_CHUNK", window):
        assert [dict(record.values) for record in _json.records(file)] == entries


@settings(max_examples=50)
@given(st.lists(objects, max_size=4), st.dictionaries(texts, values, max_size=4), layouts, st.integers(1, 40))
def test_a_member_is_read_as_json_reads_it(
    file: Path, entries: list[Any], others: dict[str, Any], layout: dict[str, Any], window: int
) -> None:
    whole = {**others, "images": entries, "after": others}
    file.write_text("\ufeff" + json.dumps(whole, **layout), encoding="utf-8")
    with patch.object(_json, "_CHUNK", window):
        assert [dict(record.values) for record in _json.records(file, "images")] == entries


@settings(max_examples=50)
@given(st.lists(objects, min_size=1, max_size=4), st.data(), st.integers(1, 40))
def test_a_file_that_ends_too_early_is_refused(
    file: Path, entries: list[Any], data: st.DataObject, window: int
) -> None:
    text = json.dumps(entries)
    file.write_text(text[: data.draw(st.integers(0, len(text) - 1))], encoding="utf-8")
    with patch.object(_json, "_CHUNK", window), pytest.raises(UsageError, match=r"a\.json, line 1 "):
        list(_json.records(file))


@pytest.mark.parametrize("window", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1},\n {"b": }]', "line 2 is no JSON"),
        ('[{"a": 1}\n\n {"b": 2}]', "line 3 has neither a comma"),
        ('[{"a": 1},\n 7]', "entry 2 is no object"),
        ("{}", "not have a list"),
        ("[null]", "entry 1 is no object"),
        ("[{}]\n[{}]", "line 2 goes on behind its end"),
        ("", "line 1 does not have a list"),
        ("[" * 100_000, "no JSON that can be read"),
        ('[{"a": ' + "9" * 5000 + "}]", "no JSON that can be read"),
    ],
)
def test_what_is_broken_is_said_with_its_line(file: Path, text: str, said: str, window: int) -> None:
    file.write_text(text, encoding="utf-8")
    with patch.object(_json, "_CHUNK", window), pytest.raises(UsageError, match=said):
        list(_json.records(file))


def test_an_entry_without_end_is_refused_before_it_fills_the_memory(file: Path) -> None:
    file.write_text('[{"a": "' + "x" * 5000, encoding="utf-8")
    with (
        patch.object(_json, "_CHUNK", 100),
        patch.object(_json, "_LONGEST_ENTRY", 1000),
        pytest.raises(UsageError, match="more than 1,000 characters"),
    ):
        list(_json.records(file))


def test_what_is_no_utf_8_is_refused(file: Path) -> None:
    file.write_bytes('[{"a": "é"}]'.encode("latin-1"))
    with pytest.raises(UsageError, match="no text in UTF-8"):
        list(_json.records(file))


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError, match=r"nothing\.json"):
        list(_json.records(tmp_path / "nothing.json"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(_json.records(tmp_path))


def test_members_must_be_what_they_should(file: Path) -> None:
    file.write_text('[{"name": " ", "count": true, "id": "12", "all": {}}]', encoding="utf-8")
    (record,) = _json.records(file)
    assert record.number("id") == 12
    with pytest.raises(UsageError, match="entry 1 has no text `name`"):
        record.text("name")
    with pytest.raises(UsageError, match="has no whole number `count`"):
        record.number("count")
    with pytest.raises(UsageError, match="has no list `all`"):
        list(record.records("all"))
