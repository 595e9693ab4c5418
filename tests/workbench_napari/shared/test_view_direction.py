"""A result comes into a 3-D view before the mouse has been in it."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.shared.view_direction import allow_no_view_direction

from tests.workbench_napari.mouse import drag

pytestmark = pytest.mark.gui


def test_labels_with_named_classes_come_into_a_view_without_a_mouse(window):
    allow_no_view_direction()
    viewer = window(show=True)
    noise = np.random.default_rng(0).random((12, 14, 16))
    viewer.add_image(noise)
    drag(viewer, (100, 100), (120, 130))
    viewer.dims.ndisplay = 3
    labels = viewer.add_labels((noise > 0.5).astype(int), features={"index": [0, 1], "name": ["", "liver"]})
    assert viewer.layers.selection.active is labels
    # Once the mouse has been in it, the status bar tells the name again.
    inside = np.argwhere(noise > 0.5)[0]
    told = labels.get_status(tuple(inside), view_direction=np.array([1.0, 0, 0]), dims_displayed=[0, 1, 2], world=True)
    assert "liver" in told["value"]
