"""Where tiles are taken: in the tissue that was found, in outlines that a person drew, or in both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Geometry, Image
from workbench.slide.data.heat_maps import read_labels
from workbench.slide.data.tissue import MASK_MPP, find_tissue
from workbench.slide.predict.chosen import low_power
from workbench.slide.settings import Config

_FEWEST = 256
"""Pixels along the longer side at which tissue is looked for, where a slide has them; small ones are seen finer."""
_MAPS = (".tif", ".tiff")
TISSUE, PEN, REGION = 1, 2, 3
_NAMES = {TISSUE: ("tissue", (220, 120, 160)), PEN: ("pen", (60, 160, 80)), REGION: ("region", (80, 120, 220))}


@dataclass(frozen=True, eq=False)
class Area:
    """Where tiles are taken.

    Parameters
    ----------
    mask
        ``(rows, columns)`` over the whole slide.
    pen
        The same shape: pen marks that were left out.
    step
        Pixels of level 0 along (y, x) of one of its pixels.
    level
        The level that was looked at.
    value
        Class of what is true: `TISSUE` or `REGION`.
    notes
        What a person should know.
    """

    mask: npt.NDArray[np.bool_]
    pen: npt.NDArray[np.bool_]
    step: tuple[float, float]
    level: int
    value: int = TISSUE
    notes: tuple[str, ...] = ()

    def labels(self) -> npt.NDArray[np.uint8]:
        """The mask as classes."""
        data = np.where(self.mask, np.uint8(self.value), np.uint8(0))
        data[self.pen & ~self.mask] = PEN
        return data

    @property
    def classes(self) -> ClassTable:
        values = (self.value, *((PEN,) if self.pen.any() else ()))
        return ClassTable(tuple(ClassInfo(v, *_NAMES[v]) for v in values))


def mask_mpp(image: Image) -> float:
    """Micrometres per pixel at which tissue is looked for."""
    assert image.pyramid is not None
    assert image.pyramid.mpp is not None
    own = math.sqrt(image.pyramid.mpp[0] * image.pyramid.mpp[1])
    return max(own, min(MASK_MPP, max(image.geometry.shape) * own / _FEWEST))


def find_area(image: Image, config: Config, name: Any) -> Area:
    """Where tiles are taken; the whole slide where the settings ask for no tissue."""
    assert image.pyramid is not None
    low = low_power(image.pyramid, mask_mpp(image))
    shape = low.pixels.shape[:2]
    none = np.zeros(shape, bool)
    if config.roi:
        region = _region(image, config, shape, low.step)
        if not config.tissue_in_roi:
            return replace(region, level=low.level)
        inside, notes = region.mask, region.notes
    elif not config.tissue:
        return Area(~none, none, low.step, low.level, REGION)
    else:
        inside, notes = ~none, ()
    mpp = math.sqrt(image.pyramid.mpp[0] * image.pyramid.mpp[1]) if image.pyramid.mpp else None
    tissue = find_tissue(low.pixels, None if mpp is None else mpp * low.step[0], keep_pen=config.keep_pen, name=name)
    return Area(tissue.mask & inside, tissue.pen, low.step, low.level, TISSUE, (*notes, *tissue.notes))


def _region(image: Image, config: Config, shape: tuple[int, ...], step: tuple[float, float]) -> Area:
    """What the file that the settings name marks: outlines, or a mask."""
    path = Path(config.roi).expanduser()
    if not path.is_file():
        raise UsageError(f"--roi {config.roi}: no such file")
    if path.suffix.lower() in _MAPS:
        return _masked(image, path, shape, step)
    mask, notes = _drawn(image, path, config, shape, step)
    return Area(mask, np.zeros(shape, bool), step, 0, REGION, notes)


def _masked(image: Image, path: Path, shape: tuple[int, ...], step: tuple[float, float]) -> Area:
    """A mask that was saved before, on the grid that is worked on; pen marks in it are no tissue.

    Raises
    ------
    InputError
        It is no mask of ours, does not cover this slide, or marks nothing.
    """
    found = read_labels(path)
    _require_over(image, path, found.geometry)
    at = [
        np.minimum((np.arange(n) + 0.5) * s * own / whole, own - 1).astype(int)
        for n, s, own, whole in zip(shape, step, found.data.shape, image.geometry.shape, strict=True)
    ]
    data = found.data[np.ix_(*at)]
    pen = np.isin(data, [c.value for c in found.classes if c.name == _NAMES[PEN][0]])
    mask = (data > 0) & ~pen
    if not mask.any():
        raise InputError(f"{path}: marks nothing on {image.source or image.name}. Paint what tiles are to be taken of.")
    is_tissue = any(c.name == _NAMES[TISSUE][0] for c in found.classes)
    return Area(mask, pen, step, 0, TISSUE if is_tissue else REGION)


def _require_over(image: Image, path: Path, geometry: Geometry) -> None:
    """Refuse a mask that lies elsewhere, or has another size, than the slide."""
    own, other = image.geometry.affine, geometry.affine
    if own is None or other is None:
        raise InputError(f"{path}: does not say where it lies in micrometres. Make it of a slide whose scale is known.")
    pixel, step = np.diag(own)[:2], np.diag(other)[:2]
    whole, covered = np.array(image.geometry.shape) * pixel, np.array(geometry.shape) * step
    corner = (other[:2, 2] - step / 2) - (own[:2, 2] - pixel / 2)
    if (np.abs(covered - whole) > step).any() or (np.abs(corner) > step).any():
        raise InputError(
            f"{path}: covers {covered[1]:.0f} x {covered[0]:.0f} um, {image.source or image.name} has {whole[1]:.0f} x "
            f"{whole[0]:.0f} um. Expected a mask of this slide, made with the same size of a pixel (--mpp)."
        )


def _drawn(
    image: Image, path: Path, config: Config, shape: tuple[int, ...], step: tuple[float, float]
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """The outlines of the file that the settings name, as a mask."""
    from workbench.slide.annotations.read import read_annotations
    from workbench.slide.annotations.region import mask_of
    from workbench.slide.data.placing import place_of

    place = place_of(image)
    drawn = read_annotations(path, slide=place, frame=config.frame if place.bounds else None)
    mask = mask_of(drawn, (shape[0], shape[1]), step[0])
    if not mask.any():
        raise InputError(
            f"{path}: no outline of it lies on {image.source or image.name} ({len(drawn)} annotations). Is it of this "
            "slide, and in pixels of the whole file (--frame)?"
        )
    return mask, drawn.notes
