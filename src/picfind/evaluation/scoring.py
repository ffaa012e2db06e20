"""One model at one trial: the ranking of each query, and what it comes to.

Scores are inner products of half-precision pictures, in blocks of queries, so that 25,000 captions of 5,000 pictures take
little memory. They are rounded to a millionth: equal vectors can differ in the last digit of a product, and are tied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picfind.datasets.base import IMAGE_TO_TEXT, TEXT_TO_IMAGE, Judged
from picfind.evaluation import metrics
from picfind.evaluation.metrics import Ranking, Values
from picfind.evaluation.trials import Field, Trial
from picfind.evaluation.vectors import Vectors
from picfind.types import Floats, Ids

MEASURES = ("hit_at(1)", "hit_at(5)", "hit_at(10)", "recall_at(10)", "mAP", "MRR", "nDCG(10)")
"""Means over queries, in the order of the columns of `Scored.values`."""
FIRST_RANK = "median rank"
"""Of the first right answer, from 1."""
_DIGITS = 6
_HELD_SCORES = 1 << 23
"""Scores held at once: 32 MB in single precision."""
_SAMPLED = 32
"""Scores of each query that are kept of its true pairs, and of its false ones."""
_FIRST = 5
"""Of what came first, so many are told."""
_MOST_K = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """How one query went: where its first right answer stood, and what came first, as (name, score, is it right)."""

    query: Judged
    rank: float
    answer: str
    score: float
    """Of the best right answer, which is `answer`."""
    first: tuple[tuple[str, float, bool], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """`hit_at` and `recall_at` over k."""

    k: tuple[int, ...]
    hit: tuple[float, ...]
    recall: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of one model at one trial."""

    values: Values
    """(n_queries, n_measures): the measures of each query."""
    first: Values
    """(n_queries,): the rank of its first right answer."""
    true_mean: float
    """The mean score of a query with its right answers, over all such pairs: a cosine."""
    false_mean: float
    true: Values
    """(n,): the scores of some true pairs, and of some false ones."""
    false: Values
    curve: Curve
    worst: tuple[Told, ...]
    examples: tuple[Told, ...]


@dataclass(slots=True)
class _Sums:
    """Sums over pairs of queries and candidates, as they are gathered."""

    true_sum: float = 0.0
    true_count: int = 0
    false_sum: float = 0.0
    false_count: int = 0


def score(
    trial: Trial, pictures: Vectors, texts: Vectors, *, worst: int = 10, examples: int = 5, seed: int = 0
) -> Scored:
    """Ask all queries of a trial. `worst` and `examples` are how many of them are told in detail.

    Raises UsageError where a model's vectors are no numbers.
    """
    generator = np.random.default_rng((seed, 2))
    ranked: list[Ranking] = []
    true, false, sums = [np.empty(0)], [np.empty(0)], _Sums()
    for field in trial.fields:
        for block in _blocks(trial, field, pictures, texts):
            ranked += metrics.rankings(block.scores, block.right, block.ignored)
            some_true, some_false = _sampled(block, sums, generator)
            true.append(some_true)
            false.append(some_false)
    first = np.array([metrics.first_rank(ranking) for ranking in ranked])
    chosen = _chosen(first, worst, examples, generator)
    told = list(_told(trial, pictures, texts, [at for some in chosen for at in some], first))
    return Scored(
        np.array([_measures(ranking) for ranking in ranked]),
        first,
        sums.true_sum / max(1, sums.true_count),
        sums.false_sum / max(1, sums.false_count),
        np.concatenate(true),
        np.concatenate(false),
        _curve(ranked),
        tuple(told[: len(chosen[0])]),
        tuple(told[len(chosen[0]) :]),
    )


def _measures(ranking: Ranking) -> list[float]:
    hits = [metrics.hit_at(ranking, k) for k in (1, 5, 10)]
    return [
        *hits,
        metrics.recall_at(ranking, 10),
        metrics.average_precision(ranking),
        metrics.reciprocal_rank(ranking),
        metrics.ndcg_at(ranking, 10),
    ]


