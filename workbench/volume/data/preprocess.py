"""Intensities as a network expects them, and the box worth looking at. Numpy and scipy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, WeightsError
from workbench.volume.data.recipe import VolumeRecipe

Floats: TypeAlias = npt.NDArray[np.float32]
Box: TypeAlias = tuple[slice, slice, slice]

_AIR_HU = -500.0
_COARSE_MM = 6.0


def prepare(array: npt.NDArray[Any], recipe: VolumeRecipe, *, name: str = "the image") -> Floats:
    """Bring intensities to the range the network was trained on.

    Parameters
    ----------
    array
        (C, X, Y, Z), axes as in ``recipe.orientation``, in the unit of the image (HU for CT).
    recipe
        Says what to do: ``intensity`` and ``window``.
    name
        Stands in the error message.

    Returns
    -------
    ndarray
        (C, X, Y, Z) float32, a new array. A constant channel or slice becomes 0.

    Raises
    ------
    InputError
        If the number of channels is not the recipe's, or a voxel is NaN or infinite.
    """
    if array.ndim != 4:
        raise InputError(f"{name}: expected (channels, x, y, z), found shape {array.shape}")
    if array.shape[0] != len(recipe.channels):
        wanted = ", ".join(recipe.channels)
        raise InputError(
            f"{name}: has {array.shape[0]} channel(s), the weights expect {len(recipe.channels)} ({wanted}); "
            "choose weights for this kind of image or stack its channels"
        )
    out = np.array(array, dtype=np.float32, order="C")
    _check_finite(out, name)
    if recipe.intensity == "window":
        low, high = recipe.window
        if not high > low:
            raise WeightsError(f"the recipe's window {recipe.window} is empty; expected low < high")
        np.clip(out, low, high, out=out)
        out -= np.float32(low)
        out *= np.float32(1.0 / (high - low))
    elif recipe.intensity == "zscore":
        for channel in out:
            _standardise(channel)
    elif recipe.intensity == "slice_minmax":
        axial = 1 + next(i for i, code in enumerate(recipe.orientation) if code in "SI")
        others = tuple(a for a in (1, 2, 3) if a != axial)
        low_ = out.min(axis=others, keepdims=True)
        span = out.max(axis=others, keepdims=True) - low_
        out -= low_
        out /= np.where(span > 0, span, np.float32(1.0))
    return out


def _check_finite(array: Floats, name: str) -> None:
    # The sum is finite only if every voxel is (float64 cannot overflow here): no mask for the usual case.
    if np.isfinite(array.sum(dtype=np.float64)):
        return
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    raise InputError(
        f"{name}: {bad} of {array.size} voxels are NaN or infinite; expected finite intensities: "
        "repair the file or replace those voxels"
    )


def _standardise(channel: Floats) -> None:
    """Zero mean, unit deviation over the voxels above 0, in place; all others become 0."""
    inside = channel > 0
    values = channel[inside]
    if values.size:
        mean, deviation = values.mean(dtype=np.float64), values.std(dtype=np.float64)
        values -= np.float32(mean)
        if deviation > 1e-6 * max(1.0, abs(mean)):
            values /= np.float32(deviation)
        else:
            values[:] = 0
    channel[:] = 0
    channel[inside] = values


def crop_box(array: npt.NDArray[Any], recipe: VolumeRecipe, spacing_mm: Sequence[float] | None) -> Box | None:
    """The box outside of which there is nothing to segment, or ``None`` for the whole volume.

    Parameters
    ----------
    array
        (C, X, Y, Z) before `prepare`, in the unit of the image.
    recipe
        ``crop``: ``"body"`` takes the largest object above -500 HU of channel 0, sampled every 6 mm, after an
        erosion that cuts off the table, and with the margin these two need; ``"nonzero"`` whatever is not 0 in any
        channel.
    spacing_mm
        Spacing of the array; 1 mm if ``None``.
    """
    if recipe.crop == "none":
        return None
    shape = array.shape[1:]
    if recipe.crop == "nonzero":
        mask = array[0] != 0
        for channel in array[1:]:
            mask |= channel != 0
        step, margin = (1, 1, 1), (0, 0, 0)
    else:
        spacing = tuple(spacing_mm) if spacing_mm is not None else (1.0, 1.0, 1.0)
        step_ = [max(1, round(_COARSE_MM / s)) for s in spacing]
        step = (step_[0], step_[1], step_[2])
        mask = _body(array[0, :: step[0], :: step[1], :: step[2]] > _AIR_HU)
        # One step that the erosion took, and what may lie between two samples.
        margin = (2 * step[0] - 1, 2 * step[1] - 1, 2 * step[2] - 1)
    box = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if used.size == 0:
            return None
        low = int(used[0]) * step[axis] - margin[axis]
        high = int(used[-1]) * step[axis] + 1 + margin[axis]
        box.append(slice(max(0, low), min(shape[axis], high)))
    if all(b.start == 0 and b.stop == n for b, n in zip(box, shape, strict=True)):
        return None
    return (box[0], box[1], box[2])


def _body(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest object once thin plates (table, mattress) are eroded away; the mask itself if nothing remains."""
    from scipy import ndimage

    core = ndimage.binary_erosion(mask, border_value=1)
    parts, count = ndimage.label(core)
    if count == 0:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    body: npt.NDArray[np.bool_] = parts == int(sizes.argmax())
    return body
