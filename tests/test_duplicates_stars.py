"""Groups without chains."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from picfind.duplicates.stars import components, stars

PAIRS = st.sets(st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda pair: pair[0] < pair[1]))


def unlike(first: int, second: int) -> str | None:
    return None


def test_a_chain_is_no_group() -> None:
    found = list(stars({(0, 1): "x", (1, 2): "x"}, lambda one: one, unlike))
    assert [(star.middle, sorted(star.around)) for star in found] == [(0, [1])]


def test_the_middle_has_all_that_match_it() -> None:
    found = list(stars({(0, 1): "x", (1, 2): "y"}, lambda one: one != 1, unlike))
    assert [(star.middle, dict(star.around)) for star in found] == [(1, {0: "x", 2: "y"})]


def test_what_was_no_pair_is_compared() -> None:
    found = list(
        stars({(0, 1): "x", (1, 2): "x"}, lambda one: one, lambda first, second: f"{first}-{second}")
    )
    assert [(star.middle, dict(star.around)) for star in found] == [(0, {1: "x", 2: "0-2"})]


def test_what_is_left_makes_groups_of_its_own() -> None:
    chain = {(0, 1): "x", (1, 2): "x", (2, 3): "x"}
    found = list(stars(chain, lambda one: one, unlike))
    assert [(star.middle, sorted(star.around)) for star in found] == [(0, [1]), (2, [3])]


@given(pairs=PAIRS, ranks=st.permutations(range(15)))
def test_groups_share_nothing_and_hold_only_what_matches_the_middle(
    pairs: set[tuple[int, int]], ranks: list[int]
) -> None:
    matches = dict.fromkeys(pairs, "match")
    seen: set[int] = set()
    for star in stars(matches, ranks.__getitem__, unlike):
        members = {star.middle, *star.around}
        assert star.around
        assert not members & seen
        seen |= members
        assert all((min(star.middle, one), max(star.middle, one)) in pairs for one in star.around)
    for first, second in pairs:  # a pair is left apart only where one of the two is in another group
        assert {first, second} & seen


@given(pairs=PAIRS)
def test_components_are_what_pairs_connect(pairs: set[tuple[int, int]]) -> None:
    found = components(pairs)
    assert sorted(one for some in found for one in some) == sorted({one for pair in pairs for one in pair})
    where = {one: at for at, some in enumerate(found) for one in some}
    assert all(where[first] == where[second] for first, second in pairs)
    for some in found:
        reached = {some[0]}
        while True:
            more = {b for a, b in pairs if a in reached} | {a for a, b in pairs if b in reached}
            if more <= reached:
                break
            reached |= more
        assert reached == set(some)
