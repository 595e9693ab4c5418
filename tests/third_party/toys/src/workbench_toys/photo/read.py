"""Photos as images of the kind ``photo``: ``(3, rows, columns)`` uint8, red, green and blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from workbench import Geometry, Image, InputError


def read(path: Path) -> Image:
    """Open a photo: its size now, its pixels when they are asked for."""
    try:
        with Pillow.open(path) as file:
            columns, rows = file.size
            format = str(file.format).lower()
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path}: not a readable photo ({error}). Save it as PNG or JPEG.") from error

    def pixels() -> np.ndarray:
        with Pillow.open(path) as file:
            return np.ascontiguousarray(np.moveaxis(np.asarray(file.convert("RGB")), 2, 0))

    return Image(
        geometry=Geometry((rows, columns), None, ("y", "x"), None),
        dtype=np.dtype(np.uint8),
        channels=("red", "green", "blue"),
        loader=pixels,
        kind="photo",
        source=path,
        format=format,
    )
