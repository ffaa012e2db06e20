"""WebDataset's tar shards: read where they lie, member by member, and nothing hostile in them goes anywhere."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from picfind.datasets import _shards
from picfind.datasets._shards import expand
from picfind.datasets.base import IMAGE_TO_IMAGE, TEXT_TO_IMAGE, Dataset
from picfind.errors import MissingSourceError, UsageError
from picfind.testing import DatasetSuite
from picfind.types import Gap
from tests.datasets_layouts import gaps_of, items_of, listed, opened, queries_of, shard, tar
from tests.photos import photo_bytes

JPEG = photo_bytes(form="JPEG")


class TestWebDataset(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path) -> None:
        self.root = tmp_path
        shard(tmp_path / "00000.tar", ("000000001", "000000002"))
        shard(tmp_path / "00001.tar", ("000010001",), seed=7)

    def dataset(self) -> Dataset:
        return opened(f"webdataset:{self.root}/{{00000..00001}}.tar")

    def missing(self) -> Dataset:
        return opened(f"webdataset:{self.root}/train-{{0..9}}.tar")


def test_samples_are_files_that_share_a_beginning(tmp_path: Path) -> None:
    shard(tmp_path / "00000.tar", ("1", "2"))
    found = items_of(f"webdataset:{tmp_path}")
    assert list(found) == ["00000.tar/1.jpg", "00000.tar/2.jpg"]
    assert [words.text for words in found["00000.tar/2.jpg"].words] == ["picture 2", "red"]
    assert queries_of(f"webdataset:{tmp_path}")["00000.tar/1.jpg#0"].text == "picture 1"


def test_a_picture_is_opened_at_its_place_in_the_shard(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", [str(number) for number in range(5)])
    with tarfile.open(path) as archive:
        for key, item in items_of(f"webdataset:{tmp_path}").items():
            wanted = archive.extractfile(key.removeprefix("a.tar/"))
            assert wanted is not None
            with item.open() as file:
                start = file.read(3)
                assert start + file.read() == wanted.read()
            with item.open() as file:
                assert Image.open(file).size == (32, 24)


def test_names_endings_and_classes(tmp_path: Path) -> None:
    members = [
        ("./cats/1.left.jpg", JPEG),
        ("./cats/1.right.PNG", photo_bytes()),
        ("./cats/1.txt", "two cats\n\nagain".encode("utf-16")),
        ("./cats/1.cls", b"cat\n"),
        ("dogs/1.jpg", photo_bytes(seed=3, form="JPEG")),
        ("dogs/1.cls", b"7"),
        ("dogs/1.json", b'{"caption": "a dog", '),
        ("__meta__", b"not of a sample"),
    ]
    tar(tmp_path / "a.tar", members)
    found = items_of(f"webdataset:{tmp_path}")
    assert {key: [words.text for words in item.words] for key, item in found.items()} == {
        "a.tar/cats/1.left.jpg": ["cat"],
        "a.tar/cats/1.right.PNG": ["cat"],
        "a.tar/dogs/1.jpg": [],
    }
    queries = list(opened(f"webdataset:{tmp_path}").queries())
    assert [query.text for query in queries if query.task == TEXT_TO_IMAGE] == ["cat"]
    assert [query.picture for query in queries if query.task == IMAGE_TO_IMAGE] == [
        "a.tar/cats/1.left.jpg",
        "a.tar/cats/1.right.PNG",
    ]


def odd(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_what_is_hostile_in_a_shard_is_refused_and_counted(tmp_path: Path) -> None:
    members: list[tuple[str, bytes] | tarfile.TarInfo] = [
        odd("folder", tarfile.DIRTYPE),
        ("a.jpg", JPEG),
        ("../../etc/passwd.jpg", JPEG),
        ("/etc/shadow.jpg", JPEG),
        odd("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        odd("hard.jpg", tarfile.LNKTYPE, "a.jpg"),
        odd("device.jpg", tarfile.CHRTYPE),
        odd("pipe.jpg", tarfile.FIFOTYPE),
        ("a.jpg", JPEG),
        ("b.jpg", JPEG),
    ]
    tar(tmp_path / "a.tar", members)
    assert list(items_of(f"webdataset:{tmp_path}")) == ["a.tar/a.jpg", "a.tar/b.jpg"]
    (gap,) = gaps_of(f"webdataset:{tmp_path}")
    assert gap.prefix == "a.tar/" and "were 7" in gap.reason and "../../etc/passwd.jpg" in gap.reason


def test_a_damaged_shard_is_a_gap_and_the_others_are_read(tmp_path: Path) -> None:
    whole = shard(tmp_path / "a.tar", [str(number) for number in range(4)]).read_bytes()
    shard(tmp_path / "b.tar", ("9",))
    (tmp_path / "c.tar").write_bytes(b"no archive at all" * 100)
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "d.tar").write_bytes(b"")
    keys = list(items_of(f"webdataset:{tmp_path}"))
    assert "b.tar/9.jpg" in keys and "a.tar/0.jpg" in keys and "a.tar/3.jpg" not in keys
    assert [gap.prefix for gap in gaps_of(f"webdataset:{tmp_path}")] == ["a.tar/", "c.tar/", "d.tar/"]


def test_a_compressed_shard_says_so(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(JPEG)
        archive.addfile(info, io.BytesIO(JPEG))
    (gap,) = gaps_of(f"webdataset:{tmp_path}")
    assert "no archive without compression" in gap.reason


def test_a_size_that_leads_back_ends_the_listing(tmp_path: Path) -> None:
    raw = bytearray(
        tar(tmp_path / "a.tar", [("a.jpg", JPEG), ("b.bin", b"x" * 600), ("c.jpg", JPEG)]).read_bytes()
    )
    head = raw.index(b"b.bin")
    raw[head + 124 : head + 136] = b"\xff" * 10 + b"\xf8\x00"  # -2048 in base 256
    total = sum(raw[head : head + 148]) + 8 * 32 + sum(raw[head + 156 : head + 512])
    raw[head + 148 : head + 156] = b"%06o\0 " % total
    (tmp_path / "a.tar").write_bytes(raw)
    found = list(opened(f"webdataset:{tmp_path}").items())
    assert isinstance(found[-1], Gap) and len(found) <= 2


def test_a_shard_that_changed_since_it_was_listed_is_not_read(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", ("1",))
    (item,) = items_of(f"webdataset:{tmp_path}").values()
    shard(path, ("other",))
    os.utime(path, ns=(1, 1))
    with pytest.raises(FileNotFoundError, match="changed"):
        item.open()
    (later,) = items_of(f"webdataset:{tmp_path}").values()
    assert later.fingerprint != item.fingerprint


def test_a_missing_shard_of_several_is_a_gap(tmp_path: Path) -> None:
    shard(tmp_path / "t-00.tar", ("1",))
    shard(tmp_path / "t-02.tar", ("3",))
    dataset = f"webdataset:{tmp_path}/t-{{00..02}}.tar"
    assert list(items_of(dataset)) == ["t-00.tar/1.jpg", "t-02.tar/3.jpg"]
    assert [gap.prefix for gap in gaps_of(dataset)] == ["t-01.tar/"]
    assert listed(f"webdataset:{tmp_path}/t-0?.tar") == ["t-00.tar/1.jpg", "t-02.tar/3.jpg"]
    with pytest.raises(MissingSourceError, match=r"github.com/webdataset"):
        listed(f"webdataset:{tmp_path}/u-*.tar")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{08..11}.tar", ["08.tar", "09.tar", "10.tar", "11.tar"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == names


@pytest.mark.parametrize(
    "pattern", ["{3..1}", "{}", "{a}", "{0..9999999}", "{0..9}" * 9, "{0.." + "9" * 5000 + "}"]
)
def test_braces_that_mean_nothing_or_too_much(pattern: str) -> None:
    with pytest.raises(UsageError):
        expand(pattern)


def test_all_shards_lie_in_one_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one folder"):
        opened(f"webdataset:{tmp_path}?shards=../a.tar")
    with pytest.raises(UsageError, match="one folder"):
        opened(f"webdataset:{tmp_path}/{{a,..%2Fb}}.tar?shards={{a,..%2Fb}}")


@settings(max_examples=60)
@given(data=st.data())
def test_no_bytes_make_a_listing_fail(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    raw = bytearray(shard(folder / "a.tar", ("1", "2")).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.tar").write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    for entry in _shards.Shard(folder / "a.tar").samples():
        if isinstance(entry, _shards.Sample):
            for item in entry.items(()):
                assert ".." not in item.key.split("/")
                with item.open() as file:
                    assert len(file.read()) <= len(raw)
