"""What a person looked at of the nuclei of a slide, as squares to teach: the rest of the slide was only proposed.

Outlines that a model proposed and nobody looked at are no truth: a training on them teaches a model what it says
anyway, its faults too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.frame import PIXELS
from workbench.core.objects import REJECTED, Objects
from workbench.slide.data.nuclei_labels import OUTLINES, Reference, of_objects
from workbench.slide.nuclei_now import NUCLEI, REJECTED_NUCLEI
from workbench.slide.nuclei_objects import joined


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of a slide around nuclei that a person looked at.

    Parameters
    ----------
    row, column
        Its first pixel, of level 0.
    reference
        Its nuclei; those that were not looked at count as right, too.
    """

    row: int
    column: int
    reference: Reference


def reviewed(path: Path) -> Objects | None:
    """Nuclei of a file that says which of them a person looked at, with those that were rejected; else ``None``.

    The rejected ones of a save of ours lie in a file of their own beside it.
    """
    from workbench.data.objects import read_objects

    if path.suffix.lower() not in OUTLINES or not path.is_file():
        return None
    found = read_objects(path).in_frame(PIXELS).exploded()
    beside = path.with_name(f"{REJECTED_NUCLEI}{path.suffix}")
    if path.stem == NUCLEI and beside.is_file():
        others = read_objects(beside).in_frame(PIXELS).exploded()
        # Other programs give ids of their own; here nobody asks for them.
        count = len(found)
        found = replace(found, ids=np.arange(count))
        found = joined(found, replace(others, ids=np.arange(count, count + len(others))))
    return found if found.review is not None and found.review.any() else None


def squares_of(found: Objects, shape: tuple[int, int], side: float, name: Path) -> tuple[list[Patch], str]:
    """Squares around the nuclei that were looked at, and a line about them.

    Parameters
    ----------
    found
        In pixels of level 0, with `Objects.review`.
    shape
        Rows and columns of the slide.
    side
        Of a square, in pixels of level 0; it stays on the slide.

    Raises
    ------
    GeometryError
        They lie beyond the slide.
    """
    assert found.review is not None
    boxes = found.bounds().astype(float)  # x and y from, x and y to
    beyond = (boxes[:, :2] >= shape[::-1]) | (boxes[:, 2:] <= 0)
    if (away := beyond.any(1)).any():
        raise GeometryError(
            f"{name}: {int(away.sum()):,} of {len(found):,} outlines lie outside the image of {shape[1]} x {shape[0]} "
            "pixels. Are they of this slide, and in pixels of its full resolution?"
        )
    looked = np.flatnonzero(found.review)
    corners = _corners(boxes[looked], shape, side)
    kept = found.select(found.review != REJECTED)
    bounds, untouched = kept.bounds().astype(float), np.zeros(len(kept), bool)
    squares = []
    for column, row in corners.tolist():
        high, wide = (min(round(side), n - first) for n, first in zip(shape, (row, column), strict=True))
        inside = (bounds[:, 0] < column + wide) & (bounds[:, 2] > column)
        inside &= (bounds[:, 1] < row + high) & (bounds[:, 3] > row)
        own = kept.select(inside)
        moved = replace(own, coordinates=own.coordinates - np.array([column, row], own.coordinates.dtype))
        squares.append(Patch(row, column, of_objects(moved, (high, wide))))
        assert kept.review is not None
        untouched |= inside & (kept.review == 0)
    said = f"taught by {len(squares)} square(s) around {len(looked)} nuclei that a person looked at, and nothing else"
    if count := int(untouched.sum()):
        said += f"; {count} others in them were not looked at and count as right"
    return squares, said


def _corners(boxes: npt.NDArray[np.float64], shape: tuple[int, int], side: float) -> npt.NDArray[np.int64]:
    """First pixels (x, y) of squares that hold the boxes: one around each that no square before it holds whole."""
    found: list[npt.NDArray[np.int64]] = []
    length = round(side)
    for box in boxes:
        if any((box[:2] >= c).all() and (box[2:] <= c + length).all() for c in found):
            continue
        middle = (box[:2] + box[2:]) / 2
        last = np.maximum(np.array(shape[::-1]) - length, 0)
        found.append(np.clip(np.rint(middle - side / 2), 0, last).astype(np.int64))
    return np.array(found, np.int64).reshape(-1, 2)
