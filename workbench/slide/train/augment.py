"""Crops of tiles as a pre-training sees them: on batches of tensors, decided by a generator alone.

The colour of a stain is the signal of immunohistochemistry and special stains: brown must stay brown, blue blue. So hue
turns by a few degrees at most, nothing is made grey, and haematoxylin, eosin and DAB vary in strength along their own
colours, as staining does (`workbench.slide.train.hed`). Tissue has no up: crops are turned by quarters and mirrored. M.
Caron et al., arXiv 2104.14294, has crops, blur and solarising.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.slide.train.hed import restained

_APART = 0.04
"""Change of the strength of the stains against each other, as a share."""
_LIGHT = 0.04
"""Change of the light of the lamp, as a share."""
_SIGMA = (0.1, 2.0)
_TAIL = 1e-6


@dataclass(frozen=True)
class Recipe:
    """How one kind of crop is made.

    Parameters
    ----------
    size
        Side in pixels.
    scale
        Smallest and largest share of the area of the tile.
    hue, stain
        Largest turn of hue [turns], and largest change of optical density [share].
    blur, solarise
        Shares of the crops that are blurred and solarised.
    """

    size: int
    scale: tuple[float, float]
    hue: float = 0.01
    stain: float = 0.15
    blur: float = 0.5
    solarise: float = 0.0


def as_tensor(tiles: npt.NDArray[np.uint8]) -> Tensor:
    """Tiles ``(B, rows, columns, 3)`` as ``(B, 3, rows, columns)``."""
    return torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)))


def crop(tiles: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """A random crop of each tile: ``(B, 3, H, W)`` of 8 bits or 0..1 -> ``(B, 3, size, size)`` float32, -1 to 1.

    Parameters
    ----------
    generator
        On the CPU: what is drawn is the same for every device.
    """
    x = tiles.float() / 255 if tiles.dtype == torch.uint8 else tiles.float()
    x = resized(x, recipe, generator)
    x = stained(x, recipe.stain, recipe.hue, generator)
    if recipe.solarise:
        chosen = (_uniform(len(x), generator) < recipe.solarise).to(x.device).view(-1, 1, 1, 1)
        x = torch.where(chosen & (x >= 0.5), 1 - x, x)
    return (x - 0.5) / 0.5


def resized(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Random rectangles (sides 3:4 to 4:3), turned and mirrored, blurred, at the size of the recipe: ``(B, C, S, S)``.

    Everything is one matrix for rows and one for columns, with a triangular filter as wide as the pixels are.
    """
    count, _, rows, columns = x.shape
    low, high = recipe.scale
    area = low + (high - low) * _uniform(count, generator)
    shape = torch.exp((2 * _uniform(count, generator) - 1) * math.log(4 / 3)).sqrt()
    height = (area.sqrt() * shape).clamp(max=1) * rows
    width = (area.sqrt() / shape).clamp(max=1) * columns
    top = _uniform(count, generator) * (rows - height)
    left = _uniform(count, generator) * (columns - width)
    flips = _uniform(3 * count, generator).view(3, count) < 0.5
    sigma = _SIGMA[0] + (_SIGMA[1] - _SIGMA[0]) * _uniform(count, generator)
    sigma = torch.where(_uniform(count, generator) < recipe.blur, sigma, torch.zeros(count))
    down = _blurred(_matrix(top, height, rows, recipe.size, flips[0]), sigma)
    across = _blurred(_matrix(left, width, columns, recipe.size, flips[1]), sigma)
    found = down.to(x.device)[:, None] @ x @ across.to(x.device)[:, None].transpose(2, 3)
    turned = flips[2].to(x.device).view(-1, 1, 1, 1)
    return torch.where(turned, found.transpose(2, 3), found)


def stained(x: Tensor, stain: float, hue: float, generator: torch.Generator) -> Tensor:
    """Other strengths of staining, a little turn of hue and another lamp: ``(B, 3, H, W)`` of 0..1 to the same.

    Strength is a factor of the amounts of haematoxylin, eosin and DAB, nearly the same for all three: it makes brown
    lighter or darker brown, and leaves glass white.
    """
    count = len(x)
    strength = 1 + stain * (2 * _uniform(count, generator) - 1)
    apart = 1 + _APART * (2 * _uniform(3 * count, generator).view(count, 3) - 1)
    light = 1 - _LIGHT * _uniform(count, generator)
    angle = 2 * math.pi * hue * (2 * _uniform(count, generator) - 1)
    found = restained(x, (strength[:, None] * apart).to(x.device)) * light.to(x.device).view(-1, 1, 1, 1)
    return torch.einsum("bij,bjhw->bihw", hue_turn(angle).to(x.device), found).clamp(0, 1)


def hue_turn(angle: Tensor) -> Tensor:
    """Rotations of red, green and blue about grey by angles ``(B,)`` in radians: ``(B, 3, 3)``; grey stays grey."""
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1) / math.sqrt(3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    return cos * torch.eye(3) + (1 - cos) * torch.full((3, 3), 1 / 3) + sin * cross


def _matrix(start: Tensor, length: Tensor, pixels: int, size: int, flip: Tensor) -> Tensor:
    """Weights ``(B, size, pixels)`` that make `size` samples of `pixels`, from `start` over `length` pixels."""
    step = (length / size).view(-1, 1, 1)
    places = start.view(-1, 1, 1) + (torch.arange(size).view(1, -1, 1) + 0.5) * step
    reach = step.clamp(min=1)
    weights = (1 - ((torch.arange(pixels).view(1, 1, -1) + 0.5 - places) / reach).abs()).clamp(min=0)
    weights = weights / weights.sum(2, keepdim=True)
    return torch.where(flip.view(-1, 1, 1), weights.flip(1), weights)


def _blurred(matrix: Tensor, sigma: Tensor) -> Tensor:
    """The same followed by a Gaussian of `sigma` samples ``(B,)``; 0 is none."""
    size = matrix.shape[1]
    distance = torch.arange(size).view(-1, 1) - torch.arange(size).view(1, -1)
    wide = sigma.clamp(min=_TAIL).view(-1, 1, 1)
    kernel = torch.exp(-0.5 * (distance / wide) ** 2)
    return (kernel / kernel.sum(2, keepdim=True)) @ matrix


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)
