"""The layer that shows which nuclei are chosen, and the line that a hand draws; points of one are moved in it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from workbench.core.layers import KEY
from workbench_napari.shared.layer_record import HINT
from workbench_napari.shared.views import camera_of

MOST = 300
"""Chosen nuclei whose outlines are drawn; with more the window would stand still."""
_WHILE_DRAWING = 10
"""The same at every move of a hand."""
_COLOR = [1.0, 0.9, 0.0, 1.0]


class NucleiMarks(QObject):
    """Outlines over a layer of nuclei, in a layer of their own that nobody saves.

    Parameters
    ----------
    keys
        What keys of the canvas do while that layer is active, too.

    Signals
    -------
    moved
        The one outline that is marked has other points now: ``(V, 2)`` as (x, y) of level 0.
    """

    moved = Signal(object)

    def __init__(self, viewer: Any, keys: Mapping[str, Callable[[], Any]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._keys = viewer, keys
        self._layer: Callable[[], Any] = lambda: None
        self._mine = False

    @property
    def layer(self) -> Any:
        """The layer, or ``None`` where there is none in the window."""
        found = self._layer()
        return found if found is not None and found in self._viewer.layers else None

    def show(self, over: Any, rings: Sequence[Any], stroke: Any = None) -> None:
        """Mark outlines of nuclei of the layer `over`, and a line; in 3-D nothing is drawn."""
        if self._viewer.dims.ndisplay != 2:
            return
        few = rings[: MOST if stroke is None else _WHILE_DRAWING]
        shapes: list[tuple[Any, str]] = [((ring - 0.5)[:, ::-1], "polygon") for ring in few]
        if stroke is not None and len(stroke) > 1:
            shapes.append(((stroke - 0.5)[:, ::-1], "path"))
        marks = self.layer
        if marks is None:
            if not shapes:
                return
            marks = self._new(over)
        # Two pixels of the screen, in pixels of the slide.
        width = float(np.clip(2 / camera_of(self._viewer).zoom / abs(over.scale[-1]), 0.2, 64))
        self._mine = True
        try:
            marks.selected_data = set()
            marks.data = []
            if shapes:
                marks.add(
                    [s for s, _ in shapes], shape_type=[k for _, k in shapes], edge_color=_COLOR,
                    face_color="transparent", edge_width=width,
                )  # fmt: skip
        finally:
            self._mine = False

    def edit_points(self) -> bool:
        """Let a person move the points of the outline that is marked; whether there is one."""
        marks = self.layer
        if marks is None or not len(marks.data):
            return False
        self._viewer.layers.selection.active = marks
        marks.mode = "direct"
        marks.selected_data = {0}
        return True

    def let_go(self) -> None:
        """Take the layer away."""
        marks, self._layer = self._layer(), lambda: None
        if marks is not None:
            marks.events.data.disconnect(self._on_data)
            if marks in self._viewer.layers:
                self._viewer.layers.remove(marks)

    def _new(self, over: Any) -> Any:
        from napari.layers import Shapes

        before = self._viewer.layers.selection.active
        marks = Shapes(
            ndim=2, name=f"{over.name}: chosen", scale=over.scale, translate=over.translate, units=over.units,
            axis_labels=over.axis_labels, metadata={KEY: {"role": HINT}},
        )  # fmt: skip
        self._viewer.add_layer(marks)
        self._viewer.layers.selection.active = before
        marks.events.data.connect(self._on_data)
        bind(marks, self._keys)  # or napari's keys for shapes would take away the yellow outline alone
        self._layer = weakref.ref(marks)
        return marks

    def _on_data(self, event: Any) -> None:
        """Points were moved by hand, or this layer was drawn anew."""
        action = str(getattr(getattr(event, "action", None), "value", getattr(event, "action", "")))
        marks = self.layer
        if not self._mine and action == "changed" and marks is not None and len(marks.data):
            self.moved.emit(np.array(marks.data[0], float)[:, ::-1] + 0.5)


def bind(layer: Any, keys: Mapping[str, Callable[[], Any]]) -> None:
    """Let keys of the canvas do something while a layer is active: they come before napari's own for such layers."""
    for name, work in keys.items():
        layer.bind_key(name, _pressed(work), overwrite=True)


def _pressed(work: Callable[[], Any]) -> Callable[[Any], None]:
    """napari asks such functions for their name, which a `partial` has not."""

    def press(_layer: Any) -> None:
        work()

    return press
