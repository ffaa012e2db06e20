"""Datasets with captions: MSCOCO, Flickr8k and Flickr30k, Visual Genome, in the layouts of their owners."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from picfind.datasets.base import DATASET, IMAGE_TO_TEXT, TEXT_TO_IMAGE, Dataset
from picfind.errors import MissingSourceError, UsageError
from picfind.testing import DatasetSuite
from picfind.types import CAPTION, Words
from tests.datasets_layouts import (
    CAPTIONS,
    coco_2014,
    coco_captions,
    gaps_of,
    items_of,
    karpathy,
    listed,
    opened,
    queries_of,
    visual_genome,
    write_json,
    write_photos,
)

NAMES = ("1000268201_693b08cb0e.jpg", "1001773457_577c3a7d70.jpg", "1002674143_1b742ab4b8.jpg")


class TestCoco(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path) -> None:
        self.root = tmp_path
        coco_2014(tmp_path / "coco")

    def dataset(self) -> Dataset:
        return opened(f"coco:{self.root}/coco")

    def missing(self) -> Dataset:
        return opened(f"coco:{self.root}/elsewhere")


class TestVisualGenome(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path) -> None:
        self.root = visual_genome(tmp_path)

    def dataset(self) -> Dataset:
        return opened(f"visual_genome:{self.root}")

    def missing(self) -> Dataset:
        return opened(f"visual-genome:{self.root}/VG_100K")


class TestFlickr(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path) -> None:
        self.root = flickr8k(tmp_path)

    def dataset(self) -> Dataset:
        return opened(f"flickr:{self.root}#train")

    def missing(self) -> Dataset:
        return opened(f"flickr:{self.root}/Flicker8k_Dataset")


def test_karpathys_split_of_coco(tmp_path: Path) -> None:
    coco_2014(tmp_path)
    assert listed(f"coco:{tmp_path}#test") == [
        "val2014/COCO_val2014_000000000074.jpg",
        "val2014/COCO_val2014_000000000133.jpg",
    ]
    assert len(listed(f"coco:{tmp_path}#train+restval")) == 3
    assert len(listed(f"coco:{tmp_path}")) == 6
    assert opened(f"coco:{tmp_path}#test").name == "coco#test"


def test_five_captions_a_picture_are_queries_and_all_are_words(tmp_path: Path) -> None:
    write_photos(tmp_path / "val2014", ["COCO_val2014_000000000074.jpg"])
    pictures = [
        {
            "filepath": "val2014",
            "filename": "COCO_val2014_000000000074.jpg",
            "cocoid": 74,
            "split": "test",
            "captions": [*CAPTIONS, "The sixth ."],
        }
    ]
    karpathy(tmp_path / "dataset_coco.json", pictures)
    key = "val2014/COCO_val2014_000000000074.jpg"
    words = items_of(f"coco:{tmp_path}")[key].words
    assert words == tuple(Words(text, DATASET, CAPTION) for text in (*CAPTIONS, "The sixth ."))
    queries = list(queries_of(f"coco:{tmp_path}").values())
    assert [query.text for query in queries] == [*CAPTIONS, None]
    texts, picture = queries[:5], queries[5]
    assert {(query.task, query.answers, query.group) for query in texts} == {
        (TEXT_TO_IMAGE, frozenset({key}), key)
    }
    assert (picture.task, picture.picture, picture.group) == (IMAGE_TO_TEXT, key, key)
    assert picture.answers == {query.id for query in texts}


def test_karpathys_split_finds_the_pictures_of_2017(tmp_path: Path) -> None:
    coco_2014(tmp_path)
    (tmp_path / "val2014").rename(tmp_path / "gone")
    write_photos(tmp_path / "images", ["train2017/000000000074.jpg", "val2017/000000000133.jpg"])
    assert listed(f"coco:{tmp_path}#test") == [
        "images/train2017/000000000074.jpg",
        "images/val2017/000000000133.jpg",
    ]


def test_coco_2017_joins_captions_with_pictures_in_any_order(tmp_path: Path) -> None:
    coco_captions(
        tmp_path, "val", "2017", {139: ("000000000139.jpg", ["a room", "a table"]), 9: ("9.jpg", [])}
    )
    coco_captions(tmp_path, "train", "2017", {5: ("000000000005.jpg", ["a sea"])})
    assert listed(f"coco:{tmp_path}") == [
        "train2017/000000000005.jpg",
        "val2017/000000000139.jpg",
        "val2017/9.jpg",
    ]
    item = items_of(f"coco:{tmp_path}#val")["val2017/000000000139.jpg"]
    assert {words.text for words in item.words} == {"a room", "a table"}
    asked = [query.text for query in opened(f"coco:{tmp_path}#val").queries()]
    assert asked == ["a table", "a room", None]


def test_the_year_of_coco_is_chosen(tmp_path: Path) -> None:
    coco_2014(tmp_path)
    coco_captions(tmp_path, "val", "2014", {1: ("COCO_val2014_000000000001.jpg", ["a"])})
    coco_captions(tmp_path, "val", "2017", {1: ("000000000001.jpg", ["a"])})
    assert len(listed(f"coco:{tmp_path}")) == 6
    assert listed(f"coco:{tmp_path}?year=2014") == ["val2014/COCO_val2014_000000000001.jpg"]
    assert listed(f"coco:{tmp_path}?year=2017#val") == ["val2017/000000000001.jpg"]
    with pytest.raises(UsageError, match=r"no year '2015'.*2017"):
        opened(f"coco:{tmp_path}?year=2015")
    with pytest.raises(UsageError, match=r"no split 'test'.*train, val"):
        opened(f"coco:{tmp_path}?year=2017#test")


def test_what_coco_wants_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError) as error:
        listed(f"coco:{tmp_path}")
    for wanted in ("dataset_coco.json", "annotations/captions_val2017.json", "cocodataset.org", "karpathy"):
        assert wanted in str(error.value)
    coco_captions(tmp_path, "val", "2017", {1: ("1.jpg", ["a"])})
    with pytest.raises(MissingSourceError, match="captions_train2017"):
        listed(f"coco:{tmp_path}#train")
    with pytest.raises(MissingSourceError, match=r"dataset_coco.json"):
        listed(f"coco:{tmp_path}#test")


def test_missing_pictures_are_counted_and_reported_once_for_each_folder(tmp_path: Path) -> None:
    coco_2014(tmp_path)
    for number in (42, 73, 74):
        (tmp_path / f"val2014/COCO_val2014_{number:012}.jpg").unlink()
    gap, whole = gaps_of(f"coco:{tmp_path}")
    assert (gap.hides, whole.hides, whole.prefix) == (True, True, ""), "most of the folder is missing"
    assert gap.prefix == "val2014/COCO_val2014_0000000000"
    assert "3 pictures are named and are not there" in gap.reason
    assert "COCO_val2014_000000000042.jpg" in gap.reason
    assert not [query for query in queries_of(f"coco:{tmp_path}") if "00042" in query]


def test_a_picture_that_is_missing_while_most_are_there_is_gone(tmp_path: Path) -> None:
    coco_2014(tmp_path)
    (tmp_path / "val2014/COCO_val2014_000000000074.jpg").unlink()
    (gap,) = gaps_of(f"coco:{tmp_path}")
    assert not gap.hides and gap.reason.startswith("1 picture is named and is not there")


def test_no_picture_at_all_is_an_error(tmp_path: Path) -> None:
    coco_captions(tmp_path, "val", "2017", {1: ("1.jpg", ["a"]), 2: ("2.jpg", ["b"])}, photos=False)
    with pytest.raises(MissingSourceError, match=r"None of the 2 pictures.*1.jpg"):
        listed(f"coco:{tmp_path}")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b.jpg", "C:\\a.jpg", "a\0.jpg", "\\\\host\\a.jpg"]
)
def test_a_name_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    coco_captions(tmp_path, "val", "2017", {1: ("1.jpg", ["a"]), 2: (name, ["b"])}, photos=False)
    with pytest.raises(UsageError, match=r"captions_val2017.json, entry 2 of `images`.*leads out"):
        listed(f"coco:{tmp_path}")
    karpathy(tmp_path / "flickr/dataset_flickr30k.json", [{"filename": name, "split": "test"}])
    with pytest.raises(UsageError, match=r"dataset_flickr30k.json, entry 1 of `images`.*leads out"):
        listed(f"flickr:{tmp_path}/flickr")


def test_a_broken_entry_is_named(tmp_path: Path) -> None:
    path = coco_captions(tmp_path, "val", "2017", {1: ("1.jpg", ["a"])})
    whole = json.loads(path.read_text())
    write_json(
        path, {**whole, "annotations": [*whole["annotations"], {"image_id": 7, "id": 3, "caption": "b"}]}
    )
    with pytest.raises(UsageError, match="entry 2 of `annotations` is about a picture"):
        listed(f"coco:{tmp_path}")
    write_json(path, {**whole, "annotations": [{"image_id": 1, "id": 3}]})
    with pytest.raises(UsageError, match="entry 1 of `annotations` has no text `caption`"):
        listed(f"coco:{tmp_path}")
    write_json(path, {"images": whole["images"]})
    with pytest.raises(UsageError, match="no list `annotations`"):
        listed(f"coco:{tmp_path}")
    path.write_text(path.read_text()[:-5])
    with pytest.raises(UsageError, match=r"captions_val2017.json, line 1 "):
        listed(f"coco:{tmp_path}")


def flickr8k(root: Path) -> Path:
    """The owners' own files: quirks of the real ones are there."""
    write_photos(root / "Flicker8k_Dataset", NAMES)
    lines = [f"{name}#{number}\t{text}\n" for name in NAMES for number, text in enumerate(CAPTIONS)]
    lines.append("2258277193_586949ec62.jpg.1#0\tpeople waiting for the subway\n")
    (root / "Flickr8k.token.txt").write_text("".join(lines))
    for split, names in (("train", NAMES[:1]), ("dev", NAMES[1:2]), ("test", NAMES[2:])):
        (root / f"Flickr_8k.{split}Images.txt").write_text("".join(f"{name}\n" for name in names))
    return root


