from __future__ import annotations

import io
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from PIL import ExifTags, Image

from picfind.api import Gallery
from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, MissingSourceError, WouldForgetError
from picfind.images import Limits
from picfind.ingest import passes
from picfind.ingest.changes import Change
from picfind.ingest.report import Report
from picfind.ingest.run import run
from picfind.ingest.stages import Outcome, batched_encode, mapped
from picfind.settings import Settings
from picfind.storage import health, names, parts, upkeep
from picfind.storage.store import Store
from picfind.testing import toy_encoder
from picfind.types import Fingerprint, Floats, Gap, Item, Words
from tests.photos import photo, photo_bytes, write_photo


def counts(report: Report) -> dict[str, int]:
    kinds = ("encoded", "reused", "refused", "vanished", "unchanged", "barred", "forgotten")
    return {kind: getattr(report, kind) for kind in kinds if getattr(report, kind)}


@dataclass
class Source:
    """A dataset whose items the test makes as it likes."""

    entries: list[Item | Gap]
    kind: str = "made"
    location: str = "made"
    scope: str = ""

    def items(self) -> Iterator[Item | Gap]:
        yield from self.entries


def item(key: str, data: bytes | OSError, *, mark: str = "1", words: tuple[Words, ...] = ()) -> Item:
    def open_item() -> BinaryIO:
        if isinstance(data, OSError):
            raise data
        return io.BytesIO(data)

    return Item(key, Fingerprint(mark), open_item, words)


def index(store: Store, *entries: Item | Gap, encoder: Encoder | None = None, **options: Any) -> Report:
    return list(run(Source(list(entries)), store, [encoder or toy_encoder()], **options))[-1]


def test_a_folder_becomes_a_gallery(gallery: Gallery, photos: Path) -> None:
    report = gallery.index(photos)
    assert (counts(report), report.finished, report.due, report.done) == ({"encoded": 4}, True, 4, 4)
    assert [Path(hit.path).name for hit in gallery.search("yellow", k=1)] == ["yellow.png"]


def test_what_a_camera_wrote_is_kept_and_the_picture_is_turned_upright(
    gallery: Gallery, tmp_path: Path
) -> None:
    upright = Image.new("RGB", (64, 48), "blue")
    upright.paste("yellow", (0, 0, 64, 16))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Model] = 6, "X100"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2023:05:14 10:15:30"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "N", (52.0, 31.0, 12.0)
    place[ExifTags.GPS.GPSLongitudeRef], place[ExifTags.GPS.GPSLongitude] = "E", (13.0, 24.0, 36.0)
    (tmp_path / "photos").mkdir()
    sideways = upright.transpose(Image.Transpose.ROTATE_90)  # as the sensor saw it; 6 says to turn it back
    sideways.save(tmp_path / "photos" / "a.jpg", exif=exif, quality=95)
    gallery.index(tmp_path / "photos")
    assert gallery.search(upright, k=1)[0].score == pytest.approx(1, abs=0.01)
    assert gallery.search(sideways, k=1)[0].score < 0.9
    facts = gallery.search(upright, k=1)[0].metadata
    assert (facts["taken"], facts["taken_from"]) == ("2023-05-14T10:15:30", "EXIF")
    assert (facts["camera_model"], facts["orientation"]) == ("X100", 6)
    assert (facts["width"], facts["height"]) == (64, 48)
    assert (facts["latitude"], facts["longitude"]) == (pytest.approx(52.52), pytest.approx(13.41))


