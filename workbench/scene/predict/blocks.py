"""Prepared rectangles and patches of a cube, continued beyond its border: what training and mapping both read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Border: TypeAlias = Literal["reflect", "zero"]


class Readable(Protocol):
    """A cube that can be read by rectangles, such as `workbench.scene.data.scene.Blocks`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self, rows: slice, columns: slice) -> Array: ...


@dataclass(frozen=True, eq=False)
class Scene:
    """A prepared cube with a continuation beyond its border: what training and mapping both read.

    Parameters
    ----------
    blocks
        The cube.
    prepare
        Pixel-wise preparation (bands, r, c) -> (components, r, c), or ``None``.
    border
        See `SceneSettings`.
    """

    blocks: Readable
    prepare: Callable[[Array], Array] | None = None
    border: Border = "reflect"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.blocks.shape[-2:]
        return rows, columns

    def read(self, rows: slice, columns: slice, margin: int = 0) -> npt.NDArray[np.float32]:
        """Prepared (components, r + 2 margin, c + 2 margin) float32 of a rectangle with `margin` more on each side."""
        inner, pads = [], [(0, 0)]
        for part, length in zip((rows, columns), self.shape, strict=True):
            start, stop, _ = part.indices(length)
            low, high = max(0, start - margin), min(length, stop + margin)
            inner.append(slice(low, high))
            pads.append((low - (start - margin), stop + margin - high))
        block = self.blocks.read(inner[0], inner[1])
        if self.prepare is not None:
            block = self.prepare(block)
        block = np.asarray(block, np.float32)
        if not any(map(any, pads)):
            return block
        return np.pad(block, pads) if self.border == "zero" else np.pad(block, pads, mode="reflect")

    def patches(self, rows: npt.ArrayLike, columns: npt.ArrayLike, size: int) -> npt.NDArray[np.float32]:
        """Prepared patches (n, components, size, size) around single pixels; `size` is odd."""
        r, c = np.asarray(rows, np.intp), np.asarray(columns, np.intp)
        half = size // 2
        box = slice(int(r.min()), int(r.max()) + 1), slice(int(c.min()), int(c.max()) + 1)
        if (box[0].stop - box[0].start) * (box[1].stop - box[1].start) > 4 * len(r) * size**2:
            parts = [self.read(slice(a, a + 1), slice(b, b + 1), half) for a, b in zip(r, c, strict=True)]
            return np.stack(parts)
        block = self.read(*box, half)
        views = np.lib.stride_tricks.sliding_window_view(block, (size, size), axis=(1, 2))
        return np.ascontiguousarray(views[:, r - box[0].start, c - box[1].start].swapaxes(0, 1))


def tiles(box: tuple[slice, slice], side: int) -> Iterator[tuple[slice, slice]]:
    """Rectangles of nearly equal size, at most `side` wide and high, row by row."""
    starts = []
    for part in box:
        length = part.stop - part.start
        count = max(1, -(-length // side))
        starts.append([part.start + length * i // count for i in range(count + 1)])
    for top, bottom in zip(starts[0], starts[0][1:], strict=False):
        for left, right in zip(starts[1], starts[1][1:], strict=False):
            yield slice(top, bottom), slice(left, right)
