"""picfind for programs: open a gallery, index sources into it, search it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from picfind import encoders, sources
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import UnknownModelError, UnknownSpaceError, UsageError
from picfind.images import Limits
from picfind.ingest.report import Report
from picfind.search import judging
from picfind.search.filters import parse_filters
from picfind.search.language import parse
from picfind.search.notices import NO_PICTURES
from picfind.search.query import EVERYTHING, PYTHON, Query, Term, Token
from picfind.search.searcher import Searcher
from picfind.settings import Settings, cores, load_settings
from picfind.storage import adoption, owed, spaces, upkeep
from picfind.storage.store import Store
from picfind.types import Results, Space

if TYPE_CHECKING:
    from picfind.concepts import Concepts
    from picfind.duplicates import Duplicates


def open(  # noqa: A001
    path: str | os.PathLike[str] | None = None,
    *,
    model: str | Sequence[str] | None = None,
    encoder: Encoder | Sequence[Encoder] | None = None,
    create: bool = True,
    settings: Settings | None = None,
) -> Gallery:
    """Open the gallery in a folder; without a path, the one that the settings name.

    A gallery that is not there is made, unless `create` is False. `model` is what to index and search with, or
    several: one for pictures and one for words, say; or give an `encoder` of your own, or several. Raises
    NoGalleryError, NewerGalleryError, DamagedGalleryError, UsageError, UnknownModelError, ModelFilesError.
    """
    settings = settings or load_settings()
    if model:
        settings = replace(settings, model=(model,) if isinstance(model, str) else tuple(model))
    folder = Path(path) if path is not None else settings.gallery
    if create and encoder is None:
        for name in settings.model:  # a model that is not here must not leave an empty gallery behind
            encoders.find(name, settings)
    return Gallery(Store.open(folder, create=create), settings, encoder=encoder)


def load_encoder(
    name: str = "builtin",
    *,
    role: Role = "document",
    language: str | None = None,
    settings: Settings | None = None,
) -> Encoder:
    """Load a model by its name.

    `encode_images` and `encode_texts` of what it gives return float32 (n, dim) of unit rows. Raises
    UnknownModelError, ModelFilesError.
    """
    return encoders.load(name, settings or load_settings(), role=role, language=language)


class Gallery:
    """A searched collection of pictures, in one folder. Close it, or use it in a `with` block."""

    def __init__(
        self, store: Store, settings: Settings, *, encoder: Encoder | Sequence[Encoder] | None = None
    ) -> None:
        self.store = store
        self.settings = settings
        self._own = [encoder] if isinstance(encoder, Encoder) else list(encoder or ())
        self._searchers: dict[tuple[Space, ...], Searcher] = {}
        self._known_cards: dict[str, EncoderCard] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog."""
        self.store.close()

    @property
    def folder(self) -> Path:
        """Where the gallery lies."""
        return self.store.folder

    @property
    def spaces(self) -> list[Space]:
        """The spaces that it has vectors of, those in use first."""
        return spaces.spaces(self.store.catalog)

    def index(
        self,
        source: str | os.PathLike[str],
        *,
        captions: str | os.PathLike[str] | None = None,
        forget: bool = False,
        regions: bool = False,
        ocr: bool = False,
    ) -> Report:
        """Add the pictures of a folder or a dataset, or bring them up to date; gives the last report.

        `source` is a path, or a text that names a kind of source: "coco:/data/coco#val". Only what is new or changed is read, only what was never seen is encoded. `captions` is a table of what is
        said of the pictures (CSV, JSON Lines, COCO captions JSON); what an earlier one said stays without it. Names of
        pictures that are no longer there are forgotten; `forget` agrees to a run that loses more than half of them.
        With `regions` pieces of each picture are encoded too, so that small things and crops are found; with `ocr` the
        text inside pictures is read too. What earlier runs have done of either stays, and is not done again.
        Raises MissingSourceError, WouldForgetError, GalleryBusyError, ReadOnlyGalleryError, GalleryWriteError,
        UnknownModelError, ModelFilesError, UsageError.
        """
        report = Report()
        running = self.indexing(source, captions=captions, forget=forget, regions=regions, ocr=ocr)
        for report in running:  # noqa: B007
            pass
        return report

    def indexing(
        self,
        source: str | os.PathLike[str],
        *,
        captions: str | os.PathLike[str] | None = None,
        forget: bool = False,
        regions: bool = False,
        ocr: bool = False,
    ) -> Generator[Report, None, None]:
        """Like `index`, but yields a report after each commit. Ceasing to iterate cancels; nothing committed is lost."""
        from picfind.captions import recognising  # a search, which must start at once, needs none of these
        from picfind.captions.table import CaptionTable
        from picfind.ingest.run import run

        dataset = sources.dataset_of(self.store.catalog, source, self.settings)
        table = None if captions is None else CaptionTable.read(Path(captions).expanduser())
        recogniser = recognising.load() if ocr else None
        self._known_cards.clear()
        loaded = self._own or [self._load(card) for card in self.cards()]
        yield from run(
            dataset,
            self.store,
            loaded,
            captions=table,
            workers=self.settings.workers or cores(),
            limits=self._limits,
            forget=forget,
            regions=regions,
            recogniser=recogniser,
        )
        self._replace_old_revisions([encoder.space for encoder in loaded])
        self._prepare_judging(loaded)

    def search(
        self,
        query: Token | Term | Sequence[Token | Term] = (),
        *,
        k: int = 10,
        against: str | Sequence[str] = EVERYTHING,
        where: str | Sequence[str] = (),
        judged: bool = True,
        min_score: float | None = None,
        weights: Mapping[str, float] | None = None,
        sort: str = "score",
        offset: int = 0,
        collapse: bool = False,
        diversity: float = 0.0,
        liked: Token | Term | Sequence[Token | Term] = (),
        disliked: Token | Term | Sequence[Token | Term] = (),
    ) -> Results:
        """The k pictures that answer best, after the first `offset`.

        `against` says what the query is matched against: `pictures`, the `words` that belong to them by their meaning,
        the `text` of these words, of names, and of what was read inside pictures; or several of them, as far as the
        gallery has them: their rankings are then fused into one, and `weights` says how much each counts: {"pictures": 2}.
        `where` is a filter, or several that must all fit: only pictures that fit are looked at.

        With `judged` each hit says how relevant it is, from 0 to 1; `min_score` is the least relevance that is wanted.
        `sort` is by `score`, `date` (newest first) or `path`: of the k best, or with `min_score` of all that are relevant.
        `collapse` folds near-identical pictures into one hit; `diversity`, from 0 to 1, spreads hits that are alike.
        `liked` and `disliked` are pictures to find more and less like.

        A query is text as `picfind.search.language` reads it (`"2:a dog + ./beach.jpg - people"`), a picture (a Path, the
        bytes of a file, a Pillow image), or a list of them: `["2:a dog", "+", Path("beach.jpg"), "-", "people"]`. A Term is
        taken as it is: `Term(Kind.WORDS, text)` searches for a text in which no sign means anything. Raises UsageError,
        UnknownSpaceError, PictureError, DownloadError.
        """
        return self.answer(
            Query(
                _terms(query, self.settings),
                k,
                against=(against,) if isinstance(against, str) else tuple(against),
                where=parse_filters((where,) if isinstance(where, str) else where),
                judged=judged,
                min_score=min_score,
                weights=weights or {},
                sort=sort,
                offset=offset,
                collapse=collapse,
                diversity=diversity,
                liked=_examples(liked, self.settings),
                disliked=_examples(disliked, self.settings),
            )
        )

    def answer(self, query: Query) -> Results:
        """Answer a query that has been parsed."""
        if not self.spaces:
            return Results((), 0, (NO_PICTURES,))
        searcher = self._searcher(self.cards(query.against))
        searcher.refresh()
        return searcher.search(query)

    @property
    def concepts(self) -> Concepts:
        """Its named concepts, or smart albums: queries and ticked pictures that are kept under a name."""
        from picfind.concepts import Concepts  # a search needs them only where its query names one

        return Concepts(self.store, self.answer, lambda given: _terms(given, self.settings), self.read)

    def read(self, place: str) -> bytes:
        """The bytes of a picture of the gallery by its place, one of `Hit.keys`: a file, a piece of an archive, or a URL,
        which is loaded.

        Raises MissingSourceError where it is not there now, PictureError, DownloadError, OSError.
        """
        return sources.read(self.store.catalog, place, self.settings)

    def duplicates(self, **options: Any) -> Duplicates:
        """Groups of pictures that are copies of one another; `options` are those of `duplicates.find_duplicates`."""
        from picfind.duplicates import find_duplicates

        workers = self.settings.workers or cores()
        return find_duplicates(self.store, limits=self._limits, workers=workers, **options)

    def forget(self, source: str | os.PathLike[str], *, purge: bool = False) -> int:
        """Forget a root, a folder below one, or a picture; gives how many names that were. No file is touched.

        `source` is a path, a URL, or the name of a dataset as `roots` lists it. `purge` also removes the vectors of
        everything that no longer has a name. Raises UsageError when the gallery knows nothing of the source.
        """
        gone = sources.forget(self.store, source, self.settings)
        if purge:
            upkeep.purge(self.store)
        return gone

    def purge(self) -> int:
        """Remove the vectors and facts of everything that no longer has a name; gives how many pictures that were."""
        return upkeep.purge(self.store)

    def compact(self) -> None:
        """Merge segments and give unused space back to the disk."""
        upkeep.compact(self.store)

    def adopt(self, other: str | os.PathLike[str]) -> None:
        """Take over all that another gallery knows, vectors included. Raises NoGalleryError, UsageError."""
        theirs = Store.open(Path(other))
        try:
            adoption.adopt(self.store, theirs)
        finally:
            theirs.close()

    def cards(self, against: Sequence[str] = EVERYTHING) -> list[EncoderCard]:
        """The models that this gallery is indexed and searched with.

        Those that were asked for; else those that it has in use, as far as they are matched `against`; else the best
        one that is here.
        """
        if self._own:
            return [encoder.card for encoder in self._own]
        if self.settings.model:
            return [self._found(name) for name in self.settings.model]
        used = spaces.searched(self.store.catalog)
        meant = [space for space in used if spaces.role_of(self.store.catalog, space) in against] or used
        return [self._card_in_use(space) for space in meant] or [encoders.default(self.settings)]

    def _found(self, name: str) -> EncoderCard:
        """A model's card, looked up once until the next indexing: that reads folders and other packages' plug-ins."""
        if name not in self._known_cards:
            self._known_cards[name] = encoders.find(name, self.settings)
        return self._known_cards[name]

    def _card_in_use(self, space: Space) -> EncoderCard:
        try:
            return self._found(space.name)
        except UnknownModelError as error:
            raise UnknownModelError(
                f"The gallery {self.folder} is searched with {space.name}, which is not here. {error} Install it again, "
                "or go on with another model: picfind index --model NAME, then picfind models use NAME."
            ) from error

    def use(self, model: str) -> Space:
        """Search with this model from now on, instead of the one in use for the same: pictures, or words.

        Raises UnknownSpaceError, which names the models that are there, and UsageError while it lacks vectors.
        """
        space = self._space(model)
        upkeep.use(self.store, space)
        return space

    def drop(self, model: str) -> Space:
        """Remove all vectors of a model. Raises UnknownSpaceError, and UsageError for one in use."""
        space = self._space(model)
        upkeep.drop(self.store, space)
        return space

    def _space(self, model: str) -> Space:
        """The space that a name means, or `name@revision` where there are several revisions."""
        found = [space for space in self.spaces if model in (space.name, str(space))]
        if not found:
            known = ", ".join(str(space) for space in self.spaces) or "none yet"
            raise UnknownSpaceError(f"The gallery {self.folder} has no vectors of {model}. It has: {known}.")
        if len(found) > 1:
            several = ", ".join(str(space) for space in found)
            raise UsageError(f"The gallery has several revisions of {model}. Say which: {several}.")
        return found[0]

    def _prepare_judging(self, encoders: Sequence[Encoder]) -> None:
        """Encode the sentences that relevance is judged by, so that the first search is as fast as the others."""
        for encoder in encoders:
            if (
                encoder.text
                and encoder.space in self.spaces
                and judging.lacks_background(self.store, encoder.space)
            ):
                judging.prepare(self.store, encoder if self._own else self._load(encoder.card, role="query"))

    def _replace_old_revisions(self, encoded: Sequence[Space]) -> None:
        """Switch from an old revision of a model to the one that has just been encoded, once that lacks nothing."""
        for used in spaces.searched(self.store.catalog):
            for space in encoded:
                if space.name == used.name and space != used and space in self.spaces:
                    kind = spaces.kind_of(self.store.catalog, space)
                    if not owed.count(self.store.catalog, space, kind):
                        upkeep.use(self.store, space)

    def _searcher(self, cards: Sequence[EncoderCard]) -> Searcher:
        wanted = tuple(card.space for card in cards)
        if wanted not in self._searchers:
            for card in cards:
                self._explain_old_revision(card)
            loaded = self._own or [self._load(card, role="query") for card in cards]
            self._searchers[wanted] = Searcher(
                self.store, loaded, index=self.settings.index, limits=self._limits, read=self.read
            )
        return self._searchers[wanted]

    def _load(self, card: EncoderCard, *, role: Role = "document") -> Encoder:
        return encoders.load(card, self.settings, role=role, language=self.settings.language)

    def _explain_old_revision(self, card: EncoderCard) -> None:
        known = self.spaces
        if card.space not in known and any(space.name == card.name for space in known):
            raise UnknownSpaceError(
                f"The gallery {self.folder} was made with another revision of {card.name}. Run `picfind index` on its "
                "roots to encode them again; it is searched with the new one once that is complete."
            )

    @property
    def _limits(self) -> Limits:
        return Limits(max_pixels=self.settings.max_pixels, max_bytes=self.settings.max_bytes)


def fetcher(settings: Settings) -> Callable[[str], bytes]:
    """What loads the picture of a URL in a query, as far as the settings allow."""

    def fetch(url: str) -> bytes:
        from picfind.fetch.web import MOST_BYTES, fetch_picture  # few queries have a URL

        most = min(settings.max_bytes, MOST_BYTES)
        return fetch_picture(url, max_bytes=most, allow_private=settings.private_addresses)

    return fetch


def _examples(given: Token | Term | Sequence[Token | Term], settings: Settings) -> tuple[Term, ...]:
    """Read one by one: there may be more of them than a query has room for."""
    one_only = isinstance(given, str | bytes) or not isinstance(given, Sequence)
    several = cast("Sequence[Token | Term]", [given] if one_only else given)
    return tuple(term for one in several for term in _terms(one, settings))


def _terms(query: Token | Term | Sequence[Token | Term], settings: Settings) -> tuple[Term, ...]:
    return parse(query, allow=PYTHON, fetch=fetcher(settings))
