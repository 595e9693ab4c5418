"""The plain vision transformer (ViT) of pathology encoders, with the entry names that timm gives it.

A. Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv 2010.11929. Pre-norm blocks, a class token with
a position of its own, exact (erf) GELU, a last norm over all tokens; layer scale where `init_values` asks for it (H.
Touvron et al., arXiv 2103.17239). Written from a description of shapes, names and numbers.

>>> net = VisionTransformer(**SMALL)                  # ViT-S/16 at 224 pixels: 21,665,664 parameters, 150 entries
>>> net(tiles)                                        # (B, 3, 224, 224) -> (B, 384), the class token
>>> net.tokens(tiles)                                 # (B, 1 + 196, 384), after the last norm
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.core.errors import WeightsError

SMALL: dict[str, Any] = {"image_size": 224, "patch_size": 16, "dim": 384, "depth": 12, "num_heads": 6}
"""ViT-S/16."""
BASE: dict[str, Any] = {"image_size": 224, "patch_size": 16, "dim": 768, "depth": 12, "num_heads": 12}
"""ViT-B/16."""
HEAD_DIM = 64
"""Width of an attention head in every published ViT; state dicts do not tell it."""
_EPS = 1e-6
POOLINGS = ("cls", "mean", "both")
"""What may stand for a tile; see `Pooled`."""
_MOST_BLOCKS = 1000


class PatchEmbed(nn.Module):
    """Square patches become tokens, row by row: ``(B, C, H, W) -> (B, H/P * W/P, D)``."""

    def __init__(self, channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens


class Attention(nn.Module):
    """Self-attention over tokens ``(B, N, D)``; queries, keys and values come from one layer, in this order."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        count, length, dim = x.shape
        q, k, v = self.qkv(x).reshape(count, length, 3, self.num_heads, dim // self.num_heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(count, length, dim))
        return out


class Mlp(nn.Module):
    """Two layers with an exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class LayerScale(nn.Module):
    """A gain per channel of a branch."""

    def __init__(self, dim: int, init_value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), init_value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """``x + attn(norm1(x))``, then ``x + mlp(norm2(x))``.

    Parameters
    ----------
    drop_path
        Stochastic depth (G. Huang et al., ECCV 2016): the share of samples whose branch is left out while training.
    """

    def __init__(
        self, dim: int, num_heads: int, mlp_ratio: float, init_values: float | None, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=_EPS)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = drop_path
        if init_values is not None:
            self.ls1 = LayerScale(dim, init_values)
            self.ls2 = LayerScale(dim, init_values)
        self.has_scale = init_values is not None

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attn(self.norm1(x))
        x = x + self._drop(self.ls1(branch) if self.has_scale else branch)
        branch = self.mlp(self.norm2(x))
        return x + self._drop(self.ls2(branch) if self.has_scale else branch)

    def _drop(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path
        return branch * kept / (1 - self.drop_path)


class VisionTransformer(nn.Module):
    """The network.

    Parameters
    ----------
    image_size
        Side of the images in pixels that the positions are stored for; images of other sizes are taken, too.
    patch_size, dim, depth, num_heads, mlp_ratio
        Side of a patch in pixels, width of a token, blocks, attention heads, hidden width relative to `dim`.
    channels
        Channels of the image.
    init_values
        Initial layer scale, or ``None`` for blocks without.
    drop_path
        Stochastic depth of the last block; it rises linearly from 0.
    """

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 16,
        dim: int = 384,
        depth: int = 12,
        num_heads: int = 6,
        mlp_ratio: float = 4.0,
        channels: int = 3,
        init_values: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if dim % num_heads or image_size % patch_size:
            raise WeightsError(
                f"a ViT of width {dim} with {num_heads} heads, images of {image_size} pixels, patches of {patch_size}: "
                "the width must be a multiple of the heads, the image of the patch"
            )
        self.config: dict[str, Any] = {
            "image_size": image_size, "patch_size": patch_size, "dim": dim, "depth": depth, "num_heads": num_heads,
            "mlp_ratio": mlp_ratio, "channels": channels, "init_values": init_values,
        }  # fmt: skip
        self.patch_size, self.dim = patch_size, dim
        self.grid = image_size // patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid**2, dim))
        self.patch_embed = PatchEmbed(channels, dim, patch_size)
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(dim, num_heads, mlp_ratio, init_values, rate) for rate in rates)
        self.norm = nn.LayerNorm(dim, eps=_EPS)
        self.apply(_initialise)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """The class token after the last norm: ``(B, C, H, W) -> (B, D)``."""
        return self.tokens(x)[:, 0]

    def tokens(self, x: Tensor) -> Tensor:
        """All tokens after the last norm: ``(B, 1 + H/P * W/P, D)``, the class token first, then row by row.

        Raises
        ------
        WeightsError
            A side of the image is no multiple of the patch.
        """
        rows, columns = x.shape[-2:]
        if rows % self.patch_size or columns % self.patch_size or not rows or not columns:
            raise WeightsError(
                f"an image of {rows} x {columns} pixels for a network with patches of {self.patch_size}: both sides "
                "must be multiples of the patch"
            )
        tokens = self.patch_embed(x)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1)
        tokens = tokens + self.positions((rows // self.patch_size, columns // self.patch_size))
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.norm(tokens)
        return out

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embedding ``(1, 1 + rows * columns, D)`` of a grid of patches, resampled (bicubic) from its own."""
        if grid == (self.grid, self.grid):
            return self.pos_embed
        own, dim = self.pos_embed[:, :1], self.dim
        maps = self.pos_embed[:, 1:].reshape(1, self.grid, self.grid, dim).permute(0, 3, 1, 2)
        maps = F.interpolate(maps.float(), size=grid, mode="bicubic", antialias=True).to(self.pos_embed.dtype)
        return torch.cat([own, maps.permute(0, 2, 3, 1).reshape(1, -1, dim)], 1)


class Pooled(nn.Module):
    """A transformer whose embedding is the class token, the mean of the tokens of its patches, or both, one after the
    other: ``(B, C, H, W) -> (B, D)`` or ``(B, 2 D)``.

    What a class token says was bent by its training to what is alike in crops; the mean holds what the patches are.

    Parameters
    ----------
    how
        ``"cls"``, ``"mean"`` or ``"both"``.
    """

    def __init__(self, net: VisionTransformer, how: str) -> None:
        super().__init__()
        if how not in POOLINGS:
            raise WeightsError(f"pooling '{how}': {', '.join(POOLINGS)} were expected")
        self.net, self.how = net, how
        self.dim, self.config = net.dim * (2 if how == "both" else 1), net.config

    def forward(self, x: Tensor) -> Tensor:
        """The embedding."""
        tokens = self.net.tokens(x)
        if self.how == "cls":
            return tokens[:, 0]
        mean = tokens[:, 1:].mean(1)
        return mean if self.how == "mean" else torch.cat([tokens[:, 0], mean], 1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        bound = 1 / math.sqrt(module.weight[0].numel())
        nn.init.uniform_(module.weight, -bound, bound)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -bound, bound)


def infer_config(state: Mapping[str, Tensor], num_heads: int | None = None) -> dict[str, Any]:
    """Arguments of the `VisionTransformer` that a state dict with timm's names is of.

    Parameters
    ----------
    num_heads
        Attention heads, which no entry tells; by default heads of 64 channels, as every published ViT has.

    Raises
    ------
    WeightsError
        It is not that of a plain ViT; the message names what is missing or more.
    """
    missing = [k for k in ("cls_token", "pos_embed", "patch_embed.proj.weight", "norm.weight") if k not in state]
    numbers = {int(m[1]) for k in state if (m := re.fullmatch(r"blocks\.(\d{1,4})\..+", k))}
    if missing or not numbers or "blocks.0.mlp.fc1.weight" not in state:
        lacks = ", ".join(missing) or "blocks.0.mlp.fc1.weight"
        raise WeightsError(f"expected the state dict of a plain ViT with timm's names; it has no {lacks}")
    kernel, positions = state["patch_embed.proj.weight"], state["pos_embed"]
    hidden = state["blocks.0.mlp.fc1.weight"]
    depth = max(numbers) + 1
    if kernel.ndim != 4 or positions.ndim != 3 or hidden.ndim != 2 or depth > _MOST_BLOCKS:
        raise WeightsError("expected the state dict of a plain ViT; its patches, positions or layers have other shapes")
    dim, channels, patch, _ = kernel.shape
    side = math.isqrt(max(positions.shape[1] - 1, 0))
    if side**2 != positions.shape[1] - 1 or not side:
        raise WeightsError(
            f"a position embedding of {positions.shape[1]} tokens: a class token and a square grid were expected "
            "(networks with register tokens are not plain ones)"
        )
    return {
        "image_size": side * patch,
        "patch_size": patch,
        "dim": dim,
        "depth": depth,
        "num_heads": num_heads or max(1, dim // HEAD_DIM),
        "mlp_ratio": hidden.shape[0] / dim,
        "channels": channels,
        "init_values": 1e-5 if "blocks.0.ls1.gamma" in state else None,
    }
