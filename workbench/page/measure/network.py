"""The network that finds P, QRS and T in each lead: a small U-Net whose leads tell each other what they see.

A U-Net over time (Ronneberger et al. 2015, arXiv 1505.04597; Moskalenko et al. 2019, arXiv 1911.00587, delineate
electrocardiograms by one) looks at every lead with the same weights. At each level the mean over the leads that are
there is added to every one of them (Zaheer et al. 2017, Deep Sets, arXiv 1703.06114). So the order and the number of
leads do not matter: one lead alone works, and so do leads that were written one after the other.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

RATE = 250.0
"""Samples per second [Hz] of what goes in and comes out."""
STEP = 32
"""The number of samples that goes in is a multiple of this."""
CLASSES = ("none", "P", "QRS", "T")


def _split(x: Tensor, leads: int) -> Tensor:
    """(batch * leads, channels, samples) -> (batch, leads, channels, samples)."""
    return x.reshape(-1, leads, *x.shape[1:])


class Block(nn.Module):
    """Two convolutions over time; between them each lead hears the mean of all leads that are there."""

    def __init__(self, entering: int, leaving: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        half = kernel // 2
        self.first = nn.Conv1d(entering, leaving, kernel, stride, half, bias=False)
        self.first_norm = nn.BatchNorm1d(leaving)
        self.hear = nn.Conv1d(leaving, leaving, 1, bias=False)
        self.second = nn.Conv1d(leaving, leaving, kernel, 1, half, bias=False)
        self.second_norm = nn.BatchNorm1d(leaving)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(batch, leads, channels, samples) and (batch, leads, 1, samples) -> (batch, leads, channels, samples)."""
        leads = x.shape[1]
        x = _split(torch.relu(self.first_norm(self.first(x.flatten(0, 1)))), leads) * there
        mean = x.sum(1) / there.sum(1).clamp_min(1.0)
        x = x + self.hear(mean)[:, None]
        kept = x
        x = _split(self.second_norm(self.second(x.flatten(0, 1))), leads)
        return torch.relu(kept + x) * there


class WaveNet(nn.Module):
    """Probability of P, QRS and T, and of their peaks, for each lead and sample.

    Parameters
    ----------
    widths
        Channels of each level; the first is at half the rate.
    kernel
        Samples that a convolution sees.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 20, 24, 24, 26), kernel: int = 7) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"widths": list(widths), "kernel": kernel}
        enters = (2, *widths[:-1])
        self.down = nn.ModuleList([Block(a, b, kernel, 2) for a, b in zip(enters, widths, strict=True)])
        self.up = nn.ModuleList(
            [Block(above + same, same, 5) for above, same in zip(widths[:0:-1], widths[-2::-1], strict=True)]
        )
        self.head = nn.Conv1d(widths[0], 2 * (len(CLASSES) + 3), 5, padding=2)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Leads to logits.

        Parameters
        ----------
        x
            ``(batch, leads, samples)`` at `RATE`, prepared; samples a multiple of `STEP`.
        there
            Same shape: 1 where a lead was seen, 0 where not.

        Returns
        -------
        Tensor
            ``(batch, leads, 7, samples)``: logits of `CLASSES`, then of the peaks of P, QRS and T.
        """
        batch, leads, samples = x.shape
        mask = there[:, :, None]
        h = torch.stack([x * there, there], 2)
        levels: list[tuple[Tensor, Tensor]] = []
        for block in self.down:
            mask = _split(torch.nn.functional.max_pool1d(mask.flatten(0, 1), 2), leads)
            h = block(h, mask)
            levels.append((h, mask))
        for block, (same, mask) in zip(self.up, levels[-2::-1], strict=True):
            wide = h.repeat_interleave(2, -1)
            h = block(torch.cat([wide, same], 2), mask)
        out: Tensor = self.head(h.flatten(0, 1))  # two samples out of each step of the first level
        return out.reshape(batch, leads, 7, 2, samples // 2).transpose(3, 4).reshape(batch, leads, 7, samples)
