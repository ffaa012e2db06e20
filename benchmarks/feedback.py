"""Does feedback help, and how much? `python -m benchmarks.feedback --data DIR [--keep DIR] [--train] [--compare] [--fit]`.

DIR holds `flickr8k/`, `coco/` and `caltech101_retrieval/`. Asked is with words ("a dog"), of pictures that captions or
labels say to show it. A half of the pictures, chosen by a seed, is shown: each round ticks and crosses the first ten
that were not shown before, by their true label. The other half is never shown and gives the mean average precision,
before and after 1, 2 and 3 rounds, so what is measured is what was learned, not what was seen.

Then: how many of the pictures with a relevance of at least .3, .5 and .7 are right, how many of the right ones have it,
and how fast it is. `--train` takes the sets that constants were chosen on (train splits, and every second class of
Caltech-101) instead of the dev splits. `--compare` adds a logistic regression and a squared hinge, and other constants.
`--fit` fits the curve of the relevance and says how often unrelated pictures reach a strength. `--keep` keeps the vectors
between runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.builtin_quality import encode_texts
from benchmarks.judged import Bench, subjects
from benchmarks.machine import describe
from picfind.search import calibration, feedback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from picfind.search.feedback import Learned
    from picfind.types import Floats

    Method = Callable[["Floats | None", Floats, Floats, Floats], Learned]

ROUNDS = 3
PAGE = 10
LEVELS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Case:
    """Questions (q, dim) of pictures (n, dim): judged pairs (q, n), 1 fits, 0 not, -1 unclear."""

    name: str
    pictures: Floats
    asked: Floats
    fits: NDArray[np.int8]


@dataclass(frozen=True)
class Turn:
    """One question after some rounds: the direction, the background's scores, and the other half: vectors, labels."""

    vector: Floats
    background: Floats
    pictures: Floats
    fits: NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _options(arguments)
    print(describe())
    cases = list(read(Bench(options.data, options.keep), train=options.train))
    for case in cases:
        print(f"{case.name}: {len(case.asked)} questions, {len(case.pictures)} pictures")
    if options.fit:
        _print_fit(cases)
        return
    methods = {
        "picfind": feedback.learn,
        "Rocchio": lambda query, *rows: feedback.rocchio(query, *rows[:2]),
    } | (_others() if options.compare else {})
    print("\nmAP of the other half, before and after each round")
    for words, told in (
        (True, "words, then ticks and crosses"),
        (False, "ticks and crosses without the words"),
    ):
        print(f"\n{told}")
        for name, method in methods.items():
            _print_row(name, [gain(case, method, words=words) for case in cases])
    for crosses, told in ((False, "words, then ticks alone"), (True, "words, then crosses alone")):
        print(f"\n{told}")
        for name, method in methods.items():
            _print_row(name, [gain(case, method, crosses=crosses, ticks=not crosses) for case in cases])
    _print_relevance(cases)
    _print_times()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what ticked and crossed pictures do for a query.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the three data sets")
    parser.add_argument("--keep", type=Path, help="folder to keep the vectors in")
    parser.add_argument("--train", action="store_true", help="measure on what constants were chosen on")
    parser.add_argument(
        "--compare", action="store_true", help="other kinds of models, and other constants, too"
    )
    parser.add_argument("--fit", action="store_true", help="fit the curve of the relevance")
    return parser.parse_args(arguments)


def read(bench: Bench, *, train: bool) -> Iterator[Case]:
    """The three sets: classes of Caltech-101, subjects of Flickr8k and of COCO."""
    one = bench.read("Caltech", "caltech101_retrieval", table="labels.jsonl")
    labels = np.array([row["label"] for row in one.rows])
    names = np.array(sorted(set(labels.tolist())))[0 if train else 1 :: 2]
    asked = encode_texts(bench.pictures, [f"a {name.lower().replace('_', ' ')}" for name in names])
    yield Case("Caltech-101", one.pictures, asked, (names[:, None] == labels[None]).astype(np.int8))
    for name, folder in (("Flickr8k", "flickr8k"), ("COCO", "coco")):
        split = bench.read(f"{name} train" if train else name, folder, "train" if train else "dev")
        things, fits = subjects(split.rows)
        yield Case(name, split.pictures, encode_texts(bench.pictures, things), fits)


