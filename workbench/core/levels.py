"""Levels of a multiscale layer: the samples of one of them, and the transform that puts just those where they lie.

A viewer keeps one transform for all levels, that of the finest. What is computed on a coarser level needs its own:

- *Factor.* Along each axis a sample of the level stands for a whole number ``n`` of samples of the finest, where that
  number explains both lengths: ``ceil(N / n)`` (what is left over at the end has a sample too) or ``floor(N / n)`` (it
  was cut off). It is not ``N / (length of the level)``, which for 101 samples that became 51 is a little less than 2.
- *Centre.* The centre of sample ``k`` lies at ``n k + (n - 1) / 2`` of the finest grid, in the middle of the samples it
  stands for, as napari draws it. Only where the level holds just every n-th sample of the finest (``level0[::n]``),
  which a look at both shows, it lies at ``n k``.

Nothing else is guessed: a level that no whole number explains is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError, InputError

_PROBES = (0.2, 0.35, 0.5, 0.65, 0.8)
"""Where both levels are looked at, as parts of their length; in boxes of so many samples:"""
_PROBE_EDGE = 12
_PROOF = 16
"""Samples that must tell the first of their group from the last before a level counts as every n-th sample."""


def is_multiscale(data: Any, attributes: Mapping[str, Any]) -> bool:
    """Whether the data of a layer is a list of levels; lists of a shapes layer are none."""
    return bool(attributes.get("multiscale")) and hasattr(data, "__getitem__") and len(data) > 0


def finest(data: Any, attributes: Mapping[str, Any]) -> Any:
    """The samples that the attributes of a layer belong to: its data, or the finest of its levels, not read yet.

    ``numpy.asarray`` of a multiscale layer's data is its *coarsest* level, which those attributes do not place.
    """
    return data[0] if is_multiscale(data, attributes) else data


def at_level(data: Any, attributes: Mapping[str, Any], level: int) -> tuple[Any, dict[str, Any]]:
    """The samples of one level, not read yet, and the attributes of a single-scale layer that puts them in place.

    Raises
    ------
    GeometryError
        The level does not lie on a grid that the finest can be divided into.
    """
    own = {k: v for k, v in attributes.items() if k != "locked_data_level"} | {"multiscale": False}
    if not is_multiscale(data, attributes):
        return data, own
    if level == 0:
        return data[0], own
    name = str(attributes.get("name", "?"))
    if not 0 < level < len(data):
        raise GeometryError(f"layer '{name}' has {len(data)} levels, there is no level {level}")
    fine, coarse = data[0], data[level]
    steps = factors([x.shape for x in data], level, f"level {level} of layer '{name}'")
    centre = np.zeros(len(steps)) if _is_every_nth(fine, coarse, steps) else (np.array(steps) - 1) / 2
    ndim = len(steps)
    linear = linear_of(attributes, ndim)
    own["scale"] = tuple((_padded(attributes.get("scale"), ndim, 1.0) * steps).tolist())
    own["translate"] = tuple((_padded(attributes.get("translate"), ndim, 0.0) + linear @ centre).tolist())
    return coarse, own


def factors(shapes: Sequence[Sequence[int]], level: int, what: str = "the level") -> tuple[int, ...]:
    """How many samples of the finest level one of a coarser level stands for, along each axis.

    From level to level where that is clear (a factor of 2, five times, is 32), else from the finest at once.

    Parameters
    ----------
    shapes
        Shapes of all levels, the finest first.
    what
        Names the level in a refusal.

    Raises
    ------
    GeometryError
        No whole number explains an axis, or several do and the other axes do not tell which.
    """
    try:
        total = np.ones(len(shapes[0]), int)
        for before, after in pairwise(shapes[: level + 1]):
            total *= np.array(_step(before, after, what))
    except GeometryError:
        return _step(shapes[0], shapes[level], what)
    return tuple(total.tolist())


def _step(fine: Sequence[int], coarse: Sequence[int], what: str) -> tuple[int, ...]:
    if len(fine) != len(coarse):
        raise GeometryError(f"{what} has {len(coarse)} axes, the finest {len(fine)}; it cannot be placed")
    fitting = [_fitting(int(a), int(b)) for a, b in zip(fine, coarse, strict=True)]
    certain = {c[0] for c in fitting if len(c) == 1}
    found = []
    for axis, (a, b, candidates) in enumerate(zip(fine, coarse, fitting, strict=True)):
        if not candidates:
            raise GeometryError(
                f"{what} cannot be placed: along axis {axis} {a} samples became {b}, by no whole factor; use level 0"
            )
        agreed = [n for n in candidates if n in certain] or candidates
        if len(agreed) > 1 and a % b == 0 and a // b in agreed:
            agreed = [a // b]
        if len(agreed) > 1:
            raise GeometryError(
                f"{what} cannot be placed: along axis {axis} {a} samples became {b}, by a factor of "
                f"{' or '.join(map(str, agreed))}; use level 0"
            )
        found.append(agreed[0])
    return tuple(found)


def _fitting(a: int, b: int) -> list[int]:
    """Whole factors by which `a` samples become `b`."""
    if not 0 < b <= a:
        return []
    if a == b:
        return [1]
    around = range(max(2, a // (b + 1)), a // max(1, b - 1) + 2) if b > 1 else range(a // 2 + 1, a + 1)
    return [n for n in around if b in (-(-a // n), a // n)]


def _is_every_nth(fine: Any, coarse: Any, steps: Sequence[int]) -> bool:
    """Whether a level is ``fine[::n]``, by a look at a few boxes of both."""
    told = 0
    whole = [max(1, a // n) for a, n in zip(fine.shape, steps, strict=True)]  # groups that are complete
    for part in _PROBES:
        starts = [int(part * max(0, n - _PROBE_EDGE)) for n in whole]
        boxes = [(s, min(s + _PROBE_EDGE, n)) for s, n in zip(starts, whole, strict=True)]
        seen = np.asarray(coarse[tuple(slice(s, e) for s, e in boxes)])
        first, last = (
            np.asarray(
                fine[
                    tuple(
                        slice(s * n + at * (n - 1), (e - 1) * n + at * (n - 1) + 1, n)
                        for (s, e), n in zip(boxes, steps, strict=True)
                    )
                ]
            )
            for at in (0, 1)
        )
        if not np.array_equal(seen, first):
            return False
        told += int(np.count_nonzero(first != last))
    return told >= _PROOF


# --- transforms


def linear_of(attributes: Mapping[str, Any], ndim: int) -> npt.NDArray[np.float64]:
    """Rotation · shear · scale of a layer's attributes, ``(ndim, ndim)``; its affine is not in it."""
    scale = np.diag(_padded(attributes.get("scale"), ndim, 1.0))
    return _rotation(attributes.get("rotate"), ndim) @ _shear(attributes.get("shear"), ndim) @ scale


