"""OME-Zarr (NGFF 0.4 and 0.5) in brightfield: levels as folders of chunks, sizes in their transformations.

J. Moore et al., "OME-Zarr", Histochem. Cell Biol. 160:223, 2023, doi 10.1007/s00418-023-02209-1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reading
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Image
from workbench.slide.data.scale import Scale, believed
from workbench.slide.data.wsi import CHANNELS, image_from
from workbench.slide.data.zarr_metadata import MOST_LEVELS, StoredArray, array_of, attributes

VERSIONS = ("0.4", "0.5")
_UNITS = {
    "meter": 1e6, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0, "micron": 1.0, "µm": 1.0, "μm": 1.0,
    "um": 1.0, "nanometer": 1e-3, "angstrom": 1e-4, "picometer": 1e-6, "inch": 25_400.0,
}  # fmt: skip
_ROOT = "bioformats2raw.layout"


def is_ome_zarr(path: Path) -> bool:
    """Whether a folder holds the levels of an image, by its attributes alone."""
    try:
        found = attributes(path) if path.is_dir() else None
    except InputError:
        return False
    return found is not None and (bool(found.get("multiscales")) or _ROOT in found)


@dataclass(frozen=True)
class _Stored:
    """A level: its folder, what lies in it, and where the axes are."""

    folder: Path
    array: StoredArray
    axes: str

    @property
    def size(self) -> tuple[int, int]:
        return self.array.shape[self.axes.index("y")], self.array.shape[self.axes.index("x")]


def read(path: Path) -> Image:
    """Open the folder of an OME-Zarr with red, green and blue of 8 bits: levels now, pixels in parts.

    Axes are y and x with one c of 3, in any order, and t and z of 1. A chunk that is not there has the fill value of
    the array, as the format says. Coarser levels that are missing or lie elsewhere are left out.

    Raises
    ------
    InputError
        It is no such image; one line says what was found.
    """
    folder, found, notes = _image_in(path)
    scales = found["multiscales"]
    one = scales[0] if isinstance(scales, list) and scales else None
    if not isinstance(one, dict) or not isinstance(one.get("datasets"), list) or not one["datasets"]:
        raise InputError(f"{path}: lists no levels of an image (multiscales without datasets)")
    version = str(found.get("version") or one.get("version") or VERSIONS[0])[:20]
    if version not in VERSIONS:
        raise InputError(
            f"{path}: is OME-Zarr {version}; versions {' and '.join(VERSIONS)} are read. Convert it again."
        )
    axes, unit = _axes(path, one.get("axes"))
    try:
        steps = [_steps(d, one, axes) for d in one["datasets"][:MOST_LEVELS]]
        places = [str(d["path"]) for d in one["datasets"][:MOST_LEVELS]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: the list of its levels is damaged ({type(error).__name__}: {error})") from error
    stored = [_level(path, folder, place, axes, number) for number, place in enumerate(places)]
    first = stored[0]
    assert first is not None
    kept, levels, told = _levels(stored, steps)
    scale = _scale(steps[0], unit)
    reader = ZarrLevels(path, [s for s in (stored[i] for i in kept) if s is not None])
    tile = first.array.chunk[axes.index("y")], first.array.chunk[axes.index("x")]
    pyramid = Pyramid(tuple(levels), reader.read, np.dtype(np.uint8), CHANNELS, scale.mpp, scale.source, None, tile)
    return image_from(pyramid, path, scale, "ome-zarr", (*notes, *told))


def _image_in(path: Path) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """The group of the image, its attributes and notes; other groups of OME-Zarr are told by name."""
    found = attributes(path)
    if found is None:
        raise InputError(f"{path}: is a folder and no OME-Zarr (it has no .zattrs and no zarr.json of a group)")
    if "plate" in found or "well" in found:
        what = "plate" if "plate" in found else "well"
        raise InputError(f"{path}: is a {what} of many images; give the folder of one (plate.zarr/A/1/0, say)")
    if "image-label" in found:
        raise InputError(f"{path}: holds a label map (image-label); give the folder of the image that it belongs to")
    if found.get("multiscales"):
        return path, found, ()
    if _ROOT in found and (path / "0").is_dir():
        inner = attributes(path / "0")
        if inner is not None and inner.get("multiscales"):
            return path / "0", inner, ("of the images in the folder the first (0) is the slide",)
    lists = ", ".join(sorted(str(k)[:30] for k in found)[:6]) or "nothing"
    raise InputError(f"{path}: holds no image (no multiscales among its attributes, which are: {lists})")


def _axes(path: Path, found: Any) -> tuple[str, str]:
    """Letters of the axes, and the unit that x and y share, or ""."""
    if not isinstance(found, list) or not all(isinstance(a, dict) and isinstance(a.get("name"), str) for a in found):
        raise InputError(f"{path}: does not name its axes as OME-Zarr {' and '.join(VERSIONS)} do. Convert it again.")
    names = [a["name"] for a in found]
    if sorted(names) not in [sorted((*more, "c", "y", "x")) for more in ((), ("t",), ("z",), ("t", "z"))]:
        raise InputError(
            f"{path}: has the axes {', '.join(names)[:60]}; expected y, x and c (colours), and t or z of 1"
        )
    units = {str(a.get("unit") or "").lower() for a in found if a["name"] in "yx"}
    return "".join(names), units.pop() if len(units) == 1 else ""


def _level(path: Path, folder: Path, place: str, axes: str, number: int) -> _Stored | None:
    """What is stored of a level; ``None`` where a coarser one is not there."""
    parts = PurePosixPath(place).parts
    if not parts or ".." in parts or place.startswith("/") or "\\" in place or ":" in place or "\0" in place:
        raise InputError(f"{path}: level {number} lies outside of the folder ({place[:60]!r}); this is refused")
    array = array_of(folder.joinpath(*parts))
    if array is None:
        if number:
            return None
        raise InputError(f"{path}: level 0 ({place[:60]}) is not there; the folder was not copied whole")
    if len(array.shape) != len(axes) or any(
        array.shape[axes.index(a)] != n for a, n in (("c", 3), ("t", 1), ("z", 1)) if a in axes
    ):
        raise InputError(
            f"{path}: level {number} has {'x'.join(str(n) for n in array.shape)} samples along {', '.join(axes)}; a "
            "slide in brightfield has three colours in one plane"
        )
    return _Stored(folder.joinpath(*parts), array, axes)


def _steps(dataset: Any, multiscale: Any, axes: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Scale and translation along (y, x) in the unit of the axes, or ``None`` where there is no scale."""
    size, shift, has_scale = np.ones(2), np.zeros(2), False
    at = [axes.index("y"), axes.index("x")]
    for source in (dataset, multiscale):
        for one in source.get("coordinateTransformations") or ():
            values = one.get(one.get("type"))
            if one.get("type") not in ("scale", "translation") or not isinstance(values, list):
                continue
            if len(values) != len(axes):
                raise ValueError(f"a {one['type']} of {len(values)} numbers for {len(axes)} axes")
            along = np.array([float(values[i]) for i in at])
            if one["type"] == "scale":
                size, shift, has_scale = size * along, shift * along, True
            else:
                shift = shift + along
    return (size, shift) if has_scale else None


