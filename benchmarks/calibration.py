"""Does relevance tell a good hit from a bad one? `python -m benchmarks.calibration --data DIR [--keep DIR] [--fit]`.

DIR holds `flickr8k/`, `coco/`, `things/`, `caltech101_retrieval/` and `demo_open/`. Judged are, on dev splits:

- captions: half of the photos are taken out of the gallery; does the best hit's figure tell the captions whose photo is
  still there from the others? Other photos may fit as well: `bound` estimates how much of that there is;
- words: "a dog" in the gallery as it is, and in the gallery without the photos that a caption calls a dog;
- classes: the same with the classes of Caltech-101, asked by name and by picture;
- foreign: captions of one set asked in a set of other things.

Figures: the cosine; (a) its distance from the query's mean over the gallery, in deviations; (b) from the picture's mean over
the background; (c) the mean of both; (d) (b) less what the best of so many pictures has by chance. `--fit` fits the
curves instead, on photos that the model has not learned from: those of the dev splits for `builtin`, as each half of them
gives it too, and of the train splits for the others. `--keep` keeps the vectors between runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.builtin_quality import encode_texts
from benchmarks.judged import Bench, Captions, Case, Set, every_second_class, half, subjects
from benchmarks.machine import describe
from picfind.search import calibration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from picfind.types import Floats

    Tops = dict[str, tuple[Floats, Floats]]
    """By figure: the best values of queries whose picture is there, and of those whose picture is not."""

FIGURES = ("cosine", "a gallery", "b background", "c both", "d b, size")
_CHANCE = 1.5
"""Fall of ln(share of unrelated pictures above a strength) a unit of strength, as `--fit` prints it."""


def figures(scores: Floats, background: Floats) -> dict[str, Floats]:
    """Every figure of the pairs (q, n)."""
    a = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
    b = (scores - background.mean(0)) / background.std(0)
    size = b - np.float32(np.log(scores.shape[1]) / _CHANCE)
    return dict(zip(FIGURES, (scores, a, b, (a + b) / 2, size), strict=True))


def tops(case: Case) -> Tops:
    """By figure: the best one of each query in the whole gallery, and in the gallery without all that may fit."""
    there = figures(case.scores, case.background)
    gone: dict[str, list[float]] = {name: [] for name in FIGURES}
    for row, fits in zip(case.scores, case.fits, strict=True):
        left = fits == 0
        for name, values in figures(row[None, left], case.background[:, left]).items():
            gone[name].append(float(values.max()))
    return {name: (there[name].max(1), np.array(gone[name], np.float32)) for name in FIGURES}


def half_tops(asked: Captions) -> Tops:
    """The same of captions in a gallery of half the photos: of those whose photo is there, and of the others."""
    kept = np.less(np.random.default_rng(0).random(asked.scores.shape[1]), 0.5)
    there = kept[asked.owner]
    values = figures(asked.scores[:, kept], asked.background[:, kept])
    best = {name: value.max(1) for name, value in values.items()}
    return {name: (values[there], values[~there]) for name, values in best.items()}


def auc(high: Floats, low: Floats) -> float:
    """The share of pairs in which the first is higher, equal ones counting half: [2, 3] and [1, 2] have .875."""
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, side="left") + np.searchsorted(ordered, high, side="right")
    return float(below.mean() / (2 * len(low)))


def interval(high: Floats, low: Floats, *, draws: int = 500) -> tuple[float, float]:
    """The middle 95 per cent of the area over bootstrap samples of both."""
    rng = np.random.default_rng(0)
    found = [auc(rng.choice(high, len(high)), rng.choice(low, len(low))) for _ in range(draws)]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def fit(strengths: Floats, right: NDArray[np.bool_]) -> calibration.Curve:
    """The logistic curve of greatest likelihood, by Newton's method."""
    design = np.stack([np.ones(len(strengths)), strengths.astype(np.float64)], axis=1)
    weights = np.zeros(2)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-design @ weights))
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        weights += np.linalg.solve(curvature, design.T @ (right - chance))
    return calibration.Curve(middle=float(-weights[0] / weights[1]), slope=float(weights[1]))


def hits(case: Case, *, first: int = 30) -> tuple[Floats, NDArray[np.bool_]]:
    """Strengths and judgements of the first hits of every query, in the gallery as it is and without what fits."""
    strength, right = [], []
    for row, fits, column in zip(
        case.scores, case.fits, figures(case.scores, case.background)["b background"], strict=True
    ):
        for left in (fits >= 0, fits == 0):
            places = np.flatnonzero(left)[np.argsort(-row[left], kind="stable")[:first]]
            strength.append(column[places])
            right.append(fits[places] == 1)
    return np.concatenate(strength), np.concatenate(right)


