"""What of a slide annotations need to be placed on it, and coordinates that count from the corner of its bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from workbench.core.errors import UsageError
from workbench.slide.annotations.types import Floats

FrameName: TypeAlias = Literal["file", "bounds"]
"""Whether a file of annotations counts from the first pixel of the whole slide, or from the corner of its bounds."""
Bounds: TypeAlias = tuple[int, int, int, int]
"""(row, column, height, width) of what was scanned, in pixels of level 0."""
_DECIMALS = 9
_OFFSET = ("hamamatsu.XOffsetFromSlideCentre", "hamamatsu.YOffsetFromSlideCentre")


@dataclass(frozen=True)
class SlidePlace:
    """What is known of a slide.

    Parameters
    ----------
    size
        (rows, columns) of level 0.
    mpp
        Micrometres per pixel of level 0 along (x, y).
    offset_nm
        Nanometres from the centre of the glass to that of the image, along (x, y): OpenSlide's
        ``hamamatsu.XOffsetFromSlideCentre`` and ``hamamatsu.YOffsetFromSlideCentre``.
    bounds
        What was scanned, where the slide marks it (``openslide.bounds-*``).
    """

    size: tuple[int, int] | None = None
    mpp: tuple[float, float] | None = None
    offset_nm: tuple[float, float] | None = None
    bounds: Bounds | None = None

    @classmethod
    def of(
        cls, properties: Mapping[str, str], size: tuple[int, int], mpp: tuple[float, float] | None,
        bounds: Bounds | None = None,
    ) -> SlidePlace:  # fmt: skip
        """From the properties that OpenSlide gives; size, mpp and bounds are those of `workbench.slide.data.wsi`."""
        try:
            x, y = (float(properties[name]) for name in _OFFSET)
        except (KeyError, ValueError):
            return cls(size, mpp, None, bounds)
        return cls(size, mpp, (x, y) if np.isfinite((x, y)).all() else None, bounds)


def shift_of(
    frame: FrameName | None, bounds: Bounds | None, *, writing: bool = False
) -> tuple[Callable[[Floats], Floats] | None, tuple[str, ...]]:
    """The way from coordinates of a file to those of the whole slide (or back, for `writing`), and what to note.

    Parameters
    ----------
    frame
        ``None``: nobody said; those of the whole slide are assumed, which a note says if it makes a difference.

    Returns
    -------
    function or ``None``
        ``None`` where nothing moves.

    Raises
    ------
    UsageError
        Another name of a frame; or bounds that nobody knows.
    """
    if frame not in (None, "file", "bounds"):
        raise UsageError(f"frame '{frame}' of annotations: expected 'file' (counted from the first pixel of the whole "
                         "slide) or 'bounds' (from the corner of what was scanned)")  # fmt: skip
    corner = (0, 0) if bounds is None else (bounds[1], bounds[0])
    if frame == "bounds" and bounds is None:
        raise UsageError("coordinates that count from the bounds of a slide need its bounds (row, column, height, "
                         "width); the slide marks none, or was not given")  # fmt: skip
    if frame != "bounds" or corner == (0, 0):
        if frame is not None or corner == (0, 0):
            return None, ()
        return None, (
            f"coordinates were taken as pixels of the whole file; the slide marks bounds at column {corner[0]}, row "
            f"{corner[1]}, from which QuPath counts where it crops to them: then say frame='bounds'",
        )
    step = np.array(corner, np.float64) * (-1 if writing else 1)
    return lambda points: _plain(points, points + step), ()


def _plain(points: Floats, moved: Floats) -> Floats:
    """Sums of decimal numbers without the noise of binary ones, where the numbers had few decimals."""
    few = np.round(points, _DECIMALS) == points
    return np.where(few, np.round(moved, _DECIMALS), moved)


def outside_note(boxes: Floats, size: tuple[int, int] | None) -> tuple[str, ...]:
    """How many boxes ``(n, 4)`` (lowest x, y, highest x, y) reach beyond the slide, if some do."""
    if size is None or not len(boxes):
        return ()
    rows, columns = size
    beyond = (boxes[:, :2] < -1).any(axis=1) | (boxes[:, 2] > columns + 1) | (boxes[:, 3] > rows + 1)
    count = int(beyond.sum())
    return (f"{count} of {len(boxes)} annotation(s) reach beyond the slide of {columns} x {rows} pixels; are they of "
            "this slide?",) if count else ()  # fmt: skip
