"""How well a label map agrees with a reference: Dice, HD95, normalised surface Dice and volumes, per class and case.

Conventions, the same everywhere (a class is judged where the reference shows it):

- class absent from the reference: all three are NaN and do not count; the volume found is still given;
- class in the reference but not found: Dice 0, surface Dice 0, HD95 infinite; means of HD95 are over finite values, and
  the summary counts such cases as ``missed``;
- the surface of a mask is its voxels with a face neighbour outside; distances are between voxel centres in mm. HD95 is
  the larger of the two directed 95th percentiles, surface Dice the share of both surfaces within the tolerance of the
  other (Nikolov et al. 2018, without sub-voxel areas). These are MONAI's definitions, and a test compares with MONAI.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from workbench.core import memory
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError

Row: TypeAlias = dict[str, Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

_TRANSFORM = 55
"""Bytes per voxel at the peak of SciPy's distance transform (measured)."""

MEASURES = ("dice", "hd95_mm", "nsd")
COLUMNS = (
    "case", "class", "value", *MEASURES, "volume_ml", "reference_ml", "difference_ml", "reference", "why", "seen",
)  # fmt: skip
UNSEEN = "all, unseen"
"""Row of the summary over cases that did not teach the weights, where others did."""


def score_case(
    predicted: npt.NDArray[np.integer[Any]],
    reference: npt.NDArray[np.integer[Any]],
    spacing_mm: Sequence[float],
    classes: ClassTable,
    *,
    case: str = "",
    tolerance_mm: float = 3.0,
    voxel_mm3: float | None = None,
) -> list[Row]:
    """Rows of one case, one per class.

    Parameters
    ----------
    predicted, reference
        (X, Y, Z) integer label maps on the same grid, with the values of `classes`.
    spacing_mm
        Voxel size along each axis.
    tolerance_mm
        Surface points this near to the other surface count as right in ``nsd``.
    voxel_mm3
        Volume of a voxel; the product of the spacings if None, which is too large where axes are not orthogonal.

    Returns
    -------
    list of dict
        Keys `COLUMNS`, the last three empty (they are of the study); see the head of this module for what NaN and
        infinity mean.

    Raises
    ------
    GeometryError
        The two maps differ in shape.
    """
    if predicted.shape != reference.shape:
        raise GeometryError(f"{case}: prediction {predicted.shape} and reference {reference.shape} differ in shape")
    voxel_ml = (math.prod(float(s) for s in spacing_mm) if voxel_mm3 is None else voxel_mm3) / 1000
    rows = []
    for c in classes:
        p, r = predicted == c.value, reference == c.value
        found, wanted = int(p.sum()), int(r.sum())
        dice, hd95, nsd = _measures(p, r, found, wanted, spacing_mm, tolerance_mm)
        rows.append(
            {
                "case": case, "class": c.name, "value": c.value, "dice": dice, "hd95_mm": hd95, "nsd": nsd,
                "volume_ml": found * voxel_ml, "reference_ml": wanted * voxel_ml,
                "difference_ml": (found - wanted) * voxel_ml, "reference": "", "why": "", "seen": "",
            }
        )  # fmt: skip
    return rows


def _measures(
    p: Mask, r: Mask, found: int, wanted: int, spacing_mm: Sequence[float], tolerance_mm: float
) -> tuple[float, float, float]:
    if wanted == 0:
        return math.nan, math.nan, math.nan
    if found == 0:
        return 0.0, math.inf, 0.0
    box = _box(p | r)
    p, r = np.pad(p[box], 1), np.pad(r[box], 1)
    dice = 2 * int((p & r).sum()) / (found + wanted)
    to_r, to_p = surface_distances(p, r, spacing_mm)
    hd95 = max(float(np.percentile(to_r, 95)), float(np.percentile(to_p, 95)))
    near = int((to_r <= tolerance_mm).sum()) + int((to_p <= tolerance_mm).sum())
    return dice, hd95, near / (to_r.size + to_p.size)


def surface_distances(
    a: Mask, b: Mask, spacing_mm: Sequence[float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distance [mm] of every surface voxel of `a` to the surface of `b`, and the other way round. Both not empty."""
    need = memory.Need({"surface distances": _TRANSFORM * a.size})
    memory.require(
        need,
        f"surfaces in a box of {'x'.join(map(str, a.shape))} voxels",
        "Score volumes of fewer voxels, or free memory.",
    )
    edge_a, edge_b = a & ~ndimage.binary_erosion(a), b & ~ndimage.binary_erosion(b)
    # One after the other: a map of distances takes eight times what both masks take together.
    to_b = ndimage.distance_transform_edt(~edge_b, sampling=spacing_mm)[edge_a]
    to_a = ndimage.distance_transform_edt(~edge_a, sampling=spacing_mm)[edge_b]
    return to_b, to_a


def _box(mask: Mask) -> tuple[slice, ...]:
    """Smallest box around a mask that is not empty."""
    slices = []
    for axis in range(mask.ndim):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        slices.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(slices)


def summarise(rows: Iterable[Row]) -> list[Row]:
    """Mean, standard deviation and median per class, and over all rows (``class`` = ``"all"``, last).

    Where some cases taught the weights and others did not, a row `UNSEEN` before it is over the others only.

    Keys: ``class, cases`` (with the class in the reference), ``missed``, and ``<measure>_mean|sd|median`` for every
    measure (over finite values; NaN if there is none), and ``volume_error_percent`` (mean of |difference|/reference).
    """
    rows = list(rows)
    names = list(dict.fromkeys(r["class"] for r in rows))
    groups = [(n, [r for r in rows if r["class"] == n]) for n in names]
    unseen = [r for r in rows if r.get("seen") == "no"]
    if unseen and len(unseen) < len(rows):
        groups.append((UNSEEN, unseen))
    return [_summary(name, group) for name, group in [*groups, ("all", rows)]]


def _summary(name: str, rows: list[Row]) -> Row:
    shown = [r for r in rows if r["reference_ml"] > 0]
    out: Row = {"class": name, "cases": len(shown), "missed": sum(r["volume_ml"] == 0 for r in shown)}
    for measure in MEASURES:
        values = np.array([r[measure] for r in shown if math.isfinite(r[measure])])
        some = values.size > 0
        out[f"{measure}_mean"] = float(values.mean()) if some else math.nan
        out[f"{measure}_sd"] = float(values.std(ddof=1)) if values.size > 1 else math.nan
        out[f"{measure}_median"] = float(np.median(values)) if some else math.nan
    errors = [abs(r["difference_ml"]) / r["reference_ml"] * 100 for r in shown]
    out["volume_error_percent"] = float(np.mean(errors)) if errors else math.nan
    return out
