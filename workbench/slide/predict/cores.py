"""The cores of a tissue microarray as regions of a slide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Image
from workbench.slide.data.tma import Core, find_cores
from workbench.slide.region_counts import Region

_WIDER = 1.05
"""Cores are outlined by so much more than their diameter."""
_BESIDE = 0.15
"""Share of the tissue in no core from which it is said."""


@dataclass(frozen=True, eq=False)
class Cores:
    """Where cores are.

    Parameters
    ----------
    regions
        A disc for each, with its name.
    outline
        All of them: a geometry of shapely, in pixels of level 0.
    mask
        The pixels of the mask of tissue that lie in one.
    notes
        What a person should know.
    """

    regions: tuple[Region, ...]
    outline: Any
    mask: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def cores_on(
    image: Image, tissue: npt.NDArray[np.bool_], step: tuple[float, float], diameter: float, name: Any
) -> Cores:
    """Find the cores of an array in its tissue.

    Parameters
    ----------
    tissue, step
        Mask over the slide, and pixels of level 0 along (y, x) of one of its pixels.
    diameter
        Of a core [mm].

    Raises
    ------
    InputError
        There is no array of such cores, or the slide does not say how large its pixels are.
    """
    import shapely

    if image.pyramid is None or image.pyramid.mpp is None:
        raise InputError(f"{name}: does not say how large its pixels are: give --mpp")
    mpp = math.sqrt(image.pyramid.mpp[0] * image.pyramid.mpp[1])
    try:
        cores = find_cores(tissue, step, mpp, diameter)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    rows, columns = image.geometry.shape[:2]
    radius, whole = diameter * 1000 / mpp / 2 * _WIDER, shapely.box(0, 0, columns, rows)
    there = [core for core in cores if not core.is_missing]
    discs = [shapely.intersection(shapely.Point(c.x, c.y).buffer(radius, quad_segs=24), whole) for c in there]
    outline = shapely.union_all(discs)
    y, x = ((np.arange(n) + 0.5) * s for n, s in zip(tissue.shape, step, strict=True))
    inside = shapely.contains_xy(outline, *np.meshgrid(x, y))
    beside = 1 - float((tissue & inside).sum()) / max(1, int(tissue.sum()))
    regions = tuple(Region(core.name, "", disc) for core, disc in zip(there, discs, strict=True))
    return Cores(regions, outline, inside, _notes(cores, diameter, beside))


def _notes(cores: list[Core], diameter: float, beside: float) -> tuple[str, ...]:
    lost = [core.name for core in cores if core.is_missing]
    rows, columns = 1 + max(c.row for c in cores), 1 + max(c.column for c in cores)
    notes = [f"{len(cores) - len(lost)} cores of {diameter:g} mm were found, in {rows} rows and {columns} columns"]
    if lost:
        more = f" and {len(lost) - 8} more" if len(lost) > 8 else ""
        notes.append(f"{len(lost)} place(s) of the grid have no core: {', '.join(lost[:8])}{more}")
    if beside > _BESIDE:
        notes.append(f"{100 * beside:.0f} % of the tissue lies in no core: is the diameter right (--tma)?")
    return tuple(notes)