def test_flickr8k_of_its_owners(tmp_path: Path) -> None:
    flickr8k(tmp_path)
    assert listed(f"flickr:{tmp_path}") == [f"Flicker8k_Dataset/{name}" for name in NAMES]
    assert (
        listed(f"flickr:{tmp_path}#dev")
        == listed(f"flickr:{tmp_path}#val")
        == [f"Flicker8k_Dataset/{NAMES[1]}"]
    )
    assert len(queries_of(f"flickr:{tmp_path}#test")) == 6
    (tmp_path / "Flickr_8k.testImages.txt").unlink()
    with pytest.raises(
        MissingSourceError, match=r"dataset_flickr8k.json.*Flickr_8k.testImages.txt.*illinois.edu"
    ):
        listed(f"flickr:{tmp_path}#test")


def test_flickr30k_of_its_owners(tmp_path: Path) -> None:
    write_photos(tmp_path / "flickr30k-images", ["1000092795.jpg"])
    (tmp_path / "results_20130124.token").write_text(
        "1000092795.jpg#0\tTwo young guys , with shaggy hair .\n"
    )
    (item,) = items_of(f"flickr:{tmp_path}").values()
    assert (item.key, item.words[0].text) == (
        "flickr30k-images/1000092795.jpg",
        "Two young guys , with shaggy hair .",
    )


