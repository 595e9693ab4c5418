"""What the tests of the Slides tool do with it, as a person would."""

from __future__ import annotations

import json

import numpy as np

from tests.workbench_napari.contract_window import press, until

BOX = np.array([[300.0, 300.0], [300.0, 820.0], [820.0, 820.0], [820.0, 300.0]])


def ready(tool):
    """Wait until a click counts: the second half of a double click does nothing."""
    until(lambda: not tool._guard.isActive())


def click(tool, button):
    """Press a button, and wait for the job that it starts."""
    ready(tool)
    press(button)
    until(lambda: not tool.runner.is_busy)


def new_outline(viewer, tool, box=BOX):
    press(tool.annotation_group.new)
    layer = viewer.layers.selection.active
    layer.add_polygons([box])
    return layer


def saved(tool):
    click(tool, tool.save_button)
    assert tool.last_folder is not None, tool.status.text()
    return tool.last_folder


def record(folder):
    return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))


def features(path):
    return json.loads(path.read_text(encoding="utf-8"))["features"]
