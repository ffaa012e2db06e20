from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from picfind.storage import durable


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    durable.write(tmp_path / "a", lambda file: file.write(b"all"))
    assert (tmp_path / "a").read_bytes() == b"all"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        durable.write(tmp_path / "a", fail)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_the_steps_come_in_the_order_that_survives_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("_flush", "_replace", "_flush_folder"):
        real = getattr(durable, name)

        def noted(*arguments: object, name: str = name, real: object = real) -> None:
            steps.append(name)
            real(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(durable, name, noted)
    durable.write(tmp_path / "a", lambda file: file.write(b"x"))
    assert steps == ["_flush", "_replace", "_flush_folder"]


def test_sweep_removes_what_is_not_kept(tmp_path: Path) -> None:
    for name in ("kept", "stray", "half.tmp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert durable.sweep(tmp_path, {"kept"}) == ["half.tmp", "stray"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "kept"]


def test_sweeping_a_folder_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    assert durable.sweep(tmp_path / "none", ()) == []


def test_removing_tells_when_it_cannot(tmp_path: Path) -> None:
    assert durable.remove(tmp_path / "never was")
    (tmp_path / "folder").mkdir()
    assert not durable.remove(tmp_path / "folder")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such call")
def test_new_folders_are_flushed_into_their_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(durable, "_flush_folder", flushed.append)
    durable.make_folder(tmp_path / "a" / "b")
    durable.make_folder(tmp_path / "a" / "b")
    assert flushed == [tmp_path / "a", tmp_path]
    assert (tmp_path / "a" / "b").is_dir()
