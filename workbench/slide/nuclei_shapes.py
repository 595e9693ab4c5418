"""What hands do to outlines: several become one, one becomes several, a brush adds or takes off. Areas of shapely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError

LEAST_PIXELS = 10.0
"""Area of the smallest nucleus, in pixels of level 0: as the post-processing has it."""
BRIDGE_PIXELS = 3.0
"""Outlines this far apart are still merged; what lies between them becomes nucleus."""


def merged(areas: Sequence[Any]) -> Any:
    """One area of several that touch, or nearly.

    Raises
    ------
    UsageError
        They lie apart.
    """
    import shapely

    found = shapely.union_all(areas)
    if found.geom_type == "Polygon":
        return found
    wide = BRIDGE_PIXELS / 2 + 1e-3
    bridged = shapely.union(found, shapely.buffer(shapely.buffer(found, wide), -wide))
    if bridged.geom_type != "Polygon":
        raise UsageError(f"These nuclei lie more than {BRIDGE_PIXELS:g} pixels apart: they are not one.")
    return bridged


def cut(area: Any, line: npt.ArrayLike) -> tuple[list[Any], str]:
    """The parts of an area along a line ``(P, 2)``, and what is to be said of it.

    Raises
    ------
    UsageError
        The line does not cross it from one side to the other.
    """
    import shapely
    from shapely.ops import split

    found = split(area, shapely.LineString(np.asarray(line, np.float64))).geoms
    parts = [p for p in found if p.area >= LEAST_PIXELS]
    if len(parts) < 2:
        raise UsageError("The line must cross the nucleus from one side to the other, and leave two parts.")
    crumbs = sum(p.area for p in found if p.area < LEAST_PIXELS)
    return parts, f"{crumbs:.0f} pixels that are too small for a nucleus were dropped." if crumbs else ""


def brushed(area: Any, stroke: npt.ArrayLike, radius: float, *, erase: bool) -> Any:
    """An area with what a round brush went over, or without it.

    Raises
    ------
    UsageError
        The brush went beside it.
    """
    import shapely

    points = np.asarray(stroke, np.float64)
    way = shapely.Point(points[0]) if len(points) == 1 else shapely.LineString(points)
    painted = shapely.buffer(way, radius)
    if erase:
        return shapely.difference(area, painted)
    if shapely.distance(painted, area) > 0:
        raise UsageError("The brush must begin at the chosen nucleus; use Draw for a new one.")
    return shapely.union(area, painted)


def whole(area: Any) -> tuple[Any, str]:
    """The largest polygon of an area, without holes, and what is to be said where that is not all of it.

    Raises
    ------
    UsageError
        It is too small for a nucleus.
    """
    import shapely

    parts = [p for p in getattr(area, "geoms", [area]) if p.geom_type == "Polygon"]
    best = max(parts, key=lambda p: p.area, default=None)
    if best is None or best.area < LEAST_PIXELS:
        raise UsageError(f"An outline of less than {LEAST_PIXELS:g} pixels is no nucleus.")
    found = shapely.Polygon(best.exterior)
    lost, filled = shapely.difference(area, found).area, shapely.difference(found, area).area
    said = [f"{lost:.0f} pixels that lie apart were dropped"] * (lost > 0.5)
    said += [f"a hole of {filled:.0f} pixels was filled"] * (filled > 0.5)
    return found, f"A nucleus is one area: {', '.join(said)}." if said else ""
