"""What an answer has to say beside its hits: what could not be searched, and what may be chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from picfind.search.asking import Asked
from picfind.search.matcher import Matcher
from picfind.search.query import Query
from picfind.storage import names
from picfind.storage.catalog import Catalog

NO_PICTURES = "The gallery has no pictures yet: run `picfind index FOLDER`."


def unsearched(
    catalog: Catalog, deaf: Sequence[Matcher], able: Sequence[Matcher], searched: int
) -> Iterator[str]:
    """What was not searched: by spaces that cannot answer where full text alone did (`deaf`), by those that can.

    `searched` is how many pictures were looked through.
    """
    if not searched and not names.count_contents(catalog):
        yield NO_PICTURES
        return
    if deaf and not able:
        yield f"{listed(deaf)} cannot search with words: only the text that belongs to pictures was looked at."
    for matcher in able:
        if matcher.snapshot.missing:
            what = "Texts" if matcher.against == "words" else "Pictures"
            yield (
                f"{what} of the gallery that have no vector of {matcher.encoder.card.name} yet, and were not "
                f"searched: {matcher.snapshot.missing:,}. Run `picfind index` on their folders."
            )
    if not searched and not any(matcher.snapshot.missing for matcher in able):
        yield "Nothing is said of any picture of the gallery: there are no words to match against."


def nothing_said(query: Query, count: int) -> Iterator[str]:
    """Where full text alone was asked and no picture has the words."""
    if not count and query.against == ("text",) and query.where is None and query.min_score is None:
        yield "No picture has these words in its captions, tags or path, or inside."


def by_chance(asked: Sequence[tuple[Matcher, Asked]], query: Query, count: int) -> Iterator[str]:
    """Where only relevant pictures are wanted and `count` are: whether there are any, and whether chance has as many."""
    if query.min_score is None:
        return
    if not count:
        yield f"No picture is relevant enough: none has {query.min_score:g} or more."
        return
    chance = max((matcher.by_chance(query.min_score, vectors) for matcher, vectors in asked), default=0.0)
    if count < query.k and count <= chance:
        yield (
            f"By chance alone, about {math.ceil(chance):,} of so many pictures are as relevant as {query.min_score:g}: "
            "perhaps nothing fits."
        )


def no_space(against: Sequence[str]) -> str:
    """What to do where nothing in the gallery can be matched against."""
    if "pictures" in against:
        return "The gallery has no vectors of pictures: run `picfind index --model builtin` on its folders."
    if "words" in against:
        return (
            "The gallery has no vectors of words: run `picfind index --model minilm` on its folders, or match against "
            "pictures."
        )
    return "Full text is matched with words alone: ask with words, or match against pictures."


def listed(matchers: Sequence[Matcher]) -> str:
    """The models of some spaces, as the subject of a sentence."""
    known = [matcher.encoder.card.name for matcher in matchers]
    return f"The model {known[0]}" if len(known) == 1 else f"The models {' and '.join(known)}"
