"""Duplicates of a gallery: kinds, keepers, what stays, what is kept between runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picfind.api import Gallery
from picfind.duplicates import (
    EXACT,
    PERCEPTUAL,
    SEMANTIC,
    VARIANTS,
    Duplicates,
    Group,
    find_duplicates,
    looking,
    pairing,
    shelf,
    taste,
)
from picfind.duplicates.looks import LOOK, look_at
from picfind.duplicates.verdicts import Verdicts
from picfind.errors import UsageError
from picfind.storage import upkeep
from tests.scenes import save, scene

Find = Callable[..., Duplicates]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five pictures that are nobody's copies."""
    for seed in range(5):
        save(scene(seed), tmp_path / "photos" / f"{seed}.png")
    return tmp_path / "photos"


@pytest.fixture
def find(folder: Path, gallery: Gallery) -> Find:
    """Indexes the folder and looks for duplicates."""

    def run(**options: object) -> Duplicates:
        gallery.index(folder)
        return find_duplicates(gallery.store, **options)  # type: ignore[arg-type]

    return run


def named(group: Group) -> list[str]:
    return [Path(one.path).name for one in group.members]


def surplus(groups: Sequence[Group]) -> list[str]:
    return sorted(Path(one.path).name for group in groups for one in group.surplus)


def test_nothing_is_found_among_different_pictures(find: Find) -> None:
    found = find()
    assert (len(found), found.pictures, found.warnings) == (0, 5, ())


def test_the_same_bytes(find: Find, folder: Path) -> None:
    shutil.copy(folder / "1.png", folder / "1 copy.png")
    (group,) = find()
    assert group.kind == EXACT
    assert named(group) == ["1.png", "1 copy.png"]
    assert [one.how for one in group.members] == ["kept", "the same bytes"]
    assert len(find(kinds=[EXACT])) == 1
    assert len(find(kinds=[PERCEPTUAL])) == 0


def test_copies_of_all_sorts_are_one_group_around_the_best(find: Find, folder: Path) -> None:
    picture = scene(2)
    save(picture, folder / "saved.jpg", quality=40)
    save(picture.resize((120, 80)), folder / "small.png")
    save(picture.transpose(Image.Transpose.ROTATE_90), folder / "turned.jpg")
    save(picture.crop((0, 0, 190, 140)), folder / "cropped.jpg")
    shutil.copy(folder / "2.png", folder / "other.png")
    (group,) = find()
    assert group.kind == PERCEPTUAL
    assert named(group)[0] == "2.png"
    assert surplus([group]) == ["cropped.jpg", "other.png", "saved.jpg", "small.png", "turned.jpg"]
    how = {Path(one.path).name: one.how for one in group.members}
    assert how["turned.jpg"] == "turned by 90 degrees"
    assert how["other.png"] == "the same bytes"
    assert how["cropped.jpg"].endswith("% of it")
    assert len(find(kinds=[EXACT])) == 1


def test_a_copy_that_shows_more_than_the_kept_one_stays(find: Find, folder: Path) -> None:
    crop = scene(3).crop((0, 0, 180, 130))
    save(crop.resize((720, 520)), folder / "enlarged.png")
    (group,) = find()
    assert named(group) == ["3.png", "enlarged.png"]
    (group,) = find(taste=taste(["resolution"]))
    assert named(group) == ["enlarged.png", "3.png"]
    assert group.surplus == ()
    assert group.members[1].stays == "shows more than the kept file"


def test_two_crops_of_one_picture_are_no_copies_of_each_other(find: Find, folder: Path) -> None:
    wide = scene(90, size=(480, 160))
    save(wide.crop((0, 0, 300, 160)), folder / "left.png")
    save(wide.crop((180, 0, 480, 160)), folder / "right.png")
    assert len(find()) == 0
    save(wide.resize((240, 80)), folder / "whole.png")
    (group,) = find()
    assert named(group)[0] == "whole.png"  # small, but neither crop shows what the other one does
    (group,) = find(taste=taste(["resolution"]))
    assert named(group)[0] != "whole.png"
    assert len(group.members) == 2
    assert group.surplus == ()


def test_the_files_of_one_shot_stay_together(find: Find, folder: Path) -> None:
    picture = scene(4)
    save(picture, folder / "4.jpg")
    (group,) = find()
    assert (group.kind, named(group), group.surplus) == (VARIANTS, ["4.png", "4.jpg"], ())
    assert group.members[1].stays == "of one shot with 4.png"
    assert surplus(find(variants=True)) == ["4.jpg"]
    save(picture.resize((120, 80)), folder / "mailed" / "4.jpg")
    (group,) = find()
    assert group.kind == PERCEPTUAL
    assert [one.stays for one in group.members] == ["", "of one shot with 4.png", ""]
    shutil.copytree(folder, folder.parent / "again")
    shutil.move(folder.parent / "again", folder / "again")
    assert surplus(find()) == sorted(["0.png", "1.png", "2.png", "3.png", "4.png", "4.jpg", "4.jpg", "4.jpg"])


def test_a_file_beside_its_raw_is_kept_and_stays(find: Find, folder: Path) -> None:
    (folder / "IMG_7.CR2").write_bytes(b"raw")
    save(scene(7), folder / "img_7.jpg")
    save(scene(7), folder / "export.png")
    (group,) = find()
    assert named(group) == ["img_7.jpg", "export.png"]
    (group,) = find(taste=taste(["path"], prefer=["*/export.png"]))
    assert named(group) == ["export.png", "img_7.jpg"]
    assert group.members[1].stays == "its RAW lies beside it"


