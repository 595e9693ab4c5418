"""Layers turned together: the array of each in another order, its place, its grid, its history. No widgets here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.volume import (
    Turned,
    choose_image,
    fit_of,
    grid_record,
    motion,
    own_motion,
    taken,
    to_voxels,
    turned,
)
from workbench_napari.shared.saving import samples_of
from workbench_napari.volume.drawing import attributes_of, below
from workbench_napari.volume.layer_roles import is_volume, record_of

_TRANSFORM = ("scale", "translate", "rotate", "shear", "affine")
_GRID = ("shape", "layer_shape", "affine", "axes", "unit", "orientation", "pixel_is_mm")


def going_along(image: Any, layers: Iterable[Any]) -> list[Any]:
    """The layers that lie over an image because they were drawn over it or made from it, and its other channels."""
    everything = list(layers)
    images = [x for x in everything if is_volume(x)]
    return [x for x in everything if x is not image and x.ndim >= 3 and _goes_along(x, image, images, everything)]


def _goes_along(layer: Any, image: Any, images: Sequence[Any], everything: Sequence[Any]) -> bool:
    own, its = record_of(layer), record_of(image)
    if is_volume(layer):
        return bool(own.get("group")) and own.get("group") == its.get("group")
    over = own.get("over")
    if over and any(str(x.unique_id) == over for x in everything):
        return bool(over == str(image.unique_id))
    if own.get("source"):
        return all(own.get(key) == its.get(key) for key in ("source", "series"))
    shown, mine = [below(x) for x in images], attributes_of(layer)
    which = next(i for i, x in enumerate(images) if x is image)
    try:
        if _is_raster(layer):
            return choose_image(samples_of(layer).shape, mine, shown, which) == which
        if type(layer).__name__ not in ("Points", "Shapes") or not len(layer.data):
            return False
        at = to_voxels(np.vstack([np.atleast_2d(d) for d in layer.data]), mine, shown[which])
    except WorkbenchError:
        return False
    return bool(((at > -1) & (at < np.array(shown[which].spatial))).all())


def turn_all(image: Any, others: Sequence[Any], code: str, journal: Any, *, pixel_is_mm: bool = False) -> None:
    """Give the axes of an image's file other directions, and move what goes along with it by the same motion."""
    shape, attributes = samples_of(image).shape, attributes_of(image)
    matrix = motion(shape, attributes, code, pixel_is_mm=pixel_is_mm)
    grid = grid_record(shape, attributes, code, pixel_is_mm=pixel_is_mm)
    grid["orientation"]["of"] = name_of(image)
    if getattr(image, "multiscale", False):
        # Its levels have no order but that of their arrays, which is turned here.
        grid = {"orientation": grid["orientation"]}
    over = below(image)
    same = [_is_raster(x) and fit_of(samples_of(x).shape, attributes_of(x), over) == "grid" for x in others]
    for layer, is_same in [(image, True), *zip(others, same, strict=True)]:
        if not _is_raster(layer):
            _move(layer, matrix)
            continue
        _turn(layer, turned(samples_of(layer).shape, attributes_of(layer), matrix, flips=not _is_pyramid(layer)))
        own = layer.metadata.setdefault(KEY, {})
        own.update(grid if is_same else {"orientation": grid["orientation"]})
        if layer is not image and type(layer).__name__ == "Labels":
            _tell(layer, journal)


def _turn(layer: Any, how: Turned) -> None:
    before = bool(record_of(layer).get("edited"))
    is_labels = type(layer).__name__ == "Labels"
    steps = [*layer._undo_history, *layer._redo_history, layer._staged_history] if is_labels else []
    if _is_pyramid(layer):
        layer.data = [how.array(_transposable(level)) for level in layer.data]
    else:
        layer.data = how.array(_transposable(layer.data))
    for key in _TRANSFORM:
        setattr(layer, key, how.attributes[key])
    for step in steps:
        step[:] = [_turned_atom(atom, how) for atom in step]
    if KEY in layer.metadata and not before:
        # A new order of the voxels is no correction of what they say.
        layer.metadata[KEY].pop("edited", None)


def _tell(labels: Any, journal: Any) -> None:
    """What is kept for recovery must lie where the labels lie now."""
    before = record_of(labels).get("edited")
    journal.touch(labels)
    if not before:
        labels.metadata[KEY].pop("edited", None)


def _turned_atom(atom: Any, how: Turned) -> Any:
    """A step of napari's history, for the turned array. Steps of classes are known by identity: they stay the same."""
    if hasattr(atom, "slice_key"):
        box = tuple(s.stop - s.start for s in atom.slice_key)
        starts = [np.array([s.start, s.stop - 1]) for s in atom.slice_key]
        key = tuple(slice(int(min(i)), int(max(i)) + 1) for i in how.index(starts))
        if atom.mask is None:
            return atom._replace(slice_key=key, old_values=how.array(np.broadcast_to(atom.old_values, box)).copy())
        full = np.zeros(box, np.asarray(atom.old_values).dtype)
        full[atom.mask] = atom.old_values
        mask = how.array(atom.mask).copy()
        return atom._replace(slice_key=key, mask=mask, old_values=how.array(full)[mask])
    index = [np.asarray(i).copy() for i in atom[0]]
    if len(index) and index[0].size:
        for kept, found in zip(atom[0], how.index(index), strict=True):
            kept[...] = found
    return atom


def _move(layer: Any, matrix: npt.NDArray[Any]) -> None:
    """Points and shapes have no grid: their places move."""
    ndim = layer.ndim
    attributes = attributes_of(layer)
    world = np.eye(ndim + 1)
    own = own_motion(matrix, attributes, ndim)
    lead = ndim - 3
    world[lead:, lead:] = own
    inner = np.asarray(layer._data_to_world.affine_matrix)
    change = np.linalg.inv(inner) @ world @ inner
    moved = [np.asarray(d, float) @ change[:-1, :-1].T + change[:-1, -1] for d in layer.data]
    if type(layer).__name__ == "Shapes":
        layer.data = list(zip(moved, list(layer.shape_type), strict=True))
    else:
        layer.data = np.array(moved).reshape(-1, ndim)


def _transposable(array: Any) -> Any:
    """An array that gives views; what is read in pieces (Zarr) through dask."""
    if hasattr(array, "transpose"):
        return array
    import dask.array as da

    return da.from_array(array)


def _is_pyramid(layer: Any) -> bool:
    return bool(getattr(layer, "multiscale", False))


def _is_raster(layer: Any) -> bool:
    return type(layer).__name__ in ("Image", "Labels") and not getattr(layer, "rgb", False)


def name_of(image: Any) -> str:
    """What tells an image again in another session: its file, else its name."""
    return str(record_of(image).get("source") or image.source.path or image.name)


def taken_for(image: Any, *, pixel_is_mm: bool = False) -> Any:
    """The orientation that was taken for an image layer, or ``None`` where its file gives one."""
    if image is None:
        return None
    return taken(samples_of(image).shape, attributes_of(image), pixel_is_mm=pixel_is_mm)
