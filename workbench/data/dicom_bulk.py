"""Outlines of nuclei from DICOM Microscopy Bulk Simple Annotations (PS3.3, A.87), through highdicom.

Points of 2-D annotations are (column, row) of the total pixel matrix from the outer corner of its first pixel, as ours
are.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import PARSING, InputError, MissingExtra, NothingFound, WorkbenchWarning, reading
from workbench.core.objects import Objects
from workbench.data.companion import require_regular

SUFFIXES = (".dcm",)
_BULK = "1.2.840.10008.5.1.4.1.1.91.1"
_AREAS = ("POLYGON", "RECTANGLE", "ELLIPSE")
_FURTHEST = 1e9
"""Places beyond this are damage: no slide has so many pixels along a side."""
_CORNERS = 48
"""Of the outline of an ellipse."""

Floats = npt.NDArray[np.float64]


def read_bulk(path: Path) -> Objects:
    """The polygons, rectangles and ellipses of all groups; each group is a class, called by its label.

    Raises
    ------
    MissingExtra
        highdicom is not installed (extra ``dicom``).
    InputError
        Another kind of DICOM file, a damaged one, no areas, or places in millimetres on the glass.
    """
    import pydicom

    if not path.exists():
        raise NothingFound(f"{path}: no such file. Check the path.")
    require_regular(path)
    try:
        hd: Any = importlib.import_module("highdicom")
    except ImportError as error:
        raise MissingExtra("reading DICOM bulk annotations (highdicom is not installed)", "dicom") from error
    damaged = (*PARSING, pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException, NotImplementedError)
    with reading(path, "is no DICOM file that can be read", "Export it again.", kinds=damaged):
        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "Modality"])
        kind, modality = str(head.get("SOPClassUID", "")), str(head.get("Modality", ""))
    if kind != _BULK:
        raise InputError(
            f"{path}: a DICOM file of modality {modality or 'unknown'}, which holds no outlines; microscopy bulk "
            "simple annotations (ANN) were expected"
        )
    with reading(path, "its annotations cannot be read", "Export them again.", kinds=damaged):
        found = hd.ann.annread(path)
        where = str(getattr(found.annotation_coordinate_type, "value", found.annotation_coordinate_type))
        origin = str(found.get("PixelOriginInterpretation", "VOLUME"))
        groups = [] if where != "2D" else [_group(hd, group) for group in found.get_annotation_groups()]
    if where != "2D":
        raise InputError(
            f"{path}: its places are in millimetres on the glass (3D); pixels of the slide (2D) were expected. Export "
            "them relative to the total pixel matrix."
        )
    if origin != "VOLUME":
        raise InputError(f"{path}: counts pixels from each frame ({origin}); the whole slide (VOLUME) was expected")
    others = sorted({kind.lower() for _, kind, _, _ in groups if kind not in _AREAS})
    areas = [group for group in groups if group[1] in _AREAS]
    if not areas:
        raise InputError(f"{path}: holds no areas ({', '.join(others) or 'no groups'}); outlines were expected")
    if others:
        warnings.warn(f"{path}: {' and '.join(others)} groups are left out", WorkbenchWarning, stacklevel=3)
    return _objects(path, areas)


def _group(hd: Any, group: Any) -> tuple[str, str, list[Floats], dict[str, Floats]]:
    """Label, type of graphics, outlines, and measurements by their names."""
    kind = str(getattr(group.graphic_type, "value", group.graphic_type))
    rings = [np.asarray(a, np.float64)[:, :2] for a in group.get_graphic_data("2D")] if kind in _AREAS else []
    if kind == "ELLIPSE":
        rings = [_ellipse(ring) for ring in rings]
    if rings:
        _require_sound(group, len(rings))
    names, values, units = group.get_measurements()
    measured = {
        f"{name.meaning} [{unit.value}]": np.asarray(values, np.float64)[:, i]
        for i, (name, unit) in enumerate(zip(names, units, strict=True))
    }
    return str(group.label), kind, rings, measured


def _require_sound(group: Any, count: int) -> None:
    """What a group says of itself must agree: how many outlines, and where each begins.

    Raises
    ------
    ValueError
        It does not.
    """
    if int(group.number_of_annotations) != count:
        raise ValueError(f"{group.number_of_annotations} annotations are promised, {count} found")
    starts = group.get("LongPrimitivePointIndexList")
    if starts:
        places = np.frombuffer(starts, np.uint32)
        if places[0] != 1 or (np.diff(places.astype(np.int64)) < 6).any() or ((places - 1) % 2).any():
            raise ValueError("its outlines begin where no point does")
    if group.get("DoublePointCoordinatesData") is not None and group.get("PointCoordinatesData") is not None:
        raise ValueError("it has places twice")


def _ellipse(ends: Floats) -> Floats:
    """The outline of an ellipse from the ends of its long and its short axis."""
    middle, half, other = ends[:2].mean(0), (ends[1] - ends[0]) / 2, (ends[3] - ends[2]) / 2
    angle = np.arange(_CORNERS)[:, None] * (2 * np.pi / _CORNERS)
    return np.asarray(middle + np.cos(angle) * half + np.sin(angle) * other)


def _objects(path: Path, groups: list[tuple[str, str, list[Floats], dict[str, Floats]]]) -> Objects:
    rings = [ring for _, _, some, _ in groups for ring in some]
    for number, ring in enumerate(rings, 1):
        if len(ring) < 3 or not (np.abs(ring) < _FURTHEST).all():
            raise InputError(
                f"{path}: outline {number} has {len(ring)} points or a place that is none. Export it again."
            )
    counts = [len(some) for _, _, some, _ in groups]
    classes = ClassTable.from_names(list(dict.fromkeys(label for label, *_ in groups if label)))
    place = {c.name: c.value for c in classes} | {"": 0}
    columns: dict[str, Floats] = {}
    starts = np.cumsum([0, *counts])
    for start, (_, _, some, measured) in zip(starts, groups, strict=False):
        for name, values in measured.items():
            columns.setdefault(name, np.full(len(rings), np.nan))[start : start + len(some)] = values
    return Objects.from_polygons(
        [[ring] for ring in rings], classes=classes, measurements=columns, name=path.stem,
        class_values=np.repeat([place[label] for label, *_ in groups], counts).astype(np.int32),
    )  # fmt: skip
