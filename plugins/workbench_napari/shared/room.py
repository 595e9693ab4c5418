"""Whether a layer can be shown beside those that are open: napari counts steps along axes, and its sliders end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from workbench.core.errors import UsageError
from workbench.core.layers import LayerTuple

_MOST = 999_999_997
"""Steps along an axis. With one digit more napari 0.9 asks Qt for a number beyond 2^31, and the window is broken."""
_LONG = {"um": "micrometer", "mm": "millimeter", "m": "meter", "km": "kilometer", "s": "second"}
"""Units as layers name them, by those that readers give."""
_target: ContextVar[Any] = ContextVar("target", default=None)


def require_room(viewer: Any, layer: Any) -> None:
    """Refuse a layer that napari cannot show beside those of a viewer.

    Raises
    ------
    UsageError
        From the first to the last pixel of all are too many of the smallest: of a scene of kilometres and a slide, say.
    """
    for other in viewer.layers:  # two by two: of many with different units napari converts none, until one is removed
        extent = viewer.layers.get_extent([other, layer])
        steps = np.ptp(np.asarray(extent.world, float), axis=0) / np.asarray(extent.step, float)
        if np.isfinite(steps).all() and steps.max() > _MOST:
            raise UsageError(
                f"{layer.name}: from its first pixel to the last of {other.name} are {steps.max():,.0f} steps of the "
                f"smaller pixels, more than napari can go in one window. Close {other.name} first, or open "
                f"{layer.name} in a window of its own."
            )


@contextmanager
def shown_in(viewer: Any) -> Iterator[None]:
    """What napari reads meanwhile it adds to this viewer, whichever is its current one."""
    token = _target.set(viewer)
    try:
        yield
    finally:
        _target.reset(token)


def require_room_for(items: Iterable[LayerTuple]) -> None:
    """The same for layers that napari is about to add to a viewer: that of `shown_in`, or its current one.

    Raises
    ------
    UsageError
        See `require_room`.
    """
    if "napari" not in sys.modules:
        return
    import napari
    from napari.layers import Layer

    viewer = _target.get() or napari.current_viewer()
    if viewer is None or not len(viewer.layers):
        return
    open_now = {str(unit) for layer in viewer.layers for unit in getattr(layer, "units", ())}
    for item in items:
        if len(item) < 3 or item[0] is None:
            continue
        own = set(map(str, item[1].get("units") or ()))
        if own and not _same(own, open_now):  # it costs a layer to ask napari
            require_room(viewer, Layer.create(*item))


def _same(some: set[str], others: set[str]) -> bool:
    return {_LONG.get(one, one) for one in some} == {_LONG.get(one, one) for one in others}
