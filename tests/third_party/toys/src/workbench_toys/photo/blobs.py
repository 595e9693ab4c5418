"""Outlines of everything brighter than a level, as `Objects` with an area each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from workbench import ClassTable, Image, Objects, Recorder, Result, Scores, setting


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    level: float = setting(0.5, "Brightness above which a pixel belongs to a blob.", low=0.0, high=1.0)
    min_area: int = setting(4, "Smaller blobs are left out.", unit="pixels", low=1)


def load(config: Config, device: None) -> None:
    """Nothing to load."""


def predict(model: None, image: Image, config: Config, progress=None) -> Result:
    """One object per connected bright region, with its area and mean brightness."""
    recorder = Recorder("blobs", config, None, image)
    grey = image.data.mean(axis=0) / 255
    labels, count = ndimage.label(grey > config.level, structure=np.ones((3, 3)))
    outlines, brightness = [], []
    for number in range(1, count + 1):
        if progress:
            progress(number - 1, count)
        mask = labels == number
        if mask.sum() < config.min_area:
            continue
        outlines.append(_outline(mask))
        brightness.append(grey[mask].mean())
    if progress:
        progress(count, count)
    found = Objects.from_polygons(
        outlines,
        class_values=np.ones(len(outlines), np.int32),
        probabilities=np.array(brightness, np.float32),
        classes=ClassTable.from_names(["blob"]),
        name="blobs",
    )
    areas = found.areas()
    sizes = Scores(
        ("class", "value", "area [pixels]", "count"), (("blob", 1, float(areas.sum()), len(found)),), "sizes"
    )
    return Result({"blobs": found, "sizes": sizes}, image, recorder.finish())


def _outline(mask: np.ndarray) -> list[np.ndarray]:
    """Outer ring and holes of a region along the edges of its pixels, in (x, y) from the corner of the first pixel."""
    from rasterio.features import shapes

    (outline, _), *_ = shapes(mask.astype(np.uint8), mask=mask, connectivity=8)
    return [np.array(ring[:-1], dtype=float) for ring in outline["coordinates"]]