def _curve(ranked: Sequence[Ranking]) -> Curve:
    """At some twenty k, evenly spread by their ratios."""
    most = min(_MOST_K, max(ranking.candidates for ranking in ranked))
    some = sorted({round(k) for k in np.geomspace(1, most, 20)} | {k for k in (5, 10) if k <= most})
    plain = np.array([ranking.above[0] for ranking in ranked if ranking.equal[0] == 1])
    tied = [ranking for ranking in ranked if ranking.equal[0] > 1]
    above, equal = (np.concatenate([getattr(one, side) for one in ranked]) for side in ("above", "equal"))
    weight = np.concatenate([np.full(len(one.above), 1 / len(one.above)) for one in ranked])
    hit = [int((plain < k).sum()) + sum(metrics.hit_at(ranking, k) for ranking in tied) for k in some]
    recall = [float((np.clip((k - above) / equal, 0.0, 1.0) * weight).sum()) for k in some]
    count = len(ranked)
    return Curve(tuple(some), tuple(one / count for one in hit), tuple(one / count for one in recall))


@dataclass(frozen=True, slots=True)
class _Block:
    """Some queries of a field: scores (q, n), and the columns of right and ignored candidates."""

    scores: Floats
    right: list[Ids]
    ignored: list[Ids]


def _blocks(trial: Trial, field: Field, pictures: Vectors, texts: Vectors) -> Iterator[_Block]:
    columns = {name: at for at, name in enumerate(field.candidates)}
    ignored = {names: _columns(names, columns) for names in {query.ignored for query in field.queries}}
    asking, ranked = _sides(trial, field, pictures, texts)
    step = max(1, _HELD_SCORES // len(field.candidates))
    for start in range(0, len(field.queries), step):
        some = field.queries[start : start + step]
        scores = _scores(asking[start : start + step], ranked)
        right = [_columns(query.right, columns) for query in some]
        yield _Block(scores, right, [ignored[query.ignored] for query in some])


def _sides(trial: Trial, field: Field, pictures: Vectors, texts: Vectors) -> tuple[Floats, Floats]:
    """The vectors of the queries (q, dim), and of what is ranked for them (n, dim)."""
    if trial.task == TEXT_TO_IMAGE:
        asking = texts.of(query.id for query in field.queries)
    else:
        asking = pictures.of(query.picture or "" for query in field.queries)
    return asking, (texts if trial.task == IMAGE_TO_TEXT else pictures).of(field.candidates)


def _scores(asking: Floats, ranked: Floats) -> Floats:
    found: Floats = np.round(asking @ ranked.T, _DIGITS)
    return found


def _columns(names: Iterable[str], columns: dict[str, int]) -> Ids:
    return np.array(sorted(columns[name] for name in names if name in columns), np.int64)


def _sampled(block: _Block, sums: _Sums, generator: np.random.Generator) -> tuple[Values, Values]:
    """Add to the sums, and give a sample of the scores of true and of false pairs."""
    true, false = [np.empty(0)], [np.empty(0)]
    for row, right, ignored in zip(block.scores, block.right, block.ignored, strict=True):
        own = row[right].astype(np.float64)
        total = float(row.sum(dtype=np.float64)) - float(row[ignored].sum(dtype=np.float64))
        sums.true_sum += float(own.sum())
        sums.true_count += len(own)
        sums.false_sum += total - float(own.sum())
        sums.false_count += len(row) - len(right) - len(ignored)
        true.append(own[:_SAMPLED])
        drawn = np.setdiff1d(generator.integers(0, len(row), _SAMPLED), np.concatenate([right, ignored]))
        false.append(row[drawn].astype(np.float64))
    return np.concatenate(true), np.concatenate(false)


def _chosen(
    first: Values, worst: int, examples: int, generator: np.random.Generator
) -> tuple[list[int], list[int]]:
    """The queries that are told: the worst, and others by chance."""
    bad = np.argsort(-first, kind="stable")[:worst].tolist()
    others = np.setdiff1d(np.arange(len(first)), bad)
    return bad, sorted(generator.choice(others, min(examples, len(others)), replace=False).tolist())


def _told(
    trial: Trial, pictures: Vectors, texts: Vectors, chosen: Sequence[int], first: Values
) -> Iterator[Told]:
    where = [(field, query) for field in trial.fields for query in field.queries]
    for at in chosen:
        field, query = where[at]
        alone = Field((query,), field.candidates)
        block = next(_blocks(trial, alone, pictures, texts))
        yield _tell(alone, block, float(first[at]))


def _tell(field: Field, block: _Block, rank: float) -> Told:
    row, right = block.scores[0].astype(np.float64), block.right[0]
    row[block.ignored[0]] = -np.inf
    best = int(right[np.argmax(row[right])])
    order = [place for place in np.argsort(-row, kind="stable")[:_FIRST].tolist() if row[place] > -np.inf]
    came = tuple(
        (field.candidates[place], float(row[place]), bool((right == place).any())) for place in order
    )
    return Told(field.queries[0], rank, field.candidates[best], float(row[best]), came)
