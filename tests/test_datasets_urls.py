"""Lists of URLs: how they are read, and how politely their pictures are loaded, from a server on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind.datasets import open_source
from picfind.datasets._courtesy import Courtesy, seconds_of
from picfind.datasets.base import TEXT_TO_IMAGE, Dataset, Place
from picfind.datasets.urls import Loader, Urls
from picfind.errors import (
    DownloadError,
    MissingSourceError,
    NotAPictureError,
    PictureTooLargeError,
    UsageError,
)
from picfind.ingest.run import run
from picfind.settings import Settings
from picfind.storage.store import Store
from picfind.testing import DatasetSuite, toy_encoder
from picfind.types import Item
from tests.datasets_layouts import coco_captions, items_of, listed, opened
from tests.photos import photo_bytes

PHOTO = photo_bytes(form="JPEG")
HERE = Settings(private_addresses=True)


@dataclass
class Site:
    """A server; what it answers to a path is a list, whose last entry stays."""

    server: ThreadingHTTPServer
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    now: int = 0
    most: int = 0
    slow: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def says(self, path: str, *answers: tuple[int, dict[str, str], bytes]) -> str:
        self.answers[path] = list(answers)
        return self.url(path)


def photo_answer(data: bytes = PHOTO) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "image/jpeg"}, data


def only(status: int, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, b""


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with found.lock:
                found.asked.append(self.path)
                found.agents.add(self.headers["User-Agent"])
                found.now += 1
                found.most = max(found.most, found.now)
                answers = found.answers.get(self.path, [only(404)])
                status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            time.sleep(found.slow)
            with found.lock:
                found.now -= 1
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Site(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.slept += [seconds] if seconds else []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loader(clock: Clock) -> Loader:
    return Loader(HERE, Courtesy(pause=0, clock=clock, sleep=clock.sleep))


def read(loader: Loader, *urls: str) -> bytes:
    with loader.open(urls) as file:
        return file.read()


class TestUrls(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _layout(self, tmp_path: Path, site: Site) -> None:
        self.root = tmp_path
        urls = [site.says(f"/{name}.jpg", photo_answer(photo_bytes(seed=name))) for name in range(3)]
        (tmp_path / "list.txt").write_text("".join(f"{url}\ta photo\n" for url in urls))

    def dataset(self) -> Dataset:
        return open_source(f"urls:{self.root}/list.txt?pause=0", HERE)

    def missing(self) -> Dataset:
        return opened(f"urls:{self.root}/nothing.txt")


def said(source: str) -> dict[str, list[str]]:
    return {key: [words.text for words in item.words] for key, item in items_of(source).items()}


def test_a_list_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    lines = [
        "\ufeff# photos",
        "",
        "https://a.org/1.jpg",
        "http://a.org/2%41.jpg\tA dog, a cat .",
        "https://a.org/3.jpg and a sea",
        "A wall\thttps://a.org/4.jpg?x=1#y",
        "https://a.org/1.jpg twice",
    ]
    path.write_text("\r\n".join(lines), encoding="utf-8", newline="")
    assert said(f"urls:{path}") == {
        "https://a.org/1.jpg": ["twice"],
        "http://a.org/2%2541.jpg": ["A dog, a cat ."],
        "https://a.org/3.jpg": ["and a sea"],
        "https://a.org/4.jpg?x=1#y": ["A wall"],
    }
    asked = [query.text for query in opened(f"urls:{path}").queries() if query.task == TEXT_TO_IMAGE]
    assert asked == ["twice", "A dog, a cat .", "and a sea", "A wall"]


def test_conceptual_captions_has_the_caption_first(tmp_path: Path) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text("a very typical bus station\thttp://lh6.ggpht.com/-IvRtNLNcG8o/w-h/1.jpg\n")
    assert said(f"urls:{path}") == {
        "http://lh6.ggpht.com/-IvRtNLNcG8o/w-h/1.jpg": ["a very typical bus station"]
    }


def test_rows_of_one_url_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = ["url,caption", "https://a.org/1.jpg,one", "https://a.org/2.jpg,two", "https://a.org/1.jpg,three"]
    path.write_text("\n".join(rows))
    assert said(f"urls:{path}") == {"https://a.org/1.jpg": ["one", "three"], "https://a.org/2.jpg": ["two"]}


def test_tables_of_urls(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        'URL,Caption,split\nhttps://a.org/1.jpg,"A dog, ""big""",train\nhttps://a.org/2.jpg,two,dev\n'
    )
    assert said(f"urls:{path}") == {"https://a.org/1.jpg": ['A dog, "big"'], "https://a.org/2.jpg": ["two"]}
    assert listed(f"urls:{path}#dev") == ["https://a.org/2.jpg"]
    with pytest.raises(UsageError, match="no row of the split 'test'"):
        listed(f"urls:{path}#test")
    lines = tmp_path / "list.jsonl"
    lines.write_text(json.dumps({"image_url": "https://a.org/1.jpg", "captions": ["one", "two"]}))
    assert said(f"urls:{lines}") == {"https://a.org/1.jpg": ["one", "two"]}


