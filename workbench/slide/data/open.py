"""A slide of any format: OpenSlide where it knows the maker, tifffile for OME-TIFF, Pillow for plain pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from workbench.core.errors import InputError
from workbench.core.types import Image
from workbench.slide.data import ome_tiff, ome_zarr, pictures, wsi
from workbench.slide.data.side_files import files_of
from workbench.slide.data.tiff_pages import CutOff, require_colours, require_sound

_TIFF = (".tif", ".tiff")
_GENERIC = "generic-tiff"


def read(path: Path) -> Image:
    """Open a slide: its levels and the size of its pixels now, pixels region by region.

    Parameters
    ----------
    path
        A file of any format that OpenSlide knows (of a DICOM slide any of its files), an OME-TIFF, a TIFF, PNG or JPEG
        with red, green and blue of 8 bits, or the folder of an OME-Zarr.

    Raises
    ------
    InputError
        It is no slide; one line says what was found.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return ome_zarr.read(path)
    if suffix in pictures.SUFFIXES:
        return pictures.read(path)
    if suffix in _TIFF and path.name.lower().endswith((".ome.tif", ".ome.tiff")):
        return ome_tiff.read(path)
    maker = wsi.maker_of(path)
    image = _tiff(path, maker) if suffix in _TIFF and maker in ("", _GENERIC) else wsi.read(path)
    files = files_of(path)
    return image if files == image.all_files else replace(image, files=files, stamp=None)


def _tiff(path: Path, maker: str) -> Image:
    """A TIFF of no maker that OpenSlide knows: by tifffile, which also reads strips and sizes in OME-XML.

    What tifffile refuses may still be one for OpenSlide (other colours); then the first line is told.
    """
    require_sound(path)
    try:
        return ome_tiff.read(path)
    except CutOff:
        raise
    except InputError:
        if not maker:
            raise
    require_colours(path)
    return wsi.read(path)
