"""Text inside pictures, read by RapidOCR (the extra `ocr`). Its models lie in its package: nothing is downloaded.

Lines are looked for in a copy of the picture of a limited area, so that the cost of a large picture is limited, and
each line is then read from the picture itself, at full size. Figures for the constants are in docs/text.md.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from picfind import keys
from picfind.captions.reading_order import reading_order
from picfind.errors import MissingExtraError, ModelFilesError, PictureError
from picfind.types import Floats, RecognisedLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REVISION = 1
"""Goes up when this module reads differently: then every picture is read again."""
_ROLES = {"Det": "_det_", "Cls": "_cls_", "Rec": "_rec_"}
"""RapidOCR's names of its three steps (finding lines, turning them upright, reading them); what their files are called."""
_LINE_HEIGHT = 48
"""Pixels: what the model that reads takes."""
_MARGINS = (0.0, 0.12, 0.2)
"""How much of a line's height is cut out around it. The model garbles some long lines; mostly another cut helps."""
_SURE = 0.9
"""A line that is read with this confidence is not read again."""
_LARGEST_LONE = 0.1
"""The share of the picture that a line of a single sign covers at most: dogs and trousers look like letters."""
_LEAST_SIDE, _LONGEST = 8, 100
"""Pictures with a shorter side (pixels), and those that are longer than so many times their width, hold no text."""
_LONGEST_DETAIL = 160
_AGAIN = 'Install it again: pip install --force-reinstall --no-deps "rapidocr>=3.10,<4".'


@dataclass(frozen=True, slots=True)
class Care:
    """How carefully pictures are read. The defaults were chosen by measurement."""

    least_area: int = 300_000
    """Pixels: smaller pictures are enlarged before lines are looked for, though never more than twice as wide."""
    most_area: int = 2_000_000
    """Pixels: larger pictures are shrunk before lines are looked for."""
    least_confidence: float = 0.8
    """Lines that are less sure are dropped."""
    least_lone: float = 0.98
    """The same for a line of a single sign."""


class Recogniser:
    """Reads the text inside pictures. May be used from several threads at once; each call keeps one core busy."""

    name = "rapidocr"

    def __init__(self, finder: Any, reader: Any, *, version: str, care: Care | None = None) -> None:
        """`finder` and `reader` are RapidOCR engines: one that only finds lines, one that only reads them."""
        self._finder = finder
        self._reader = reader
        self._care = care or Care()
        self.version = version
        """Changes when the models or this module's way of reading do: letters, digits and hyphens."""

    def read(self, image: Image.Image) -> list[RecognisedLine]:
        """The lines of text in an upright picture, in the order in which a person reads them. Mostly there are none.

        A picture of any mode and size is taken. Raises PictureError where an engine gives up, in too little memory say.
        """
        picture = image if image.mode == "RGB" else image.convert("RGB")
        try:
            found = list(self._lines(picture))
        except Exception as error:  # of OpenCV, onnxruntime, RapidOCR: they have no common base but this
            detail = keys.shown(" ".join(str(error).split()))[:_LONGEST_DETAIL] or type(error).__name__
            raise PictureError(f"The text inside it cannot be read: {detail}.") from error
        order = reading_order([_rectangle(corners) for corners, _, _ in found])
        return [_line(found[at], picture.size) for at in order]

    def _lines(self, picture: Image.Image) -> Iterator[tuple[Floats, str, float]]:
        """The corners of each line that is kept, what it says, and how sure that is."""
        for corners in self._find(picture):
            text, confidence = self._read_line(picture, corners)
            if self._is_text(text, confidence, share=_share(corners, picture.size)):
                yield corners, text, confidence

    def _find(self, picture: Image.Image) -> Iterator[Floats]:
        """The corners of each line (4, 2), in pixels of the picture: clockwise from the line's own top left."""
        width, height = picture.size
        if min(width, height) < _LEAST_SIDE or max(width, height) > _LONGEST * min(width, height):
            return
        scale = self._scale(width * height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        copy = picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC)
        boxes = self._finder(_array(copy)).boxes
        factors = np.array([width / size[0], height / size[1]], np.float32)
        for box in [] if boxes is None else boxes:
            yield np.asarray(box, np.float32) * factors

    def _scale(self, area: int) -> float:
        if area > self._care.most_area:
            return math.sqrt(self._care.most_area / area)
        return min(2.0, max(1.0, math.sqrt(self._care.least_area / area)))

    def _read_line(self, picture: Image.Image, corners: Floats) -> tuple[str, float]:
        """What a line says, and how sure that is: the surest of some readings of it."""
        best = ("", 0.0)
        for margin in _MARGINS:
            read = self._reader(_array(_cut_out(picture, _widened(corners, margin))))
            if read.txts and read.scores[0] > best[1]:
                best = " ".join(read.txts[0].split()), float(read.scores[0])
            if best[1] >= _SURE:
                break
        return best

    def _is_text(self, text: str, confidence: float, *, share: float) -> bool:
        """Whether a line is kept. A single sign over much of the picture (`share` of it) is a thing of that shape."""
        signs = sum(unicodedata.category(sign)[0] in "LN" for sign in text)
        if signs == 1:
            return confidence >= self._care.least_lone and share <= _LARGEST_LONE
        return signs > 1 and confidence >= self._care.least_confidence