def test_running_again_does_nothing(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    assert counts(gallery.index(photos)) == {"unchanged": 4}


def test_only_what_is_new_or_changed_is_encoded(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    write_photo(photos / "red.png", colour="cyan", seed=7)
    write_photo(photos / "new.png", colour="black")
    assert counts(gallery.index(photos)) == {"encoded": 2, "unchanged": 3}


def test_renames_copies_and_returns_cost_no_encoding(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    (photos / "red.png").rename(photos / "trip" / "crimson.png")
    (photos / "copy.png").write_bytes((photos / "green.png").read_bytes())
    assert counts(gallery.index(photos)) == {"reused": 2, "unchanged": 3, "forgotten": 1}
    kept = (photos / "blue.png").read_bytes()
    (photos / "blue.png").unlink()
    assert counts(gallery.index(photos)) == {"unchanged": 4, "forgotten": 1}
    (photos / "back.png").write_bytes(kept)
    assert counts(gallery.index(photos)) == {"reused": 1, "unchanged": 4}


def test_a_drive_that_comes_back_unchanged_is_found_again(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    away = photos.with_name("away")
    photos.rename(away)
    photos.mkdir()
    gallery.index(photos, forget=True)
    assert len(gallery.search("red")) == 0
    photos.rmdir()
    away.rename(photos)
    assert counts(gallery.index(photos)) == {"reused": 4}
    assert len(gallery.search("red")) == 4


def test_copies_in_one_run_are_encoded_once(store: Store) -> None:
    same = photo_bytes()
    report = index(store, *(item(f"{number}.png", same) for number in range(50)), workers=1)
    assert counts(report) == {"encoded": 1, "reused": 49}
    assert len(parts.live_parts(store.catalog, toy_encoder().space)[0]) == 1


def test_what_cannot_be_used_is_refused_with_its_reason_and_stops_nothing(store: Store) -> None:
    good = photo_bytes()
    entries = [
        item("empty.jpg", b""),
        item("text.jpg", b"these are words"),
        item("truncated.jpg", photo_bytes(form="JPEG")[:200]),
        item("large.png", photo_bytes(seed=1)),
        item("good.png", good),
    ]
    report = index(store, *entries)
    assert counts(report) == {"encoded": 2, "refused": 3}
    reasons = {refusal.key: refusal.reason for _, refusal in names.refusals(store.catalog)}
    assert "empty" in reasons["empty.jpg"]
    assert set(reasons) == {"empty.jpg", "text.jpg", "truncated.jpg"}
    assert counts(index(store, *entries)) == {"unchanged": 2, "barred": 3}


def test_limits_refuse_before_decoding(store: Store) -> None:
    small = Limits(max_pixels=100)
    assert counts(index(store, item("a.png", photo_bytes()), limits=small)) == {"refused": 1}
    assert "max_pixels" in names.refusals(store.catalog)[0][1].reason
    assert counts(index(store, item("a.png", photo_bytes()), limits=small)) == {"barred": 1}
    assert counts(index(store, item("a.png", photo_bytes()))) == {"encoded": 1}, "the limits are others now"


def test_reports_carry_the_new_refusals(store: Store) -> None:
    reports = list(run(Source([item("a.png", b""), item("b.png", photo_bytes())]), store, [toy_encoder()]))
    assert [refusal.key for report in reports for refusal in report.refusals] == ["a.png"]
    assert [report.finished for report in reports] == [False, False, True]


def test_commits_come_by_time_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes._Batch, "is_full", lambda batch: time.monotonic() >= batch.due - 10)
    entries = [item(f"{number}.png", photo_bytes(seed=number)) for number in range(5)]
    reports = list(run(Source(list(entries)), store, [toy_encoder()]))
    assert [report.done for report in reports] == [0, 1, 2, 3, 4, 5, 5, 5]


def test_batches_are_short_at_first() -> None:
    now = time.monotonic()
    assert 0.9 < passes._Batch.after(now).due - now < 1.5
    assert 4.9 < passes._Batch.after(now - 100).due - now < 5.5


def test_a_run_that_finds_nothing_to_do_writes_nothing(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    generation = gallery.store.catalog.generation
    gallery.index(photos)
    assert gallery.store.catalog.generation == generation


@pytest.mark.parametrize("dated", [3e11, -3e11, float("nan"), float("inf")])
def test_a_time_that_no_calendar_has_is_no_date(store: Store, dated: float) -> None:
    assert counts(index(store, replace(item("a.png", photo_bytes()), dated=dated))) == {"encoded": 1}
    assert store.catalog.one("SELECT dated, dated_from FROM names") == (None, None)


@dataclass
class Changing(Source):
    """A source that lists something else the third time: first comes the look whether it is there, then the survey."""

    later: tuple[Item | Gap, ...] = ()
    listings: int = 0

    def items(self) -> Iterator[Item | Gap]:
        self.listings += 1
        yield from self.entries if self.listings < 3 else self.later


def test_what_comes_back_during_a_run_is_not_forgotten(store: Store) -> None:
    old, new = item("old.png", photo_bytes()), item("new.png", photo_bytes(seed=1))
    index(store, old, item("stays.png", photo_bytes(seed=2)))
    list(
        run(Changing([item("stays.png", photo_bytes(seed=2)), new], later=(old, new)), store, [toy_encoder()])
    )
    assert store.catalog.one("SELECT count(*) FROM names WHERE key = 'old.png'") == (1,)


def test_a_gap_that_opens_during_a_run_protects_what_is_below_it(store: Store) -> None:
    stays, new = item("stays.png", photo_bytes(seed=2)), item("new.png", photo_bytes(seed=1))
    index(store, item("sub/old.png", photo_bytes()), stays)
    source = Changing([stays, new], later=(Gap("sub/", "locked"), stays, new))
    report = list(run(source, store, [toy_encoder()]))[-1]
    assert report.gaps == (Gap("sub/", "locked"),)
    assert store.catalog.one("SELECT count(*) FROM names WHERE key = 'sub/old.png'") == (1,)


def test_pictures_that_cannot_be_read_now_still_count_as_known(store: Store) -> None:
    entries = [item(f"{number}.png", photo_bytes(seed=number)) for number in range(10)]
    index(store, *entries)
    locked = [item(f"{number}.png", OSError(5, "Input/output error"), mark="2") for number in range(8)]
    index(store, *locked, *entries[8:])
    report = index(store, *locked[:6])
    assert report.forgotten == 4, "four of ten is no majority"


def test_a_source_whose_only_file_was_no_picture_may_be_empty(store: Store) -> None:
    index(store, item("a.png", b"garbage"))
    assert counts(index(store)) == {}
    assert names.refusals(store.catalog) == []


def test_a_passing_refusal_goes_with_its_file(store: Store) -> None:
    index(store, item("a.png", OSError(5, "Input/output error")), item("b.png", photo_bytes()))
    index(store, item("b.png", photo_bytes()))
    assert names.refusals(store.catalog) == []


def test_a_run_can_be_finished_in_another_thread(gallery: Gallery, photos: Path) -> None:
    running = gallery.indexing(photos)
    next(running)
    thread = threading.Thread(target=list, args=(running,))
    thread.start()
    thread.join()
    assert counts(gallery.index(photos)) == {"unchanged": 4}


def test_a_refusal_is_tried_again_when_the_file_changes(store: Store) -> None:
    index(store, item("a.png", b"half"))
    assert counts(index(store, item("a.png", photo_bytes(), mark="2"))) == {"encoded": 1}
    assert names.refusals(store.catalog) == []


def test_a_picture_that_becomes_garbage_is_no_longer_found(store: Store) -> None:
    index(store, item("a.png", photo_bytes()), item("b.png", photo_bytes(seed=1)))
    index(store, item("a.png", b"garbage", mark="2"), item("b.png", photo_bytes(seed=1)))
    assert [key for (key,) in store.catalog.all("SELECT key FROM names")] == ["b.png"]


def test_no_permission_is_a_refusal_that_is_tried_again(store: Store) -> None:
    locked = PermissionError(13, "Permission denied")
    report = index(store, item("a.png", locked))
    assert counts(report) == {"refused": 1}
    assert "Permission denied" in names.refusals(store.catalog)[0][1].reason
    assert counts(index(store, item("a.png", photo_bytes()))) == {"encoded": 1}


def test_a_picture_that_cannot_be_read_just_now_keeps_its_name(store: Store) -> None:
    index(store, item("a.png", photo_bytes()))
    index(store, item("a.png", OSError(5, "Input/output error"), mark="2"))
    assert store.catalog.one("SELECT count(*) FROM names") == (1,)
    assert counts(index(store, item("a.png", photo_bytes(seed=2), mark="2"))) == {"encoded": 1}


def test_a_file_that_vanishes_is_passed_over(store: Store) -> None:
    report = index(store, item("a.png", FileNotFoundError(2, "gone")), item("b.png", photo_bytes()))
    assert counts(report) == {"encoded": 1, "vanished": 1}
    assert names.refusals(store.catalog) == []


def test_a_file_that_changes_while_it_is_read_is_right_after_the_next_run(
    gallery: Gallery, photos: Path
) -> None:
    target = photos / "red.png"

    class Meddled(Source):
        pass

    def open_and_change() -> BinaryIO:
        file = target.open("rb")
        write_photo(target, colour="cyan", seed=5)
        os.utime(target, (1, 1))
        return file

    stat = target.stat()
    listed = Item("red.png", Fingerprint(f"{stat.st_size}-{stat.st_mtime_ns}"), open_and_change)
    source = Meddled([listed], kind="folder", location=str(photos))
    list(run(source, gallery.store, [toy_encoder()]))
    gallery.index(photos, forget=True)
    best = gallery.search(target, k=1)[0]
    assert (Path(best.path).name, round(best.score, 2)) == ("red.png", 1.0)
    assert "red.png" in {Path(hit.path).name for hit in gallery.search("cyan", k=1)}


def test_words_are_kept_with_the_name_and_read_again_without_decoding(store: Store) -> None:
    words = (Words("a dog", "table"),)
    index(store, item("a.png", photo_bytes()))
    report = index(store, item("a.png", photo_bytes(), words=words))
    assert counts(report) == {"reused": 1}
    assert store.catalog.all("SELECT text FROM texts") == [("a dog",)]
    assert counts(index(store, item("a.png", photo_bytes(), words=words))) == {"unchanged": 1}


def test_a_second_model_adds_its_vectors_and_leaves_the_first(
    open_gallery: Callable[..., Gallery], photos: Path
) -> None:
    first = open_gallery()
    first.index(photos)
    second = open_gallery(encoder="second")
    assert counts(second.index(photos)) == {"encoded": 4}
    assert [str(space) for space in first.spaces] == ["toy@000000000001", "second@000000000001"]
    assert len(first.search("red")) == len(second.search("red")) == 4


def test_an_empty_source_is_no_mass_deletion(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    for path in photos.rglob("*.png"):
        path.unlink()
    with pytest.raises(WouldForgetError, match=r"is empty now.*--forget.*roots move"):
        gallery.index(photos)
    assert len(gallery.search("red")) == 4
    assert counts(gallery.index(photos, forget=True)) == {"forgotten": 4}


def test_losing_more_than_half_is_asked_about_after_the_new_is_in(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    for name in ("red", "green", "blue"):
        (photos / f"{name}.png").unlink()
    write_photo(photos / "new.png", colour="white")
    with pytest.raises(WouldForgetError, match="3 of the 4 pictures"):
        gallery.index(photos)
    assert len(gallery.search("red")) == 5
    assert counts(gallery.index(photos, forget=True)) == {"unchanged": 2, "forgotten": 3}


def test_tidying_up_is_no_loss(gallery: Gallery, photos: Path) -> None:
    """Every name changes, no picture goes: nothing is asked."""
    gallery.index(photos)
    (photos / "sorted").mkdir()
    for path in sorted(photos.rglob("*.png")):
        path.rename(photos / "sorted" / path.name)
    assert counts(gallery.index(photos)) == {"reused": 4, "forgotten": 4}


def test_a_source_that_is_not_there_leaves_no_trace(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError):
        gallery.index(tmp_path / "none")
    assert upkeep.status(gallery.store)["roots"] == []


def test_a_root_that_went_away_is_an_error_and_loses_nothing(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    photos.rename(photos.with_name("moved"))
    with pytest.raises(MissingSourceError):
        gallery.index(photos)
    assert len(gallery.search("red")) == 4


def test_a_folder_below_a_root_is_a_part_of_it(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    (photos / "red.png").unlink()
    write_photo(photos / "trip" / "white.png", colour="white")
    assert counts(gallery.index(photos / "trip")) == {"encoded": 1, "unchanged": 1}
    assert len(gallery.search("red")) == 5, "the name outside the folder is not judged"
    assert counts(gallery.index(photos)) == {"unchanged": 4, "forgotten": 1}


def test_an_outer_folder_takes_an_inner_root_in(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos / "trip")
    report = gallery.index(photos)
    assert counts(report) == {"encoded": 3, "reused": 1}, "its folder says something of it now"
    assert len(upkeep.status(gallery.store)["roots"]) == 1


def test_one_picture_can_be_indexed(gallery: Gallery, photos: Path) -> None:
    assert counts(gallery.index(photos / "red.png")) == {"encoded": 1}
    write_photo(photos / "red.png.png", seed=9)
    gallery.index(photos / "red.png.png")
    assert counts(gallery.index(photos / "red.png")) == {"unchanged": 1}, "the other name is not in its scope"
    assert counts(gallery.index(photos)) == {"encoded": 3, "unchanged": 2}


def test_ceasing_to_iterate_keeps_what_was_encoded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "COMMIT_STEPS", 10)
    entries: list[Item | Gap] = [item(f"{number:03}.png", photo_bytes(seed=number)) for number in range(100)]
    running = run(Source(entries), store, [toy_encoder()], workers=2)
    next(running)
    seen = next(running)
    running.close()
    kept = store.catalog.one("SELECT count(*) FROM names")[0]
    assert seen.done == 10 <= kept < 100
    assert health.check(store) == []
    report = list(run(Source(entries), store, [toy_encoder()], workers=2))[-1]
    assert counts(report) == {"encoded": 100 - kept, "unchanged": kept}


def test_an_interrupt_keeps_what_was_encoded(store: Store) -> None:
    entries: list[Item | Gap] = [item(f"{number}.png", photo_bytes(seed=number)) for number in range(20)]

    def stop() -> BinaryIO:
        raise KeyboardInterrupt

    entries.append(Item("stop.png", Fingerprint("1"), stop))
    with pytest.raises(KeyboardInterrupt):
        list(run(Source(entries), store, [toy_encoder()], workers=1))
    assert store.catalog.one("SELECT count(*) FROM names") == (20,)


def test_an_encoder_without_towers_is_refused(store: Store) -> None:
    with pytest.raises(EncoderError, match="encodes nothing"):
        index(store, item("a.png", photo_bytes()), encoder=replace(toy_encoder(), image=None, text=None))


@pytest.mark.parametrize("on_accelerator", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_both_arrangements_give_the_same_gallery(store: Store, on_accelerator: bool, workers: int) -> None:
    entries = [item(f"{number:02}.png", photo_bytes(seed=number)) for number in range(23)]
    entries[5] = item("05.png", b"garbage")
    encoder = replace(toy_encoder(), on_accelerator=on_accelerator)
    assert counts(index(store, *entries, encoder=encoder, workers=workers)) == {"encoded": 22, "refused": 1}
    (segment,) = store.vectors(encoder.space)[1]
    named = [key for (key,) in store.catalog.all("SELECT key FROM names ORDER BY id")]
    assert named == [entry.key for entry in entries if entry.key != "05.png"], (
        "the order of the source is kept"
    )
    expected = encoder.encode_images([photo(seed=number) for number in range(23) if number != 5])
    np.testing.assert_allclose(segment.vectors.astype(np.float32), expected, atol=1e-3)


class _Counting:
    """An image tower that notes the sizes of its batches and the threads that called it."""

    def __init__(self) -> None:
        self.tower: Any = toy_encoder().image
        self.batches: list[int] = []
        self.threads: set[str] = set()

    def prepare(self, picture: Image.Image, /) -> Any:
        return self.tower.prepare(picture)

    def encode(self, batch: Sequence[Any], /) -> Floats:
        self.batches.append(len(batch))
        self.threads.add(threading.current_thread().name)
        rows: Floats = self.tower.encode(batch)
        return rows


def test_on_an_accelerator_one_thread_encodes_in_batches(store: Store) -> None:
    tower = _Counting()
    entries = [item(f"{number}.png", photo_bytes(seed=number)) for number in range(10)]
    index(store, *entries, encoder=replace(toy_encoder(), image=tower, on_accelerator=True), workers=3)
    assert tower.batches == [4, 4, 2]
    assert tower.threads == {threading.current_thread().name}


def test_on_a_cpu_the_workers_encode(store: Store) -> None:
    tower = _Counting()
    entries = [item(f"{number}.png", photo_bytes(seed=number)) for number in range(10)]
    index(store, *entries, encoder=replace(toy_encoder(), image=tower), workers=2)
    assert tower.batches == [1] * 10
    assert all(name.startswith("picfind") for name in tower.threads)


def test_look_ahead_is_bounded_and_in_order() -> None:
    from concurrent.futures import ThreadPoolExecutor

    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    with ThreadPoolExecutor(4) as pool:
        for done, result in enumerate(mapped(pool, lambda number: number * 2, source(), ahead=7)):
            assert result == done * 2
            assert taken <= done + 1 + 7


def test_settings_reach_the_run(open_gallery: Callable[..., Gallery], photos: Path) -> None:
    gallery = open_gallery(settings=Settings(max_pixels=10, workers=2))
    assert counts(gallery.index(photos)) == {"refused": 4}


def test_what_needs_no_encoding_does_not_wait_for_a_batch_to_fill() -> None:
    """As after a folder was renamed, with an encoder on an accelerator: else all of it would wait in memory."""

    class Known:
        def prepare(self, change: Change) -> Outcome:
            raise NotImplementedError

        def encode(self, outcomes: list[Outcome]) -> list[Outcome]:
            return outcomes

    taken = itertools.count()
    source = (Outcome(Change(item(str(next(taken)), b""), frozenset())) for _ in range(10_000))
    assert next(batched_encode(Known(), source, 8)).sha256 is None
    assert next(taken) < 1000
