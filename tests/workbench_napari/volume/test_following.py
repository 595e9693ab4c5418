"""The view goes to a result, and the letters on the canvas say how the patient lies."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.result_view import ResultView

from tests.tiny import make_volume

pytestmark = pytest.mark.gui

SAGITTAL = np.array([[0, 0, -4.0, 31.3], [3.0, 0, 0, -12.7], [0, -3.0, 0, 5.5], [0, 0, 0, 1]])
# Turned by 30 degrees about the axis from left to right, then by 90 about the one from head to feet.
TILTED = np.array([[3, 0, 0, 0], [0, 3 * 0.866, -4 * 0.5, 0], [0, 3 * 0.5, 4 * 0.866, 0], [0, 0, 0, 1]])


def press(tool, view):
    (button,) = [b for b in tool.panel.views.group.buttons() if b.text() == view]
    button.click()


@pytest.mark.parametrize("affine", [None, SAGITTAL], ids=["plain", "transposed"])
def test_letters_in_all_planes(window, tmp_path, affine):
    viewer = window()
    tool = open_files(viewer, [make_volume(tmp_path / "ct.nii.gz", affine=affine)])
    letters = tool.orientation.letters
    expected = {
        "Axial": {"left": "R", "right": "L", "top": "A", "bottom": "P"},
        "Coronal": {"left": "R", "right": "L", "top": "H", "bottom": "F"},
        "Sagittal": {"left": "A", "right": "P", "top": "H", "bottom": "F"},
    }
    for view, shown in expected.items():
        press(tool, view)
        assert letters.shown == shown
    press(tool, "3-D")
    assert letters.isHidden()
    press(tool, "Axial")
    viewer.layers["ct"].visible = False
    tool.orientation.look()
    assert letters.shown == {}


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_letters_of_an_oblique_volume_and_of_one_that_says_nothing(window, tmp_path):
    viewer = window()
    tool = open_files(viewer, [make_volume(tmp_path / "ct.nii.gz", affine=TILTED)])
    press(tool, "Axial")
    shown = tool.orientation.letters.shown
    assert (shown["left"], shown["right"]) == ("R", "L")
    assert sorted(shown["top"]) == ["A", "H"]
    assert sorted(shown["bottom"]) == ["F", "P"]
    viewer.add_image(np.zeros((10, 11, 12)), name="other", scale=(4, 3, 3), units="mm")
    viewer.layers.selection.active = viewer.layers["ct"]
    viewer.layers.selection.active = viewer.layers["other"]
    assert tool.orientation.letters.shown["right"] == "L?"


def test_the_view_goes_to_what_was_found_but_not_away_from_a_person(window):
    viewer = window()
    viewer.add_image(np.zeros((20, 30, 30)), scale=(2, 1, 1))
    labels = viewer.add_labels(np.zeros((20, 30, 30), int), scale=(2, 1, 1))
    labels.data[5, 3:5] = 1
    labels.data[15, 3:9] = 1
    view = ResultView(viewer)
    viewer.dims.set_point(0, 20)
    view.remember()
    assert view.has_stayed
    view.go_to(labels)
    assert viewer.dims.point[0] == 30, "the fullest slice"
    viewer.dims.set_point(0, 10)
    assert not view.has_stayed
    view.go_to(labels)
    assert viewer.dims.point[0] == 10, "labels are seen already"
