"""The grid that the frames of a DICOM-SEG lie on: that of its image, or the one that the frames span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.types import Geometry
from workbench.data.geometry import LPS_TO_RAS, checked_affine
from workbench.volume.data.dicom_fields import Fields
from workbench.volume.data.dicom_header import Header
from workbench.volume.data.lattice import steps_between

_SAME_STEP = 0.01
"""Part of a step by which the one that is declared may differ from that of the image."""
_THICKEST = 1.5
"""Steps of the image that a slice of it may be thick: reconstructions overlap."""
_MOST_PARTS = 4
"""Slices between the two nearest frames: more are not looked for, as then everything would fit."""


@dataclass(frozen=True)
class Frame:
    """One frame: its index in the file, its segment (0: label map) and the position of its first pixel (LPS, mm)."""

    index: int
    segment: int
    position: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Plan:
    """How frames lie: directions along and down a row ``(2, 3)``, spacing of rows and columns, height [mm] if told,
    and the declared step between slices and thickness of them [mm], 0 if there is none."""

    orientation: npt.NDArray[np.float64]
    spacing: tuple[float, float]
    height: float
    between: float
    thickness: float = 0.0


def held(sequence: str, *groups: Fields | None) -> Fields | None:
    """The first item of a sequence in the first of these groups that has one."""
    return next((item for g in groups if g is not None and (item := g.item(sequence)) is not None), None)


def plan_of(header: Header) -> Plan:
    groups = (
        header.item("SharedFunctionalGroupsSequence"),
        header.item("PerFrameFunctionalGroupsSequence"),
    )
    measures, turned = held("PixelMeasuresSequence", *groups), held("PlaneOrientationSequence", *groups)
    spacing = None if measures is None else measures.numbers("PixelSpacing", 2, GeometryError)
    directions = None if turned is None else turned.numbers("ImageOrientationPatient", 6, GeometryError)
    if measures is None or spacing is None or directions is None:
        raise GeometryError(
            f"{header.file}: has no {'PixelSpacing' if spacing is None else 'ImageOrientationPatient'} for its frames,"
            " a volume was expected. Export it again."
        )
    heights = [measures.numbers(n, 1, GeometryError) for n in ("SpacingBetweenSlices", "SliceThickness")]
    height = next((h[0] for h in heights if h is not None and h[0]), 0.0)
    between, thickness = (0.0 if h is None else h[0] for h in heights)
    return Plan(np.array(directions).reshape(2, 3), (spacing[0], spacing[1]), height, between, thickness)


def placed(
    plan: Plan, frames: Sequence[Frame], size: tuple[int, int], reference: Geometry | None, path: Path
) -> tuple[tuple[int, int, int], npt.NDArray[np.float64]]:
    """The grid from the lowest to the highest frame: with the step of the image where it is one of that lattice."""
    if reference is not None and (step := _step_of(reference, plan, frames)) is not None:
        try:
            found = _spanned(plan, frames, size, path, step)
        except GeometryError:
            found = None
        if found is not None and steps_between(Geometry(*found), reference) is not None:
            return found
    return _spanned(plan, frames, size, path)


def _step_of(reference: Geometry, plan: Plan, frames: Sequence[Frame]) -> npt.NDArray[np.float64] | None:
    """The step [mm, LPS] of the image from slice to slice, where it can be that of the frames.

    What a file declares as spacing is often that of the frames that are left. But slices as thick as the space between
    frames were drawn on thicker ones: those in between are not empty.
    """
    if reference.affine is None or reference.ndim != 3:
        return None
    normal = np.cross(*plan.orientation)
    columns = (LPS_TO_RAS @ np.asarray(reference.affine, np.float64))[:3, :3]
    step = columns[:, int(np.argmax(np.abs(normal @ columns)))]
    step = step * np.sign(normal @ step)
    height = float(normal @ step)
    own = _steps(np.array([f.position for f in frames]) @ normal)
    told = [plan.between, *([float(own.min())] if own.size else [])]
    same = any(abs(t - height) <= _SAME_STEP * height for t in told)
    return step if height > 0 and (same or 0 < plan.thickness <= _THICKEST * height) else None


def _steps(heights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distances [mm] from each slice with a frame to the next."""
    steps = np.diff(np.unique(heights))
    return steps[steps > 1e-4]


def _spanned(
    plan: Plan,
    frames: Sequence[Frame],
    size: tuple[int, int],
    path: Path,
    given: npt.NDArray[np.float64] | None = None,
) -> tuple[tuple[int, int, int], npt.NDArray[np.float64]]:
    """The grid from the lowest to the highest frame, with the step that is `given`, or else the largest one that has a
    slice for every frame."""
    across, down = plan.orientation
    normal = np.cross(across, down)
    points = np.unique(np.array([f.position for f in frames]), axis=0)
    points = points[np.argsort(points @ normal)]
    heights = points @ normal
    height = _height(plan, heights) if given is None else float(given @ normal)
    if height <= 0:
        raise GeometryError(f"{path}: one frame and no slice spacing, SpacingBetweenSlices was expected. Export again.")
    count = round((heights[-1] - heights[0]) / height) + 1
    step = given
    if step is None:
        step = (points[-1] - points[0]) / (count - 1) if count > 1 else normal * height
    lps = np.eye(4)
    lps[:3, 0] = across * plan.spacing[1]
    lps[:3, 1] = down * plan.spacing[0]
    lps[:3, 2] = step
    lps[:3, 3] = points[0]
    affine = checked_affine(LPS_TO_RAS @ lps, path, "PlaneOrientationSequence and PlanePositionSequence")
    slices_of(frames, affine, count, path)
    rows, columns = size
    return (columns, rows, count), affine


def _height(plan: Plan, heights: npt.NDArray[np.float64]) -> float:
    """Distance between slices. Empty frames are left out, so that no two frames need to lie on slices that touch."""
    steps = _steps(heights)
    if not steps.size:
        return plan.height
    smallest = float(steps.min())
    told = (plan.between, *(smallest / n for n in range(1, _MOST_PARTS + 1)))
    height = next((h for h in told if h > 0 and _divides(h, steps)), smallest)
    # A declared one is often rounded, which adds up to a slice too many: the frames tell it better.
    return float(steps.sum() / np.rint(steps / height).sum())


def _divides(height: float, steps: npt.NDArray[np.float64]) -> bool:
    parts = np.rint(steps / height)
    return bool(parts.min() >= 1 and np.abs(steps / height - parts).max() < 0.1)


def slices_of(frames: Sequence[Frame], affine: npt.NDArray[np.float64], count: int, path: Path) -> list[int]:
    """Slice index of every frame; an error where a frame lies between slices or outside."""
    world = np.array([f.position for f in frames]) * [-1.0, -1.0, 1.0]
    index = np.linalg.solve(affine[:3, :3], (world - affine[:3, 3]).T).T
    nearest = np.rint(index[:, 2])
    off = np.abs(index - np.column_stack([np.zeros((len(index), 2)), nearest])).max(axis=1)
    bad = np.flatnonzero((off > 0.1) | (nearest < 0) | (nearest >= count))
    if bad.size:
        raise GeometryError(
            f"{path}: frame {bad[0] + 1} at {list(frames[bad[0]].position)} lies on no slice of a regular grid of"
            f" {count} slices. Export it again with evenly spaced slices."
        )
    return [int(v) for v in nearest]
