"""Sources by their names, judged queries cut to smaller galleries, and whole runs over datasets."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind import plugins
from picfind.datasets import location_of, open_root, open_source, with_queries
from picfind.datasets._judging import Told, judged
from picfind.datasets._names import below
from picfind.datasets.base import (
    IMAGE_TO_IMAGE,
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    Judged,
    folds,
    same_words,
    within,
)
from picfind.datasets.folder import Folder
from picfind.errors import PicfindError, UsageError
from picfind.ingest.report import Report
from picfind.ingest.run import run
from picfind.settings import Settings
from picfind.storage import names
from picfind.storage.store import Store
from picfind.testing import DatasetSuite, toy_encoder
from picfind.types import Fingerprint, Gap, Item
from tests.datasets_layouts import coco_2014, shard, visual_genome, voc, write_photos
from tests.photos import write_photo

KINDS = ("coco", "flickr", "folder", "labelled", "table", "urls", "visual_genome", "voc", "webdataset")


def test_every_kind_of_source_is_found_by_its_name() -> None:
    assert set(KINDS) <= set(plugins.names("datasets"))


@pytest.mark.parametrize(
    "text", ["photos", "./coco", "C:\\photos", "C:/photos", "C:photos", "~/photos", "/a:b", "a b:c"]
)
def test_paths_stay_paths(text: str) -> None:
    assert open_source(text, Settings()).kind == "folder"
    assert open_source(Path("coco:x"), Settings()).kind == "folder"


def test_what_is_there_is_a_path_whatever_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.name == "nt":
        pytest.skip("no name has a colon there")
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "coco:photos" / "a.jpg")
    assert open_source("coco:photos", Settings()).kind == "folder"
    assert open_source("coco:elsewhere", Settings()).kind == "coco"


def test_a_name_that_is_none_is_explained() -> None:
    with pytest.raises(
        UsageError, match=r"no kind of source called 'cocoo' \(cocoo:/data\). Did you mean coco\?"
    ):
        open_source("cocoo:/data", Settings())
    with pytest.raises(UsageError, match=r"urls:LIST"):
        open_source("https://a.org/list.txt", Settings())
    with pytest.raises(UsageError, match=r"there is nothing there.*webdataset"):
        open_source("holiday:2024", Settings())
    with pytest.raises(UsageError, match=r"no option 'splt'. Options are: split, year"):
        open_source("coco:/data?splt=test", Settings())
    with pytest.raises(UsageError, match="no option 'split'"):
        open_source("folder:/data#test", Settings())
    with pytest.raises(UsageError, match="two splits"):
        open_source("coco:/data?split=train#test", Settings())
    with pytest.raises(UsageError, match="given twice"):
        open_source("coco:/data?year=2014&year=2017", Settings())


def test_a_folder_knows_no_right_answers(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="knows no right answers"):
        with_queries(open_source(tmp_path, Settings()))


@pytest.mark.parametrize(
    ("source", "location"),
    [
        ("coco:/data/coco", "/data/coco"),
        ("COCO:/data/coco#test", "/data/coco?split=test"),
        ("coco:/data/coco?year=2017#val", "/data/coco?split=val&year=2017"),
        ("coco:/data/coco#val?year=2017", "/data/coco?split=val&year=2017"),
        ("coco:/data/coco#train+restval", "/data/coco?split=train+restval"),
        ("coco:/data/100%25/c#1/what?#test", "/data/100%2525/c%231/what%3F?split=test"),
        ("labelled:/data/x#val", "/data/x?split=val"),
        ("table:/data/x/t.csv#dev", "/data/x?split=dev&table=t.csv"),
        ("table:/data/x/t.csv?images=../y", "/data/y?table=../x/t.csv"),
        ("urls:/data/list.txt?pause=3", "/data/list.txt"),
        ("webdataset:/data/t-{00..09}.tar", "/data?shards=t-{00..09}.tar"),
        ("voc:/data/b\udcffd", "/data/b%FFd"),
    ],
)
def test_a_location_opens_the_same_dataset_again(source: str, location: str) -> None:
    if os.name == "nt":
        pytest.skip("locations have drives there")
    dataset = open_source(source, Settings())
    assert dataset.location == location
    again = open_root(dataset.kind, dataset.location, Settings())
    assert (again.kind, again.location, again.scope) == (dataset.kind, dataset.location, dataset.scope)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_every_folder_survives_its_location(name: str) -> None:
    path = Path(os.path.abspath(os.path.join(os.sep, "data", name.strip() or "a")))  # noqa: PTH100, PTH118
    location = location_of(path, {"split": name})
    dataset = open_root("flickr", location_of(path, {}), Settings())
    assert dataset.location == location_of(path, {})
    assert open_root("folder", Folder(path).location, Settings()).location == Folder(path).location
    assert location.isprintable() == (str(path).isprintable())


@given(st.text(max_size=20))
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    found = below(name)
    if found is not None:
        whole = os.path.normpath(os.path.join("/data/root", found))  # noqa: PTH118
        assert whole.replace(os.sep, "/").startswith("/data/root/")
        assert below(found) == found


def test_listing_the_kinds_and_opening_one_loads_nothing_heavy() -> None:
    code = (
        "import sys; from picfind import plugins; plugins.names('datasets'); from picfind.datasets import open_source; "
        "open_source('urls:/x.txt'); print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"onnxruntime", "faiss", "huggingface_hub", "defusedxml", "tarfile", "pathspec"} & set(
        done.stdout.split()
    )


def test_another_package_adds_a_kind_of_source(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [
        EntryPoint("mine", "picfind.datasets.labelled", "picfind.datasets"),
        EntryPoint("odd", "picfind.types", "picfind.datasets"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: offered)
    assert open_source("mine:/data#val", Settings()).location.endswith("data?split=val")
    with pytest.raises(PicfindError, match="'odd' has no function `open`"):
        open_source("odd:/data", Settings())


class Asking(DatasetSuite):
    """A dataset of two pictures that asks what a test gives."""

    kind, location, scope, name = "asking", "memory", "", "asking"

    def __init__(self, *asked: Judged) -> None:
        self.asked = asked

    def dataset(self) -> Asking:
        return self

    def items(self) -> Iterator[Item | Gap]:
        for key in "ab":
            yield Item(key, Fingerprint("1"), lambda: io.BytesIO(b"x"))

    def queries(self) -> Iterator[Judged]:
        yield from self.asked


RIGHT = Judged("1", TEXT_TO_IMAGE, frozenset("a"), text="x")
ANSWERS, WORDING, IDS = (
    "test_answers_are_of_the_dataset_and_one_counts",
    "test_queries_ask_with_words_or_a_picture_of_the_dataset",
    "test_queries_have_ids_of_their_own_and_come_again",
)


@pytest.mark.parametrize(
    ("asked", "test"),
    [
        ([replace(RIGHT, answers=frozenset())], ANSWERS),
        ([replace(RIGHT, answers=frozenset("c"))], ANSWERS),
        ([replace(RIGHT, ignored=frozenset("a"))], ANSWERS),
        ([replace(RIGHT, ignored=frozenset("c"))], ANSWERS),
        ([Judged("2", IMAGE_TO_TEXT, frozenset("1"), picture="a"), RIGHT], ANSWERS),
        ([Judged("1", IMAGE_TO_IMAGE, frozenset("ab"), picture="a")], ANSWERS),
        ([replace(RIGHT, text=None)], WORDING),
        ([replace(RIGHT, text=" ")], WORDING),
        ([replace(RIGHT, picture="a")], WORDING),
        ([replace(RIGHT, box=(0.5, 0.0, 0.6, 1.0))], WORDING),
        ([Judged("1", IMAGE_TO_IMAGE, frozenset("b"), picture="c", ignored=frozenset("c"))], WORDING),
        ([RIGHT, RIGHT], IDS),
    ],
)
def test_the_suite_catches_queries_that_cannot_be(asked: list[Judged], test: str) -> None:
    for right in (ANSWERS, WORDING, IDS):
        getattr(Asking(RIGHT), right)()
    with pytest.raises(AssertionError):
        getattr(Asking(*asked), test)()


def text(name: str, *answers: str) -> Judged:
    return Judged(name, TEXT_TO_IMAGE, frozenset(answers), text=name)


def test_folds_are_whole_and_in_order() -> None:
    assert folds("abcdefg", 3) == [frozenset("abc"), frozenset("def")]
    assert folds("ab", 3) == []


def test_queries_within_a_smaller_gallery() -> None:
    queries = [
        text("t1", "a", "b"),
        text("t2", "c"),
        Judged("i1", IMAGE_TO_TEXT, frozenset({"t1"}), picture="a"),
        Judged("i2", IMAGE_TO_TEXT, frozenset({"t2"}), picture="c"),
        Judged("s1", IMAGE_TO_IMAGE, frozenset("abc"), picture="a", ignored=frozenset("a")),
        Judged("s2", IMAGE_TO_IMAGE, frozenset("ac"), picture="a", ignored=frozenset("a")),
        Judged("s3", IMAGE_TO_IMAGE, frozenset("ab"), picture="c", ignored=frozenset("c")),
    ]
    kept = {query.id: query.right for query in within(queries, {"a", "b"})}
    assert kept == {"t1": {"a", "b"}, "i1": {"t1"}, "s1": {"b"}}
    assert [query.id for query in within(queries, {"a", "b", "c"})] == [query.id for query in queries]


def test_every_picture_with_the_same_words_may_be_right() -> None:
    queries = [
        replace(text("t1", "a"), text="Red  Shoe"),
        replace(text("t2", "b"), text="red shoe"),
        text("t3", "c"),
        Judged("i1", IMAGE_TO_TEXT, frozenset({"t1"}), picture="a"),
        Judged("i3", IMAGE_TO_TEXT, frozenset({"t3"}), picture="c"),
        Judged("s1", IMAGE_TO_IMAGE, frozenset("ab"), picture="a", ignored=frozenset("a")),
    ]
    found = {query.id: query.answers for query in same_words(queries)}
    assert found == {
        "t1": {"a", "b"},
        "t2": {"a", "b"},
        "t3": {"c"},
        "i1": {"t1", "t2"},
        "i3": {"t3"},
        "s1": {"a", "b"},
    }


def test_queries_of_one_class_share_their_answers_in_a_smaller_gallery_too() -> None:
    """Else a class of ten thousand pictures would be held ten thousand times."""
    told = [(name, Told((name,), labels=("dog",))) for name in "abcd"]
    alike = [query for query in within(judged(told), {"a", "b", "c"}) if query.task == IMAGE_TO_IMAGE]
    assert [query.right for query in alike] == [{"b", "c"}, {"a", "c"}, {"a", "b"}]
    assert len({id(query.answers) for query in alike}) == 1


def test_queries_that_are_no_part_of_the_gallery_share_one_set() -> None:
    told = [(name, Told((name,), labels=("dog",), is_query=name in "ab")) for name in "abcd"]
    alike = [query for query in judged(told) if query.task == IMAGE_TO_IMAGE]
    assert {query.picture: query.right for query in alike} == {"a": {"c", "d"}, "b": {"c", "d"}}
    assert alike[0].ignored is alike[1].ignored


def test_texts_of_later_pictures_may_be_right_for_an_earlier_one() -> None:
    """A smaller gallery is cut in the order of the queries, so nothing may name what comes after it."""
    queries = [
        replace(text("t1", "a"), text="shoe"),
        Judged("i1", IMAGE_TO_TEXT, frozenset({"t1"}), picture="a"),
        replace(text("t2", "b"), text="Shoe"),
        Judged("i2", IMAGE_TO_TEXT, frozenset({"t2"}), picture="b"),
    ]
    found = {query.id: query.answers for query in within(same_words(queries), {"a", "b"})}
    assert found == {"t1": {"a", "b"}, "t2": {"a", "b"}, "i1": {"t1", "t2"}, "i2": {"t1", "t2"}}


def last_report(source: str, store: Store) -> Report:
    report = Report()
    for report in run(open_source(source, Settings()), store, [toy_encoder()]):  # noqa: B007
        pass
    return report


@pytest.mark.parametrize(
    ("layout", "source", "count"),
    [
        (coco_2014, "coco:{root}", 6),
        (visual_genome, "visual_genome:{root}", 3),
        (voc, "voc:{root}#val", 2),
        (lambda root: write_photos(root, ("dog/a.jpg", "cat/b.jpg")), "labelled:{root}", 2),
        (lambda root: shard(root / "00000.tar", ("1", "2", "3")), "webdataset:{root}", 3),
    ],
)
def test_a_dataset_is_indexed_as_a_folder_is(tmp_path: Path, layout: object, source: str, count: int) -> None:
    root = tmp_path / "data"
    root.mkdir()
    assert callable(layout)
    layout(root)
    with_words = source.format(root=root)
    store = Store.open(tmp_path / "gallery", create=True)
    try:
        first, again = last_report(with_words, store), last_report(with_words, store)
    finally:
        store.close()
    assert (first.encoded, first.refused, first.gaps) == (count, 0, ())
    assert (again.encoded, again.unchanged, again.forgotten) == (0, count, 0)


@pytest.mark.parametrize("missing", [1, 3])
def test_missing_pictures_are_forgotten_only_while_most_are_there(tmp_path: Path, missing: int) -> None:
    root = tmp_path / "data"
    coco_2014(root)
    store = Store.open(tmp_path / "gallery", create=True)
    try:
        last_report(f"coco:{root}", store)
        gone = [f"val2014/COCO_val2014_{number:012}.jpg" for number in (42, 73, 74)][:missing]
        for name in gone:
            (root / name).unlink()
        report = last_report(f"coco:{root}", store)
        (known,) = store.catalog.all("SELECT id FROM roots")
        left = names.states(store.catalog, known[0])
        assert [name in left for name in gone] == [missing == 3] * missing
    finally:
        store.close()
    assert (report.forgotten, report.unchanged) == (1 if missing == 1 else 0, 6 - missing)
    assert f"{missing} picture" in report.gaps[0].reason


def test_what_a_dataset_says_can_be_told_from_what_others_say(tmp_path: Path) -> None:
    coco_2014(tmp_path)
    found = [
        entry for entry in open_source(f"coco:{tmp_path}", Settings()).items() if isinstance(entry, Item)
    ]
    assert {words.origin for item in found for words in item.words} == {"dataset"}
