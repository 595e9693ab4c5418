"""What is told of the nuclei of a slide: outlines with measures, counts, a map of their density, embeddings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.core.types import Embeddings, Heatmap, Image, Labels, Part, Scores
from workbench.slide.data.tiles import Lattice
from workbench.slide.nuclei_now import COUNTS, NUCLEI, squares_mm2
from workbench.slide.predict.area import REGION, Area
from workbench.slide.predict.chosen import coarse_geometry
from workbench.slide.predict.mosaic import Cells
from workbench.slide.region_counts import REGION_OUTLINES, REGIONS, counted, outlines_of

if TYPE_CHECKING:
    from workbench.core.classes import ClassTable
    from workbench.weights import WeightsFile

_DENSITY_UM = 64.0
"""Side of a pixel of the map of density."""
_AT_ONCE = 4096
"""Outlines whose length is taken at a time: all of them at once would be there several times."""


def cell_parts(
    slide: Image, tiles: Lattice, area: Area, chosen: npt.NDArray[np.int64], found: Cells, *, classes: ClassTable,
    near: float, stains: tuple[str, str] = ("haematoxylin", "eosin"), encoder: WeightsFile | None = None,
) -> dict[str, Part]:  # fmt: skip
    """All parts of the result of a slide; see `workbench.slide.predict.cells.find_cells`.

    Parameters
    ----------
    chosen
        Numbers of the tiles that were looked at.
    classes
        Of the nuclei.
    near
        Radius within which neighbours are counted [um].
    stains
        What `Cells.stains` are densities of.
    encoder
        The weights whose embeddings the nuclei have; ``None``: they are not told.
    """
    assert slide.pyramid is not None
    assert slide.pyramid.mpp is not None
    cells = found.select(_inside(found, tiles, area, slide))
    mpp = math.sqrt(slide.pyramid.mpp[0] * slide.pyramid.mpp[1]) * tiles.factor
    rings = cells.coordinates if tiles.factor == 1 else cells.coordinates * np.float32(tiles.factor)
    measured = measures_of(cells, mpp, near, stains) | _to_border(cells, area, tiles.factor, slide)
    objects = Objects.from_rings(
        rings, cells.offsets, class_values=cells.types,
        probabilities=cells.probabilities, classes=classes, frame=Frame.of(slide.geometry.affine, slide.geometry.unit),
        name="nuclei", measurements=measured,
    )  # fmt: skip
    looked = area.size if area.size is not None else area.area_of(area.mask, slide.geometry.shape)
    pixel = slide.pyramid.mpp[0] * slide.pyramid.mpp[1] * 1e-6
    parts: dict[str, Part] = {
        NUCLEI: objects,
        "counts": _counts(cells, classes, looked * pixel, mpp),
        "density": _density(cells, slide, tiles, chosen, mpp),
        "tissue": Labels(
            area.labels(), coarse_geometry(slide, area.mask.shape, (0.0, 0.0), area.step), area.classes, "tissue"
        ),
    }
    if area.regions:
        looked_mm2 = [area.looked_in(region.outline) * pixel for region in area.regions]
        outlines = outlines_of(area.regions, looked_mm2, objects.frame)
        parts |= {REGIONS: counted(outlines, objects), REGION_OUTLINES: outlines}
    if encoder is not None:
        names = tuple(str(i) for i in objects.ids.tolist())
        places = cells.centroids * tiles.factor
        rows, columns = slide.geometry.shape
        about = {
            "name": slide.name, "encoder": encoder.name, "weights_sha256": encoder.sha256,
            "level0_width": columns, "level0_height": rows, "mpp_x": slide.pyramid.mpp[0],
            "mpp_y": slide.pyramid.mpp[1], "target_mpp": mpp,
        }  # fmt: skip
        parts["embeddings"] = Embeddings(cells.embeddings.astype(np.float32), names, places=places, about=about)
    return parts


def _inside(cells: Cells, tiles: Lattice, area: Area, slide: Image) -> npt.NDArray[np.bool_]:
    """Which nuclei have their centre in the outlines, or in the tissue or right beside it."""
    x, y = cells.centroids.T * tiles.factor
    inside: npt.NDArray[np.bool_] = np.ones(len(x), bool)
    if area.outline is not None:
        import shapely

        shapely.prepare(area.outline)
        inside &= shapely.contains_xy(area.outline, x, y)
        if area.value == REGION:
            return inside
    near = area.with_edge()
    r = np.clip((y / area.step[0]).astype(int), 0, near.shape[0] - 1)
    c = np.clip((x / area.step[1]).astype(int), 0, near.shape[1] - 1)
    rows, columns = slide.geometry.shape
    inside &= near[r, c] & (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
    return inside


def measures_of(
    cells: Cells, mpp: float, near: float, stains: tuple[str, str] = ("haematoxylin", "eosin")
) -> dict[str, npt.NDArray[Any]]:
    """What is measured of every nucleus, by name with its unit; `mpp` is that of the tiles, `near` in micrometres."""
    from scipy.spatial import cKDTree

    around = np.zeros(len(cells), np.int32)
    if len(cells):
        tree = cKDTree(cells.centroids)
        around = (tree.query_ball_point(cells.centroids, near / mpp, return_length=True) - 1).astype(np.int32)
    return {
        "area [um2]": (cells.areas * mpp**2).astype(np.float32),
        "perimeter [um]": (_perimeters(cells) * mpp).astype(np.float32),
        "eccentricity": cells.eccentricities,
        f"{stains[0]} [OD]": cells.stains[:, 0],
        f"{stains[1]} [OD]": cells.stains[:, 1],
        f"neighbours within {near:g} um": around,
    }


def _to_border(cells: Cells, area: Area, factor: float, slide: Image) -> dict[str, npt.NDArray[Any]]:
    """How far each nucleus is from the nearest border of the outlines that it was looked for in; nothing without."""
    import shapely

    if area.outline is None:
        return {}
    assert slide.pyramid is not None
    assert slide.pyramid.mpp is not None
    borders = [r.outline.boundary for r in area.regions] or [area.outline.boundary]
    points, ring = shapely.get_coordinates(shapely.get_parts(borders), return_index=True)
    same = ring[1:] == ring[:-1]
    tree = shapely.STRtree(shapely.linestrings(np.stack([points[:-1][same], points[1:][same]], 1)))
    middles = shapely.points(cells.centroids * factor)
    found = np.zeros(len(cells), np.float32)
    index, away = tree.query_nearest(middles, return_distance=True, all_matches=False)
    found[index[0]] = away * math.sqrt(slide.pyramid.mpp[0] * slide.pyramid.mpp[1])
    return {"distance to border of region [um]": found}


def _perimeters(cells: Cells) -> npt.NDArray[np.float64]:
    """Length of each outline, in pixels."""
    if not len(cells):
        return np.zeros(0)
    lengths = np.empty(len(cells))
    for begin in range(0, len(cells), _AT_ONCE):
        ends = cells.offsets[begin : begin + _AT_ONCE + 1]
        points = cells.coordinates[ends[0] : ends[-1]].astype(np.float64)
        ends = ends - ends[0]
        after = np.arange(1, len(points) + 1)
        after[ends[1:] - 1] = ends[:-1]
        lengths[begin : begin + _AT_ONCE] = np.add.reduceat(np.hypot(*(points[after] - points).T), ends[:-1])
    return lengths


def _counts(cells: Cells, classes: Any, looked_mm2: float, mpp: float) -> Scores:
    """How many nuclei there are of each class, per mm2 of where they were looked for, and how large they are."""
    rows: list[tuple[Any, ...]] = []
    for name, own in (
        *((c.name, cells.types == c.value) for c in classes),
        *((("unclassified", cells.types == 0),) if (cells.types == 0).any() else ()),
        ("all nuclei", np.ones(len(cells), bool)),
    ):
        count = int(own.sum())
        size = round(float(cells.areas[own].mean()) * mpp**2, 2) if count else ""
        rows.append((name, count, round(count / looked_mm2, 2) if looked_mm2 else "", size))
    return Scores(COUNTS, tuple(rows), "counts")


def _density(cells: Cells, slide: Image, tiles: Lattice, chosen: npt.NDArray[np.int64], mpp: float) -> Heatmap:
    """Nuclei per mm2 in squares of 64 um; NaN where no tile was looked at."""
    step = _DENSITY_UM / mpp  # pixels of tiles
    rows, columns = (max(1, math.ceil(n / tiles.factor / step)) for n in slide.geometry.shape)
    x, y = cells.centroids.T
    edges = np.arange(rows + 1) * step, np.arange(columns + 1) * step
    counts, _, _ = np.histogram2d(y, x, bins=edges)
    seen = np.zeros((rows, columns), bool)
    for number in chosen.tolist():
        r, c = np.array(divmod(number, tiles.count[1])) * tiles.stride
        seen[
            int(r // step) : math.ceil((r + tiles.stride) / step), int(c // step) : math.ceil((c + tiles.stride) / step)
        ] = True
    data = np.where(seen, counts / squares_mm2(seen.shape, step * tiles.factor, slide.geometry), np.nan)
    whole = step * tiles.factor
    return Heatmap(
        data.astype(np.float32),
        coarse_geometry(slide, (rows, columns), (0.0, 0.0), (whole, whole)),
        "density",
        unit="1/mm2",
    )
