"""Slides for anybody's MONAI pipeline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from workbench.core.errors import UsageError
from workbench.core.pyramid import Level
from workbench.core.types import Image
from workbench.data.monai_reader import KindReader
from workbench.slide.data.scale import Scale
from workbench.slide.data.wsi import image_from


class SlideReader(KindReader):
    """Reads slides for ``monai.transforms.LoadImage``: ``(3, rows, columns)`` of 8 bits.

    What is loaded is one level, by default the finest; one of more than 1 GiB is refused: `Image.pyramid` reads
    regions. Where `monai.data.WSIReader` (backend ``openslide``) opens a slide, the pixels are the same; what was
    never scanned is white here. The metadata hold ``mpp`` (x, y) [um per pixel of what was loaded], NaN where unknown.

    Parameters
    ----------
    level
        Level to load, 0 is the finest.

    >>> load = LoadImaged(keys=["image"], reader=SlideReader(level=2), dtype=None)
    """

    KIND = "slide"

    def __init__(self, level: int = 0, **more: Any) -> None:
        super().__init__(**more)
        self.level = level

    def get_data(self, img: Image | list[Image]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Pixels ``(3, rows, columns)`` and metadata; of several slides of one size one after another."""
        images = list(img) if isinstance(img, (list, tuple)) else [img]
        if self.level:
            images = [at_level(i, self.level) for i in images]
        array, meta = super().get_data(images)
        spacing = images[0].geometry.spacing
        meta["mpp"] = np.array([np.nan, np.nan] if spacing is None else spacing[::-1])
        return array, meta


def at_level(image: Image, level: int) -> Image:
    """One level of a slide as an image by itself.

    Raises
    ------
    UsageError
        There is no such level.
    """
    pyramid = image.pyramid
    assert pyramid is not None
    assert image.source is not None
    if not 0 <= level < len(pyramid.levels):
        raise UsageError(f"{image.source}: level {level} of {len(pyramid.levels)}, counted from 0")
    step = pyramid.levels[level].downsample
    plain = pyramid.reader

    def read(_: int, row: int, column: int, height: int, width: int) -> np.ndarray[Any, Any]:
        return plain(level, row, column, height, width)

    mpp = None if pyramid.mpp is None else (pyramid.mpp[0] * step, pyramid.mpp[1] * step)
    own = replace(pyramid, levels=(Level(pyramid.levels[level].shape),), reader=read, mpp=mpp, bounds=None)
    return image_from(
        own, image.source, Scale(mpp, pyramid.mpp_source), image.format or "", image.notes, image.all_files
    )
