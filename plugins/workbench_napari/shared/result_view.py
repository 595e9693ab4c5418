"""The view goes to a result when a run ends, unless a person sees it already or has moved meanwhile."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench_napari.shared.views import camera_of, canvas_of

_AT_ONCE = 1 << 23
"""Voxels that are looked through on the window's thread; more of them in another one."""

Place = npt.NDArray[Any]


class ResultView:
    """Remembers what was seen when a run began, and goes to labels, outlines or points that came out of it."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._before: Any = None

    def remember(self) -> None:
        """A run begins."""
        self._before = self._look()

    @property
    def has_stayed(self) -> bool:
        """Whether the view is where it was when the run began."""
        return self._before is not None and self._before == self._look()

    def _look(self) -> Any:
        dims, camera = self._viewer.dims, camera_of(self._viewer)
        return tuple(dims.point), tuple(dims.order), dims.ndisplay, tuple(camera.center), camera.zoom

    def go_to(self, layer: Any) -> None:
        """Show the slice with most of it, and the middle of that, if none of it is in the picture now."""
        if self._viewer.dims.ndisplay != 2 or layer.ndim < 2 or getattr(layer, "multiscale", False):
            return
        kind = type(layer).__name__
        if kind == "Labels":
            self._go_to_labels(layer)
        elif kind in ("Points", "Shapes") and len(layer.data):
            self._go_to_places(layer)

    # --- labels

    def _go_to_labels(self, labels: Any) -> None:
        axis = self._axis(labels)
        if axis == -1 or self._sees(labels, axis):
            return
        if labels.data.size <= _AT_ONCE:
            self._turn(labels, _fullest(np.asarray(labels.data), axis))
            return
        from napari.qt.threading import create_worker

        before, reference = self._look(), weakref.ref(labels)

        def found(place: Place | None) -> None:
            layer = reference()
            if layer is not None and layer in self._viewer.layers and before == self._look():
                self._turn(layer, place)

        worker = create_worker(_fullest, np.asarray(labels.data), axis)
        worker.returned.connect(found)
        worker.start()

    def _axis(self, layer: Any) -> int | None:
        """The axis of a layer that the slices follow, ``None`` of a flat one; -1 of what is not shown flat."""
        dims = self._viewer.dims
        if layer.ndim == 2:
            return None
        return max(-1, int(dims.order[-3]) - (dims.ndim - layer.ndim))

    def _sees(self, labels: Any, axis: int | None) -> bool:
        low, high = self._box(labels)
        if axis is not None:
            at = round(float(labels.world_to_data(self._viewer.dims.point)[axis]))
            low[axis], high[axis] = at, at
        size = np.array(labels.data.shape)
        inside = (high >= 0) & (low <= size - 1)
        low, high = np.clip(low, 0, size - 1), np.clip(high, 0, size - 1)
        box = tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
        return bool(inside.all() and np.asarray(labels.data[box]).any())

    def _box(self, layer: Any) -> tuple[Place, Place]:
        """What is in the picture, as the lowest and the highest index of a layer; the slices reach from end to end."""
        corners = [layer.world_to_data(self._world(layer, y, x)) for y in (0, 1) for x in (0, 1)]
        low, high = np.floor(np.min(corners, axis=0)), np.ceil(np.max(corners, axis=0))
        return low, high

    def _world(self, layer: Any, y: float, x: float) -> Place:
        """A place of the picture in the world of a layer: from 0 to 1, downwards and to the right."""
        dims, camera = self._viewer.dims, camera_of(self._viewer)
        canvas = canvas_of(self._viewer)
        world = np.array(dims.point, dtype=float)
        for part, axis, middle, pixels in zip(
            (y, x), dims.order[-2:], camera.center[-2:], (canvas.height(), canvas.width()), strict=True
        ):
            world[axis] = middle + (part - 0.5) * pixels / camera.zoom
        return world[-layer.ndim :]

    def _turn(self, layer: Any, place: Place | None) -> None:
        if place is not None:
            self._show(layer, np.asarray(layer.data_to_world(place), dtype=float))

    # --- outlines and points

    def _go_to_places(self, layer: Any) -> None:
        axis = self._axis(layer)
        if axis == -1:
            return
        items = [np.array([layer.data_to_world(v) for v in np.atleast_2d(d)]) for d in layer.data]
        ends = [self._world(layer, part, part) for part in (0, 1)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        if axis is not None:
            step = abs(float(np.diff([layer.data_to_world(np.eye(layer.ndim)[axis] * n)[axis] for n in (0, 1)])[0]))
            low[axis], high[axis] = low[axis] - step / 2, high[axis] + step / 2
        if any(((low <= item) & (item <= high)).all(axis=1).any() for item in items):
            return
        middles = np.array([item.mean(axis=0) for item in items])
        if axis is not None:
            depths, counts = np.unique(np.round(middles[:, axis], 6), return_counts=True)
            middles = middles[np.round(middles[:, axis], 6) == depths[counts.argmax()]]
        self._show(layer, _nearest(middles))

    # --- what is shown

    def _show(self, layer: Any, world: Place) -> None:
        """Go to the slice of a place in the world of a layer, and move the picture if it is not in it."""
        dims, camera = self._viewer.dims, camera_of(self._viewer)
        full = np.array(dims.point, dtype=float)
        full[-layer.ndim :] = world
        for axis in dims.order[:-2]:
            if axis >= dims.ndim - layer.ndim:
                dims.set_point(axis, float(full[axis]))
        ends = [self._world(layer, part, part) for part in (0, 1)]
        lead = dims.ndim - layer.ndim
        shown = [axis - lead for axis in dims.order[-2:]]
        if not all(min(e[a] for e in ends) <= world[a] <= max(e[a] for e in ends) for a in shown):
            camera.center = (*camera.center[:-2], *(float(world[a]) for a in shown))


def _fullest(data: Place, axis: int | None) -> Place | None:
    """What is nearest the middle of what is marked in the slice that holds most of it; ``None`` if nothing is."""
    if axis is None:
        marked = np.argwhere(data)
        return _nearest(marked) if len(marked) else None
    counts = np.array([np.count_nonzero(plane) for plane in np.moveaxis(data, axis, 0)])
    if not counts.any():
        return None
    best = int(counts.argmax())
    return np.insert(_nearest(np.argwhere(np.take(data, best, axis=axis))), axis, float(best))


def _nearest(places: Place) -> Place:
    """Of several places the one that is nearest their middle."""
    found: Place = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()].astype(float)
    return found
