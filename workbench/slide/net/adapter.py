"""A vision transformer with a convolutional adapter: fine maps beside its coarse tokens, exchanged while it runs.

Z. Chen et al., "Vision Transformer Adapter for Dense Predictions" (ViT-Adapter), ICLR 2023, arXiv 2205.08534, with the
strides of CellVTA (J. Zheng et al., arXiv 2504.00784): 1/2, 1/4, 1/8 and 1/16. Written from a description of shapes,
names and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.core.errors import WeightsError
from workbench.nets.vit import VisionTransformer
from workbench.slide.net.deformable import DeformableAttention, Shape, centres

GROUPS = 4
"""Times that tokens and maps meet."""
_EPS = 1e-6


class SpatialPrior(nn.Module):
    """Convolutions over the image at 1/2, 1/4, 1/8 and 1/16 of its size, all of the width of a token."""

    def __init__(self, inner: int, dim: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_norm_conv(3, inner), *_norm_conv(inner, inner), *_norm_conv(inner, inner), _conv(inner, inner, 2)
        )
        self.conv2 = nn.Sequential(*_norm_conv(inner, inner), *_norm_conv(inner, 2 * inner, 2))
        self.conv3 = nn.Sequential(*_norm_conv(2 * inner, 2 * inner), *_norm_conv(2 * inner, 4 * inner, 2))
        self.conv4 = nn.Sequential(*_norm_conv(4 * inner, 4 * inner), *_norm_conv(4 * inner, 4 * inner, 2))
        self.fc1 = nn.Conv2d(inner, dim, 1)
        self.fc2 = nn.Conv2d(2 * inner, dim, 1)
        self.fc3 = nn.Conv2d(4 * inner, dim, 1)
        self.fc4 = nn.Conv2d(4 * inner, dim, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        one = self.stem(x)
        two = self.conv2(one)
        three = self.conv3(two)
        return self.fc1(one), self.fc2(two), self.fc3(three), self.fc4(self.conv4(three))


def _conv(ins: int, outs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, 3, stride, 1, bias=False)


def _norm_conv(ins: int, outs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return _conv(ins, outs, stride), nn.BatchNorm2d(outs), nn.ReLU()


class Injector(nn.Module):
    """Tokens take from the maps: ``tokens + gamma * attention``."""

    def __init__(self, dim: int, num_heads: int, points: int, ratio: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=_EPS)
        self.feat_norm = nn.LayerNorm(dim, eps=_EPS)
        self.attn = DeformableAttention(dim, num_heads, 3, points, ratio)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-5))

    def forward(self, tokens: Tensor, maps: Tensor, grid: Shape, shapes: Sequence[Shape]) -> Tensor:
        found: Tensor = self.attn(self.query_norm(tokens), centres([grid], tokens), self.feat_norm(maps), shapes)
        return tokens + self.gamma * found


class DepthwiseConv(nn.Module):
    """One 3 x 3 kernel per channel over each of the maps."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, 1, 1, groups=dim)

    def forward(self, x: Tensor, shapes: Sequence[Shape]) -> Tensor:
        sizes = [rows * columns for rows, columns in shapes]
        found = []
        for part, (rows, columns) in zip(torch.split(x, sizes, 1), shapes, strict=True):
            one = part.transpose(1, 2).reshape(len(x), -1, rows, columns)
            found.append(self.dwconv(one).flatten(2).transpose(1, 2))
        return torch.cat(found, 1)


