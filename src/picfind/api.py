"""picfind for programs: open a gallery, index sources into it, search it."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from picfind import encoders, keys
from picfind.datasets.folder import Folder
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import UnknownSpaceError, UsageError
from picfind.images import Limits
from picfind.ingest.run import Report, run
from picfind.search.query import PYTHON, Query, Term, Token, parse
from picfind.search.searcher import NO_PICTURES, Searcher
from picfind.settings import Settings, cores, load_settings
from picfind.storage import adoption, names, parts, roots, upkeep
from picfind.storage.store import Store
from picfind.types import Results, Space


def open(  # noqa: A001
    path: str | os.PathLike[str] | None = None,
    *,
    model: str | None = None,
    encoder: Encoder | None = None,
    create: bool = True,
    settings: Settings | None = None,
) -> Gallery:
    """Open the gallery in a folder; without a path, the one that the settings name.

    A gallery that is not there is made, unless `create` is False. `model` is what to index and search with;
    or give an `encoder` of your own. Raises
    NoGalleryError, NewerGalleryError, DamagedGalleryError, UsageError.
    """
    settings = settings or load_settings()
    settings = replace(settings, model=model or settings.model)
    folder = Path(path) if path is not None else settings.gallery
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

    def __init__(self, store: Store, settings: Settings, *, encoder: Encoder | None = None) -> None:
        self.store = store
        self.settings = settings
        self._encoder = encoder
        self._searchers: dict[Space, Searcher] = {}

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
        """The spaces that it has vectors of."""
        return parts.spaces(self.store.catalog)

    def index(self, source: str | os.PathLike[str], *, forget: bool = False) -> Report:
        """Add a folder's pictures, or bring them up to date; gives the last report.

        Only what is new or changed is read, only what was never seen is encoded. Names of pictures that are no longer
        there are forgotten; `forget` agrees to a run that loses more than half of them. Raises MissingSourceError,
        WouldForgetError, GalleryBusyError, ReadOnlyGalleryError, GalleryWriteError, UnknownModelError.
        """
        report = Report()
        for report in self.indexing(source, forget=forget):  # noqa: B007
            pass
        return report

    def indexing(
        self, source: str | os.PathLike[str], *, forget: bool = False
    ) -> Generator[Report, None, None]:
        """Like `index`, but yields a report after each commit. Ceasing to iterate cancels; nothing committed is lost."""
        dataset = self._dataset(source)
        yield from run(
            dataset,
            self.store,
            self._encoder or encoders.load(self.card(), self.settings),
            workers=self.settings.workers or cores(),
            limits=self._limits,
            forget=forget,
        )

    def search(self, query: Token | Sequence[Token | Term], *, k: int = 10) -> Results:
        """The k pictures that answer best.

        A query is words (`"a dog on a beach"`), a picture (a path, the bytes of a file, a Pillow image), or a list
        of them with operators and weights: `["2:a dog", "+", Path("beach.jpg"), "-", "people"]`. A string that looks
        like a path to a picture is one. Raises UsageError, UnknownSpaceError, PictureError.
        """
        return self.answer(Query(_terms(query), k=k))

    def answer(self, query: Query) -> Results:
        """Answer a query that has been parsed."""
        if not self.spaces:
            return Results((), 0, (NO_PICTURES,))
        searcher = self._searcher(self.card())
        searcher.refresh()
        return searcher.search(query)

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

    def card(self) -> EncoderCard:
        """The model that this gallery is indexed and searched with.

        The one that was asked for; else the one that it already has vectors of; else the built-in one.
        """
        if self._encoder is not None:
            return self._encoder.card
        if self.settings.model is not None:
            return encoders.find(self.settings.model, self.settings)
        known = self.spaces
        return encoders.find(known[0].name if known else DEFAULT_MODEL, self.settings)

    def _dataset(self, source: str | os.PathLike[str]) -> Folder:
        path = Path(source).expanduser()
        root = roots.find_root(self.store.catalog, roots.FOLDER_KIND, roots.location_of(path))
        return Folder(path, exclude=self.settings.exclude, root=root.path if root else None)

    def _searcher(self, card: EncoderCard) -> Searcher:
        self._explain_old_revision(card)
        if card.space not in self._searchers:
            encoder = self._encoder or encoders.load(card, self.settings, role="query")
            self._searchers[card.space] = Searcher(
                self.store, encoder, index=self.settings.index, limits=self._limits
            )
        return self._searchers[card.space]

    def _explain_old_revision(self, card: EncoderCard) -> None:
        known = self.spaces
        if card.space not in known and any(space.name == card.name for space in known):
            raise UnknownSpaceError(
                f"The gallery {self.folder} was made with another revision of {card.name}. Run `picfind index` on its "
                "roots to encode them again."
            )

    @property
    def _limits(self) -> Limits:
        return Limits(max_pixels=self.settings.max_pixels, max_bytes=self.settings.max_bytes)


DEFAULT_MODEL = "builtin"


def _terms(query: Token | Sequence[Token | Term]) -> tuple[Term, ...]:
    if isinstance(query, str | bytes | Path) or not isinstance(query, Sequence):
        return parse([query], allow=PYTHON)
    return parse(cast(Sequence[Token | Term], query), allow=PYTHON)


def _is_below(key: str, prefix: str) -> bool:
    key, prefix = keys.folded(key), keys.folded(prefix)
    return key == prefix or key.startswith(prefix + "/")
