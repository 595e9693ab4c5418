"""What a training on volumes takes of memory, from the headers and the settings alone, before a voxel is loaded.

All training volumes are prepared and kept; windows are drawn from them and learnt from; between steps the validation
volumes are read and segmented one by one, and their label maps are kept in file order.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from workbench.core import memory
from workbench.core.memory import Need
from workbench.core.types import Case, Image
from workbench.data.cases import open_case
from workbench.volume.data.grid import Grid
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.net.segformer3d import SegFormer3D
from workbench.volume.predict.memory import activation_bytes, estimate, preparing
from workbench.volume.predict.windows import Size3
from workbench.volume.train.data import MARGIN, validation_windows
from workbench.volume.train.settings import TrainConfig

_RESERVE = 60 * 2**20
"""Modules that are imported on the way, and what the allocator holds back."""

_BACKWARD = 7.7
"""How much more than the widest layers a window takes while it is learnt from: every layer is kept (measured)."""

_LOSS = 6
"""Arrays of the window's size and one channel per class that the loss holds: logits, shares, truth, their gradients."""

_STATES = 6
"""Copies of the weights: themselves, their gradients, two moments of the optimiser, their mean, and the best of it."""


def need_of(
    train: Sequence[Image],
    val: Sequence[Image],
    recipe: VolumeRecipe,
    net: SegFormer3D,
    *,
    roi: Size3,
    batch: int,
    on_cpu: bool = True,
) -> Need:
    """Bytes at the peak of a training, beyond what the process holds with the network made.

    Parameters
    ----------
    train, val
        Volumes to learn from and to validate on; only their headers are looked at.
    recipe
        How they are prepared; its window is that of the validation.
    net
        The network, with all its parameters.
    roi, batch
        Windows of the training, and how many are learnt from at a time.
    on_cpu
        The network computes in main memory.
    """
    moments: list[Mapping[str, int]] = []
    kept = 0
    for image in train:
        grid = Grid.plan(image.geometry, recipe.orientation, recipe.spacing_mm)
        moments += [{**m, "volumes of the training": kept} for m in _preparing(image, grid, recipe)]
        shape = [max(n, r + MARGIN) for n, r in zip(grid.shape, roi, strict=True)]
        volume = math.prod(shape)
        # Padding makes a copy, and where each class lies is looked for in one mask per class.
        moments.append({"volumes of the training": kept, "padding": 2 * (4 * len(image.channels) + 1) * volume})
        kept += (4 * len(image.channels) + 1) * volume
    maps = sum(math.prod(image.geometry.shape) for image in val)
    held = {"volumes of the training": kept, "label maps": maps}
    weights = sum(p.numel() * p.element_size() for p in net.parameters())
    states = {"states of the network": (_STATES - 1) * weights if on_cpu else weights}
    window = batch * math.prod(n + MARGIN for n in roi)
    logits = 4 * int(net.config["num_classes"]) * math.prod(roi)
    learning = round(batch * (_BACKWARD * activation_bytes(net.config, roi) + _LOSS * logits)) if on_cpu else 0
    drawn = window * 4 * (train[0].geometry.ndim + 2) if train else 0
    moments.append({**held, **states, "windows": drawn, "learning": learning})
    for image in val:
        grid = Grid.plan(image.geometry, recipe.orientation, recipe.spacing_mm)
        segmenting = estimate(
            grid, len(image.channels), image.dtype.itemsize, recipe, net.config, validation_windows(recipe),
            reading=image.loading().parts.get("reading", 0), on_cpu=on_cpu,
        )  # fmt: skip
        moments.append({**held, **states, **segmenting.parts})
        moments += [{**m, **held} for m in _preparing(image, grid, recipe)]
    return Need.highest(*({**moment, "reserve": _RESERVE} for moment in moments))


def _preparing(image: Image, grid: Grid, recipe: VolumeRecipe) -> list[dict[str, int]]:
    reading = image.loading().parts.get("reading", 0)
    return preparing(grid, len(image.channels), image.dtype.itemsize, recipe, reading=reading)


def require_memory(
    train: Sequence[Case],
    val: Sequence[Case],
    config: TrainConfig,
    recipe: VolumeRecipe,
    net: SegFormer3D,
    roi: Size3,
    *,
    on_cpu: bool = True,
) -> None:
    """Refuse a training before any voxel is read; see `need_of`."""
    images = {case.id: open_case(case) for case in (*train, *val)}
    smaller: Size3 = tuple(max(32, n // 2 // 32 * 32) for n in roi)  # type: ignore[assignment]
    x, y, z = (round(1.5 * s, 2) for s in recipe.spacing_mm or (0.0, 0.0, 0.0))

    def need(*, roi: Size3 = roi, batch: int = config.batch, spacing: tuple[float, float, float] | None = None) -> Need:
        used = dataclasses.replace(recipe, spacing_mm=spacing) if spacing else recipe
        return need_of(
            [images[c.id] for c in train], [images[c.id] for c in val], used, net,
            roi=roi, batch=batch, on_cpu=on_cpu,
        )  # fmt: skip

    ways = {}
    if smaller != roi:
        ways[f"--roi {' '.join(map(str, smaller))}"] = lambda: need(roi=smaller)
    if recipe.spacing_mm:
        ways[f"--spacing {x:g} {y:g} {z:g}"] = lambda: need(spacing=(x, y, z))
    count = len(images)
    advice = "Free memory, use a machine with more, or train with fewer volumes."
    memory.require(need(), f"a training on {count} volume(s)", advice, ways=ways)