def _levels(stored: list[_Stored | None], steps: list[Any]) -> tuple[list[int], list[Level], tuple[str, ...]]:
    """Numbers of the levels that are kept, the levels, and notes on the others."""
    assert stored[0] is not None
    rows, columns = stored[0].size
    kept, levels, notes = [0], [Level((rows, columns))], []
    for number, one in enumerate(stored[1:], 1):
        if one is None:
            notes.append(f"level {number} of the pyramid is not there; the others are used")
            continue
        high, wide = one.size
        step = (rows / high + columns / wide) / 2
        own, base = steps[number], steps[0]
        if own is not None and base is not None and (base[0] > 0).all():
            said = own[0] / base[0]
            # More exact than sizes, which are rounded: where they agree to a pixel of the level.
            if (np.abs(np.array([rows, columns]) / said - (high, wide)) <= 1.01).all():
                step = float(math.sqrt(said[0] * said[1]))
            else:
                notes.append(f"level {number} of the pyramid states {said[1]:.4g} times the pixels of level 0, and its "
                             f"size says {columns / wide:.4g}; the size is used")  # fmt: skip
            if (np.abs(own[1] - base[1]) > np.abs(base[0]) * step).any():
                notes.append(f"level {number} of the pyramid lies elsewhere than level 0; it is left out")
                continue
        if step > levels[-1].downsample * 1.001:
            kept.append(number)
            levels.append(Level((high, wide), step))
    return kept, levels, tuple(notes)


def _scale(steps: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None, unit: str) -> Scale:
    if steps is None:
        return Scale()
    high, wide = (float(v) for v in steps[0])
    if unit not in _UNITS:
        if (high, wide) == (1, 1):
            return Scale()
        what = f"the unit {unit[:20]!r}" if unit else "no unit"
        return Scale(notes=(f"the file states pixels of {wide:.6g} x {high:.6g} with {what}; it is not believed. Give "
                            "the true size with --mpp",))  # fmt: skip
    return believed(wide * _UNITS[unit], high * _UNITS[unit], "OME-Zarr scale")


class ZarrLevels:
    """The arrays of the levels, read region by region from several threads."""

    def __init__(self, path: Path, levels: list[_Stored]) -> None:
        self.path, self.levels = path, levels
        self._arrays = [self._open(number, level) for number, level in enumerate(levels)]

    def _open(self, number: int, level: _Stored) -> Any:
        import zarr

        from workbench.slide.data.zarr_store import BoundedStore

        packing = "" if level.array.is_sharded else level.array.packing
        store = BoundedStore(level.folder, packing=packing, most=math.prod(level.array.chunk))
        with reading(f"{self.path}: level {number}", "cannot be opened"):
            return zarr.open_array(store, mode="r", zarr_format=3 if level.array.version == 3 else 2)

    def read(self, level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """A region of a level, ``(height, width, 3)``: the chunks that it touches are unpacked."""
        axes = self.levels[level].axes
        where: dict[str, Any] = {"y": slice(row, row + height), "x": slice(column, column + width), "c": slice(0, 3)}
        place = f"{self.path}: level {level}, row {row}, column {column}"
        with reading(place, "cannot be decoded"):
            found = np.asarray(self._arrays[level][tuple(where.get(a, 0) for a in axes)])
        kept = [a for a in axes if a in where]
        return np.ascontiguousarray(found.transpose([kept.index(a) for a in "yxc"]))
