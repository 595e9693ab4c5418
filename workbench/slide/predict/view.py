"""How an encoder sees a tile: size, filter, mean and deviation. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIZE = 224
"""Side of what StainNet sees, in pixels."""


@dataclass(frozen=True)
class View:
    """What becomes of a tile before the network; by default that of the StainNet card (arXiv 2512.10326).

    Parameters
    ----------
    size
        Side of what the network sees, in pixels.
    mean, std
        Of red, green and blue, on values from 0 to 1.
    filter
        ``"bicubic"``, ``"bilinear"`` or ``"lanczos"``, with antialiasing, on 8 bits, as Pillow does it.
    crop
        Share of the tile's side that is seen: its middle.
    """

    size: int = SIZE
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    filter: str = "bicubic"
    crop: float = 1.0


STAINNET = View()


def to_input(tile: npt.NDArray[np.uint8], view: View = STAINNET) -> npt.NDArray[np.float32]:
    """A tile ``(rows, columns, 3)`` of 8 bits as the network sees it: ``(3, size, size)`` float32.

    The short side becomes `View.size` / `View.crop`; the middle is taken.
    """
    from PIL import Image as Pillow

    rows, columns = tile.shape[:2]
    size, short = view.size, math.floor(view.size / view.crop)
    if (rows, columns) != (size, size) or short != size:
        scale = short / min(rows, columns)
        wide, high = max(short, round(columns * scale)), max(short, round(rows * scale))
        how = Pillow.Resampling[view.filter.upper()]
        tile = np.asarray(Pillow.fromarray(tile).resize((wide, high), how))
        top, left = round((high - size) / 2), round((wide - size) / 2)
        tile = tile[top : top + size, left : left + size]
    values = tile.astype(np.float32) / np.float32(255)
    scaled = (values - np.array(view.mean, np.float32)) / np.array(view.std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))
