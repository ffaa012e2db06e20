"""Regions, and the second look at pictures that a run takes for them and for the text inside."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from picfind.encoders.base import Encoder
from picfind.errors import PictureError, PictureTooLargeError, UsageError
from picfind.images import tiles
from picfind.ingest import looks, passes
from picfind.ingest.report import Report
from picfind.ingest.run import run
from picfind.search.snapshot import Snapshot
from picfind.storage import adoption, health, names, owed, parts, recognised, upkeep
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_pair, toy_words
from picfind.types import PICTURE, Box, Fingerprint, Item, RecognisedLine, Space
from tests.photos import SHARED, photo_bytes, write_photo
from tests.test_ingest_run import Source

TOY, OTHER = toy_encoder(), toy_encoder("other")
SIZE = (240, 200)
TILES = len(tiles.boxes(*SIZE))
QUARTERS = ("red", "green", "blue", "yellow")


def quarters(seed: int = 0) -> Image.Image:
    """A picture whose quarters have a colour each, as `tiles` numbers them."""
    whole = Image.new("RGB", SIZE)
    for at, colour in enumerate(QUARTERS[seed % 4 :] + QUARTERS[: seed % 4]):
        whole.paste(colour, (at % 2 * 120, at // 2 * 100, at % 2 * 120 + 120, at // 2 * 100 + 100))
    whole.putpixel((0, 0), (seed, 0, 0))
    return whole


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def item(key: str, data: bytes, *, mark: str = "1") -> Item:
    return Item(key, Fingerprint(mark), lambda: io.BytesIO(data))


def large(key: str, seed: int) -> Item:
    return item(key, png(quarters(seed)))


def index(store: Store, *items: Item, encoders: Sequence[Encoder] = (TOY,), **options: Any) -> Report:
    return list(run(Source(list(items)), store, encoders, **options))[-1]


def live(store: Store, space: Space = TOY.space) -> int:
    return len(parts.live_parts(store.catalog, space)[0])


def vector(image: Image.Image) -> Any:
    return TOY.encode_images([image])[0]


class Reader:
    """Reads a picture's first pixel."""

    name = "first-pixel"

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.sizes: list[tuple[int, int]] = []

    def read(self, image: Image.Image) -> list[RecognisedLine]:
        self.sizes.append(image.size)
        pixel: Any = image.getpixel((0, 0))
        return [RecognisedLine(f"pixel {pixel[0]}", (0.0, 0.0, 0.5, 0.5), 0.9)]


def read_in(store: Store) -> list[tuple[str, str]]:
    """The names and what was read in them, as full text has it."""
    return store.catalog.all("SELECT path, recognised FROM said WHERE recognised IS NOT NULL ORDER BY path")


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_tiles_cover_a_picture_and_are_not_long(width: int, height: int) -> None:
    boxes = tiles.boxes(width, height)
    assert len(set(map(parts.box_text, boxes))) == len(boxes) <= tiles.MOST
    assert bool(boxes) == (min(width, height) >= 160)
    for left, top, wide, high in boxes:
        assert left >= 0 <= top
        assert left + wide < 1 + 1e-9 > top + high
        if max(width, height) <= 4 * min(width, height):
            assert 1 / 2 - 1e-9 <= wide * width / (high * height) <= 2 + 1e-9
        assert (high if width >= height else wide) == tiles.SHARE
    for side in (0, 1):
        edges = sorted({(box[side], box[side] + box[side + 2]) for box in boxes})
        assert all(end - after >= 0.2 * (end - start) for (start, end), (after, _) in pairwise(edges))
        assert not edges or (edges[0][0] == 0 and edges[-1][1] == pytest.approx(1))


@given(
    st.integers(1, 50), st.integers(1, 50), st.sampled_from(tiles.boxes(1000, 300) + tiles.boxes(300, 300))
)
def test_no_tile_is_empty(width: int, height: int, box: Box) -> None:
    assert min(tiles.cut(Image.new("RGB", (width, height)), box).size) >= 1


