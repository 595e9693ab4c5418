"""OME-TIFF and tiled TIFF that OpenSlide does not open, through tifffile; sizes stand in OME-XML.

The OME data model: I. Goldberg et al., Genome Biology 6:R47, 2005; https://docs.openmicroscopy.org/ome-model/.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, one_line
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Image
from workbench.slide.data.scale import Scale, believed
from workbench.slide.data.tiff_tiles import TiffTiles
from workbench.slide.data.wsi import CHANNELS, image_from

_TO_UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "Å": 1e-4, "pm": 1e-6}
_PER = {2: 25_400.0, 3: 10_000.0}
"""Micrometres in the unit of a TIFF resolution: inch, centimetre."""


class TiffLevels:
    """The levels of an image of a TIFF."""

    def __init__(self, path: Path, series: int = 0) -> None:
        import tifffile

        self.path = path
        try:
            self.file = tifffile.TiffFile(path)
        except (OSError, ValueError, tifffile.TiffFileError) as error:
            raise InputError(f"{path}: is no TIFF that can be read ({one_line(error)})") from error
        try:
            self.series = self.file.series[series]
        except (OSError, ValueError, IndexError, tifffile.TiffFileError) as error:
            self.file.close()
            raise InputError(f"{path}: is no TIFF with an image ({one_line(error)})") from error
        self.levels: list[Any] = list(self.series.levels)
        self.tiles = TiffTiles(path, self.file, [level.pages[0] for level in self.levels])


def read(path: Path) -> Image:
    """Open an OME-TIFF or another TIFF with red, green and blue of 8 bits: levels and sizes now, pixels in parts.

    Raises
    ------
    InputError
        It is no such TIFF; one line says what was found.
    """
    tiff = TiffLevels(path)
    page = tiff.levels[0].pages[0]
    if tiff.series.ndim > 3 or page.samplesperpixel != 3 or page.bitspersample != 8 or page.planarconfig != 1:
        raise InputError(
            f"{path}: {'x'.join(str(n) for n in tiff.series.shape)} samples ({tiff.series.axes}) of "
            f"{page.bitspersample} bits; a slide in brightfield has red, green and blue of 8 bits in one plane"
        )
    if page.compression not in tifffile_compressions():
        raise InputError(
            f"{path}: its pixels are packed by a method ({int(page.compression)}) that nobody here can undo; save it "
            "again as JPEG, LZW or deflate"
        )
    rows, columns = page.shape[:2]
    levels = [(0, Level((rows, columns)))]
    for number, level in enumerate(tiff.levels[1:], 1):
        high, wide = level.pages[0].shape[:2]
        step = (rows / high + columns / wide) / 2
        if step > levels[-1][1].downsample * 1.001:
            levels.append((number, Level((high, wide), step)))
    kept = [number for number, _ in levels]

    def region(level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        return tiff.tiles.read(kept[level], row, column, height, width)

    scale = scale_of(tiff)
    pyramid = Pyramid(
        tuple(one for _, one in levels), region, np.dtype(np.uint8), CHANNELS, scale.mpp, scale.source, None,
        (page.chunks[0], page.chunks[1]),
    )  # fmt: skip
    return image_from(pyramid, path, scale, "ome-tiff" if tiff.file.is_ome else "tiff")


def tifffile_compressions() -> frozenset[int]:
    """Numbers of the packings that can be undone."""
    import tifffile

    return frozenset(int(one) for one in tifffile.COMPRESSION)


def scale_of(tiff: TiffLevels) -> Scale:
    """Physical size of a pixel from OME-XML, else from the resolution of the TIFF."""
    import xml.etree.ElementTree as ElementTree

    text = tiff.file.ome_metadata if tiff.file.is_ome else None
    if text:
        try:
            pixels = next(e for e in ElementTree.fromstring(text).iter() if e.tag.rpartition("}")[2] == "Pixels")
        except (ElementTree.ParseError, StopIteration):
            pixels = None
        if pixels is not None and pixels.get("PhysicalSizeX"):
            x, y = (_length(pixels.get(f"PhysicalSize{a}"), pixels.get(f"PhysicalSize{a}Unit", "µm")) for a in "XY")
            return believed(x, y, "OME-XML")
    tags = tiff.levels[0].pages[0].tags
    unit = _PER.get(int(tags["ResolutionUnit"].value)) if "ResolutionUnit" in tags else None
    if unit is None or "XResolution" not in tags or "YResolution" not in tags:
        return Scale()
    wide, high = (_per_pixel(tags[name].value, unit) for name in ("XResolution", "YResolution"))
    return believed(wide, high, "TIFF resolution")


def _length(text: str | None, unit: str) -> str | float | None:
    try:
        return float(text or "") * _TO_UM[unit]
    except (ValueError, KeyError):
        return None if text is None else f"{text} {unit}"


def _per_pixel(value: Any, unit: float) -> float | None:
    try:
        number, per = value
        return unit * per / number if number else None
    except (TypeError, ValueError):
        return None
