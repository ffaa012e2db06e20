"""Copies moved to a folder or to the trash, and back: nothing is overwritten, nothing is lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from picfind import keys
from picfind.api import Gallery
from picfind.duplicates import (
    Duplicates,
    carrying,
    find_duplicates,
    in_trash,
    move_surplus,
    moving,
    trash_surplus,
    undo,
)
from picfind.errors import GalleryWriteError, MissingExtraError, ReadOnlyGalleryError, UsageError
from picfind.settings import Settings
from picfind.storage import durable
from picfind.storage.store import Store
from tests.meddling import once_before
from tests.scenes import save, scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, each with a smaller copy, and one that is nobody's copy."""
    for seed in (1, 2):
        save(scene(seed), tmp_path / "photos" / f"{seed}.png")
        save(scene(seed).resize((120, 80)), tmp_path / "photos" / "small" / f"{seed}.jpg")
    save(scene(3), tmp_path / "photos" / "3.png")
    return tmp_path / "photos"


@pytest.fixture
def found(folder: Path, gallery: Gallery) -> Duplicates:
    gallery.index(folder)
    return find_duplicates(gallery.store)


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_copies_move_and_come_back(folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path) -> None:
    before = files(folder)
    steps = list(move_surplus(gallery.store, found, tmp_path / "aside"))
    assert not any(step.refused for step in steps)
    assert sorted(files(folder)) == ["1.png", "2.png", "3.png"]
    assert files(tmp_path / "aside") == {
        f"photos/{key}": before[key] for key in ("small/1.jpg", "small/2.jpg")
    }
    assert [step.to for step in steps] == [
        keys.escape(str(tmp_path / "aside" / "photos" / "small" / Path(step.path).name)) for step in steps
    ]
    back = list(undo(gallery.store))
    assert sorted(step.path for step in back) == sorted(step.path for step in steps)
    assert files(folder) == before
    assert files(tmp_path / "aside") == {}
    assert list(undo(gallery.store)) == []


def test_finding_touches_nothing(folder: Path, gallery: Gallery, found: Duplicates) -> None:
    assert len(found) == 2
    assert len(files(folder)) == 5
    assert not (gallery.folder / "undo").exists()


def test_clean_ups_are_undone_one_by_one(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path
) -> None:
    before = files(folder)
    for group in found:
        list(move_surplus(gallery.store, [group], tmp_path / "aside"))
    assert [len(list(undo(gallery.store))) for _ in range(3)] == [1, 1, 0]
    assert files(folder) == before


def test_what_lies_at_the_new_place_is_never_overwritten(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path
) -> None:
    before = files(folder)
    there = save(scene(9), tmp_path / "aside" / "photos" / "small" / "1.jpg")
    own = there.read_bytes()
    list(move_surplus(gallery.store, found, tmp_path / "aside"))
    assert there.read_bytes() == own
    assert there.with_name("1 (2).jpg").is_file()
    list(undo(gallery.store))
    assert files(folder) == before
    assert there.read_bytes() == own


