"""The part of the Volume tool that views: axial, coronal, sagittal and 3-D, and the whole range of a window."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QButtonGroup

from workbench_napari.volume import views
from workbench_napari.volume.layer_roles import record_of

NAMES = (*views.VIEWS, "3-D")
"""The views that there is a button for."""


class Viewing(QObject):
    """Turns the volume as a button says, and lets the buttons tell how it is turned.

    Parameters
    ----------
    viewer
        The viewer that is turned.
    buttons
        One checkable button per view, by its text.
    """

    def __init__(self, viewer: Any, buttons: QButtonGroup, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._buttons = viewer, buttons
        buttons.buttonClicked.connect(self._on_button)

    def look_around(self, event: Any = None) -> None:
        """Layers came or went."""
        if event is not None and event.type == "inserted":
            widen_range(event.value)
        self.follow()

    def follow(self, event: Any = None) -> None:
        """Keep the head up, and press the button of the view that is shown."""
        if any(record_of(layer).get("shape") for layer in self._viewer.layers):
            views.turn_head_up(self._viewer)
        now = views.current(self._viewer)
        self._buttons.setExclusive(False)
        for button in self._buttons.buttons():
            button.setChecked(button.text() == now)
        self._buttons.setExclusive(True)

    def _on_button(self, button: Any) -> None:
        views.show(self._viewer, button.text())


def widen_range(layer: Any) -> None:
    """napari takes the window of a new layer as the range of its slider; the whole range must stay within reach."""
    record = record_of(layer)
    if record.get("range") and hasattr(layer, "contrast_limits_range"):
        limits = tuple(layer.contrast_limits)
        layer.contrast_limits_range = tuple(record["range"])
        layer.contrast_limits = limits
