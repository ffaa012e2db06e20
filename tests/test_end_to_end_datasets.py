"""Datasets from their layouts into a gallery: found by what is said and by sight, kept up to date, shown, moved, forgotten."""

from __future__ import annotations

import base64
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import picfind
from picfind import plugins
from picfind.api import Gallery
from picfind.cli import pages, thumbnails
from picfind.cli.main import app
from picfind.concepts import Way
from picfind.duplicates import check_target
from picfind.errors import MissingSourceError, UsageError
from picfind.search.crop import Crop
from picfind.search.query import Kind, Query, Term
from picfind.settings import Settings
from picfind.storage import roots, upkeep
from picfind.testing import toy_encoder
from tests.datasets_layouts import coco_captions, karpathy, tar, write_json
from tests.photos import photo_bytes, write_photo

SAID = {"red": "zebra", "green": "kettle", "blue": "tramway", "yellow": "anchor", "cyan": "violin"}
"""What is said of each picture, whose colour is all that there is to see."""
COLOURS = list(SAID)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which a server on this machine shows it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def coco(root: Path, colours: list[str]) -> str:
    pictures = {
        number: (f"{colour}.jpg", [f"a {SAID[colour]} ."]) for number, colour in enumerate(COLOURS, 1)
    }
    coco_captions(root, "val", "2017", pictures, photos=False)
    _photos(root / "val2017", "jpg", colours)
    return f"coco:{root}?year=2017#val"


def flickr(root: Path, colours: list[str]) -> str:
    karpathy(
        root / "dataset_flickr8k.json",
        (
            {"filename": f"{name}.jpg", "split": "train", "captions": [f"a {SAID[name]} ."]}
            for name in COLOURS
        ),
        dataset="flickr8k",
    )
    _photos(root / "images", "jpg", colours)
    return f"flickr:{root}#train"


def voc(root: Path, colours: list[str]) -> str:
    sets = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main"
    sets.mkdir(parents=True, exist_ok=True)
    (sets / "val.txt").write_text("".join(f"{colour}\n" for colour in COLOURS))
    for colour, label in SAID.items():
        verdicts = (f"{name} {1 if name == colour else -1:2}\n" for name in COLOURS)
        (sets / f"{label}_val.txt").write_text("".join(verdicts))
    _photos(sets.parent.parent / "JPEGImages", "jpg", colours)
    return f"voc:{root}#val"


def table(root: Path, colours: list[str]) -> str:
    rows = ["image,caption", *(f"{colour}.png,a {SAID[colour]}" for colour in COLOURS)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "captions.csv").write_text("\n".join(rows))
    _photos(root / "images", "png", colours)
    return f"table:{root / 'captions.csv'}"


def labelled(root: Path, colours: list[str]) -> str:
    for colour in COLOURS:
        _photos(root / SAID[colour], "png", [colour] if colour in colours else [])
    return f"labelled:{root}"


def visual_genome(root: Path, colours: list[str]) -> str:
    data, described = [], []
    for number, colour in enumerate(COLOURS, 1):
        url = f"https://cs.stanford.edu/people/rak248/VG_100K/{colour}.jpg"
        data.append({"image_id": number, "url": url, "width": 32, "height": 24})
        region = {"phrase": f"a {SAID[colour]}", "x": 1, "y": 1, "width": 9, "height": 9, "image_id": number}
        described.append({"id": number, "regions": [region]})
    write_json(root / "image_data.json", data)
    write_json(root / "region_descriptions.json", described)
    _photos(root / "VG_100K", "jpg", colours)
    return f"visual_genome:{root}"


def shards(root: Path, colours: list[str]) -> str:
    members = []
    for colour in colours:
        members += [
            (f"{colour}.png", photo_bytes(colour, size=(64, 48))),
            (f"{colour}.txt", f"a {SAID[colour]}".encode()),
        ]
    tar(root / "train-00.tar", members)
    return f"webdataset:{root}/train-{{00..00}}.tar"


