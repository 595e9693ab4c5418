"""The loss of CellVTA: focal Tversky and Dice for where nuclei are, errors of distances and of their slopes, classes.

F. Hoerst et al., "CellViT", Med. Image Anal. 94:103143, 2024, with the weights of CellVTA (arXiv 2504.00784). The
published code takes a softmax of what is a softmax already in its Tversky terms, which flattens them; here they see
probabilities once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.slide.net.cellvta import Maps

_MISSED, _FALSE, _GAMMA = 0.7, 0.3, 4 / 3
_SMOOTH = 1e-3
_HV, _SLOPE = 2.5, 8.0
_ENTROPY, _DICE, _TVERSKY = 0.5, 0.2, 0.5


@dataclass(frozen=True)
class Truth:
    """What the maps should be.

    Parameters
    ----------
    nuclei
        ``(B, H, W)`` bool: where there is one.
    hv
        ``(B, 2, H, W)`` float32; see `workbench.slide.train.targets`.
    types
        ``(B, H, W)`` int64, 0 for no nucleus.
    """

    nuclei: Tensor
    hv: Tensor
    types: Tensor


def loss_of(maps: Maps, truth: Truth) -> Tensor:
    """The sum of all terms, a number."""
    nuclei = F.one_hot(truth.nuclei.long(), 2).permute(0, 3, 1, 2).float()
    classes = maps.types.shape[1]
    types = F.one_hot(truth.types, classes).permute(0, 3, 1, 2).float()
    binary = maps.nuclei.float().softmax(1)
    kinds = maps.types.float().softmax(1)
    found = tversky(binary, nuclei) + dice(binary, nuclei)
    found = found + _HV * F.mse_loss(maps.hv.float(), truth.hv) + _SLOPE * slopes(maps.hv.float(), truth)
    entropy = F.cross_entropy(maps.types.float(), truth.types)
    return found + _ENTROPY * entropy + _DICE * dice(kinds, types) + _TVERSKY * tversky(kinds, types)


def tversky(found: Tensor, right: Tensor) -> Tensor:
    """Focal Tversky loss (N. Abraham and N. Khan, ISBI 2019) of probabilities, over all classes at once."""
    hit = (found * right).sum()
    missed, false = ((1 - found) * right).sum(), (found * (1 - right)).sum()
    index = (hit + _SMOOTH) / (hit + _MISSED * missed + _FALSE * false + _SMOOTH)
    return (1 - index).clamp(min=0) ** _GAMMA


def dice(found: Tensor, right: Tensor) -> Tensor:
    """One minus Dice for each class, summed."""
    both = (found * right).sum((0, 2, 3))
    sizes = found.sum((0, 2, 3)) + right.sum((0, 2, 3))
    return (1 - (2 * both + _SMOOTH) / (sizes + _SMOOTH)).sum()


def slopes(hv: Tensor, truth: Truth) -> Tensor:
    """Mean squared error of the slopes of the distances, within nuclei."""
    kernel = _slope_kernel(hv)
    error = F.conv2d(hv - truth.hv, kernel, padding=2, groups=2)
    inside = truth.nuclei[:, None].float()
    return (error.square() * inside).sum() / (2 * inside.sum() + 1e-8)


def _slope_kernel(like: Tensor) -> Tensor:
    """5 x 5 weights that take the slope along rows, and along columns: ``(2, 1, 5, 5)``."""
    steps = torch.arange(-2.0, 3.0, device=like.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    square = x**2 + y**2
    square[2, 2] = 1
    return torch.stack([x / square, y / square])[:, None]
