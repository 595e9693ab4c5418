"""Pictures with labelled nuclei as a training sees them: crops at random places, turned, scaled and stained anew.

Every batch is a function of its number. Stains vary along their own colours; see `workbench.slide.train.hed`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.slide.predict.traced import parted
from workbench.slide.train.hed import restained
from workbench.slide.train.nuclei_loss import Truth
from workbench.slide.train.targets import distances


@dataclass(frozen=True, eq=False)
class Field:
    """A picture with its nuclei.

    Parameters
    ----------
    image
        ``(H, W, 3)`` uint8.
    labels
        ``(H, W)`` int32: the number of the nucleus, 0 for none.
    types
        ``(H, W)`` class of every pixel, 0 for none; or ``None`` where all nuclei are of class 1.
    """

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    types: npt.NDArray[np.integer] | None = None


@dataclass(frozen=True)
class Variation:
    """How much crops differ from their pictures.

    Parameters
    ----------
    zoom
        Smallest and largest magnification.
    stain, shift
        Change of the strength of each stain as a share, and of its density everywhere.
    blur, noise
        Largest deviation of a Gaussian in pixels, and of the noise as a share of white; half of the crops get either.
    """

    zoom: tuple[float, float] = (0.7, 1.5)
    stain: float = 0.25
    shift: float = 0.04
    blur: float = 1.2
    noise: float = 0.03


def draw(
    fields: Sequence[Field], step: int, *, count: int, size: int, seed: int = 0, variation: Variation | None = None
) -> tuple[Tensor, Truth]:
    """Batch number `step`: images ``(count, 3, size, size)`` float32 from -1 to 1, and what is right for them."""
    how = variation or Variation()
    generator = torch.Generator().manual_seed((step + 1_000_003 * seed) % (1 << 32))  # only 32 bits of it count
    chosen = torch.randint(len(fields), (count,), generator=generator).tolist()
    images, labels, types = [], [], []
    for number in chosen:
        image, own, kinds = _cropped(fields[number], size, how, generator)
        images.append(image)
        labels.append(own)
        types.append(kinds)
    x = _restained(torch.stack(images), how, generator)
    for i in range(count):
        x[i] = _blurred(x[i], how, generator)
    own = np.stack(labels)
    hv = torch.from_numpy(np.stack([distances(one) for one in labels]))
    truth = Truth(torch.from_numpy(own > 0), hv, torch.from_numpy(np.stack(types)).long())
    return (x - 0.5) / 0.5, truth


def _cropped(
    field: Field, size: int, how: Variation, generator: torch.Generator
) -> tuple[Tensor, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """One crop as ``(3, size, size)`` from 0 to 1, its nuclei, its classes; beyond the picture it is mirrored."""
    rows, columns = field.labels.shape
    zoom, angle, y, x, flip = torch.rand(5, generator=generator).tolist()
    low, high = how.zoom
    scale = size / math.exp(math.log(low) + zoom * math.log(high / low))  # pixels of the picture along a crop
    turn = 2 * math.pi * angle
    # Half sides of the crop as shares of the picture; its middle stays so far from the edges where there is room.
    half_y, half_x = scale / rows, scale / columns
    middle = [(2 * v - 1) * max(0.0, 1 - half) for v, half in ((y, half_y), (x, half_x))]
    mirror = -1.0 if flip < 0.5 else 1.0
    cos, sin = math.cos(turn), math.sin(turn)
    matrix = torch.tensor([[
        [mirror * cos * half_x, -sin * half_x, middle[1]], [mirror * sin * half_y, cos * half_y, middle[0]]
    ]])  # fmt: skip
    grid = F.affine_grid(matrix, [1, 1, size, size], align_corners=False)
    picture = torch.from_numpy(field.image.astype(np.float32).transpose(2, 0, 1))[None] / 255
    image = F.grid_sample(picture, grid, "bilinear", "reflection", align_corners=False)[0].clamp(0, 1)
    kinds = (field.labels > 0).astype(np.int32) if field.types is None else field.types
    maps = torch.from_numpy(np.stack([field.labels, kinds]).astype(np.float32))[None]
    found = F.grid_sample(maps, grid, "nearest", "reflection", align_corners=False)[0].numpy()
    labels = parted(np.rint(found[0]).astype(np.int32))
    return image, labels, np.where(labels > 0, np.rint(found[1]), 0).astype(np.int32)


def _restained(x: Tensor, how: Variation, generator: torch.Generator) -> Tensor:
    """Other strengths of the stains: ``(B, 3, H, W)`` from 0 to 1 to the same."""
    change = 2 * torch.rand(len(x), 3, 2, generator=generator) - 1
    return restained(x, 1 + how.stain * change[..., 0], how.shift * change[..., 1])


def _blurred(x: Tensor, how: Variation, generator: torch.Generator) -> Tensor:
    """A Gaussian for half of the crops, noise for half of them."""
    blur, width, noise, strength = torch.rand(4, generator=generator).tolist()
    if blur < 0.5 and how.blur:
        sigma = max(width * how.blur, 0.1)
        places = torch.arange(-4.0, 5.0)
        kernel = torch.exp(-0.5 * (places / sigma) ** 2)
        kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
        wide = F.pad(x[None], (4, 4, 4, 4), "reflect")
        x = F.conv2d(F.conv2d(wide, kernel, groups=3), kernel.transpose(2, 3), groups=3)[0]
    if noise < 0.5 and how.noise:
        x = x + how.noise * strength * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 1)
