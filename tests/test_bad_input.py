"""What people really have: odd names, full disks, folders that cannot be written. A clear error, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from picfind.storage.store import Store
from tests.photos import photo_bytes, write_photo
from tests.test_cli import picfind, spawn


def huge_png(side: int = 60_000) -> bytes:
    """A PNG that says it has side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """The place of the gallery."""
    return tmp_path / "test.gallery"


def refusals(where: Path) -> dict[str, str]:
    told = json.loads(picfind("status", "--json", "-g", where).stdout)["refusals"]
    return {Path(entry["path"]).name: entry["reason"] for entry in told}


def test_files_that_are_no_pictures(tmp_path: Path, where: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "text.jpg").write_text("these are words")
    (folder / "empty.jpg").touch()
    (folder / "truncated.jpg").write_bytes(photo_bytes(form="JPEG")[:-300])
    (folder / "huge.png").write_bytes(huge_png())
    (folder / "good.png").write_bytes(photo_bytes())
    result = picfind("index", folder, "-g", where)
    assert result.exit_code == 0
    assert "1 encoded, 4 refused" in result.stderr
    found = refusals(where)
    assert "no picture of a known format" in found["text.jpg"]
    assert "empty" in found["empty.jpg"]
    assert "60000 x 60000" in found["huge.png"]
    assert "max_pixels" in found["huge.png"]
    assert found["truncated.jpg"]
    assert "1 unchanged, 4 refused before" in picfind("index", folder, "-g", where).stderr


def test_a_path_with_a_newline(tmp_path: Path, where: Path) -> None:
    path = write_photo(tmp_path / "photos" / "a\nb.png")
    picfind("index", path.parent, "-g", where)
    assert picfind("red", "-g", where).stdout.count("\n") == 1
    assert r"a\nb.png" in picfind("red", "--paths", "-g", where).stdout
    assert picfind("red", "-0", "-g", where).stdout_bytes == os.fsencode(path) + b"\0"
    assert json.loads(picfind("red", "--json", "-g", where).stdout)["hits"][0]["path"] == str(path)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_name_that_is_not_utf_8(tmp_path: Path, where: Path) -> None:
    name = tmp_path / "photos" / os.fsdecode(b"caf\xe9 100%.png")
    name.parent.mkdir()
    name.write_bytes(photo_bytes())
    path = os.fsencode(name)
    assert "1 encoded" in picfind("index", tmp_path / "photos", "-g", where).stderr
    assert "caf%E9 100%.png" in picfind("red", "-g", where).stdout
    assert picfind("red", "-0", "-g", where).stdout_bytes == path + b"\0"
    assert "data:image" in _page(tmp_path, where)
    assert "1 unchanged" in picfind("index", tmp_path / "photos", "-g", where).stderr
    assert "Forgot 1" in picfind("forget", os.fsdecode(path), "-g", where).stderr


def _page(tmp_path: Path, where: Path) -> str:
    picfind("red", "--html", tmp_path / "page.html", "-g", where)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_gallery_of_a_newer_format(tmp_path: Path, where: Path) -> None:
    picfind("index", write_photo(tmp_path / "photos" / "a.png").parent, "-g", where)
    connection = sqlite3.connect(where / "catalog.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    result = picfind("red", "-g", where)
    assert result.exit_code == 2
    assert "has format 99" in result.stderr
    assert "Traceback" not in result.stderr


def test_two_writers_at_once(tmp_path: Path, where: Path) -> None:
    folder = write_photo(tmp_path / "photos" / "a.png").parent
    picfind("index", folder, "-g", where)
    store = Store.open(where)
    with store.writing():
        result = picfind("index", folder, "-g", where)
        assert picfind("red", "-g", where).exit_code == 0, "searching goes on meanwhile"
    store.close()
    assert result.exit_code == 2
    assert "Another process is writing" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["red", "--model", "magic"], "There is no model 'magic'. At hand are: builtin"),
        ([" "], "The query is empty"),
        (["red", "-k", "0"], "k is 0"),
        (["./none.jpg"], "There is no picture ./none.jpg"),
        (["{words}"], "is no picture of a known format"),
        (["@-"], "is empty"),
        (["red", "--index", "magic"], "no index 'magic'"),
        (["red", "-", "red"], "cancel out"),
    ],
)
def test_queries_that_cannot_be_answered(
    tmp_path: Path, where: Path, arguments: list[str], told: str
) -> None:
    picfind("index", write_photo(tmp_path / "photos" / "a.png").parent, "-g", where)
    words = tmp_path / "words.jpg"
    words.write_text("these are words")
    result = picfind("search", *(text.format(words=words) for text in arguments), "-g", where)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.startswith("picfind: ")
    # where the text itself is at fault, it is shown with a mark under the spot
    assert len(result.stderr.splitlines()) == (3 if result.stderr.endswith("^\n") else 1)


def test_no_gallery(where: Path) -> None:
    result = picfind("red", "-g", where)
    assert (result.exit_code, "There is no gallery at" in result.stderr) == (2, True)
    assert not where.exists()


