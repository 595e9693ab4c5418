"""Whole slides through OpenSlide: SVS, NDPI, MRXS, SCN, VMS, BIF, tiled TIFF, DICOM.

A. Goode et al., "OpenSlide: A vendor-neutral software foundation for digital pathology", J. Pathol. Inform. 4:27, 2013,
doi 10.4103/2153-3539.119005. The label and the macro image, which carry names of people, are never read.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, one_line
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Geometry, Image
from workbench.slide.data.scale import Scale, believed
from workbench.slide.data.stored_tiles import FORMATS, StoredTiles
from workbench.slide.data.tiff_pages import require_sound

SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm", ".tif", ".tiff")
CHANNELS = ("red", "green", "blue")
_CACHE_BYTES = 128 << 20
_BOUNDS = ("openslide.bounds-y", "openslide.bounds-x", "openslide.bounds-height", "openslide.bounds-width")


class SlideFile:
    """An open slide that several threads read from.

    A handle that met a damaged tile gives nothing any more: it is opened anew, so that one tile is lost and no slide.

    Parameters
    ----------
    path
        File of the slide (of an MRXS slide the ``.mrxs``, of a DICOM slide any of its files).

    Raises
    ------
    InputError
        It is not one that OpenSlide opens; one line says what OpenSlide found.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        require_sound(path)
        self._stamp = _stamp(path)
        self._handle = self._open()
        properties = dict(self._handle.properties)
        self.format = str(properties.get("openslide.vendor", "unknown"))
        self.sizes: tuple[tuple[int, int], ...] = tuple((h, w) for w, h in self._handle.level_dimensions)
        self.downsamples = tuple(float(d) for d in self._handle.level_downsamples)
        self.properties = properties
        self._stored: StoredTiles | None = None

    def _require_same(self) -> None:
        """Half of one slide and half of another would be shown as one."""
        if _stamp(self.path) != self._stamp:
            raise InputError(f"{self.path}: another file stands there since it was opened. Open it again.")

    def _open(self) -> Any:
        import openslide

        self._require_same()

        try:
            handle = openslide.OpenSlide(self.path)
        except openslide.OpenSlideUnsupportedFormatError as error:
            raise InputError(
                f"{self.path}: OpenSlide knows no slide of this format, or parts of it are missing. Expected SVS, "
                "NDPI, MRXS with its folder, SCN, VMS, BIF, tiled TIFF or DICOM. A file that was cut off looks so, "
                "too: copy it again."
            ) from error
        except openslide.OpenSlideError as error:
            raise InputError(f"{self.path}: cannot be opened as a slide ({one_line(error)}). Copy it again, or "
                             "convert it to a pyramidal TIFF.") from error  # fmt: skip
        if hasattr(openslide, "OpenSlideCache"):
            handle.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
        return handle

    def profile(self) -> Any:
        """The colour profile (`PIL.ImageCms.ImageCmsProfile`), or ``None``.

        Raises
        ------
        InputError
            It is damaged.
        """
        from PIL import ImageCms

        try:
            return self._handle.color_profile
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: its colour profile is damaged ({one_line(error)}); leave out --icc"
            ) from error

    def read(self, level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """A region of a level in pixels of that level, ``(height, width, 3)``; what was never scanned is white."""
        found = None if (stored := self._stored_tiles()) is None else stored.read(level, row, column, height, width)
        return self.read_region(level, row, column, height, width) if found is None else found

    def _stored_tiles(self) -> StoredTiles | None:
        if self.format not in FORMATS:
            return None
        with self._lock:
            if self._stored is None:
                self._require_same()
                self._stored = StoredTiles(self.path, self.sizes, self.downsamples, self.read_region)
            return self._stored

    def read_region(self, level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """The same by OpenSlide itself."""
        import openslide
        from PIL import Image as Pillow

        step = self.downsamples[level]
        place = (round(column * step), round(row * step))
        handle = self._handle
        try:
            found = handle.read_region(place, level, (width, height))
        except openslide.OpenSlideError:
            self._renew(handle)
            # The tile that broke the handle may be that of another thread: read alone, it is certain.
            try:
                with self._open() as own:
                    found = own.read_region(place, level, (width, height))
            except openslide.OpenSlideError as error:
                raise InputError(
                    f"{self.path}: level {level}, row {row}, column {column} cannot be decoded ({one_line(error)})"
                ) from error
        low, high = found.getchannel("A").getextrema()
        if low == high == 255:
            return np.asarray(found.convert("RGB"))
        white = Pillow.new("RGBA", found.size, (255, 255, 255, 255))
        return np.asarray(Pillow.alpha_composite(white, found).convert("RGB"))

    def _renew(self, broken: Any) -> None:
        with self._lock:
            if self._handle is broken:
                self._handle = self._open()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({one_line(error)})") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def maker_of(path: Path) -> str:
    """What OpenSlide takes a file for (``"aperio"``, ``"generic-tiff"``), "" where it knows none; cheap."""
    import openslide

    try:
        return str(openslide.OpenSlide.detect_format(path) or "")
    except openslide.OpenSlideError:
        return ""


def tile_of(properties: dict[str, str]) -> tuple[int, int]:
    """(height, width) of the tiles of level 0."""
    height = properties.get("openslide.level[0].tile-height", "256")
    width = properties.get("openslide.level[0].tile-width", "256")
    return (int(height), int(width)) if height.isdigit() and width.isdigit() else (256, 256)


def scale_of(slide: SlideFile) -> Scale:
    """What the slide states about its pixels."""
    found = slide.properties
    source = "TIFF resolution" if slide.format == "generic-tiff" else "openslide.mpp-x, -y"
    x, y = found.get("openslide.mpp-x"), found.get("openslide.mpp-y")
    return believed(x, y, source, found.get("openslide.objective-power"))


def bounds_of(slide: SlideFile) -> tuple[int, int, int, int] | None:
    """(row, column, height, width) of what was scanned, in pixels of level 0, where the slide marks it."""
    texts = [slide.properties.get(name, "") for name in _BOUNDS]
    if not all(text.lstrip("-").isdigit() for text in texts):
        return None
    row, column, height, width = (int(text) for text in texts)
    rows, columns = slide.sizes[0]
    if row < 0 or column < 0 or height <= 0 or width <= 0 or row + height > rows or column + width > columns:
        return None
    return row, column, height, width


def image_of(slide: SlideFile, scale: Scale, notes: tuple[str, ...] = (), files: tuple[Path, ...] = ()) -> Image:
    """The slide as an image whose pixels are read region by region."""
    kept = [i for i, d in enumerate(slide.downsamples) if i == 0 or d > slide.downsamples[i - 1] * 1.001]
    levels = tuple(Level(slide.sizes[i], 1.0 if i == 0 else slide.downsamples[i]) for i in kept)

    def read(level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        return slide.read(kept[level], row, column, height, width)

    pyramid = Pyramid(
        levels, read, np.dtype(np.uint8), CHANNELS, scale.mpp, scale.source, bounds_of(slide), tile_of(slide.properties)
    )
    return replace(image_from(pyramid, slide.path, scale, slide.format, notes, files), native=slide)


def image_from(
    pyramid: Pyramid, path: Path, scale: Scale, format: str, notes: tuple[str, ...] = (), files: tuple[Path, ...] = ()
) -> Image:
    """An image of kind ``slide`` over a pyramid: its world is micrometres, where the size of a pixel is known."""
    affine = None if scale.mpp is None else np.diag([scale.mpp[1], scale.mpp[0], 1.0])
    geometry = Geometry(pyramid.levels[0].shape, affine, ("y", "x"), None if affine is None else "um")
    header: dict[str, Any] = {"format": format, **pyramid.to_json()}
    if scale.objective is not None:
        header["objective"] = f"{scale.objective:g}x"
    return Image(
        geometry=geometry,
        dtype=pyramid.dtype,
        channels=pyramid.channels,
        loader=pyramid.whole,
        kind="slide",
        source=path,
        modality="SM",
        format=format,
        header=header,
        files=files or (path,),
        pyramid=pyramid,
        notes=(*notes, *scale.notes),
    )


def read(path: Path) -> Image:
    """Open a slide: its levels and sizes now, pixels region by region."""
    slide = SlideFile(path)
    return image_of(slide, scale_of(slide))
