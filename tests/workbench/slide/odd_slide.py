"""A slide as scanners make them: longer than wide, pixels not quite square, scanned off its centre, levels of no whole
step. What takes x for y, or rounds a step, shows on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Image
from workbench.slide.data.scale import Scale
from workbench.slide.data.wsi import CHANNELS, image_from

SIZES = (4500, 6500), (1121, 1619)
"""(rows, columns) of its levels."""
STEPS = 1.0, 4.016
MPP = 0.5, 0.504
"""Along (x, y)."""
BOUNDS = 700, 300, 3800, 6000
"""(row, column, height, width); it ends at the last row, not at the last column."""


def odd_image(bounds: tuple[int, int, int, int] | None = BOUNDS) -> Image:
    """It as an image, white all over."""

    def read(level: int, row: int, column: int, height: int, width: int) -> np.ndarray:
        return np.full((height, width, 3), 255, np.uint8)

    levels = tuple(Level(size, step) for size, step in zip(SIZES, STEPS, strict=True))
    pyramid = Pyramid(levels, read, np.dtype(np.uint8), CHANNELS, MPP, "openslide.mpp-x, -y", bounds)
    return image_from(pyramid, Path("odd.mrxs"), Scale(MPP, "openslide.mpp-x, -y"), "mirax")
