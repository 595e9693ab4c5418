"""How slides are looked at: the scale bar, and levels that are read in the background or are too large to be shown."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench.slide import LazyLevel, StainLevel, TileCache
from workbench_napari.shared.napari_versions import scale_bar_of
from workbench_napari.slide.on_slide import record_of


class SlideViews(QObject):
    """Follows the slides of a viewer as long as the tool is docked.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)
    _came = Signal(object)
    _refused = Signal(object, str)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._known: dict[int, tuple[TileCache, list[Callable[[], Any]]]] = {}
        # Queued, whatever thread they come from: napari is in the middle of a slice then.
        from qtpy.QtCore import Qt

        self._came.connect(self._on_came, Qt.ConnectionType.QueuedConnection)
        self._refused.connect(self._on_refused, Qt.ConnectionType.QueuedConnection)

    def look_around(self) -> None:
        """Layers came or went; those of one slide may share its tiles."""
        here: dict[int, tuple[TileCache, list[Any]]] = {}
        for layer in self._viewer.layers:
            if (cache := cache_of(layer)) is not None:
                here.setdefault(id(cache), (cache, []))[1].append(layer)
        for key in [k for k in self._known if k not in here]:
            self._forget(key)
        for key, (cache, layers) in here.items():
            if key not in self._known:
                self._follow(key, cache, layers)
            self._known[key] = (cache, [weakref.ref(layer) for layer in layers])

    def let_go(self) -> None:
        """Follow nothing any more: pixels are read when they are asked for."""
        for key in list(self._known):
            self._forget(key)

    def _follow(self, key: int, cache: TileCache, layers: list[Any]) -> None:
        cache.later = partial(_tell, weakref.ref(self), key)
        cache.refused = partial(_tell_refused, weakref.ref(self), key)
        if any(record_of(layer).get("unit") == "um" for layer in layers):
            scale_bar_of(self._viewer).visible = True

    def _forget(self, key: int) -> None:
        cache, _ = self._known.pop(key)
        cache.later = cache.refused = None

    def _layers(self, key: int) -> list[Any]:
        _, references = self._known.get(key, (None, []))
        return [layer for reference in references if (layer := reference()) is not None]

    def _on_came(self, key: int) -> None:
        for layer in self._layers(key):
            if layer.visible:
                layer.refresh(extent=False, thumbnail=False)

    def _on_refused(self, key: int, text: str) -> None:
        for layer in self._layers(key):
            if getattr(layer, "locked_data_level", None) is not None:
                layer.locked_data_level = None
        self.said.emit(text)


def cache_of(layer: Any) -> TileCache | None:
    """The tiles of a slide in an image layer; ``None`` for other layers."""
    if record_of(layer).get("kind") != "slide" or not hasattr(layer, "data"):
        return None
    levels = list(layer.data) if getattr(layer, "multiscale", False) else [layer.data]
    return levels[0].cache if levels and isinstance(levels[0], LazyLevel | StainLevel) else None


def _tell(reference: Any, key: int) -> None:
    views = reference()
    if views is not None:
        views._came.emit(key)


def _tell_refused(reference: Any, key: int, text: str) -> None:
    views = reference()
    if views is not None:
        views._refused.emit(key, text)
