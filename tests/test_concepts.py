"""Named concepts: how they are kept, what their members are, and what they are in a query."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from picfind.api import Gallery
from picfind.concepts import BEST, Way
from picfind.errors import DamagedGalleryError, EncoderError, ReadOnlyGalleryError, UsageError
from picfind.search.concepts import read_terms, write_terms
from picfind.search.crop import Crop
from picfind.search.query import Kind, Term
from picfind.settings import Settings
from picfind.storage import concepts as rows
from picfind.storage.store import Store
from picfind.testing import toy_encoder, toy_words
from tests.photos import write_photo

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture
def many(tmp_path: Path) -> Gallery:
    """Fifty pictures of five colours."""
    for number in range(50):
        write_photo(tmp_path / "photos" / f"{number:04}.png", colour=COLOURS[number % 5], seed=number)
    gallery = Gallery(Store.open(tmp_path / "g", create=True), Settings(), encoder=toy_encoder())
    gallery.index(tmp_path / "photos")
    return gallery


def numbers(hits: object) -> list[int]:
    return [int(Path(hit.path).stem) for hit in hits]  # type: ignore[attr-defined]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["", " a", "a ", "@a", "-a", "a\nb", "a\x00", "x" * 81, "\u202ea"])
def test_names_that_can_be_none(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        rows.save(store.catalog, rows.Saved(name, "[]"))


@given(
    name=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(
        lambda text: text[0] not in "@-"
    )
)
def test_other_names_are_kept_in_one_form(name: str) -> None:
    kept = rows.checked_name(name)
    assert rows.checked_name(kept) == kept


def test_a_name_is_found_however_it_is_composed_or_written(store: Store) -> None:
    rows.save(store.catalog, rows.Saved("Cafe\u0301 Dogs", "[]", min_score=0.25))
    for spelling in ("Caf\u00e9 Dogs", "Cafe\u0301 dogs", "@Caf\u00e9 Dogs"):
        assert rows.get(store.catalog, spelling).name == "Caf\u00e9 Dogs"
    assert rows.get(store.catalog, "Caf\u00e9 Dogs").min_score == 0.25
    with pytest.raises(UsageError, match="already"):
        rows.save(store.catalog, rows.Saved("Caf\u00e9 Dogs", "[]"))
    with pytest.raises(UsageError, match=r"no concept 'cats'.*Caf\u00e9 Dogs"):
        rows.get(store.catalog, "cats")


def test_examples_are_replaced_added_and_changed(store: Store) -> None:
    one, two, three = (bytes([number]) * 32 for number in range(3))
    rows.save(store.catalog, rows.Saved("a", "[]", liked=(one,), disliked=(two,)))
    rows.add_examples(store.catalog, "a", liked=[two], disliked=[three])
    saved = rows.get(store.catalog, "a")
    assert (saved.liked, saved.disliked) == ((one, two), (three,))
    rows.save(store.catalog, rows.Saved("A", "[]", liked=(three,)), replace=True)
    assert [(kept.name, kept.liked, kept.disliked) for kept in rows.concepts(store.catalog)] == [
        ("A", (three,), ())
    ]
    with pytest.raises(UsageError, match="both liked and disliked"):
        rows.add_examples(store.catalog, "a", liked=[one], disliked=[one])
    assert rows.get(store.catalog, "a").liked == (three,), "nothing of it was done"


def test_refreshing_says_what_is_new_and_what_has_left(store: Store) -> None:
    one, two, three = (bytes([number]) * 32 for number in range(3))
    rows.save(store.catalog, rows.Saved("a", "[]"))
    assert rows.get(store.catalog, "a").refreshed is None
    assert rows.refresh(store.catalog, "a", [two, one]) == rows.Difference((two, one), (), 2)
    assert rows.refresh(store.catalog, "a", [two, three]) == rows.Difference((three,), (one,), 2)
    assert rows.members(store.catalog, "a") == {two, three}
    assert rows.refresh(store.catalog, "a", [three, two]) == rows.Difference((), (), 2)
    assert rows.get(store.catalog, "a").refreshed is not None


def test_renaming_and_dropping(store: Store) -> None:
    for name in ("a", "b"):
        rows.save(store.catalog, rows.Saved(name, "[]", liked=(b"x" * 32,)))
    rows.refresh(store.catalog, "a", [b"x" * 32])
    with pytest.raises(UsageError, match="already"):
        rows.rename(store.catalog, "a", "B")
    rows.rename(store.catalog, "a", "A")
    rows.rename(store.catalog, "A", "c")
    assert [saved.name for saved in rows.concepts(store.catalog)] == ["b", "c"]
    rows.drop(store.catalog, "c")
    with pytest.raises(UsageError, match="no concept"):
        rows.drop(store.catalog, "c")
    left = store.catalog.one("SELECT (SELECT count(*) FROM members), (SELECT count(*) FROM examples)")
    assert left == (0, 1)


def test_it_can_be_saved_while_another_writes(store: Store) -> None:
    with store.writing():
        saving = threading.Thread(target=rows.save, args=(store.catalog, rows.Saved("a", "[]")))
        saving.start()
        saving.join(10)
    assert rows.get(store.catalog, "a").name == "a"


def test_terms_come_back_as_they_were(many: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "0001.png"
    terms = (
        Term(Kind.WORDS, "a black cat", 2.0, phrases=("black cat",)),
        Term(Kind.WORDS, "Hund \U0001f415 'x'", -0.5),
        Term(Kind.PATH, path, -1.0, crop=Crop(0.1, 0.2, 0.3, 0.4, True)),
        Term(Kind.PICTURE, path.read_bytes()),
        Term(Kind.CONTENT, digest(path)[:9]),
    )
    catalog = many.store.catalog
    found = read_terms(write_terms(catalog, terms), "x")
    stored = replace(terms[4], value=digest(path))
    assert found == (*terms[:2], replace(stored, weight=-1.0, crop=terms[2].crop), stored, stored)


@pytest.mark.parametrize(
    "text", ["", "{}x", "[{}]", '[{"weight": 1}]', '[{"weight": "x", "words": ""}]', "[3]"]
)
def test_a_damaged_query_is_told(text: str) -> None:
    with pytest.raises(DamagedGalleryError, match="concept 'x' cannot be read"):
        read_terms(text, "x")


def test_what_cannot_be_kept_is_refused(many: Gallery, tmp_path: Path) -> None:
    other = write_photo(tmp_path / "elsewhere" / "other.png", colour="cyan", seed=999)
    concepts = many.concepts
    concepts.save("red", "red")
    for query, told in (
        (other, "Index the folder"),
        (Image.new("RGB", (9, 9)), "as pixels"),
        ("@red", "cannot hold another"),
        ("", "The query is empty"),
    ):
        with pytest.raises(UsageError, match=told):
            concepts.save("x", query)
    with pytest.raises(UsageError, match="is no picture"):
        concepts.save("x", "red", liked="green")
    with pytest.raises(UsageError, match="whole pictures"):
        concepts.save("x", "red", liked=f"{tmp_path}/photos/0001.png@0,0,0.5,0.5")
    with pytest.raises(UsageError, match="no field"):
        concepts.save("x", "red", where="colour=red")
    with pytest.raises(UsageError, match="from 0 to 1"):
        concepts.save("x", "red", min_score=2)
    assert [concept.name for concept in concepts.all()] == ["red"]


def test_members_are_judged_ticked_ones_are_in_and_crossed_ones_are_out(
    many: Gallery, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    concepts = many.concepts
    saved = concepts.save("reds", "red", where="not name=0005.png", min_score=0.3)
    assert saved.question == "red"
    members = numbers(concepts.members("reds"))
    assert members
    assert all(number % 5 == 0 for number in members)
    assert 5 not in members
    concepts.tick("reds", [photos / "0001.png", photos / "0005.png"])
    concepts.cross("reds", f"sha256:{digest(photos / '0010.png')}")
    changed = numbers(concepts.members("reds"))
    assert 1 in changed, "ticked: it is in, whatever a model thinks of it"
    assert 10 not in changed
    assert 5 not in changed, "the filter counts for ticked ones too"
    concepts.tick("reds", photos / "0010.png")
    assert 10 in numbers(concepts.members("reds"))
    assert len(concepts.get("reds").liked) == 3
    assert concepts.get("reds").disliked == ()


def test_any_number_of_pictures_can_be_ticked(many: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a query has room for, and more than one filter may name."""
    monkeypatch.setattr("picfind.search.language.LONGEST", 500)
    monkeypatch.setattr("picfind.concepts._AT_ONCE", 4)
    every = [f"sha256:{hit.content}" for hit in many.search("red", k=50)]
    saved = many.concepts.save("all", liked=every[:30], min_score=0.999)
    assert len(saved.liked) == 30
    many.concepts.tick("all", every[30:])
    assert len(many.concepts.members("all")) == 50


