"""The hub's answers: the bytes of an address, and what goes wrong, in our words.

The hub's own library asks, with the person's own proxies, mirror (`HF_ENDPOINT`), token and cache (`HF_HOME`), and is
silent when it is told to be (`HF_HUB_OFFLINE`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from picfind.errors import DownloadError

CHUNK = 1 << 18
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class Broken(Exception):  # noqa: N818
    """A connection that broke off, or a server that wants to be asked later."""


def chunks(
    repository: str, commit: str, name: str, *, start: int
) -> Generator[tuple[int, bytes], None, None]:
    """The bytes of a file from `start` on in pieces, each with its place; from 0 on if the server knows no ranges.

    Raises DownloadError, and Broken where asking again may help.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    headers = {**build_hf_headers(library_name="picfind"), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    url = f"{constants.ENDPOINT}/{repository}/resolve/{commit}/{quote(name)}"
    with hub_errors(repository, name), _opened(url, headers) as (status, pieces):
        at = start if status == 206 else 0
        for piece in pieces:
            if piece:
                yield at, piece
            at += len(piece)


@contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The status and the body of an address, by the session of the hub's library: httpx since 1.0, requests before."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined]

    session: Any = get_session()
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    if callable(getattr(session, "stream", None)):
        with session.stream("GET", url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            yield response.status_code, response.iter_bytes()
    else:
        with session.get(url, headers=headers, timeout=timeout, stream=True) as response:
            hf_raise_for_status(response)
            yield response.status_code, response.iter_content(CHUNK)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the hub's library logs off stderr: advice to log in, notes of a server, attempts that failed."""
    handlers = [*logging.getLogger("huggingface_hub").handlers]

    def nothing(record: logging.LogRecord) -> bool:
        return False

    for handler in handlers:
        handler.addFilter(nothing)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(nothing)


@contextmanager
def hub_errors(repository: str, file: str | None = None) -> Iterator[None]:
    """Turn what the hub's library and its clients raise into DownloadError, or Broken where asking again may help."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{repository}"
    try:
        with quiet():
            yield
    except (DownloadError, Broken):
        raise
    except errors.OfflineModeIsEnabled as error:
        raise DownloadError(offline_message(repository)) from error
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"The repository {repository} asks for its terms to be accepted. Do so on {page}, log in with "
            "`hf auth login` or set HF_TOKEN, and run it again."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"There is no repository {repository} at {constants.ENDPOINT}, or it is private. Check its name; for a "
            "private one log in with `hf auth login` or set HF_TOKEN."
        ) from error
    except errors.EntryNotFoundError as error:
        raise DownloadError(
            f"The repository {repository} has no file {file}. Is it the right one?"
        ) from error
    except errors.HFValidationError as error:
        raise DownloadError(f"{repository!r} is no name of a repository: owner/name is wanted.") from error
    except Exception as error:  # requests' errors and httpx's have no common base but this
        raise _translated(error, page, file) from error


def _translated(error: Exception, page: str, file: str | None) -> Exception:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if file is not None and (status is None or status in _AGAIN):
        return Broken(f"{type(error).__name__}: {error}".splitlines()[0])
    if status in (401, 403):
        return DownloadError(
            f"{page} may not be read (status {status}). Log in with `hf auth login`, or set HF_TOKEN to a token that may."
        )
    if status is not None:
        return DownloadError(f"{page} answered with status {status}. Try again later.")
    if isinstance(error, json.JSONDecodeError | KeyError | TypeError | AttributeError):
        return DownloadError(
            f"What answers at {page} is not the hub: its answer is no listing. It may be the page of a network that "
            "wants a login, or of a proxy; is HF_ENDPOINT right?"
        )
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return DownloadError(
        f"The hub cannot be reached at {page}: {reason}. "
        "Check the network; behind a firewall set HTTPS_PROXY or HF_ENDPOINT, or copy the model's folder from another "
        "machine into one of the folders of PICFIND_MODELS."
    )


def offline_message(repository: str) -> str:
    """What to say where the network is forbidden."""
    return (
        f"{repository} cannot be loaded: HF_HUB_OFFLINE forbids the network. Set HF_HUB_OFFLINE=0 to allow it, or copy "
        "the model's folder from another machine into one of the folders of PICFIND_MODELS."
    )
