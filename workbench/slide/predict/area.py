"""Where tiles are taken: in the tissue that was found, in outlines that a person drew, or in both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Geometry, Image
from workbench.slide.data.heat_maps import read_labels
from workbench.slide.data.tissue import MASK_MPP, find_tissue, require_brightfield
from workbench.slide.predict.chosen import LowPower, low_power
from workbench.slide.predict.cores import cores_on
from workbench.slide.region_counts import Region, regions_of, without_missing

if TYPE_CHECKING:
    from workbench.slide.annotations.types import Annotation, Annotations

_FEWEST = 256
"""Pixels along the longer side at which tissue is looked for, where a slide has them; small ones are seen finer."""
_MOST_JOINED = 20_000
_MAPS = (".tif", ".tiff")
_ENDINGS = (".geojson", ".json", ".xml", ".ndpa", ".ome.tif", ".ome.tiff", ".tif")
_GLASS, _GLASS_SHARE = (200, 25), 0.02
"""Glass has colours of this much at least, which differ by no more; and there must be so much of it."""
TISSUE, PEN, REGION = 1, 2, 3
_NAMES = {TISSUE: ("tissue", (220, 120, 160)), PEN: ("pen", (60, 160, 80)), REGION: ("region", (80, 120, 220))}


class Where(Protocol):
    """The settings that say where to look."""

    @property
    def roi(self) -> str: ...
    @property
    def roi_classes(self) -> str: ...
    @property
    def tissue_in_roi(self) -> bool: ...
    @property
    def tissue(self) -> float:
        """Whether tissue is looked for."""

    @property
    def frame(self) -> Literal["file", "bounds"]: ...
    @property
    def keep_pen(self) -> bool: ...


class WithCores(Where, Protocol):
    """Settings that may say that a slide is a tissue microarray."""

    @property
    def tma(self) -> float | None: ...


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
    size
        Area of the outlines on the slide in pixels of level 0, where they were drawn: finer than the mask.
    outline
        Those outlines themselves, on the slide: a geometry of shapely, or ``None``.
    regions
        The same one by one.
    glass
        (red, green, blue) of what lies bright and grey beside the tissue; ``None`` where there is too little of it.
    """

    mask: npt.NDArray[np.bool_]
    pen: npt.NDArray[np.bool_]
    step: tuple[float, float]
    level: int
    value: int = TISSUE
    notes: tuple[str, ...] = ()
    size: float | None = None
    outline: Any = None
    regions: tuple[Region, ...] = ()
    glass: tuple[float, float, float] | None = None

    def with_edge(self) -> npt.NDArray[np.bool_]:
        """The mask and the pixels around it: what lies right beside tissue belongs to it."""
        from scipy import ndimage

        found: npt.NDArray[np.bool_] = ndimage.binary_dilation(self.mask, np.ones((3, 3)))
        return found

    def area_of(self, mask: npt.NDArray[np.bool_], whole: tuple[int, ...]) -> float:
        """What a mask of this shape covers of a slide of that size, in pixels of level 0; nothing beyond its edge."""
        rows, columns = (
            np.clip(n - np.arange(count) * step, 0, step)
            for n, count, step in zip(whole, mask.shape, self.step, strict=True)
        )
        return float(rows @ mask @ columns)

    def looked_in(self, outline: Any) -> float:
        """How much of a region is looked at, in pixels of level 0: all of it, or the tissue in it."""
        import shapely

        if self.value == REGION:
            return float(outline.area)
        left, top, right, bottom = outline.bounds
        rows, columns = (
            slice(max(0, int(low // step)), max(0, math.ceil(high / step)))
            for low, high, step in ((top, bottom, self.step[0]), (left, right, self.step[1]))
        )
        r, c = np.nonzero(self.mask[rows, columns])
        x, y = (c + columns.start + 0.5) * self.step[1], (r + rows.start + 0.5) * self.step[0]
        return float(shapely.contains_xy(outline, x, y).sum()) * self.step[0] * self.step[1]

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


def find_area(image: Image, config: Where, name: Any) -> Area:
    """Where tiles are taken; the whole slide where the settings ask for no tissue."""
    assert image.pyramid is not None
    low = low_power(image.pyramid, mask_mpp(image))
    found = _area_in(image, low, config, name)
    if diameter := getattr(config, "tma", None):
        found = _in_cores(found, image, config, diameter, name)
    found = replace(found, glass=glass_of(low.pixels, found.with_edge() if found.value == TISSUE else None))
    if (np.ptp(low.pixels.astype(np.int16), axis=2) <= 1).all():
        found = replace(found, notes=(*found.notes, "its red, green and blue are equal: a grey picture has no stain"))
    return found


def _in_cores(found: Area, image: Image, config: Where, diameter: float, name: Any) -> Area:
    """The tissue in the cores of an array, each a region with its name.

    Raises
    ------
    InputError, UsageError
        There is no array; outlines or no tissue were asked for, too.
    """
    if config.roi or not config.tissue:
        raise UsageError("--tma finds cores in tissue: leave out --roi, or draw the cores and leave out --tma")
    cores = cores_on(image, found.mask, found.step, diameter, name)
    return replace(
        found, mask=found.mask & cores.mask, regions=cores.regions, outline=cores.outline,
        notes=(*found.notes, *cores.notes),
    )  # fmt: skip


def _area_in(image: Image, low: LowPower, config: Where, name: Any) -> Area:
    assert image.pyramid is not None
    shape = low.pixels.shape[:2]
    none = np.zeros(shape, bool)
    if config.roi:
        region = _region(image, config, shape, low.step)
        if not config.tissue_in_roi:
            return replace(region, level=low.level, notes=(*region.notes, *_unlike_brightfield(low.pixels)))
        inside, notes, outline, regions = region.mask, region.notes, region.outline, region.regions
    elif not config.tissue:
        return Area(~none, none, low.step, low.level, REGION)
    else:
        inside, notes, outline, regions = ~none, (), None, ()
    mpp = math.sqrt(image.pyramid.mpp[0] * image.pyramid.mpp[1]) if image.pyramid.mpp else None
    tissue = find_tissue(low.pixels, None if mpp is None else mpp * low.step[0], keep_pen=config.keep_pen, name=name)
    said = (*notes, *tissue.notes)
    return Area(tissue.mask & inside, tissue.pen, low.step, low.level, TISSUE, said, outline=outline, regions=regions)


def glass_of(pixels: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_] | None) -> tuple[float, float, float] | None:
    """The colour of glass at low power: the middle of all that is bright and grey, and no tissue."""
    low, high = pixels.min(axis=2), pixels.max(axis=2)
    free = (low >= _GLASS[0]) & (high - low <= _GLASS[1])
    if tissue is not None:
        free &= ~tissue
    if np.count_nonzero(free) < max(20, _GLASS_SHARE * free.size):
        return None
    red, green, blue = np.median(pixels[free], axis=0).tolist()
    return (red, green, blue)


def _unlike_brightfield(pixels: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    """Nobody looks for tissue in outlines of one's own; what the weights were never taught on is said all the same."""
    try:
        require_brightfield(pixels)
    except InputError as error:
        said = str(error).partition(": ")[2].partition(";")[0]
        return (f"{said}: weights that were taught on brightfield have not seen such",)
    return ()


def roi_file(config: Where, image: Image) -> Path:
    """The file of outlines or the mask for a slide: that of the settings, or the one of its name in their folder.

    Raises
    ------
    UsageError
        There is none, or more than one.
    """
    path = Path(config.roi).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise UsageError(f"--roi {config.roi}: no such file or folder")
    found = [f for f in (path / f"{image.name}{ending}" for ending in _ENDINGS) if f.is_file()]
    saved = path / image.name / "annotations.geojson"
    found += [saved] if saved.is_file() else []
    if len(found) != 1:
        there = "more than one: " + ", ".join(str(f.relative_to(path)) for f in found) if found else "none"
        raise UsageError(
            f"--roi {config.roi}: one file for {image.name} was expected ({image.name}.geojson, say); found {there}"
        )
    return found[0]


def _region(image: Image, config: Where, shape: tuple[int, ...], step: tuple[float, float]) -> Area:
    """What the file that the settings name marks: outlines, or a mask."""
    path = roi_file(config, image)
    if path.suffix.lower() in _MAPS:
        if config.roi_classes:
            raise UsageError(f"{path}: is a mask; --roi-classes chooses among outlines")
        return _masked(image, path, shape, step)
    return _drawn(image, path, config, shape, step)


def _masked(image: Image, path: Path, shape: tuple[int, ...], step: tuple[float, float]) -> Area:
    """A mask that was saved before, on the grid that is worked on; pen marks in it are no tissue.

    Raises
    ------
    InputError
        It is no mask of ours, does not cover this slide, or marks nothing.
    """
    found = read_labels(path)
    _require_over(image, path, found.geometry)
    # Its own step counts, not its number of pixels: the last of them reach beyond the edge of the slide.
    assert image.geometry.affine is not None
    assert found.geometry.affine is not None
    own_step = np.diag(found.geometry.affine)[:2] / np.diag(image.geometry.affine)[:2]
    at = [
        np.minimum((np.arange(n) + 0.5) * s / own, count - 1).astype(int)
        for n, s, own, count in zip(shape, step, own_step, found.data.shape, strict=True)
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


def _drawn(image: Image, path: Path, config: Where, shape: tuple[int, ...], step: tuple[float, float]) -> Area:
    """The outlines of the file that the settings name, as a mask."""
    from workbench.slide.annotations.read import read_annotations
    from workbench.slide.annotations.region import mask_of, outline_on
    from workbench.slide.data.placing import place_of

    place = place_of(image)
    drawn = read_annotations(path, slide=place, frame=config.frame if place.bounds else None)
    kept, notes = _of_classes(drawn, config, path)
    count = len(kept)
    kept, lost = without_missing(kept)
    if count and not kept:
        raise InputError(f"{path}: all {count} cores of the array are missing: nothing is left to look at")
    notes += lost
    if not any(item.shape.kind == "areas" for item in kept):
        raise InputError(
            f"{path}: holds no outline with an area ({len(kept)} points or lines). Draw around what is to be taken."
        )
    # Joining a hundred thousand of them takes more than half a minute: then pixels of the mask are counted.
    outline = outline_on(kept, image.geometry.shape) if len(kept) <= _MOST_JOINED else None
    regions, said = ((), ()) if outline is None else regions_of(kept, image.geometry.shape)
    notes += said
    size = None if outline is None else float(outline.area)
    mask = mask_of(kept, (shape[0], shape[1]), step[0])
    if size == 0 or (size is None and not mask.any()):
        raise InputError(
            f"{path}: no outline of it lies on {image.source or image.name} ({len(kept)} annotations). Is it of this "
            "slide, and in pixels of the whole file (--frame)?"
        )
    if not mask.any():
        raise InputError(
            f"{path}: its outlines cover {size:.3g} pixels of {image.source or image.name}, less than a pixel of the "
            "mask: no tile lies in them"
        )
    if size is None:
        notes += (f"the area of {len(kept):,} outlines was counted in pixels of the mask, and not one by one",)
    return Area(mask, np.zeros(shape, bool), step, 0, REGION, (*drawn.notes, *notes), size, outline, regions)


def _of_classes(drawn: Annotations, config: Where, path: Path) -> tuple[list[Annotation], tuple[str, ...]]:
    """Outlines of the classes that were asked for; those that QuPath ignores (``Ignore*``) only by their name.

    Raises
    ------
    UsageError
        A class that no outline has.
    """
    wanted = [name.strip() for name in config.roi_classes.split(",") if name.strip()]
    there = {item.class_name for item in drawn}
    if missing := [name for name in wanted if name not in there]:
        names = ", ".join(repr(name) for name in sorted(n for n in there if n)) or "none"
        raise UsageError(f"--roi-classes: no outline of {path} has the class '{missing[0]}'; there are: {names}")
    if wanted:
        return [item for item in drawn if item.class_name in wanted], ()
    kept = [item for item in drawn if not item.class_name.endswith("*")]
    left = len(drawn) - len(kept)
    note = f"{left} outline(s) of classes that QuPath ignores (their names end with *) were left out"
    return kept, (note,) if left else ()
