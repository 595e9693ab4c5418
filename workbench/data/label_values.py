"""Values of label maps: whole numbers >= 0, in the smallest type that holds them; never a value changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError


def whole_numbers(data: np.ndarray[Any, Any], source: str | Path, *, negative: bool = False) -> np.ndarray[Any, Any]:
    """The same values in an integer type; label maps stored as float are common, fractions in them are an error.

    `negative` lets values below 0 pass: to be looked at, not to be learnt from.
    """
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if data.dtype.kind == "f":
        rounded = np.rint(data)
        if not np.array_equal(rounded, data):
            raise InputError(f"{source}: holds fractions or NaN, a label map holds whole numbers. Is this an image?")
        low, high = (float(rounded.min()), float(rounded.max())) if rounded.size else (0.0, 0.0)
        if negative and -(2**31) <= low < 0 and high < 2**31:
            return np.asarray(rounded, dtype=np.int32)
        if low < 0 or high > 2**32 - 1:
            allowed = "labels of both signs are -2147483648 to 2147483647" if negative else "labels are 0 to 4294967295"
            raise InputError(f"{source}: holds values from {low:g} to {high:g}, {allowed}.")
        smallest: type[np.generic] = np.uint8 if high < 256 else np.uint16 if high < 65536 else np.uint32
        return np.asarray(rounded, dtype=smallest)
    if not negative and data.size and data.dtype.kind == "i" and int(data.min()) < 0:
        raise InputError(f"{source}: holds the negative value {int(data.min())}, labels are >= 0. Is this an image?")
    return data


def smallest_unsigned(data: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The label map in the smallest unsigned type that holds every value; never a value changed.

    Raises
    ------
    InputError
        If the values are not whole numbers, or negative, or above 2**32 - 1.
    """
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if data.dtype.kind not in "iu":
        raise InputError(f"label map '{name}' has type {data.dtype}, whole numbers were expected. Nothing was written.")
    low, high = (int(data.min()), int(data.max())) if data.size else (0, 0)
    if low < 0 or high > 2**32 - 1:
        raise InputError(
            f"label map '{name}' holds values from {low} to {high}, expected 0 to 4294967295. Nothing was written."
        )
    smallest = np.uint8 if high < 2**8 else np.uint16 if high < 2**16 else np.uint32
    return data if data.dtype == smallest else data.astype(smallest)
