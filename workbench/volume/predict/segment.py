"""Segment a whole volume with a network that sees a window of it.

The predictor is any callable from windows (B, C, *roi) to logits, at full resolution or, with ``stride=4``, at a
quarter (``SegFormer3D.forward_low``). Memory is bounded by a slab as deep as one window; see
`workbench.volume.predict.slab`.

>>> from workbench.volume.predict.segment import WindowSettings, segment
>>> settings = WindowSettings(roi=(96, 96, 96), stride=4, mode="exact", overlap=0.5)
>>> found = segment(
...     net.forward_low,                      # (B, C, 96, 96, 96) -> (B, K, 24, 24, 24), already on `device`
...     volume,                               # (C, X, Y, Z) float32, prepared, on the working grid
...     settings,
...     device="cpu",
...     box=crop_box(raw, recipe, grid.spacing),         # working voxels, or None
...     output_shape=grid.oriented_shape,     # labels come on the native voxels; None: on the working grid
...     progress=lambda done, total: None,    # per window; raise Cancelled to stop
... )
>>> found.labels.shape == grid.oriented_shape
>>> native = grid.unorient(found.labels)      # file order
>>> found.report.notes                        # for the provenance
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.core.errors import InputError, OutOfMemory
from workbench.core.memory import is_out_of_memory, ran_out
from workbench.core.types import Progress
from workbench.volume.predict.slab import ReadOut, Slab, plan_read_out
from workbench.volume.predict.windows import (
    AxisPlan,
    Size3,
    WindowSettings,
    blend_unit,
    by,
    choose_precision,
    fill_window,
    importance_map,
    plan_axis,
    smaller_window,
    window_starts,
)

Predictor: TypeAlias = Callable[[Tensor], Tensor]
Merge: TypeAlias = Callable[[npt.NDArray[np.bool_]], npt.NDArray[Any]]
Box: TypeAlias = tuple[slice, slice, slice]


@dataclass(frozen=True)
class InferenceReport:
    """What was run; ``notes`` says what a reader of the result should know.

    ``skipped`` counts the windows that a scan of the whole volume would have needed beyond ``windows``.
    """

    windows: int
    skipped: int
    roi: Size3
    batch: int
    precision: str
    mode: str
    device: str
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Segmentation:
    """``labels`` (X, Y, Z) unsigned; ``uncertainty`` (X, Y, Z) float32 in 0..1 or ``None``; and the report."""

    labels: npt.NDArray[Any]
    uncertainty: npt.NDArray[np.float32] | None
    report: InferenceReport


def segment(
    predictor: Predictor,
    volume: npt.NDArray[Any],
    settings: WindowSettings,
    *,
    device: str | torch.device = "cpu",
    activation: Literal["softmax", "sigmoid"] = "softmax",
    merge: Merge | None = None,
    box: Box | None = None,
    output_shape: Size3 | None = None,
    uncertainty: bool = False,
    progress: Progress | None = None,
) -> Segmentation:
    """Label every voxel of a volume.

    Parameters
    ----------
    predictor
        (B, C, *roi) on `device` -> logits (B, K, *roi) or, with a stride, (B, K, *ceil(roi / stride)).
    volume
        (C, X, Y, Z) float32, prepared for the network.
    settings
        Windows, blending, precision.
    device
        Where the predictor is.
    activation
        ``"softmax"``: label = class with the highest blended logit. ``"sigmoid"``: region k where logit k > 0.
    merge
        For ``"sigmoid"``: regions (K, a, b, c) bool -> labels (a, b, c), voxel by voxel (called on pieces of the
        volume). ``None`` gives a bit mask: region k is bit k.
    box
        Voxels outside are label 0 and no window is spent on them. A box smaller than a window grows to it.
    output_shape
        Voxels of the output over the same field of view: blended logits are resampled to it before the decision.
    uncertainty
        Also give the normalised entropy of each voxel (0 sure, 1 undecided; mean over regions for ``"sigmoid"``).
    progress
        Called with (windows done, windows in all); what it raises stops the work at once.

    Raises
    ------
    InputError
        If the volume is not (C, X, Y, Z), or the predictor's logits have another shape than announced.
    OutOfMemory
        If memory runs out; the line says which settings would need less.
    """
    if volume.ndim != 4 or 0 in volume.shape:
        raise InputError(f"expected a volume (channels, x, y, z), found shape {volume.shape}")
    began = time.perf_counter()
    device = torch.device(device)
    job = _Job(predictor, volume, settings, device, activation, merge, box, output_shape, uncertainty, progress)
    job.batch = settings.batch or (2 if device.type == "cpu" else 4)
    try:
        with torch.inference_mode():
            job.run()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # Fewer windows at a time round differently, and smaller ones see less: neither is chosen for anybody.
        less = " and ".join(
            [f"--batch 1 (now {job.batch})"] * (job.batch > 1)
            + [f"--roi {' '.join(map(str, n))}" for n in [smaller_window(settings.roi)] if n != settings.roi]
        )
        way = f"Try {less}" if less else "Choose another device or a coarser spacing"
        windows = f"{job.batch} window(s) of {by(settings.roi)} voxels at a time on {device}"
        raise OutOfMemory(ran_out(windows, error, advice=f"{way}, or free memory.")) from error
    whole = math.prod(
        len(window_starts(n, r, job.settings.overlap)) for n, r in zip(volume.shape[1:], job.settings.roi, strict=True)
    )
    report = InferenceReport(
        windows=job.done,
        skipped=max(0, whole - job.done),
        roi=job.settings.roi,
        batch=job.batch,
        precision=job.precision,
        mode=settings.mode,
        device=str(device),
        seconds=time.perf_counter() - began,
        notes=tuple(job.notes),
    )
    return Segmentation(job.labels, job.uncertainty, report)


@dataclass
class _Job:
    """One pass over the volume with one window size."""

    predictor: Predictor
    volume: npt.NDArray[Any]
    settings: WindowSettings
    device: torch.device
    activation: str
    merge: Merge | None
    box: Box | None
    output_shape: Size3 | None
    wants_uncertainty: bool
    progress: Progress | None
    batch: int = 1
    done: int = 0
    notes: list[str] = field(default_factory=list)
    slab: Slab | None = None

    def __post_init__(self) -> None:
        s = self.settings
        shape = self.volume.shape[1:]
        out = self.output_shape or shape
        self.part = [
            _grow(b, r, n, s.stride if s.mode == "fast" else 1)
            for b, r, n in zip(self.box or (slice(None),) * 3, s.roi, shape, strict=True)
        ]
        plans = [plan_axis(b.stop - b.start, r, s.overlap) for b, r in zip(self.part, s.roi, strict=True)]
        units = [blend_unit(p, s.stride) if s.mode == "fast" else 1 for p in plans]
        reads = [
            plan_read_out(p, b.start, n, m, u)
            for p, b, n, m, u in zip(plans, self.part, shape, out, units, strict=True)
        ]
        # The longest axis is walked along: the slab across it is the smallest.
        longest = max(range(3), key=lambda a: plans[a].padded)
        self.axes = (longest, *(a for a in range(3) if a != longest))
        self.unit: Size3 = (units[self.axes[0]], units[self.axes[1]], units[self.axes[2]])
        self.plans: list[AxisPlan] = plans
        self.slab_plans = [plans[a] for a in self.axes]
        self.reads: list[ReadOut] = [reads[a] for a in self.axes]
        self.precision = choose_precision(s, self.device)
        self.labels: npt.NDArray[Any] = np.zeros(out, np.uint8)
        self.uncertainty = np.zeros(out, np.float32) if self.wants_uncertainty else None

    def autocast(self) -> Any:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def run(self) -> None:
        """Walk along the slab axis row by row; read out what each row has finished."""
        outer, *inner = (p.starts for p in self.slab_plans)
        corners = list(itertools.product(*inner))
        total = len(outer) * len(corners)
        self._report(total)
        box = self.volume[(slice(None), *self.part)]
        for row, start in enumerate(outer):
            pending = [(start, b, c) for b, c in corners]
            while pending:
                with self.autocast():
                    logits = self._predict(self._windows(box, pending[: self.batch]))
                for x in logits:
                    self._add(x, pending.pop(0))
                    self.done += 1
                    self._report(total)
            end = outer[row + 1] if row + 1 < len(outer) else self.slab_plans[0].padded
            assert self.slab is not None
            for first, ready in self.slab.finish(end // self.unit[0]):
                self._decide(first, ready)

    def _report(self, total: int) -> None:
        if self.progress is not None:
            self.progress(self.done, total)

    def _windows(self, box: npt.NDArray[Any], corners: list[Size3]) -> Tensor:
        pinned = self.device.type == "cuda"
        windows = torch.empty(len(corners), box.shape[0], *self.settings.roi, pin_memory=pinned)
        for target, corner in zip(windows.numpy(), corners, strict=True):
            at = dict(zip(self.axes, corner, strict=True))
            fill_window(target, box, self.plans, (at[0], at[1], at[2]))
        windows = windows.to(self.device, non_blocking=True)
        if self.settings.channels_last:
            windows = windows.contiguous(memory_format=torch.channels_last_3d)
        return windows

    def _predict(self, windows: Tensor) -> Tensor:
        """(B, C, *roi) -> float32 logits (B, K, x, y, z), averaged over flips."""
        flips = self.settings.flips
        subsets = [c for n in range(len(flips) + 1) for c in itertools.combinations(flips, n)]
        logits: Tensor | None = None
        for subset in subsets:
            axes = [a + 2 for a in subset]
            x = windows.flip(axes) if axes else windows
            if self.settings.axis_order == "zyx":
                x = x.permute(0, 1, 4, 3, 2).contiguous()
            out = self.predictor(x)
            if self.settings.axis_order == "zyx":
                out = out.permute(0, 1, 4, 3, 2)
            expected = tuple(-(-r // self.settings.stride) for r in self.settings.roi)
            if out.ndim != 5 or tuple(out.shape[2:]) != expected or len(out) != len(windows):
                raise InputError(
                    f"the network gave logits of shape {tuple(out.shape)} for windows {tuple(windows.shape)}; "
                    f"expected ({len(windows)}, classes, {', '.join(map(str, expected))})"
                )
            out = (out.flip(axes) if axes else out).float()
            logits = out if logits is None else logits + out
        assert logits is not None
        return logits if len(subsets) == 1 else logits / len(subsets)

    def _add(self, logits: Tensor, corner: Size3) -> None:
        if self.slab is None:
            self._start(logits.shape[0])
        assert self.slab is not None
        self.slab.add(logits.permute(0, *(a + 1 for a in self.axes)), corner)

    def _start(self, classes: int) -> None:
        """Make the slab once the number of classes is known: on the GPU if it takes less than half of what is free."""
        device = self.device
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if Slab.size_bytes(self.slab_plans, classes, self.unit) > free // 2:
                device = torch.device("cpu")
                self.notes.append("windows are blended in main memory: the GPU has too little left")
        weight = importance_map(self.settings.roi)
        resampled = any(r.matrix is not None for r in self.reads)
        self.slab = Slab(
            self.slab_plans,
            self.reads,
            weight.permute(self.axes).contiguous(),
            classes,
            unit=self.unit,
            stride=self.settings.stride,
            normalise=resampled or self.uncertainty is not None,
            device=device,
        )
        if self.activation == "softmax" and classes > 256:
            self.labels = self.labels.astype(np.uint16)
        elif self.activation == "sigmoid" and self.merge is None and classes > 8:
            self.labels = self.labels.astype(np.uint16 if classes <= 16 else np.uint32)

    def _decide(self, first: int, logits: Tensor) -> None:
        """Finished logits (n, K, b, c) -> labels and uncertainty of those planes."""
        planes, b, c = (r.out for r in self.reads)
        begin = planes.start + first
        where = (slice(begin, begin + len(logits)), b, c)
        if self.activation == "softmax":
            found = logits.max(1).indices.to(torch.int32).cpu().numpy()
        else:
            regions = (logits > 0).transpose(0, 1).cpu().numpy()
            found = (self.merge or _bits)(regions)
        self.labels.transpose(self.axes)[where] = found
        if self.uncertainty is not None:
            self.uncertainty.transpose(self.axes)[where] = _entropy(logits, self.activation).cpu().numpy()


def _bits(regions: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    found = np.zeros(regions.shape[1:], np.uint32)
    for k, region in enumerate(regions):
        found |= region.astype(np.uint32) << np.uint32(k)
    return found


def _entropy(logits: Tensor, activation: str) -> Tensor:
    """(n, K, b, c) -> entropy in 0..1 over the classes, or its mean over regions."""
    if activation == "softmax":
        log_p = logits.log_softmax(1)
        entropy = -(log_p.exp() * log_p).sum(1) / math.log(max(2, logits.shape[1]))
    else:
        yes, no = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
        entropy = -(yes.exp() * yes + no.exp() * no).mean(1) / math.log(2)
    return entropy.clamp_(0, 1)


def _grow(box: slice, roi: int, length: int, multiple: int) -> slice:
    """Widen a box to at least a window and to a multiple, as far as the volume goes."""
    start, stop, _ = box.indices(length)
    if stop <= start:
        raise InputError(f"the box {box} is empty in an axis of {length} voxels")
    wanted = min(length, max(roi, -(-(stop - start) // multiple) * multiple))
    start = max(0, start - (wanted - (stop - start)) // 2)
    stop = min(length, start + wanted)
    return slice(stop - wanted, stop)