def fitted(bench: Bench) -> None:
    """Print the curves of `calibration`: the models on subjects, each alone and together, pictures on every second class."""
    train = [bench.read("Flickr8k train", "flickr8k", "train"), bench.read("COCO train", "coco", "train")]
    dev = [bench.read("Flickr8k", "flickr8k", "dev"), bench.read("COCO", "coco", "dev")]
    cases = [*asked_of(bench, dev, "builtin")]
    report_fit("builtin", cases)
    for odd in (False, True):
        report_fit(
            f"builtin, {'odd' if odd else 'even'} half",
            asked_of(bench, [half(one, odd=odd) for one in dev], "builtin"),
        )
    report_fit("builtin, photos learned from", asked_of(bench, train, "builtin"))
    for model in ("builtin-open", "minilm"):
        alone = asked_of(bench, train, model)
        report_fit(model, alone)
        cases += alone
    report_fit("words, any model", cases)
    for case in bench.asked_classes(bench.read("Caltech", "caltech101_retrieval", table="labels.jsonl")):
        if case.name.startswith("pictures"):
            report_fit(case.name, [every_second_class(case, odd=False)])


def asked_of(bench: Bench, sets: Sequence[Set], model: str) -> list[Case]:
    """The subjects asked of some sets with one model."""
    return [case for one in sets for case in bench.asked_words(one) if model_of(case.name) == model]


def report_fit(name: str, cases: Sequence[Case]) -> None:
    """Print the curve of some cases, and ln of the share of unrelated pairs above some strengths."""
    judged = [hits(case) for case in cases]
    curve = fit(np.concatenate([one for one, _ in judged]), np.concatenate([right for _, right in judged]))
    unrelated = [figures(case.scores, case.background)["b background"][case.fits == 0] for case in cases]
    tail = [float(np.mean([np.mean(one >= at) for one in unrelated])) for at in (3.0, 4.0, 5.0, 6.0)]
    print(
        f"{name:28s} middle {curve.middle:.2f} slope {curve.slope:.2f}; unrelated above 3, 4, 5, 6: "
        + ", ".join(f"{share:.5f}" for share in tail)
    )


def report_tops(name: str, best: Tops) -> None:
    """One line: the area for each figure, and how often the best hit's relevance is .5 or more, there and removed."""
    areas = [
        f"{auc(*best[figure]):.3f} [{low:.3f} {high:.3f}]"
        for figure in FIGURES
        for low, high in [interval(*best[figure])]
    ]
    curve = curve_of(name)
    shares = [float((curve(values) >= 0.5).mean()) for values in best["b background"]]
    print(f"{name:32s} " + "  ".join(areas) + f"  .5: {shares[0]:.2f} there, {shares[1]:.2f} removed")


def report_cut(case: Case) -> None:
    """What is kept at three limits: expected and real precision, and recall."""
    curve = curve_of(case.name)
    strength = figures(case.scores, case.background)["b background"]
    told = []
    for limit in (0.3, 0.5, 0.7):
        kept = (curve(strength) >= limit) & (case.fits >= 0)
        right, wrong = int((kept & (case.fits == 1)).sum()), int((kept & (case.fits == 0)).sum())
        expected = float(curve(strength)[kept].mean()) if kept.any() else float("nan")
        recall = right / int((case.fits == 1).sum())
        told.append(
            f"{limit}: expected {expected:.2f} real {right / max(right + wrong, 1):.2f} recall {recall:.2f}"
        )
    print(f"{case.name:32s} {len(case.scores)} queries; " + "; ".join(told))


def bound(one: Set) -> float:
    """The share of captions that another photo fits as well, judged by its captions.

    Fitting means a cosine of `minilm` that the photo's own other captions reach in half the cases. The area under the
    curve for removed photos can then be about 1 less half this share at most, however good the model.
    """
    alike = one.sentences @ one.sentences.T
    np.fill_diagonal(alike, -1)
    owners = one.owner[:, None] == one.owner[None]
    own = np.where(owners, alike, -1).max(1)
    return float((np.where(owners, -1, alike).max(1) >= np.median(own)).mean())


