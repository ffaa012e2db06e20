"""Terms written down as text that reads as the same terms again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from picfind.errors import UsageError
from picfind.search.language import parse
from picfind.search.query import Kind, Term
from picfind.search.signs import CONCEPT, CONTENT_MARK, NUMBER, TERM_AHEAD, is_explicit


def written(terms: Sequence[Term]) -> list[str]:
    """Tokens that `parse` reads as these terms again, as arguments of a command line.

    Words that would be read as a sign are put in quotes. Weights and pieces keep six decimals. Raises UsageError for a
    picture in memory that has no name.
    """
    tokens: list[str] = []
    for term in terms:
        text = _text_of(term)
        amount = f"{abs(term.weight):.6f}".rstrip("0").rstrip(".")
        if _is_part_of_a_number(text, tokens, term.weight):
            first, blank, rest = text.partition(" ")
            text = f"{_quoted(first)}{blank}{rest}"
        if tokens or term.weight < 0:
            tokens.append("-" if term.weight < 0 else "+")
        tokens.append(f"{'' if amount == '1' else amount + ':'}{text}{term.crop or ''}")
    return tokens


def _is_part_of_a_number(text: str, before: Sequence[str], weight: float) -> bool:
    """Whether words would be read together with the number of a weight, or with one before the minus."""
    words = text.split() or [""]
    if abs(weight) != 1 and not re.match(TERM_AHEAD, text):
        return True
    last = before[-1].rpartition(" ")[2] if before else ""
    return weight < 0 and all(re.fullmatch(NUMBER, word) for word in (last, words[0]))


def _text_of(term: Term) -> str:
    value = str(term.value)
    if term.kind is Kind.WORDS:
        return _quoted_where_needed(value, term.phrases)
    if term.kind is Kind.PATH:
        return value if is_explicit(value) else f"./{value}"
    if term.kind is Kind.CONTENT:
        return CONTENT_MARK + value
    if term.kind is Kind.CONCEPT:
        return f"@{value}" if CONCEPT.fullmatch(f"@{value}") else f"@{_quoted(value)}"
    if term.kind is Kind.PICTURE and not term.name:
        raise UsageError("A picture in memory cannot be written down as text. Save it and give its path.")
    return term.name if term.kind is Kind.PICTURE else value


def _quoted_where_needed(value: str, phrases: Sequence[str]) -> str:
    parts, at = [], 0
    for phrase in phrases:
        found = re.compile(rf"(?<!\S){re.escape(phrase)}(?!\S)").search(value, at)
        if found is not None:
            parts += [*map(_safe, value[at : found.start()].split()), _quoted(phrase)]
            at = found.end()
    return " ".join([*parts, *map(_safe, value[at:].split())])


def _safe(word: str) -> str:
    """A word, in quotes if it would be read as something else."""
    try:
        (term,) = parse(word, allow=frozenset({Kind.WORDS, Kind.PATH}))
    except ValueError:  # an error of ours, or no term at all
        return _quoted(word)
    return word if (term.value, term.weight, term.phrases) == (word, 1.0, ()) else _quoted(word)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
