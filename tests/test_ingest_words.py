"""Words, pairs and several spaces: what a run records and encodes of them."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from picfind.api import Gallery
from picfind.captions.table import CaptionTable
from picfind.encoders.base import Encoder
from picfind.errors import EncoderError, UnknownSpaceError, UsageError
from picfind.ingest import passes
from picfind.ingest.report import Report
from picfind.ingest.run import run
from picfind.settings import Settings
from picfind.storage import adoption, health, names, owed, parts, spaces, wording
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_pair, toy_words
from picfind.types import CAPTION, FILE_NAME, PAIR, TAG, TITLE, Fingerprint, Item, Sidecar, Space, Words
from tests.photos import photo_bytes, write_photo
from tests.test_ingest_run import Source, counts

PICTURES, TEXTS, PAIRS = toy_encoder(), toy_words(), toy_pair()


def item(key: str, *, seed: int = 0, mark: str = "1", words: str = "", sidecar: str = "") -> Item:
    said = (Words(words, "source"),) if words else ()
    beside = (
        (Sidecar(f"{key}.txt", Fingerprint(sidecar), lambda: io.BytesIO(sidecar.encode())),)
        if sidecar
        else ()
    )
    return Item(key, Fingerprint(mark), lambda: io.BytesIO(photo_bytes(seed=seed)), said, beside)


def index(store: Store, *items: Item, encoders: Sequence[Encoder] = (PICTURES,), **options: Any) -> Report:
    return list(run(Source(list(items)), store, encoders, **options))[-1]


def said(store: Store) -> list[tuple[str, str]]:
    return [
        (key, text)
        for key, text in store.catalog.all(
            "SELECT n.key, t.text FROM names n JOIN texts t ON t.id = n.text_id ORDER BY n.key"
        )
    ]


def live(store: Store, space: Space) -> int:
    return len(parts.live_parts(store.catalog, space)[0])


def never_opened(key: str, **options: Any) -> Item:
    def refuse() -> io.BytesIO:
        raise AssertionError("the picture must not be read")

    return replace(item(key, **options), open=refuse)


def test_words_that_change_are_read_without_the_picture(store: Store) -> None:
    index(store, item("0001.png", sidecar="a dog"))
    assert said(store) == [("0001.png", "a dog")]
    report = index(store, never_opened("0001.png", sidecar="a cat."))
    assert counts(report) == {"reused": 1}
    assert said(store) == [("0001.png", "a cat.")]
    assert counts(index(store, never_opened("0001.png", sidecar="a cat."))) == {"unchanged": 1}
    index(store, never_opened("0001.png"))
    assert said(store) == []
    assert counts(index(store, never_opened("0001.png"))) == {"unchanged": 1}


def test_words_belong_to_the_name_and_those_inside_to_the_content(gallery: Gallery, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "our house in May"
    for name in ("0001.jpg", "0002.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(path, exif=exif)
    (tmp_path / "photos" / "0002.txt").write_text("with the dog")
    gallery.index(tmp_path / "photos")
    assert gallery.store.catalog.one("SELECT count(*) FROM contents") == (1,)
    assert said(gallery.store) == [
        ("0001.jpg", "our house in May"),
        ("0002.jpg", "with the dog\nour house in May"),
    ]
    hit = gallery.search("red", k=1)[0]
    assert hit.caption == "with the dog"
    (tmp_path / "photos" / "0001.jpg").rename(tmp_path / "photos" / "0003.jpg")
    gallery.index(tmp_path / "photos")
    assert said(gallery.store)[1] == ("0003.jpg", "our house in May")


def test_a_table_says_something_until_another_is_given(store: Store, tmp_path: Path) -> None:
    def table(text: str) -> CaptionTable:
        path = tmp_path / "captions.csv"
        path.write_text(text, encoding="utf-8")
        return CaptionTable.read(path)

    items = [item("1.png", seed=1), item("2.png", seed=2)]
    unopened = [never_opened("1.png"), never_opened("2.png")]
    report = index(store, *items, captions=table("image,caption\n1.png,a dog\n1.png,a pet\n"))
    assert (report.in_table, said(store)) == (1, [("1.png", "a dog\na pet")])
    assert counts(index(store, *unopened)) == {"unchanged": 2}
    assert said(store) == [("1.png", "a dog\na pet")], "a run without a table leaves it as it is"
    assert counts(index(store, *unopened, captions=table("image,caption\n1.png,a dog\n1.png,a pet\n"))) == {
        "unchanged": 2
    }
    index(store, *unopened, captions=table("image,caption\n2.png,a cat\n"))
    assert said(store) == [("2.png", "a cat")]
    index(store, item("1.png", seed=1, sidecar="beside"), never_opened("2.png"))
    assert said(store) == [("1.png", "beside"), ("2.png", "a cat")]


def test_what_is_written_goes_before_what_a_name_hints_at() -> None:
    hint, tags = Words("dress", FILE_NAME, TAG), [Words(text, "XMP", TAG) for text in ("red", "silk", "red")]
    assert wording.together([]) is None
    assert wording.together([hint]) == "dress"
    assert wording.together([hint, *tags]) == "red, silk"
    whole = wording.together(
        [*tags, Words(" a  title", "EXIF", TITLE), Words("a\ncaption", "table", CAPTION), hint]
    )
    assert whole == "a caption\na title\nred, silk"
    assert wording.texts_of(whole) == ("a caption", "a title", "red, silk")
    assert wording.texts_of(None) == ()


def test_a_space_of_words_lies_beside_that_of_the_pictures(store: Store) -> None:
    both = [PICTURES, TEXTS]
    items = [item("1.png", seed=1, words="red"), item("2.png", seed=2, words="red"), item("3.png", seed=3)]
    report = index(store, *items, encoders=both)
    assert (report.encoded, report.texts, report.due, report.done) == (3, 1, 4, 4)
    assert (live(store, PICTURES.space), live(store, TEXTS.space)) == (3, 2)
    assert [spaces.kind_of(store.catalog, space) for space in spaces.spaces(store.catalog)] == [
        "picture",
        "words",
    ]
    report = index(store, *items[:2], replace(items[2], words=(Words("blue", "source"),)), encoders=both)
    assert (report.encoded, report.texts) == (0, 1)
    assert owed.count(store.catalog, TEXTS.space, "words") == 0


def test_a_model_of_words_alone_names_pictures_and_reads_their_facts(store: Store) -> None:
    report = index(store, item("1.png", words="red"), encoders=[TEXTS])
    assert counts(report) == {}
    assert (report.read, report.texts) == (1, 1)
    assert store.catalog.one("SELECT width, height FROM contents") == (32, 24)
    assert counts(index(store, item("1.png", words="red"), encoders=[PICTURES])) == {"encoded": 1}


def test_pairs_follow_their_words(store: Store) -> None:
    encoders = [PAIRS]
    items = [item("1.png", seed=1, words="red"), item("2.png", seed=2)]
    report = index(store, *items, encoders=encoders)
    assert (report.read, report.pairs, report.done, report.due) == (2, 2, 4, 4)
    norms = np.linalg.norm(vectors(store, PAIRS.space), axis=1)
    np.testing.assert_allclose(sorted(norms), [np.sqrt(0.5), 1], atol=1e-3)
    assert index(store, *items, encoders=encoders).pairs == 0
    now = [replace(items[0], words=()), replace(items[1], words=(Words("blue", "source"),))]
    assert index(store, *now, encoders=encoders).pairs == 2
    assert (len(vectors(store, PAIRS.space)), live(store, PAIRS.space)) == (4, 2)
    assert index(store, *items, encoders=encoders).pairs == 0, "the old ones are still known"
    assert live(store, PAIRS.space) == 2


def test_one_picture_with_two_captions_has_two_pairs(store: Store) -> None:
    items = [
        item("1.png", words="red"),
        item("2.png", words="blue"),
        item("3.png", words="blue"),
        item("4.png"),
    ]
    report = index(store, *items, encoders=[PAIRS])
    assert report.pairs == 3
    assert live(store, PAIRS.space) == 3
    index(store, *items[:3], encoders=[PAIRS], forget=True)
    assert live(store, PAIRS.space) == 2, "no name is without words any more"


def test_a_picture_that_only_shows_its_damage_when_decoded_is_refused(store: Store) -> None:
    data = photo_bytes(form="JPEG")
    broken = Item(
        "1.jpg", Fingerprint("1"), lambda: io.BytesIO(data[: len(data) // 2]), (Words("red", "source"),)
    )
    report = index(store, broken, encoders=[PAIRS])
    assert (report.pairs, report.refused) == (0, 1)
    assert store.catalog.one("SELECT count(*) FROM names") == (0,)
    assert counts(index(store, broken, encoders=[PAIRS])) == {"barred": 1}


def test_several_models_share_one_reading(store: Store) -> None:
    opened = []

    def read() -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(photo_bytes())

    second = replace(toy_encoder("second"), decode_size=8)
    report = index(store, Item("1.png", Fingerprint("1"), read), encoders=[PICTURES, second, TEXTS])
    assert (report.encoded, len(opened)) == (1, 1)
    assert [space.name for space in spaces.spaces(store.catalog)] == ["toy", "second", "toy-words"]


def test_a_second_model_leaves_the_first_alone_and_can_stop_and_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "COMMIT_STEPS", 5)
    items = [item(f"{number:03}.png", seed=number) for number in range(20)]
    index(store, *items)
    before = [segment.file for segment in store.vectors(PICTURES.space)[1]]
    second = toy_encoder("second")
    running = run(Source(list(items)), store, [second])
    next(running)
    next(running)
    running.close()
    done = len(vectors(store, second.space))
    assert 5 <= done < 20
    report = index(store, *items, encoders=[second])
    assert (report.encoded, report.unchanged) == (20 - done, done)
    assert [segment.file for segment in store.vectors(PICTURES.space)[1]] == before
    assert spaces.searched(store.catalog) == [PICTURES.space]


def vectors(store: Store, space: Space) -> Any:
    return np.concatenate([np.asarray(segment.vectors, np.float32) for segment in store.vectors(space)[1]])


def two_models(tmp_path: Path, *encoders: Encoder) -> Gallery:
    return Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=encoders)


def test_use_switches_only_when_complete(tmp_path: Path, photos: Path) -> None:
    first, second = toy_encoder("first"), toy_encoder("second")
    with two_models(tmp_path, first) as gallery:
        gallery.index(photos)
    with two_models(tmp_path, second) as gallery:
        gallery.index(photos / "trip")
        with pytest.raises(UsageError, match=r"second@0+1 has no vector of 3 of the gallery's pictures"):
            gallery.use("second")
        assert gallery.spaces[0] == first.space
        gallery.index(photos)
        assert gallery.use("second") == second.space
        assert gallery.spaces == [second.space, first.space]
        gallery.use("first@000000000001")
        assert gallery.spaces[0] == first.space


def test_drop_frees_a_space_that_is_not_in_use(tmp_path: Path, photos: Path) -> None:
    first, second, texts = toy_encoder("first"), toy_encoder("second"), toy_words()
    (photos / "red.txt").write_text("a red wall")
    with two_models(tmp_path, first, second, texts) as gallery:
        gallery.index(photos)
        with pytest.raises(UsageError, match=r"first@0+1 is in use.*models use second"):
            gallery.drop("first")
        gallery.use("second")
        files = set((tmp_path / "g" / "segments").iterdir())
        gallery.drop("first")
        assert len(files - set((tmp_path / "g" / "segments").iterdir())) == 1
        gallery.drop("toy-words")  # nothing could take its place
        assert gallery.spaces == [second.space]
        assert health.check(gallery.store) == []
        assert owed.count(gallery.store.catalog, texts.space, "words") > 0
    with two_models(tmp_path, second) as gallery:
        assert [Path(hit.path).name for hit in gallery.search("blue", k=1)] == ["blue.png"]
        with pytest.raises(UnknownSpaceError, match=r"no vectors of first. It has: second@"):
            gallery.drop("first")


def test_searching_with_a_model_that_is_not_there_names_those_that_are(tmp_path: Path, photos: Path) -> None:
    with two_models(tmp_path, toy_encoder("first")) as gallery:
        gallery.index(photos)
    with (
        two_models(tmp_path, toy_encoder("second")) as gallery,
        pytest.raises(UnknownSpaceError, match=r"no vectors of second@0+1\. It has: first@0+1"),
    ):
        gallery.search("red")


def test_a_new_revision_takes_over_once_it_is_complete(tmp_path: Path, photos: Path) -> None:
    old, new = toy_encoder(), toy_encoder(revision="000000000002")
    with two_models(tmp_path, old) as gallery:
        gallery.index(photos)
    with two_models(tmp_path, new) as gallery:
        with pytest.raises(UnknownSpaceError, match="another revision of toy"):
            gallery.search("red")
        gallery.index(photos / "trip")
        assert gallery.spaces[0] == old.space
        gallery.index(photos)
        assert gallery.spaces[0] == new.space
        with pytest.raises(UsageError, match="several revisions of toy"):
            gallery.drop("toy")
        gallery.drop(str(old.space))
        assert gallery.spaces == [new.space]


def test_vectors_of_another_dimension_than_promised_leave_the_gallery_as_it_was(store: Store) -> None:
    index(store, item("1.png", seed=1))
    liar = replace(toy_encoder("liar"), card=replace(toy_encoder("liar").card, dim=32))
    with pytest.raises(
        EncoderError, match=r"liar@0+1 gave vectors of shape \(1, 64\); \(1, 32\) was promised"
    ):
        index(store, item("1.png", seed=1), encoders=[liar])
    assert spaces.spaces(store.catalog) == [PICTURES.space]
    assert health.check(store) == []


def test_an_older_gallery_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from picfind.storage import catalog, schema

    with monkeypatch.context() as old:
        old.setattr(catalog, "MIGRATIONS", schema.MIGRATIONS[:1])
        old.setattr(catalog, "VERSION", 1)
        store = Store.open(tmp_path / "g", create=True)
        with store.catalog.transaction() as change:
            change.run(
                "INSERT INTO spaces (name, revision, dim, added) VALUES ('toy', '000000000001', 64, 0)"
            )
        store.close()
    with Gallery(Store.open(tmp_path / "g"), Settings(), encoder=PICTURES) as gallery:
        write_photo(tmp_path / "photos" / "a.png")
        gallery.index(tmp_path / "photos")
        assert gallery.spaces == [PICTURES.space]
        assert len(gallery.search("red")) == 1
        assert spaces.kind_of(gallery.store.catalog, PICTURES.space) == "picture"
        assert names.FACTS_TASK == "facts@2"
        assert PAIR == "pair"


def test_texts_that_were_encoded_before_an_interruption_are_kept(store: Store) -> None:
    class Weary:
        """The text tower of `TEXTS` until it has been asked 100 times."""

        asked = 0

        def prepare(self, text: str) -> Any:
            self.asked += 1
            if self.asked > 100:
                raise KeyboardInterrupt
            assert TEXTS.text is not None
            return TEXTS.text.prepare(text)

        def encode(self, batch: Sequence[Any]) -> Any:
            assert TEXTS.text is not None
            return TEXTS.text.encode(batch)

    items = [
        item("1.png", words="red"),
        *(item(f"{n}.png", seed=1, words=f"text {n}") for n in range(2, 150)),
    ]
    with pytest.raises(KeyboardInterrupt):
        index(store, *items, encoders=[replace(TEXTS, text=Weary())])
    assert len(vectors(store, TEXTS.space)) == 64, "the first lot of them"
    assert index(store, *items, encoders=[TEXTS]).texts == 149 - 64


def test_one_thread_encodes_texts_on_an_accelerator(store: Store) -> None:
    threads = set()

    class Watched:
        def prepare(self, text: str) -> Any:
            threads.add(threading.get_ident())
            time.sleep(1e-4)  # long enough for another thread to take a part of the work
            assert TEXTS.text is not None
            return TEXTS.text.prepare(text)

        def encode(self, batch: Sequence[Any]) -> Any:
            assert TEXTS.text is not None
            return TEXTS.text.encode(batch)

    items = [item(f"{n}.png", seed=1, words=f"text {n}") for n in range(300)]
    index(store, *items, encoders=[replace(TEXTS, text=Watched(), on_accelerator=True)], workers=4)
    assert len(threads) == 1


def test_a_pair_that_cannot_be_read_is_refused_once_a_run(store: Store) -> None:
    def locked() -> io.BytesIO:
        raise PermissionError(13, "no permission")

    index(store, item("1.png", seed=1))
    for _ in range(2):
        report = index(store, replace(item("1.png", seed=1), open=locked), encoders=[PAIRS])
        assert (report.refused, report.due, report.done) == (1, 1, 1)
    assert index(store, item("1.png", seed=1), encoders=[PAIRS]).pairs == 1


def test_pairs_of_pictures_that_are_gone_are_not_due(store: Store) -> None:
    index(store, *(item(f"{number}.png", seed=number) for number in range(4)))
    report = index(store, *(item(f"{number}.png", seed=number) for number in range(3)), encoders=[PAIRS])
    assert (report.pairs, report.due, report.done, report.forgotten) == (3, 3, 3, 1)


def test_a_space_keeps_what_its_vectors_stand_for(store: Store) -> None:
    index(store, item("1.png", words="red"))
    other = toy_words("toy")
    with pytest.raises(EncoderError, match=r"toy@0+1 are 64-d and of kind 'words'; .* kind 'picture'"):
        index(store, item("1.png", words="red"), encoders=[other])
    assert live(store, PICTURES.space) == 1
    assert health.check(store) == []


def test_what_is_owed_is_counted_in_the_order_of_the_file(store: Store) -> None:
    for kind, table in (("picture", "contents"), ("words", "texts")):
        plan = store.catalog.all(f"EXPLAIN QUERY PLAN SELECT count(*) {owed._OWED[kind]}", ("toy", "1"))
        assert not [step for *_, step in plan if f"autoindex_{table}" in step], plan


def test_adopted_names_have_the_words_that_this_gallery_knows_of_their_pictures(
    store: Store, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "our house in May"
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(data, "JPEG", exif=exif)
    inside = Item("1.jpg", Fingerprint("1"), lambda: io.BytesIO(data.getvalue()))
    index(store, inside)
    other = Store.open(tmp_path / "other.gallery", create=True)
    beside = replace(inside, key="0002.jpg", words=(Words("with the dog", "source"),))
    list(run(Source([beside], location="elsewhere"), other, [PICTURES]))
    with other.catalog.transaction() as change:  # as an older picfind left it, which read no words
        change.run("DELETE FROM words WHERE content_id IS NOT NULL")
        change.run("UPDATE names SET text_id = (SELECT id FROM texts WHERE text = 'with the dog')")
    adoption.adopt(store, other)
    other.close()
    assert said(store) == [("0002.jpg", "with the dog\nour house in May"), ("1.jpg", "our house in May")]
