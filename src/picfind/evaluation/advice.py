"""Which model to take: as good as the best at everything, as far as can be told; then one that reads words too, since a
gallery without captions asks none; then the one that costs least."""

from __future__ import annotations

from collections.abc import Sequence

from picfind.evaluation.results import Advice, Evaluation, Model, Result

FEW = 20
"""Fewer independent groups of queries than this say next to nothing."""
_LEVEL = 0.05
_SAME_SPEED = 1.25


def advise(evaluation: Evaluation) -> Advice:
    """The model to take on these pictures, with the reason in words."""
    telling = [result for result in evaluation.results if _groups(result) >= FEW]
    if not telling:
        most = max((_groups(result) for result in evaluation.results), default=0)
        return Advice(
            None,
            f"There is too little to judge by: {most} independent queries at most, and {FEW} are the least that says "
            "anything. Index more pictures, or captions with them.",
        )
    able = [model for model in evaluation.models if all(_takes_part(model, result) for result in telling)]
    if not able:
        return Advice(None, "No model can do all of it: one that encodes pictures and words is needed.")
    good = [model for model in able if not any(_is_worse(model, result, able) for result in telling)]
    if not good:
        best = max(able, key=lambda model: _mean(model, telling))
        return Advice(
            best.name, f"No model is best at everything; its mean is the highest {_figures(best, telling)}."
        )
    return _cheapest(good, able, telling)


def _cheapest(good: Sequence[Model], able: Sequence[Model], telling: Sequence[Result]) -> Advice:
    chosen = min(
        good,
        key=lambda model: (
            not _reads(model),
            _is_bound(model),
            _slowness(model, good),
            -_mean(model, telling),
        ),
    )
    lacks = "" if _reads(chosen) else " It encodes no words: to search by words, another one is needed."
    figures = f"{_figures(chosen, telling)}.{lacks}"
    if len(able) == 1:
        return Advice(
            chosen.name, f"No other was asked everything {figures} Name more with --model to compare."
        )
    if len(good) == 1:
        return Advice(chosen.name, f"It finds best, beyond chance {figures}")
    others = ", ".join(model.name for model in good if model is not chosen)
    return Advice(
        chosen.name,
        f"These queries cannot tell it from {others}; of these it is the one to take for {_why(chosen, good)} {figures}",
    )


def _why(chosen: Model, good: Sequence[Model]) -> str:
    if _reads(chosen) and not all(_reads(model) for model in good):
        return "the words that it reads too"
    if any(_is_bound(model) for model in good) and not _is_bound(chosen):
        return f"its licence ({chosen.card.licence})"
    if any(_slowness(model, good) > _slowness(chosen, good) for model in good):
        return f"its speed ({chosen.speed.picture_ms:.0f} ms a picture)"
    return "its figures, which are the highest by a little"


def _groups(result: Result) -> int:
    return len({query.group or query.id for query in result.trial.queries})


def _takes_part(model: Model, result: Result) -> bool:
    return any(entry.model == model.name for entry in result.entries)


def _value(model: Model, result: Result) -> float:
    return next(
        entry.figures[result.trial.measure].value for entry in result.entries if entry.model == model.name
    )


def _mean(model: Model, telling: Sequence[Result]) -> float:
    return sum(_value(model, result) for result in telling) / len(telling)


def _is_worse(model: Model, result: Result, able: Sequence[Model]) -> bool:
    """Whether it is worse, at a trial, than one that can do everything, beyond chance."""
    names = {one.name for one in able}
    return any(
        compared.other == model.name
        and compared.better in names
        and compared.difference.p is not None
        and compared.difference.p < _LEVEL
        for compared in result.compared
    )


def _reads(model: Model) -> bool:
    """Whether it encodes words."""
    return "text" in model.card.towers


def _is_bound(model: Model) -> bool:
    """Whether its licence forbids commercial use."""
    return "-NC" in model.card.licence.upper()


def _slowness(model: Model, good: Sequence[Model]) -> int:
    """0 for the fastest and those about as fast; 1 for others."""
    times = [one.speed.picture_ms for one in good if one.speed.picture_ms is not None]
    own = model.speed.picture_ms
    return int(own is not None and bool(times) and own > _SAME_SPEED * min(times))


def _figures(model: Model, telling: Sequence[Result]) -> str:
    told = ", ".join(
        f"{result.trial.name} {result.trial.measure} {_value(model, result):.3f}" for result in telling
    )
    size = f"{model.card.size_mb:,.0f} MB, {model.card.licence}"
    speed = "" if model.speed.picture_ms is None else f", {model.speed.picture_ms:.0f} ms a picture"
    return f"({told}; {size}{speed})"