def test_a_tile_is_just_these_pixels() -> None:
    image = Image.fromarray(np.arange(12 * 8 * 3, dtype=np.uint8).reshape(8, 12, 3))
    assert tiles.cut(image, (0.5, 0.25, 0.25, 0.5)).tobytes() == image.crop((6, 2, 9, 6)).tobytes()


def test_a_piece_of_a_picture_finds_it_and_says_where(store: Store) -> None:
    report = index(store, large("a.png", 0), large("b.png", 1), regions=True)
    assert (report.encoded, report.regions, report.due, report.done) == (2, 2, 4, 4)
    assert live(store) == 2 * (1 + TILES)
    snapshot = Snapshot(store, TOY.space)
    for at, box in enumerate(tiles.boxes(*SIZE)):
        found = snapshot.search(vector(tiles.cut(quarters(0), box)), k=2)
        assert found.scores[0] == pytest.approx(1, abs=1e-3)
        where = parts.boxes(store.catalog, found.parts.tolist())[int(found.parts[0])]
        assert where == pytest.approx(tiles.boxes(*SIZE)[at], abs=1e-6)
    found = snapshot.search(vector(quarters(1)), k=2)
    assert found.contents.tolist() == [2, 1]
    assert parts.boxes(store.catalog, found.parts[:1].tolist()) == {}, "the whole has no box"


def test_only_what_is_missing_is_looked_at_and_only_when_asked(store: Store) -> None:
    items = [large("a.png", 0), large("b.png", 1)]
    index(store, items[0])
    assert live(store) == 1
    assert index(store, *items, regions=True).regions == 2
    assert index(store, *items, regions=True).due == 0
    generation = store.catalog.generation
    assert index(store, *items).due == 0
    assert store.catalog.generation == generation
    items.append(large("c.png", 2))
    assert index(store, *items).regions == 0
    assert live(store) == 2 * (1 + TILES) + 1, "a run that does not ask for regions leaves them as they are"
    assert index(store, *items, regions=True).regions == 1


def test_each_space_of_pictures_has_its_own_regions(store: Store) -> None:
    index(store, large("a.png", 0), regions=True)
    report = index(store, large("a.png", 0), encoders=[TOY, OTHER, toy_words()], regions=True)
    assert (report.encoded, report.regions) == (1, 1)
    assert live(store) == live(store, OTHER.space) == 1 + TILES
    upkeep.drop(store, OTHER.space)
    assert live(store) == 1 + TILES
    assert index(store, large("a.png", 0), encoders=[TOY, OTHER], regions=True).regions == 1


def test_pairs_have_no_regions(store: Store) -> None:
    with pytest.raises(UsageError, match="toy-pair does not"):
        index(store, large("a.png", 0), encoders=[toy_pair()], regions=True)
    index(store, large("a.png", 0), encoders=[TOY, toy_pair()], regions=True)
    assert (live(store), live(store, toy_pair().space)) == (1 + TILES, 1)


def test_a_small_picture_has_none_and_is_not_looked_at_again(store: Store) -> None:
    small = item("a.png", photo_bytes())
    assert (index(store, small, regions=True).due, live(store)) == (1, 1)
    assert index(store, small, regions=True).due == 0


def test_copies_are_looked_at_once(store: Store) -> None:
    report = index(store, large("a.png", 0), large("b.png", 0), regions=True, recogniser=Reader())
    assert (report.regions, report.recognised) == (1, 1)
    assert read_in(store) == [("a.png", "pixel 0"), ("b.png", "pixel 0")]


def test_another_tiling_takes_the_place_of_the_old_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    index(store, large("a.png", 0), regions=True)
    monkeypatch.setattr(tiles, "boxes", lambda width, height: tiles.grid(2, 2, 0.5, 0.5))
    assert index(store, large("a.png", 0), regions=True).regions == 1
    assert live(store) == 5
    assert index(store, large("a.png", 0), regions=True).due == 0
    monkeypatch.setattr(tiles, "boxes", lambda width, height: ())
    assert index(store, large("a.png", 0), regions=True).due == 1
    assert (live(store), index(store, large("a.png", 0), regions=True).due) == (1, 0)
    upkeep.compact(store)
    assert sum(len(segment.parts) for segment in store.vectors(TOY.space)[1]) == 1
    assert health.check(store) == []


