"""A piece of a query picture: `./photo.jpg@120,80,400,300` is what lies 120 to the right and 80 down, 400 wide, 300 high."""

from __future__ import annotations

import math
import re
from dataclasses import astuple, dataclass

from PIL import Image

from picfind.errors import UsageError

_DECIMALS = 6
_NUMBER = r"([0-9]{1,7}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
_SUFFIX = re.compile(rf"(.+)@{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Crop:
    """Left, top, width and height, in pixels of the upright picture or, with `fractions`, as parts of its sides.

    Raises UsageError for a number that is none, or is below 0.
    """

    left: float
    top: float
    width: float
    height: float
    fractions: bool = False

    def __post_init__(self) -> None:
        if not all(math.isfinite(edge) and edge >= 0 for edge in self._edges):
            raise UsageError(
                "The piece of a picture is left, top, width and height: numbers that are not below 0."
            )

    def __str__(self) -> str:
        numbers = [f"{edge:.{_DECIMALS}f}".rstrip("0").rstrip(".") for edge in self._edges]
        if self.fractions and not any("." in number for number in numbers):
            numbers[0] += ".0"  # the point says that these are fractions
        return "@" + ",".join(numbers)

    @property
    def _edges(self) -> tuple[float, ...]:
        left, top, width, height, _ = astuple(self)
        return left, top, width, height

    def of(self, image: Image.Image) -> Image.Image:
        """The piece of an upright picture. Raises UsageError where it is empty or does not lie in the picture."""
        across, down = (image.width, image.height) if self.fractions else (1, 1)
        box = (
            round(self.left * across),
            round(self.top * down),
            round((self.left + self.width) * across),
            round((self.top + self.height) * down),
        )
        if box[2] > image.width or box[3] > image.height:
            raise UsageError(
                f"The piece {self} does not lie in the picture, which has {image.width} x {image.height} pixels."
            )
        if box[2] <= box[0] or box[3] <= box[1]:
            raise UsageError(f"The piece {self} is empty. Write left, top, width and height.")
        return image.crop(box)


def split(text: str) -> tuple[str, Crop | None]:
    """A path and the piece of its picture that is meant; None without one.

    Numbers of which none is above 1, with a point in one of them, are fractions; others are pixels.
    """
    found = _SUFFIX.fullmatch(text)
    if found is None:
        return text, None
    written = found.groups()[1:]
    left, top, width, height = (round(float(number), _DECIMALS) for number in written)
    fractions = max(left, top, width, height) <= 1 and any("." in number for number in written)
    return found[1], Crop(left, top, width, height, fractions)
