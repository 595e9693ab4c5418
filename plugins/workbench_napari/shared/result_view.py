"""The view goes to a result when a run ends, unless a person sees it already or has moved meanwhile."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench_napari.shared.views import camera_of

_AT_ONCE = 1 << 23
"""Voxels that are looked through on the window's thread; more of them in another one."""


class ResultView:
    """Remembers what was seen when a run began, and goes to labels that came out of it."""

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

    def go_to(self, labels: Any) -> None:
        """Show the slice with most labels, if none of them is in the picture now."""
        dims, data = self._viewer.dims, labels.data
        if dims.ndisplay != 2 or data.ndim < 3 or getattr(labels, "multiscale", False):
            return
        axis = dims.order[-3] - (dims.ndim - data.ndim)
        if axis < 0 or self._sees(labels, axis):
            return
        if data.size <= _AT_ONCE:
            self._turn(labels, axis, _fullest(np.asarray(data), axis))
            return
        from napari.qt.threading import create_worker

        before, reference = self._look(), weakref.ref(labels)

        def found(place: npt.NDArray[Any] | None) -> None:
            layer = reference()
            if layer is not None and layer in self._viewer.layers and before == self._look():
                self._turn(layer, axis, place)

        worker = create_worker(_fullest, np.asarray(data), axis)
        worker.returned.connect(found)
        worker.start()

    def _sees(self, labels: Any, axis: int) -> bool:
        data, dims = labels.data, self._viewer.dims
        at = round(float(labels.world_to_data(dims.point)[axis]))
        if not 0 <= at < data.shape[axis]:
            return False
        return bool(np.asarray(np.take(data, at, axis=axis)).any())

    def _turn(self, labels: Any, axis: int, place: npt.NDArray[Any] | None) -> None:
        if place is not None:
            dims = self._viewer.dims
            dims.set_point(dims.order[-3], float(labels.data_to_world(place)[axis]))


def _fullest(data: npt.NDArray[Any], axis: int) -> npt.NDArray[Any] | None:
    """Middle of what is marked in the slice that holds most of it; ``None`` if nothing is marked."""
    counts = np.array([np.count_nonzero(plane) for plane in np.moveaxis(data, axis, 0)])
    if not counts.any():
        return None
    best = int(counts.argmax())
    middle = np.argwhere(np.take(data, best, axis=axis)).mean(axis=0)
    return np.insert(middle, axis, float(best))
