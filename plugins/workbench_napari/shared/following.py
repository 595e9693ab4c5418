"""The layer that a person chooses in napari's list is the one that the tool means, too."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from qtpy.QtWidgets import QComboBox

from workbench_napari.shared.layer_choice import index_of

_ours = 0


@contextmanager
def our_choice() -> Iterator[None]:
    """While a tool adds, removes or chooses layers itself: what napari makes active then, no person has chosen."""
    global _ours
    _ours += 1
    try:
        yield
    finally:
        _ours -= 1


class ActiveLayer:
    """Lets a choice of layers follow the list of napari.

    Parameters
    ----------
    combo
        Gives the choice to set, or ``None`` where none is meant now.
    """

    def __init__(self, viewer: Any, combo: Callable[[], QComboBox | None]) -> None:
        self._viewer, self._combo = viewer, combo
        self._arrived: Callable[[], Any] = lambda: None

    def events(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Emitters of the viewer and what they call."""
        layers = self._viewer.layers
        return [(layers.events.inserted, self.on_inserted), (layers.selection.events.active, self.on_active)]

    def on_inserted(self, event: Any) -> None:
        """A layer that has just come is made active by napari, not by a person."""
        self._arrived = weakref.ref(event.value)

    def on_active(self, _event: Any = None) -> None:
        """A person chose a layer in the list of napari."""
        active = self._viewer.layers.selection.active
        if _ours or active is None or active is self._arrived():
            return
        self._arrived = lambda: None
        combo = self._combo()
        index = -1 if combo is None else index_of(combo, active)
        if combo is not None and index >= 0:
            combo.setCurrentIndex(index)
