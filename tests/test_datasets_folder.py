"""Listing folders: what is found, what is passed over, what cannot be read, and links."""

from __future__ import annotations

import io
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picfind import keys
from picfind.datasets import _entries
from picfind.datasets._entries import open_regular
from picfind.datasets._ignore import Rules
from picfind.datasets.base import Dataset
from picfind.datasets.folder import Folder
from picfind.errors import MissingSourceError, UsageError
from picfind.testing import DatasetSuite
from picfind.types import Fingerprint, Gap, Item, Sidecar

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX file system")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "root"
    place.mkdir()
    return place


def grow(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def listed(dataset: Dataset) -> list[str]:
    found = list(dataset.items())
    assert all(isinstance(entry, Item) for entry in found), found
    return [cast(Item, entry).key for entry in found]


def gaps(dataset: Dataset) -> list[Gap]:
    return [entry for entry in dataset.items() if isinstance(entry, Gap)]


def test_pictures_are_found_in_a_stable_order_by_bytes(root: Path) -> None:
    grow(root, "b.jpg", "a/z.png", "a.JPEG", "a/y.TiFF", "Z.heic", "é.avif", "notes.txt", "a/jpg", "film.mp4")
    assert listed(Folder(root)) == ["Z.heic", "a/y.TiFF", "a/z.png", "a.JPEG", "b.jpg", "é.avif"]


def test_every_picture_suffix_is_known(root: Path) -> None:
    endings = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "tif", "tiff", "bmp", "mpo"]
    endings += ["heic", "heif", "hif", "avif"]
    grow(root, *(f"p.{ending}" for ending in endings))
    assert {Path(key).suffix[1:] for key in listed(Folder(root))} == set(endings)


def test_hidden_and_kept_by_programs_are_passed_over(root: Path) -> None:
    passed_over = [
        ".hidden.jpg",
        "._a.jpg",
        ".cache/a.jpg",
        "@eaDir/a.jpg",
        ".git/a.jpg",
        "node_modules/a.jpg",
    ]
    passed_over += [
        "System Volume Information/a.jpg",
        "$RECYCLE.BIN/a.jpg",
        "__MACOSX/a.jpg",
        "x/@eaDir/b.jpg",
    ]
    grow(root, *passed_over, "x/seen.jpg")
    assert listed(Folder(root)) == ["x/seen.jpg"]


@pytest.mark.parametrize(
    ("found", "hidden"),
    [
        (SimpleNamespace(st_file_attributes=stat.FILE_ATTRIBUTE_HIDDEN), True),
        (SimpleNamespace(st_flags=stat.UF_HIDDEN), True),
        (SimpleNamespace(st_file_attributes=stat.FILE_ATTRIBUTE_READONLY, st_flags=0), False),
        (SimpleNamespace(), False),
    ],
)
def test_attributes_of_other_systems_hide(found: SimpleNamespace, hidden: bool) -> None:
    assert _entries.is_marked_hidden(cast(os.stat_result, found)) is hidden


def test_an_item_says_what_a_file_is_like(root: Path) -> None:
    grow(root, "a.jpg")
    os.utime(root / "a.jpg", ns=(0, 1_500_000_000_123_456_789))
    (item,) = Folder(root).items()
    assert isinstance(item, Item)
    assert item.fingerprint == "1-1500000000123456789"
    assert item.dated == pytest.approx(1_500_000_000.123)
    with item.open() as file:
        assert file.read() == b"x"
    (root / "a.jpg").write_bytes(b"xy")
    (changed,) = Folder(root).items()
    assert isinstance(changed, Item)
    assert changed.fingerprint != item.fingerprint


# Exclusion


def test_patterns_exclude_as_gitignore_does(root: Path) -> None:
    grow(root, "a.jpg", "raw/b.jpg", "x/raw/c.jpg", "x/thumb_d.jpg", "x/keep.jpg", "only.png", "x/only.png")
    exclude = ["raw/", "thumb_*", "/only.png"]
    assert listed(Folder(root, exclude=exclude)) == ["a.jpg", "x/keep.jpg", "x/only.png"]