def measured(bench: Bench) -> None:
    """Print everything on the dev splits."""
    sets = [bench.read("Flickr8k", "flickr8k", "dev"), bench.read("COCO", "coco", "dev")]
    print("best hit, area under the curve with its middle 95 %: " + ", ".join(FIGURES))
    for one in sets:
        share = bound(one)
        print(
            f"another photo fits {share:.2f} of the captions of {one.name}: at most about {1 - share / 2:.2f}"
        )
    best = {asked.name: half_tops(asked) for one in sets for asked in bench.asked_captions(one)}
    cases = [case for one in sets for case in bench.asked_words(one)]
    cases += [
        every_second_class(case, odd=True) if case.name.startswith("pictures") else case
        for case in bench.asked_classes(bench.read("Caltech", "caltech101_retrieval", table="labels.jsonl"))
    ]
    best |= {case.name: tops(case) for case in cases}
    for name, values in best.items():
        report_tops(name, values)
    report_pooled(best)
    print("cut, in the galleries as they are, of hits whose judgement is clear")
    for case in cases:
        report_cut(case)
    report_foreign(bench, sets)
    report_sizes(bench)


def report_pooled(best: dict[str, Tops]) -> None:
    """One limit for all rows above, which weigh the same: the area, and the share of removed that pass where a fifth of all do."""
    print("one limit for all rows: area; false alarms row by row at a limit with .20 in all")
    rng = np.random.default_rng(0)
    for figure in FIGURES:
        there, gone = ([rng.choice(one[figure][at], 1000) for one in best.values()] for at in (0, 1))
        limit = np.quantile(np.concatenate(gone), 0.8)
        alarms = " ".join(f"{float((values >= limit).mean()):.2f}" for values in gone)
        print(f"  {figure:14s} {auc(np.concatenate(there), np.concatenate(gone)):.3f}; {alarms}")


def report_sizes(bench: Bench) -> None:
    """The cut at .5 in galleries of growing size: subjects against captions, with `minilm`."""
    sentences, rows = bench.first_captions()
    names, fits = subjects(rows)
    asked, rng = encode_texts(bench.words, names), np.random.default_rng(0)
    judge = calibration.Calibration("minilm", bench.to_words, bench.to_words[:0])
    print("sizes: relevance of .5 or more; by chance; found, removed; share of removed with any; precision")
    for size in (100, 1000, 10_000):
        found, removed = list[int](), list[int]()
        precision: list[NDArray[np.int8]] = []
        for query, fit_row in zip(asked, fits, strict=True):
            for left in (np.arange(len(rows)), np.flatnonzero(fit_row == 0)):
                chosen = rng.choice(left, size, replace=False)
                texts = sentences[chosen]
                kept = judge.relevance(texts @ query, texts, terms=[(True, 1.0)]) >= 0.5
                (found if len(left) == len(rows) else removed).append(int(kept.sum()))
                if len(left) == len(rows):
                    precision.append(fit_row[chosen][kept])
        clear = np.concatenate(precision)
        chance = judge.by_chance(0.5, searched=size, terms=[(True, 1.0)])
        print(
            f"  {size:6d}: {chance:.1f}; {np.mean(found):.1f}, {np.mean(removed):.1f}; "
            f"{np.mean(np.array(removed) > 0):.2f}; {np.mean(clear[clear >= 0]):.2f}"
        )


def curve_of(name: str) -> calibration.Curve:
    """The curve of a case's model, for pictures where it asks with these."""
    return calibration.curve_for(model_of(name), words=not name.startswith("pictures"))


def model_of(name: str) -> str:
    """The model of a case, out of its name: "words, builtin, COCO" has `builtin`."""
    return name.split(", ")[1]


def report_foreign(bench: Bench, sets: Sequence[Set]) -> None:
    """Captions of one set in galleries of another: how often the best hit reaches a cosine, and a relevance."""
    sets = [
        *sets,
        bench.read("things", "things", "dev"),
        bench.read("demo_open", "demo_open", table="manifest.jsonl"),
    ]
    curve = calibration.curve_for("builtin", words=True)
    print("foreign captions: share whose best hit has a cosine of .25 or more, a relevance of .5 or more")
    for asks, gallery in [(0, 2), (1, 2), (2, 0), (2, 1), (2, 3)]:
        scores = sets[asks].captions @ sets[gallery].pictures.T
        strength = figures(scores, bench.to_pictures @ sets[gallery].pictures.T)["b background"]
        cosine, relevance = (scores.max(1) >= 0.25).mean(), (curve(strength).max(1) >= 0.5).mean()
        print(f"  {sets[asks].name} in {sets[gallery].name}: {cosine:.3f}, {relevance:.3f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what relevance means.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets of photos")
    parser.add_argument("--keep", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--fit", action="store_true", help="fit the curves on train splits")
    given = parser.parse_args(arguments)
    print(describe("onnxruntime"))
    bench = Bench(given.data, given.keep)
    (fitted if given.fit else measured)(bench)


if __name__ == "__main__":
    main()
