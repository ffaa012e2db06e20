from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picfind import fetch
from picfind.errors import DownloadError
from picfind.fetch import loading
from tests.hub_server import COMMIT, Hub, git_blob, hub_server, use_hub

LARGE = bytes(range(256)) * 4000  # a megabyte: several pieces
FILES = {"config.json": b'{"embed_dim": 16}', "visual/model.onnx": LARGE, "empty.txt": b""}
NAMES = ["config.json", "visual/model.onnx"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as running:
        running.repositories["someone/thing"] = dict(FILES)
        use_hub(monkeypatch, running.url, tmp_path / "cache")
        monkeypatch.setattr(loading, "_PAUSES", (0.01, 0.01))
        yield running


def bring(folder: Path, names: list[str] | None = None, **how: Any) -> None:
    fetch.download(fetch.look_up("someone/thing"), names or NAMES, folder, **how)


def whole(folder: Path, *names: str) -> bool:
    return all((folder / name).read_bytes() == FILES[name] for name in names or NAMES)


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_listing_has_sizes_hashes_and_the_licence(hub: Hub) -> None:
    hub.licences["someone/thing"] = "apache-2.0"
    listing = fetch.look_up("someone/thing")
    assert (listing.commit, listing.licence) == (COMMIT, "apache-2.0")
    assert {file.name: file.size for file in listing.files} == {k: len(v) for k, v in FILES.items()}
    small, large = listing.file("config.json"), listing.file("visual/model.onnx")
    assert (small.sha256, small.blob) == (None, git_blob(FILES["config.json"]))
    assert large.sha256 and large.blob is None


def test_a_licence_may_be_a_list_or_missing(hub: Hub) -> None:
    assert fetch.look_up("someone/thing").licence == "not stated"
    hub.licences["someone/thing"] = ["mit", "apache-2.0"]
    assert fetch.look_up("someone/thing").licence == "mit, apache-2.0"


@pytest.mark.parametrize("page", [b"<html>Log in to the hotel's network</html>", b"[]", b"{}", b'"yes"'])
def test_what_is_not_the_hub_is_not_said_to_be_out_of_reach(hub: Hub, page: bytes) -> None:
    hub.page = page
    with pytest.raises(DownloadError, match=r"What answers at .*someone/thing is not the hub"):
        fetch.look_up("someone/thing")


def test_files_arrive_whole_and_nothing_else_does(hub: Hub, tmp_path: Path) -> None:
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")
    assert files_of(tmp_path / "here") == set(NAMES)
    assert not hub.loads("empty.txt")


def test_a_file_of_no_bytes(hub: Hub, tmp_path: Path) -> None:
    bring(tmp_path / "here", ["empty.txt"])
    assert whole(tmp_path / "here", "empty.txt")


def test_progress_is_told(hub: Hub, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    bring(tmp_path / "here", progress=lambda *step: told.append(step))
    mine = [step for step in told if step[0] == "visual/model.onnx"]
    assert len(mine) > 2
    assert [step[1] for step in mine] == sorted(step[1] for step in mine)
    assert mine[-1] == ("visual/model.onnx", len(LARGE), len(LARGE))


def test_what_is_here_is_not_loaded_again(hub: Hub, tmp_path: Path) -> None:
    bring(tmp_path / "here")
    before = len(hub.loads("visual/model.onnx"))
    bring(tmp_path / "here")
    assert len(hub.loads("visual/model.onnx")) == before == 1


def test_a_connection_that_breaks_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after["visual/model.onnx"] = [300_000, 300_000]
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")
    ranges = hub.loads("visual/model.onnx")
    assert ranges[0] == "" and len(ranges) == 3
    assert all(asked.startswith("bytes=") for asked in ranges[1:])


def test_a_server_without_ranges_begins_again(hub: Hub, tmp_path: Path) -> None:
    hub.ranges = False
    hub.cut_after["visual/model.onnx"] = [600_000]
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")


def test_giving_up_says_how_far_it_came_and_the_next_try_goes_on(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after["visual/model.onnx"] = [700_000, 0, 0, 0, 0]
    with pytest.raises(
        DownloadError, match=r"visual/model\.onnx of someone/thing broke off at [1-9].*Run it again"
    ):
        bring(tmp_path / "here")
    assert not (tmp_path / "here" / "visual" / "model.onnx").exists()
    hub.cut_after.clear()
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")
    assert hub.loads("visual/model.onnx")[-1].startswith("bytes=")


def test_another_version_does_not_go_on_with_the_bytes_of_this_one(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after["visual/model.onnx"] = [700_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError):
        bring(tmp_path / "here")
    hub.cut_after.clear()
    hub.repositories["someone/thing"]["visual/model.onnx"] = LARGE[::-1]
    bring(tmp_path / "here")
    assert (tmp_path / "here" / "visual" / "model.onnx").read_bytes() == LARGE[::-1]
    assert hub.loads("visual/model.onnx")[-1] == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_hash_is_refused_and_loaded_anew(name: str, hub: Hub, tmp_path: Path) -> None:
    hub.damaged.add(name)
    with pytest.raises(DownloadError, match=f"{name} of someone/thing arrived damaged.*removed"):
        bring(tmp_path / "here")
    assert not (tmp_path / "here" / name).exists()
    hub.damaged.clear()
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")
    assert hub.loads(name)[-1] == ""


def test_more_bytes_than_promised(hub: Hub, tmp_path: Path) -> None:
    hub.longer.add("visual/model.onnx")
    with pytest.raises(DownloadError, match="arrived damaged"):
        bring(tmp_path / "here")


def test_a_file_that_was_changed_on_the_disk_is_loaded_again(hub: Hub, tmp_path: Path) -> None:
    bring(tmp_path / "here")
    (tmp_path / "here" / "visual" / "model.onnx").write_bytes(LARGE[::-1])
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")


def test_the_hubs_cache_is_used(hub: Hub, tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path / "cache")
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")
    assert not hub.loads("visual/model.onnx")
    assert whole(snapshot)


def test_a_damaged_cache_is_not(hub: Hub, tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path / "cache")
    (snapshot / "visual" / "model.onnx").resolve().write_bytes(LARGE[::-1])
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")
    assert hub.loads("visual/model.onnx") == [""]


def test_what_lies_nearby_is_copied(hub: Hub, tmp_path: Path) -> None:
    bring(tmp_path / "old")
    before = len(hub.loads("visual/model.onnx"))
    bring(tmp_path / "new", nearby=tmp_path / "old")
    assert whole(tmp_path / "new") and whole(tmp_path / "old")
    assert len(hub.loads("visual/model.onnx")) == before


def fill_cache(cache: Path) -> Path:
    """The hub's cache as its own library lays it out."""
    import hashlib

    from huggingface_hub import hf_hub_download

    store = cache / "models--someone--thing"
    snapshot = store / "snapshots" / COMMIT
    (store / "blobs").mkdir(parents=True)
    (store / "refs").mkdir()
    (store / "refs" / "main").write_text(COMMIT)
    for name, content in FILES.items():
        key = hashlib.sha256(content).hexdigest() if len(content) >= 64 else git_blob(content)
        (store / "blobs" / key).write_bytes(content)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(store / "blobs" / key)
    assert hf_hub_download("someone/thing", "config.json", local_files_only=True, cache_dir=cache)
    return snapshot


def test_offline_nothing_is_asked(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"HF_HUB_OFFLINE forbids the network.*PICFIND_MODELS"):
        fetch.look_up("someone/thing")
    assert not hub.asked


def test_offline_the_hubs_cache_is_enough(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_cache(tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    bring(tmp_path / "here")
    assert whole(tmp_path / "here")
    assert fetch.look_up("someone/thing").commit == COMMIT
    assert not hub.asked


def test_offline_a_file_that_the_cache_lacks(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = fill_cache(tmp_path / "cache")
    (snapshot / "visual" / "model.onnx").unlink()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"no file visual/model\.onnx"):
        bring(tmp_path / "here")


def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with hub_server() as gone:
        url = gone.url
    use_hub(monkeypatch, url, tmp_path)
    with pytest.raises(DownloadError, match=r"cannot be reached at http.*Check the network.*PICFIND_MODELS"):
        fetch.look_up("someone/thing")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "RepoNotFound", r"no repository someone/thing at .*private"),
        (404, "RepoNotFound", r"no repository someone/thing at .*private"),
        (403, "GatedRepo", r"terms to be accepted.*HF_TOKEN"),
        (403, "", r"may not be read \(status 403\).*HF_TOKEN"),
        (500, "", r"status 500. Try again later"),
    ],
)
def test_answers_of_the_hub_are_said_in_words(status: int, code: str, message: str, hub: Hub) -> None:
    hub.statuses["someone/thing"] = (status, code)
    with pytest.raises(DownloadError, match=message):
        fetch.look_up("someone/thing")


def test_an_unknown_repository(hub: Hub) -> None:
    with pytest.raises(DownloadError, match=r"no repository someone/else"):
        fetch.look_up("someone/else")
    with pytest.raises(DownloadError, match="owner/name is wanted"):
        fetch.look_up("some/one/else")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (404, "EntryNotFound", "has no file config.json"),
        (403, "GatedRepo", "terms to be accepted"),
        (403, "", "may not be read"),
        (503, "", "broke off at 0"),
    ],
)
def test_answers_for_a_file(status: int, code: str, message: str, hub: Hub, tmp_path: Path) -> None:
    hub.statuses["config.json"] = (status, code)
    with pytest.raises(DownloadError, match=message):
        bring(tmp_path / "here")


def test_a_file_that_is_not_listed(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"has no file other\.onnx"):
        bring(tmp_path / "here", ["other.onnx"])


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "a//b", "./x", r"a\..\x", "C:/x", "a\nb", ".parts/x", ""]
)
def test_names_that_leave_the_folder_are_refused(name: str, hub: Hub) -> None:
    hub.extra_names.append(name)
    with pytest.raises(DownloadError, match="refused"):
        fetch.look_up("someone/thing")


