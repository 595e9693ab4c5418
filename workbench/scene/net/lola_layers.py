"""The layers of `workbench.scene.net.lola_specvit`: adapters, gate, SwiGLU, window attention, down-sampling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PublishedLoraLinear(nn.Module):
    """W x + b + sigmoid(G x) * (alpha / r) B A x + R x, with full-rank G and R if `enhanced`."""

    def __init__(self, fan_in: int, fan_out: int, r: int, alpha: float, enhanced: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out)
        self.lora_down = nn.Linear(fan_in, r, bias=False)
        self.lora_up = nn.Linear(r, fan_out, bias=False)
        if enhanced:
            self.lora_gate = nn.Linear(fan_in, fan_out, bias=False)
            self.lora_residual = nn.Linear(fan_in, fan_out, bias=False)
        self.enhanced = enhanced
        self.lora_scale = alpha / r

    def forward(self, x: Tensor) -> Tensor:
        low = self.lora_up(self.lora_down(x)) * self.lora_scale
        if self.enhanced:
            low = torch.sigmoid(self.lora_gate(x)) * low + self.lora_residual(x)
        out = self.linear(x) + low
        assert isinstance(out, Tensor)
        return out


class SqueezeExcite(nn.Module):
    """Channel gate from pooled channels (B, C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = max(1, dim // 16)
        self.fc = nn.Sequential(
            nn.Linear(dim, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, dim, bias=False), nn.Sigmoid()
        )

    def gate(self, pooled: Tensor) -> Tensor:
        out = self.fc(pooled)
        assert isinstance(out, Tensor)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) times its gate."""
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class SwiGLU(nn.Module):
    """w3(silu(w1 x) * w2 x)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, dim)
        self.w2 = nn.Linear(dim, dim)
        self.w3 = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out = self.w3(F.silu(self.w1(x)) * self.w2(x))
        assert isinstance(out, Tensor)
        return out


class WindowAttention(nn.Module):
    """Self-attention inside square windows with a relative position bias."""

    def __init__(self, dim: int, num_heads: int, window: int, linear: Any) -> None:
        super().__init__()
        self.num_heads, self.window = num_heads, window
        self.scale = (dim // num_heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, num_heads))
        row, column = (v.flatten() for v in torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
        rows = row[:, None] - row[None, :] + window - 1
        columns = column[:, None] - column[None, :] + window - 1
        self.register_buffer("relative_position_index", rows * (2 * window - 1) + columns)
        self.qkv = linear(dim, 3 * dim)
        self.proj = linear(dim, dim)

    def forward(self, x: Tensor, blocked: Tensor | None = None) -> Tensor:
        """(windows, tokens, C); `blocked` (windows per image, tokens) marks keys that nobody may attend to."""
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.num_heads, c // self.num_heads).permute(2, 0, 3, 1, 4)
        index = self.relative_position_index
        assert isinstance(index, Tensor)
        bias = self.relative_position_bias_table[index.flatten()].view(n, n, -1).permute(2, 0, 1).to(q.dtype)[None]
        if blocked is not None:
            bias = bias.masked_fill(blocked[:, None, None, :], -torch.inf)
            bias = bias.repeat(b // len(blocked), 1, 1, 1) if len(blocked) > 1 else bias
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=self.scale)
        out = self.proj(out.transpose(1, 2).reshape(b, n, c))
        assert isinstance(out, Tensor)
        return out


class DropPath(nn.Module):
    """Leave out a whole branch for some samples while training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * (x.new_empty(len(x), *(1,) * (x.ndim - 1)).bernoulli_(keep) / keep)


class Block(nn.Module):
    """Pre-norm transformer block on (B, H, W, C)."""

    def __init__(
        self, dim: int, num_heads: int, window: int, mlp_ratio: float, drop: float, linear: Any, mask_padding: bool
    ) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.window, self.mask_padding = window, mask_padding
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, window, linear)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(linear(dim, hidden), SwiGLU(hidden), nn.Identity(), linear(hidden, dim))
        self.drop_path = DropPath(drop)

    def _attend(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        n = self.window
        if (h, w) == (n, n):
            return self.attn(x.reshape(b, n * n, c)).view(b, h, w, c)  # type: ignore[no-any-return]
        down, right = -h % n, -w % n
        blocked = None
        if self.mask_padding and (down or right):
            real = F.pad(x.new_ones(1, h, w, 1), (0, 0, 0, right, 0, down))
            blocked = to_windows(real, n)[..., 0] == 0
        windows = to_windows(F.pad(x, (0, 0, 0, right, 0, down)), n)
        return from_windows(self.attn(windows, blocked), n, h + down, w + right)[:, :h, :w]

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self._attend(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


def to_windows(x: Tensor, n: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, n * n, C); H and W are multiples of n."""
    b, h, w, c = x.shape
    return x.view(b, h // n, n, w // n, n, c).transpose(2, 3).reshape(-1, n * n, c)


def from_windows(windows: Tensor, n: int, h: int, w: int) -> Tensor:
    """The inverse of `to_windows`."""
    c = windows.shape[-1]
    return windows.view(-1, h // n, w // n, n, n, c).transpose(2, 3).reshape(-1, h, w, c)


class Down(nn.Module):
    """Half the size, twice the channels; channel first."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(dim, dim, 3, 1, 1, groups=dim, bias=False),
            nn.SiLU(),
            SqueezeExcite(dim),
            nn.Conv2d(dim, 2 * dim, 1, bias=False),
        )
        self.norm = nn.BatchNorm2d(2 * dim)
        self.reduction = nn.Conv2d(2 * dim, 2 * dim, 3, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.reduction(self.norm(self.conv(x)))
        assert isinstance(out, Tensor)
        return out
