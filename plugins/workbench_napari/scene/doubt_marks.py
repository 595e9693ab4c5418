"""Where to paint next, marked on the canvas: rings around the pixels, which are nobody's work and are never saved."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.layers import KEY
from workbench_napari.shared.following import our_choice
from workbench_napari.shared.layer_record import HINT

Spot = tuple[int, int]

DARK, BRIGHT = "#000000", "#ffe34d"
"""One of the two stands out from whatever lies below: the bright ring has a dark one around it."""
_PIXELS = 3.0
_ON_SCREEN = (16, 400)
"""Least and largest size of a ring [pixels of the screen]: seen from afar, and around the pixel close by."""


class DoubtMarks:
    """The layer of the marks; it is there as long as there are any."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Any = lambda: None

    @property
    def layer(self) -> Any:
        """The layer, or ``None``."""
        layer = self._layer()
        return layer if layer is not None and layer in self._viewer.layers else None

    def show(self, scene: Any, spots: Sequence[Spot]) -> None:
        """Mark these pixels of a scene, and no others; the layer that was active stays so."""
        self.clear()
        if not spots:
            return
        from napari.layers import Points

        places = np.array([scene.world_of(*spot) for spot in spots])
        pixel = abs(scene.world_of(1, 0)[0] - scene.world_of(0, 0)[0]) or 1.0
        active = self._viewer.layers.selection.active
        made = Points(
            np.concatenate([places, places]),
            name=f"{scene.image.name} where to paint next",
            size=[1.4 * _PIXELS * pixel] * len(spots) + [_PIXELS * pixel] * len(spots),
            symbol="square",
            face_color="transparent",
            border_color=[DARK] * len(spots) + [BRIGHT] * len(spots),
            border_width=0.16,
            canvas_size_limits=_ON_SCREEN,
            units=scene.layer.units[-2:],
            axis_labels=scene.layer.axis_labels[-2:],
            metadata={KEY: {"role": HINT}},
        )
        with our_choice():
            self._viewer.add_layer(made)
            if active is not None and active in self._viewer.layers:
                self._viewer.layers.selection.active = active
        made.editable = False
        self._layer = weakref.ref(made)

    def clear(self) -> None:
        """Take all marks away."""
        layer, self._layer = self.layer, lambda: None
        if layer is not None:
            active = self._viewer.layers.selection.active
            with our_choice():
                self._viewer.layers.remove(layer)
                if active is not layer and active in self._viewer.layers:
                    self._viewer.layers.selection.active = active