def _photos(folder: Path, ending: str, colours: list[str]) -> None:
    """Just these pictures in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for colour in COLOURS:
        path = folder / f"{colour}.{ending}"
        if colour not in colours:
            path.unlink(missing_ok=True)
        elif not path.exists():
            write_photo(path, colour=colour, size=(64, 48))


LAYOUTS = [coco, flickr, voc, table, labelled, visual_genome, shards]
Layout = Callable[[Path, list[str]], str]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    settings = Settings(private_addresses=True)
    with picfind.open(tmp_path / "gallery", encoder=toy_encoder(), settings=settings) as opened:
        yield opened


def seen(gallery: Gallery, colour: str) -> str:
    """What is found by sight."""
    return Path(gallery.search(f"something {colour}", against="pictures", k=1)[0].path).stem


def said(gallery: Gallery, words: str) -> list[str]:
    """What is found by what is said of it."""
    return [Path(hit.path).stem for hit in gallery.search(words, against="text")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_is_indexed_searched_and_kept_up_to_date(
    layout: Layout, gallery: Gallery, tmp_path: Path
) -> None:
    source = layout(tmp_path / "data", COLOURS)
    assert gallery.index(source).encoded == len(COLOURS)
    for colour, word in SAID.items():
        assert seen(gallery, colour) == colour
        assert said(gallery, word) == [colour]
    hit = gallery.search("something red", k=1)[0]
    assert hit.path.startswith(str(tmp_path / "data"))
    assert hit.metadata["tags"] == [SAID["red"]] or SAID["red"] in (hit.caption or "")
    again = gallery.index(source)
    assert (again.due, again.unchanged, again.gaps) == (0, len(COLOURS), ())

    layout(tmp_path / "data", COLOURS[1:])
    assert gallery.index(source).forgotten == 1
    assert said(gallery, SAID["red"]) == []
    assert said(gallery, SAID["blue"]) == ["blue"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_root_is_an_error_and_nothing_is_forgotten(
    layout: Layout, gallery: Gallery, tmp_path: Path
) -> None:
    source = layout(tmp_path / "data", COLOURS)
    gallery.index(source)
    (tmp_path / "data").rename(tmp_path / "unplugged")
    with pytest.raises(MissingSourceError):
        gallery.index(source)
    assert said(gallery, SAID["red"]) == ["red"]
    assert [entry["present"] for entry in upkeep.status(gallery.store)["roots"]] == [False]
    with pytest.raises(MissingSourceError, match="not there now"):
        gallery.read(gallery.search("something red", k=1)[0].path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_root_that_moved_stays_the_same_dataset(layout: Layout, gallery: Gallery, tmp_path: Path) -> None:
    gallery.index(layout(tmp_path / "data", COLOURS))
    (before,) = roots.roots(gallery.store.catalog)
    (tmp_path / "data").rename(tmp_path / "else?where")
    roots.move_root(gallery.store.catalog, str(tmp_path / "data"), str(tmp_path / "else?where"))
    (after,) = roots.roots(gallery.store.catalog)
    assert after.location.partition("?")[2] == before.location.partition("?")[2]
    hit = gallery.search("something red", k=1)[0]
    assert hit.path.startswith(str(tmp_path / "else?where"))
    assert thumbnails.opened(hit.path, read=gallery.read) is not None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_is_forgotten_by_its_name_and_a_picture_by_its_path(
    layout: Layout, gallery: Gallery, tmp_path: Path
) -> None:
    source = layout(tmp_path / "data", COLOURS)
    gallery.index(source)
    assert gallery.forget(gallery.search("something red", k=1)[0].path) == 1
    assert seen(gallery, "red") != "red"
    with pytest.raises(UsageError, match="no picture"):
        gallery.forget(tmp_path / "data" / "none.png")
    assert gallery.forget(source) == len(COLOURS) - 1
    assert roots.roots(gallery.store.catalog) == []
    with pytest.raises(UsageError, match="knows nothing of"):
        gallery.forget(source)


def test_most_of_a_folder_missing_is_no_reason_to_forget(gallery: Gallery, tmp_path: Path) -> None:
    source = coco(tmp_path / "data", COLOURS)
    gallery.index(source)
    coco(tmp_path / "data", ["red"])
    report = gallery.index(source)
    assert report.forgotten == 0 and len(report.gaps) == 2
    assert "4 pictures are named and are not there" in report.gaps[0].reason
    assert said(gallery, SAID["cyan"]) == ["cyan"]


def test_pictures_in_other_folders_than_the_usual_are_kept_while_they_are_missing(
    gallery: Gallery, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    source = coco(root, COLOURS).partition("#")[0]
    others = {number: (f"t{number}.jpg", ["something"]) for number in range(20, 29)}
    coco_captions(root, "train", "2017", others)
    (root / "images").mkdir()
    (root / "val2017").rename(root / "images" / "val2017")
    assert gallery.index(source).encoded == 14
    (root / "images").rename(tmp_path / "unplugged")
    assert gallery.index(source).forgotten == 0
    assert said(gallery, SAID["cyan"]) == ["cyan"]


def test_pictures_of_shards_are_shown_exported_cut_and_left_alone(gallery: Gallery, tmp_path: Path) -> None:
    gallery.index(shards(tmp_path / "data", COLOURS))
    results = gallery.search("something blue", k=2)
    assert results[0].path == str(tmp_path / "data" / "train-00.tar" / "blue.png")
    assert gallery.read(results[0].path) == photo_bytes("blue", size=(64, 48))
    page = pages.render([("blue", results)], read=gallery.read)
    assert page.count("data:image/jpeg;base64,") == 2 and thumbnails.GONE not in page
    assert thumbnails.GONE in pages.render([("blue", results)])

    piece = Term(Kind.CONTENT, results[0].content, crop=Crop(0, 0, 20, 20))
    assert Path(gallery.answer(Query((piece,), 1))[0].path).stem == "blue"

    gallery.concepts.save("blues", "something blue", min_score=None)
    done = gallery.concepts.export("blues", tmp_path / "album")
    assert len(done.written) == len(COLOURS) and done.missing == ()
    assert (tmp_path / "album" / "blue.png").read_bytes() == photo_bytes("blue", size=(64, 48))
    assert len(gallery.concepts.export("blues", tmp_path / "album").known) == len(COLOURS)
    linked = gallery.concepts.export("blues", tmp_path / "links", way=Way.SYMLINK)
    assert len(linked.missing) == len(COLOURS) and linked.written == ()

    found = gallery.duplicates()
    assert not found.groups and "5 pictures of datasets have no file of their own" in found.warnings[0]


def test_urls_are_loaded_found_and_shown(gallery: Gallery, tmp_path: Path, site: tuple[Path, str]) -> None:
    folder, address = site
    for colour in COLOURS:
        write_photo(folder / "a b" / f"{colour}.png", colour=colour, size=(64, 48))
    lines = [f"{address}/a%20b/{colour}.png\ta {SAID[colour]}\n" for colour in COLOURS]
    (tmp_path / "list.tsv").write_text("".join(lines))
    source = f"urls:{tmp_path}/list.tsv?pause=0"
    assert gallery.index(source).encoded == len(COLOURS)
    hits = gallery.search("something green", k=1)
    assert hits[0].path == f"{address}/a%20b/green.png"
    assert hits[0].caption == "a kettle" and hits[0].metadata["tags"] is None
    assert said(gallery, "kettle") == ["green"]
    assert gallery.index(source).due == 0
    page = pages.render([("green", hits)], read=gallery.read)
    assert "data:image/jpeg;base64," in page and f'href="{address}/a%20b/green.png"' in page

    (tmp_path / "list.tsv").write_text("".join(lines[:-1]))
    assert gallery.index(source).forgotten == 1
    assert gallery.forget(hits[0].path) == 1
    assert gallery.forget(tmp_path / "list.tsv") == len(COLOURS) - 2


def test_a_dataset_inside_an_indexed_folder_is_shown_once(gallery: Gallery, tmp_path: Path) -> None:
    gallery.index(coco(tmp_path / "data", COLOURS))
    gallery.index(tmp_path)
    hit = gallery.search("something red", k=1)[0]
    assert hit.keys == (str(tmp_path / "data" / "val2017" / "red.jpg"),)
    assert len(gallery.search("a", where=f"path~{tmp_path}/data/val", k=9)) == len(COLOURS)
    assert not gallery.duplicates().groups
    assert gallery.forget(hit.path) == 2


PLUGIN = """
import functools
import zipfile

