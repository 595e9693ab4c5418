"""Contours of radiotherapy (RTSTRUCT) as label maps: they have no grid of their own, and are filled on their image's.

A voxel belongs to a structure where its centre lies inside an odd number of its contours on that slice, so that a
contour within another one is a hole. A contour stored twice counts once, and contours that cross are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Geometry, Labels
from workbench.data.geometry import describe
from workbench.volume.data.dicom_fields import Fields
from workbench.volume.data.dicom_header import read_header, starts_as_dicom

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_PARITY = "CLOSEDPLANAR_XOR"
_AREAS = ("CLOSED_PLANAR", _PARITY)
_SAME_ENDS = 0.05
"""Voxels by which the ends of a contour and of its copy may differ."""
_HOLE = 0.9
"""Share of a hole that lies within what it is cut from, at least."""
_OFF_SLICE = 0.1
"""Voxels that a contour may lie off its slice: positions are written with few decimals."""


@dataclass(frozen=True)
class _Structure:
    """One structure: its contours (n, 3) in voxels of the image, axes as in the file of the image."""

    number: int
    name: str
    color: RGB | None
    contours: tuple[npt.NDArray[np.float64], ...]
    encloses: bool
    by_parity: bool = False
    """The file itself says that its contours are combined by exclusive or (CLOSEDPLANAR_XOR)."""


def is_contours(path: Path) -> bool:
    """Whether a file is an RTSTRUCT."""
    if not path.is_file() or not starts_as_dicom(path):
        return False
    try:
        header = read_header(path)
    except InputError:
        return False
    return header is not None and header.sop_class == SOP_CLASS


def read(path: Path, reference: Geometry | None, *, lenient: bool = False) -> Labels:
    """The structures of an RTSTRUCT as a label map on the grid of its image.

    Parameters
    ----------
    reference
        Grid of the image that the contours were drawn on.
    lenient
        Move contours between slices to the nearest slice, and leave out what lies outside of the image; the notes say
        so.

    Raises
    ------
    GeometryError
        No grid, contours that are no planes of it, or lie outside of it.
    InputError
        A damaged file, no structure with an area, or structures that overlap: a label map has one class per voxel.
    """
    if reference is None or reference.affine is None or reference.ndim != 3:
        raise GeometryError(
            f"{path}: contours (RTSTRUCT) have no grid of their own. Give them as labels together with their image:"
            " --labels (in Python reference=image.geometry)."
        )
    to_index: npt.NDArray[np.float64] = np.asarray(np.linalg.inv(reference.affine), np.float64)
    structures, notes = _structures(path, to_index)
    axis = _normal_axis(path, structures, reference)
    off = _check_places(path, structures, axis, reference, lenient)
    notes += off
    filled = {}
    for s in structures:
        filled[s.number], said = _filled(s, axis, reference.shape)
        notes += said
    left_out = _require_apart(path, structures, filled)
    notes += [f"structure '{s.name}' is left out: it encloses others (EXTERNAL)" for s in left_out]
    kept = [s for s in structures if s not in left_out]
    out = np.zeros(reference.shape, np.uint8 if max(s.number for s in kept) < 256 else np.uint16)
    for s in kept:
        out[filled[s.number]] = s.number
    plain = {c.value: c.color for c in ClassTable.from_values(sorted(s.number for s in kept))}
    classes = ClassTable(tuple(ClassInfo(s.number, s.name, s.color or plain[s.number]) for s in kept))
    notes.insert(0, f"contours of {len(kept)} structure(s) were filled on the grid of their image")
    return Labels(out, reference, classes, name=path.stem, notes=tuple(notes))


def _structures(path: Path, to_index: npt.NDArray[np.float64]) -> tuple[list[_Structure], list[str]]:
    header = read_header(path, everything=True)
    if header is None:
        raise InputError(f"{path}: not a readable DICOM file. Copy or export it again.")
    names = {i.count("ROINumber", low=0): i.text("ROIName") for i in header.items("StructureSetROISequence")}
    kinds = {
        i.count("ReferencedROINumber", low=0): i.text("RTROIInterpretedType")
        for i in header.items("RTROIObservationsSequence")
    }
    found, notes = [], []
    numbers_fit = all(0 < n < 65536 for n in names)
    for place, item in enumerate(header.items("ROIContourSequence"), 1):
        roi = item.count("ReferencedROINumber", low=0)
        name = names.get(roi) or f"structure {roi}"
        contours, others, by_parity = _contours(item, to_index)
        if others:
            notes.append(f"structure '{name}' has {others} contour(s) without an area (points or open lines): left out")
        if not contours:
            continue
        color = item.numbers("ROIDisplayColor", 3)
        rgb = None if color is None else (int(color[0]) & 255, int(color[1]) & 255, int(color[2]) & 255)
        found.append(
            _Structure(
                roi if numbers_fit else place,
                name,
                rgb,
                tuple(contours),
                kinds.get(roi, "").upper() == "EXTERNAL",
                by_parity,
            )
        )
    if not found:
        raise InputError(f"{path}: no structure has a closed contour, so there is nothing to fill. Export it again.")
    if len({s.number for s in found}) < len(found):
        raise InputError(f"{path}: two structures have the same ROINumber. The file is damaged: export it again.")
    return found, notes


def _contours(item: Fields, to_index: npt.NDArray[np.float64]) -> tuple[list[npt.NDArray[np.float64]], int, bool]:
    """Closed contours in voxels, how many others there are, and whether they say how they are combined."""
    found, others, by_parity = [], 0, False
    for contour in item.items("ContourSequence"):
        count = contour.count("NumberOfContourPoints")
        if contour.text("ContourGeometricType").upper() not in _AREAS or count < 3:
            others += 1
            continue
        by_parity |= contour.text("ContourGeometricType").upper() == _PARITY
        numbers = contour.numbers("ContourData", 3 * count, GeometryError)
        if numbers is None:
            raise contour.broken("ContourData", f"{3 * count} numbers", error=GeometryError)
        ras = np.array(numbers).reshape(-1, 3) * (-1.0, -1.0, 1.0)
        found.append(ras @ to_index[:3, :3].T + to_index[:3, 3])
    return found, others, by_parity


def _normal_axis(path: Path, structures: list[_Structure], reference: Geometry) -> int:
    """The axis of the image across which all contours are flat."""
    spread = np.max([np.ptp(c, axis=0) for s in structures for c in s.contours], axis=0)
    axis = int(np.argmin(spread))
    if spread[axis] > 2 * _OFF_SLICE:
        raise GeometryError(
            f"{path}: its contours are no planes of the image ({describe(reference)}): they reach {spread[axis]:.3g}"
            " voxels across each of its axes. Give the image that they were drawn on."
        )
    return axis


def _check_places(path: Path, structures: list[_Structure], axis: int, reference: Geometry, lenient: bool) -> list[str]:
    heights = np.array([c[:, axis].mean() for s in structures for c in s.contours])
    between = int((np.abs(heights - np.rint(heights)) > _OFF_SLICE).sum())
    size = np.array(reference.shape)
    outside = sum(
        bool((c.max(axis=0) > size + 0.5).any() or (c.min(axis=0) < -1.5).any()) for s in structures for c in s.contours
    )
    if (between or outside) and not lenient:
        found = [f"{between} lie between its slices"] if between else []
        found += [f"{outside} reach outside of it"] if outside else []
        what = f"of {len(heights)} contours {' and '.join(found)}"
        raise GeometryError(
            f"{path}: drawn on another image ({describe(reference)} was given): {what}. Give that image, or take each"
            " contour to the nearest slice: --resample-labels (in Python resample=True)."
        )
    notes = [f"{between} contour(s) between slices were taken to the nearest slice"] if between else []
    return notes + ([f"{outside} contour(s) reach outside of the image, and were cut off there"] if outside else [])


def _filled(structure: _Structure, axis: int, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Voxels of a structure, and what was done to its contours."""
    out = np.zeros(shape, bool)
    across = np.moveaxis(out, axis, 0)
    others = [a for a in range(3) if a != axis]
    by_slice: dict[int, list[npt.NDArray[np.float64]]] = {}
    for contour in structure.contours:
        k = int(np.rint(contour[:, axis].mean()))
        if 0 <= k < shape[axis]:
            by_slice.setdefault(k, []).append(contour[:, others])
    doubled = crossing = 0
    for k, polygons in by_slice.items():
        areas = [_area(p, across.shape[1:]) for p in polygons]
        if len(areas) > 1 and not structure.by_parity:
            found = len(areas)
            areas = _once(polygons, areas)
            doubled += found - len(areas)
            found = len(areas)
            areas = _joined(areas)
            crossing += found - len(areas)
        for area in areas:
            across[k] ^= area
    start = f"structure '{structure.name}': "
    notes = [f"{start}{doubled} contour(s) are stored twice, and count once"] if doubled else []
    notes += [f"{start}{crossing} contour(s) cross another one on their slice: they were joined"] if crossing else []
    if empty := _between(across, sorted(by_slice)):
        notes.append(
            f"{start}{empty} slices between its contours have none, and stay empty: its volume is too small where it"
            " was drawn on some slices only"
        )
    return out, notes