def turns(
    case: Case, method: Method, *, words: bool = True, crosses: bool = True, ticks: bool = True
) -> Iterator[list[Turn]]:
    """Of each question that the other half has an answer to: the turns before and after each round."""
    shown = np.random.default_rng(5).random(len(case.pictures)) < 0.5
    background = case.pictures[calibration.sample(len(case.pictures))]
    for query, fits in zip(case.asked, case.fits, strict=True):
        other = (fits >= 0) & ~shown
        if not (fits[other] == 1).any():
            continue
        seen = np.zeros(len(shown), np.bool_)
        vector, found = query, list[Turn]()
        for _ in range(ROUNDS + 1):
            kept = Turn(vector, background @ vector, case.pictures[other], fits[other] == 1)
            found.append(kept)
            scores = np.where((fits >= 0) & shown & ~seen, case.pictures @ vector, -np.inf)
            seen[np.argsort(-scores, kind="stable")[:PAGE]] = True
            liked = case.pictures[seen & (fits == 1)][: None if ticks else 0]
            disliked = case.pictures[seen & (fits == 0)][: None if crosses else 0]
            vector = _turned(query, liked, disliked, background, method, words=words)
        yield found


def _turned(
    query: Floats, liked: Floats, disliked: Floats, background: Floats, method: Method, *, words: bool
) -> Floats:
    if not len(liked) and (not words or not len(disliked)):
        return query
    learned = method(query if words else None, liked, disliked, background)
    row: Floats = np.float32(learned.pull) * query + learned.change
    unit: Floats = row / np.linalg.norm(row)
    return unit


def gain(
    case: Case, method: Method, *, words: bool = True, crosses: bool = True, ticks: bool = True
) -> list[float]:
    """mAP before and after each round."""
    rows = [
        [average_precision(turn.pictures @ turn.vector, turn.fits) for turn in question]
        for question in turns(case, method, words=words, crosses=crosses, ticks=ticks)
    ]
    return [statistics.fmean(column) for column in zip(*rows, strict=True)]


def average_precision(scores: Floats, fits: NDArray[np.bool_]) -> float:
    """The mean, over what fits, of the precision down to it. Right, wrong, right: (1 + 2/3) / 2."""
    ranked = fits[np.argsort(-scores, kind="stable")]
    right = np.cumsum(ranked)
    return float((right[ranked] / (np.flatnonzero(ranked) + 1)).mean())


def _print_row(name: str, figures: Sequence[Sequence[float]]) -> None:
    told = "  |  ".join(" ".join(f"{figure:.3f}" for figure in row) for row in figures)
    after = statistics.fmean(figure for row in figures for figure in row[1:])
    print(f"  {name:<28}{told}  |  mean after {after:.3f}")


def _print_relevance(cases: Sequence[Case]) -> None:
    print(
        "\nrelevance after one and after three rounds: right of what has it, and what has it of the right ones"
    )
    for case in cases:
        questions = list(turns(case, feedback.learn))
        for at in (1, ROUNDS):
            told, fits = _judged([question[at] for question in questions])
            row = [
                f"{level}: {fits[told >= level].mean():.2f} {fits[told >= level].sum() / fits.sum():.2f}"
                for level in LEVELS
            ]
            wrong = told[~fits] >= 0.5
            print(f"  {case.name:<12}round {at}  {'   '.join(row)}   unrelated at .5: {wrong.mean():.5f}")


def _judged(after: Sequence[Turn]) -> tuple[Floats, NDArray[np.bool_]]:
    told = [feedback.relevance(turn.pictures @ turn.vector, turn.background) for turn in after]
    return np.concatenate(told), np.concatenate([turn.fits for turn in after])


def strengths(case: Case) -> tuple[Floats, NDArray[np.bool_]]:
    """Strength and whether it fits, of the first 30 hits of each question after one and three rounds: once of the other
    half as it is, and once without what fits, as if there were nothing to find."""
    values, right = [], []
    for question in turns(case, feedback.learn):
        for turn in (question[1], question[ROUNDS]):
            figures = feedback.strengths(turn.pictures @ turn.vector, turn.background)
            for there in (np.ones_like(turn.fits), ~turn.fits):
                best = np.argsort(-figures[there], kind="stable")[:30]
                values.append(figures[there][best])
                right.append(turn.fits[there][best])
    return np.concatenate(values), np.concatenate(right)


