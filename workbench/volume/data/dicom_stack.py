"""From DICOM planes to one grid: sort them along the slice normal and refuse whatever is not a regular stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.data.geometry import LPS_TO_RAS, checked_affine
from workbench.volume.data.slice_steps import TOLERANCE, EvenSteps, is_even, require_even, require_single


@dataclass(frozen=True)
class Tile:
    """Where a plane lies in a picture of many: its first row and column, and the size of the whole picture."""

    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Plane:
    """One picture with its place in the patient (LPS, mm), as the header gives it; ``None`` where it does not."""

    path: Path
    frame: int | None
    rows: int
    columns: int
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    slope: float
    intercept: float
    bits: int
    signed: bool
    allocated: int
    thickness: tuple[float, ...] | None = None
    acquisition: str = ""
    uid: str = ""
    rescaled: tuple[bool, bool] = (True, True)
    """Whether the file gives a slope and an intercept; otherwise they are 1 and 0."""
    frames: int = 1
    """Pictures in its file, whether they are planes of the same volume or not."""
    tile: Tile | None = None
    number: int | None = None
    """InstanceNumber, or the number of a tile."""

    @property
    def where(self) -> str:
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame + 1}"


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes in ascending order along the slice normal, and their common grid (`affine` is RAS+ mm)."""

    planes: tuple[Plane, ...]
    affine: npt.NDArray[np.float64] | None
    sheared: bool
    even: EvenSteps | None = None

    @property
    def slices(self) -> int:
        """Slices of the grid: of the planes, or of the even steps that they are resampled to."""
        return len(self.planes) if self.even is None else len(self.even.below)

    @property
    def rows(self) -> int:
        return self.planes[0].rows

    @property
    def columns(self) -> int:
        return self.planes[0].columns


def stack_planes(planes: Sequence[Plane], source: Path, *, regularise: bool = False) -> Stack:
    """Sort the planes and find the affine that maps (column, row, slice) to the world.

    With `regularise`, slices of uneven steps are resampled to even ones; where slices are missing, nothing is.

    The third axis is the step from slice to slice, so the shear of a tilted gantry stays in the affine.

    Raises
    ------
    GeometryError
        If planes differ in size, spacing or orientation, lack a position, are doubled, or are not evenly spaced; the
        message names files and positions.
    """
    first = planes[0]
    if len(planes) == 1 and None in (first.position, first.orientation, first.spacing, first.thickness):
        return Stack((first,), None, False)  # a projection or a screenshot
    _check_alike(planes, source)
    assert first.spacing is not None  # by _check_alike
    along_row, along_column = _axes(first, source)
    normal = np.cross(along_row, along_column)
    ordered = sorted(planes, key=lambda p: (float(normal @ _position(p)), p.where))
    positions = np.array([_position(p) for p in ordered])
    step, sheared = normal * (first.thickness or (0.0,))[0], False
    even = None
    if len(ordered) > 1:
        heights = positions @ normal
        require_single(ordered, heights, source)
        if not is_even(heights):
            even = require_even(ordered, heights, source, regularise=regularise)
        shares = (heights - heights[0]) / (heights[-1] - heights[0])
        span = positions[-1] - positions[0]
        step = span / (len(ordered) - 1)
        _check_line(ordered, positions, positions[0] + (shares if even else _spread(shares))[:, None] * span, source)
        if even is not None:
            step = span * even.step / (heights[-1] - heights[0])
        sheared = bool(abs(step @ normal) < np.linalg.norm(step) * (1 - 1e-6))
    lps = np.eye(4)
    lps[:3, 0] = along_row * first.spacing[1]
    lps[:3, 1] = along_column * first.spacing[0]
    lps[:3, 2] = step
    lps[:3, 3] = positions[0]
    affine = checked_affine(LPS_TO_RAS @ lps, source, "ImageOrientationPatient, PixelSpacing and ImagePositionPatient")
    return Stack(tuple(ordered), affine, sheared, even)


def _position(plane: Plane) -> npt.NDArray[np.float64]:
    return np.array(plane.position, dtype=np.float64)


def _axes(plane: Plane, source: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    cosines = np.array(plane.orientation, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if not np.isfinite(cosines).all() or (abs(lengths - 1) > 1e-2).any() or abs(cosines[0] @ cosines[1]) > 1e-2:
        raise GeometryError(
            f"{source}: ImageOrientationPatient of {plane.where} is {list(plane.orientation or ())}, expected two unit"
            " vectors at right angles. Correct the header."
        )
    return cosines[0], cosines[1]


def _check_alike(planes: Sequence[Plane], source: Path) -> None:
    first = planes[0]
    for plane in planes:
        for name, value in (
            ("ImagePositionPatient", plane.position),
            ("ImageOrientationPatient", plane.orientation),
            ("PixelSpacing", plane.spacing),
        ):
            if value is None:
                raise GeometryError(f"{source}: {plane.where} has no {name}, each slice needs one. Export it again.")
        if not np.isfinite([*(plane.position or ()), *(plane.spacing or ())]).all() or min(plane.spacing or ()) <= 0:
            raise GeometryError(
                f"{source}: {plane.where} has PixelSpacing {plane.spacing} and ImagePositionPatient {plane.position},"
                " expected finite numbers and spacing above 0. Correct the header."
            )
        if (plane.rows, plane.columns) != (first.rows, first.columns):
            raise GeometryError(
                f"{source}: slices differ in size: {first.columns} x {first.rows} in {first.where},"
                f" {plane.columns} x {plane.rows} in {plane.where}. Put each size into its own folder."
            )
        if not np.allclose(plane.orientation or (), first.orientation or (), atol=1e-3):
            raise GeometryError(
                f"{source}: slices differ in ImageOrientationPatient: {list(first.orientation or ())} in {first.where},"
                f" {list(plane.orientation or ())} in {plane.where}. Put each orientation into its own folder."
            )
        if not np.allclose(plane.spacing or (), first.spacing or (), rtol=1e-3, atol=1e-5):
            raise GeometryError(
                f"{source}: slices differ in PixelSpacing: {list(first.spacing or ())} mm in {first.where},"
                f" {list(plane.spacing or ())} mm in {plane.where}. Put each spacing into its own folder."
            )


def _spread(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.linspace(0.0, 1.0, len(shares))


def _check_line(
    ordered: Sequence[Plane], positions: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], source: Path
) -> None:
    """Refuse slices that are shifted sideways."""
    off = np.linalg.norm(positions - wanted, axis=1)
    worst = int(off.argmax())
    step = float(np.linalg.norm(positions[-1] - positions[0])) / (len(ordered) - 1)
    if off[worst] > TOLERANCE * step:
        raise GeometryError(
            f"{source}: slices do not lie on one line: {ordered[worst].where} at {list(ordered[worst].position or ())}"
            f" is {off[worst]:.4g} mm off. Put the parts into their own folders."
        )
