"""OME-TIFF and tiled TIFF that OpenSlide does not open, through tifffile; sizes stand in OME-XML.

The OME data model: I. Goldberg et al., Genome Biology 6:R47, 2005; https://docs.openmicroscopy.org/ome-model/.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError, one_line
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Image
from workbench.slide.data.color import Profiled
from workbench.slide.data.scale import Scale, believed
from workbench.slide.data.tiff_pages import CutOff, Page, page_of, require_sound, turned_note
from workbench.slide.data.tiff_tiles import TiffTiles
from workbench.slide.data.wsi import CHANNELS, image_from

_TO_UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "Å": 1e-4, "pm": 1e-6}
_PER = {2: 25_400.0, 3: 10_000.0}
"""Micrometres in the unit of a TIFF resolution: inch, centimetre."""
_OF_IMAGEJ = _TO_UM | {"micron": 1.0, "microns": 1.0, "\\u00B5m": 1.0, "inch": 25_400.0}
_PROFILE, _ORIENTATION = 34675, 274


_NOT_A_SLIDE = ("label", "macro", "thumbnail", "overview")
"""In names of pictures that are stored beside a slide."""
_OF_ANOTHER_SHAPE = 0.02
_MOST_BEYOND = 0.01
"""Share of tiles that a slide may lack at its end, and be read all the same."""


class TiffLevels:
    """The levels of the largest image of a TIFF that is no label and no overview.

    Raises
    ------
    InputError
        It is no TIFF in colours; one line says what was found.
    """

    def __init__(self, path: Path) -> None:
        import tifffile

        self.path = path
        require_sound(path)
        try:
            self.file = tifffile.TiffFile(path, _multifile=False)  # what other files it names is theirs
        except Exception as error:  # tags of any type stand there
            raise InputError(f"{path}: is no TIFF that can be read ({one_line(error)})") from error
        try:
            self._choose()
        except BaseException:
            self.file.close()
            raise
        self.tiles = TiffTiles(path, self.file, [page for _, page in self.levels])

    def _choose(self) -> None:
        try:
            found = [[_first(level) for level in one.levels] for one in self.file.series]
            names = [str(one.name or "") for one in self.file.series]
        except Exception as error:
            raise InputError(f"{self.path}: is no TIFF with an image ({one_line(error)})") from error
        if not found or not any(found):
            raise InputError(f"{self.path}: is no TIFF with an image. Copy it again.")
        slides = [i for i, name in enumerate(names) if not any(word in name.lower() for word in _NOT_A_SLIDE)]
        of = {i: page_of(found[i][0]) for i in slides or range(len(found)) if found[i]}
        sizes = {i: page.shape[0] * page.shape[1] for i, page in of.items() if isinstance(page, Page)}
        number = max(sizes, key=lambda i: sizes[i]) if sizes else min(of, default=0)
        self.series = self.file.series[number]
        self.notes: list[str] = []
        if len(found) > 1:
            name = f" ('{names[number]}')" if names[number] else ""
            self.notes.append(f"image {number + 1} of {len(found)} in the file{name} is the slide")
        pages = found[number]
        if not pages or pages[0] is None or pages[0].parent is not self.file:
            raise InputError(
                f"{self.path}: its pixels stand in other files, which is not read. Convert it to one file (bfconvert)."
            )
        first = page_of(pages[0])
        if isinstance(first, str):
            raise InputError(
                f"{self.path}: has {first}; a slide in brightfield has red, green and blue of 8 bits in one plane"
            )
        if self.series.ndim > 3:
            raise InputError(
                f"{self.path}: {'x'.join(str(n) for n in self.series.shape)} samples ({self.series.axes}); a slide in "
                "brightfield has red, green and blue of 8 bits in one plane"
            )
        if first.compression not in tifffile_compressions():
            raise InputError(
                f"{self.path}: its pixels are packed by a method ({first.compression}) that nobody here can undo; save "
                "it again as JPEG, LZW or deflate"
            )
        tag = pages[0].tags.get(_ORIENTATION)
        self.notes += turned_note(None if tag is None else int(tag.value))
        self._look_at_the_end(first)
        self.levels: list[tuple[Level, Page]] = [(Level(first.shape), first)]
        for number, page in enumerate(pages[1:], 1):
            self._add(number, page)

    def _look_at_the_end(self, page: Page) -> None:
        end, count = self.file.filehandle.size, len(page.counts)
        beyond = sum(o + c > end for o, c in zip(page.offsets, page.counts, strict=True))
        said = f"{beyond} of {count} tiles or strips lie beyond the end of the file"
        if beyond > _MOST_BEYOND * count:
            raise CutOff(f"{self.path}: was cut off: {said}. Copy it again.")
        if beyond:
            self.notes.append(f"{said}: it was cut off")

    def _add(self, number: int, found: Any) -> None:
        """A coarser level, unless it is none of this image."""
        page = "its pixels in another file" if found is None or found.parent is not self.file else page_of(found)
        rows, columns = self.levels[0][0].shape
        if isinstance(page, Page):
            down, across = rows / page.shape[0], columns / page.shape[1]
            # A pixel more or less at the edge is rounding.
            if abs(down / across - 1) > _OF_ANOTHER_SHAPE + 1 / page.shape[0] + 1 / page.shape[1]:
                page = f"another shape ({page.shape[0]} x {page.shape[1]})"
            elif (step := (down + across) / 2) > self.levels[-1][0].downsample * 1.001:
                self.levels.append((Level(page.shape, step), page))
                return
            else:
                return
        self.notes.append(f"level {number} is left out: it has {page}")


def _first(level: Any) -> Any:
    """The first page of a level, or ``None``."""
    return level.pages[0] if len(level.pages) else None


def read(path: Path) -> Image:
    """Open an OME-TIFF or another TIFF with red, green and blue of 8 bits: levels and sizes now, pixels in parts.

    Raises
    ------
    InputError
        It is no such TIFF; one line says what was found.
    """
    tiff = TiffLevels(path)
    scale = scale_of(tiff)
    pyramid = Pyramid(
        tuple(level for level, _ in tiff.levels), tiff.tiles.read, np.dtype(np.uint8), CHANNELS, scale.mpp,
        scale.source, None, tiff.levels[0][1].chunk,
    )  # fmt: skip
    image = image_from(pyramid, path, scale, "ome-tiff" if tiff.file.is_ome else "tiff", tuple(tiff.notes))
    return replace(image, native=Profiled(path, _profile_in(tiff)))


def _profile_in(tiff: TiffLevels) -> bytes | None:
    """The colour profile that stands in the first page."""
    tag = tiff.levels[0][1].page.tags.get(_PROFILE)
    return bytes(tag.value) if tag is not None and isinstance(tag.value, bytes) else None


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
            every = [e for e in ElementTree.fromstring(text).iter() if e.tag.rpartition("}")[2] == "Pixels"]
        except ElementTree.ParseError:
            every = []
        rows, columns = (str(n) for n in tiff.levels[0][0].shape)
        # That of the image which is read; there may be others (a label).
        same = [e for e in every if (e.get("SizeY"), e.get("SizeX")) == (rows, columns)]
        pixels = next(iter(same or every), None)
        if pixels is not None and pixels.get("PhysicalSizeX"):
            x, y = (_length(pixels.get(f"PhysicalSize{a}"), pixels.get(f"PhysicalSize{a}Unit", "µm")) for a in "XY")
            return believed(x, y, "OME-XML")
    tags = tiff.levels[0][1].page.tags
    unit = _PER.get(int(tags["ResolutionUnit"].value)) if "ResolutionUnit" in tags else None
    source, own = "TIFF resolution", (tiff.file.imagej_metadata or {}).get("unit")
    if own is not None:  # ImageJ counts pixels per unit of its own
        source, unit = f"ImageJ, pixels per {own}", _OF_IMAGEJ.get(str(own))
    if unit is None or "XResolution" not in tags or "YResolution" not in tags:
        return Scale()
    wide, high = (_per_pixel(tags[name].value, unit) for name in ("XResolution", "YResolution"))
    return believed(wide, high, source)


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
