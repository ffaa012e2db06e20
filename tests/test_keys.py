"""Keys: reversible for every name, safe to show, dates read from names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from picfind import keys

names = st.binary(min_size=1).filter(lambda raw: b"\0" not in raw)


@given(names)
@example(b"%25%FF\xff%")
@example(b"100%ab")
@example(b"%%\xff0\xc3")
def test_every_name_comes_back(name: bytes) -> None:
    key = keys.escape(name)
    assert keys.raw(key) == name
    key.encode("utf-8")  # no surrogates: SQLite and print take it


@pytest.mark.skipif(sys.platform == "win32", reason="names are no bytes on Windows")
@given(names)
def test_the_path_of_a_key_is_what_the_system_uses(name: bytes) -> None:
    path = os.fsdecode(name)
    assert keys.unescape(keys.escape(path)) == path
    assert keys.escape(path) == keys.escape(name)


@given(st.text())
def test_text_with_lone_surrogates_can_be_escaped(text: str) -> None:
    keys.escape(text).encode("utf-8")


@given(names, names)
def test_different_names_have_different_keys(first: bytes, second: bytes) -> None:
    assert (keys.escape(first) == keys.escape(second)) == (first == second)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("2020/été.jpg", "2020/été.jpg"),
        ("100%.jpg", "100%.jpg"),
        ("100%25.jpg", "100%2525.jpg"),
        ("50%af.jpg", "50%25af.jpg"),
        (b"caf\xe9.jpg", "caf%E9.jpg"),
        ("line\nbreak.jpg", "line\nbreak.jpg"),
        ("\ud800.jpg", "%ED%A0%80.jpg"),
    ],
)
def test_escape(name: str | bytes, key: str) -> None:
    assert keys.escape(name) == key


@given(st.text())
def test_what_is_shown_is_one_line_without_controls(text: str) -> None:
    shown = keys.shown(keys.escape(text))
    assert len(shown.splitlines()) <= 1
    assert all(ord(letter) >= 32 and not 0x7F <= ord(letter) < 0xA0 for letter in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b[31mred\x9b0m", r"\x1b[31mred\x9b0m"),
        ("gnp\u202egpj.exe", r"gnp\u202egpj.exe"),
        ("Ελλάδα 🏖️.jpg", "Ελλάδα 🏖️.jpg"),
        ("C:\\Photos\\a.jpg", "C:\\Photos\\a.jpg"),
    ],
)
def test_shown(text: str, shown: str) -> None:
    assert keys.shown(text) == shown


def test_composed_and_decomposed_accents_are_the_same() -> None:
    composed, decomposed = "\u00e9te\u0301.jpg", "e\u0301t\u00e9.jpg"
    assert composed != decomposed
    assert keys.same(composed, decomposed)
    assert keys.folded(composed) == keys.folded(decomposed)
    assert not keys.same("a.jpg", "A.jpg")


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("IMG_20230514_101530.jpg", "2023-05-14T10:15:30"),
        ("PXL_20230514_101530123.jpg", "2023-05-14T10:15:30"),
        ("PXL_20230514_101530123.MP.jpg", "2023-05-14T10:15:30"),
        ("2023-05-14 10.15.30.jpg", "2023-05-14T10:15:30"),
        ("Screenshot_2023-05-14-10-15-30-123_com.example.jpg", "2023-05-14T10:15:30"),
        ("Screenshot 2023-05-14 at 9.05.30\u202fPM.png", "2023-05-14T21:05:30"),
        ("Screenshot 2023-05-14 at 12.05.30 AM.png", "2023-05-14T00:05:30"),
        ("WhatsApp Image 2023-05-14 at 10.15.30.jpeg", "2023-05-14T10:15:30"),
        ("IMG-20230514-WA0001.jpg", "2023-05-14"),
        ("signal-2023-05-14-101530.jpg", "2023-05-14T10:15:30"),
        ("20230514101530.jpg", "2023-05-14T10:15:30"),
        ("2023-05-14T10:15:30.jpg", "2023-05-14T10:15:30"),
        ("holidays/1999-01-01/IMG_20230514.jpg", "2023-05-14"),
        ("1887-05-03 wedding.jpg", "1887-05-03"),
        ("2024-02-29.jpg", "2024-02-29"),
        ("20230514_996199.jpg", "2023-05-14"),
        ("20231399_20230514.jpg", "2023-05-14"),
        ("2023-02-29.jpg", None),
        ("20231301.jpg", None),
        ("18000101.jpg", None),
        ("21010101.jpg", None),
        ("FB_IMG_1684059330123.jpg", None),
        ("DSC_0001.jpg", None),
        ("2023-05_14.jpg", None),
        ("2023-05-14/DSC_0001.jpg", None),
        ("", None),
    ],
)
def test_date_in_name(name: str, date: str | None) -> None:
    assert keys.date_in_name(name) == date


@given(st.text(alphabet="0123456789-_. TatPM"))
def test_any_name_has_a_date_or_none(name: str) -> None:
    date = keys.date_in_name(name)
    assert date is None or len(date) in (10, 19)


@pytest.mark.skipif(os.sep != "/", reason="POSIX paths")
def test_an_absolute_path_is_plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert keys.absolute(Path("a/../b")) == tmp_path / "b"
    assert str(keys.absolute(Path("//a/b/"))) == "/a/b"
