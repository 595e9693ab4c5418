"""What is told of a slide of immunohistochemistry: nuclei, index, and how much of it is positive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.core.objects import Objects
from workbench.core.types import Heatmap, Image, Part, Scores
from workbench.slide.data.tiles import Lattice
from workbench.slide.ihc_scores import CLASSES, INDEX, POSITIVE_AREA, index_table
from workbench.slide.nuclei_now import NUCLEI
from workbench.slide.predict.area import Area
from workbench.slide.predict.cell_parts import cell_parts
from workbench.slide.predict.chosen import coarse_geometry, share_of
from workbench.slide.predict.mosaic import Cells
from workbench.slide.region_counts import REGION_OUTLINES

if TYPE_CHECKING:
    from workbench.slide.data.stains import Stains

SQUARE = 64
"""Side of a pixel of the map of positive area, in pixels of windows."""
AREAS = ("class", "area [mm2]", "share [%]")


def ihc_parts(
    slide: Image, tiles: Lattice, area: Area, chosen: npt.NDArray[np.int64], cells: Cells, stains: Stains, near: float,
    numbers: npt.NDArray[np.int64], shares: npt.NDArray[np.float32],
) -> dict[str, Part]:  # fmt: skip
    """All parts of the result; see `workbench.slide.predict.ihc.find_positive`.

    Parameters
    ----------
    numbers, shares
        ``(N,)`` tiles that were looked at, and ``(N, A, A)``: positive share of the squares of each core.
    """
    parts = cell_parts(slide, tiles, area, chosen, cells, classes=CLASSES, near=near, stains=stains.names)
    nuclei, outlines = parts[NUCLEI], parts.get(REGION_OUTLINES)
    assert isinstance(nuclei, Objects)
    positive = _positive_map(slide, tiles, numbers, shares)
    parts[INDEX] = index_table(nuclei, outlines if isinstance(outlines, Objects) else None)
    parts["areas"] = _areas(slide, area, positive, SQUARE * tiles.factor, stains.names[1])
    parts[POSITIVE_AREA] = positive
    return parts


def _positive_map(
    slide: Image, tiles: Lattice, numbers: npt.NDArray[np.int64], shares: npt.NDArray[np.float32]
) -> Heatmap:
    """Positive share of squares; NaN where no tile was looked at."""
    along = tiles.stride // SQUARE
    whole = np.full((tiles.count[0] * along, tiles.count[1] * along), np.nan, np.float32)
    for number, share in zip(numbers.tolist(), shares, strict=True):
        row, column = divmod(number, tiles.count[1])
        whole[row * along : (row + 1) * along, column * along : (column + 1) * along] = share
    step = SQUARE * tiles.factor
    rows, columns = (max(1, math.ceil(n / step - 1e-9)) for n in slide.geometry.shape)
    geometry = coarse_geometry(slide, (rows, columns), (0.0, 0.0), (step, step))
    return Heatmap(whole[:rows, :columns], geometry, POSITIVE_AREA)


def _areas(slide: Image, area: Area, positive: Heatmap, step: float, stain: str) -> Scores:
    """How much was looked at, and how much of that is positive: squares by the share of them that was looked at."""
    assert slide.pyramid is not None
    assert slide.pyramid.mpp is not None
    pixel = slide.pyramid.mpp[0] * slide.pyramid.mpp[1] * 1e-6
    looked = area.size if area.size is not None else area.area_of(area.mask, slide.geometry.shape)
    rows, columns = positive.data.shape
    share = share_of(area.mask, area.step, Lattice((0.0, 0.0), step, 1, 1, (rows, columns))).reshape(rows, columns)
    weight = np.where(np.isnan(positive.data), 0, share)
    part = float((weight * np.nan_to_num(positive.data)).sum() / weight.sum()) if weight.sum() else 0.0
    made = (
        (area.classes.names[0], round(looked * pixel, 6), 100.0 if looked else ""),
        (f"{stain} positive", round(part * looked * pixel, 6), round(100 * part, 2) if looked else ""),
    )
    return Scores(AREAS, made, "areas")
