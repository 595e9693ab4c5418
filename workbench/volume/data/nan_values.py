"""Voxels that are no numbers: counted as they stand in the file before anything is resampled, refused or filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.volume.data.recipe import VolumeRecipe

Nan = Literal["refuse", "background"]


def background(recipe: VolumeRecipe) -> float:
    """The value of what surrounds the body, in the unit of the image."""
    return float(recipe.window[0]) if recipe.intensity == "window" else 0.0


def filled(
    samples: npt.NDArray[Any], recipe: VolumeRecipe, nan: Nan, source: Path | str | None
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """The samples without NaN, and what was done to them, a line each.

    Parameters
    ----------
    samples
        ``(C, X, Y, Z)`` as stored; never changed.
    nan
        What becomes of voxels that are NaN. Infinite ones are always refused: no program writes them as a background.

    Raises
    ------
    InputError
        Voxels that are NaN or infinite; the message counts them.
    """
    if samples.dtype.kind != "f":
        return samples, ()
    # A sum is NaN or infinite if any sample is; counting, which needs memory, happens only then.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(samples.sum(dtype=np.float64)):
            return samples, ()
    subject = source or "the image"
    missing = np.isnan(samples)
    count, infinite = int(np.count_nonzero(missing)), int(np.count_nonzero(np.isinf(samples)))
    if infinite or (count and nan == "refuse"):
        way = "" if infinite else ", or take NaN as background: --nan background (in Python nan='background')"
        what = "NaN" if not infinite else "infinite" if not count else "NaN or infinite"
        raise InputError(
            f"{subject}: {count + infinite} of {samples.size} voxels are {what}, expected finite numbers. Replace them"
            f" (e.g. by the value of air){way}."
        )
    if not count:
        return samples, ()
    if count == samples.size:
        raise InputError(f"{subject}: all {count} voxels are NaN, there is nothing to see. Give another file.")
    value = background(recipe)
    out = samples.copy()
    out[missing] = value
    return out, (f"{count} of {samples.size} voxels are NaN: taken as background ({value:g}), as asked",)
