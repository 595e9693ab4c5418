"""Windows over a volume: settings, positions, weights, and what is cut out.

Positions and the Gaussian importance map are those of MONAI's ``sliding_window_inference``, so both give the same
labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.core.errors import UsageError

Size3: TypeAlias = tuple[int, int, int]

_SMALLEST_ROI = 32


@dataclass(frozen=True)
class WindowSettings:
    """How windows are laid and run.

    Parameters
    ----------
    roi
        Window in voxels, in the order of the volume's axes.
    stride
        Voxels per logit of the predictor along each axis: 1, or 4 for a quarter-resolution head.
    mode
        ``"exact"``: labels as MONAI's sliding window gives them. ``"fast"``: windows are blended at the predictor's own
        resolution and up-sampled once; needs ``stride`` > 1 and changes about one voxel in 300, at class borders. Along
        axes on which windows do not begin on multiples of the stride, blending stays at full resolution.
    overlap
        Fraction of a window shared with the next, 0 to below 1.
    batch
        Windows per call; ``None`` is 2 on a CPU (more only miss the cache) and 4 on a GPU.
    precision
        ``"auto"``: float32 in exact mode; in fast mode bfloat16 where the processor computes in it.
    channels_last
        Give windows in ``torch.channels_last_3d`` order.
    axis_order
        ``"zyx"``: the predictor sees the spatial axes reversed.
    flips
        Axes of the volume along which mirrored windows are predicted too and averaged (all combinations).
    """

    roi: Size3
    stride: int = 1
    mode: Literal["exact", "fast"] = "exact"
    overlap: float = 0.5
    batch: int | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: bool = False
    axis_order: Literal["xyz", "zyx"] = "xyz"
    flips: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.roi) != 3 or min(self.roi) < 1:
            raise UsageError(f"roi {self.roi}: expected three window sizes of at least 1 voxel")
        if not 0 <= self.overlap < 1:
            raise UsageError(f"overlap {self.overlap}: expected a fraction from 0 to below 1")
        if self.mode == "fast" and self.stride < 2:
            raise UsageError("mode 'fast' needs a predictor that gives logits at reduced resolution; use 'exact'")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"batch {self.batch}: expected at least 1 window per call")
        if any(a not in (0, 1, 2) for a in self.flips):
            raise UsageError(f"flips {self.flips}: expected axes out of 0, 1, 2")


@dataclass(frozen=True)
class AxisPlan:
    """Windows along one axis of a box, in padded coordinates: voxel i of the box is at ``before + i``."""

    length: int
    roi: int
    before: int
    padded: int
    starts: tuple[int, ...]


def window_starts(length: int, roi: int, overlap: float) -> tuple[int, ...]:
    """First voxels of the windows along an axis, as MONAI lays them; the last one ends with the axis."""
    if length <= roi:
        return (0,)
    step = max(1, int(roi * (1 - overlap)))
    count = math.ceil((length - roi) / step) + 1
    return tuple(min(i * step, length - roi) for i in range(count))


def plan_axis(length: int, roi: int, overlap: float) -> AxisPlan:
    """Windows along an axis; one that is shorter than the window is padded, half on each side, as MONAI does."""
    if length <= roi:
        return AxisPlan(length, roi, (roi - length) // 2, roi, (0,))
    return AxisPlan(length, roi, 0, length, window_starts(length, roi, overlap))


def blend_unit(plan: AxisPlan, stride: int) -> int:
    """The predictor's stride if all windows begin and end on it (logits can be blended as they are), else 1."""
    return stride if all(n % stride == 0 for n in (*plan.starts, plan.roi, plan.padded)) else 1


def importance_map(roi: Sequence[int], sigma_scale: float = 0.125) -> Tensor:
    """Gaussian weight of every voxel of a window, float32, as in MONAI (never below 1e-3)."""
    weight = torch.ones(())
    for n in roi:
        x = torch.arange(n, dtype=torch.float32) - (n - 1) / 2
        weight = weight[..., None] * torch.exp(x**2 / (-2 * (sigma_scale * n) ** 2))
    return weight.clamp(min=max(float(weight.min()), 1e-3))


def fill_window(target: npt.NDArray[np.float32], box: npt.NDArray[Any], plans: Sequence[AxisPlan], at: Size3) -> None:
    """Copy the window at padded position `at` of ``box`` (C, X, Y, Z) into ``target`` (C, *roi); 0 beyond the box."""
    source, inner = [], []
    for plan, corner in zip(plans, at, strict=True):
        first = corner - plan.before
        low, high = max(first, 0), min(first + plan.roi, plan.length)
        source.append(slice(low, high))
        inner.append(slice(low - first, high - first))
    if any(i.stop - i.start < p.roi for i, p in zip(inner, plans, strict=True)):
        target[...] = 0
    target[(slice(None), *inner)] = box[(slice(None), *source)]


def choose_precision(settings: WindowSettings, device: torch.device) -> str:
    if settings.precision != "auto":
        return settings.precision
    if settings.mode == "exact":
        return "float32"
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if device.type == "cpu" and native is not None and native() else "float32"


def smaller_window(roi: Size3) -> Size3:
    """About two thirds of a window, in multiples of 32; unchanged when it is as small as it gets."""
    x, y, z = (n if n <= _SMALLEST_ROI else max(_SMALLEST_ROI, n * 2 // 3 // 32 * 32) for n in roi)
    return (x, y, z)


def by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
