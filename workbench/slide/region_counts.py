"""Nuclei counted region by region: outlines that a person drew, cores of a tissue microarray (``tma_core``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.core.types import Part, Scores
from workbench.slide.nuclei_objects import mpp_of

REGIONS, REGION_OUTLINES = "regions", "region_outlines"
"""Parts of a result: the table, and the outlines that it is counted in."""
REGION_COLUMNS = (
    "region", "region class", "class", "nuclei", "density [1/mm2]", "mean area [um2]", "looked at [mm2]",
)  # fmt: skip
_LOOKED = "looked at [mm2]"
_CORE = "tma_core"


@dataclass(frozen=True, eq=False)
class Region:
    """An outline that was drawn.

    Parameters
    ----------
    name, class_name
        As the file has them; "" for none.
    outline
        On the slide, in pixels of level 0: a geometry of shapely.
    """

    name: str
    class_name: str
    outline: Any


def without_missing(annotations: Sequence[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Annotations without the cores that QuPath calls missing, and a note: nothing is looked for there."""
    kept = [a for a in annotations if not (a.object_type == _CORE and a.properties.get("isMissing") is True)]
    lost = len(annotations) - len(kept)
    return kept, (f"{lost} core(s) of the array are missing, and were left out",) if lost else ()


def regions_of(annotations: Iterable[Any], shape: tuple[int, ...]) -> tuple[Region, ...]:
    """The areas among annotations as regions on a slide of `shape`; those beside it are none."""
    from workbench.slide.annotations.region import outline_on

    found = []
    for item in annotations:
        outline = outline_on([item], shape) if item.shape.kind == "areas" else None
        if outline is not None and outline.area > 0:
            found.append(Region(item.name, item.class_name, outline))
    return tuple(found)


def outlines_of(regions: Sequence[Region], looked_mm2: Sequence[float], frame: Frame) -> Objects:
    """Regions as objects with names of their own as ids, and how much of each was looked at."""
    import shapely

    polygons = []
    for region in regions:
        parts = [p for p in shapely.get_parts(region.outline) if p.geom_type == "Polygon"]
        polygons.append([[shapely.get_coordinates(r)[:-1] for r in (p.exterior, *p.interiors)] for p in parts])
    classes = ClassTable.from_names(list(dict.fromkeys(r.class_name for r in regions if r.class_name)))
    place = {c.name: c.value for c in classes} | {"": 0}
    return Objects.from_polygons(
        polygons, ids=np.array(_names(regions), np.str_), classes=classes, frame=frame, name=REGION_OUTLINES,
        class_values=np.array([place[r.class_name] for r in regions], np.int32),
        measurements={_LOOKED: np.array(looked_mm2, np.float64)},
    )  # fmt: skip


def _names(regions: Sequence[Region]) -> list[str]:
    """A name for each, that no other has: its own, that of its class, or "region"."""
    found: list[str] = []
    taken: set[str] = set()
    for region in regions:
        plain = name = region.name or region.class_name or "region"
        number = 1
        while name in taken or (number == 1 and not region.name and len(regions) > 1):
            name, number = f"{plain} {number}", number + 1
        taken.add(name)
        found.append(name)
    return found


def counted(outlines: Objects, nuclei: Objects) -> Scores:
    """How many nuclei of each class have their centroid in each region; in regions that overlap they count in each."""
    import shapely

    from workbench.data.outlines import geometries_of

    centres = nuclei.centroids() / np.array(nuclei.frame.pixel_size)
    tree = shapely.STRtree(shapely.make_valid(geometries_of(outlines)))
    which, where = tree.query(shapely.points(centres), predicate="intersects") if len(nuclei) else (_NONE, _NONE)
    sizes = _sizes(nuclei)
    class_of = {0: "", **{c.value: c.name for c in outlines.classes}}
    rows: list[tuple[Any, ...]] = []
    for i, name in enumerate(outlines.ids.tolist()):
        inside = which[where == i]
        looked = float(outlines.measurements[_LOOKED][i])
        values = nuclei.class_values[inside]
        for kind, own in (
            *((c.name, values == c.value) for c in nuclei.classes),
            *((("unclassified", values == 0),) if (values == 0).any() else ()),
            ("all nuclei", np.ones(len(inside), bool)),
        ):
            count, some = int(own.sum()), sizes[inside][own]
            known = some[np.isfinite(some)]
            rows.append((
                name, class_of[int(outlines.class_values[i])], kind, count, round(count / looked, 2) if looked else "",
                round(float(known.mean()), 2) if known.size else "", round(looked, 6),
            ))  # fmt: skip
    return Scores(REGION_COLUMNS, tuple(rows), REGIONS)


_NONE: npt.NDArray[np.int64] = np.zeros(0, np.int64)


def _sizes(nuclei: Objects) -> npt.NDArray[np.float64]:
    """Areas in square micrometres: as measured, else of the outline; NaN where pixels have no size."""
    mpp = mpp_of(nuclei)
    sizes = np.array(nuclei.measurements.get("area [um2]", np.full(len(nuclei), np.nan)), np.float64)
    return sizes if mpp is None else np.where(np.isnan(sizes), nuclei.areas() * mpp**2, sizes)


def regions_now(parts: Mapping[str, Part], nuclei: Objects) -> dict[str, Part]:
    """The table of a result after its nuclei were corrected; empty where the outlines were lost."""
    table, outlines = parts.get(REGIONS), parts.get(REGION_OUTLINES)
    if not isinstance(table, Scores) or table.columns != REGION_COLUMNS:
        return {}
    return {REGIONS: counted(outlines, nuclei) if isinstance(outlines, Objects) else replace(table, rows=())}
