"""A small U-Net that looks at a rectified page and says where traces, pulses and words are, and what leads are called.

Ronneberger et al. 2015 (arXiv:1505.04597), with pixels folded into channels at the entrance and unfolded at the exit
(Shi et al. 2016, arXiv:1609.05158): most work is done at half resolution, and columns come out twice as dense as they
went in, because steep strokes of the QRS complex need them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "-aVR")
"""Order of the channels of `PageMaps.names`."""
MULTIPLE = 32
"""Height and width of what goes in are multiples of it."""
FINER = 2
"""Columns that come out for one that goes in."""


@dataclass(frozen=True)
class PageNetConfig:
    """Widths of the levels, at 1/2, 1/4, 1/8, 1/16 of the resolution."""

    widths: tuple[int, ...] = (24, 40, 64, 96)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PageMaps:
    """What the network says of pages, as logits.

    Parameters
    ----------
    trace, pulse
        ``(pages, rows, 2 * columns)``: the middle line of traces, and of calibration pulses.
    words
        ``(pages, rows / 2, columns / 2)``: anything printed or written but traces and grid.
    names
        ``(pages, 13, rows / 8, columns / 8)``: middles of the names of leads, in the order of `LEADS`.
    """

    trace: Tensor
    pulse: Tensor
    words: Tensor
    names: Tensor


class PageNet(nn.Module):
    """See the module. Input ``(pages, 3, rows, columns)`` float, 0 to 1, at 8 pixels a millimetre."""

    def __init__(self, config: PageNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or PageNetConfig()
        a, *rest = self.config.widths
        self.stem = _block(12, a)
        widths = (a, *rest)
        self.down = nn.ModuleList(_block(widths[i], widths[i + 1]) for i in range(len(rest)))
        self.up = nn.ModuleList(_block(widths[i + 1] + widths[i], widths[i]) for i in reversed(range(len(rest))))
        self.line = nn.Conv2d(a, 2 * 2 * 2 * FINER, 3, padding=1)
        self.words = nn.Conv2d(a, 1, 3, padding=1)
        self.names = nn.Sequential(_block(widths[2], widths[2]), nn.Conv2d(widths[2], len(LEADS), 1))
        # Most of a page is paper.
        for layer, bias in ((self.line, -3.0), (self.names[1], -5.0)):
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, bias)

    def forward(self, pages: Tensor) -> PageMaps:
        x = self.stem(F.pixel_unshuffle(pages * 2 - 1, 2))
        kept = []
        for down in self.down:
            kept.append(x)
            x = down(F.max_pool2d(x, 2))
        names = None
        for up in self.up:
            other = kept.pop()
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), other], dim=1))
            if len(kept) == 2:
                names = self.names(x)
        assert names is not None
        lines = _unfold(self.line(x))
        return PageMaps(lines[:, 0], lines[:, 1], self.words(x)[:, 0], names)


def _unfold(x: Tensor) -> Tensor:
    """``(n, 2 * 2 * 4, h, w)`` to ``(n, 2, 2 h, 4 w)``: two maps, two rows and four columns of each."""
    n, _, h, w = x.shape
    folded = x.view(n, 2, 2, 2 * FINER, h, w).permute(0, 1, 4, 2, 5, 3)
    return folded.reshape(n, 2, 2 * h, 2 * FINER * w)


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
    )  # fmt: skip
