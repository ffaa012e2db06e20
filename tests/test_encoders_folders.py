from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from picfind.encoders import _folders, _onnx
from picfind.encoders._folders import Manifest
from picfind.errors import ModelFilesError, SettingsError
from picfind.settings import Settings
from tests.clip_folders import Variant, make_folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return Settings(models=(tmp_path / "first", tmp_path / "second"))


def folder_with(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def test_a_name_is_looked_for_in_order(settings: Settings) -> None:
    late = folder_with(settings.models[1] / "model")
    assert _folders.named("model", settings) == late
    early = folder_with(settings.models[0] / "model")
    assert _folders.named("model", settings) == early


def test_a_repositorys_name_means_its_folder(settings: Settings) -> None:
    folder = folder_with(settings.models[1] / "owner--name")
    assert _folders.named("owner/name", settings) == folder
    assert _folders.named("owner/other", settings) is None


def test_a_path_is_one(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_with(tmp_path / "here" / "model")
    assert _folders.named(str(folder), settings) == folder
    monkeypatch.chdir(tmp_path)
    assert _folders.named(str(Path("here") / "model"), settings) == folder
    monkeypatch.chdir(tmp_path / "here")
    assert _folders.named("model", settings) == folder


@pytest.mark.parametrize("spec", ["", "nothing", "no/thing", "/no/thing"])
def test_what_names_nothing(spec: str, settings: Settings) -> None:
    assert _folders.named(spec, settings) is None


def test_dots_are_paths_and_no_names_of_models(settings: Settings, tmp_path: Path) -> None:
    assert _folders.named("..", settings) == Path.cwd().parent
    assert _folders.named(".", settings) == Path.cwd()


def test_a_file_is_no_folder(settings: Settings) -> None:
    (settings.models[0] / "model").write_bytes(b"")
    assert _folders.named("model", settings) is None
    assert list(_folders.listed(settings)) == []


def test_folders_are_listed_once_and_hidden_ones_are_not(settings: Settings) -> None:
    first, second = settings.models
    for place, name in ((first, "b"), (first, "c"), (second, "a"), (second, "b"), (second, ".x.partial")):
        folder_with(place / name)
    assert list(_folders.listed(settings)) == [first / "b", first / "c", second / "a"]
    missing = Settings(models=(first / "not there", second))
    assert [folder.name for folder in _folders.listed(missing)] == ["a", "b"]


def test_json_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(ModelFilesError, match=r"config\.json cannot be read: No such file"):
        _folders.read_json(path)
    for content, message in (
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[1]", "no JSON object"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelFilesError, match=message):
            _folders.read_json(path)


def test_json_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert _folders.read_json(tmp_path / "config.json") == {"a": 1}


def test_a_manifest_lists_every_file_but_itself(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "model", a_bin=b"one", _hidden=b"no")
    folder_with(folder / "below", b_bin=b"two")
    folder_with(folder / ".parts", c_bin=b"no")
    assert _folders.read_manifest(folder) is None
    _folders.write_manifest(folder, Manifest("clip", licence="MIT", source="here", about={"dim": 4}))
    found = _folders.read_manifest(folder)
    assert found is not None
    assert (found.family, found.licence, found.source, found.about) == ("clip", "MIT", "here", {"dim": 4})
    assert found.files == {
        "a.bin": hashlib.sha256(b"one").hexdigest(),
        "below/b.bin": hashlib.sha256(b"two").hexdigest(),
    }
    _folders.write_manifest(folder, found)
    assert _folders.read_manifest(folder) == found


@pytest.mark.parametrize(
    "content",
    [
        '{"family": "clip", "colour": "red"}',
        "{}",
        "[]",
        '{"family": 7}',
        '{"family": "clip", "files": []}',
        '{"family": "clip", "files": {"a": 1}}',
        '{"family": "clip", "about": 3}',
        '{"family": "clip", "licence": null}',
    ],
)
def test_a_damaged_manifest(content: str, tmp_path: Path) -> None:
    (tmp_path / _folders.MANIFEST).write_text(content, "utf-8")
    with pytest.raises(ModelFilesError, match=r"picfind\.json"):
        _folders.read_manifest(tmp_path)


def test_what_is_required(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, a_bin=b"one", b_bin=b"")
    _folders.require(folder, ["a.bin"])
    with pytest.raises(ModelFilesError, match=r"b\.bin is empty"):
        _folders.require(folder, ["a.bin", "b.bin"])
    with pytest.raises(ModelFilesError, match=r"lacks its file c\.bin"):
        _folders.require(folder, ["c.bin"])


def test_a_revision_is_of_names_contents_and_the_way(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "model", a_bin=b"one", b_bin=b"two", c_bin=b"three")
    plain = _folders.revision(folder, ["a.bin", "b.bin"], "how")
    assert len(plain) == 12 and int(plain, 16) >= 0
    assert plain == _folders.revision(folder, ["b.bin", "a.bin"], "how")
    assert plain == _folders.revision(
        folder_with(tmp_path / "copy", a_bin=b"one", b_bin=b"two"), ["a.bin", "b.bin"], "how"
    )
    others = [
        _folders.revision(folder, ["a.bin", "b.bin"], "how else"),
        _folders.revision(folder, ["a.bin", "c.bin"], "how"),
        _folders.revision(folder, ["a.bin"], "how"),
        _folders.revision(
            folder_with(tmp_path / "swapped", a_bin=b"two", b_bin=b"one"), ["a.bin", "b.bin"], "how"
        ),
    ]
    assert len({plain, *others}) == 5


def test_a_file_that_is_not_what_was_pulled(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, a_bin=b"one", b_bin=b"two")
    _folders.write_manifest(folder, Manifest("clip"))
    _folders.revision(folder, ["a.bin", "b.bin"], "how")
    (folder / "a.bin").write_bytes(b"One")
    with pytest.raises(ModelFilesError, match=r"a\.bin is not what was pulled"):
        _folders.revision(folder, ["a.bin", "b.bin"], "how")
    _folders.revision(folder, ["b.bin"], "how")


def test_a_size(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, a_bin=b"x" * 1_250_000, b_bin=b"x" * 50_000)
    assert _folders.size_mb(folder, ["a.bin", "b.bin"]) == 1.3


def test_a_digest_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    read: list[Path] = []
    real = _folders._sha256

    def counted(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(_folders, "_sha256", counted)
    first = _folders.digest(path)
    assert (_folders.digest(path), len(read)) == (first, 1)
    path.write_bytes(b"two!")
    assert _folders.digest(path) == hashlib.sha256(b"two!").hexdigest()
    assert len(read) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}'])
def test_a_damaged_memory_of_digests_is_no_harm(content: str, tmp_path: Path) -> None:
    memory = _folders._memory()
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(content, "utf-8")
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    assert _folders.digest(path) == hashlib.sha256(b"one").hexdigest()
    assert hashlib.sha256(b"one").hexdigest() in json.loads(memory.read_text("utf-8")).values()


def test_several_threads_remember_digests(tmp_path: Path) -> None:
    paths = []
    for at in range(8):
        paths.append(tmp_path / f"{at}.bin")
        paths[-1].write_bytes(b"%d" % at)
    threads = [threading.Thread(target=_folders.digest, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(json.loads(_folders._memory().read_text("utf-8")), dict)
    assert list(_folders._memory().parent.glob("digests.json.*")) == []


def test_once_makes_once() -> None:
    made: list[int] = []
    gate = threading.Barrier(4)

    def make() -> int:
        made.append(1)
        return len(made)

    once = _onnx.Once(make)
    found: list[int] = []

    def get() -> None:
        gate.wait()
        found.append(once.get())

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1, 1]


def test_once_tries_again_after_a_failure() -> None:
    tries: list[int] = []

    def make() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ModelFilesError("not yet")
        return 7

    once = _onnx.Once(make)
    with pytest.raises(ModelFilesError):
        once.get()
    assert once.get() == 7


def test_devices() -> None:
    assert _onnx.providers("cpu") == [_onnx.CPU]
    assert _onnx.providers("auto")[-1] == _onnx.CPU
    assert not _onnx.on_accelerator("cpu")
    with pytest.raises(SettingsError, match=r"no device 'tpu'.*auto, cuda.*cpu"):
        _onnx.providers("tpu")


def test_devices_that_are_there_come_best_first(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    there = ["AzureExecutionProvider", _onnx.CPU, "OpenVINOExecutionProvider", "CUDAExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    assert _onnx.providers("auto") == ["CUDAExecutionProvider", _onnx.CPU]
    assert _onnx.providers("openvino") == ["OpenVINOExecutionProvider", _onnx.CPU]
    assert _onnx.on_accelerator("auto") and not _onnx.on_accelerator("openvino")
    with pytest.raises(SettingsError, match="coreml is not there"):
        _onnx.providers("coreml")


def test_a_graph_is_opened_quietly_or_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "model", Variant(external=True))
    session = _onnx.open_session(folder / "visual" / "model.onnx", hint="Do this.")
    rows = session.run(None, {"image": np.zeros((2, 3, 8, 8), np.float32)})[0]
    assert rows.shape == (2, 16)
    (folder / "visual" / "model.onnx.data").unlink()
    with pytest.raises(ModelFilesError, match=r"model\.onnx cannot be read.*Do this\."):
        _onnx.open_session(folder / "visual" / "model.onnx", hint="Do this.")
    with pytest.raises(ModelFilesError, match=r"none\.onnx cannot be read"):
        _onnx.open_session(tmp_path / "none.onnx", hint="")
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_is_opened_or_named(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    tokenizer = _onnx.open_tokenizer(folder / "textual" / "tokenizer.json", hint="")
    assert tokenizer.get_vocab_size() > 200
    (tmp_path / "bad.json").write_text("{}", "utf-8")
    with pytest.raises(ModelFilesError, match=r"bad\.json cannot be read.*Do this\."):
        _onnx.open_tokenizer(tmp_path / "bad.json", hint="Do this.")


def test_plain_text() -> None:
    assert _onnx.plain("Bäume 🌳") == "Bäume 🌳"
    assert _onnx.plain("a\udce4b") == "a?b"