def load(*, care: Care | None = None) -> Recogniser:
    """Open the reader: about a second. Raises MissingExtraError and ModelFilesError."""
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise MissingExtraError(
            'Reading the text inside pictures needs RapidOCR: pip install "picfind[ocr]".'
        ) from error
    models = _model_files()
    try:
        finder = RapidOCR(params={**_params(models), "Global.use_cls": False, "Global.use_rec": False})
        reader = RapidOCR(params={**_params(models), "Global.use_det": False})
        opened = Recogniser(finder, reader, version=_version(models), care=care)
        opened.read(Image.new("RGB", (64, 64)))
        reader(np.zeros((48, 96, 3), np.uint8))  # opened now, when a damaged file can be told
    except Exception as error:  # RapidOCR's and onnxruntime's errors have no common base but this
        raise ModelFilesError(f"RapidOCR cannot be opened: {str(error).rstrip('.')}. {_AGAIN}") from error
    return opened


def _params(models: Mapping[str, Path]) -> dict[str, Any]:
    """What RapidOCR is told. Paths are given, so that it looks for no file by itself and downloads none."""
    return {
        **{f"{role}.model_path": str(path) for role, path in models.items()},
        "Global.log_level": "critical",  # of its own logger, which writes to stderr; there is no way not to say one
        "Global.text_score": 0.0,
        "Global.max_side_len": 1_000_000,
        "Global.use_vertical_padding": False,  # makes a square of the longest side
        "Det.limit_type": "min",
        "Det.limit_side_len": 32,
        "Det.thresh": 0.3,
        "Det.box_thresh": 0.5,
        "Det.unclip_ratio": 1.6,
        "Cls.cls_thresh": 0.9,
        "Rec.rec_batch_num": 1,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }


def _model_files() -> dict[str, Path]:
    """The models that came with the package; not those that somebody has loaded into its folder later."""
    try:
        listed = [file for file in files("rapidocr") or [] if file.suffix == ".onnx"]
    except PackageNotFoundError:
        listed = []
    found = {}
    for role, part in _ROLES.items():
        fitting = sorted(file for file in listed if part in file.name)
        if len(fitting) != 1 or not Path(str(fitting[0].locate())).is_file():
            raise ModelFilesError(f"The installed rapidocr has no model for {role}. {_AGAIN}")
        found[role] = Path(str(fitting[0].locate()))
    return found


def _version(models: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for _, path in sorted(models.items()):
        digest.update(path.read_bytes())
    return f"{_REVISION}-{digest.hexdigest()[:12]}"


def _array(picture: Image.Image) -> Any:
    """(height, width, 3) bytes: blue, green, red, as RapidOCR wants them."""
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _cut_out(picture: Image.Image, corners: Floats) -> Image.Image:
    """A line as an upright strip of the height that is read; one that is much taller than wide is turned on its side."""
    top, right = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1])
    bottom, left = np.linalg.norm(corners[2] - corners[3]), np.linalg.norm(corners[3] - corners[0])
    width, height = max(1, round(float(max(top, bottom)))), max(1, round(float(max(left, right))))
    quad = corners[[0, 3, 2, 1]].reshape(-1).tolist()
    strip = picture.transform((width, height), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
    if height >= 1.5 * width:
        strip = strip.transpose(Image.Transpose.ROTATE_90)
    wide = max(1, round(strip.width * _LINE_HEIGHT / strip.height))
    return strip.resize((wide, _LINE_HEIGHT), Image.Resampling.BICUBIC)


def _widened(corners: Floats, margin: float) -> Floats:
    """The corners moved outwards along the line and across it, by a share of the line's height."""
    along, across = corners[1] - corners[0], corners[3] - corners[0]
    length, height = float(np.linalg.norm(along)), float(np.linalg.norm(across))
    reach = margin * min(length, height)
    right, down = along / max(length, 1e-6) * reach, across / max(height, 1e-6) * reach
    return corners + np.array([-right - down, right - down, right + down, down - right], np.float32)


def _share(corners: Floats, size: tuple[int, int]) -> float:
    left, top, right, bottom = _rectangle(corners)
    return (right - left) * (bottom - top) / (size[0] * size[1])


def _rectangle(corners: Floats) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return left, top, right, bottom


def _line(found: tuple[Floats, str, float], size: tuple[int, int]) -> RecognisedLine:
    corners, text, confidence = found
    left, top, right, bottom = (
        min(1.0, max(0.0, edge / size[at % 2])) for at, edge in enumerate(_rectangle(corners))
    )
    return RecognisedLine(text, (left, top, right - left, bottom - top), confidence)
