"""What came of an evaluation, for people's reports and, as plain values, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from picfind.encoders.base import EncoderCard
from picfind.evaluation.scoring import Scored, Told
from picfind.evaluation.speed import Speed
from picfind.evaluation.statistics import Difference, Figure
from picfind.evaluation.trials import Trial
from picfind.types import Item


@dataclass(frozen=True, slots=True)
class Entry:
    """One model at one trial: each measure with its interval, and what they were made of."""

    model: str
    figures: Mapping[str, Figure]
    scored: Scored


@dataclass(frozen=True, slots=True)
class Compared:
    """Two models by a trial's measure, the better one first."""

    better: str
    other: str
    measure: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class Result:
    """A trial with what the models that could take part came to, in the order in which they were named."""

    trial: Trial
    entries: tuple[Entry, ...]
    compared: tuple[Compared, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """A model that took part, with what it costs."""

    card: EncoderCard
    speed: Speed

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.card.name


@dataclass(frozen=True, slots=True)
class Advice:
    """Which model to take, and why; no model where there is too little to judge by."""

    model: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All of it. `items` are the pictures by key, so that a report can show them."""

    name: str
    pictures: int
    models: tuple[Model, ...]
    results: tuple[Result, ...]
    warnings: tuple[str, ...] = ()
    seed: int = 0
    advice: Advice | None = None
    same_words: bool = False
    """Whether every picture with the same words counted as right."""
    items: Mapping[str, Item] = field(default_factory=dict, repr=False)


def plain(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as what JSON can hold: figures, costs, comparisons, the worst queries; not the single values."""
    return {
        "dataset": evaluation.name,
        "pictures": evaluation.pictures,
        "seed": evaluation.seed,
        "same_words": evaluation.same_words,
        "models": [_model(model) for model in evaluation.models],
        "trials": [_result(result) for result in evaluation.results],
        "advice": asdict(evaluation.advice) if evaluation.advice else None,
        "warnings": list(evaluation.warnings),
    }


def _model(model: Model) -> dict[str, Any]:
    card = model.card
    told = {"name": card.name, "revision": card.revision, "dim": card.dim, "licence": card.licence}
    return {**told, "size_mb": card.size_mb, "speed": asdict(model.speed)}


def _result(result: Result) -> dict[str, Any]:
    trial = result.trial
    return {
        "name": trial.name,
        "task": trial.task,
        "measure": trial.measure,
        "queries": len(trial.queries),
        "candidates": trial.candidates,
        "galleries": len(trial.fields),
        "left_out": trial.left_out,
        "models": [_entry(entry, trial) for entry in result.entries],
        "compared": [asdict(compared) for compared in result.compared],
    }


def _entry(entry: Entry, trial: Trial) -> dict[str, Any]:
    scored = entry.scored
    return {
        "model": entry.model,
        "figures": {name: asdict(figure) for name, figure in entry.figures.items()},
        "true_cosine": scored.true_mean,
        "false_cosine": scored.false_mean,
        "curve": asdict(scored.curve),
        "worst": _all_told(scored.worst, trial),
    }


def _all_told(queries: Sequence[Told], trial: Trial) -> list[dict[str, Any]]:
    return [
        {
            "id": told.query.id,
            "text": told.query.text,
            "picture": told.query.picture,
            "rank": told.rank,
            "answer": told.answer,
            "answer_text": trial.texts.get(told.answer),
            "score": told.score,
            "first": [
                {"name": name, "text": trial.texts.get(name), "score": score, "right": right}
                for name, score, right in told.first
            ],
        }
        for told in queries
    ]