@pytest.mark.parametrize(("variable", "value"), [("PICFIND_WORKERS", "many"), ("PICFIND_MAX_PIXELS", "0")])
def test_settings_that_cannot_be_read(
    where: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = picfind("red", "-g", where)
    assert result.exit_code == 2
    assert variable in result.stderr


def in_mounts_of_its_own(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script as a user who may mount, in a namespace that nobody else sees; skip where that is not allowed."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no `unshare` to make a namespace with")
    call = f"{sys.executable} -c 'from picfind.cli.main import main; main()'"
    script = f'picfind() {{ {call} "$@"; }}\nset -e\n{script}'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare: " in done.stderr or "mount: " in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()[:80]}")
    return done


def test_a_gallery_that_cannot_be_written_is_searched(tmp_path: Path, where: Path) -> None:
    folder = write_photo(tmp_path / "photos" / "a.png").parent
    picfind("index", folder, "-g", where)
    done = in_mounts_of_its_own(
        'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"\n'
        'picfind red -g "$1" --index faiss; picfind status -g "$1"; set +e; picfind index "$2" -g "$1"; echo "exit $?"',
        where,
        folder,
    )
    assert "a.png" in done.stdout, done.stderr
    assert "(read-only)" in done.stdout
    assert done.stdout.endswith("exit 2\n")
    assert "its folder is read-only. Searching it works." in done.stderr


def test_a_full_disk(tmp_path: Path, where: Path) -> None:
    for number in range(120):
        write_photo(tmp_path / "photos" / f"{number}.png", seed=number)
    where.mkdir()
    done = in_mounts_of_its_own(
        'mount -t tmpfs -o size=300k tmpfs "$1"; set +e\n'
        'picfind index "$2" -g "$1"; echo "exit $?"\n'
        'dd if=/dev/zero of="$1/segments/fill" bs=1k count=10000 2>/dev/null; picfind index "$2" -g "$1"; echo "exit $?"\n'
        'mount -o remount,size=30m "$1"; rm "$1/segments/fill"; picfind index "$2" -g "$1"; echo "exit $?"\n'
        'picfind doctor -g "$1"; picfind status -g "$1"',
        where,
        tmp_path / "photos",
    )
    assert "exit 2" in done.stdout, done.stdout + done.stderr
    assert "Make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert "All is well." in done.stdout
    assert "pictures  120 under 120 names" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_folder_without_permission(tmp_path: Path, where: Path) -> None:
    """As somebody who is not root, since root may read everything."""
    photos = tmp_path / "photos"
    write_photo(photos / "a.png")
    write_photo(photos / "locked" / "b.png", seed=1)
    picfind("index", photos, "-g", where)
    (photos / "locked").chmod(0)
    try:
        told = _as_nobody(photos, where)
    finally:
        (photos / "locked").chmod(0o700)
    assert "could not be listed: locked/" in told
    assert "pictures  2" in picfind("status", "-g", where).stdout


def _as_nobody(photos: Path, where: Path) -> str:
    if os.geteuid() != 0:
        return picfind("index", photos, "-g", where).stderr
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        # the effective user alone: reading the gallery goes on through capabilities that root gives up here
        for path in (where, *where.rglob("*"), photos, photos / "a.png"):
            os.chown(path, 65534, 65534)
        for path in list(photos.parents)[:-1]:
            if path.stat().st_uid == 0 and str(path).startswith(str(photos.parents[2])):
                path.chmod(0o755)
        os.seteuid(65534)
        os.write(write, picfind("index", photos, "-g", where).stderr.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as told:
        return told.read()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_locked_folder_above_a_root_is_told(tmp_path: Path, where: Path) -> None:
    photos = tmp_path / "above" / "photos"
    write_photo(photos / "a.png")
    picfind("index", photos, "-g", where)
    (tmp_path / "above").chmod(0)
    try:
        told = _as_nobody_run(tmp_path, where, photos)
    finally:
        (tmp_path / "above").chmod(0o700)
    assert "Traceback" not in told
    assert "(not there now)" in told
    assert "There is nothing at" in told
    assert "There is no picture" in told


def _as_nobody_run(tmp_path: Path, where: Path, photos: Path) -> str:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            for path in (where, *where.rglob("*")):
                os.chown(path, 65534, 65534)
            for path in tmp_path, tmp_path.parent, tmp_path.parent.parent:
                path.chmod(0o755)
            os.seteuid(65534)
        calls: tuple[list[str | Path], ...] = (
            ["status", "-g", where],
            ["index", photos, "-g", where],
            ["search", photos / "a.png", "-g", where],
        )
        told = "".join(str(picfind(*call).output) + str(picfind(*call).exception or "") for call in calls)
        os.write(write, told.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


def test_the_process_itself_prints_one_line(tmp_path: Path) -> None:
    process = spawn("red", "-g", tmp_path / "none", stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    out, told = process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert told.startswith(b"picfind: There is no gallery at")
    assert told.count(b"\n") == 1