from picfind.datasets import location_of
from picfind.types import Fingerprint, Item


class Zipped:
    kind, scope = "zipped", ""

    def __init__(self, path):
        self._path, self.location = path, location_of(path, {})

    def items(self):
        with zipfile.ZipFile(self._path) as archive:
            for entry in archive.infolist():
                read = functools.partial(self._read, entry.filename)
                yield Item(entry.filename, Fingerprint(f"{entry.CRC:08x}"), read)

    def _read(self, name):
        return zipfile.ZipFile(self._path).open(name)


def open(place):
    return Zipped(place.path)
"""


def test_a_plug_in_of_another_package_is_indexed_shown_and_forgotten_without_it(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zipped_pictures.py").write_text(PLUGIN)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for colour in COLOURS:
            archive.writestr(f"sub/{colour}.png", photo_bytes(colour))
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("zipped", "zipped_pictures", "picfind.datasets")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == point.group else [])
    source = f"zipped:{tmp_path}/a.zip"
    assert gallery.index(source).encoded == len(COLOURS)
    hit = gallery.search("something cyan", k=1)[0]
    assert hit.path == str(tmp_path / "a.zip" / "sub" / "cyan.png")
    assert gallery.read(hit.path) == photo_bytes("cyan")

    monkeypatch.setattr(plugins, "entry_points", lambda group: [])
    with pytest.raises(MissingSourceError, match="not there now"):
        gallery.read(hit.path)
    with pytest.raises(UsageError, match="no kind of source called 'zipped'"):
        gallery.index(source)
    assert gallery.forget(source) == len(COLOURS)


def test_copies_are_not_moved_to_where_they_would_be_listed_again(gallery: Gallery, tmp_path: Path) -> None:
    gallery.index(labelled(tmp_path / "data", COLOURS))
    with pytest.raises(UsageError, match="would list the moved copies again"):
        check_target(gallery.store, tmp_path / "data" / "copies")
    gallery.forget(tmp_path / "data")
    gallery.index(table(tmp_path / "data", COLOURS))
    assert check_target(gallery.store, tmp_path / "data" / "copies") == tmp_path / "data" / "copies"


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_the_commands_take_datasets(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    source = coco(folder, COLOURS[1:])
    flags = ("--gallery", str(tmp_path / "g"))
    done = command("index", source, *flags)
    assert done.exit_code == 0 and "1 picture is named and is not there" in done.stderr, done.output
    assert command("roots", *flags).stdout.strip() == f"coco:{folder}?split=val&year=2017"
    assert f"coco:{folder}?split=val&year=2017  4" in command("status", *flags).stdout
    assert json.loads(command("status", "--json", *flags).stdout)["roots"][0]["present"] is True

    page = tmp_path / "page.html"
    found = command("search", "kettle", "--against", "text", "--paths", "--html", str(page), *flags)
    assert found.stdout.split() == [str(folder / "val2017" / "green.jpg")]
    assert base64.b64encode(b"\xff\xd8\xff").decode()[:4] in page.read_text(encoding="utf-8")

    folder.rename(tmp_path / "moved")
    assert "is not there now" in command("doctor", *flags).stdout
    assert command("roots", "move", str(folder), str(tmp_path / "moved"), *flags).exit_code == 0
    assert command("doctor", *flags).stdout.strip() == "All is well."
    name = f"coco:{tmp_path / 'moved'}?split=val&year=2017"
    assert "Forgot 4 names" in command("forget", name, *flags).stderr


def test_a_source_that_is_not_there_makes_no_gallery(tmp_path: Path) -> None:
    flags = ("--gallery", str(tmp_path / "g"))
    for source, told in (
        (f"coco:{tmp_path}/none", "cocodataset.org"),
        (f"cocoa:{tmp_path}", "Did you mean coco?"),
        (f"coco:{tmp_path}?year=1999", "there is no year"),
        (f"webdataset:{tmp_path}/none/a.tar", "no folder"),
    ):
        done = command("index", source, *flags)
        assert done.exit_code == 2, done.output
        assert told in (done.stderr or str(done.exception)), done.output
        assert not (tmp_path / "g").exists()


def test_settings_reach_the_loading_of_a_url(tmp_path: Path, site: tuple[Path, str]) -> None:
    folder, address = site
    write_photo(folder / "red.png", colour="red")
    (tmp_path / "list.txt").write_text(f"{address}/red.png\n")
    with picfind.open(tmp_path / "g", encoder=toy_encoder(), settings=Settings()) as shut:
        assert shut.index(f"urls:{tmp_path}/list.txt?pause=0").refused == 1
    allowed = replace(Settings(), private_addresses=True)
    with picfind.open(tmp_path / "h", encoder=toy_encoder(), settings=allowed) as opened:
        assert opened.index(f"urls:{tmp_path}/list.txt?pause=0").encoded == 1