def test_ignore_files_apply_from_their_folder_down_and_the_inner_one_decides(root: Path) -> None:
    grow(root, "a.png", "x/a.png", "x/b.jpg", "x/y/a.png", "x/y/b.jpg", "z/b.jpg")
    (root / ".picfindignore").write_text("# none of these\n*.png\n")
    (root / "x" / ".picfindignore").write_bytes(b"\xef\xbb\xbf/b.jpg\r\n!a.png\r\n")
    assert listed(Folder(root)) == ["x/a.png", "x/y/a.png", "x/y/b.jpg", "z/b.jpg"]
    assert listed(Folder(root, exclude=["a.png"])) == ["x/y/b.jpg", "z/b.jpg"]


def test_rules_of_outer_folders_hold_when_an_inner_one_is_listed(root: Path) -> None:
    grow(root, "x/y/a.png", "x/y/b.jpg", "x/y/c.gif", "x/y/d.bmp")
    (root / ".picfindignore").write_text("*.png\n")
    (root / "x" / ".picfindignore").write_text("/y/b.jpg\n")
    part = Folder(root / "x" / "y", root=root, exclude=["/x/y/c.gif"])
    assert listed(part) == listed(Folder(root, exclude=["/x/y/c.gif"])) == ["x/y/d.bmp"]


def test_a_pattern_finds_a_name_however_its_accents_are_composed(root: Path) -> None:
    grow(root, "e\u0301te\u0301/a.jpg", "b.jpg")
    assert listed(Folder(root, exclude=["\u00e9t\u00e9/"])) == ["b.jpg"]


def test_a_bad_pattern_is_an_error_and_a_bad_ignore_file_a_gap(root: Path) -> None:
    grow(root, "a.jpg", "x/b.jpg")
    with pytest.raises(UsageError, match="'!' is no pattern"):
        Folder(root, exclude=["!"])
    (root / "x" / ".picfindignore").write_text("!\n")
    first, second = Folder(root).items()
    assert isinstance(first, Item)
    assert isinstance(second, Gap)
    assert second.prefix == "x/"
    assert ".picfindignore" in second.reason
    grow(root, "x/y/c.jpg")
    assert [gap.prefix for gap in gaps(Folder(root / "x" / "y", root=root))] == ["x/y/"]


def test_without_patterns_nothing_is_ignored() -> None:
    assert not Rules.of([]).ignores("a.jpg")
    assert Rules.of(["a.jpg"]).ignores("x/a.jpg")


# The root, parts of it, and single files