def test_the_urls_of_coco(tmp_path: Path) -> None:
    path = coco_captions(tmp_path, "val", "2017", {9: ("000000000009.jpg", ["a", "b"])}, photos=False)
    assert said(f"urls:{path}") == {"http://images.cocodataset.org/val2017/000000000009.jpg": ["b", "a"]}


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.txt", "https://a.org/1.jpg\nnothing here\n", "line 2 has no URL"),
        ("a.txt", "https://a.org/1.jpg\n\n\udcff\n", "line 3 is no text in UTF-8"),
        ("a.csv", "url,caption\nhttps://a.org/1.jpg,x\nb.jpg,y\n", "row 2 has no URL"),
        (
            "a.json",
            '{"images": [{"id": 1}], "annotations": []}',
            "entry 1 of `images` has neither `coco_url`",
        ),
        ("a.jsonl", '{"url": "file:///etc/passwd"}', "row 1 has no URL"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, name: str, text: str, what: str) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=rf"{name}, {what}"):
        listed(f"urls:{tmp_path}/{name}")


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pause=soon"):
        opened(f"urls:{tmp_path}/a.txt?pause=soon")
    (tmp_path / "a.txt").write_text("https://a.org/1.jpg\n")
    with pytest.raises(UsageError, match="no splits"):
        listed(f"urls:{tmp_path}/a.txt#dev")
    with pytest.raises(MissingSourceError, match=r"b\.txt"):
        listed(f"urls:{tmp_path}/b.txt")


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20), max_size=5))
def test_captions_of_lines_survive(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("lines") / "list.txt"
    lines = (f"https://a.org/{number}.jpg\t{text}\n" for number, text in enumerate(texts))
    path.write_text("https://a.org/first.jpg\n" + "".join(lines), encoding="utf-8", newline="")
    asked = [query.text for query in opened(f"urls:{path}").queries() if query.task == TEXT_TO_IMAGE]
    assert asked == [text.strip() for text in texts if text.strip()]


def test_a_picture_is_loaded_by_one_who_says_who_it_is(site: Site, loader: Loader) -> None:
    assert read(loader, site.says("/a.jpg", photo_answer())) == PHOTO
    assert site.agents and all(agent.startswith("picfind") for agent in site.agents)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_broken_link_is_no_picture_and_is_not_tried_again(site: Site, loader: Loader, status: int) -> None:
    with pytest.raises(NotAPictureError, match=str(status)):
        read(loader, site.says("/a.jpg", only(status)))
    assert site.asked == ["/a.jpg"]


def test_a_page_is_no_picture(site: Site, loader: Loader) -> None:
    with pytest.raises(NotAPictureError, match="text/html"):
        read(loader, site.says("/a.jpg", (200, {"Content-Type": "text/html"}, b"<p>gone")))


def test_flickrs_notice_of_a_photo_that_is_gone_is_recognised(site: Site, loader: Loader) -> None:
    notice = site.says("/pw/images/en-us/photo_unavailable.png", photo_answer())
    with pytest.raises(NotAPictureError, match="is gone"):
        read(loader, site.says("/6116/9_z.jpg", only(302, Location=notice)))
    moved = site.says("/moved.jpg", photo_answer())
    assert read(loader, site.says("/old.jpg", only(301, Location=moved))) == PHOTO


def test_the_next_url_stands_in_for_a_broken_one(site: Site, loader: Loader) -> None:
    assert read(loader, site.url("/gone.jpg"), site.says("/b.jpg", photo_answer())) == PHOTO
    with pytest.raises(NotAPictureError):
        read(loader, site.url("/gone.jpg"), site.url("/gone_too.jpg"))
    with pytest.raises(DownloadError):
        read(loader, site.says("/busy.jpg", only(503)), site.url("/gone.jpg"))


def test_a_busy_server_is_asked_again_later_each_time(site: Site, loader: Loader, clock: Clock) -> None:
    url = site.says("/a.jpg", only(503), only(429), only(500), photo_answer())
    assert read(loader, url) == PHOTO
    assert clock.slept == [1.0, 4.0, 15.0]
    with pytest.raises(DownloadError, match="503"):
        read(loader, site.says("/b.jpg", only(503)))
    assert site.asked.count("/b.jpg") == 4


def test_a_server_says_when_to_come_again(site: Site, loader: Loader, clock: Clock) -> None:
    assert read(loader, site.says("/a.jpg", only(429, Retry_After="30"), photo_answer())) == PHOTO
    assert clock.slept == [30.0]
    with pytest.raises(DownloadError, match="left alone"):
        read(loader, site.says("/b.jpg", only(429, Retry_After="3600"), photo_answer()))
    with pytest.raises(DownloadError, match="left alone"):
        read(loader, site.says("/c.jpg", photo_answer()))
    assert site.asked == ["/a.jpg", "/a.jpg", "/b.jpg"]
    clock.sleep(3600)
    assert read(loader, site.url("/c.jpg")) == PHOTO


def test_the_forms_of_retry_after() -> None:
    assert seconds_of(" 7 ") == 7
    assert 50 < seconds_of(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert seconds_of(formatdate(0, usegmt=True)) == 0
    assert seconds_of("soon") == seconds_of("-5") == 0
    assert seconds_of("9" * 100) > 3600


def test_a_host_that_never_answers_is_left_alone(site: Site, loader: Loader) -> None:
    site.server.shutdown()
    site.server.server_close()
    for number in range(5):
        with pytest.raises(DownloadError, match="cannot be loaded"):
            read(loader, site.url(f"/{number}.jpg"))
    with pytest.raises(DownloadError, match="has not answered for 5 pictures"):
        read(loader, site.url("/6.jpg"))


def test_no_more_than_two_connections_to_a_host(site: Site) -> None:
    site.slow = 0.02
    loader = Loader(HERE, Courtesy(pause=0))
    urls = [site.says(f"/{number}.jpg", photo_answer()) for number in range(12)]
    threads = [threading.Thread(target=read, args=(loader, url)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(site.asked), site.most) == (12, 2)


def test_connections_to_a_host_begin_with_a_pause_between_them(site: Site, clock: Clock) -> None:
    loader = Loader(HERE, Courtesy(pause=0.5, clock=clock, sleep=clock.sleep))
    for number in range(3):
        read(loader, site.says(f"/{number}.jpg", photo_answer()))
    assert clock.slept == [0.5, 0.5]


def test_addresses_of_ones_own_network_are_barred(site: Site, clock: Clock) -> None:
    loader = Loader(Settings(), Courtesy(clock=clock, sleep=clock.sleep))
    with pytest.raises(NotAPictureError, match="not a public address"):
        read(loader, site.says("/a.jpg", photo_answer()))
    assert (site.asked, clock.slept) == ([], [])  # and nothing is tried again


def test_what_is_too_large_is_refused(site: Site, clock: Clock) -> None:
    small = Settings(private_addresses=True, max_bytes=100)
    with pytest.raises(PictureTooLargeError):
        read(Loader(small, Courtesy(clock=clock, sleep=clock.sleep)), site.says("/a.jpg", photo_answer()))


def test_a_run_drops_broken_links_and_says_which(site: Site, tmp_path: Path, clock: Clock) -> None:
    urls = [site.says("/a.jpg", photo_answer()), site.url("/gone.jpg"), site.says("/busy.jpg", only(503))]
    (tmp_path / "list.txt").write_text("".join(f"{url}\ta caption\n" for url in urls))
    dataset = Urls(Place(tmp_path / "list.txt", {}, HERE))
    dataset._loader = Loader(HERE, Courtesy(pause=0, clock=clock, sleep=clock.sleep))
    store = Store.open(tmp_path / "gallery", create=True)
    try:
        reports = list(run(dataset, store, [toy_encoder()]))
        site.says("/busy.jpg", photo_answer(photo_bytes(seed=9)))
        again = list(run(dataset, store, [toy_encoder()]))
    finally:
        store.close()
    refused = {refusal.key: refusal.reason for report in reports for refusal in report.refusals}
    assert "404" in refused[urls[1]] and "503" in refused[urls[2]]
    assert (reports[-1].encoded, reports[-1].refused) == (1, 2)
    assert (again[-1].encoded, again[-1].unchanged, again[-1].barred) == (1, 1, 1)
    assert site.asked.count("/gone.jpg") == 1


def test_what_is_kept_is_loaded_once(site: Site, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(site.says("/a.jpg", photo_answer()) + "\n")
    for _ in range(2):
        dataset = open_source(f"urls:{tmp_path}/list.txt?keep={tmp_path}/kept&pause=0", HERE)
        (item,) = (entry for entry in dataset.items() if isinstance(entry, Item))
        with item.open() as file:
            assert file.read() == PHOTO
    assert site.asked == ["/a.jpg"]
    assert [path.read_bytes() for path in (tmp_path / "kept").iterdir()] == [PHOTO]
    (tmp_path / "file").touch()
    dataset = open_source(f"urls:{tmp_path}/list.txt?keep={tmp_path}/file&pause=0", HERE)
    (item,) = (entry for entry in dataset.items() if isinstance(entry, Item))
    with pytest.raises(DownloadError, match="cannot be kept"):
        item.open()
