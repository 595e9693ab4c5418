"""What classifiers of pages learn from: pictures or leads with their class, and how they are varied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from workbench.page.layouts import layouts
from workbench.page.leads import STANDARD
from workbench.page.net.lead_net import RATE, SECONDS
from workbench.page.net.run import as_input

Integers = npt.NDArray[np.int64]

_SHIFT, _ZOOM, _TURN = 0.008, 0.015, 0.006
"""Of pictures: how far they are moved (share of their width), scaled, and turned [radians]; never mirrored."""
_HIDDEN = 0.75
"""Share of records of which no more is shown than some layout of a page shows."""
_GREY = 0.25


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs and their classes.

    Parameters
    ----------
    inputs
        Pictures ``(n, height, width, 3)`` uint8, or leads ``(n, 12, samples)`` float32 (see
        `workbench.page.diagnose.leads.lead_array`).
    truth
        ``(n,)`` number of the class.
    """

    inputs: npt.NDArray[Any]
    truth: Integers

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def are_pictures(self) -> bool:
        return self.inputs.dtype == np.uint8

    def some(self, numbers: Integers) -> Examples:
        """Those of these numbers."""
        return Examples(self.inputs[numbers], self.truth[numbers])

    def batch(self, numbers: Integers) -> tuple[Tensor, Tensor]:
        """As networks take them: pictures ``(b, 3, height, width)``, 0 to 255, or leads; float32."""
        return as_input(self.inputs[numbers]), torch.from_numpy(self.truth[numbers])


def varied(inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Inputs as other pages of the same hearts would give them: time never runs back, and nothing is turned over."""
    return _varied_pictures(inputs, rng) if inputs.ndim == 4 else _varied_leads(inputs, rng)


def _varied_pictures(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    count, _, height, width = pictures.shape
    turn, zoom = rng.normal(0, _TURN / 2, count), 1 + rng.uniform(-_ZOOM, _ZOOM, (count, 2))
    theta = np.zeros((count, 2, 3), np.float32)
    ratio = height / width
    theta[:, 0, 0], theta[:, 0, 1] = np.cos(turn) * zoom[:, 0], -np.sin(turn) * ratio
    theta[:, 1, 0], theta[:, 1, 1] = np.sin(turn) / ratio, np.cos(turn) * zoom[:, 1]
    theta[:, :, 2] = rng.uniform(-2 * _SHIFT, 2 * _SHIFT, (count, 2))
    grid = affine_grid(torch.from_numpy(theta), [count, 3, height, width], align_corners=False)
    moved = grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    grey = torch.from_numpy(rng.random(count) < _GREY)[:, None, None, None]
    moved = torch.where(grey, moved.mean(1, keepdim=True).expand_as(moved), moved)
    contrast = torch.from_numpy(rng.uniform(0.75, 1.25, (count, 1, 1, 1)).astype(np.float32))
    light = torch.from_numpy(rng.normal(0, 10, (count, 3, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal((count, 1, height, width), np.float32))
    size = torch.from_numpy(rng.uniform(0, 5, (count, 1, 1, 1)).astype(np.float32))
    return ((moved - 200) * contrast + 200 + light + size * noise).clamp(0, 255)


def _varied_leads(leads: Tensor, rng: np.random.Generator) -> Tensor:
    out = leads.clone()
    count, rows, samples = out.shape
    for n in range(count):
        if rng.random() < _HIDDEN:
            hidden = torch.from_numpy(~shown_of(str(rng.choice(list(layouts()))), samples))
            covered = torch.isfinite(out[n]) & ~hidden
            if covered.any():  # else its page shows other times already
                out[n][hidden] = torch.nan
    gain = rng.normal(1, 0.04, (count, 1, 1)) * rng.normal(1, 0.02, (count, rows, 1))
    offset = rng.normal(0, 0.02, (count, rows, 1))
    noise = rng.standard_normal((count, rows, samples)) * rng.uniform(0, 0.03, (count, 1, 1))
    return out * torch.from_numpy(gain).float() + torch.from_numpy(offset + noise).float()


def shown_of(layout: str, samples: int) -> npt.NDArray[np.bool_]:
    """Which samples of the twelve leads a page of a layout shows: ``(12, samples)``."""
    out = np.zeros((len(STANDARD), samples), bool)
    for cell in layouts()[layout].cells():
        name = cell.lead.lstrip("-")
        if name in STANDARD:
            first, last = (round(t * RATE) for t in cell.times(SECONDS))
            out[STANDARD.index(name), first:last] = True
    return out