class ConvFFN(nn.Module):
    """Two layers with a depthwise convolution and an exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = DepthwiseConv(hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, shapes: Sequence[Shape]) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.dwconv(self.fc1(x), shapes)))
        return out


class Extractor(nn.Module):
    """The maps take from the tokens, then from their own neighbourhood."""

    def __init__(self, dim: int, num_heads: int, points: int, ratio: float, ffn: float, drop_path: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=_EPS)
        self.feat_norm = nn.LayerNorm(dim, eps=_EPS)
        self.attn = DeformableAttention(dim, num_heads, 1, points, ratio)
        self.ffn = ConvFFN(dim, int(dim * ffn))
        self.ffn_norm = nn.LayerNorm(dim, eps=_EPS)
        self.drop_path = drop_path

    def forward(self, maps: Tensor, tokens: Tensor, grid: Shape, shapes: Sequence[Shape]) -> Tensor:
        places = centres(shapes, maps)
        maps = maps + self.attn(self.query_norm(maps), places, self.feat_norm(tokens), [grid])
        branch: Tensor = self.ffn(self.ffn_norm(maps), shapes)
        if self.training and self.drop_path:
            kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path
            branch = branch * kept / (1 - self.drop_path)
        return maps + branch


class Interaction(nn.Module):
    """One meeting: tokens take, some blocks run, the maps take back; after the last, two extractors more."""

    def __init__(
        self, dim: int, num_heads: int, points: int, ratio: float, ffn: float, drop_path: float, is_last: bool
    ) -> None:
        super().__init__()
        self.injector = Injector(dim, num_heads, points, ratio)
        self.extractor = Extractor(dim, num_heads, points, ratio, ffn, drop_path)
        if is_last:
            more = (Extractor(dim, num_heads, points, ratio, ffn, drop_path) for _ in range(2))
            self.extra_extractors = nn.ModuleList(more)
        self.is_last = is_last

    def forward(
        self, tokens: Tensor, maps: Tensor, blocks: Sequence[nn.Module], grid: Shape, shapes: Sequence[Shape]
    ) -> tuple[Tensor, Tensor]:
        tokens = self.injector(tokens, maps, grid, shapes)
        for block in blocks:
            tokens = block(tokens)
        maps = self.extractor(maps, tokens, grid, shapes)
        for more in self.extra_extractors if self.is_last else ():
            maps = more(maps, tokens, grid, shapes)
        return tokens, maps


class AdaptedViT(VisionTransformer):
    """The encoder: maps at 1/2, 1/4, 1/8 and 1/16 of the image, each of the width of a token.

    Parameters
    ----------
    num_tissues
        Classes of the head on the class token; 0 for none. The token passes by the blocks, so that what the head says
        is the same for every image: it is kept for the state dict, and not offered.
    inner, deform_heads, points, ratio, ffn
        Width of the first convolutions; heads, places, width of the values of the exchange, and hidden width of its
        feed-forward layers, the last two relative to `dim`.
    config
        As `VisionTransformer`.
    """

    def __init__(
        self,
        num_tissues: int = 0,
        inner: int = 64,
        deform_heads: int = 8,
        points: int = 4,
        ratio: float = 0.5,
        ffn: float = 0.25,
        **config: Any,
    ) -> None:
        super().__init__(**config)
        depth, dim = len(self.blocks), self.dim
        if depth % GROUPS:
            raise WeightsError(f"an encoder of {depth} blocks: a multiple of {GROUPS} was expected")
        self.config |= {
            "num_tissues": num_tissues, "inner": inner, "deform_heads": deform_heads, "points": points, "ratio": ratio,
            "ffn": ffn,
        }  # fmt: skip
        self.level_embed = nn.Parameter(torch.zeros(3, dim))
        self.spm = SpatialPrior(inner, dim)
        rate = config.get("drop_path", 0.0)
        self.interactions = nn.ModuleList(
            Interaction(dim, deform_heads, points, ratio, ffn, rate, i == GROUPS - 1) for i in range(GROUPS)
        )
        self.up = nn.ConvTranspose2d(dim, dim, 2, 2)
        self.norm1, self.norm2 = nn.BatchNorm2d(dim), nn.BatchNorm2d(dim)
        self.norm3, self.norm4 = nn.BatchNorm2d(dim), nn.BatchNorm2d(dim)
        if num_tissues:
            self.head = nn.Linear(dim, num_tissues)
        nn.init.normal_(self.level_embed)
        for module in self.spm.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``(B, 3, H, W)`` to ``(B, D, H/2, W/2)``, ... ``(B, D, H/16, W/16)``; sides must be multiples of a patch.

        Raises
        ------
        WeightsError
            They are not.
        """
        rows, columns = x.shape[-2:]
        patch = self.patch_size
        if rows % patch or columns % patch or not rows or not columns:
            raise WeightsError(
                f"an image of {rows} x {columns} pixels for a network with patches of {patch}: both sides must be "
                "multiples of the patch"
            )
        grid = rows // patch, columns // patch
        finest, *coarser = self.spm(x)
        shapes = [(int(one.shape[2]), int(one.shape[3])) for one in coarser]
        maps = torch.cat([one.flatten(2).transpose(1, 2) + self.level_embed[i] for i, one in enumerate(coarser)], 1)
        tokens = self.patch_embed(x) + self.positions(grid)[:, 1:]
        each = len(self.blocks) // GROUPS
        seen = []
        for i, meeting in enumerate(self.interactions):
            tokens, maps = meeting(tokens, maps, self.blocks[i * each : (i + 1) * each], grid, shapes)
            seen.append(tokens.transpose(1, 2).unflatten(-1, grid))
        parts = torch.split(maps, [r * c for r, c in shapes], 1)
        two, three, four = (p.transpose(1, 2).reshape(len(x), -1, *s) for p, s in zip(parts, shapes, strict=True))
        one = self.up(two) + finest
        found = [
            level + _enlarged(token, factor)
            for level, token, factor in zip((one, two, three, four), seen, (8, 4, 2, 1), strict=True)
        ]
        first, second, third, fourth = found
        return self.norm1(first), self.norm2(second), self.norm3(third), self.norm4(fourth)

    def tissue(self) -> Tensor:
        """What the head on the class token says of every image alike: ``(1, num_tissues)``."""
        token = self.norm(self.cls_token[:, 0] + self.pos_embed[:, 0])
        found: Tensor = self.head(token)
        return found


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
