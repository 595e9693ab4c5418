"""How an encoder sees a tile: size, filter, mean and deviation. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

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
    rows, columns = tile.shape[:2]
    size, short = view.size, math.floor(view.size / view.crop)
    if (rows, columns) != (size, size) or short != size:
        scale = short / min(rows, columns)
        wide, high = max(short, round(columns * scale)), max(short, round(rows * scale))
        tile = _resized(tile, (high, wide), view.filter)
        top, left = round((high - size) / 2), round((wide - size) / 2)
        tile = tile[top : top + size, left : left + size]
    seen = np.empty((3, size, size), np.float32)
    for channel, values in enumerate(_values(view)):
        np.take(values, tile[..., channel], out=seen[channel], mode="clip")
    return seen


def _resized(tile: npt.NDArray[np.uint8], size: tuple[int, int], how: str) -> npt.NDArray[np.uint8]:
    if how == "bicubic":
        from workbench.slide.data.bicubic import resized

        return resized(tile, size)
    from PIL import Image as Pillow

    return np.asarray(Pillow.fromarray(tile).resize(size[::-1], Pillow.Resampling[how.upper()]))


@lru_cache(maxsize=8)
def _values(view: View) -> npt.NDArray[np.float32]:
    """What each of the 256 values of red, green and blue becomes: ``(3, 256)``."""
    values = np.arange(256).astype(np.float32) / np.float32(255)
    mean, std = (np.array(v, np.float32)[:, None] for v in (view.mean, view.std))
    return (values - mean) / std
