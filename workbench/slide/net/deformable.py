"""Attention that looks at a few places: every query samples each map of values around its own position.

X. Zhu et al., "Deformable DETR", ICLR 2021, arXiv 2010.04159. Sampling is `torch.nn.functional.grid_sample`, so that it
runs wherever torch does; it is done in float32 under any precision, as places in bfloat16 are pixels off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int]


class DeformableAttention(nn.Module):
    """From values on one or several maps to queries anywhere: ``(B, Q, D)``.

    Parameters
    ----------
    dim, num_heads, levels, points
        Width of a token, heads, maps of values, places that a head looks at on each map.
    ratio
        Width of the values relative to `dim`.
    """

    def __init__(self, dim: int, num_heads: int, levels: int, points: int = 4, ratio: float = 1.0) -> None:
        super().__init__()
        width = int(dim * ratio)
        self.num_heads, self.levels, self.points = num_heads, levels, points
        self.sampling_offsets = nn.Linear(dim, num_heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, num_heads * levels * points)
        self.value_proj = nn.Linear(dim, width)
        self.output_proj = nn.Linear(width, dim)
        self._initialise()

    def _initialise(self) -> None:
        """Heads look into directions of their own, points farther and farther; all places count alike."""
        nn.init.zeros_(self.sampling_offsets.weight)
        angle = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        direction = torch.stack([angle.cos(), angle.sin()], -1)
        direction = direction / direction.abs().max(-1, keepdim=True).values
        step = torch.arange(1, self.points + 1)[:, None]
        places = (direction[:, None, None] * step).expand(-1, self.levels, -1, -1)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(places.reshape(-1))
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, query: Tensor, places: Tensor, values: Tensor, shapes: Sequence[Shape]) -> Tensor:
        """Mix values into queries.

        Parameters
        ----------
        query
            ``(B, Q, D)``.
        places
            ``(Q, 2)``: (x, y) of every query, 0 to 1 from edge to edge of the maps.
        values
            ``(B, sum of rows * columns, D)``: the maps one after the other, row by row.
        shapes
            (rows, columns) of each map.
        """
        count, length, _ = query.shape
        heads, levels, points = self.num_heads, self.levels, self.points
        value = self.value_proj(values).float()
        value = value.reshape(count, value.shape[1], heads, -1).permute(0, 2, 3, 1).flatten(0, 1)
        offsets = self.sampling_offsets(query).float().reshape(count, length, heads, levels, points, 2)
        weights = self.attention_weights(query).float().reshape(count, length, heads, levels * points).softmax(-1)
        seen = []
        start = 0
        for level, (rows, columns) in enumerate(shapes):
            size = offsets.new_tensor((columns, rows))
            where = places[None, :, None, None].float() + offsets[:, :, :, level] / size
            grid = (2 * where - 1).transpose(1, 2).flatten(0, 1)  # (B * heads, Q, points, 2)
            one = value[..., start : start + rows * columns].unflatten(-1, (rows, columns))
            seen.append(F.grid_sample(one, grid, mode="bilinear", padding_mode="zeros", align_corners=False))
            start += rows * columns
        weights = weights.transpose(1, 2).flatten(0, 1)[:, None]  # (B * heads, 1, Q, levels * points)
        mixed = (torch.cat(seen, -1) * weights).sum(-1)  # (B * heads, width / heads, Q)
        out: Tensor = self.output_proj(mixed.reshape(count, -1, length).transpose(1, 2).to(query.dtype))
        return out


def centres(shapes: Sequence[Shape], like: Tensor) -> Tensor:
    """(x, y) of the middle of every cell of some maps, 0 to 1: ``(sum of rows * columns, 2)``."""
    found = []
    for rows, columns in shapes:
        y = (torch.arange(rows, device=like.device, dtype=torch.float32) + 0.5) / rows
        x = (torch.arange(columns, device=like.device, dtype=torch.float32) + 0.5) / columns
        found.append(torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], -1).reshape(-1, 2))
    return torch.cat(found)
