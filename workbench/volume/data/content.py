"""Keys of what a volume holds, the same whatever file it lies in: for what weights remember of what taught them.

One key of all voxels knows copies again, stored in whatever way. Crops and padded copies are known by some runs of
voxels that choose themselves by their values (as in "winnowing", S. Schleimer et al., SIGMOD 2003): a run is kept where
the hash of its first samples lies below a threshold, which is halved until few enough are left. What was resampled,
rescaled or denoised is another volume here.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.seen import Seen, content_key
from workbench.core.types import Image
from workbench.volume.data.grid import Grid

RUN = 16
"""Voxels of a run, from right to left of the patient."""
MOST = 64
"""Runs that are kept of one channel."""

_FEWEST_VALUES = 8  # distinct ones in a run: air and padding are the same everywhere
_DIGITS = 14
_HASHED = 4


def keys_of(image: Image) -> tuple[str, ...]:
    """One key per channel, of its values with the axes turned to R, A, S: copies stored flipped have the same."""
    return tuple(content_key(channel) for channel in _oriented(image))


def runs_of(image: Image) -> tuple[str, ...]:
    """Keys of at most `MOST` runs of voxels per channel; a part of a volume has some of them in common with it."""
    return tuple(dict.fromkeys(key for channel in _oriented(image) for key in _runs(channel)))


def mark_of(seen: Seen, image: Image, *, group: str = "") -> str:
    """How a volume stands to what taught some weights; see `workbench.core.seen.Seen.mark`.

    A volume that shares runs of voxels with one that taught them, and is not a copy of it, is ``"in part"``.
    """
    mark = seen.mark(keys_of(image), group=group)
    if mark not in ("no", "same group"):
        return mark
    return "in part" if seen.holds_any(runs_of(image)) else mark


def _oriented(image: Image) -> npt.NDArray[Any]:
    return Grid.plan(image.geometry, "RAS").orient(image.samples())


def _runs(channel: npt.NDArray[Any]) -> list[str]:
    found: dict[int, npt.NDArray[np.float32]] = {}
    limit = 1 << 64
    if channel.shape[0] < RUN:
        return []
    for z in range(channel.shape[2]):
        plane = np.ascontiguousarray(channel[:, :, z].T, dtype="<f4") + np.float32(0)  # -0 as 0
        hashes = _hashes(plane)
        rows, columns = np.nonzero(hashes <= np.uint64(limit - 1))
        windows = np.lib.stride_tricks.sliding_window_view(plane, RUN, axis=1)
        # A plane of noise has as many candidates as voxels while the limit is high: they are taken in order of hash.
        values = hashes[rows, columns]
        order = np.argsort(values, kind="stable")
        for first in range(0, len(order), 8 * MOST):
            part = order[first : first + 8 * MOST]
            if int(values[part[0]]) >= limit:
                break
            runs = windows[rows[part], columns[part]]
            steps = np.diff(np.sort(runs, axis=1), axis=1) > 0
            varied = (steps.sum(axis=1) + 1 >= _FEWEST_VALUES) & np.isfinite(runs).all(axis=1)
            for number, run in zip(values[part][varied], runs[varied], strict=True):
                if int(number) < limit:
                    found.setdefault(int(number), run)
            while len(found) > MOST:
                limit //= 2
                found = {n: run for n, run in found.items() if n < limit}
    return [hashlib.sha256(found[n].tobytes()).hexdigest()[:_DIGITS] for n in sorted(found)]


def _hashes(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """One number for each run of a plane ``(rows, columns)`` float32, of its first samples: spread evenly."""
    bits = plane.view("<u4").astype(np.uint64)
    count = plane.shape[1] - RUN + 1
    mixed = np.zeros((plane.shape[0], count), np.uint64)
    for j in range(_HASHED):
        mixed = (mixed ^ bits[:, j : j + count]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return mixed
