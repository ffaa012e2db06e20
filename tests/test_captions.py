"""Words beside pictures, in their names, and in tables."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picfind.captions.naming import said_in
from picfind.captions.sidecar import text_words, words_mark, words_of
from picfind.captions.table import CaptionTable
from picfind.datasets.folder import Folder
from picfind.errors import MissingSourceError, UsageError
from picfind.images.texts import plain
from picfind.types import CAPTION, TAG, TITLE, Fingerprint, Item, Sidecar, Words

from . import photos
from .test_images_words import DOG, bag, xmp


def item(key: str = "1.jpg", *, words: tuple[Words, ...] = (), **sidecars: bytes) -> Item:
    """An item with sidecars, which are named by their endings."""
    beside = tuple(
        Sidecar(f"1.{ending}", Fingerprint("1"), lambda data=data: io.BytesIO(data))  # type: ignore[misc]
        for ending, data in sidecars.items()
    )
    return Item(key, Fingerprint("1"), io.BytesIO, words=words, sidecars=beside)


def flat(words: Sequence[Words]) -> list[tuple[str, str, str]]:
    return [(word.text, word.origin, word.kind) for word in words]


# Sidecars


def test_words_of_a_name_come_in_order_and_each_text_once() -> None:
    own = Words("A dog", "shop", TITLE)
    found = words_of(
        item(
            "Rome 2019/a_dog.jpg",
            words=(own,),
            txt=b"a DOG\nOn the beach\nRome",
            xmp=xmp(bag("dc:subject", "sea")),
        )
    )
    assert flat(found) == [
        ("A dog", "shop", TITLE),
        ("On the beach", "text file", CAPTION),
        ("Rome", "text file", CAPTION),
        ("sea", "XMP sidecar", TAG),
    ]


def test_words_of_real_files(tmp_path: Path) -> None:
    for name, data in {
        "Rome/b.jpg": b"x",
        "Rome/b.txt": "Ein Bär".encode(),
        "Rome/b.jpg.xmp": xmp(DOG),
        "Rome/B.caption": b"Another",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (listed,) = Folder(tmp_path).items()
    assert isinstance(listed, Item)
    assert flat(words_of(listed)) == [
        ("Another", "text file", CAPTION),
        ("A dog", "XMP sidecar", CAPTION),
        ("Ein Bär", "text file", CAPTION),
        ("b", "file name", TAG),
        ("Rome", "folder", TAG),
    ]


def test_a_sidecar_that_cannot_be_read_gives_nothing() -> None:
    def fail() -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    broken = Sidecar("1.caption", Fingerprint("1"), fail)
    whole = item(txt=b"A dog")
    assert flat(words_of(replace(whole, sidecars=(broken, *whole.sidecars)))) == [
        ("A dog", "text file", CAPTION)
    ]


def test_sidecars_are_read_up_to_a_limit() -> None:
    class Endless(io.RawIOBase):
        asked = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 <= size <= 1 << 21
            Endless.asked += size
            return "ä".encode() * (size // 2) + b"x" * (size % 2)

    beside = Sidecar("1.txt", Fingerprint("1"), lambda: Endless())  # type: ignore[arg-type,return-value]
    (found,) = words_of(Item("1.jpg", Fingerprint("1"), io.BytesIO, sidecars=(beside,)))
    assert set(found.text) == {"ä"}
    assert Endless.asked == 64 * 1024 + 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Ein Bär".encode(), [("Ein Bär", CAPTION)]),
        ("\ufeffEin Bär\r\n".encode(), [("Ein Bär", CAPTION)]),
        ("Ein Bär".encode("utf-16"), [("Ein Bär", CAPTION)]),
        (b"\xfe\xff" + "Ein Bär".encode("utf-16-be"), [("Ein Bär", CAPTION)]),
        ("Ein Bär".encode("latin-1"), [("Ein Bär", CAPTION)]),
        ("A “dog”".encode("cp1252"), [("A “dog”", CAPTION)]),
        (b"one\n\n two \nthree\none", [("one", CAPTION), ("two", CAPTION), ("three", CAPTION)]),
        (b"1girl, solo, long hair, ", [("1girl", TAG), ("solo", TAG), ("long hair", TAG)]),
        (b"A dog, a cat, and a bird.", [("A dog, a cat, and a bird.", CAPTION)]),
        (
            b"photo of a dog, standing in the park, autumn",
            [("photo of a dog, standing in the park, autumn", CAPTION)],
        ),
        (b"a man, wearing a hat", [("a man, wearing a hat", CAPTION)]),
        (b"0 0.5 0.5 0.25 0.3\n16 0.1 0.2 0.3 0.4\n", []),
        (b"\x89PNG\0\0\x01", []),
        (b"", []),
        (b" \r\n", []),
    ],
)
def test_text_files(data: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(word.text, word.kind) for word in text_words(data)] == expected


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"]))
def test_any_bytes_are_words_or_none(data: bytes, mark: bytes) -> None:
    for word in words_of(item(txt=mark + data, xmp=mark + data)):
        word.text.encode("utf-8")
        assert word.text == plain(word.text) != ""


def test_the_mark_changes_with_all_that_words_depend_on_and_reads_nothing() -> None:
    def never() -> io.BytesIO:
        raise AssertionError("a mark reads nothing")

    beside = Sidecar("1.txt", Fingerprint("1"), never)
    base = replace(item(), sidecars=(beside,), open=never)
    changed = [
        replace(base, key="2.jpg"),
        replace(base, sidecars=()),
        replace(base, sidecars=(replace(beside, fingerprint=Fingerprint("2")),)),
        replace(base, sidecars=(replace(beside, key="1.caption"),)),
        replace(base, words=(Words("a", "b"),)),
        replace(base, words=(Words("a", "b", TAG),)),
        replace(base, words=(Words("b", "a"),)),
    ]
    marks = [words_mark(one) for one in (base, *changed)]
    assert len(set(marks)) == len(marks)
    assert words_mark(replace(base, fingerprint=Fingerprint("2"), dated=5.0)) == marks[0]
    assert words_mark(replace(base, key="Bär \ud800.jpg"))


# Names


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dog_on-the-beach2", "dog on the beach"),
        ("MyDogAtBeach", "My Dog At Beach"),
        ("HTMLPage", "HTML Page"),
        ("iPhone 12", "iPhone"),
        ("2019-07 Rome", "Rome"),
        ("IMG_1234 Rome", "Rome"),
        ("20190701_Été à Paris", "Été à Paris"),
        ("e\u0301te\u0301", "e\u0301te\u0301"),
        ("grandma's birthday", "grandma's birthday"),
        ("東京タワー2019", "東京タワー"),
        ("हिन्दी_चित्र", "हिन्दी चित्र"),
        ("apple pie", "apple pie"),
        ("signal tower", "signal tower"),
        ("the dog", "the dog"),
        ("facade", "facade"),
        ("dog (1)", "dog"),
        ("beach.2019", "beach"),
    ],
)
def test_what_people_call_things(name: str, said: str) -> None:
    assert said_in(name) == said


@pytest.mark.parametrize(
    "name",
    [
        *(
            "IMG_1234",
            "DSC01234",
            "_DSC0001",
            "DSCN0001",
            "P1010001",
            "PXL_20230102_030405678",
            "20230102_030405",
        ),
        *(
            "IMG-20190701-WA0001",
            "WhatsApp Image 2023-01-02 at 10.11.12",
            "Screenshot 2023-01-01 at 10.11.12",
        ),
        *(
            "Screenshot_20230101-101010_Instagram",
            "Bildschirmfoto 2020-01-01 um 10.00.00",
            "MVIMG_20190101",
            "GOPR0012",
        ),
        *(
            "550e8400-e29b-41d4-a716-446655440000",
            "693b08cb0e",
            "1000268201_693b08cb0e",
            "4k8f2a9zQ1",
            "2019",
            "12",
        ),
        *(
            "d41d8cd98f00b204e9800998ecf8427e",
            "2019-07-12",
            "photo_2021-02-03_10-11-12",
            "signal-2021-02-03-101112",
        ),
        *(
            "COCO_val2014_000000391895",
            "coco_000000000790",
            "IMG_1234 (1)",
            "IMG_1234-edited",
            "image1",
            "Scan 12",
        ),
        *(
            "DCIM",
            "100APPLE",
            "101_PANA",
            "Camera Roll",
            "Pictures",
            "photos",
            "images",
            "img",
            "data",
            "train",
            "val2017",
        ),
        *("Photos from 2019", "New folder (2)", "PXL_20230101_101010.PORTRAIT", "", "-", "2019-07"),
    ],
)
def test_what_cameras_and_programs_call_things(name: str) -> None:
    assert said_in(name) == ""


def test_each_folder_says_its_own() -> None:
    found = words_of(item("2019/Summer in Rome/DCIM/100APPLE/Colosseum at night/IMG_0001.JPG"))
    assert flat(found) == [("Colosseum at night", "folder", TAG), ("Summer in Rome", "folder", TAG)]
    assert flat(words_of(item("caf%E9/e\u0301te\u0301.jpeg"))) == [
        ("été", "file name", TAG),
        ("café", "folder", TAG),
    ]
    assert flat(words_of(item("no ending"))) == [("no ending", "file name", TAG)]


@given(st.text(max_size=40))
def test_any_name_says_words_or_nothing(key: str) -> None:
    for word in words_of(item(key)):
        assert word.text == plain(word.text) != ""
        assert not any(sign.isdecimal() for sign in word.text)


# Tables


def table(folder: Path, text: str, name: str = "captions.csv") -> CaptionTable:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return CaptionTable.read(path)


def said(found: CaptionTable, key: str) -> list[str]:
    return [word.text for word in found.words_for(key)]


def test_rows_of_one_picture_join_in_their_order(tmp_path: Path) -> None:
    found = table(tmp_path, "image,caption\na.jpg,One\nb.jpg,Other\na.jpg,Two\na.jpg,one\n")
    assert len(found) == 2
    assert flat(found.words_for("a.jpg")) == [("One", "table", CAPTION), ("Two", "table", CAPTION)]
    assert found.words_for("c.jpg") == ()


def test_columns_by_their_names(tmp_path: Path) -> None:
    found = table(
        tmp_path, "Title;File Name;Alt-Text;Keywords;price\nHead;x/a.jpg;A dog;red, big dog,red;5\n"
    )
    assert flat(found.words_for("a.jpg")) == [
        ("Head", "table", TITLE),
        ("A dog", "table", CAPTION),
        ("red", "table", TAG),
        ("big dog", "table", TAG),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"file_name": "a.jpg", "text": "x"}, [("x", CAPTION)]),
        ({"name": "a.jpg", "caption": "x"}, [("x", CAPTION)]),
        ({"name": "The thing", "path": "a.jpg"}, [("The thing", TITLE)]),
        ({"file": "a.jpg", "tags": ["one, two", "three"]}, [("one, two", TAG), ("three", TAG)]),
        ({"file": "a.jpg", "tags": "one, two; three"}, [("one, two", TAG), ("three", TAG)]),
        ({"image": "a.jpg", "raw": '["One .", "Two ."]'}, [("One .", CAPTION), ("Two .", CAPTION)]),
        ({"image": "a.jpg", "raw": '["One .", "Two ."'}, [('["One .", "Two ."', CAPTION)]),
        ({"image": "a.jpg", "caption": '["One", ]"]'}, [('["One", ]"]', CAPTION)]),
        ({"image": "a.jpg", "label": "dog", "image_id": 5}, [("dog", TAG)]),
        ({"image": ["no", "name"], "file": "a.jpg", "caption": "x"}, [("x", CAPTION)]),
    ],
)
def test_cells(tmp_path: Path, row: dict[str, object], expected: list[tuple[str, str]]) -> None:
    found = table(tmp_path, json.dumps(row), "captions.jsonl")
    assert [(word.text, word.kind) for word in found.words_for("a.jpg")] == expected


@pytest.mark.parametrize(
    ("paths", "key", "expected"),
    [
        (["a.jpg"], "a.jpg", "a.jpg"),
        (["images/a.jpg"], "a.jpg", "images/a.jpg"),
        (["a.jpg"], "images/a.jpg", "a.jpg"),
        (["/home/me/photos/x/a.jpg"], "x/a.jpg", "/home/me/photos/x/a.jpg"),
        ([r"C:\photos\x\a.jpg"], "x/a.jpg", r"C:\photos\x\a.jpg"),
        (["./x//a.jpg"], "x/a.jpg", "./x//a.jpg"),
        (["http://host/x/a.jpg"], "a.jpg", "http://host/x/a.jpg"),
        (["a.jpg", "x/a.jpg"], "r/x/a.jpg", "x/a.jpg"),
        (["a.jpg", "r/x/a.jpg"], "x/a.jpg", "r/x/a.jpg"),
        (["a.jpg", "r/a.jpg"], "a.jpg", "a.jpg"),
        (["x/a.jpg", "y/a.jpg"], "a.jpg", None),
        (["p/x/a.jpg", "q/x/a.jpg", "a.jpg"], "x/a.jpg", None),
        (["x/a.jpg"], "y/a.jpg", None),
        (["ca.jpg"], "a.jpg", None),
        (["a.jpg"], "ca.jpg", None),
        (["A.JPG"], "x/a.jpg", "A.JPG"),
        (["A.jpg", "a.jpg"], "a.jpg", "a.jpg"),
        (["A.jpg", "a.jpg"], "a.JPG", None),
        (["e\u0301te\u0301.jpg"], "\u00e9t\u00e9.jpg", "e\u0301te\u0301.jpg"),
        (["\u00e9t\u00e9.jpg"], "x/e\u0301te\u0301.jpg", "\u00e9t\u00e9.jpg"),
    ],
)
def test_which_row_is_which_picture(paths: list[str], key: str, expected: str | None) -> None:
    found = CaptionTable({path: [Words(f"of {path}", "table")] for path in paths})
    assert said(found, key) == ([] if expected is None else [plain(f"of {expected}")])


parts = st.lists(st.sampled_from(["a", "b", "A"]), min_size=1, max_size=4).map("/".join)


@given(st.sets(parts, min_size=1, max_size=6), parts)
def test_matching_agrees_with_its_definition(paths: set[str], key: str) -> None:
    def agrees(path: str, other: str) -> bool:
        return f"/{path}".endswith(f"/{other}") or f"/{other}".endswith(f"/{path}")

    def meant(fold: bool) -> list[str]:
        folded = {path: path.casefold() if fold else path for path in paths}
        wanted = key.casefold() if fold else key
        near = {path: min(len(form), len(wanted)) for path, form in folded.items() if agrees(form, wanted)}
        best = [path for path in near if near[path] == max(near.values())]
        whole = [path for path in best if folded[path] == wanted]
        return whole or best

    wanted = meant(False) or meant(True)
    found = CaptionTable({path: [Words(f"of {path}", "table")] for path in paths})
    assert [word.text for word in found.words_for(key)] == ([f"of {wanted[0]}"] if len(wanted) == 1 else [])


def test_what_no_picture_matches(tmp_path: Path) -> None:
    found = table(tmp_path, "image,caption\nx/a.jpg,One\nb.jpg,Two\nc.jpg,Three\n")
    assert found.unmatched(["x/a.jpg", "y/c.jpg", "d.jpg"]) == ["b.jpg"]
    assert found.unmatched([]) == ["x/a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "captions.csv holds no row"),
        ("image,caption\n", "captions.csv holds no row"),
        (
            "who,caption\na,b\n",
            "No column of .*captions.csv names the pictures; there are: who, caption. Call",
        ),
        (
            "image,price\na.jpg,5\n",
            "No column of .* says something of the pictures; there are: image, price. Call",
        ),
        ("image,caption\na.jpg,\n,b\n", "No row of .* has both"),
        (",".join(f"c{n}" for n in range(50)) + "\n" + "x," * 49 + "x\n", r"c18, c19, \.\.\."),
    ],
)
def test_a_table_that_is_of_no_use_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        table(tmp_path, text)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError, match=r"gone\.csv"):
        CaptionTable.read(tmp_path / "gone.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.binary(max_size=120), st.sampled_from(["image,caption,tags\n", "image#0\ta\n", '{"image":', "[", ""])
)
def test_any_bytes_are_a_table_or_an_error(tmp_path: Path, data: bytes, start: str) -> None:
    for ending in (".csv", ".jsonl", ".json"):
        path = tmp_path / f"table{ending}"
        path.write_bytes(start.encode() + data)
        try:
            found = CaptionTable.read(path)
        except UsageError as error:
            assert "table" in str(error)
        else:
            assert len(found) == len(found.unmatched([])) > 0


def test_the_manifest_of_the_open_photos_matches_all_of_them() -> None:
    folder = photos.SHARED / "demo_open"
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip("the open photos are not on this machine")
    found = CaptionTable.read(folder / "manifest.jsonl")
    listed = [one.key for one in Folder(folder).items() if isinstance(one, Item)]
    assert found.unmatched(listed) == []
    assert sum(bool(found.words_for(key)) for key in listed) == len(found) > 20
