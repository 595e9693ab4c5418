"""Classify every pixel of a scene with a network that looks at the patch around it.

Neighbouring patches share almost everything. `map_scene` runs the convolutional front end of the network once over the
scene, tile by tile, and gathers for each pixel the features that its head needs: where the front end pads nothing, the
logits are those of the patches. `map_patches` cuts out every patch: slow, and exact for any network (zero padding
inside the patch, standardisation per patch). Both treat the scene's border alike and hold only a tile in memory.

>>> from workbench.scene.predict.map import SceneSettings, map_patches, map_scene
>>> found = map_scene(
...     net.front,                            # (1, C, h + 2 margin, w + 2 margin) -> (1, D, h, w)
...     net.window_head,                      # (B, D, n, n), (B, C) -> (B, classes)
...     open_blocks(image),                   # .shape (..., rows, columns); .read(rows, columns) -> (bands, r, c)
...     margin=net.margin,
...     window_offsets=net.window_offsets,
...     prepare=fitted.apply,                 # (bands, r, c) -> (C, r, c), pixel by pixel
...     on_tile=lambda tile: write(tile.rows, tile.columns, tile.labels, tile.confidence),
...     progress=lambda done, total: None,    # pixels; raise Cancelled to stop
... )
>>> found.labels                              # (rows, columns): 1 to classes, 0 where `where` is false
>>> found = map_patches(net, open_blocks(image), patch_size=net.patch_size, prepare=fitted.apply)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.core.errors import InputError, OutOfMemory, UsageError
from workbench.core.memory import is_out_of_memory, ran_out
from workbench.core.types import Progress
from workbench.scene.predict.blocks import Array, Border, Readable, Scene, tiles


@dataclass(frozen=True)
class SceneSettings:
    """How a scene is cut and run.

    Parameters
    ----------
    tile
        Largest side in pixels of the rectangles that are worked on at once; memory grows with its square.
    batch
        Pixels per call of the head (or patches per call); ``None`` is 256 (patches: 64) on a CPU, else 4096 (512).
    precision
        ``"float32"``, or ``"bfloat16"``: faster where the processor computes in it; changes about one label in 1000.
    border
        What lies beyond the scene: ``"reflect"`` mirrors it, ``"zero"`` is zero in prepared units.
    """

    tile: int = 128
    batch: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    border: Border = "reflect"

    def __post_init__(self) -> None:
        if self.tile < 1 or (self.batch is not None and self.batch < 1):
            raise UsageError(f"tile {self.tile}, batch {self.batch}: expected at least 1")
        if self.precision not in ("float32", "bfloat16"):
            raise UsageError(f"precision {self.precision!r}: expected 'float32' or 'bfloat16'")
        if self.border not in ("reflect", "zero"):
            raise UsageError(f"border {self.border!r}: expected 'reflect' or 'zero'")


@dataclass(frozen=True, eq=False)
class Tile:
    """A finished rectangle: its place in the scene, labels and confidence (rows, columns)."""

    rows: slice
    columns: slice
    labels: Array
    confidence: npt.NDArray[np.float32]


@dataclass(frozen=True)
class SceneReport:
    """What was run."""

    mode: str
    pixels: int
    tiles: int
    tile: int
    batch: int
    precision: str
    device: str
    seconds: float
    front_seconds: float


@dataclass(frozen=True, eq=False)
class SceneMap:
    """Labels (rows, columns) unsigned, 1 to classes, 0 where not asked for; confidence in 0..1; logits if kept."""

    labels: Array
    confidence: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32] | None
    report: SceneReport


class MapOptions(TypedDict, total=False):
    """What can be said of every pass over a scene.

    Parameters
    ----------
    prepare
        Pixel-wise preparation of what is read, (bands, r, c) -> (C, r, c).
    where
        (rows, columns): which pixels to classify; tiles without any cost nothing. ``None``: all.
    settings
        Tiles, batches, precision, border.
    device
        Where the network computes; ``"cpu"`` unless told.
    keep_logits
        Also return the logits (classes, rows, columns) float32.
    on_tile
        Called with every finished tile, in order from top to bottom.
    progress
        Called with (pixels done, pixels in all); what it raises stops the work at once.
    """

    prepare: Callable[[Array], Array] | None
    where: npt.NDArray[np.bool_] | None
    settings: SceneSettings | None
    device: str | torch.device
    keep_logits: bool
    on_tile: Callable[[Tile], None] | None
    progress: Progress | None


def map_scene(
    front: Callable[[Tensor], Tensor],
    head: Callable[[Tensor, Tensor], Tensor],
    blocks: Readable,
    *,
    margin: int,
    window_offsets: Sequence[int],
    **options: Unpack[MapOptions],
) -> SceneMap:
    """Classify a scene; the front end runs once per tile, the head once per pixel.

    Parameters
    ----------
    front
        (1, C, h + 2 margin, w + 2 margin) on `device` -> features (1, D, h, w); pads nothing.
    head
        (B, D, n, n) features at `window_offsets` around B pixels, and their spectra (B, C) -> logits (B, classes).
    blocks
        The cube; read by rectangles.
    margin
        Pixels that `front` takes off each side.
    window_offsets
        n rows (and columns) relative to the pixel.
    options
        `MapOptions`.

    Raises
    ------
    InputError
        If `where` has another shape than the scene, or the network's output another one than announced.
    OutOfMemory
        If memory runs out; the line says which settings need less.
    """
    reach = max(abs(v) for v in window_offsets)
    job = _job(blocks, **options)
    offsets = torch.tensor(window_offsets) + reach

    def windows(block: Tensor) -> Callable[[Tensor], Tensor]:
        height, width = (n - 2 * (margin + reach) for n in block.shape[1:])
        began = time.perf_counter()
        features = front(block[None])
        if tuple(features.shape[2:]) != (height + 2 * reach, width + 2 * reach):
            raise InputError(
                f"the front end gave {tuple(features.shape)} for a block {tuple(block.shape)}; expected "
                f"{height + 2 * reach} x {width + 2 * reach} pixels: it does not take off a margin of {margin}"
            )
        across = features.shape[3]
        # Pixel by pixel with all channels together: gathering copies whole runs of memory.
        table = features[0].permute(1, 2, 0).reshape(-1, features.shape[1])
        around = (offsets[:, None] * across + offsets[None, :]).to(block.device)
        inner = block[:, margin + reach : margin + reach + height, margin + reach : margin + reach + width]
        spectra = inner.permute(1, 2, 0).reshape(-1, len(block))
        job.front_seconds += time.perf_counter() - began

        def classify(pixels: Tensor) -> Tensor:
            corner = pixels // width * across + pixels % width
            index = corner[:, None] + around.flatten()
            window = table.index_select(0, index.flatten()).view(len(pixels), len(offsets), len(offsets), -1)
            return head(window.permute(0, 3, 1, 2), spectra.index_select(0, pixels))

        return classify

    return job.run("dense", windows, margin + reach, 256 if job.device.type == "cpu" else 4096)


def map_patches(
    network: Callable[[Tensor], Tensor],
    blocks: Readable,
    *,
    patch_size: int,
    standardise: bool = False,
    **options: Unpack[MapOptions],
) -> SceneMap:
    """Classify a scene patch by patch: exact for every network, and many times slower than `map_scene`.

    Parameters
    ----------
    network
        Patches (B, C, patch_size, patch_size) on `device` -> logits (B, classes).
    patch_size
        Odd side in pixels.
    standardise
        Subtract the mean of every component of every patch and divide by its deviation, as published.

    The other parameters and the errors are those of `map_scene`.
    """
    job = _job(blocks, **options)

    def patches(block: Tensor) -> Callable[[Tensor], Tensor]:
        views = block.unfold(1, patch_size, 1).unfold(2, patch_size, 1)
        width = views.shape[2]

        def classify(pixels: Tensor) -> Tensor:
            x = views[:, pixels // width, pixels % width].transpose(0, 1).contiguous()
            return network(standardise_patches(x) if standardise else x)

        return classify

    return job.run("patches", patches, patch_size // 2, 64 if job.device.type == "cpu" else 512)


def _job(blocks: Readable, **options: Unpack[MapOptions]) -> _Job:
    settings = options.get("settings") or SceneSettings()
    return _Job(
        Scene(blocks, options.get("prepare"), settings.border),
        options.get("where"),
        settings,
        torch.device(options.get("device", "cpu")),
        options.get("keep_logits", False),
        options.get("on_tile"),
        options.get("progress"),
    )


def standardise_patches(patches: Tensor) -> Tensor:
    """The published preparation: every component of every patch (B, C, p, p) to mean 0 and deviation 1."""
    deviation, mean = torch.std_mean(patches, dim=(2, 3), keepdim=True)
    return (patches - mean) / (deviation + 1e-8)


@dataclass
class _Job:
    """One pass over a scene."""

    scene: Scene
    where: npt.NDArray[np.bool_] | None
    settings: SceneSettings
    device: torch.device
    keep_logits: bool
    on_tile: Callable[[Tile], None] | None
    progress: Progress | None
    done: int = 0
    tiles: int = 0
    front_seconds: float = 0.0
    logits: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.where is not None and self.where.shape != self.scene.shape:
            raise InputError(
                f"the mask of wanted pixels is {self.where.shape}, the scene has {self.scene.shape} rows and columns"
            )
        self.total = math.prod(self.scene.shape) if self.where is None else int(np.count_nonzero(self.where))
        self.labels: Array = np.zeros(self.scene.shape, np.uint8)
        self.confidence = np.zeros(self.scene.shape, np.float32)

    def run(self, mode: str, begin: Callable[[Tensor], Callable[[Tensor], Tensor]], reach: int, batch: int) -> SceneMap:
        """`begin` takes the tile with `reach` more pixels around and gives what classifies pixels of it."""
        began = time.perf_counter()
        self.batch, self.side = self.settings.batch or batch, self.settings.tile
        self._report()
        with torch.inference_mode(), self._telling():
            for rows, columns in tiles((slice(0, self.scene.shape[0]), slice(0, self.scene.shape[1])), self.side):
                self._tile(begin, rows, columns, reach)
        report = SceneReport(
            mode=mode,
            pixels=self.done,
            tiles=self.tiles,
            tile=self.side,
            batch=self.batch,
            precision=self.settings.precision,
            device=str(self.device),
            seconds=time.perf_counter() - began,
            front_seconds=self.front_seconds,
        )
        return SceneMap(self.labels, self.confidence, self.logits, report)

    def _tile(self, begin: Any, rows: slice, columns: slice, reach: int) -> None:
        wanted = None if self.where is None else np.flatnonzero(self.where[rows, columns])
        shape = rows.stop - rows.start, columns.stop - columns.start
        pixels = torch.arange(shape[0] * shape[1]) if wanted is None else torch.from_numpy(wanted)
        if not len(pixels):
            return
        block = torch.from_numpy(self.scene.read(rows, columns, reach)).to(self.device)
        labels, confidence = np.zeros(len(pixels), np.int64), np.zeros(len(pixels), np.float32)
        kept: list[Tensor] = []
        with self._autocast():
            classify = begin(block)
            first = 0
            while first < len(pixels):
                logits = self._classify(classify, pixels[first : first + self.batch])
                top, index = logits.softmax(1).max(1)
                here = slice(first, first + len(logits))
                labels[here], confidence[here] = index.cpu().numpy() + 1, top.cpu().numpy()
                if self.keep_logits:
                    kept.append(logits.cpu())
                first += len(logits)
                self.done += len(logits)
                self._report()
        self._store(rows, columns, pixels.numpy(), labels, confidence, logits.shape[1], kept)

    def _classify(self, classify: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
        """Float32 logits of pixels."""
        logits = classify(pixels.to(self.device)).float()
        if logits.ndim != 2 or len(logits) != len(pixels):
            raise InputError(f"the network gave logits of shape {tuple(logits.shape)} for {len(pixels)} pixels")
        return logits

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Memory that runs out becomes a line with the settings that need less. None of them is chosen for anybody:
        other tiles and batches round differently."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            less = f"--tile {max(8, self.side // 2)}" if self.side > 8 else f"--batch {max(1, self.batch // 2)}"
            tile = f"tiles of {self.side} pixels, {self.batch} pixels at a time on {self.device}"
            raise OutOfMemory(ran_out(tile, error, advice=f"Try {less}, or free memory.")) from error

    def _store(
        self,
        rows: slice,
        columns: slice,
        pixels: Array,
        labels: Array,
        confidence: Array,
        classes: int,
        kept: list[Tensor],
    ) -> None:
        if classes > 255 and self.labels.dtype == np.uint8:
            self.labels = self.labels.astype(np.uint16)
        width = columns.stop - columns.start
        at = rows.start + pixels // width, columns.start + pixels % width
        self.labels[at], self.confidence[at] = labels, confidence
        if kept:
            if self.logits is None:
                self.logits = np.zeros((classes, *self.scene.shape), np.float32)
            self.logits[:, at[0], at[1]] = torch.cat(kept).numpy().T
        self.tiles += 1
        if self.on_tile is not None:
            self.on_tile(Tile(rows, columns, self.labels[rows, columns], self.confidence[rows, columns]))

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.total)
