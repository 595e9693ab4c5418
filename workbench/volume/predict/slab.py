"""The slab in which window logits are blended, and how it is read out.

What is kept are the logits of a slab as deep as one window, not of the whole volume. Once no further window reaches a
plane it is read out (up-sampled, resampled, turned into labels by the caller) and its memory is used again.

    slab axis ->   0 . . . . . . . . 8 . . . . . . . . 16 . . .
    row of windows [---------------]
    next row               [---------------]
                   final   | still open    |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.volume.data.grid import axis_matrix, bands
from workbench.volume.predict.windows import AxisPlan, Size3

_CHUNK_BYTES = 24 * 2**20
_BLEND_PLANES = 4


@dataclass(frozen=True)
class ReadOut:
    """How the accumulated samples along one axis become output voxels.

    ``out`` are the output voxels that lie in the box; ``matrix`` (len(out), samples) makes them, or ``None`` if they
    are the samples from ``first`` on. Output voxel i (counted within ``out``) needs samples ``low[i]`` to
    ``high[i] - 1``.
    """

    out: slice
    matrix: Tensor | None
    first: int
    low: npt.NDArray[np.intp]
    high: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return int(self.out.stop - self.out.start)


def plan_read_out(plan: AxisPlan, start: int, length: int, out_length: int, unit: int) -> ReadOut:
    """Combine up-sampling by `unit` and resampling `length` -> `out_length` voxels for a box that begins at `start`."""
    box = slice(start, start + plan.length)
    if out_length == length:
        out, rows = box, None
    else:
        centre = (np.arange(out_length) + 0.5) * (length / out_length) - 0.5
        inside = np.flatnonzero((centre >= box.start - 0.5) & (centre < box.stop - 0.5))
        out = slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)
        full = axis_matrix(length, out_length)[out]
        # Beyond the box there are no logits: the filter is cut there, as it is at the ends of a volume.
        rows = full[:, box] / full[:, box].sum(axis=1, keepdims=True)
    if unit == 1 and rows is None:
        low = plan.before + np.arange(plan.length)
        return ReadOut(out, None, plan.before, low, low + 1)
    inside_padding = slice(plan.before, plan.before + plan.length)
    if unit == 1:
        assert rows is not None
        matrix = np.zeros((len(rows), plan.padded), np.float32)
        matrix[:, inside_padding] = rows
    else:
        matrix = axis_matrix(plan.padded // unit, plan.padded)[inside_padding]
        if rows is not None:
            matrix = rows @ matrix
    used = matrix != 0
    low = used.argmax(axis=1)
    high = matrix.shape[1] - used[:, ::-1].argmax(axis=1)
    return ReadOut(out, torch.from_numpy(np.ascontiguousarray(matrix)), 0, low, high)


class Slab:
    """Rolling sum of weighted window logits along the first of three axes; read out plane by plane.

    Layout (planes, classes, b, c): a plane of all classes is contiguous, so finished planes leave as one block.

    Parameters
    ----------
    plans, read_outs
        Of the three axes, slab axis first.
    weight
        Importance map of a window in voxels, axes in the same order.
    classes
        Number of logits.
    unit
        Voxels per sample along each axis: 1, or the stride if logits are blended as they come along that axis.
    stride
        Voxels per logit of the predictor; logits are up-sampled to the samples as they come in where these are finer.
    normalise
        Whether planes are divided by the sum of weights; an argmax without resampling does not need it.
    """

    def __init__(
        self,
        plans: Sequence[AxisPlan],
        read_outs: Sequence[ReadOut],
        weight: Tensor,
        classes: int,
        *,
        unit: Size3,
        stride: int,
        normalise: bool,
        device: torch.device,
    ) -> None:
        self.read_outs = read_outs
        self.unit = unit
        self.weight = torch.nn.functional.avg_pool3d(weight[None, None], unit)[0, 0].to(device)
        self.device = device
        self.matrices = [None if r.matrix is None else r.matrix.to(device) for r in read_outs]
        self.bands = [None if r.matrix is None else bands(r.matrix.numpy()) for r in read_outs]
        # From the logits of a window to its samples, along each axis.
        self.up = [
            None
            if u == stride
            else torch.from_numpy(axis_matrix(m := -(-p.roi // stride), m * stride)[: p.roi]).to(device)
            for p, u in zip(plans, unit, strict=True)
        ]
        depth = self.weight.shape[0] + int((read_outs[0].high - read_outs[0].low).max(initial=0))
        self.sums = torch.zeros(
            depth, classes, *(p.padded // u for p, u in zip(plans[1:], unit[1:], strict=True)), device=device
        )
        self.total = torch.zeros(depth, *self.sums.shape[2:], device=device) if normalise else None
        self.base = 0  # sample that plane 0 holds
        self.final = 0  # samples before this one are complete (and divided)
        self.next = 0  # output plane to be read out next

    @staticmethod
    def size_bytes(plans: Sequence[AxisPlan], classes: int, unit: Size3) -> int:
        """Memory of the sums for these plans."""
        return 4 * (classes + 1) * math.prod([plans[0].roi, *(p.padded for p in plans[1:])]) // math.prod(unit)

    def add(self, logits: Tensor, at: Size3) -> None:
        """Blend in one window: logits (classes, s, b, c), `at` its corner in voxels, a multiple of the units."""
        x = logits.to(self.device, torch.float32).transpose(0, 1)
        n_s, n_b, n_c = self.weight.shape
        s, b, c = (v // u for v, u in zip(at, self.unit, strict=True))
        planes = slice(s - self.base, s - self.base + n_s)
        target = self.sums[planes, :, b : b + n_b, c : c + n_c]
        if self.total is not None:
            self.total[planes, b : b + n_b, c : c + n_c] += self.weight
        up_s, up_b, up_c = self.up
        if up_s is not None:
            x = (up_s @ x.reshape(x.shape[0], -1)).view(n_s, *x.shape[1:])
        # A few planes at a time stay in the cache between up-sampling and adding.
        step = _BLEND_PLANES if self.device.type == "cpu" else n_s
        for i in range(0, n_s, step):
            y = x[i : i + step]
            if up_b is not None:
                y = torch.matmul(up_b, y.reshape(-1, *y.shape[2:])).view(*y.shape[:2], n_b, -1)
            if up_c is not None:
                y = (y.reshape(-1, y.shape[3]) @ up_c.T).view(*y.shape[:3], n_c)
            target[i : i + step].addcmul_(y, self.weight[i : i + step, None])

    def finish(self, done: int) -> Iterator[tuple[int, Tensor]]:
        """Samples before `done` are complete: give (first output plane, logits (n, classes, B, C)) of what they make.

        The logits are valid until the next step of the iteration.
        """
        self._divide(done)
        rows = self.read_outs[0]
        ready = int(np.searchsorted(rows.high, done, side="right"))
        plane_bytes = 4 * self.sums.shape[1] * len(self.read_outs[1]) * len(self.read_outs[2])
        step = max(1, _CHUNK_BYTES // max(1, plane_bytes))
        while self.next < ready:
            stop = min(ready, self.next + step)
            yield self.next, self._resample(self.next, stop)
            self.next = stop
        keep = min(done, int(rows.low[self.next])) if self.next < len(rows) else done
        self._roll(keep)

    def _divide(self, done: int) -> None:
        if self.total is not None:
            for i in range(self.final - self.base, done - self.base):
                self.sums[i] /= self.total[i].clamp_(min=1e-12)
        self.final = done

    def _resample(self, first: int, stop: int) -> Tensor:
        rows, (_, axis_b, axis_c) = self.read_outs[0], self.read_outs
        low, high = int(rows.low[first]), int(rows.high[stop - 1])
        x = self.sums[low - self.base : high - self.base]
        if (matrix := self.matrices[0]) is not None:
            x = (matrix[first:stop, low:high] @ x.reshape(high - low, -1)).view(stop - first, *x.shape[1:])
        if (matrix := self.matrices[1]) is None:
            x = x[:, :, axis_b.first : axis_b.first + len(axis_b)]
        else:
            y = x.new_empty(*x.shape[:2], len(axis_b), x.shape[3])
            for out, used in self.bands[1] or ():
                y[:, :, out] = torch.matmul(matrix[out, used], x[:, :, used])
            x = y
        if (matrix := self.matrices[2]) is None:
            return x[..., axis_c.first : axis_c.first + len(axis_c)]
        y = x.new_empty(*x.shape[:3], len(axis_c))
        for out, used in self.bands[2] or ():
            y[..., out] = x[..., used] @ matrix[out, used].T
        return y

    def _roll(self, keep: int) -> None:
        """Forget the samples before `keep`: move the rest to the front and clear what follows."""
        shift = keep - self.base
        if shift <= 0:
            return
        for buffer in (self.sums, self.total):
            if buffer is None:
                continue
            rest = len(buffer) - shift
            for i in range(0, rest, shift):  # pieces no longer than the shift do not overlap
                n = min(shift, rest - i)
                buffer[i : i + n] = buffer[i + shift : i + shift + n]
            buffer[max(rest, 0) :] = 0
        self.base = keep
