"""ONNX graphs and tokenizers, opened the same way by every family that has them."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from picfind.errors import ModelFilesError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

T = TypeVar("T")

CPU = "CPUExecutionProvider"
_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": CPU,
}
"""What `device` may be, best first, and what onnxruntime calls it."""
_ACCELERATORS = {_PROVIDERS["cuda"], _PROVIDERS["directml"]}
"""Those that are fed best by one thread with batches."""


class Once(Generic[T]):
    """Makes its value at the first `get`, once, whatever number of threads ask."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: list[T] = []

    def get(self) -> T:
        """The value."""
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]


def providers(device: str) -> list[str]:
    """What onnxruntime is to run a graph with: the device's provider, and the CPU for what that cannot do.

    Raises SettingsError for a device that is not known or not there.
    """
    import onnxruntime

    there = set(onnxruntime.get_available_providers())
    if device == "auto":
        found = next(provider for provider in _PROVIDERS.values() if provider in there)
    elif device not in _PROVIDERS:
        raise SettingsError(f"There is no device {device!r}. Known are: auto, {', '.join(_PROVIDERS)}.")
    elif _PROVIDERS[device] not in there:
        raise SettingsError(
            f"The device {device} is not there: the installed onnxruntime has {', '.join(sorted(there))}. Install "
            f"the onnxruntime that brings it, or use `auto`."
        )
    else:
        found = _PROVIDERS[device]
    return [found] if found == CPU else [found, CPU]


def on_accelerator(device: str) -> bool:
    """Whether pictures should be decoded by many threads and encoded by one, in batches."""
    return providers(device)[0] in _ACCELERATORS


def open_session(path: Path, *, device: str = "cpu", hint: str) -> InferenceSession:
    """Open a graph: one thread a call and no spinning, so that as many workers as there are cores can share it.

    `hint` ends the message of the ModelFilesError that a damaged file raises: what to do about it. Weights in a
    second file beside the graph are found by onnxruntime itself.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it keeps one plan of memory for every length of text
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # its warnings go to stderr, which is the user's
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers(device))
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise unreadable(path, error, hint) from error


def open_tokenizer(path: Path, *, hint: str) -> Tokenizer:
    """Open a `tokenizer.json`. Raises ModelFilesError, whose message ends with `hint`."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise unreadable(path, error, hint) from error


def plain(text: str) -> str:
    """A text that every tokenizer takes: one from a file name that is not UTF-8 comes with lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def unreadable(path: Path, error: Exception, hint: str) -> ModelFilesError:
    """The error for a model's file that is damaged."""
    return ModelFilesError(f"The model's file {path} cannot be read: {str(error).rstrip('.')}. {hint}")
