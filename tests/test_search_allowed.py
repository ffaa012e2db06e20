"""Filtered before the best k: an answer among the allowed is what brute force finds among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picfind.search.snapshot import Snapshot
from picfind.storage import names, parts
from picfind.storage.names import Content, Name
from picfind.storage.parts import Part
from picfind.storage.store import Store
from picfind.storage.writer import Vectored
from picfind.types import WORDS, Fingerprint, Words
from tests.test_search_snapshot import KINDS, brute_force
from tests.test_storage_store import SPACE, add_root, commit, digest, unit_rows


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(
    allowed=st.sets(st.integers(1, 70)),
    gone=st.sets(st.integers(0, 59), max_size=20),
    k=st.integers(1, 70),
    seed=st.integers(0, 100),
)
def test_among_the_allowed_all_that_fits_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    allowed: set[int],
    gone: set[int],
    k: int,
    seed: int,
) -> None:
    store = Store.open(tmp_path_factory.mktemp("gallery"), create=True)
    with store.writing() as writer:
        root_id = add_root(writer)
        commit(writer, root_id, range(40))
        Snapshot(store, SPACE, index=kind)  # saves an index, so that what follows is its tail
        commit(writer, root_id, range(40, 60), seed=1)
        with writer.transaction() as change:
            names.forget(change, root_id, [f"{number}.png" for number in gone])
    query = unit_rows(1, seed=seed)[0]
    found = Snapshot(store, SPACE, index=kind).search(query, k=k, allowed=np.array(sorted(allowed), np.int64))
    expected = [entry for entry in brute_force(store, query, 60) if entry[0] in allowed][:k]
    assert found.contents.tolist() == [content for content, _ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score in expected], atol=1e-6)
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_are_shared_stand_for_the_allowed_pictures_alone(store: Store, kind: str) -> None:
    with store.writing() as writer:
        root_id = add_root(writer)
        for number in range(30):
            said = (Words("shared", "test"),)
            writer.commit(
                root_id,
                contents=[Content(digest(number), 1)],
                names=[Name(f"{number}", Fingerprint("1"), digest(number), words=said)],
                vectors={SPACE: Vectored([parts.picture(digest(number))], unit_rows(1, seed=number))},
            )
        words = unit_rows(1, seed=50)
        writer.commit(root_id, vectors={SPACE: Vectored([Part(WORDS, text="shared")], words)})
    found = Snapshot(store, SPACE, index=kind).search(words[0], k=5, allowed=np.array([4, 9], np.int64))
    assert found.contents.tolist() == [4, 9]
    np.testing.assert_allclose(found.scores, 1, atol=1e-3)
