"""Nuclei counted region by region: outlines that a person drew, cores of a tissue microarray (QuPath)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.core.types import Part, Scores
from workbench.data.geojson import CORES
from workbench.slide.nuclei_objects import areas_um2, in_pixels

REGIONS, REGION_OUTLINES = "regions", "region_outlines"
"""Parts of a result: the table, and the outlines that it is counted in."""
REGION_COLUMNS = (
    "region", "region class", "class", "nuclei", "density [1/mm2]", "mean area [um2]", "looked at [mm2]",
)  # fmt: skip
_LOOKED = "looked at [mm2]"


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
    kept = [a for a in annotations if not (a.object_type in CORES and a.properties.get("isMissing") is True)]
    lost = len(annotations) - len(kept)
    return kept, (f"{lost} core(s) of the array are missing, and were left out",) if lost else ()


def regions_of(annotations: Iterable[Any], shape: tuple[int, ...]) -> tuple[tuple[Region, ...], tuple[str, ...]]:
    """The areas among annotations as regions, and notes: those beside the slide are none, nor points and lines."""
    from workbench.slide.annotations.region import outline_on

    found, beside, others = [], [], 0
    for item in annotations:
        if item.shape.kind != "areas":
            others += 1
            continue
        outline = outline_on([item], shape)
        if outline.area > 0:
            found.append(Region(_whole(item.name), _whole(item.class_name), outline))
        else:
            beside.append(item.name or item.class_name or "one without a name")
    notes = []
    if beside:
        more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
        notes.append(f"{len(beside)} region(s) lie beside the slide, and do not count: {', '.join(beside[:3])}{more}")
    if others:
        notes.append(f"{others} point(s) or line(s) are no regions")
    names = [r.name for r in found if r.name]
    if same := len(names) - len(set(names)):
        notes.append(f"{same} region(s) have the name of another, and a number behind it in the table")
    return tuple(found), tuple(notes)


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


def _whole(text: str) -> str:
    """The text without halves of characters (lone surrogates), which no table takes."""
    return text.encode("utf-8", "replace").decode()


def _names(regions: Sequence[Region]) -> list[str]:
    """A name for each, that no other has: its own, that of its class, or "region"; never one that another was given."""
    given = {r.name for r in regions if r.name}
    found: list[str] = []
    for region in regions:
        if region.name and region.name not in found:
            found.append(region.name)
            continue
        plain = region.class_name or "region"
        if region.name:
            names = (f"{region.name} ({n})" for n in count(2))
        else:
            names = (plain if len(regions) == 1 and n == 0 else f"{plain} {n or 1}" for n in count())
        found.append(next(name for name in names if name not in given and name not in found))
    return found


def counted(outlines: Objects, nuclei: Objects) -> Scores:
    """How many nuclei of each class have their centroid in each region; in regions that overlap they count in each."""
    which, where = members(outlines, nuclei)
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
            number, some = int(own.sum()), sizes[inside][own]
            known = some[np.isfinite(some)]
            rows.append((
                name, class_of[int(outlines.class_values[i])], kind, number, _per(number, looked),
                round(float(known.mean()), 2) if known.size else "", round(looked, 6),
            ))  # fmt: skip
    return Scores(REGION_COLUMNS, tuple(rows), REGIONS)


def members(outlines: Objects, nuclei: Objects) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which nuclei have their centroid in which outlines: numbers of nuclei, and of outlines, pair by pair."""
    import shapely

    from workbench.data.outlines import geometries_of

    if not len(nuclei):
        return _NONE, _NONE
    centres = nuclei.centroids() / np.array(nuclei.frame.pixel_size)
    if outlines.frame.unit != "pixel":
        outlines = outlines.in_frame(in_pixels(outlines.frame))
    tree = shapely.STRtree(shapely.make_valid(geometries_of(outlines), method="structure"))
    which, where = tree.query(shapely.points(centres), predicate="intersects")
    return which, where


def _per(number: int, mm2: float) -> float | str:
    return round(number / mm2, 2) if mm2 else ""


_NONE: npt.NDArray[np.int64] = np.zeros(0, np.int64)


def _sizes(nuclei: Objects) -> npt.NDArray[np.float64]:
    """Areas in square micrometres: as measured, else of the outline; NaN where pixels have no size."""
    drawn = areas_um2(nuclei)
    sizes = np.array(nuclei.measurements.get("area [um2]", np.full(len(nuclei), np.nan)), np.float64)
    return sizes if drawn is None else np.where(np.isnan(sizes), drawn, sizes)


def regions_now(parts: Mapping[str, Part], nuclei: Objects) -> dict[str, Part]:
    """The table of a result after its nuclei were corrected; empty where the outlines were lost."""
    table, outlines = parts.get(REGIONS), parts.get(REGION_OUTLINES)
    if not isinstance(table, Scores) or table.columns != REGION_COLUMNS:
        return {}
    return {REGIONS: counted(outlines, nuclei) if isinstance(outlines, Objects) else replace(table, rows=())}


def annotations_of(outlines: Objects) -> list[Any]:
    """The outlines as annotations, with their names, classes and measurements, as QuPath shows them."""
    from workbench.slide.annotations.types import Annotation, Shape

    names = {0: "", **{c.value: c.name for c in outlines.classes}}
    found = []
    for i, name in enumerate(outlines.ids.tolist()):
        parts = tuple(tuple(np.asarray(ring, np.float64) for ring in piece) for piece in outlines.polygon(i))
        measured = {k: float(v[i]) for k, v in outlines.measurements.items()}
        class_name = names[int(outlines.class_values[i])]
        found.append(Annotation(Shape("areas", parts), name, name, class_name, measurements=measured))
    return found
