"""The towers of CLIP in plain torch: a vision transformer and a text transformer.

Parameters carry the names that open_clip and OpenAI give them (`visual.` in front of the picture tower's), so their
weights load as they are. The structure follows the papers (Radford et al. 2021, "Learning transferable visual models
from natural language supervision", section 2.4 and appendix) and open_clip's published configurations.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a stack of transformer blocks."""

    width: int
    layers: int
    heads: int
    mlp_ratio: float = 4.0
    quick_gelu: bool = False
    """OpenAI's approximation, x * sigmoid(1.702 x), instead of the exact function."""
    eps: float = 1e-5
    """What layer norms add to the variance."""


class QuickGELU(nn.Module):  # type: ignore[misc]
    """x * sigmoid(1.702 x): the activation that OpenAI's weights were trained with."""

    def forward(self, x: Any) -> Any:
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):  # type: ignore[misc]
    """Self-attention whose queries, keys and values come from one matrix, as in `nn.MultiheadAttention`.

    Written out, since torch's own takes another way in evaluation, which no exporter follows.
    """

    def __init__(self, shape: Shape, *, causal: bool) -> None:
        super().__init__()
        self.heads = shape.heads
        self.causal = causal
        self.in_proj_weight = nn.Parameter(torch.randn(3 * shape.width, shape.width) * shape.width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * shape.width))
        self.out_proj = nn.Linear(shape.width, shape.width)

    def forward(self, x: Any) -> Any:
        parts = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):  # type: ignore[misc]
    """Attention and two dense layers, each after a layer norm and beside a shortcut."""

    def __init__(self, shape: Shape, *, causal: bool) -> None:
        super().__init__()
        inner = int(shape.width * shape.mlp_ratio)
        self.ln_1 = nn.LayerNorm(shape.width, eps=shape.eps)
        self.attn = Attention(shape, causal=causal)
        self.ln_2 = nn.LayerNorm(shape.width, eps=shape.eps)
        layers = OrderedDict(
            c_fc=nn.Linear(shape.width, inner),
            gelu=QuickGELU() if shape.quick_gelu else nn.GELU(),
            c_proj=nn.Linear(inner, shape.width),
        )
        self.mlp = nn.Sequential(layers)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):  # type: ignore[misc]
    """Blocks one after another: (n, length, width) to the same."""

    def __init__(self, shape: Shape, *, causal: bool = False) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(shape, causal=causal) for _ in range(shape.layers))

    def forward(self, x: Any) -> Any:
        for block in self.resblocks:
            x = block(x)
        return x


class VisionTower(nn.Module):  # type: ignore[misc]
    """Pictures (n, 3, size, size) float32 to embeddings (n, dim), not yet of unit length.

    `pool` is `tok` (the class token) or `avg` (the mean of the patches). With `norm_after_pool` the last layer norm
    comes after the pooling, without `norm_before` there is none before the blocks.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        size: int,
        patch: int,
        dim: int,
        pool: str = "tok",
        norm_before: bool = True,
        norm_after_pool: bool = False,
    ) -> None:
        super().__init__()
        self.pool, self.norm_after_pool = pool, norm_after_pool
        scale = shape.width**-0.5
        self.conv1 = nn.Conv2d(3, shape.width, kernel_size=patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(shape.width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((size // patch) ** 2 + 1, shape.width))
        self.ln_pre = nn.LayerNorm(shape.width, eps=shape.eps) if norm_before else nn.Identity()
        self.transformer = Transformer(shape)
        self.ln_post = nn.LayerNorm(shape.width, eps=shape.eps)
        self.proj = nn.Parameter(scale * torch.randn(shape.width, dim))

    def forward(self, image: Any) -> Any:
        patches = self.conv1(image).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(patches.shape[0], 1, -1)
        x = torch.cat([first, patches], dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        pooled = self._pooled(x) if self.norm_after_pool else self._pooled(self.ln_post(x))
        return (self.ln_post(pooled) if self.norm_after_pool else pooled) @ self.proj

    def _pooled(self, x: Any) -> Any:
        return x[:, 1:].mean(dim=1) if self.pool == "avg" else x[:, 0]


class TextTower(nn.Module):  # type: ignore[misc]
    """Token ids (n, length) to embeddings (n, dim), not yet of unit length.

    `pool` says which token stands for the text: `argmax` (the end mark, whose id is the largest of all), `first` or
    `last`. `causal`: a token sees only those before it.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        vocabulary: int,
        length: int,
        dim: int,
        pool: str = "argmax",
        causal: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.token_embedding = nn.Embedding(vocabulary, shape.width)
        self.positional_embedding = nn.Parameter(torch.randn(length, shape.width) * 0.01)
        self.transformer = Transformer(shape, causal=causal)
        self.ln_final = nn.LayerNorm(shape.width, eps=shape.eps)
        self.text_projection: Any = (
            nn.Linear(shape.width, dim)
            if bias
            else nn.Parameter(torch.randn(shape.width, dim) * shape.width**-0.5)
        )
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def forward(self, text: Any) -> Any:
        x = self.token_embedding(text) + self.positional_embedding[: text.shape[1]]
        pooled = self._pooled(self.ln_final(self.transformer(x)), text)
        if isinstance(self.text_projection, nn.Linear):
            return self.text_projection(pooled)
        return pooled @ self.text_projection

    def _pooled(self, x: Any, text: Any) -> Any:
        if self.pool == "argmax":
            return x[torch.arange(x.shape[0], device=x.device), text.argmax(dim=-1)]
        return x[:, 0] if self.pool == "first" else x[:, -1]