@pytest.mark.parametrize("name", ["dataset_flickr30k.json", "karpathy/dataset_flickr8k.json"])
def test_karpathys_splits_of_flickr(tmp_path: Path, name: str) -> None:
    write_photos(tmp_path / "flickr30k_images", NAMES)
    splits = zip(NAMES, ("train", "val", "test"), strict=True)
    karpathy(tmp_path / name, [{"filename": picture, "split": split} for picture, split in splits])
    assert listed(f"flickr:{tmp_path}#test") == [f"flickr30k_images/{NAMES[2]}"]
    assert len(queries_of(f"flickr:{tmp_path}")) == 18


def test_the_csv_of_flickr8k(tmp_path: Path) -> None:
    write_photos(tmp_path / "Images", NAMES[:2])
    rows = f'image,caption\r\n{NAMES[0]},A dog .\r\n{NAMES[0]},"A dog , ""big"" , runs ."\r\n{NAMES[1]},Two , or three\r\n'
    (tmp_path / "captions.txt").write_bytes(b"\xef\xbb\xbf" + rows.encode())
    found = items_of(f"flickr:{tmp_path}")
    assert [words.text for words in found[f"Images/{NAMES[0]}"].words] == [
        "A dog .",
        'A dog , "big" , runs .',
    ]
    assert [words.text for words in found[f"Images/{NAMES[1]}"].words] == ["Two , or three"]


