"""Masks of TIFF files: a page, a file beside (``.msk``) or an alpha band that says which pixels hold no data.

GDAL gives the samples below a mask as they are, so a masked pixel looks like any other until the mask is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.scene.data import tiff_blocks, tiff_layout
from workbench.scene.data.scene import fits, scaled_type


@dataclass(frozen=True)
class Masking:
    """How the masked pixels of a file become pixels without data.

    Attributes
    ----------
    fill
        What their samples are set to: the file's own no-data value, else NaN.
    file, page
        Where the mask lies, if it is packed in a way whose checksums are compared here; else GDAL reads it.
    """

    fill: float
    file: Path | None = None
    page: tiff_layout.Directory | None = None

    @property
    def by_gdal(self) -> bool:
        return self.page is None

    def valid(self, rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        """Pixels of a rectangle that hold data, read here."""
        assert self.file is not None
        assert self.page is not None
        found = tiff_blocks.window(self.file, self.page, rows, columns, slice(0, 1, 1))[0]
        return np.asarray(found != 0)

    def apply(self, samples: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        """The samples ``(bands, rows, columns)`` with those of masked pixels set to `fill`."""
        if valid.all():
            return samples
        found = np.array(samples)
        found[:, ~valid] = self.fill
        return found


@dataclass(frozen=True)
class Masks:
    """What a file has of masks.

    Attributes
    ----------
    page
        Of the file itself.
    beside
        The first page of the file ``.msk`` beside it.
    """

    path: Path
    page: tiff_layout.Directory | None = None
    beside: tiff_layout.Directory | None = None


def beside(path: Path) -> Path | None:
    """The file of the mask that lies beside a TIFF file, if there is one."""
    file = path.with_name(f"{path.name}.msk")
    return file if file.is_file() else None


def files_of(path: Path) -> tuple[Path, ...]:
    """A TIFF file and those beside it that change its samples: the mask, and GDAL's notes (no-data value, scale)."""
    near = (beside(path), path.with_name(f"{path.name}.aux.xml"))
    return (path, *(f for f in near if f is not None and f.is_file()))


def masks_of(path: Path, pages: Sequence[tiff_layout.Directory]) -> Masks:
    """The masks of a file, by its directories.

    Raises
    ------
    InputError
        A mask of another size than the picture, masks of several pages, or a damaged file beside.
    """
    first = pages[0]
    own = [p for p in pages if p.subfile & 4 and not p.subfile & 1]
    file = beside(path)
    if (own or file is not None) and sum(p.is_full for p in pages) > 1:
        raise InputError(f"{path}: several pages and a mask: which pages it is for is not said. Export it as one page.")
    near = tiff_layout.directories(file)[:1] if file is not None else []
    for mask, where in ((own[:1], path), (near, file)):
        if mask and mask[0].size != first.size:
            raise InputError(
                f"{where}: the mask has {mask[0].height} rows x {mask[0].width} columns, the scene has "
                f"{first.height} x {first.width}. Export it again."
            )
    return Masks(path, own[0] if own else None, near[0] if near else None)


def masking_of(
    masks: Masks, flags: Sequence[Sequence[str]], stored: np.dtype[Any], nodata: float | None, *, plain: bool
) -> tuple[Masking | None, np.dtype[Any]]:
    """How to mask, and the type that can hold the result.

    Parameters
    ----------
    flags
        Per band what GDAL says of its mask: ``"per_dataset"``, ``"alpha"``, ``"nodata"``, ``"all_valid"``.
    stored
        Type of the samples.
    nodata
        The file's own no-data value.
    plain
        The samples are used as they are stored (else they are scaled to real numbers).
    """
    if not any("per_dataset" in f for f in flags):
        if masks.page is not None or masks.beside is not None:
            where = masks.path if masks.page is not None else beside(masks.path)
            raise InputError(f"{where}: holds a mask that says nothing of the pixels. Export it again, or remove it.")
        return None, stored if plain else scaled_type(stored)
    whole = stored.kind in "iub"
    keeps = plain and whole and nodata is not None and fits(nodata, stored)
    dtype = stored if plain and (keeps or not whole) else scaled_type(stored)
    fill = float(nodata) if keeps and nodata is not None else float("nan")
    # The file beside goes before the page, as in GDAL.
    page, file = (masks.beside, beside(masks.path)) if masks.beside is not None else (masks.page, masks.path)
    if page is not None and tiff_blocks.can_unpack(page, bitwise=True):
        return Masking(fill, file, page), dtype
    return Masking(fill), dtype


def notes_of(path: Path, masking: Masking | None, flags: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What a person should know of the masks of a file."""
    if masking is None:
        return ()
    if not any("alpha" in f for f in flags):
        return (f"{path.name} has a mask: the pixels that it masks are read as empty",)
    said = f"{path.name} has an alpha band: pixels where it is 0 are read as empty"
    return (f"{said}. It stays a band of the cube: to train without it, name it in --drop-bands (drop_bands)",)