def changing(key: str, *versions: bytes) -> Item:
    """An item that has other bytes each time it is opened."""
    left: Iterator[bytes] = iter(versions)

    def open_item() -> BinaryIO:
        return io.BytesIO(next(left))

    return Item(key, Fingerprint("1"), open_item)


def test_a_file_that_changes_meanwhile_is_left_to_the_next_run(store: Store) -> None:
    first, second = png(quarters(0)), png(quarters(1))
    report = index(store, changing("a.png", first, second), regions=True, recogniser=Reader())
    assert (report.encoded, report.regions, report.recognised) == (1, 0, 0)
    assert (live(store), read_in(store)) == (1, [])
    report = index(store, item("a.png", second, mark="2"), regions=True)
    assert (report.encoded, report.regions) == (1, 1)


def test_what_fails_at_full_size_keeps_its_name_and_is_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PictureTooLargeError("There is not enough memory.")

    with monkeypatch.context() as patch:
        patch.setattr(looks, "decoded", fail)
        report = index(store, large("a.png", 0), regions=True)
        assert (report.encoded, report.regions, report.refused) == (1, 0, 1)
        assert live(store) == 1
    report = index(store, large("a.png", 0), regions=True)
    assert (report.encoded, report.regions, report.refused) == (0, 1, 0)
    assert names.refusals(store.catalog) == []


def test_text_that_cannot_be_read_does_not_keep_the_others_waiting(store: Store) -> None:
    class Failing(Reader):
        def read(self, image: Image.Image) -> list[RecognisedLine]:
            if image.getpixel((0, 0)) == (1, 0, 0):
                raise PictureError("The text inside it cannot be read.")
            return super().read(image)

    items = [large("a.png", 1), large("b.png", 2)]
    report = index(store, *items, recogniser=Failing())
    assert (report.encoded, report.recognised, report.refused) == (2, 1, 1)
    assert (live(store), read_in(store)) == (2, [("b.png", "pixel 2")])
    report = index(store, *items, recogniser=Reader())
    assert (report.recognised, report.refused, len(read_in(store))) == (1, 0, 2)


def test_text_is_read_once_and_again_by_another_version(store: Store) -> None:
    items, reader = [large("a.png", 7), item("b.png", photo_bytes("black"))], Reader()
    report = index(store, *items, recogniser=reader)
    assert (report.recognised, report.due, report.done) == (2, 4, 4)
    assert sorted(reader.sizes) == [(32, 24), SIZE], "small pictures too, in full"
    assert read_in(store)[0] == ("a.png", "pixel 7")
    assert index(store, *items, recogniser=Reader()).due == 0
    assert index(store, *items).due == 0
    assert index(store, *items, recogniser=Reader("2")).recognised == 2
    lines = recognised.lines_of(store.catalog, [1])[1]
    assert [line.text for line in lines] == ["pixel 7"]


def test_both_are_done_with_one_look(store: Store) -> None:
    opened = []

    def open_item() -> BinaryIO:
        opened.append(1)
        return io.BytesIO(png(quarters(3)))

    report = index(store, Item("a.png", Fingerprint("1"), open_item), regions=True, recogniser=Reader())
    assert (report.regions, report.recognised, report.due, len(opened)) == (1, 1, 2, 2)


def test_without_any_encoder_of_pictures_text_is_read(store: Store) -> None:
    report = index(store, large("a.png", 9), encoders=[toy_words()], recogniser=Reader())
    assert (report.recognised, read_in(store)) == (1, [("a.png", "pixel 9")])


