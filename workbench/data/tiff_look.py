"""What the first page of a TIFF says of what it may be: scenes, slides and pages of paper all have this suffix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = (".tif", ".tiff")
_MAP_TAGS = (33550, 34264, 34735)
"""Of a GeoTIFF: a picture of the earth."""
_PALETTE = 3


@dataclass(frozen=True)
class TiffLook:
    """The first page of a TIFF.

    Parameters
    ----------
    samples, bits
        Samples of a pixel, and bits of each.
    is_palette
        Its samples are numbers of colours.
    is_map
        It says where on earth it lies.
    is_ome
        It is an OME-TIFF.
    """

    samples: int
    bits: int
    is_palette: bool
    is_map: bool
    is_ome: bool


def look(path: Path) -> TiffLook | None:
    """What the first page says; ``None`` of a file that is damaged in whatever way, or no TIFF."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            return TiffLook(
                samples=int(page.samplesperpixel),
                bits=int(page.bitspersample),
                is_palette=int(page.photometric) == _PALETTE,
                is_map=any(tag in page.tags for tag in _MAP_TAGS),
                is_ome=bool(file.is_ome),
            )
    except Exception:  # whatever tifffile makes of damage
        return None