def test_the_csv_of_flickr30k_with_its_broken_line(tmp_path: Path) -> None:
    write_photos(tmp_path / "flickr30k_images/flickr30k_images", ["2199200615.jpg"])
    text = (
        "image_name| comment_number| comment\n"
        "2199200615.jpg| 3| A dog , it runs .\n"
        "2199200615.jpg| 4   A dog runs across the grass .\n"
    )
    (tmp_path / "flickr30k_images/results.csv").write_text(text)
    (item,) = items_of(f"flickr:{tmp_path}").values()
    assert [words.text for words in item.words] == ["A dog , it runs .", "A dog runs across the grass ."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,caption\na.jpg,\n", "row 1 has no caption"),
        ("image,caption\na.jpg,x\n,x\n", "row 2 has no name"),
        ("image,caption\n../a.jpg,x\n", "row 1 names a picture outside"),
        ("a.jpg#0\tx\nb.jpg y\n", "line 2 has no"),
        (
            'image,caption\na.jpg,x\na.jpg,"A dog .\nb.jpg,x\nb.jpg,y\n',
            "row 2 has a caption of several lines",
        ),
        ("image,caption\na.jpg,\udcff\n", "line 2 is no text in UTF-8"),
    ],
)
def test_a_broken_line_of_flickr_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "captions.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=f"captions.txt, {said}"):
        listed(f"flickr:{tmp_path}")


def test_regions_of_visual_genome_have_boxes(tmp_path: Path) -> None:
    visual_genome(tmp_path)
    assert listed(f"visual_genome:{tmp_path}") == ["VG_100K_2/1.jpg", "VG_100K/2.jpg", "VG_100K/3.jpg"]
    queries = queries_of(f"visual_genome:{tmp_path}")
    assert list(queries) == [
        *(
            "VG_100K_2/1.jpg#0",
            "VG_100K_2/1.jpg#1",
            "VG_100K_2/1.jpg#texts",
            "VG_100K/2.jpg#0",
            "VG_100K/2.jpg#texts",
        ),
    ]
    assert queries["VG_100K_2/1.jpg#0"].box == (0.25, 0.25, 0.5, 0.5)
    assert queries["VG_100K_2/1.jpg#1"].box == (0.0, 0.0, 1.0, 0.25)


def test_paragraphs_of_visual_genome_are_descriptions_of_the_whole(tmp_path: Path) -> None:
    visual_genome(tmp_path)
    paragraph = {"url": "https://x/VG_100K/3.jpg", "image_id": 3, "paragraph": "A room. It is red."}
    write_json(tmp_path / "paragraphs_v1.json", [paragraph])
    asked = queries_of(f"visual_genome:{tmp_path}?texts=images")
    assert [(query.text, query.box) for query in asked.values()] == [
        ("A room. It is red.", None),
        (None, None),
    ]
    assert len(queries_of(f"visual_genome:{tmp_path}")) == 7
    (tmp_path / "paragraphs_v1.json").unlink()
    with pytest.raises(MissingSourceError, match=r"paragraphs_v1.json.*im2p"):
        listed(f"visual_genome:{tmp_path}?texts=regions+images")
    with pytest.raises(UsageError, match="no texts 'objects'"):
        opened(f"visual_genome:{tmp_path}?texts=objects")


def test_what_says_nothing_in_visual_genome_is_passed_over(tmp_path: Path) -> None:
    """Millions of phrases came from a crowd; an empty one is no reason to refuse them all."""
    visual_genome(tmp_path)
    path = tmp_path / "region_descriptions.json"
    whole = json.loads(path.read_text())
    whole[0]["regions"][0]["phrase"] = " "
    write_json(path, whole)
    write_json(tmp_path / "paragraphs_v1.json", [{"image_id": 2, "paragraph": ""}])
    texts = [query.text for query in queries_of(f"visual_genome:{tmp_path}").values() if query.text]
    assert texts == ["the sky", "a red wall"]


def test_a_broken_region_is_named(tmp_path: Path) -> None:
    visual_genome(tmp_path)
    path = tmp_path / "region_descriptions.json"
    whole = json.loads(path.read_text())
    del whole[1]["regions"][0]["phrase"]
    write_json(path, whole)
    with pytest.raises(UsageError, match="entry 2, number 1 of its `regions` has no text `phrase`"):
        listed(f"visual_genome:{tmp_path}")
    write_json(path, [{"id": 99, "regions": []}])
    with pytest.raises(UsageError, match="entry 1 is about the picture 99"):
        listed(f"visual_genome:{tmp_path}")
