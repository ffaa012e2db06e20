"""picfind for programs: open a gallery, index sources into it, search it."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from picfind import encoders, keys
from picfind.datasets.folder import Folder
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import UnknownModelError, UnknownSpaceError, UsageError
from picfind.images import Limits
from picfind.ingest.report import Report
from picfind.search.filters import parse_filters
from picfind.search.query import EVERYTHING, PYTHON, Query, Term, Token, parse
from picfind.search.searcher import NO_PICTURES, Searcher
from picfind.settings import Settings, cores, load_settings
from picfind.storage import adoption, names, owed, roots, spaces, upkeep
from picfind.storage.store import Store
from picfind.types import Results, Space

if TYPE_CHECKING:
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
    ) -> Report:
        """Add a folder's pictures, or bring them up to date; gives the last report.

        Only what is new or changed is read, only what was never seen is encoded. `captions` is a table of what is
        said of the pictures (CSV, JSON Lines, COCO captions JSON); what an earlier one said stays without it. Names of
        pictures that are no longer there are forgotten; `forget` agrees to a run that loses more than half of them.
        Raises MissingSourceError, WouldForgetError, GalleryBusyError, ReadOnlyGalleryError, GalleryWriteError,
        UnknownModelError, ModelFilesError, UsageError.
        """
        report = Report()
        for report in self.indexing(source, captions=captions, forget=forget):  # noqa: B007
            pass
        return report

    def indexing(
        self,
        source: str | os.PathLike[str],
        *,
        captions: str | os.PathLike[str] | None = None,
        forget: bool = False,
    ) -> Generator[Report, None, None]:
        """Like `index`, but yields a report after each commit. Ceasing to iterate cancels; nothing committed is lost."""
        from picfind.captions.table import CaptionTable  # a search, which must start at once, needs neither
        from picfind.ingest.run import run

        dataset = self._dataset(source)
        table = None if captions is None else CaptionTable.read(Path(captions).expanduser())
        loaded = self._own or [self._load(card) for card in self.cards()]
        yield from run(
            dataset,
            self.store,
            loaded,
            captions=table,
            workers=self.settings.workers or cores(),
            limits=self._limits,
            forget=forget,
        )
        self._replace_old_revisions([encoder.space for encoder in loaded])

    def search(
        self,
        query: Token | Sequence[Token | Term],
        *,
        k: int = 10,
        against: str | Sequence[str] = EVERYTHING,
        where: str | Sequence[str] = (),
        judged: bool = False,
        min_score: float | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Results:
        """The k pictures that answer best.

        `against` says what the query is matched against: `pictures`, the `words` that belong to them, or both, where
        the gallery has both; two rankings are then fused into one. `where` is a filter, or several that must all fit:
        only pictures that fit are looked at. With `judged` each hit says how relevant it is, from 0 to 1; `min_score` is
        the least relevance that is wanted. `weights` says how much rankings count that are fused: {"pictures": 2}.

        A query is words (`"a dog on a beach"`), a picture (a path, the bytes of a file, a Pillow image), or a list
        of them with operators and weights: `["2:a dog", "+", Path("beach.jpg"), "-", "people"]`. A string that looks
        like a path to a picture is one. Raises UsageError, UnknownSpaceError, PictureError.
        """
        against = (against,) if isinstance(against, str) else tuple(against)
        filters = parse_filters((where,) if isinstance(where, str) else where)
        return self.answer(Query(_terms(query), k, against, filters, judged, min_score, weights or {}))

    def answer(self, query: Query) -> Results:
        """Answer a query that has been parsed."""
        if not self.spaces:
            return Results((), 0, (NO_PICTURES,))
        searcher = self._searcher(self.cards(query.against))
        searcher.refresh()
        return searcher.search(query)

    def duplicates(self, **options: Any) -> Duplicates:
        """Groups of pictures that are copies of one another; `options` are those of `duplicates.find_duplicates`."""
        from picfind.duplicates import find_duplicates

        workers = self.settings.workers or cores()
        return find_duplicates(self.store, limits=self._limits, workers=workers, **options)

    def forget(self, path: str | os.PathLike[str], *, purge: bool = False) -> int:
        """Forget a root, a folder below one, or a picture; gives how many names that were. No file is touched.

        `purge` also removes the vectors of everything that no longer has a name. Raises UsageError when the gallery
        knows nothing of the path.
        """
        location = roots.location_of(Path(path))
        root = roots.find_root(self.store.catalog, roots.FOLDER_KIND, location)
        if root is None:
            raise UsageError(
                f"The gallery knows nothing of {keys.shown(location)}. `picfind roots` lists what it knows."
            )
        prefix = (roots.prefix_of(root, root.kind, location) or "").rstrip("/")
        known = names.states(self.store.catalog, root.id)
        gone = [key for key in known if not prefix or _is_below(key, prefix)]
        if prefix and not gone:
            raise UsageError(f"The gallery knows no picture {keys.shown(location)}.")
        with self.store.writing() as writer, writer.transaction() as change:
            names.forget(change, root.id, gone)
            if not prefix:
                change.run("DELETE FROM roots WHERE id = ?", (root.id,))
        if purge:
            upkeep.purge(self.store)
        return sum(1 for key in gone if known[key].named)

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
            return [encoders.find(name, self.settings) for name in self.settings.model]
        used = spaces.searched(self.store.catalog)
        meant = [space for space in used if spaces.role_of(self.store.catalog, space) in against] or used
        return [self._card_in_use(space) for space in meant] or [encoders.default(self.settings)]

    def _card_in_use(self, space: Space) -> EncoderCard:
        try:
            return encoders.find(space.name, self.settings)
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

    def _replace_old_revisions(self, encoded: Sequence[Space]) -> None:
        """Switch from an old revision of a model to the one that has just been encoded, once that lacks nothing."""
        for used in spaces.searched(self.store.catalog):
            for space in encoded:
                if space.name == used.name and space != used and space in self.spaces:
                    kind = spaces.kind_of(self.store.catalog, space)
                    if not owed.count(self.store.catalog, space, kind):
                        upkeep.use(self.store, space)

    def _dataset(self, source: str | os.PathLike[str]) -> Folder:
        path = Path(source).expanduser()
        root = roots.find_root(self.store.catalog, roots.FOLDER_KIND, roots.location_of(path))
        return Folder(path, exclude=self.settings.exclude, root=root.path if root else None)

    def _searcher(self, cards: Sequence[EncoderCard]) -> Searcher:
        wanted = tuple(card.space for card in cards)
        if wanted not in self._searchers:
            for card in cards:
                self._explain_old_revision(card)
            loaded = self._own or [self._load(card, role="query") for card in cards]
            self._searchers[wanted] = Searcher(
                self.store, loaded, index=self.settings.index, limits=self._limits
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


def _terms(query: Token | Sequence[Token | Term]) -> tuple[Term, ...]:
    if isinstance(query, str | bytes | Path) or not isinstance(query, Sequence):
        return parse([query], allow=PYTHON)
    return parse(cast(Sequence[Token | Term], query), allow=PYTHON)


def _is_below(key: str, prefix: str) -> bool:
    key, prefix = keys.folded(key), keys.folded(prefix)
    return key == prefix or key.startswith(prefix + "/")