def test_much_the_same_is_shown_apart_and_never_surplus(find: Find, folder: Path) -> None:
    save(scene(2).resize((120, 80)), folder / "small.png")
    (group,) = find(kinds=[SEMANTIC], similar=0.95)
    assert (group.kind, named(group), group.surplus) == (SEMANTIC, ["2.png", "small.png"], ())
    every = [EXACT, PERCEPTUAL, SEMANTIC]
    assert [group.kind for group in find(kinds=every, similar=0.95)] == [PERCEPTUAL]
    found = find(kinds=every, similar=0.01)
    assert [group.kind for group in found][:2] == [PERCEPTUAL, SEMANTIC]
    assert surplus(found) == ["small.png"]


def test_files_that_are_gone_are_left_out_and_said(find: Find, folder: Path, gallery: Gallery) -> None:
    save(scene(2).resize((120, 80)), folder / "small.png")
    find()
    (folder / "2.png").unlink()
    (folder / "0.png").unlink()
    found = find_duplicates(gallery.store)
    assert (len(found), found.pictures) == (0, 4)
    assert found.warnings == ("2 files are not there now and are left out.",)
    folder.rename(folder.with_name("elsewhere"))
    assert find_duplicates(gallery.store).pictures == 0


def test_a_file_that_has_changed_is_not_looked_at(find: Find, folder: Path, gallery: Gallery) -> None:
    gallery.index(folder)
    save(scene(1), folder / "2.png")
    found = find_duplicates(gallery.store)
    assert len(found) == 0
    assert found.warnings[0].startswith("1 pictures could not be looked at")


def test_a_gallery_of_words_alone_still_finds_what_is_whole(
    tmp_path: Path, folder: Path, gallery: Gallery
) -> None:
    save(scene(2).resize((120, 80)), folder / "small.png")
    gallery.index(folder)
    with gallery.store.catalog.transaction() as change:
        change.run("UPDATE spaces SET kind = 'words'")
    found = find_duplicates(gallery.store)
    assert surplus(found) == ["small.png"]
    assert "no vector" in found.warnings[0]


def test_looks_are_kept_and_may_be_deleted(
    find: Find, folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(scene(2).resize((120, 80)), folder / "small.png")
    assert surplus(find()) == ["small.png"]
    (kept,) = (gallery.folder / "indexes").glob("looks-*.npy")
    assert len(np.load(kept)) == 6
    monkeypatch.setattr(looking, "decode", None)
    assert surplus(find()) == ["small.png"]
    monkeypatch.undo()
    kept.write_bytes(b"\x93NUMPY damaged")
    assert surplus(find()) == ["small.png"]
    upkeep.purge(gallery.store)
    assert not list((gallery.folder / "indexes").glob("looks-*"))


def test_a_run_that_is_stopped_keeps_what_it_has_looked_at(
    find: Find, folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(step: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(looking, "_KEEP_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        find(progress=stop)
    told: list[tuple[str, int, int]] = []
    find(progress=lambda *step: told.append(step))
    assert told[0] == ("looking", 1, 2)


def test_many_small_files_of_looks_become_one(gallery: Gallery) -> None:
    for seed in range(10):
        shelf.add(gallery.store, look_at(scene(seed), bytes([seed]) * 32))
    assert len(list((gallery.folder / "indexes").glob("looks-*.npy"))) <= 2
    found = shelf.load(gallery.store, [bytes([seed]) * 32 for seed in range(12)])
    assert sorted(found) == [bytes([seed]) * 32 for seed in range(10)]
    assert all(look.dtype == LOOK for look in found.values())


def test_pairs_are_compared_once(
    find: Find, folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(scene(2).resize((120, 80)), folder / "small.png")
    first = find()
    assert surplus(first) == ["small.png"]
    assert list((gallery.folder / "indexes").glob("pairs-*.npy"))
    monkeypatch.setattr(pairing, "framings", None)
    assert find() == first
    assert surplus(find(threshold=1.0)) == [], "another threshold needs no other comparison"
    monkeypatch.undo()
    for kept in (gallery.folder / "indexes").glob("pairs-*.npy"):
        kept.write_bytes(b"\x93NUMPY damaged")
    assert find() == first


def test_a_new_picture_is_compared_and_the_others_are_not(
    find: Find, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find()
    save(scene(3).resize((120, 80)), folder / "new.png")
    told: list[tuple[str, int, int]] = []
    found = find(progress=lambda *step: told.append(step))
    assert surplus(found) == ["new.png"]
    new = next(one for group in found for one in group.members if one.path.endswith("new.png"))
    totals = {total for step, _, total in told if step == "comparing"}
    assert len(totals) == 1
    assert max(totals) <= found.pictures - 1, f"only pairs with {new.path}"


def test_verdicts_are_those_of_comparing() -> None:
    pictures = np.concatenate(
        [look_at(scene(seed // 2), bytes([seed]) * 32) for seed in range(6)]
        + [look_at(scene(0).transpose(Image.Transpose.ROTATE_90), bytes([6]) * 32)]
    )
    every = np.array([(first, second) for first in range(7) for second in range(first + 1, 7)])
    verdicts = Verdicts()
    found = pairing.copies(pictures, every, threshold=0.5, verdicts=verdicts)
    known, matches = verdicts.known(pictures, every)
    assert known.all()
    assert {pair: match for pair, match in matches.items() if match.score >= 0.5} == found
    assert {(0, 1), (2, 3), (4, 5), (0, 6), (1, 6)} <= set(found)
    assert not verdicts.known(pictures, every[:, ::-1])[0].any(), "the order of a pair counts"
    others = pictures.copy()
    others["sha256"][:, 0] += 1
    assert not verdicts.known(others, every)[0].any()


@pytest.mark.parametrize(
    "options", [{"kinds": ["same"]}, {"kinds": []}, {"threshold": 0.0}, {"similar": 1.1}]
)
def test_what_makes_no_sense_is_refused(find: Find, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        find(**options)