def _print_fit(cases: Sequence[Case]) -> None:
    """The curve, by Newton's steps, and the share of unrelated pictures at some strengths."""
    told = [strengths(case) for case in cases]
    values = np.clip(np.concatenate([value for value, _ in told]).astype(np.float64), -10, 30)
    right = np.concatenate([fits for _, fits in told]).astype(np.float64)
    rows, line = np.stack([np.ones_like(values), values], axis=1), np.array([-3.0, 0.5])
    for _ in range(60):
        chance = 1 / (1 + np.exp(-rows @ line))
        bend = (rows * (chance * (1 - chance))[:, None]).T @ rows
        line += 0.5 * np.linalg.solve(bend + 1e-6 * np.eye(2), rows.T @ (right - chance))
    print(f"\ncurve: middle {-line[0] / line[1]:.2f}, slope {line[1]:.2f}")
    for case in cases:
        after = [question[at] for question in turns(case, feedback.learn) for at in (1, ROUNDS)]
        apart = [
            feedback.strengths(turn.pictures @ turn.vector, turn.background)[~turn.fits] for turn in after
        ]
        shares = [f"{(np.concatenate(apart) >= level).mean():.5f}" for level in (3, 5, 7, 9)]
        print(f"  {case.name}: share of unrelated pictures above 3, 5, 7, 9: {' '.join(shares)}")


def _others() -> dict[str, Method]:
    """Iterated models towards the same prior."""
    losses = {"logistic regression": (_logistic, 0.3, 0.4), "squared hinge": (_hinge, 1.0, 0.2)}
    return {name: _iterated(*entry) for name, entry in losses.items()}


def _logistic(margins: Any) -> tuple[Any, Any]:
    """First and second derivative of ln(1 + exp(-m)) by the margin m."""
    away = 1 / (1 + np.exp(np.clip(margins, -30, 30)))
    return -away, away * (1 - away)


def _hinge(margins: Any) -> tuple[Any, Any]:
    """Those of max(0, 1 - m) squared: a support vector machine that can be solved by Newton's steps."""
    return np.where(margins < 1, -2 * (1 - margins), 0), np.where(margins < 1, 2.0, 0)


def _iterated(loss: Callable[[Any], tuple[Any, Any]], penalty: float, pull: float) -> Method:
    """Iteratively reweighted least squares in the dual, with an intercept, towards a multiple of the query."""

    def learn(query: Floats | None, liked: Floats, disliked: Floats, background: Floats) -> Learned:
        sample = background[:: -(-len(background) // feedback.SAMPLE)]
        around = sample - sample.mean(axis=0)
        scale = np.sqrt((around**2).sum(axis=1).mean())
        rows = (np.concatenate([liked, disliked, sample]) - sample.mean(axis=0)) / scale
        signs = np.concatenate([np.ones(len(liked)), -np.ones(len(disliked) + len(sample))])
        weights = np.concatenate(
            [np.ones(len(liked) + len(disliked)), np.full(len(sample), 10 / len(sample))]
        )
        strong = 0.0 if query is None else pull / (around @ query).std()
        given = np.zeros(len(rows)) if query is None else strong * scale * (rows @ query)
        kernel, dual, level = rows @ rows.T, np.zeros(len(rows)), 0.0
        for _ in range(12):
            values = given + kernel @ dual + level
            slopes, bends = loss(signs * values)
            bends = np.maximum(weights * bends, 1e-6 * weights)
            target = values - weights * signs * slopes / bends - given
            both = np.linalg.solve(
                kernel + np.diag(penalty / bends), np.stack([target, np.ones(len(rows))], axis=1)
            )
            level = both[:, 0].sum() / both[:, 1].sum()
            dual = both[:, 0] - level * both[:, 1]
        return feedback.Learned(strong, (dual @ rows / scale).astype(np.float32))

    return learn


def _print_times() -> None:
    print("\nmilliseconds to learn, half of the examples liked, 512 rows of background")
    rng = np.random.default_rng(3)
    for count in (10, 30, 100):
        told = []
        for dim in (512, 1280):
            rows = rng.normal(size=(1 + count + 512, dim)).astype(np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            half, end = 1 + count // 2, 1 + count
            times = []
            for _ in range(20):
                start = time.perf_counter()
                feedback.learn(rows[0], rows[1:half], rows[half:end], rows[end:])
                times.append(time.perf_counter() - start)
            told.append(f"{dim}-d {1000 * statistics.median(times):.1f}")
        print(f"  {count:>3} examples: {', '.join(told)}")


if __name__ == "__main__":
    main()