def test_a_hub_without_hashes_is_not_trusted(hub: Hub) -> None:
    hub.hashes = False
    with pytest.raises(DownloadError, match="no size and hash"):
        fetch.look_up("someone/thing")


def test_too_little_room_is_said_before_anything_is_loaded(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match=r"needs 1\.0 MB more, .* has 0\.0 MB left"):
        bring(tmp_path / "here")
    assert not any(line.startswith("CDN") for line in hub.asked)


def test_a_disk_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    listing = fetch.look_up("someone/thing")
    part = tmp_path / "here" / fetch.PARTS / listing.file("visual/model.onnx").key
    part.mkdir(parents=True)  # even the superuser cannot write a folder
    with pytest.raises(DownloadError, match=r"cannot be written: .*1\.0 MB.*PICFIND_MODELS"):
        bring(tmp_path / "here")


def test_what_the_callback_raises_is_not_taken_for_the_network(hub: Hub, tmp_path: Path) -> None:
    def stop(name: str, done: int, size: int) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        bring(tmp_path / "here", progress=stop)
    assert len(hub.loads("config.json")) == 1


def test_nothing_is_printed(hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hub.cut_after["visual/model.onnx"] = [1000]
    bring(tmp_path / "here")
    assert capfd.readouterr() == ("", "")
    assert whole(tmp_path / "here")
