"""What segmenting a volume takes of memory, from its header and the settings alone, before a voxel is loaded.

The moments of `workbench.volume.segformer3d.predict`, one after the other: voxels are read, turned to the working grid,
prepared, segmented window by window, and put back in file order. The need is that of the moment that takes most.
The box that the voxels will be cropped to is not known yet, so the whole volume counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from workbench.core.memory import Need
from workbench.volume.data.grid import Grid
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.predict.windows import Size3, WindowSettings, blend_unit, plan_axis

_READ_OUT = 24 * 2**20
"""Logits that are read out at once (`workbench.volume.predict.slab`)."""

_RESERVE = 30 * 2**20
"""Modules that are imported on the way, and what the allocator holds back."""


def estimate(
    grid: Grid,
    channels: int,
    itemsize: int,
    recipe: VolumeRecipe,
    net: Mapping[str, Any],
    settings: WindowSettings,
    *,
    reading: int = 0,
    loaded: bool = False,
    uncertainty: bool = False,
    batch: int = 2,
    on_cpu: bool = True,
    half: bool = False,
) -> Need:
    """Bytes at the peak of `predict`, beyond what the process holds with the network loaded.

    Parameters
    ----------
    grid
        Native and working grid of the image.
    channels, itemsize
        Of the samples, as `Image.data` gives them.
    recipe
        Preparation of the weights.
    net
        Arguments of the network: ``embed_dims``, ``mlp_ratios``, ``decoder_head_embedding_dim``, ``num_classes``.
    settings
        Windows.
    reading
        What the reader takes on top of the samples while it reads.
    loaded
        The samples are in memory already, and stay there.
    uncertainty
        A map of it is asked for.
    batch
        Windows at a time.
    on_cpu
        The network computes in main memory.
    half
        In bfloat16.
    """
    working = channels * math.prod(grid.shape)
    # The samples are let go once they are prepared, unless somebody else holds them.
    voxels = {"voxels": 0 if loaded else channels * math.prod(grid.oriented_shape) * itemsize}
    prepared = {"prepared voxels": 4 * working}
    resampled = {"resampled voxels": 4 * working if grid.resampled else 0}
    moments = preparing(grid, channels, itemsize, recipe, reading=reading, loaded=loaded)
    if recipe.crop == "nonzero":
        moments.append({**voxels, **resampled, **prepared, "cropping": 2 * working // channels})
    maps = math.prod(grid.oriented_shape) * (1 + 4 * uncertainty)
    slab = _Slab.plan(grid, int(net["num_classes"]), settings, uncertainty)
    windows = batch * 4 * channels * math.prod(settings.roi)
    activations = round(batch * activation_bytes(net, settings.roi) * (0.75 if half else 1.0)) if on_cpu else 0
    # Planes of the result take memory once they are written; the last row of windows makes the last of them.
    before = {**prepared, "result": round(slab.done * maps), "blending": slab.sums}
    moments.append({**before, "windows": 2 * windows, "network": activations})
    moments.append({**before, "result": maps, "reading out": slab.read})
    moments.append({**prepared, "result": maps + maps // (1 + 4 * uncertainty)})
    return Need.highest(*({**moment, "reserve": _RESERVE} for moment in moments))


def preparing(
    grid: Grid, channels: int, itemsize: int, recipe: VolumeRecipe, *, reading: int = 0, loaded: bool = False
) -> list[dict[str, int]]:
    """The moments until a volume is as the network wants it; see `estimate`."""
    native, working = channels * math.prod(grid.oriented_shape), channels * math.prod(grid.shape)
    voxels = {"voxels": 0 if loaded else native * itemsize}
    moments = [{**voxels, "reading": 0 if loaded else reading}]
    if grid.resampled:
        steps = sorted(w / o for w, o in zip(grid.shape, grid.oriented_shape, strict=True) if w != o)
        sizes = [4.0 * native, *(4.0 * native * math.prod(steps[: i + 1]) for i in range(len(steps)))]
        copies = max(a + b for a, b in pairwise(sizes))
        moments.append({**voxels, "resampling": round(copies)})
    scratch = {"window": 0.0, "slice_minmax": 0.2, "zscore": 17 / channels}[recipe.intensity]
    resampled = {"resampled voxels": 4 * working if grid.resampled else 0}
    moments.append({**voxels, **resampled, "prepared voxels": 4 * working, "preparation": round(scratch * working)})
    return moments


@dataclass(frozen=True)
class _Slab:
    """Bytes of the sums with their weights, and of what is read out of them at once; `done`: the share of the planes
    that is read out before the last row of windows."""

    sums: int
    read: int
    done: float

    @classmethod
    def plan(cls, grid: Grid, classes: int, settings: WindowSettings, uncertainty: bool) -> _Slab:
        plans = [plan_axis(n, r, settings.overlap) for n, r in zip(grid.shape, settings.roi, strict=True)]
        units = [blend_unit(p, settings.stride) if settings.mode == "fast" else 1 for p in plans]
        out = grid.oriented_shape
        along = max(range(3), key=lambda a: plans[a].padded)
        across = [a for a in range(3) if a != along]
        # Resampled planes reach over as many samples as a voxel is wide, and blended logits over one sample more.
        wide = grid.resampled or units[along] > 1
        reach = math.ceil(2 * max(1.0, grid.shape[along] / out[along])) + 1 if wide else 1
        depth = plans[along].roi // units[along] + reach
        plane = math.prod(plans[a].padded // units[a] for a in across)
        sums = 4 * depth * plane * (classes + (grid.resampled or uncertainty)) + 2 * 4 * math.prod(settings.roi)
        read = 4 * classes * math.prod(out[a] for a in across)
        read = min(max(_READ_OUT, read), read * out[along])
        copies = 1.0 + (grid.resampled or max(units) > 1) + 3 * uncertainty
        return cls(sums, round(copies * read), plans[along].starts[-1] / plans[along].padded)


def activation_bytes(net: Mapping[str, Any], roi: Size3) -> int:
    """Of one window, in float32: the widest layers of the first stage, or the decoder's, at a quarter of the window."""
    tokens = math.prod(-(-n // 4) for n in roi)
    first, hidden = int(net["embed_dims"][0]), int(net["embed_dims"][0]) * int(net["mlp_ratios"][0])
    decoder = int(net["decoder_head_embedding_dim"])
    return round(4 * tokens * max(4 * hidden + 3 * first, 4 * decoder + 2 * first))
