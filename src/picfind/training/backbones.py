"""Checkpoints of ResNets and BERTs as torch modules whose last layers learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from picfind.encoders._resnet.weights import Architecture, Block, Conv, read_weights
from picfind.errors import ModelFilesError, RecipeError
from picfind.training import originals
from picfind.training.originals import Tokenizing, read_object
from picfind.training.pretrained import read_words
from picfind.training.pretrained_inputs import read_tokenizing

_STAGES = 4


class ResNet(nn.Module):  # type: ignore[misc]
    """Pictures (n, 3, size, size) to the last pooling (n, dim); names of tensors as in torchvision."""

    def __init__(self, shape: Architecture, tensors: Mapping[str, Any], *, tune: int) -> None:
        super().__init__()
        self.dim, self._first = shape.dim, _STAGES - tune + 1
        self.stem = _Conv(shape.stem, tensors)
        stages: dict[int, list[Any]] = {}
        for block in shape.blocks():
            stages.setdefault(int(block.convs[0].name[len("layer")]), []).append(_Block(block, tensors))
        self.stages = nn.ModuleList(nn.Sequential(*stages[at]) for at in sorted(stages))
        for part in (self.stem, *self.stages[: self._first - 1]):
            part.requires_grad_(False)

    def forward(self, pixels: Any) -> Any:
        maps = functional.max_pool2d(self.stem(pixels).relu(), 3, stride=2, padding=1)
        for stage in self.stages:
            maps = stage(maps)
        return maps.mean(dim=(2, 3))


class _Conv(nn.Module):  # type: ignore[misc]
    """A convolution and its batch normalisation, whose statistics stay as they are."""

    def __init__(self, shape: Conv, tensors: Mapping[str, Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            shape.inputs,
            shape.outputs,
            shape.kernel,
            stride=shape.stride,
            padding=shape.kernel // 2,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(shape.outputs)
        kinds = ("weight", "bias", "running_mean", "running_var")
        state = {f"norm.{kind}": torch.from_numpy(tensors[f"{shape.norm}.{kind}"]) for kind in kinds}
        state["conv.weight"] = torch.from_numpy(tensors[f"{shape.name}.weight"])
        self.load_state_dict(state, strict=False)

    def train(self, mode: bool = True) -> _Conv:
        super().train(mode)
        self.norm.train(False)
        return self

    def forward(self, maps: Any) -> Any:
        return self.norm(self.conv(maps))


class _Block(nn.Module):  # type: ignore[misc]
    """A residual block."""

    def __init__(self, shape: Block, tensors: Mapping[str, Any]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_Conv(conv, tensors) for conv in shape.convs)
        self.shortcut = nn.Identity() if shape.shortcut is None else _Conv(shape.shortcut, tensors)

    def forward(self, maps: Any) -> Any:
        hidden = maps
        for conv in self.convs[:-1]:
            hidden = conv(hidden).relu()
        return (self.convs[-1](hidden) + self.shortcut(maps)).relu()


class Bert(nn.Module):  # type: ignore[misc]
    """Ids and mask (n, length) to the mean of the last layer's tokens that count (n, dim)."""

    def __init__(self, model: Any, dim: int) -> None:
        super().__init__()
        self.model, self.dim = model, dim

    def forward(self, ids: Any, mask: Any) -> Any:
        states = self.model(input_ids=ids, attention_mask=mask)
        weights = mask.to(states.dtype).unsqueeze(-1)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)


def resnet(weights: Path, *, tune: int) -> ResNet:
    """The network in a file of weights, whose last `tune` stages learn.

    Raises ModelFilesError for a file that is no ResNet's, RecipeError for more stages than there are.
    """
    if tune > _STAGES:
        raise RecipeError(f"image.tune is {tune}; a ResNet has {_STAGES} stages.")
    if weights.suffix == ".safetensors":
        return ResNet(*read_weights(weights), tune=tune)
    from safetensors.torch import save_file

    state = originals.read_weights(weights)
    with TemporaryDirectory() as inside:
        plain = Path(inside) / "model.safetensors"
        save_file({n: v.contiguous() for n, v in state.items() if v.is_floating_point()}, str(plain))
        return ResNet(*read_weights(plain), tune=tune)


def bert(folder: Path, *, tune: int, length: int) -> tuple[Bert, Tokenizing]:
    """The model in a folder of transformers, whose last `tune` layers learn, and its tokenizer.

    Raises ModelFilesError for a folder that is no BERT's, RecipeError for more layers than there are.
    """
    with originals.understanding(folder):
        words = read_words(folder)
        how = read_tokenizing(folder, read_object(folder / "config.json"), masked=True)
    layers = _layers(words.model)
    if not layers:
        raise ModelFilesError(f"The layers of {folder} ({words.kind}) cannot be told, so none can be tuned.")
    if tune > len(layers):
        raise RecipeError(f"text.tune is {tune}; {folder} has {len(layers)} layers.")
    words.model.requires_grad_(False)
    for layer in layers[len(layers) - tune :]:
        layer.requires_grad_(True)
    kept = Tokenizing(how.content, how.pad_token, min(length, how.length), how.pad_left, how.clean)
    return Bert(words.model, words.dim), kept


def _layers(model: Any) -> list[Any]:
    """The longest list of modules inside: the layers, in every type that there is."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return list(max(lists, key=len, default=[]))