def _area(polygon: npt.NDArray[np.float64], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    out = np.zeros(shape, bool)
    for row, columns in _inside(polygon, shape):
        out[row, columns] ^= True
    return out


def _once(polygons: list[npt.NDArray[np.float64]], areas: list[npt.NDArray[np.bool_]]) -> list[npt.NDArray[np.bool_]]:
    """Areas without those of contours that are there twice, whichever point they begin at."""
    kept: list[int] = []
    ends = [np.r_[p.min(axis=0), p.max(axis=0)] for p in polygons]
    for n in range(len(areas)):
        same = (m for m in kept if np.abs(ends[n] - ends[m]).max() <= _SAME_ENDS)
        if not any(np.array_equal(areas[n], areas[m]) for m in same):
            kept.append(n)
    return [areas[n] for n in kept]


def _joined(areas: list[npt.NDArray[np.bool_]]) -> list[npt.NDArray[np.bool_]]:
    """Areas that overlap, and of which none lies within the other, as one; holes and parts are left as they are.

    A hole that reaches over the edge of what it is cut from is still a hole: most of it lies inside.
    """
    out: list[npt.NDArray[np.bool_]] = []
    for area in areas:
        joined, rest = area, []
        for other in out:
            if _crosses(joined, other):
                joined = joined | other
            else:
                rest.append(other)
        out = [*rest, joined]
    return out


def _crosses(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> bool:
    common = int((a & b).sum())
    small, large = sorted((int(a.sum()), int(b.sum())))
    if common in (0, small):
        return False
    return not (common > _HOLE * small and small < large / 2)


def _between(across: npt.NDArray[np.bool_], drawn: list[int]) -> int:
    """Slices without a contour between two that show the same part of a structure."""
    return sum(b - a - 1 for a, b in pairwise(drawn) if b > a + 1 and (across[a] & across[b]).any())


def _inside(polygon: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Iterator[tuple[int, slice]]:
    """Runs of pixels whose centre lies inside a polygon: the first index, and a slice of the second."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    first, last = max(0, int(np.ceil(polygon[:, 0].min()))), min(shape[0] - 1, int(np.floor(polygon[:, 0].max())))
    for row in range(first, last + 1):
        # Half open, so that a corner on the line counts once.
        crossing = (a[:, 0] <= row) != (b[:, 0] <= row)
        p, q = a[crossing], b[crossing]
        at = np.sort(p[:, 1] + (row - p[:, 0]) / (q[:, 0] - p[:, 0]) * (q[:, 1] - p[:, 1]))
        for low, high in zip(at[::2], at[1::2], strict=True):
            start, stop = max(0, int(np.ceil(low))), min(shape[1], int(np.ceil(high)))
            if start < stop:
                yield row, slice(start, stop)


def _require_apart(
    path: Path, structures: list[_Structure], filled: dict[int, npt.NDArray[np.bool_]]
) -> list[_Structure]:
    """Structures that enclose the others and are left out; others that overlap are refused."""
    first = next(iter(filled.values()))
    owner = np.zeros(first.shape, np.int64)
    overlaps: dict[tuple[int, int], int] = {}
    for s in sorted(structures, key=lambda s: s.encloses):
        here = filled[s.number]
        for value, count in zip(*np.unique(owner[here], return_counts=True), strict=True):
            if value:
                overlaps[int(value), s.number] = int(count)
        owner[here & (owner == 0)] = s.number
    by_number = {s.number: s for s in structures}
    left_out = {n for _, n in overlaps if by_number[n].encloses}
    wrong = {pair: n for pair, n in overlaps.items() if not left_out & set(pair)}
    if wrong:
        (one, other), count = max(wrong.items(), key=lambda item: item[1])
        names = f"'{by_number[one].name}' and '{by_number[other].name}'"
        raise InputError(
            f"{path}: its structures overlap, {names} in {count} voxels; a label map holds one class per voxel. Export"
            " those you need in a file of their own."
        )
    return [by_number[n] for n in left_out]
