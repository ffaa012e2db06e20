from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from picfind import encoders
from picfind.encoders import _folders
from picfind.errors import DownloadError, ModelFilesError, UsageError
from picfind.fetch import PARTS, loading
from picfind.models import pull as pulling
from picfind.settings import Settings
from tests.clip_folders import DIM, Variant, make_folder
from tests.hub_server import COMMIT, Hub, hub_server, use_hub
from tests.models_cli import environment, picfind

NAME = "ViT-B-32__openai"
REPOSITORY = f"immich-app/{NAME}"
LARGE = "textual/model.onnx"
UNWANTED = {"README.md": b"words", "visual/model.armnn": b"\1" * 100, "textual/merges.txt": b"a b"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a model as its publisher has them, with some that are for others."""
    folder = make_folder(tmp_path_factory.mktemp("published") / "model", Variant(external=True))
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    return {**found, **UNWANTED}


@pytest.fixture
def hub(tmp_path: Path, published: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as running:
        running.repositories = {REPOSITORY: dict(published), "someone/thing": dict(published)}
        running.licences[REPOSITORY] = "mit"
        use_hub(monkeypatch, running.url, tmp_path / "cache")
        monkeypatch.setattr(loading, "_PAUSES", (0.01, 0.01))
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "shelf", tmp_path / "models"))


@pytest.fixture
def place(settings: Settings) -> Path:
    return settings.models[-1]


def visible(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize(
    ("spec", "folder"),
    [(NAME, NAME), (REPOSITORY, NAME), ("someone/thing", "someone--thing")],
)
def test_a_model_is_pulled_and_used(spec: str, folder: str, hub: Hub, settings: Settings) -> None:
    card = pulling.pull(spec, settings)
    assert (card.name, card.dim, card.installed) == (folder, DIM, True)
    assert visible(settings.models[-1]) == [folder]
    rows = encoders.load(spec, settings).encode_texts(["a dog", "a cat"])
    assert rows.shape == (2, DIM)


def test_what_is_written_down_about_it(hub: Hub, settings: Settings, place: Path) -> None:
    card = pulling.pull(NAME, settings)
    assert (card.licence, card.source) == ("MIT", f"{REPOSITORY}@{COMMIT}")
    manifest = _folders.read_manifest(place / NAME)
    assert manifest is not None and (manifest.family, manifest.licence) == ("clip", "mit")
    files = {
        path.relative_to(place / NAME).as_posix() for path in (place / NAME).rglob("*") if path.is_file()
    }
    assert files == {*manifest.files, _folders.MANIFEST}
    assert "visual/model.onnx.data" in files and not files & set(UNWANTED)


def test_what_is_not_needed_is_not_loaded(hub: Hub, settings: Settings) -> None:
    pulling.pull(NAME, settings)
    assert not any(hub.loads(name) for name in UNWANTED)


def test_no_network_when_it_is_here(hub: Hub, settings: Settings) -> None:
    first = pulling.pull(NAME, settings)
    hub.asked.clear()
    assert pulling.pull(REPOSITORY, settings) == first == encoders.find(NAME, settings)
    encoders.load(NAME, settings).encode_texts(["a dog"])
    assert not hub.asked


def test_a_folder_from_elsewhere_is_as_good(
    hub: Hub, settings: Settings, published: dict[str, bytes]
) -> None:
    make_folder(settings.models[0] / NAME)
    assert pulling.pull(NAME, settings).installed
    assert not hub.asked


def test_progress_covers_every_file(hub: Hub, settings: Settings) -> None:
    last: dict[str, tuple[int, int]] = {}
    pulling.pull(NAME, settings, progress=lambda file, done, size: last.update({file: (done, size)}))
    assert all(done == size for done, size in last.values())
    assert set(last) == {name for name in hub.repositories[REPOSITORY] if name not in UNWANTED}


@pytest.mark.parametrize("spec", ["unheard-of", "a/b/c", "./here", "", "../models/x"])
def test_what_cannot_be_pulled(spec: str, hub: Hub, settings: Settings) -> None:
    with pytest.raises(UsageError, match="owner/name"):
        pulling.pull(spec, settings)
    assert not hub.asked


def test_a_repository_of_something_else(hub: Hub, settings: Settings, place: Path) -> None:
    hub.repositories["someone/text"] = {"README.md": b"words", "data.csv": b"1,2"}
    with pytest.raises(DownloadError, match=r"holds no model of the families .*clip.*README\.md"):
        pulling.pull("someone/text", settings)
    assert visible(place) == []


def test_a_wrong_hash_leaves_no_model(hub: Hub, settings: Settings, place: Path) -> None:
    hub.damaged.add(LARGE)
    with pytest.raises(DownloadError, match="arrived damaged"):
        pulling.pull(NAME, settings)
    assert visible(place) == []
    with pytest.raises(ModelFilesError, match="models pull"):
        encoders.find(NAME, settings)
    hub.damaged.clear()
    assert pulling.pull(NAME, settings).installed
    assert hub.loads("config.json") == [""], "what had arrived whole was kept"


def test_a_newer_version_leaves_nothing_of_the_older_one(hub: Hub, settings: Settings, place: Path) -> None:
    hub.repositories[REPOSITORY]["visual/old.weights"] = b"\2" * 100
    hub.damaged.add(LARGE)
    with pytest.raises(DownloadError):
        pulling.pull(NAME, settings)
    hub.damaged.clear()
    hub.commit = "f" * 40
    del hub.repositories[REPOSITORY]["visual/old.weights"]
    pulling.pull(NAME, settings)
    assert not (place / NAME / "visual" / "old.weights").exists()
    assert encoders.find(NAME, settings).source.endswith("f" * 40)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_model_is_replaced(damage: str, hub: Hub, settings: Settings, place: Path) -> None:
    pulling.pull(NAME, settings)
    path = place / NAME / LARGE
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes() + b"?")
    with pytest.raises(ModelFilesError, match=r"model\.onnx"):
        encoders.find(NAME, settings)
    before = len(hub.loads("visual/model.onnx"))
    assert pulling.pull(NAME, settings).installed
    assert len(hub.loads("visual/model.onnx")) == before, "the files that were right are copied"
    assert [path for path in place.iterdir() if path.suffix in (".partial", ".old")] == []


def test_a_damaged_model_stays_until_the_new_one_is_whole(hub: Hub, settings: Settings, place: Path) -> None:
    pulling.pull(NAME, settings)
    (place / NAME / LARGE).unlink()
    hub.damaged.add(LARGE)
    with pytest.raises(DownloadError):
        pulling.pull(NAME, settings)
    assert (place / NAME / "config.json").exists()


def test_a_damaged_model_in_another_folder_of_models(hub: Hub, settings: Settings) -> None:
    (make_folder(settings.models[0] / NAME) / LARGE).unlink()
    with pytest.raises(DownloadError, match="comes first: remove it"):
        pulling.pull(NAME, settings)


def test_a_folder_of_a_person_is_not_touched(hub: Hub, settings: Settings, place: Path) -> None:
    mine = place / "someone--thing" / "diary.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("dear diary", "utf-8")
    with pytest.raises(DownloadError, match="in the way"):
        pulling.pull("someone/thing", settings)
    assert mine.read_text("utf-8") == "dear diary"


def test_a_folder_of_that_name_here_is_no_hindrance(
    hub: Hub, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).mkdir()
    monkeypatch.chdir(tmp_path)
    assert pulling.pull(NAME, settings).installed


def test_a_place_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"cannot be written.*PICFIND_MODELS"):
        pulling.pull(NAME, Settings(models=(tmp_path / "file" / "models",)))
    with pytest.raises(UsageError, match="PICFIND_MODELS"):
        pulling.pull(NAME, Settings(models=()))


def test_a_half_loaded_model_is_never_found(hub: Hub, settings: Settings, place: Path) -> None:
    hub.cut_after[LARGE] = [10, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="broke off at 10"):
        pulling.pull(NAME, settings)
    assert (place / f".{NAME}.partial" / PARTS).is_dir()
    assert NAME not in [card.name for card in encoders.cards(settings) if card.installed]
    assert list(_folders.listed(settings)) == []


def test_a_killed_process_is_taken_up_where_it_was(hub: Hub, tmp_path: Path, settings: Settings) -> None:
    hub.stall_after[LARGE] = 200
    env = environment(hub.url, tmp_path)
    running = subprocess.Popen([sys.executable, "-m", "picfind", "models", "pull", NAME], env=env)
    try:
        assert hub.stalled.wait(30)
        part = tmp_path / "models" / f".{NAME}.partial" / PARTS
        for _ in range(200):  # until the bytes that were sent are on the disk
            if any(path.stat().st_size == 200 for path in part.iterdir()):
                break
            threading.Event().wait(0.02)
    finally:
        running.kill()
        assert running.wait() == -signal.SIGKILL or os.name == "nt"
    assert visible(tmp_path / "models") == []
    hub.stall_after.clear()
    done = picfind("models", "pull", NAME, env=env)
    assert done.returncode == 0, done.stderr
    assert hub.loads(LARGE)[-1] == "bytes=200-"
    assert np.isfinite(encoders.load(NAME, settings).encode_texts(["a dog"])).all()


def test_two_processes_wait_for_one_another(hub: Hub, settings: Settings) -> None:
    hub.stall_after[LARGE] = 200
    waited = threading.Event()
    failed: list[Exception] = []

    def run(waiting: threading.Event | None) -> None:
        try:
            pulling.pull(NAME, settings, waiting=waiting.set if waiting else None)
        except Exception as error:
            failed.append(error)

    first = threading.Thread(target=run, args=(None,))
    first.start()
    assert hub.stalled.wait(30)
    second = threading.Thread(target=run, args=(waited,))
    second.start()
    assert waited.wait(30)
    hub.stall_after.clear()
    hub.go_on.set()
    first.join()
    second.join()
    assert failed == []
    assert len(hub.loads("config.json")) == 1


def test_the_command_says_what_it_did_on_stderr_alone(hub: Hub, tmp_path: Path) -> None:
    env = environment(hub.url, tmp_path)
    done = picfind("models", "pull", NAME, env=env)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[0].startswith(f"{NAME} is here: ")
    assert len(done.stderr.splitlines()) == 1
    assert picfind("models", "pull", NAME, "--quiet", env=env).stderr == ""
    listed = json.loads(picfind("models", "--json", env=env).stdout)
    assert [card["installed"] for card in listed if card["name"] == NAME] == [True]
    assert f"* {NAME}  16-d" in picfind("models", env=env).stdout


@pytest.mark.parametrize(
    ("arguments", "more", "message"),
    [
        ((NAME,), {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids"),
        (("someone/else",), {}, "no repository someone/else"),
        (("nonsense",), {}, "no model 'nonsense' to pull"),
    ],
)
def test_the_command_fails_with_one_line_and_2(
    arguments: tuple[str, ...], more: dict[str, str], message: str, hub: Hub, tmp_path: Path
) -> None:
    done = picfind("models", "pull", *arguments, env=environment(hub.url, tmp_path, **more))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and message in done.stderr


def test_the_list_says_what_is_not_here(hub: Hub, tmp_path: Path) -> None:
    shown = picfind("models", env=environment(hub.url, tmp_path)).stdout
    assert f"- {NAME}  512-d, 224 px, about 610 MB, MIT" in shown
    assert "COCO hit_at(1) 47.2 % (big_vision" in shown
    assert not hub.asked


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_terminal_is_shown_a_bar(hub: Hub, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        command = [sys.executable, "-m", "picfind", "models", "pull", NAME]
        env = environment(hub.url, tmp_path, COLUMNS="120", TERM="xterm")
        running = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # how the end of a pseudo-terminal shows on Linux
            while piece := screen.read(4096):
                shown += piece
        assert (running.communicate()[0], running.returncode) == (b"", 0)
    assert LARGE in shown.decode() and "is here:" in shown.decode()


def test_a_folder_that_cannot_be_put_in_place_brings_the_old_one_back(
    hub: Hub, settings: Settings, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulling.pull(NAME, settings)
    (place / NAME / LARGE).unlink()
    real = Path.rename

    def held(path: Path, target: Path) -> Path:
        if path.suffix == ".partial":
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", held)
    with pytest.raises(DownloadError, match=r"cannot become .*Permission denied.*run it again"):
        pulling.pull(NAME, settings)
    assert (place / NAME / "config.json").exists()