def _padded(values: Any, ndim: int, filler: float) -> npt.NDArray[np.float64]:
    """Values of the last axes, with `filler` for the axes before them."""
    full = np.full(ndim, filler)
    given = np.asarray(() if values is None else values, dtype=float).ravel()
    full[ndim - len(given) :] = given
    return full


def _rotation(rotate: Any, ndim: int) -> npt.NDArray[np.float64]:
    if rotate is None:
        return np.eye(ndim)
    matrix = np.asarray(rotate, dtype=float)
    if matrix.ndim != 2:
        raise GeometryError("the layer's rotation is given as angles; save it through the viewer, which gives a matrix")
    return _embedded(matrix, ndim)


def _shear(shear: Any, ndim: int) -> npt.NDArray[np.float64]:
    if shear is None:
        return np.eye(ndim)
    values = np.asarray(shear, dtype=float)
    if values.ndim == 2:
        return _embedded(values, ndim)
    # napari's vector form: the upper triangle row by row.
    size = int((1 + np.sqrt(1 + 8 * len(values))) / 2)
    inner = np.eye(size)
    inner[np.triu_indices(size, k=1)] = values
    return _embedded(inner, ndim)


def _embedded(matrix: npt.NDArray[np.float64], ndim: int) -> npt.NDArray[np.float64]:
    full = np.eye(ndim)
    n = matrix.shape[0]
    full[ndim - n :, ndim - n :] = matrix
    return full


# --- axes


def refuse_time(shape: Sequence[int], attributes: Mapping[str, Any], spatial: int = 3) -> None:
    """Refuse a layer whose leading axes are moments: they are no channels of one volume.

    Raises
    ------
    InputError
        An axis before the last `spatial` ones is named ``t`` or ``time``, or its unit is one of time.
    """
    leading = max(0, len(shape) - spatial)
    names = [str(n).strip().lower() for n in attributes.get("axis_labels") or ()]
    units = [str(u) for u in attributes.get("units") or ()] if not isinstance(attributes.get("units"), str) else []
    for axis, size in enumerate(shape[:leading]):
        named = len(names) == len(shape) and names[axis] in ("t", "time", "frame")
        timed = len(units) == len(shape) and units[axis] in _TIMES
        if (named or timed) and size > 1:
            raise InputError(
                f"layer '{attributes.get('name', '?')}' has {size} moments in time along its first axis; "
                "take one of them as a layer of its own first (Layers > Split stack)"
            )


_TIMES = {f"{p}second" for p in ("", "milli", "micro", "nano", "pico")} | {"s", "ms", "us", "minute", "hour"}


def slabs(shape: Sequence[int], samples: int = 1 << 22) -> list[slice]:
    """Pieces along the first axis of about so many samples each, so that a large array is never whole in memory."""
    step = max(1, samples // max(1, int(np.prod(shape[1:]))))
    return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]