def test_a_root_has_an_absolute_location(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("USERPROFILE", str(root.parent))
    for given_as in (Path("root"), Path("root/../root"), Path("~/root"), root):
        whole = Folder(given_as)
        assert (whole.kind, whole.location, whole.scope) == ("folder", keys.escape(str(root)), "")


def test_a_part_of_a_root_has_the_names_of_the_root(root: Path) -> None:
    grow(root, "a.jpg", "x/b.jpg", "x/y/c.jpg", "xx/d.jpg")
    part = Folder(root / "x", root=root)
    assert (part.location, part.scope) == (keys.escape(str(root)), "x/")
    assert listed(part) == ["x/b.jpg", "x/y/c.jpg"]
    assert Folder(root, root=root).scope == ""


def test_a_single_file_is_listed_whatever_its_name(root: Path) -> None:
    grow(root, ".odd name", "x/b.jpg")
    single = Folder(root / ".odd name")
    assert (single.location, single.scope, listed(single)) == (
        keys.escape(str(root)),
        ".odd name",
        [".odd name"],
    )
    inner = Folder(root / "x" / "b.jpg", root=root)
    assert (inner.location, inner.scope, listed(inner)) == (keys.escape(str(root)), "x/b.jpg", ["x/b.jpg"])


def test_a_location_outside_its_root_is_an_error(root: Path) -> None:
    with pytest.raises(UsageError, match="does not lie in"):
        Folder(root.parent, root=root)


@pytest.mark.parametrize("name", ["gone", "gone/deeper", "nul\0"])
def test_a_missing_root_is_an_error_that_says_what_to_do(root: Path, name: str) -> None:
    with pytest.raises(MissingSourceError, match=r"picfind roots move OLD NEW"):
        next(Folder(root / name).items())


@posix
def test_a_root_that_is_no_folder_is_an_error(root: Path) -> None:
    os.mkfifo(root / "pipe.jpg")
    with pytest.raises(MissingSourceError, match="neither a folder nor a file"):
        next(Folder(root / "pipe.jpg").items())


def test_a_root_that_goes_away_meanwhile_is_an_error(root: Path) -> None:
    grow(root, "a.jpg", "b.jpg")
    listing = Folder(root).items()
    next(listing)
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(MissingSourceError):
        list(listing)


def test_a_root_that_is_replaced_meanwhile_is_an_error(root: Path) -> None:
    grow(root, "a.jpg", "x/b.jpg")
    listing = Folder(root).items()
    next(listing)
    root.rename(root.with_name("elsewhere"))
    root.mkdir()
    with pytest.raises(MissingSourceError, match="replaced"):
        list(listing)


def test_what_vanishes_meanwhile_is_passed_over(root: Path) -> None:
    grow(root, "a.jpg", "b.jpg", "x/c.jpg", "z.jpg")
    listing = Folder(root).items()
    next(listing)
    (root / "b.jpg").unlink()
    (root / "x" / "c.jpg").unlink()
    (root / "x").rmdir()
    assert [cast(Item, item).key for item in listing] == ["z.jpg"]
    assert listed(Folder(root)) == ["a.jpg", "z.jpg"]


def test_deep_folders_are_no_trouble(root: Path) -> None:
    deep = "/".join(["d"] * 300)
    grow(root, f"{deep}/a.jpg")
    assert listed(Folder(root)) == [f"{deep}/a.jpg"]


# Names


@posix
def test_odd_names_have_keys_that_lead_back(root: Path) -> None:
    names = [b"caf\xe9.jpg", b"line\nbreak.jpg", b"50%af.jpg", b" .jpg", "日本.jpg".encode()]
    for name in names:
        (root / os.fsdecode(name)).write_bytes(name)
    for item in Folder(root).items():
        assert isinstance(item, Item)
        item.key.encode("utf-8")
        with item.open() as file:
            assert file.read() == keys.raw(item.key)
    assert len(list(Folder(root).items())) == len(names)


part_names = st.text("abAB.é%2 ", min_size=1, max_size=6).filter(lambda name: not set(name) <= {"."})


@given(st.sets(st.lists(part_names, min_size=1, max_size=3).map("/".join), max_size=8))
def test_a_listing_agrees_with_a_plain_walk(
    tmp_path_factory: pytest.TempPathFactory, names: Iterable[str]
) -> None:
    root = tmp_path_factory.mktemp("walk")
    grow(root, *(f"{name}.d/{name.rpartition('/')[2]}.jpg" for name in names))
    expected = {path.relative_to(root).as_posix() for path in root.rglob("*.jpg")}
    visible = {path for path in expected if not any(part.startswith(".") for part in path.split("/"))}
    found = listed(Folder(root))
    assert len(found) == len(set(found))
    assert {keys.unescape(key) for key in found} == visible


# Links and things that are no files


@posix
def test_links_to_files_are_followed_and_broken_ones_passed_over(root: Path) -> None:
    grow(root.parent, "outside.png")
    (root / "a.jpg").symlink_to(root.parent / "outside.png")
    (root / "broken.jpg").symlink_to(root / "nothing.jpg")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    (root / "through.jpg").symlink_to(root / "a.jpg" / "deeper")
    assert listed(Folder(root)) == ["a.jpg"]


@posix
def test_links_to_folders_outside_are_followed_once(root: Path) -> None:
    grow(root.parent, "other/b.jpg", "other/deep/c.jpg")
    for name in ("first", "second"):
        (root / name).symlink_to(root.parent / "other")
    (root.parent / "other" / "back").symlink_to(root.parent / "other")
    assert listed(Folder(root)) == ["first/b.jpg", "first/deep/c.jpg"]


@posix
@pytest.mark.parametrize("target", ["root", "root/x", ".", "outer"])
def test_loops_are_survived_and_nothing_inside_is_listed_twice(root: Path, target: str) -> None:
    grow(root, "x/a.jpg")
    (root.parent / "outer").mkdir()
    (root.parent / "outer" / "back").symlink_to(root.parent)
    (root / "x" / "loop").symlink_to(root.parent / target)
    assert listed(Folder(root)) == ["x/a.jpg"]


@posix
def test_a_link_into_a_hidden_folder_of_the_root_is_followed(root: Path) -> None:
    grow(root, ".store/a.jpg")
    (root / "seen").symlink_to(root / ".store")
    assert listed(Folder(root)) == ["seen/a.jpg"]


@posix
def test_a_root_that_is_a_link_keeps_its_name(root: Path) -> None:
    grow(root, "a.jpg")
    link = root.with_name("link")
    link.symlink_to(root)
    assert Folder(link).location == keys.escape(str(link))
    assert listed(Folder(link)) == ["a.jpg"]


@posix
def test_special_files_are_never_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's path may be 107 bytes long at most
    os.mkfifo("pipe.jpg")
    os.mkfifo(".picfindignore")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        (root / "zero.jpg").symlink_to("/dev/zero")
        grow(root, "a.jpg")
        assert listed(Folder(root)) == ["a.jpg"]


@posix
def test_a_pipe_that_takes_the_name_of_a_file_does_not_block(root: Path) -> None:
    grow(root, "a.jpg")
    (item,) = Folder(root).items()
    assert isinstance(item, Item)
    (root / "a.jpg").unlink()
    os.mkfifo(root / "a.jpg")
    with pytest.raises(FileNotFoundError):
        item.open()
    with pytest.raises(FileNotFoundError):
        open_regular(str(root))


# Sidecars


def sidecars(dataset: Dataset) -> dict[str, list[str]]:
    found = [entry for entry in dataset.items() if isinstance(entry, Item)]
    return {item.key: [sidecar.key for sidecar in item.sidecars] for item in found}


def test_files_that_may_hold_words_come_with_their_picture(root: Path) -> None:
    beside = ["b.caption", "b.jpg.caption", "b.jpg.txt", "b.jpg.xmp", "b.txt", "b.xmp"]
    grow(
        root,
        "a.jpg",
        "x/b.jpg",
        *(f"x/{name}" for name in beside),
        "b.txt",
        "x/bb.txt",
        "x/b.md",
        "x/b.jpg.txt.txt",
    )
    assert sidecars(Folder(root)) == {"a.jpg": [], "x/b.jpg": [f"x/{name}" for name in beside]}


def test_pictures_of_one_stem_share_a_sidecar_and_case_does_not_matter(root: Path) -> None:
    grow(root, "b.jpg", "B.HEIC", "b.jpg.TXT", "B.Xmp", "\u00e9.png", "e\u0301.txt")
    assert sidecars(Folder(root)) == {
        "B.HEIC": ["B.Xmp"],
        "b.jpg": ["B.Xmp", "b.jpg.TXT"],
        "\u00e9.png": ["e\u0301.txt"],
    }


def test_a_changed_sidecar_is_no_changed_picture(root: Path) -> None:
    grow(root, "a.jpg", "a.txt")
    (before,) = Folder(root).items()
    (root / "a.txt").write_bytes(b"A dog")
    (after,) = Folder(root).items()
    assert isinstance(before, Item)
    assert isinstance(after, Item)
    assert before.fingerprint == after.fingerprint
    assert before.sidecars[0].fingerprint != after.sidecars[0].fingerprint
    with after.sidecars[0].open() as file:
        assert file.read() == b"A dog"


def test_what_is_excluded_hidden_or_no_file_is_no_sidecar(root: Path) -> None:
    grow(root, "a.jpg", "a.txt", "a.caption", "x/b.jpg", "x/b.xmp", ".c.jpg.txt", "c.jpg")
    (root / "a.xmp").mkdir()
    (root / "x" / ".picfindignore").write_text("*.xmp\n")
    assert sidecars(Folder(root, exclude=["*.caption"])) == {"a.jpg": ["a.txt"], "c.jpg": [], "x/b.jpg": []}


@posix
def test_sidecars_that_lead_nowhere_or_are_pipes_are_left_out(root: Path) -> None:
    grow(root, "a.jpg", "real")
    os.mkfifo(root / "a.xmp")
    (root / "a.caption").symlink_to(root / "gone")
    (root / "a.txt").symlink_to(root / "real")
    assert sidecars(Folder(root)) == {"a.jpg": ["a.txt"]}


def test_a_sidecar_that_vanishes_meanwhile_is_left_out(root: Path) -> None:
    grow(root, "a.jpg", "b.jpg", "b.txt")
    listing = Folder(root).items()
    next(listing)
    (root / "b.txt").unlink()
    (item,) = listing
    assert isinstance(item, Item)
    assert item.sidecars == ()


def test_a_single_picture_has_the_sidecars_that_it_has_in_its_folder(root: Path) -> None:
    grow(root, "x/y/b.jpg", "x/y/b.txt", "x/y/b.xmp", "x/y/b.caption", "x/b.txt", "odd", "odd.txt")
    (root / ".picfindignore").write_text("*.caption\n")
    (root / "x" / "y" / ".picfindignore").write_text("*.xmp\n")
    single = Folder(root / "x" / "y" / "b.jpg", root=root)
    assert sidecars(single) == sidecars(Folder(root)) == {"x/y/b.jpg": ["x/y/b.txt"]}
    assert sidecars(Folder(root / "x" / "y" / "b.jpg")) == {"b.jpg": ["b.caption", "b.txt"]}
    assert sidecars(Folder(root / "odd")) == {"odd": ["odd.txt"]}
    for place in ("x/y", "x"):
        (root / place / ".picfindignore").write_text("!\n")
        assert sidecars(single) == {"x/y/b.jpg": []}


def test_the_suite_catches_sidecars_out_of_order() -> None:
    def of(*names: str) -> Dataset:
        beside = tuple(Sidecar(name, Fingerprint("1"), lambda: io.BytesIO(b"x")) for name in names)
        item = Item("a.jpg", Fingerprint("1"), lambda: io.BytesIO(b"x"), sidecars=beside)
        return cast(Dataset, SimpleNamespace(items=lambda: iter([item])))

    suite = DatasetSuite()
    for names, is_right in (
        (("a.txt", "a.xmp"), True),
        (("a.xmp", "a.txt"), False),
        (("a.txt", "a.txt"), False),
    ):
        suite.dataset = lambda names=names: of(*names)  # type: ignore[misc,method-assign]
        with nullcontext() if is_right else pytest.raises(AssertionError):
            suite.test_sidecars_are_listed_by_key_and_open_twice()


# Permissions


def as_nobody(work: Callable[[], str]) -> str:
    """What `work` says in a child process that may not read everything, though the tests may run as root."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setegid(65534)
                os.seteuid(65534)
            os.write(writing, work().encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read().decode()
    os.waitpid(child, 0)
    return told


@pytest.fixture
def open_root(root: Path) -> Path:
    """A root that any user may read, where that can be had."""
    for path in (root, *root.parents):
        if "pytest" in str(path):
            path.chmod(0o755)
    if as_nobody(lambda: str(root.is_dir())) != "True":
        pytest.skip("the folder for temporary files is closed to other users")
    return root


def told(root: Path) -> str:
    entries = Folder(root).items()
    lines = (f"gap {e.prefix}: {e.reason}" if isinstance(e, Gap) else e.key for e in entries)
    return "\n".join(lines)


@posix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_may_not_be_read_is_a_gap(open_root: Path) -> None:
    grow(open_root, "a.jpg", "locked/b.jpg", "unsearchable/c.jpg", "z.jpg")
    (open_root / "locked").chmod(0o000)
    (open_root / "unsearchable").chmod(0o644)
    try:
        assert as_nobody(lambda: told(open_root)).splitlines() == [
            "a.jpg",
            "gap locked/: Permission denied",
            "gap unsearchable/c.jpg: Permission denied",
            "z.jpg",
        ]
    finally:
        for name in ("locked", "unsearchable"):
            (open_root / name).chmod(0o755)


@posix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_root_or_an_ignore_file_that_may_not_be_read_is_a_gap(open_root: Path) -> None:
    grow(open_root, "a.jpg", ".picfindignore")
    (open_root / ".picfindignore").chmod(0o000)
    assert as_nobody(lambda: told(open_root)) == "gap : Permission denied"
    (open_root / ".picfindignore").unlink()
    open_root.chmod(0o311)
    assert as_nobody(lambda: told(open_root)) == "gap : Permission denied"
    open_root.chmod(0o755)
    assert as_nobody(lambda: told(open_root)) == "a.jpg"


class TestFolder(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _fill(self, tmp_path: Path) -> None:
        self.place = tmp_path / "suite"
        for name in ("a.png", "sub/b.png", "sub/b.txt", "sub/b.png.xmp", "sub/c é.jpg"):
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            (self.place / name).write_bytes(name.encode())

    def dataset(self) -> Dataset:
        return Folder(self.place)


class TestPartOfAFolder(TestFolder):
    def dataset(self) -> Dataset:
        return Folder(self.place / "sub", root=self.place)