def test_a_look_that_is_cancelled_goes_on_where_it_stopped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "COMMIT_STEPS", 1)
    items: list[Item] = [large(f"{number}.png", number) for number in range(4)]
    index(store, *items)
    running = run(Source(list(items)), store, [TOY], regions=True, recogniser=Reader())
    for report in running:
        if report.regions == 2:
            break
    running.close()
    done = parts.count_with_regions(store.catalog, TOY.space)
    assert 2 <= done < 4
    assert len(read_in(store)) == done
    report = index(store, *items, regions=True, recogniser=Reader())
    assert (report.regions, report.recognised) == (4 - done, 4 - done)


def test_an_accelerator_gives_the_same(store: Store, tmp_path: Path) -> None:
    items = [large(f"{number}.png", number) for number in range(3)]
    index(store, *items, regions=True)
    other = Store.open(tmp_path / "other.gallery", create=True)
    index(other, *items, encoders=[replace(TOY, on_accelerator=True)], regions=True)
    ours, theirs = (by_part(entry) for entry in (store, other))
    assert ours.keys() == theirs.keys()
    for part, row in ours.items():
        np.testing.assert_array_equal(row, theirs[part])
    other.close()


def by_part(store: Store) -> dict[tuple[bytes, str | None], Any]:
    """The vectors of a gallery by content and box."""
    told = {
        part: (sha256, box)
        for part, sha256, box in store.catalog.all(
            "SELECT p.id, c.sha256, p.box FROM parts p JOIN contents c ON c.id = p.content_id"
        )
    }
    return {
        told[part]: row
        for segment in store.vectors(TOY.space)[1]
        for part, row in zip(segment.parts.tolist(), segment.vectors, strict=True)
    }


def test_regions_count_for_no_picture_of_their_own(store: Store) -> None:
    items = [large("a.png", 0), large("b.png", 1), item("c.png", photo_bytes())]
    index(store, *items, regions=True)
    snapshot = Snapshot(store, TOY.space)
    assert (len(snapshot), snapshot.missing, snapshot.sample().shape) == (3, 0, (3, TOY.space.dim))
    assert owed.count(store.catalog, TOY.space, PICTURE) == 0
    (space,) = upkeep.status(store)["spaces"]
    assert (space["lacking"], space["with_regions"], space["vectors"]) == (0, 2, 3 + 2 * TILES)
    assert parts.count_with_regions(store.catalog, TOY.space) == 2


def test_what_is_gone_takes_its_regions_and_its_text_along(store: Store) -> None:
    items = [large("a.png", 0), large("b.png", 1)]
    index(store, *items, regions=True, recogniser=Reader())
    index(store, items[0])
    assert (live(store), [path for path, _ in read_in(store)]) == (1 + TILES, ["a.png"])
    report = index(store, *items, regions=True, recogniser=Reader())
    assert (report.reused, report.regions, report.recognised) == (1, 0, 0), "a drive that comes back"
    index(store, items[0])
    assert upkeep.purge(store) == 1
    assert store.catalog.one("SELECT count(*) FROM parts") == (1 + TILES,)
    assert store.catalog.one("SELECT count(*) FROM recognised") == (1,)
    assert health.check(store) == []


