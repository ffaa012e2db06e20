from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from picfind.ingest.changes import change_of, changes, survey
from picfind.ingest.wording import Marks
from picfind.storage.names import State
from picfind.storage.wording import words_hash
from picfind.types import Fingerprint, Gap, Item, Words

WANTED = frozenset({"facts@1", "vector:toy@1"})
WORDS = (Words("a dog", "sidecar"),)


def item(key: str, mark: str = "1", words: tuple[Words, ...] = ()) -> Item:
    return Item(key, Fingerprint(mark), io.BytesIO, words)


def marks_of(entry: Item) -> Marks:
    return Marks(words_hash(entry.words))


def state(
    mark: str = "1", done: frozenset[str] = WANTED, words: tuple[Words, ...] = (), *, refused: bool = False
) -> State:
    return State(Fingerprint(mark), words_hash(words), done, refused)


def test_what_is_new_needs_everything() -> None:
    change = change_of(item("a"), None, WANTED, marks_of)
    assert change is not None
    assert change.tasks == WANTED


def test_what_is_unchanged_and_done_needs_nothing() -> None:
    assert change_of(item("a"), state(), WANTED, marks_of) is None


def test_what_has_changed_needs_everything() -> None:
    change = change_of(item("a", "2"), state("1"), WANTED, marks_of)
    assert change is not None
    assert change.tasks == WANTED


def test_a_new_space_needs_only_its_vector() -> None:
    change = change_of(item("a"), state(done=frozenset({"facts@1", "vector:old@1"})), WANTED, marks_of)
    assert change is not None
    assert change.tasks == frozenset({"vector:toy@1"})


def test_new_words_need_no_decoding() -> None:
    change = change_of(item("a", words=WORDS), state(), WANTED, marks_of)
    assert change is not None
    assert change.tasks == frozenset()
    assert change_of(item("a", words=WORDS), state(words=WORDS), WANTED, marks_of) is None


def test_what_was_refused_is_tried_again_only_when_it_changes() -> None:
    refused = state(done=frozenset(), refused=True)
    assert change_of(item("a"), refused, WANTED, marks_of) is None
    assert change_of(item("a", "2"), refused, WANTED, marks_of) is not None


def test_what_is_below_a_gap_is_not_gone() -> None:
    states = {"a": state(), "locked/b": state(), "open/c": state()}
    found = survey([item("a"), Gap("locked/", "Permission denied")], states, WANTED, marks_of)
    assert found.gone == {"open/c"}
    assert found.gaps == (Gap("locked/", "Permission denied"),)


KEYS = st.sampled_from("abcdef")
MARKS = st.sampled_from("12")


@given(listed=st.dictionaries(KEYS, MARKS), known=st.dictionaries(KEYS, MARKS))
def test_survey_and_changes_agree_with_set_arithmetic(listed: dict[str, str], known: dict[str, str]) -> None:
    items = [item(key, mark) for key, mark in listed.items()]
    states = {key: state(mark) for key, mark in known.items()}
    found = survey(items, states, WANTED, marks_of)
    due = {change.item.key for change in changes(items, states, WANTED, marks_of)}
    assert due == {key for key, mark in listed.items() if known.get(key) != mark}
    assert (found.due, found.unchanged, found.listed) == (len(due), len(listed) - len(due), len(listed))
    assert found.gone == set(known) - set(listed)
