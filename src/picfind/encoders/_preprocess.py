"""From a picture to the numbers that a picture tower takes: resize, cut, normalise.

The two ways of resizing that published towers use, number for number as torchvision does them on Pillow pictures
(`Resize`, `CenterCrop`, `ToTensor`, `Normalize`) and as open_clip puts them together. Pillow alone does the work, and
its resampling is antialiased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from picfind.types import Floats

Mode: TypeAlias = Literal["shortest", "squash"]
Interpolation: TypeAlias = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

INTERPOLATIONS: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
MODES: tuple[Mode, ...] = ("shortest", "squash")

_LEAST_DECODED = 512
_LONG = 16
"""A picture that is longer than so many times its shorter side is resized only where the crop lies: as a whole it
could need more memory than the machine has. The result is the same to one step of 255, but at edges where the kernel
overshoots: there Pillow's two passes come in another order."""

Box: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes the input of a tower. `size` is (height, width) in pixels.

    `shortest` resizes the shorter side to `resize` pixels (None: so that the crop is just filled) and cuts out the
    centre; `squash` resizes to `size` and keeps no proportions. Then each channel is (value / 255 - mean) / std.
    """

    size: tuple[int, int]
    mode: Mode
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "bicubic"
    resize: int | None = None

    @property
    def decode_size(self) -> int:
        """Shorter side in pixels that a decoder may scale down to: at least 512, at least twice what is needed."""
        return max(_LEAST_DECODED, 2 * max(*self.size, self.resize or 0))

    def describe(self) -> str:
        """Every choice in words, for the revision: another text means other vectors."""
        height, width = self.size
        if self.mode == "squash":
            done = f"squash to {width} x {height}"
        else:
            shorter = f"shorter side to {self.resize}" if self.resize else "to fill the crop"
            done = f"{shorter}, cut the centre {width} x {height}"
        return (
            f"upright RGB, shorter side {self.decode_size} or more; {done}, {self.interpolation}, antialiased; "
            f"(x / 255 - {list(self.mean)}) / {list(self.std)}; float32, channels first"
        )

    def prepare(self, image: Image.Image) -> Floats:
        """(3, height, width) float32 of an upright picture, which stays as it is."""
        pixels = np.asarray(self.fitted(image), np.float32).transpose(2, 0, 1) / np.float32(255)
        mean = np.array(self.mean, np.float32)[:, None, None]
        std = np.array(self.std, np.float32)[:, None, None]
        return np.ascontiguousarray((pixels - mean) / std)

    __call__ = prepare

    def fitted(self, image: Image.Image) -> Image.Image:
        """The RGB picture of `size` whose pixels the tower sees."""
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        height, width = self.size
        if self.mode == "squash":
            return rgb.resize((width, height), INTERPOLATIONS[self.interpolation])
        resized = self._resized_size(rgb.size)
        if max(resized) <= _LONG * min(resized):
            whole = rgb.resize(resized, INTERPOLATIONS[self.interpolation])
            return whole.crop(_centre(resized, (width, height)))
        return self._resized_in_part(rgb, resized)

    def _resized_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) before the crop, rounded as the reference does."""
        height, width = self.size
        if self.resize is None and height != width:  # open_clip's own ResizeKeepRatio, which rounds
            ratio = min(size[1] / height, size[0] / width)
            return round(size[0] / ratio), round(size[1] / ratio)
        side = self.resize or height  # torchvision's Resize of one number, which truncates
        if size[0] <= size[1]:
            return side, int(side * size[1] / size[0])
        return int(side * size[0] / size[1]), side

    def _resized_in_part(self, image: Image.Image, resized: tuple[int, int]) -> Image.Image:
        """What resizing as a whole and cutting gives, of a very long picture."""
        left, top, right, bottom = _centre(resized, (self.size[1], self.size[0]))
        inside = (max(left, 0), max(top, 0), min(right, resized[0]), min(bottom, resized[1]))
        across, down = image.width / resized[0], image.height / resized[1]
        box = (
            inside[0] * across,
            inside[1] * down,
            min(inside[2] * across, image.width),
            min(inside[3] * down, image.height),
        )
        size = (inside[2] - inside[0], inside[3] - inside[1])
        part = image.resize(size, INTERPOLATIONS[self.interpolation], box=box)
        return part.crop((left - inside[0], top - inside[1], right - inside[0], bottom - inside[1]))


def _centre(size: tuple[int, int], crop: tuple[int, int]) -> Box:
    """(left, top, right, bottom) of the crop, both sizes (width, height); outside the picture Pillow fills with black."""
    left, top = (_offset(whole, part) for whole, part in zip(size, crop, strict=True))
    return left, top, left + crop[0], top + crop[1]


def _offset(whole: int, part: int) -> int:
    """Where the crop begins: rounded to even halves as torchvision does; where it is larger, the odd pixel goes last."""
    return round((whole - part) / 2) if whole >= part else -((part - whole) // 2)
