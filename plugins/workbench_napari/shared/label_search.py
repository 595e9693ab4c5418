"""Where a label lies in a large array, block by block. No Qt here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.levels import slabs


@dataclass(frozen=True)
class Found:
    """Where a label lies.

    Parameters
    ----------
    middle
        Mean index of all its samples.
    largest
        Index in the middle of the slice that holds most of it.
    """

    middle: npt.NDArray[np.float64]
    largest: npt.NDArray[np.float64]


def find_label(data: Any, value: int, axis: int, stop: Callable[[], bool] = lambda: False) -> Found | None:
    """The middle of a label, and that of its largest slice across `axis`; ``None`` if there is none, or when stopped.

    Parameters
    ----------
    data
        An array, or anything that gives arrays when it is sliced (dask, zarr).
    stop
        Asked before every block.
    """
    profiles = [np.zeros(n, np.int64) for n in data.shape]
    for part in slabs(data.shape):
        if stop():
            return None
        inside = np.asarray(data[part]) == value
        if inside.any():
            for a, counts in enumerate(_profiles(inside)):
                profiles[a][part if a == 0 else slice(None)] += counts
    if not profiles[axis].any():
        return None
    best = int(profiles[axis].argmax())
    where = tuple(best if a == axis else slice(None) for a in range(len(data.shape)))
    plane = iter(_middle(_profiles(np.asarray(data[where]) == value)))
    largest = np.array([best if a == axis else next(plane) for a in range(len(data.shape))], float)
    return Found(np.array(_middle(profiles)), largest)


def _profiles(inside: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Samples in every slice, across every axis."""
    axes = range(inside.ndim)
    return [np.count_nonzero(inside, axis=tuple(b for b in axes if b != a)).reshape(-1) for a in axes]


def _middle(profiles: list[npt.NDArray[np.int64]]) -> list[float]:
    return [float((p * np.arange(len(p))).sum() / max(1, p.sum())) for p in profiles]
