"""What every dataset must do."""

# ruff: noqa: S101  (this is a test suite: asserting is what it is for)

from __future__ import annotations

from typing import TYPE_CHECKING

from picfind.datasets.base import IMAGE_TO_IMAGE, IMAGE_TO_TEXT, TEXT_TO_IMAGE
from picfind.errors import MissingSourceError
from picfind.testing.refusal import refuses
from picfind.types import Item

if TYPE_CHECKING:
    from picfind.datasets.base import Dataset, Judged


class DatasetSuite:
    """Subclass it, call the subclass `Test...`, and give `dataset`: one with items, which nobody changes meanwhile.

    Where it has `queries`, they are tested too.
    """

    def dataset(self) -> Dataset:
        """The dataset to test, made anew at each call."""
        raise NotImplementedError

    def missing(self) -> Dataset | None:
        """A dataset of this kind whose source is not there; None where there can be no such thing."""
        return None

    def test_it_says_what_it_is(self) -> None:
        dataset = self.dataset()
        assert dataset.kind and dataset.kind == dataset.kind.strip()
        assert dataset.location
        _is_text(dataset.kind, dataset.location, dataset.scope)

    def test_it_has_items(self) -> None:
        assert _items(self.dataset()), "the suite needs a dataset with items"

    def test_keys_are_unique(self) -> None:
        keys = [item.key for item in _items(self.dataset())]
        assert len(keys) == len(set(keys))

    def test_a_second_listing_is_the_same(self) -> None:
        first, again = self.dataset(), self.dataset()
        wanted = _told(first)
        assert wanted == _told(first)
        assert wanted == _told(again)
        assert (first.kind, first.location, first.scope) == (again.kind, again.location, again.scope)

    def test_keys_and_words_are_valid_text(self) -> None:
        for item in _items(self.dataset()):
            assert item.fingerprint
            _is_text(item.key, item.fingerprint, *(words.text for words in item.words))
            assert item.key and "\0" not in item.key
            assert not item.key.startswith("/"), f"{item.key!r} is not relative to the root"

    def test_keys_start_with_the_scope(self) -> None:
        dataset = self.dataset()
        for listed in dataset.items():
            key = listed.key if isinstance(listed, Item) else listed.prefix
            assert key.startswith(dataset.scope), f"{key!r} is outside the scope {dataset.scope!r}"

    def test_an_item_opens_twice_to_the_same_bytes(self) -> None:
        for item in _items(self.dataset())[:20]:
            with item.open() as first, item.open() as second:
                data = first.read()
                assert isinstance(data, bytes)
                assert second.read() == data, f"{item.key!r} reads differently the second time"

    def test_sidecars_are_listed_by_key_and_open_twice(self) -> None:
        for item in _items(self.dataset())[:20]:
            names = [sidecar.key for sidecar in item.sidecars]
            assert names == sorted(set(names)) and item.key not in names
            for sidecar in item.sidecars:
                _is_text(sidecar.key, sidecar.fingerprint)
                with sidecar.open() as first, sidecar.open() as second:
                    assert first.read() == second.read(), f"{sidecar.key!r} reads differently the second time"

    def test_a_missing_source_is_an_error(self) -> None:
        dataset = self.missing()
        if dataset is not None:
            with refuses(MissingSourceError, "listing a source that is not there"):
                list(dataset.items())

    def test_queries_have_ids_of_their_own_and_come_again(self) -> None:
        queries = _queries(self.dataset())
        assert len({query.id for query in queries}) == len(queries)
        assert queries == _queries(self.dataset()), "a second dataset asks something else"

    def test_queries_ask_with_words_or_a_picture_of_the_dataset(self) -> None:
        dataset = self.dataset()
        keys = {item.key for item in _items(dataset)}
        for query in _queries(dataset):
            assert (query.text is None) == (query.task != TEXT_TO_IMAGE), query
            assert (query.picture is not None) == (query.task in (IMAGE_TO_TEXT, IMAGE_TO_IMAGE)), query
            assert query.text is None or query.text.strip(), query
            assert query.picture is None or query.picture in keys, query
            _is_text(query.id, query.group, query.text or "")
            assert query.box is None or _is_inside(*query.box), query

    def test_answers_are_of_the_dataset_and_one_counts(self) -> None:
        dataset = self.dataset()
        keys, texts = {item.key for item in _items(dataset)}, set()
        for query in _queries(dataset):
            if query.task == TEXT_TO_IMAGE:
                texts.add(query.id)
            known = texts if query.task == IMAGE_TO_TEXT else keys
            assert query.right, f"nothing is right for {query.id!r}"
            assert query.answers <= known and query.ignored <= known, query
            assert query.task != IMAGE_TO_IMAGE or query.picture in query.ignored, (
                f"{query.id!r} would find itself"
            )


def _queries(dataset: Dataset) -> list[Judged]:
    return list(dataset.queries()) if hasattr(dataset, "queries") else []


def _is_inside(left: float, top: float, width: float, height: float) -> bool:
    within = min(left, top, width, height) >= 0
    return within and max(left + width, top + height) <= 1 + 1e-9


def _items(dataset: Dataset) -> list[Item]:
    return [listed for listed in dataset.items() if isinstance(listed, Item)]


def _told(dataset: Dataset) -> list[tuple[object, ...]]:
    """All that a listing says, but how things are opened."""
    return [
        (
            *(item.key, item.fingerprint, item.words, item.dated),
            [(sidecar.key, sidecar.fingerprint) for sidecar in item.sidecars],
        )
        for item in _items(dataset)
    ]


def _is_text(*texts: str) -> None:
    for text in texts:
        assert isinstance(text, str)
        assert not any("\ud800" <= sign <= "\udfff" for sign in text), f"surrogates in {text!r}"
