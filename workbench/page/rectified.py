"""A page laid flat: the same number of pixels for every millimetre of paper, resampled once from those of the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

PER_MM = 8.0
"""Pixels a millimetre of a rectified page: 200 columns a second at 25 mm/s."""
_STEP = 16
Floats = npt.NDArray[np.floating[Any]]


def sample(
    pixels: npt.NDArray[np.uint8],
    to_pixels: Callable[[Floats], Floats],
    corner: tuple[float, float],
    rows: int,
    columns: int,
) -> npt.NDArray[np.uint8]:
    """Pixels at even steps on paper, bicubic; what lies beside the picture is as its edge.

    Parameters
    ----------
    pixels
        ``(height, width, 3)`` uint8.
    to_pixels
        From mm of paper ``(n, 2)`` to pixels.
    corner
        x and y on paper [mm] of the upper left outer corner of the first pixel that comes out.
    rows, columns
        Of what comes out; a pixel is ``1 / PER_MM`` mm wide.
    """
    import torch
    from torch.nn.functional import grid_sample, interpolate

    down, across = (int(np.ceil((n - 1) / _STEP)) + 1 for n in (rows, columns))
    gy, gx = np.mgrid[0:down, 0:across] * float(_STEP)
    paper = np.column_stack([(gx.ravel() + 0.5) / PER_MM + corner[0], (gy.ravel() + 0.5) / PER_MM + corner[1]])
    places = to_pixels(paper).reshape(down, across, 2)
    coarse = torch.from_numpy(np.ascontiguousarray(np.moveaxis(places, 2, 0))[None])
    size = ((down - 1) * _STEP + 1, (across - 1) * _STEP + 1)
    fine = interpolate(coarse, size=size, mode="bilinear", align_corners=True)[0, :, :rows, :columns]
    source: Any = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)))[None].float()
    height, width = pixels.shape[:2]
    per_pixel = float(np.median(np.hypot(*np.moveaxis(np.diff(places, axis=1), 2, 0)))) / _STEP
    if per_pixel > 1.3:  # fewer pixels come out than there are: what a pixel covers is averaged, not picked
        source = _blurred(source, per_pixel)
    half = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=fine.dtype)[:, None, None]
    grid = (fine / half - 1).permute(1, 2, 0)[None].float()
    found = grid_sample(source, grid, mode="bicubic", padding_mode="border", align_corners=True)
    out: npt.NDArray[np.uint8] = found[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return out


def _blurred(source: Any, per_pixel: float) -> Any:
    import torch
    from torch.nn.functional import conv2d

    sigma = 0.45 * float(np.sqrt(per_pixel**2 - 1))
    reach = int(np.ceil(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).repeat(3, 1, 1, 1)
    padded = torch.nn.functional.pad(source, (reach, reach, reach, reach), mode="replicate")
    return conv2d(conv2d(padded, taps, groups=3), taps.transpose(2, 3), groups=3)
