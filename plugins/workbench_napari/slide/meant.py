"""Which slide is meant: one answer for what is shown, run, drawn and saved, so that no two slides are mixed. No Qt."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from workbench_napari.shared.layer_choice import chosen, index_of
from workbench_napari.slide.on_slide import same_slide


class MeantSlide:
    """The slide of the layer that a person chose last.

    It is the one in the box of slides, unless that slide was closed and only its masks, annotations or results are
    left: they are still of their own slide.

    Parameters
    ----------
    combo
        The box that lists the open slides.
    """

    def __init__(self, viewer: Any, combo: Any) -> None:
        self._viewer, self._combo = viewer, combo
        self._left: Callable[[], Any] = lambda: None

    @property
    def layer(self) -> Any:
        """The slide's own layer, or one that is left of it; ``None`` where no slide is open."""
        left = self._left()
        return left if left is not None and left in self._viewer.layers else chosen(self._combo)

    def follow(self, layer: Any) -> None:
        """A layer of a slide was chosen: so is its slide."""
        slide = self.open_slide(layer)
        self._left = (lambda: None) if slide is not None else weakref.ref(layer)
        if slide is not None:
            self._combo.setCurrentIndex(index_of(self._combo, slide))

    def let_go(self) -> None:
        """A slide was chosen in the box."""
        self._left = lambda: None

    def open_slide(self, layer: Any) -> Any:
        """The open slide that a layer is, or is of; of one that is open twice the one that is chosen."""
        if index_of(self._combo, layer) >= 0:
            return layer
        listed = [self._combo.itemData(i)() for i in range(self._combo.count())]
        found = [x for x in (chosen(self._combo), *listed) if x is not None and same_slide(layer, x)]
        return found[0] if found else None
