"""Datasets with labels: Pascal VOC, one folder a class, and tables with labels."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind.datasets.base import DATASET, IMAGE_TO_IMAGE, IMAGE_TO_TEXT, TEXT_TO_IMAGE, Dataset
from picfind.errors import MissingSourceError, UsageError
from picfind.testing import DatasetSuite
from picfind.types import CAPTION, TAG, TITLE, Words
from tests.datasets_layouts import gaps_of, items_of, listed, opened, queries_of, voc, write_photos
from tests.photos import SHARED, write_photo

CLASSES = ("dog/a.jpg", "dog/b.jpg", "012.Golden_retriever/a.jpg", "loose.jpg", "dog/deep/c.jpg")


class TestVoc(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path) -> None:
        self.root = voc(tmp_path)

    def dataset(self) -> Dataset:
        return opened(f"voc:{self.root}#trainval")

    def missing(self) -> Dataset:
        return opened(f"voc:{self.root}/VOCdevkit/VOC2012/JPEGImages")


class TestLabelled(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path) -> None:
        self.root = tmp_path
        write_photos(tmp_path / "train", CLASSES)

    def dataset(self) -> Dataset:
        return opened(f"labelled:{self.root}#train")

    def missing(self) -> Dataset:
        return opened(f"labelled:{self.root}#val")


class TestTable(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path) -> None:
        self.root = tmp_path
        write_photos(tmp_path / "images", ("a.jpg", "b.jpg", "c.jpg"))
        rows = [{"image": f"{name}.jpg", "label": "cat", "captions": ["one", "two"]} for name in "abc"]
        (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def dataset(self) -> Dataset:
        return opened(f"table:{self.root}")

    def missing(self) -> Dataset:
        return opened(f"table:{self.root}/nothing.csv")


def test_classes_of_voc_are_labels(tmp_path: Path) -> None:
    voc(tmp_path)
    found = items_of(f"voc:{tmp_path}")
    assert [key.rpartition("/")[2] for key in found] == [f"2008_00000{number}.jpg" for number in range(1, 6)]
    words = found["VOCdevkit/VOC2012/JPEGImages/2008_000002.jpg"].words
    assert words == (Words("dog", DATASET, TAG), Words("person", DATASET, TAG))


def test_the_hard_ones_of_voc_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    voc(tmp_path)
    queries = queries_of(f"voc:{tmp_path}#trainval")
    base = "VOCdevkit/VOC2012/JPEGImages/2008_00000"
    dogs, persons = queries["dog#class"], queries["person#class"]
    assert dogs.right == {f"{base}1.jpg", f"{base}2.jpg"}
    assert dogs.ignored == {f"{base}4.jpg"}
    assert persons.right == {f"{base}{number}.jpg" for number in (2, 3, 4)}
    first, both = queries[f"{base}1.jpg#alike"], queries[f"{base}2.jpg#alike"]
    assert first.right == {f"{base}2.jpg"}
    assert first.ignored == {f"{base}1.jpg", f"{base}4.jpg"}
    assert both.right == {f"{base}{number}.jpg" for number in (1, 3, 4)}
    assert f"{base}5.jpg#alike" not in queries
    names = queries[f"{base}4.jpg#texts"]
    assert names.task == IMAGE_TO_TEXT
    assert names.right == {"person#class"}
    assert names.ignored == {"dog#class"}


@pytest.mark.parametrize("place", ["", "/VOCdevkit", "/VOCdevkit/VOC2007"])
def test_voc_is_found_from_outside_and_inside(tmp_path: Path, place: str) -> None:
    voc(tmp_path, "2007")
    assert len(listed(f"voc:{tmp_path}{place}#val")) == 2
    assert len(listed(f"voc:{tmp_path}{place}?year=2007#train+val")) == 5
    with pytest.raises(MissingSourceError, match=r"ImageSets/Main/train\.txt.*host\.robots"):
        listed(f"voc:{tmp_path}{place}?year=2012")
    with pytest.raises(MissingSourceError, match=r"Main/test\.txt"):
        listed(f"voc:{tmp_path}{place}#test")


def test_annotations_stand_in_where_a_split_has_no_lists_of_classes(tmp_path: Path) -> None:
    base = voc(tmp_path) / "VOCdevkit/VOC2012"
    for path in (base / "ImageSets/Main").glob("*_val.txt"):
        path.unlink()
    (base / "Annotations").mkdir()
    objects = "".join(
        f"<object><name>{name}</name><difficult>{hard}</difficult></object>"
        for name, hard in (("tvmonitor", 0), ("cat", 1), ("tvmonitor", 1))
    )
    path = base / "Annotations/2008_000004.xml"
    path.write_text(f"<annotation><filename>../../x</filename>{objects}</annotation>")
    queries = queries_of(f"voc:{tmp_path}#val")
    assert [query.text for query in queries.values() if query.text] == ["tv monitor"]
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>')
    with pytest.raises(UsageError, match=r"2008_000004\.xml is no annotation"):
        listed(f"voc:{tmp_path}#val")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("train.txt", "2008_000001\n../../../etc/passwd\n", "train.txt, line 2 is no name"),
        ("dog_train.txt", "2008_000001\n", "dog_train.txt, line 1 is no name of a picture and a verdict"),
        ("dog_train.txt", "2008_000001 7\n", "2008_000001 has 7 instead of"),
    ],
)
def test_a_broken_line_of_voc_is_named(tmp_path: Path, file: str, text: str, said: str) -> None:
    voc(tmp_path)
    (tmp_path / "VOCdevkit/VOC2012/ImageSets/Main" / file).write_text(text)
    with pytest.raises(UsageError, match=said):
        listed(f"voc:{tmp_path}#train")


def test_folders_are_classes(tmp_path: Path) -> None:
    write_photos(tmp_path, CLASSES)
    found = items_of(f"labelled:{tmp_path}")
    assert {key: [words.text for words in item.words] for key, item in found.items()} == {
        "012.Golden_retriever/a.jpg": ["Golden retriever"],
        "dog/a.jpg": ["dog"],
        "dog/b.jpg": ["dog"],
        "dog/deep/c.jpg": ["dog"],
        "loose.jpg": [],
    }
    queries = queries_of(f"labelled:{tmp_path}")
    assert queries["dog#class"].right == {"dog/a.jpg", "dog/b.jpg", "dog/deep/c.jpg"}
    assert queries["dog/a.jpg#alike"].right == {"dog/b.jpg", "dog/deep/c.jpg"}
    assert queries["dog/a.jpg#alike"].group == "dog"
    assert "012.Golden_retriever/a.jpg#alike" not in queries, "there is no other of its kind"


def test_a_split_is_the_folder_of_the_classes(tmp_path: Path) -> None:
    write_photos(tmp_path, ("train/dog/a.jpg", "val/dog/b.jpg", "val/cat/c.jpg"))
    assert listed(f"labelled:{tmp_path}#val") == ["val/cat/c.jpg", "val/dog/b.jpg"]
    assert [query.text for query in queries_of(f"labelled:{tmp_path}#val").values() if query.text] == [
        "cat",
        "dog",
    ]
    with pytest.raises(UsageError, match="no folder's name"):
        opened(f"labelled:{tmp_path}?split=../other")


def test_numbers_of_classes_are_not_asked_for_in_words(tmp_path: Path) -> None:
    write_photos(tmp_path, ("7/a.jpg", "7/b.jpg"))
    assert {query.task for query in queries_of(f"labelled:{tmp_path}").values()} == {IMAGE_TO_IMAGE}


def test_columns_are_known_by_their_names(tmp_path: Path) -> None:
    write_photo(tmp_path / "pics/a.jpg")
    row = {
        "File Name": "pics/a.jpg",
        "caption_0": "one",
        "caption_1": "two",
        "Title": "three",
        "keywords": "sea; sand",
        "class": "beach",
        "width": 7,
        "sentences": ["four"],
    }
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    (item,) = items_of(f"table:{tmp_path}/t.jsonl").values()
    assert item.words == tuple(
        Words(text, DATASET, kind)
        for kind, texts in (
            (CAPTION, ("one", "two", "four")),
            (TITLE, ("three",)),
            (TAG, ("beach", "sea", "sand")),
        )
        for text in texts
    )


def test_rows_of_one_picture_are_joined_and_splits_chosen(tmp_path: Path) -> None:
    write_photos(tmp_path, ("a.jpg", "b.jpg"))
    text = "image,caption,split\na.jpg,one,dev\nb.jpg,two,train\n./a.jpg,three,dev\n"
    (tmp_path / "t.csv").write_text(text)
    (item,) = items_of(f"table:{tmp_path}/t.csv#dev").values()
    assert (item.key, [words.text for words in item.words]) == ("a.jpg", ["one", "three"])
    assert len(listed(f"table:{tmp_path}/t.csv#dev+train")) == 2
    with pytest.raises(
        UsageError, match=r"t\.csv has no row of the split 'test'. Splits that it has: dev, train"
    ):
        listed(f"table:{tmp_path}/t.csv#test")


def test_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    write_photo(tmp_path / "pictures/x/a.jpg")
    table = tmp_path / "tables" / "t.csv"
    table.parent.mkdir()
    for name in ("x/a.jpg", "x\\a.jpg", f"{tmp_path}/pictures/x/a.jpg"):
        table.write_text(f"image,caption\n{name},one\n")
        assert listed(f"table:{table}?images=../pictures") == ["x/a.jpg"]
        assert listed(f"table:{table}?images={tmp_path}/pictures") == ["x/a.jpg"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b.jpg", "D:/a.jpg"])
def test_a_row_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text(f"image,caption\na.jpg,one\n{name},two\n")
    with pytest.raises(UsageError, match=r"t\.csv, row 2 names .*leads out of .*images=FOLDER"):
        listed(f"table:{tmp_path}/t.csv")


def test_a_table_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError, match=r"captions\.jsonl.*manifest\.csv"):
        listed(f"table:{tmp_path}")
    (tmp_path / "t.csv").write_text("colour,caption\nred,one\n")
    with pytest.raises(UsageError, match=r"row 1 names no picture. Call that column `image`"):
        listed(f"table:{tmp_path}/t.csv")
    (tmp_path / "t.jsonl").write_text('{"image": "a.jpg"}\n{"image": \n')
    with pytest.raises(UsageError, match=r"t\.jsonl, line 2 is no JSON"):
        listed(f"table:{tmp_path}/t.jsonl")
    write_photo(tmp_path / "a.jpg")
    (tmp_path / "t.csv").write_text("image,caption\na.jpg,one\nb.jpg,two\n")
    (gap,) = gaps_of(f"table:{tmp_path}/t.csv")
    assert gap.prefix == "b.jpg" and "1 picture is named and is not there" in gap.reason


captions = st.lists(
    st.text(
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Cf", "Zl", "Zp")),
        min_size=1,
    ).filter(lambda text: any(map(str.isalpha, text))),
    min_size=1,
    max_size=5,
    unique_by=str.casefold,
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    write_photo(folder / "a.jpg")
    return folder / "t.csv"


@settings(max_examples=40)
@given(
    captions,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_captions_survive_a_csv(table: Path, texts: list[str], end: str, encoding: str, quoted: bool) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerows([["image", "caption"], *(["a.jpg", text] for text in texts), [], []])
    table.write_bytes(out.getvalue().encode(encoding))
    asked = [query.text for query in opened(f"table:{table}").queries() if query.text is not None]
    stripped = list(dict.fromkeys(text.strip() for text in texts))
    assert asked == stripped[:5]


def test_caltech_is_read_as_it_is() -> None:
    folder = SHARED / "caltech101_retrieval"
    if not folder.is_dir():
        pytest.skip(f"there are no photos at {folder}")
    found = list(opened(f"table:{folder}").queries())
    by_task = {
        task: [query for query in found if query.task == task] for task in (TEXT_TO_IMAGE, IMAGE_TO_IMAGE)
    }
    assert (len(by_task[TEXT_TO_IMAGE]), len(by_task[IMAGE_TO_IMAGE])) == (100, 300)
    assert {len(query.right) for query in by_task[TEXT_TO_IMAGE]} == {20}
    assert {len(query.right) for query in by_task[IMAGE_TO_IMAGE]} == {17}
    assert {len(query.ignored) for query in by_task[IMAGE_TO_IMAGE]} == {300}
    assert len(listed(f"table:{folder}")) == 2000
    assert len(listed(f"labelled:{folder}/images")) == 2000


def test_flickr8k_is_read_as_it_is() -> None:
    folder = SHARED / "flickr8k"
    if not folder.is_dir():
        pytest.skip(f"there are no photos at {folder}")
    found = items_of(f"table:{folder}#dev")
    assert len(found) == 1000
    assert all(key.startswith("images/") for key in found)
    queries = queries_of(f"table:{folder}#dev").values()
    assert sum(query.task == TEXT_TO_IMAGE for query in queries) == 5000
    assert sum(query.task == IMAGE_TO_TEXT for query in queries) == 1000
