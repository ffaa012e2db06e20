"""`picfind demo`: index sample photos, or one's own, and search them."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

import picfind
from picfind import keys
from picfind.api import Gallery
from picfind.cli import answers, pages
from picfind.cli.indexing import index_source
from picfind.cli.options import GalleryFlag, say, settings_of
from picfind.errors import MissingExtraError
from picfind.types import Results

# photos that come inside installed packages: (package, folder in it)
_SAMPLES = (("skimage", "data"), ("sklearn", "datasets/images"))
# what lies beside them and is a drawing, a page of text or a microscope's view
_NO_PHOTOS = (
    "cell.png",
    "chessboard_*",
    "clock_motion.png",
    "color.png",
    "horse.png",
    "ihc.png",
    "logo.png",
    "microaneurysms.png",
    "multipage*",
    "no_time_for_that_tiny.gif",
    "page.png",
    "phantom.png",
    "text.png",
)
_QUERIES = (
    "a cat",
    "a rocket launch",
    "a cup of coffee",
    "a space suit",
    "a motorcycle",
    "a flower",
    "a Chinese temple",
)
_SAMPLE_PICTURE = "motorcycle_left.png"
_TOP = 3


def demo(
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Your own folder instead of the samples.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What to search for; may be repeated.")
    ] = None,
    html: Annotated[Path, typer.Option(metavar="FILE", help="The page to write.")] = Path("demo.html"),
    gallery: GalleryFlag = None,
) -> None:
    """Index a few sample photos that come with an installed package, search them, and write a page of the answers."""
    sources = [photos] if photos else _samples()
    settings = settings_of(gallery=gallery or _gallery_of(sources))
    settings = replace(settings, model=(), exclude=settings.exclude if photos else _NO_PHOTOS)
    with picfind.open(settings=settings) as opened:
        for source in sources:
            index_source(opened, source)
        sections = [(text, opened.search(text, k=_TOP)) for text in query or _QUERIES]
        sections.append(_by_picture(opened, None if photos else _SAMPLE_PICTURE, sections[0][1]))
    for question, results in sections:
        typer.echo(f"\n{question}\n{answers.text(results) or '  nothing found'}")
    pages.write(html, sections)
    say(f"\nWrote {html}: open it in a browser to see the answers.")


def _samples() -> list[Path]:
    folders = [place / inside for package, inside in _SAMPLES for place in _places(package)]
    if not folders:
        raise MissingExtraError(
            "The sample photos come with scikit-image and scikit-learn: pip install 'picfind[demo]'. "
            "Or give your own folder: picfind demo --photos ~/Pictures."
        )
    return folders


def _places(package: str) -> list[Path]:
    """Where a package lies; empty when it is not installed. Does not import it."""
    found = importlib.util.find_spec(package)
    return [Path(place) for place in (found.submodule_search_locations or [])] if found else []


def _gallery_of(sources: list[Path]) -> Path:
    """A gallery of its own for each set of sources, apart from the person's real one."""
    token = hashlib.sha256("\n".join(str(source.absolute()) for source in sources).encode()).hexdigest()[:8]
    return Path(platformdirs.user_cache_dir("picfind", appauthor=False)) / f"demo-{token}.gallery"


def _by_picture(gallery: Gallery, name: str | None, fallback: Results) -> tuple[str, Results]:
    """Search with the sample picture, or with the best answer to the first question."""
    everything = gallery.search("photo", k=1000)
    named = [hit for hit in everything if Path(hit.path).name == name]
    chosen = (named or list(fallback))[:1]
    if not chosen:
        return "a picture", fallback
    path = Path(keys.unescape(chosen[0].path))
    return f"pictures like {path.name}", gallery.search(path, k=_TOP)
