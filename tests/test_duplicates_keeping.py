"""Which file is kept."""

from __future__ import annotations

import pytest

from picfind.duplicates.keeping import RULES, Candidate, order, taste
from picfind.duplicates.pictures import File, Known
from picfind.errors import UsageError


def candidate(
    path: str = "/a/x.jpg",
    *,
    pixels: tuple[int, int] = (100, 100),
    form: str = "JPEG",
    size: int = 1000,
    taken: str | None = None,
    dated: str | None = None,
    whole: float = 1.0,
    raw: bool = False,
) -> Candidate:
    file = File(path, 1, path.lstrip("/"), dated)
    return Candidate(Known(1, b"", size, form, *pixels, taken, (file,)), file, whole, raw)


def kept(*candidates: Candidate, rules: list[str] | None = None, **patterns: list[str]) -> Candidate:
    return min(candidates, key=order(taste(rules, **patterns)))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (candidate(pixels=(50, 50)), candidate(whole=0.7)),
        (candidate(pixels=(200, 100)), candidate(form="HEIF", size=9000)),
        (candidate(raw=True), candidate(form="HEIF", size=9000)),
        (candidate(form="HEIF"), candidate(form="PNG", size=9000)),
        (candidate(form="TIFF"), candidate(form="JPEG", size=9000)),
        (candidate(size=2000, taken="2020-01-01T10:00:00"), candidate(taken="2010-01-01T10:00:00")),
        (candidate("/a/yy.jpg", taken="2010-01-01"), candidate(taken="2010-01-02")),
        (candidate("/a/yy.jpg", dated="2010-01-01"), candidate()),
        (candidate("/a/x.jpg"), candidate("/a/x (2).jpg")),
    ],
)
def test_the_usual_order(better: Candidate, worse: Candidate) -> None:
    assert kept(better, worse) is better
    assert kept(worse, better) is better


def test_an_order_that_is_given_comes_first_and_the_others_after_it() -> None:
    old, large = candidate(taken="1999-01-01"), candidate(pixels=(900, 900), taken="2020-01-01")
    assert kept(old, large) is large
    assert kept(old, large, rules=["date"]) is old
    assert taste(["size", "date"]).rules == ("size", "date", "whole", "resolution", "format", "path")
    assert taste().rules == RULES


def test_patterns_decide_before_everything_else_unless_an_order_is_given() -> None:
    here, there = candidate("/a/Originals/x.jpg"), candidate("/a/Downloads/deep/x.jpg", pixels=(900, 900))
    assert kept(here, there) is there
    assert kept(here, there, prefer=["*/Originals/*"]) is here
    assert kept(here, there, avoid=["*/Downloads/*"]) is here
    assert kept(here, there, rules=["resolution"], avoid=["*/Downloads/*"]) is there


def test_accents_of_a_pattern_match_however_they_are_composed() -> None:
    here, there = candidate("/e\u0301te\u0301/x.jpg"), candidate("/a.jpg")
    assert kept(here, there, prefer=["/\u00e9t\u00e9/*"]) is here


def test_an_unknown_rule_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"no rule 'beauty'.*whole, resolution"):
        taste(["beauty"])
