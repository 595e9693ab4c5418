"""What differs between the versions of napari that the window works with; nothing else asks for a version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def camera_of(viewer: Any) -> Any:
    """The camera; napari 0.9 moved it."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def scale_bar_of(viewer: Any) -> Any:
    """The scale bar; napari 0.9 moved it."""
    canvas = getattr(viewer, "canvas", None)
    return viewer.scale_bar if canvas is None else canvas.overlays["scale_bar"]


def renamed_of(layers: Any) -> Any:
    """What tells that a layer of a list has another name: an emitter of napari from 0.7 on."""
    return getattr(layers.events, "renamed", None) or _Renamed(layers)


class _Renamed:
    """The same for napari 0.6, whose list of layers does not tell: asks every layer in it.

    Parameters
    ----------
    layers
        The list of layers of a viewer.
    """

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._callbacks: list[Callable[..., Any]] = []
        # Emitters keep functions, but methods only weakly: like this whoever listens need not keep this object.
        self._inserted = lambda event: event.value.events.name.connect(self._name)
        self._removed = lambda event: event.value.events.name.disconnect(self._name)
        self._name = lambda event: self._tell(event)

    def connect(self, callback: Callable[..., Any]) -> None:
        """Call this with an event whenever a layer has got another name."""
        if not self._callbacks:
            self._layers.events.inserted.connect(self._inserted)
            self._layers.events.removed.connect(self._removed)
            for layer in self._layers:
                layer.events.name.connect(self._name)
        self._callbacks.append(callback)

    def disconnect(self, callback: Callable[..., Any]) -> None:
        """Call it no longer."""
        self._callbacks.remove(callback)
        if not self._callbacks:
            self._layers.events.inserted.disconnect(self._inserted)
            self._layers.events.removed.disconnect(self._removed)
            for layer in self._layers:
                layer.events.name.disconnect(self._name)

    def _tell(self, event: Any) -> None:
        for callback in list(self._callbacks):
            callback(event)
