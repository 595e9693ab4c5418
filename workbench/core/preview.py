"""Small pictures of results, one per case: what the overview of a run shows. NumPy and Pillow, no matplotlib.

What is in the picture is the affair of the kind: the function ``preview`` of its ``layers`` module (`KindLayers`).
Equal results give equal bytes.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core import kinds
from workbench.core.classes import RGB, ClassTable
from workbench.core.errors import Cancelled, WorkbenchWarning, one_line
from workbench.core.types import Labels, Result

LONG_SIDE = 320
"""Pixels along the longer side of a picture."""
UNLISTED: RGB = (191, 191, 191)
"""Values without a class."""
_LEAST = 8
_LEVEL = 1  # of zlib: a third of the time of its default, for a third more bytes (a hippocampus at 320 pixels: 60 kB)

Pixels = npt.NDArray[np.uint8]


def preview_of(result: Result) -> bytes | None:
    """PNG of a result as its kind draws it; ``None`` where it draws none.

    What goes wrong is a warning: no case fails for its picture.
    """
    try:
        own = kinds.find(result.image.kind).hook("layers", "preview")
        found: bytes | None = None if own is None else own(result)
    except Cancelled:
        raise
    except Exception as error:
        said = f"{result.image.name}: no picture was made ({type(error).__name__}: {one_line(error)})"
        warnings.warn(said, WorkbenchWarning, stacklevel=2)
        return None
    return found


def png_of(pixels: Pixels) -> bytes:
    """``(rows, columns, 3)`` as PNG; nothing in it but the pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=_LEVEL)
    return buffer.getvalue()


def fitted(height: float, width: float, side: int = LONG_SIDE) -> tuple[int, int]:
    """Rows and columns of a picture of something so high and so wide, in one unit."""
    scale = side / max(height, width)
    return max(_LEAST, round(height * scale)), max(_LEAST, round(width * scale))


def smooth(pixels: Pixels, rows: int, columns: int) -> Pixels:
    """A picture ``(rows, columns[, 3])`` in another size: averaged where it shrinks, interpolated where it grows."""
    from PIL import Image

    resized = Image.fromarray(np.ascontiguousarray(pixels)).resize((columns, rows), Image.Resampling.BILINEAR)
    found: Pixels = np.asarray(resized)
    return found


def nearest(values: npt.NDArray[Any], rows: int, columns: int) -> npt.NDArray[Any]:
    """A map ``(rows, columns)`` in another size; only values that are in it."""
    r, c = ((np.arange(n) + 0.5) * have / n for n, have in zip((rows, columns), values.shape, strict=True))
    found: npt.NDArray[Any] = values[np.ix_(r.astype(np.intp), c.astype(np.intp))]
    return found


def gray(plane: npt.NDArray[Any], limits: tuple[float, float]) -> Pixels:
    """Samples as grey values from black to white; what is no number is black."""
    low, high = limits
    scaled = (plane.astype(np.float32) - low) * np.float32(255 / ((high - low) or 1))
    levels: Pixels = np.clip(np.nan_to_num(np.rint(scaled)), 0, 255).astype(np.uint8)
    return levels


def coloured(values: npt.NDArray[Any], classes: ClassTable) -> Pixels:
    """The colour of the class of each value ``(rows, columns, 3)``; 0 is black."""
    known = {c.value: c.color for c in classes}
    table: Pixels
    place: npt.NDArray[Any] = values
    if values.size and values.min() >= 0 and values.max() < 1 << 16:  # far faster than sorting
        table = np.full((int(values.max()) + 1, 3), UNLISTED, np.uint8)
        for value, color in known.items():
            if value < len(table):
                table[value] = color
        table[0] = 0
    else:
        present, place = np.unique(values, return_inverse=True)
        table = np.array([known.get(int(v), UNLISTED) if v else (0, 0, 0) for v in present], np.uint8)
    colours: Pixels = table[place.reshape(values.shape)]
    return colours


def painted(picture: Pixels, values: npt.NDArray[Any], classes: ClassTable, opacity: float = 0.35) -> Pixels:
    """A picture ``(rows, columns, 3)`` with the classes over it: filled, their edges in the colour of the class."""
    from PIL import Image

    inside = values != 0
    edge = np.zeros(values.shape, bool)  # the end of the picture is no edge
    down, right = values[1:] != values[:-1], values[:, 1:] != values[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    over: Pixels = inside * np.uint8(round(255 * opacity))
    over[edge & inside] = 255
    below, above = (Image.fromarray(np.ascontiguousarray(p)) for p in (picture, coloured(values, classes)))
    out: Pixels = np.asarray(Image.composite(above, below, Image.fromarray(over)))  # a third of the time of NumPy
    return out


def first_labels(result: Result) -> Labels | None:
    """The label map of a result, if it has one."""
    return next((p for p in result.parts.values() if isinstance(p, Labels)), None)
