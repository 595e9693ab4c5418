"""Layers over a page that only point at something: nobody's work, never saved, never the active one."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from workbench_napari.shared.following import our_choice


class Hints:
    """A few such layers of a viewer, by name. Their metadata say the role ``HINT``."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layers: dict[str, Callable[[], Any]] = {}

    def get(self, key: str) -> Any:
        """The layer of that name, or ``None``."""
        layer = self._layers.get(key, lambda: None)()
        return layer if layer is not None and layer in self._viewer.layers else None

    def put(self, key: str, layer: Any) -> None:
        """Show this one instead of the one of that name; the layer that was active stays so."""
        self.remove(key)
        active = self._viewer.layers.selection.active
        with our_choice():
            self._viewer.add_layer(layer)
            if active is not None and active in self._viewer.layers:
                self._viewer.layers.selection.active = active
        layer.editable = False
        self._layers[key] = weakref.ref(layer)

    def remove(self, key: str) -> None:
        """Take the one of that name away."""
        layer = self.get(key)
        self._layers.pop(key, None)
        if layer is not None:
            active = self._viewer.layers.selection.active
            with our_choice():
                self._viewer.layers.remove(layer)
                if active is not None and active is not layer and active in self._viewer.layers:
                    self._viewer.layers.selection.active = active

    def clear(self) -> None:
        """Take all away."""
        for key in list(self._layers):
            self.remove(key)
