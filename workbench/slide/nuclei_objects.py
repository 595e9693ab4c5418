"""Objects put together and measured: nuclei that were drawn behind those that were found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.frame import Frame
from workbench.core.objects import REJECTED, Objects
from workbench.core.rings import open_rings

Floats = npt.NDArray[np.float64]


def in_pixels(frame: Frame) -> Frame:
    """The frame of the same image that counts pixels."""
    affine = None if frame.affine is None else np.asarray(frame.affine) @ np.diag([*frame.pixel_size, 1.0])
    return Frame("pixel", "pixel", (1.0, 1.0), affine, frame.world_unit)


def joined(one: Objects, other: Objects) -> Objects:
    """Both, with the classes of the first; the others are rejected."""
    names = {c.name: c.value for c in one.classes}
    own = {c.value: names.get(c.name, 0) for c in other.classes}
    n, m = len(one), len(other)
    taken = set(one.ids.tolist())
    if one.ids.dtype.kind != other.ids.dtype.kind:
        raise InputError(
            f"objects '{one.name}' have numbers as ids and '{other.name}' text, or the other way: another program "
            "wrote one of them anew. Move the file of rejected ones away to open the other"
        )
    if taken & set(other.ids.tolist()):
        raise InputError(f"objects '{one.name}' and '{other.name}' have ids in common: they are not of one result")
    review = np.zeros(n, np.uint8) if one.review is None else one.review
    nothing = np.full(m, np.nan)
    odds = None
    if one.probabilities is not None:
        odds = np.concatenate([one.probabilities, nothing if other.probabilities is None else other.probabilities])
    other = other.in_frame(one.frame)
    return replace(
        one, coordinates=np.concatenate([one.coordinates, other.coordinates.astype(one.coordinates.dtype)]),
        ring_offsets=_chained(one.ring_offsets, other.ring_offsets),
        polygon_offsets=_chained(one.polygon_offsets, other.polygon_offsets),
        object_offsets=_chained(one.object_offsets, other.object_offsets),
        class_values=np.concatenate([one.class_values, [own.get(v, 0) for v in other.class_values.tolist()]]),
        ids=np.concatenate([one.ids, other.ids]), probabilities=odds,
        measurements={
            k: np.concatenate([v, other.measurements.get(k, nothing)]) for k, v in one.measurements.items()
        },
        review=np.concatenate([review, np.full(m, REJECTED, np.uint8)]),
    )  # fmt: skip


def _chained(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([one, other[1:] + one[-1]])


def appended(
    found: Objects, rings: list[Floats], ids: list[Any], values: npt.NDArray[Any], review: npt.NDArray[Any],
    odds: npt.NDArray[Any],
) -> Objects:  # fmt: skip
    """Objects with outlines that were drawn behind them, and what can be measured of those."""
    flat, offsets = open_rings(np.concatenate(rings), np.cumsum([0, *map(len, rings)]))
    new = Objects.from_rings(flat.astype(found.coordinates.dtype), offsets, frame=found.frame)
    measured = _measured(new)
    columns = {}
    for key, column in found.measurements.items():
        own = measured.get(key, np.full(len(rings), np.nan))
        columns[key] = np.concatenate([column, own]).astype(column.dtype if column.dtype.kind == "f" else np.float64)
    kind = found.ids.dtype.kind in "iu"
    before = np.zeros(len(found), np.uint8) if found.review is None else found.review
    return replace(
        found, coordinates=np.concatenate([found.coordinates, new.coordinates]),
        ring_offsets=_chained(found.ring_offsets, new.ring_offsets),
        polygon_offsets=_chained(found.polygon_offsets, new.polygon_offsets),
        object_offsets=_chained(found.object_offsets, new.object_offsets),
        class_values=np.concatenate([found.class_values, values]),
        ids=np.concatenate([found.ids, np.array(ids, np.int64 if kind else np.str_)]),
        probabilities=None if found.probabilities is None else np.concatenate([found.probabilities, odds]),
        measurements=columns, review=np.concatenate([before, review.astype(np.uint8)]),
    )  # fmt: skip


def mpp_of(objects: Objects) -> float | None:
    """Micrometres per pixel of level 0; ``None`` where the slide does not say."""
    frame = objects.frame
    if frame.affine is None or frame.world_unit != "um":
        return None
    return float(np.sqrt(abs(np.linalg.det(np.asarray(frame.affine)[:2, :2])))) * float(
        np.sqrt(np.prod(frame.pixel_size))
    )


def areas_um2(objects: Objects) -> Floats | None:
    """Area of each outline in square micrometres, whatever unit it is in; ``None`` where the slide does not say."""
    if mpp_of(objects) is None:
        return None
    found: Floats = objects.areas() * abs(float(np.linalg.det(np.asarray(objects.frame.affine)[:2, :2])))
    return found


def _measured(objects: Objects) -> dict[str, npt.NDArray[Any]]:
    """Area, perimeter and eccentricity of outlines, by the names that `find_cells` gives them."""
    mpp = mpp_of(objects)
    lengths, odd = [], []
    for i in range(len(objects)):
        ring = np.asarray(objects.polygon(i)[0][0], np.float64)
        lengths.append(float(np.hypot(*(np.roll(ring, -1, 0) - ring).T).sum()))
        odd.append(eccentricity(ring))
    found: dict[str, npt.NDArray[Any]] = {"eccentricity": np.array(odd)}
    if mpp is not None:
        found["area [um2]"] = objects.areas() * mpp**2
        found["perimeter [um]"] = np.array(lengths) * mpp
    return found


def eccentricity(ring: Floats) -> float:
    """Of the ellipse with the second moments of the area (Green's theorem)."""
    p = ring - ring.mean(0)
    q = np.roll(p, -1, 0)
    cross = p[:, 0] * q[:, 1] - q[:, 0] * p[:, 1]
    area = cross.sum() / 2
    if abs(area) < 1e-9:
        return 1.0
    centre = ((p + q) * cross[:, None]).sum(0) / (6 * area)
    squares = ((p**2 + p * q + q**2) * cross[:, None]).sum(0) / (12 * area) - centre**2
    mixed = (p[:, 0] * q[:, 1] + 2 * p[:, 0] * p[:, 1] + 2 * q[:, 0] * q[:, 1] + q[:, 0] * p[:, 1]) * cross
    both = mixed.sum() / (24 * area) - centre[0] * centre[1]
    low, high = np.linalg.eigvalsh([[squares[0], both], [both, squares[1]]])
    return float(np.sqrt(max(0.0, 1 - low / high))) if high > 0 else 0.0


def neighbours_anew(objects: Objects) -> dict[str, npt.NDArray[Any]]:
    """The measurements with their columns of neighbours counted anew: others may be near now."""
    from scipy.spatial import cKDTree

    found, mpp = dict(objects.measurements), mpp_of(objects)
    for key in found:
        if not key.startswith("neighbours within ") or mpp is None or not len(objects):
            continue
        radius = float(key.removeprefix("neighbours within ").split()[0])
        centres = objects.centroids()
        found[key] = (
            cKDTree(centres).query_ball_point(centres, radius / mpp, return_length=True) - 1
        ).astype(np.int32)  # fmt: skip
    return found
