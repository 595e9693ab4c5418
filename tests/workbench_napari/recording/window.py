"""What a person does with the MEG tool, for its tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from workbench_napari.shared.views import camera_of

PARCELS = ("parcel 1", "parcel 2", "parcel 3", "parcel 4", "parcel 5")
RATE, SECONDS = 250.0, 12.0


def finish(tool, wait, seconds=120):
    wait(lambda: not tool.runner.is_busy, seconds)


def pixel_of(tool, layer, row, seconds):
    """Where napari's own camera shows a place of a layer."""
    camera, canvas = camera_of(tool.viewer), tool.stack.canvas
    column = (seconds - layer.translate[1]) / layer.scale[1]
    y, x = layer.data_to_world((row, column))
    centre_y, centre_x = camera.center[-2:]
    return (x - centre_x) * camera.zoom + canvas.width() / 2, (y - centre_y) * camera.zoom + canvas.height() / 2


def click(tool, x, y, keys=()):
    """A press and release of the mouse on the canvas, as napari sends them."""
    viewer = tool.viewer
    event = SimpleNamespace(type="mouse_press", pos=np.array([x, y]), position=(0, 0), button=1, modifiers=keys)
    generators = [g for c in viewer.mouse_drag_callbacks if (g := c(viewer, event)) is not None]
    for g in generators:
        next(g, None)
    event.type = "mouse_release"
    for g in generators:
        next(g, None)


def draw(tool, wait, start, stop, rows=(0.2, 3.0)):
    """A rectangle as the mouse draws it: somewhere in the rows, from start to stop [s]."""
    before = len(tool.annotating.editor.marks)
    tool.annotating.editor.layer.add_rectangles([[rows[0], start], [rows[1], stop]])
    wait(lambda: len(tool.annotating.editor.marks) == before + 1)