def test_without_a_least_relevance_the_best_hundred_are_members(many: Gallery, tmp_path: Path) -> None:
    for number in range(50, 110):
        write_photo(tmp_path / "photos" / f"{number:04}.png", colour="grey", seed=number)
    many.index(tmp_path / "photos")
    many.concepts.save("any", "red", min_score=None)
    assert len(many.concepts.members("any")) == BEST
    many.concepts.cross("any", tmp_path / "photos" / "0000.png")
    members = numbers(many.concepts.members("any"))
    assert len(members) == BEST
    assert 0 not in members


def test_too_small_a_gallery_to_judge_says_so(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    gallery.concepts.save("reds", liked=photos / "red.png")
    members = gallery.concepts.members("reds")
    assert len(members) == 4
    assert Path(members[0].path).name == "red.png"
    assert any("too few pictures to judge" in warning for warning in members.warnings)


def test_refreshing_follows_the_gallery(many: Gallery, tmp_path: Path) -> None:
    concepts = many.concepts
    concepts.save("reds", "red", min_score=0.3)
    first = concepts.refresh("@REDS")
    assert (first.name, len(first.new), first.left) == ("reds", first.count, ())
    gone = Path(first.new[0].path)
    kept = gone.read_bytes()
    gone.unlink()
    many.index(tmp_path / "photos")
    second = concepts.refresh("reds")
    assert (second.new, second.left) == ((), ((hashlib.sha256(kept).hexdigest(), None),))
    gone.write_bytes(kept)
    many.index(tmp_path / "photos")
    assert [Path(hit.path) for hit in concepts.refresh("reds").new] == [gone]


def test_examples_that_are_gone_for_a_while_are_passed_over(many: Gallery, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    many.concepts.save("reds", "red", liked=photos / "0000.png", min_score=None)
    (photos / "0000.png").rename(tmp_path / "away.png")
    many.index(photos)
    members = many.concepts.members("reds")
    assert any("passed over" in warning for warning in members.warnings)
    assert 0 not in numbers(members)
    (tmp_path / "away.png").rename(photos / "back.png")
    many.index(photos)
    assert not many.concepts.members("reds").warnings, "a picture that comes back is an example again"


def test_a_concept_is_a_term_of_a_query(many: Gallery, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    many.concepts.save("reds", "red")
    plain, named = many.search("red", k=30), many.search("@reds", k=30)
    assert [hit.content for hit in named] == [hit.content for hit in plain]
    assert list(named[0].why) == ["@reds"]
    many.concepts.save("mixed", "red", liked=photos / "0002.png", disliked=photos / "0001.png")
    hits = many.search(["2:@mixed", "+", "green"], k=5, judged=True)
    for hit in hits:
        assert list(hit.why) == ["2:@mixed", "green"]
        assert sum(hit.why.values()) == pytest.approx(hit.score, abs=2e-3)
        assert hit.relevance is not None
    assert numbers(many.search(["red", "-", "@mixed"], k=1)), "taken away like any term"
    with pytest.raises(UsageError, match="no concept 'blues'"):
        many.search("@blues")


def test_concepts_of_words_are_matched_against_words_and_those_with_examples_are_not(tmp_path: Path) -> None:
    for number in range(40):
        write_photo(tmp_path / "p" / f"{number:04}.png", colour=COLOURS[number % 5], seed=number)
        (tmp_path / "p" / f"{number:04}.txt").write_text(f"the {COLOURS[number % 5]} wall {number}")
    gallery = Gallery(
        Store.open(tmp_path / "g", create=True), Settings(), encoder=[toy_encoder(), toy_words()]
    )
    gallery.index(tmp_path / "p")
    gallery.concepts.save("reds", "red")
    assert numbers(gallery.search("@reds", against="words", k=1))[0] % 5 == 0
    gallery.concepts.tick("reds", tmp_path / "p" / "0000.png")
    with pytest.raises(EncoderError):
        gallery.search("@reds", against="words")
    assert numbers(gallery.search("@reds", k=8))[0] % 5 == 0
    gallery.close()


def test_a_concept_whose_query_was_damaged_does_not_hide_the_others(many: Gallery) -> None:
    rows.save(many.store.catalog, rows.Saved("odd", "nonsense"))
    with pytest.raises(DamagedGalleryError, match="concept 'odd' cannot be read"):
        many.search("@odd")


def test_a_read_only_gallery_shows_concepts_and_keeps_none(many: Gallery) -> None:
    many.concepts.save("reds", "red")
    many.store.catalog.writable = False
    assert len(many.concepts.members("reds"))
    with pytest.raises(ReadOnlyGalleryError):
        many.concepts.save("blues", "blue")


@pytest.mark.parametrize("way", list(Way))
def test_exporting_never_overwrites(many: Gallery, tmp_path: Path, way: Way) -> None:
    many.concepts.save("reds", "red", min_score=0.3)
    members = numbers(many.concepts.members("reds"))
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{members[0]:04}.png").write_text("something else")
    (out / f"{members[1]:04}.png").symlink_to(tmp_path / "nowhere")
    done = many.concepts.export("reds", out, way=way)
    assert len(done.written) == len(members)
    assert (out / f"{members[0]:04}.png").read_text() == "something else"
    for number in members[:2]:
        source = tmp_path / "photos" / f"{number:04}.png"
        assert (out / f"{number:04}-2.png").read_bytes() == source.read_bytes()
    assert (out / f"{members[2]:04}.png").is_symlink() == (way is Way.SYMLINK)
    assert len(list(out.iterdir())) == len(members) + 2, "no half-written file is left"
    again = many.concepts.export("reds", out, way=way)
    assert (len(again.written), len(again.known)) == (0, len(members))


def test_exporting_tells_what_is_missing_and_what_cannot_be_written(many: Gallery, tmp_path: Path) -> None:
    many.concepts.save("reds", "red", min_score=0.3)
    first = Path(many.concepts.members("reds")[0].path)
    first.unlink()
    done = many.concepts.export("reds", tmp_path / "out")
    assert done.missing == (str(first),)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="file"):
        many.concepts.export("reds", tmp_path / "file")
