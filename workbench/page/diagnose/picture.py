"""The picture of a page as classifiers of pictures take it: laid flat, always as large, names and words painted over.

A millimetre of paper is as many pixels on every page, whatever its resolution, and pages that were printed at another
speed or gain are drawn as 25 mm/s and 10 mm/mV would: so a heart rate and a raised ST segment look alike everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines, Picture
from workbench.core.types import Result
from workbench.page.rectified import PER_MM
from workbench.page.traces import PAGE_CORNER, Sheet

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

ACROSS = 264.0
"""Millimetres of paper from the left to the right edge of the picture: 10 s at 25 mm/s and a little around."""
_AROUND = 7.0
"""Paper around the rows [mm]."""
_SPEED, _GAIN = 25.0, 10.0
_LIGHT = 25
"""Pixels over which paper is looked at."""
_LEAST_INK = 0.1
"""Share of light that ink takes at least, where there is any."""


@dataclass(frozen=True)
class Frame:
    """Where on the flat page a picture for a classifier lies.

    Parameters
    ----------
    box
        Left, top, right and bottom edge [mm from the upper left corner of the flat page]; may go beyond it.
    size
        Height and width of the picture [pixels].
    """

    box: Box
    size: tuple[int, int]

    def to_picture(self, mm: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Pixels (x, y) of the picture, ``(n, 2)``, of places on the flat page [mm]."""
        left, top, right, bottom = self.box
        height, width = self.size
        return (np.asarray(mm, float) - (left, top)) / (right - left, bottom - top) * (width, height)


def frame_of(rows: tuple[float, float], start: float, speed: float, gain: float, size: tuple[int, int]) -> Frame:
    """The part of a page that is looked at.

    Parameters
    ----------
    rows
        Heights of the first and of the last row [mm from the top of the flat page].
    start
        Where the leads begin [mm from its left].
    speed, gain
        mm/s and mm/mV.
    size
        Height and width of the picture [pixels].
    """
    height, width = size
    per_x, per_y = speed / _SPEED, gain / _GAIN
    across = ACROSS * per_x
    down = ACROSS * height / width * per_y
    due = rows[1] - rows[0] + 2 * (_AROUND + 10 * per_y)
    if due > down:  # twelve rows: everything smaller, as it would be from farther away
        across, down = across * due / down, due
    left, middle = start - _AROUND * per_x, (rows[0] + rows[1]) / 2
    return Frame((left, middle - down / 2, left + across, middle + down / 2), size)


def cut(pixels: Pixels, frame: Frame, per_mm: float = PER_MM) -> Pixels:
    """The part of a flat page in a frame, ``(height, width, 3)`` uint8; beyond the page it is the page's usual paper.

    What a pixel covers is averaged.
    """
    import torch
    from torch.nn.functional import interpolate

    left, top, right, bottom = (round(v * per_mm) for v in frame.box)
    rows, columns = pixels.shape[:2]
    paper = np.median(pixels[::7, ::7].reshape(-1, 3), axis=0).astype(np.uint8)
    area = np.empty((bottom - top, right - left, 3), np.uint8)
    area[:] = paper
    a, b, c, d = max(top, 0), min(bottom, rows), max(left, 0), min(right, columns)
    if a < b and c < d:
        area[a - top : b - top, c - left : d - left] = pixels[a:b, c:d]
    source = torch.from_numpy(area).permute(2, 0, 1)[None].float()
    found = interpolate(source, size=frame.size, mode="bilinear", antialias=True, align_corners=False)
    out: Pixels = found[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return out


def evened(picture: Pixels) -> Pixels:
    """The picture in grey, on paper that is white everywhere: ink as dark as it stands out from what lies around it.

    Shadows, colours of paper and most of a pale grid go, whatever camera or maker they are of.

    Parameters
    ----------
    picture
        ``(height, width, 3)`` uint8.
    """
    from scipy import ndimage

    grey = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    around = ndimage.uniform_filter(np.maximum(grey, ndimage.uniform_filter(grey, _LIGHT)), _LIGHT)
    ink = np.clip((around - grey) / np.maximum(around, 8.0), 0, 1)
    full = max(float(np.percentile(ink, 99)), _LEAST_INK)
    pale = 255 * (1 - np.minimum(ink / full, 1.0))
    return np.repeat(np.round(pale).astype(np.uint8)[..., None], 3, axis=2)


def frame_on(lines: Lines, corner: tuple[float, float], size: tuple[int, int]) -> Frame:
    """The frame of a page that was read.

    Parameters
    ----------
    lines
        What was followed; see `workbench.page.traces.Sheet`.
    corner
        Where on paper the upper left corner of the flat page lies [mm].
    """
    sheet = Sheet.of(lines)
    every = [sheet.to_mm(lines.line(n)) - np.array(corner) for n in range(len(lines))]
    heights = [float(np.median(mm[:, 1])) for mm in every]
    start = min(float(mm[:, 0].min()) for mm in every)
    speed, gain = (v / s for v, s in zip((sheet.speed, sheet.gain), sheet.scale, strict=True))
    return frame_of((min(heights), max(heights)), start, speed, gain, size)


def picture_of(result: Result, size: tuple[int, int]) -> tuple[Pixels, Frame] | None:
    """The picture of a page that was read, `evened`, ``(height, width, 3)`` uint8, and where on the flat page it lies.

    It is cut from the part ``page``: what is painted over there is not seen here. ``None`` where the result has none.
    """
    page, lines = result.parts.get("page"), result.parts.get("traces")
    corner = result.provenance.details.get(PAGE_CORNER)
    if not isinstance(page, Picture) or not isinstance(lines, Lines) or not len(lines) or corner is None:
        return None
    frame = frame_on(lines, (float(corner[0]), float(corner[1])), size)
    return evened(cut(page.pixels, frame)), frame