def test_what_comes_to_the_new_place_at_the_last_moment_is_not_overwritten_either(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(folder)
    places = [tmp_path / "aside" / "photos" / "small" / f"{seed}.jpg" for seed in (1, 2)]
    once_before(monkeypatch, carrying, "_link", lambda: [save(scene(9), place) for place in places])
    own = [save(scene(9), tmp_path / "same.jpg").read_bytes()] * 2
    list(move_surplus(gallery.store, found, tmp_path / "aside"))
    assert [place.read_bytes() for place in places] == own
    list(undo(gallery.store))
    assert files(folder) == before


def test_what_lies_at_the_old_place_is_never_overwritten(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path
) -> None:
    list(move_surplus(gallery.store, found, tmp_path / "aside"))
    there = save(scene(9), folder / "small" / "1.jpg")
    own = there.read_bytes()
    steps = {Path(step.path).name: step.refused for step in undo(gallery.store)}
    assert steps["2.jpg"] == ""
    assert "another file lies there" in steps["1.jpg"]
    assert there.read_bytes() == own
    assert (tmp_path / "aside" / "photos" / "small" / "1.jpg").is_file()
    there.unlink()
    assert [step.refused for step in undo(gallery.store)] == [""]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_at_the_old_place_is_not_taken_for_the_file(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path
) -> None:
    list(move_surplus(gallery.store, found, tmp_path / "aside"))
    moved = tmp_path / "aside" / "photos" / "small"
    (folder / "small" / "1.jpg").symlink_to(moved / "1.jpg")
    list(undo(gallery.store))
    assert (moved / "1.jpg").is_file()
    (folder / "small" / "1.jpg").unlink()
    assert [step.refused for step in undo(gallery.store)] == [""]
    list(move_surplus(gallery.store, found, tmp_path / "aside"))
    (folder / "small").rmdir()
    (folder / "small").symlink_to(moved)
    assert all("another file" in step.refused for step in undo(gallery.store))
    assert len(files(moved)) == 2


def test_a_file_that_has_changed_since_stays(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path
) -> None:
    save(scene(8), folder / "small" / "1.jpg")
    (folder / "small" / "2.jpg").unlink()
    steps = list(move_surplus(gallery.store, found, tmp_path / "aside"))
    assert {step.refused for step in steps} == {"it is gone or has changed"}
    assert (folder / "small" / "1.jpg").is_file()


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: save(scene(8), path)])
def test_nothing_moves_when_the_kept_file_is_not_what_it_was(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    change(folder / "1.png")
    steps = {
        Path(step.path).name: step.refused for step in move_surplus(gallery.store, found, tmp_path / "aside")
    }
    assert steps == {"1.jpg": "the file to keep is gone or has changed", "2.jpg": ""}
    assert (folder / "small" / "1.jpg").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_the_kept_file_is_no_copy(folder: Path, gallery: Gallery, tmp_path: Path) -> None:
    shutil.copy(folder / "3.png", folder / "three.png")
    gallery.index(folder)
    found = find_duplicates(gallery.store)
    (folder / "three.png").unlink()
    (folder / "three.png").symlink_to(folder / "3.png")
    steps = {
        Path(step.path).name: step.refused for step in move_surplus(gallery.store, found, tmp_path / "aside")
    }
    assert steps["three.png"] == "it is the kept file under another name (a link)"
    assert (folder / "3.png").is_file()


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM])
def test_other_drives_and_file_systems_without_links(
    folder: Path,
    gallery: Gallery,
    found: Duplicates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    real = carrying._link

    def refused(source: Path, target: Path) -> None:
        if source.name.endswith(".part") and code == errno.EXDEV:
            real(source, target)
            return
        if target.exists():
            raise FileExistsError(errno.EEXIST, "there")
        raise OSError(code, "no")

    before = files(folder)
    when = (folder / "small" / "1.jpg").stat().st_mtime
    monkeypatch.setattr(carrying, "_link", refused)
    assert not any(step.refused for step in move_surplus(gallery.store, found, tmp_path / "aside"))
    assert set(files(tmp_path / "aside").values()) == {before["small/1.jpg"], before["small/2.jpg"]}
    assert (tmp_path / "aside" / "photos" / "small" / "1.jpg").stat().st_mtime == pytest.approx(when)
    list(undo(gallery.store))
    assert files(folder) == before
    assert files(tmp_path / "aside") == {}


def test_nothing_moves_without_a_journal(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = files(folder)
    monkeypatch.setattr(durable, "_flush", full)
    with pytest.raises(GalleryWriteError, match=r"undo journal.*No space left"):
        list(move_surplus(gallery.store, found, tmp_path / "aside"))
    assert files(folder) == before


def test_half_a_line_of_a_journal_means_nothing(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path
) -> None:
    before = files(folder)
    list(move_surplus(gallery.store, found, tmp_path / "aside"))
    (log,) = (gallery.folder / "undo").glob("*.jsonl")
    with log.open("ab") as file:
        file.write(b'{"step": "mo')
    list(undo(gallery.store))
    assert files(folder) == before
    steps = [json.loads(line)["step"] for line in log.read_bytes().splitlines() if line.endswith(b"}")]
    assert steps == ["move", "move", "back", "undone", "back", "undone"]


def test_places_that_cannot_take_files(gallery: Gallery, found: Duplicates, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", gallery.folder / "undo"):
        with pytest.raises(UsageError, match="cannot take the files"):
            list(move_surplus(gallery.store, found, place))


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="folders cannot be made read-only here"
)
def test_a_gallery_that_cannot_be_written(gallery: Gallery, found: Duplicates, tmp_path: Path) -> None:
    gallery.close()
    gallery.folder.chmod(0o500)
    try:
        with pytest.raises(ReadOnlyGalleryError, match="Nothing is moved"):
            list(move_surplus(Store.open(gallery.folder), found, tmp_path / "aside"))
    finally:
        gallery.folder.chmod(0o700)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="would fill the person's own trash")
def test_copies_go_to_the_trash_and_are_told_of(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("send2trash", reason="the extra `trash` is not installed")
    script = (
        "import sys; from pathlib import Path; from picfind.storage.store import Store; "
        "from picfind.duplicates import find_duplicates, trash_surplus\n"
        "store = Store.open(Path(sys.argv[1])); "
        "print(*(step.refused for step in trash_surplus(store, find_duplicates(store))))"
    )
    before = files(folder)
    where = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_DATA_HOME": str(tmp_path / "home" / "data")}
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, str(gallery.folder)],
        env=where,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""
    assert sorted(files(folder)) == ["1.png", "2.png", "3.png"]
    assert {before["small/1.jpg"], before["small/2.jpg"]} <= set(files(tmp_path).values())
    assert [Path(path).name for path in in_trash(gallery.store)] == ["1.jpg", "2.jpg"]
    assert list(undo(gallery.store)) == []


def test_the_trash_names_its_extra(
    gallery: Gallery, found: Duplicates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "send2trash", None)
    with pytest.raises(MissingExtraError, match=r"picfind\[trash\]"):
        list(trash_surplus(gallery.store, found))


@pytest.mark.parametrize("below", ["", "small", "aside", "not/there/yet"])
def test_a_folder_that_is_indexed_takes_no_copies(
    folder: Path, gallery: Gallery, found: Duplicates, below: str
) -> None:
    before = files(folder)
    with pytest.raises(UsageError, match="list the moved copies again"):
        list(move_surplus(gallery.store, found, folder / below))
    assert files(folder) == before
    assert not (folder / "not").exists()


def test_a_link_into_an_indexed_folder_is_one(
    folder: Path, gallery: Gallery, found: Duplicates, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    with pytest.raises(UsageError, match="list the moved copies again"):
        list(move_surplus(gallery.store, found, tmp_path / "link" / "aside"))


def test_a_link_into_the_gallery_takes_no_copies(gallery: Gallery, found: Duplicates, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(gallery.folder, target_is_directory=True)
    for place in (link, link / "indexes", link / "new" / "one"):  # what is strange in indexes/ is swept
        with pytest.raises(UsageError, match="outside the gallery's own"):
            list(move_surplus(gallery.store, found, place))


@pytest.mark.parametrize("how", ["setting", "ignore file", "hidden"])
def test_what_is_left_out_of_an_indexed_folder_takes_copies(
    folder: Path, open_gallery: Callable[..., Gallery], how: str
) -> None:
    exclude = ("/aside/",) if how == "setting" else ()
    gallery = open_gallery("other.gallery", settings=Settings(exclude=exclude))
    if how == "ignore file":
        (folder / ".picfindignore").write_text("aside/\n")
    gallery.index(folder)
    aside = folder / (".aside" if how == "hidden" else "aside")
    steps = list(move_surplus(gallery.store, find_duplicates(gallery.store), aside, exclude=exclude))
    assert [step.refused for step in steps] == ["", ""]
    assert len(files(aside)) == 2
    gallery.index(folder)
    assert len(gallery.search("red", k=10)) == 3, "the next run does not list them again"


def test_a_folder_beside_an_indexed_one_takes_copies(
    folder: Path, gallery: Gallery, found: Duplicates
) -> None:
    steps = list(move_surplus(gallery.store, found, folder.with_name("photos 2")))
    assert [step.refused for step in steps] == ["", ""]


def test_the_kept_file_is_read_once_and_again_when_it_was_touched(tmp_path: Path) -> None:
    save(scene(1), tmp_path / "photos" / "1.png")
    path = tmp_path / "photos" / "1.png"
    kept = moving._Kept()
    first = kept.sha256_of(path)
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "sha256_of", lambda path: "read again")
        assert kept.sha256_of(path) == first
        path.write_bytes(path.read_bytes() + b"x")
        assert kept.sha256_of(path) == "read again"
        path.unlink()
        assert kept.sha256_of(path) is None
