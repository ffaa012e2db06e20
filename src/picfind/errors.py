"""Everything that picfind raises on purpose.

    PicfindError
    ├── UsageError (ValueError)              what was asked for makes no sense: k = 0, an empty query
    │   └── QueryError                       the text of a query cannot be read: where, and what to write
    ├── SettingsError (ValueError)           a setting of the environment or the config file cannot be read
    ├── MissingExtraError (ImportError)      an optional dependency is not installed
    ├── DownloadError (OSError)             a file could not be loaded from the network, or not kept
    │   └── BarredAddressError (PermissionError)  an address that may not be loaded from, such as a private one
    ├── EncoderError
    │   ├── UnknownModelError (LookupError)  no encoder answers to this name
    │   └── ModelFilesError                  a model's files are missing, damaged or odd
    ├── PictureError (ValueError)            this picture cannot be used
    │   ├── NotAPictureError                 its bytes are no picture of a known format
    │   ├── TruncatedPictureError            its bytes end too early or are damaged
    │   └── PictureTooLargeError             more pixels or bytes than the limits allow
    ├── GalleryError
    │   ├── NoGalleryError (FileNotFoundError)  there is no gallery here
    │   ├── NewerGalleryError                made by a newer picfind
    │   ├── DamagedGalleryError              a file of it is missing or not what the catalog says
    │   ├── GalleryBusyError                 another process is writing to it
    │   ├── ReadOnlyGalleryError (PermissionError)  its folder cannot be written
    │   ├── GalleryWriteError (OSError)      writing failed: the disk is full, say
    │   └── UnknownSpaceError (LookupError)  the gallery holds no vectors of this model
    ├── TrainingError                        training cannot begin or go on: the loss is no number, say
    │   ├── RecipeError (ValueError)         a recipe cannot be read
    │   └── CheckpointError (OSError)        a checkpoint cannot be written or read, or belongs to another run
    └── SourceError
        ├── MissingSourceError (FileNotFoundError)  what should be indexed is not there
        └── WouldForgetError                 a run would forget more than was agreed to

Each message says what happened, to which thing, and what to do about it.
"""

from __future__ import annotations


class PicfindError(Exception):
    """The base of all errors that picfind raises on purpose."""


class UsageError(PicfindError, ValueError):
    """What was asked for makes no sense."""


class QueryError(UsageError):
    """The text of a query cannot be read. The message shows the query with a mark under the spot.

    `query` is the text as it was read, `position` the place in it, counted from 0.
    """

    def __init__(self, message: str, *, query: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.query = query
        self.position = position


class SettingsError(PicfindError, ValueError):
    """A setting of the environment or of the config file cannot be read."""


class MissingExtraError(PicfindError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class DownloadError(PicfindError, OSError):
    """A file could not be loaded from the network, or not be kept. Nothing half-loaded is taken for whole."""

    status: int | None = None
    """What a server answered with, where one answered: 200 where the answer is no picture."""
    retry_after: str | None = None
    """When to come again, as the server put it (RFC 9110, 10.2.3)."""


class BarredAddressError(DownloadError, PermissionError):
    """The address of a URL may not be loaded from: it is private, say, or its kind is not allowed."""


class EncoderError(PicfindError):
    """Something about an encoder."""


class UnknownModelError(EncoderError, LookupError):
    """No encoder answers to this name."""


class ModelFilesError(EncoderError):
    """A model's files are missing, damaged or not in the layout that is expected."""


class PictureError(PicfindError, ValueError):
    """This picture cannot be used."""


class NotAPictureError(PictureError):
    """The bytes are no picture of a format that is known."""


class TruncatedPictureError(PictureError):
    """The bytes end too early or are damaged."""


class PictureTooLargeError(PictureError):
    """The picture has more pixels or more bytes than the limits allow."""


class GalleryError(PicfindError):
    """Something about a gallery."""


class NoGalleryError(GalleryError, FileNotFoundError):
    """There is no gallery here."""


class NewerGalleryError(GalleryError):
    """The gallery was made by a newer picfind."""


class DamagedGalleryError(GalleryError):
    """A file of the gallery is missing or is not what the catalog says."""


class GalleryBusyError(GalleryError):
    """Another process is writing to the gallery."""


class ReadOnlyGalleryError(GalleryError, PermissionError):
    """The gallery's folder cannot be written."""


class GalleryWriteError(GalleryError, OSError):
    """Writing to the gallery failed: a full disk, say. Nothing that was committed is lost."""


class UnknownSpaceError(GalleryError, LookupError):
    """The gallery holds no vectors of this model."""


class TrainingError(PicfindError):
    """Training cannot begin or go on. The last good checkpoint is kept."""


class RecipeError(TrainingError, ValueError):
    """A training recipe cannot be read."""


class CheckpointError(TrainingError, OSError):
    """A checkpoint of a training run cannot be written or read, or belongs to another run."""


class SourceError(PicfindError):
    """Something about a source of pictures."""


class MissingSourceError(SourceError, FileNotFoundError):
    """What should be indexed is not there."""


class WouldForgetError(SourceError):
    """A run would forget more names than was agreed to."""