def test_another_gallery_brings_regions_and_text(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other.gallery", create=True)
    index(other, large("a.png", 5), regions=True, recogniser=Reader())
    adoption.adopt(store, other)
    other.close()
    assert live(store) == 1 + TILES
    assert read_in(store) == [("a.png", "pixel 5")]
    assert index(store, large("a.png", 5), regions=True, recogniser=Reader()).due == 0


def test_regions_that_are_lost_are_encoded_again(store: Store) -> None:
    index(store, large("a.png", 0), regions=True)
    (_, file), *_ = sorted(
        (length, file) for file, length in store.catalog.all("SELECT file, length FROM segments")
    )[::-1]
    (store.segments_folder / file).unlink()
    assert len(health.repair(store)) == 1
    assert live(store) == 1
    assert index(store, large("a.png", 0), regions=True).regions == 1
    assert (live(store), health.check(store)) == (1 + TILES, [])


def test_a_saved_index_tells_the_regions_of_a_picture_apart(store: Store) -> None:
    index(store, large("a.png", 0), regions=True)
    marks = parts.part_marks(store.catalog, TOY.space)
    assert len(set(marks.values())) == len(marks) == 1 + TILES


@pytest.mark.parametrize("kind", ["flat", "faiss"])
def test_the_best_part_counts_as_brute_force_says(store: Store, kind: str) -> None:
    items = [large(f"{number}.png", number) for number in range(6)]
    index(store, *items[:3], item("small.png", photo_bytes("grey")), regions=True)
    index(store, *items, item("small.png", photo_bytes("grey")))
    snapshot, told = Snapshot(store, TOY.space, index=kind), by_part(store)
    content_of: dict[bytes, int] = dict(store.catalog.all("SELECT sha256, id FROM contents"))
    for seed in range(20):
        query = np.random.default_rng(seed).normal(size=TOY.space.dim).astype(np.float32)
        query /= np.linalg.norm(query)
        best: dict[int, float] = {}
        for (sha256, _), row in told.items():
            content, score = content_of[sha256], float(row.astype(np.float64) @ query)
            best[content] = max(best.get(content, -2.0), score)
        allowed = np.array(sorted(best)[seed % 3 :: 1 + seed % 2], np.int64)
        for among in (None, allowed):
            listed = sorted(best) if among is None else among.tolist()
            expected = sorted(listed, key=lambda content: -best[content])[:4]
            found = snapshot.search(query, k=4, allowed=among)
            np.testing.assert_allclose(found.scores, [best[content] for content in expected], atol=1e-5)
            assert [best[content] for content in found.contents.tolist()] == pytest.approx(
                [best[content] for content in expected], abs=1e-5
            )


def test_a_folder_is_indexed_with_regions_and_searched_by_a_crop(
    open_gallery: Callable[..., Any], tmp_path: Path
) -> None:
    write_photo(tmp_path / "photos" / "plain.png", colour="grey", size=SIZE)
    quarters(0).save(tmp_path / "photos" / "quarters.png")
    gallery = open_gallery()
    gallery.index(tmp_path / "photos")
    before = gallery.search(Image.new("RGB", (50, 50), "blue"), k=1, against="pictures")[0]
    assert gallery.index(tmp_path / "photos", regions=True).regions == 2
    after = gallery.search(Image.new("RGB", (50, 50), "blue"), k=1, against="pictures")[0]
    assert Path(after.path).name == "quarters.png"
    assert after.score > max(before.score, 0.95)


def test_text_in_a_picture_is_read_when_a_folder_is_indexed(
    open_gallery: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("rapidocr", reason="the extra `ocr` is not installed")
    page = Image.new("RGB", (500, 160), "white")
    ImageDraw.Draw(page).text((30, 40), "FERRY TICKET", fill="black", font=ImageFont.load_default(56))
    (tmp_path / "photos").mkdir()
    page.save(tmp_path / "photos" / "0001.png")
    gallery = open_gallery()
    assert gallery.index(tmp_path / "photos", ocr=True).recognised == 1
    ((_, text),) = read_in(gallery.store)
    assert text.split() == ["FERRY", "TICKET"]
    assert gallery.index(tmp_path / "photos", ocr=True).due == 0


@pytest.mark.skipif(not (SHARED / "demo_open").is_dir(), reason="the machine has no real photos to test with")
def test_crops_of_real_photos_find_them(tmp_path: Path) -> None:
    import picfind

    (tmp_path / "photos").mkdir()
    for source in sorted((SHARED / "demo_open" / "images").glob("*.jpg"))[:6]:
        (tmp_path / "photos" / source.name).symlink_to(source)
    with picfind.open(tmp_path / "test.gallery", model="builtin") as gallery:
        assert gallery.index(tmp_path / "photos", regions=True).regions == 6
        for path in sorted((tmp_path / "photos").iterdir()):
            with Image.open(path) as opened:
                crop = tiles.cut(opened.convert("RGB"), (0.05, 0.5, 0.4, 0.4))
            hit = gallery.search(crop, k=1, against="pictures")[0]
            assert Path(hit.path).name == path.name
