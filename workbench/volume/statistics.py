"""What is measured of each class of a label map: volume, values of the image in it, surface and longest diameter."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.layers import count_labels
from workbench.core.types import Geometry, Image, Labels, Scores
from workbench.data.geometry import is_sheared

NAME = "statistics"


def class_statistics(labels: Labels, image: Image) -> Scores:
    """One row per class, and per value that has no class.

    Columns
    -------
    voxels, volume [mL]
        By the determinant of the affine; NaN where the image has no position.
    mean, median, sd
        Of the voxels of the image in it that are numbers, in its unit (HU for CT); the sd is that of the sample. Of
        several channels each has its own columns.
    surface [mm2]
        By Crofton's formula over 13 directions (ITK); NaN for axes that are not at right angles.
    longest diameter [mm]
        The largest distance between the centres of two of its voxels, in any direction (Feret's diameter).

    Parameters
    ----------
    labels, image
        On one grid.
    """
    data, geometry = labels.data, labels.geometry
    counts = count_labels(data)
    samples = image.samples()
    measures = _columns(image)
    boxes = _boxes(data, max((v for v in counts if v > 0), default=0))
    surfaces = _surfaces(data, geometry)
    rows = []
    for c in (*labels.classes, *labels.classes.unlisted(counts)):
        box = boxes.get(c.value)
        volume = math.nan if geometry.sample_volume is None else counts.get(c.value, 0) * geometry.sample_volume / 1000
        row: list[Any] = [c.name, c.value, counts.get(c.value, 0), volume]
        if box is None:
            rows.append((*row, *[math.nan] * len(measures), 0.0 if surfaces is not None else math.nan, math.nan))
            continue
        inside = data[box] == c.value
        for channel in samples:
            row += _values(channel[box][inside])
        surface = math.nan if surfaces is None else surfaces.get(c.value, math.nan)
        rows.append((*row, surface, _longest(inside, box, geometry)))
    head = ("class", "value", "voxels", "volume [mL]", *measures, "surface [mm2]", "longest diameter [mm]")
    return Scores(head, tuple(tuple(_short(v) for v in row) for row in rows), NAME)


def as_json(scores: Scores) -> dict[str, Any]:
    """Rows by column; what could not be measured is null."""
    plain = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in scores.as_dicts()
    ]
    return {"columns": list(scores.columns), "rows": plain}


def _columns(image: Image) -> list[str]:
    unit = f" [{image.value_unit}]" if image.value_unit else ""
    names = image.channels if len(image.channels) > 1 else ("",)
    return [f"{m}{f' {n}' if n else ''}{unit}" for n in names for m in ("mean", "median", "sd")]


def _values(values: npt.NDArray[Any]) -> list[float]:
    values = values[np.isfinite(values)].astype(np.float64) if values.dtype.kind == "f" else values.astype(np.float64)
    if not values.size:
        return [math.nan] * 3
    sd = float(values.std(ddof=1)) if values.size > 1 else math.nan
    return [float(values.mean()), float(np.median(values)), sd]


def _boxes(data: npt.NDArray[Any], highest: int) -> dict[int, tuple[slice, slice, slice]]:
    from scipy import ndimage

    if highest == 0:
        return {}
    signed = data.astype(np.int32, copy=False) if data.dtype.kind == "u" and data.dtype.itemsize > 2 else data
    found = ndimage.find_objects(signed, max_label=highest)
    return {value: box for value, box in enumerate(found, 1) if box is not None}


def _surfaces(data: npt.NDArray[Any], geometry: Geometry) -> dict[int, float] | None:
    """Surface of each value [mm2]; ``None`` where distances along axes do not say it."""
    if geometry.spacing is None or is_sheared(geometry):
        return None
    sitk: Any = importlib.import_module("SimpleITK")
    # A margin: ITK counts no surface where an object touches the end of the image.
    image = sitk.GetImageFromArray(np.pad(data, 1).T)
    image.SetSpacing(geometry.spacing)
    measure = sitk.LabelShapeStatisticsImageFilter()
    measure.ComputeFeretDiameterOff()
    measure.ComputeOrientedBoundingBoxOff()
    measure.ComputePerimeterOn()
    measure.Execute(image)
    return {int(v): float(measure.GetPerimeter(v)) for v in measure.GetLabels()}


def _longest(inside: npt.NDArray[np.bool_], box: tuple[slice, ...], geometry: Geometry) -> float:
    if geometry.affine is None:
        return math.nan
    # The ends of each line along the last axis hold the corners of the convex hull.
    last = inside.shape[-1] - 1
    used = inside.any(axis=-1)
    lines = np.argwhere(used)
    low, high = inside[used].argmax(axis=-1), last - inside[used][:, ::-1].argmax(axis=-1)
    index = np.unique(np.concatenate([np.c_[lines, low], np.c_[lines, high]]), axis=0)
    index = index + [b.start for b in box]
    points = index @ geometry.affine[:3, :3].T
    return _farthest(points)


def _farthest(points: npt.NDArray[np.float64]) -> float:
    """The largest distance between two points: of the corners of their convex hull, in as many axes as they span."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    if len(points) > 16:
        centred = points - points.mean(axis=0)
        _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
        spanned = int((sizes > 1e-6 * sizes[0]).sum())
        flat = centred @ axes[:spanned].T
        if spanned == 1:
            return float(np.ptp(flat))
        points = flat[ConvexHull(flat).vertices]
    return float(pdist(points).max()) if len(points) > 1 else 0.0


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) and math.isfinite(value) else value
